//! Restoring sources from their dump files (`spec/sync.md` 2.8).

use super::ERA;
use crate::event::{Event, sync::SyncEvent};
use crate::sync::cx::Cx;
use crate::sync::discipline::Discipline;

/// Loads those of the files (name, contents) that belong to a source; the reference may be set at once.
pub(super) fn load(cx: &mut Cx<'_>, discipline: &mut Discipline, files: &[(String, String)]) {
    if files.is_empty() {
        return;
    }
    let sources = &mut discipline.sources;
    let ids: Vec<_> = (0..sources.len())
        .filter_map(|index| sources.id_at(index))
        .collect();
    for id in ids {
        let name = sources.dump_name(id);
        let Some((_, text)) = files.iter().find(|(file, _)| Some(file) == name.as_ref()) else {
            continue;
        };
        let loaded = sources.load_dump(id, text, cx.cooked, ERA);
        let source = sources.label(id).unwrap_or_default();
        cx.out.events.push(Event::Sync(match loaded {
            Ok(()) => SyncEvent::DumpLoaded { source },
            Err(_) => SyncEvent::DumpNotLoaded { source },
        }));
    }
    sources.dumps_loaded();
    discipline.select(cx);
}
