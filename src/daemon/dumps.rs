//! Dump files of sources: reading them at start, removing old ones (`spec/files-and-security.md` 3.2).

use crate::files;
use crate::logs;
use std::io::Write;
use std::net::IpAddr;

/// Longest dump file, bytes: 64 samples of less than 200 bytes each.
const MAX_SIZE: u64 = 65_536;

/// Names of the dump files in a directory, sorted: `*.dat` named by an address or `refid:`. What else is there
/// is not ours.
fn names(directory: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_ours(name))
        .collect();
    names.sort();
    names
}

fn is_ours(name: &str) -> bool {
    name.strip_suffix(".dat")
        .is_some_and(|base| base.starts_with("refid:") || base.parse::<IpAddr>().is_ok())
}

/// Names and contents of all dump files.
#[must_use]
pub(super) fn read(directory: &str) -> Vec<(String, String)> {
    let contents = |name: String| {
        let bytes = files::read_start(&format!("{directory}/{name}"), MAX_SIZE).ok()?;
        Some((name, String::from_utf8_lossy(&bytes).into_owned()))
    };
    names(directory).into_iter().filter_map(contents).collect()
}

/// Removes all dump files; what they say is soon out of date.
pub(super) fn remove_all(directory: &str) {
    for name in names(directory) {
        remove(&format!("{directory}/{name}"));
    }
}

fn remove(path: &str) {
    if let Err(error) = files::remove(path) {
        logs::error(error);
    }
}

/// Writes a dump file, or removes it. Errors are logged.
pub(super) fn save(directory: &str, name: &str, text: Option<&str>) {
    let path = format!("{directory}/{name}");
    let Some(text) = text else {
        remove(&path);
        return;
    };
    match files::create(&path, 0o644) {
        Ok(mut file) => {
            if let Err(error) = file.write_all(text.as_bytes()) {
                // Better none than half of one.
                remove(&path);
                logs::error(format_args!(
                    "Could not write {path} : {}",
                    crate::sys::error::reason(&error)
                ));
            }
        }
        Err(error) => logs::error(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_files_are_read_and_removed() {
        let dir = std::env::temp_dir().join(format!("truechimer-dumps-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.to_str().unwrap();
        save(path, "192.0.2.1.dat", Some("SRC0\n"));
        save(path, "2001:db8::1.dat", Some("x"));
        save(path, "refid:50505300.dat", Some("y"));
        save(path, "foo.dat", Some("z"));
        save(path, "192.0.2.9.dat", Some("gone"));
        save(path, "192.0.2.9.dat", None);
        let read = read(path);
        let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["192.0.2.1.dat", "2001:db8::1.dat", "refid:50505300.dat"]);
        assert_eq!(read[0].1, "SRC0\n");
        remove_all(path);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
