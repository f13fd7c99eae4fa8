//! Temporary directories.

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, removed with all it holds when dropped.
#[derive(Debug)]
pub struct TempDir(PathBuf);

/// A number that no other call in this process has got.
pub(crate) fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl TempDir {
    /// Makes a directory with mode 0755 below the system's folder for temporary files.
    ///
    /// The path is short, since the path of a Unix socket is at most 107 bytes long.
    #[must_use]
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("compat-{}-{}", std::process::id(), serial()));
        fs::create_dir(&path).unwrap_or_else(|e| panic!("could not make {}: {e}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode of a directory just made");
        Self(path)
    }

    /// Makes a directory in this one with the given mode, whatever the umask.
    pub fn subdir(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::DirBuilder::new()
            .mode(mode)
            .create(&path)
            .unwrap_or_else(|e| panic!("could not make {}: {e}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode of a directory just made");
        path
    }

    /// Writes a file in this directory and returns its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap_or_else(|e| panic!("could not write {}: {e}", path.display()));
        path
    }
}

impl Default for TempDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for TempDir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Nothing to be done about a failure, and a test that fails already must not panic again.
        let _ = fs::remove_dir_all(&self.0);
    }
}
