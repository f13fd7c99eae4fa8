//! Tests of the whole language with an invented file system.

mod files;
mod lines;
mod meaning;
mod random;

use super::loader::Options;
use super::{Config, Environment, KeptLine, Loader, Problem, Unsearchable, Warning};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Files and names. A directory is there if a file in it is.
#[derive(Default)]
pub(super) struct World {
    files: BTreeMap<String, Option<Vec<u8>>>,
}

impl World {
    pub(super) fn file(&mut self, path: &str, contents: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), Some(contents.into()));
    }

    /// A link to nowhere.
    pub(super) fn broken(&mut self, path: &str) {
        self.files.insert(path.to_owned(), None);
    }
}

impl Environment for World {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.files
            .get(path)
            .cloned()
            .flatten()
            .ok_or_else(|| "No such file or directory".to_owned())
    }

    /// Knows one `*`, in the last part of the path.
    fn glob(&mut self, pattern: &str) -> Result<Vec<String>, Unsearchable> {
        let Some((begin, end)) = pattern.split_once('*') else {
            return Ok(vec![pattern.to_owned()]);
        };
        let (directory, _) = begin.rsplit_once('/').unwrap_or(("", begin));
        let prefix = format!("{directory}/");
        if !self.files.keys().any(|path| path.starts_with(&prefix)) {
            return Err(Unsearchable);
        }
        let matches = |path: &&String| {
            let hidden = path
                .strip_prefix(&prefix)
                .is_some_and(|name| name.starts_with('.'));
            path.starts_with(begin) && path.ends_with(end) && !hidden
        };
        Ok(self.files.keys().filter(matches).cloned().collect())
    }

    fn resolve(&mut self, name: &str) -> Option<IpAddr> {
        ["localhost", "0x7f.1"]
            .contains(&name)
            .then_some(IpAddr::from([127, 0, 0, 1]))
    }
}

pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) error: Option<String>,
    pub(super) warnings: Vec<Warning>,
    pub(super) lines: Vec<KeptLine>,
    pub(super) problems: Vec<Problem>,
}

impl Loaded {
    fn printed(&self) -> Vec<String> {
        self.lines
            .iter()
            .map(|line| String::from_utf8_lossy(&line.normalised()).into_owned())
            .collect()
    }
}

fn finish(loader: Loader<'_>, error: Option<String>) -> Loaded {
    let (warnings, lines) = (loader.warnings().to_vec(), loader.lines().to_vec());
    let problems = loader.problems().to_vec();
    Loaded {
        error,
        warnings,
        lines,
        problems,
        config: loader.finish(),
    }
}

/// Reads the file `F`.
pub(super) fn load(world: &mut World, options: Options) -> Loaded {
    let mut loader = Loader::new(world, options);
    let error = loader.file("F").err().map(|error| error.to_string());
    finish(loader, error)
}

/// Reads `F` with this text.
pub(super) fn load_text(text: impl Into<Vec<u8>>, options: Options) -> Loaded {
    let mut world = World::default();
    world.file("F", text);
    load(&mut world, options)
}

pub(super) fn load_arguments(arguments: &[&str]) -> Loaded {
    let mut world = World::default();
    let mut loader = Loader::new(
        &mut world,
        Options {
            keep_lines: true,
            ..Options::default()
        },
    );
    let error = loader.directives(arguments).err().map(|error| error.to_string());
    finish(loader, error)
}

/// What a file without errors means.
pub(super) fn config(text: &str) -> Config {
    let loaded = load_text(text, Options::default());
    assert_eq!(loaded.error, None);
    loaded.config
}
