//! Directories made at start (`spec/files-and-security.md` section 2).

use super::RunUser;
use crate::logs;
use crate::sys::error::reason;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Why there is no such directory, or none that can be trusted; `Display` is chrony's message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DirectoryError {
    /// It can't be looked at.
    #[error("Could not access {0} : {1}")]
    Access(String, String),
    /// Something else has its name.
    #[error("{0} is not directory")]
    NotDirectory(String),
    /// Not created.
    #[error("Could not create directory {0} : {1}")]
    Create(String, String),
    /// Created, but not given to its user; removed again.
    #[error("Could not change ownership of {0} : {1}")]
    Owner(String, String),
    /// Others have access.
    #[error("Wrong permissions on {0}")]
    Permissions(String),
    /// It belongs to somebody else.
    #[error("Wrong owner of {0} ({1} != {2})")]
    WrongOwner(String, &'static str, u32),
}

/// Creates each directory and its missing parents. `directories` has path and mode; failures are logged.
pub fn create_directories(directories: &[(&str, u32)], user: &RunUser) {
    for &(path, mode) in directories {
        if let Err(error) = create(Path::new(path), mode, Some(user)) {
            logs::error(error);
        }
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn exists(path: &Path) -> Result<bool, DirectoryError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(DirectoryError::NotDirectory(name(path))),
        // Below something else than a directory: looking at its parents finds which.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(DirectoryError::Access(name(path), reason(&error))),
    }
}

/// `user` owns the last one; parents belong to root.
fn create(path: &Path, mode: u32, user: Option<&RunUser>) -> Result<(), DirectoryError> {
    // An empty parent is the working directory.
    if path.as_os_str().is_empty() || exists(path)? {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create(parent, 0o755, None)?;
    }
    let made = DirBuilder::new().mode(mode).create(path);
    if made.is_err() && exists(path)? {
        // `new/..` is there as soon as `new` is.
        return Ok(());
    }
    made.map_err(|error| DirectoryError::Create(name(path), reason(&error)))?;
    let Some(user) = user else { return Ok(()) };
    let owner = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    std::os::unix::fs::chown(path, owner.0, owner.1).map_err(|error| {
        let _ = fs::remove_dir(path);
        DirectoryError::Owner(name(path), reason(&error))
    })
}

/// Checks that only `user` can get at what is in the directory: it decides who may send commands.
///
/// # Errors
/// What is wrong with it.
pub fn check_socket_directory(path: &Path, user: &RunUser) -> Result<(), DirectoryError> {
    let found = fs::metadata(path).map_err(|error| DirectoryError::Access(name(path), reason(&error)))?;
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    if !found.is_dir() {
        Err(DirectoryError::NotDirectory(name(path)))
    } else if found.permissions().mode() & 0o777 & !0o770 != 0 {
        Err(DirectoryError::Permissions(name(path)))
    } else if found.uid() != uid {
        Err(DirectoryError::WrongOwner(name(path), "UID", uid))
    } else if found.gid() != gid {
        Err(DirectoryError::WrongOwner(name(path), "GID", gid))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_with_parents_and_checked() {
        let user = RunUser::current();
        let base = std::env::temp_dir().join(format!("truechimer-dirs-{}", std::process::id()));
        let dir = base.join("a/b");
        create_directories(&[(dir.to_str().unwrap(), 0o750)], &user);
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o750);
        assert_eq!(check_socket_directory(&dir, &user), Ok(()));
        assert_eq!(
            create(&dir, 0o700, Some(&user)),
            Ok(()),
            "an existing one is left alone"
        );
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let error = check_socket_directory(&dir, &user).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Wrong permissions on {}", dir.display())
        );
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        let other = RunUser {
            uid: nix::unistd::Uid::from_raw(54_321),
            ..user
        };
        let error = check_socket_directory(&dir, &other).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("Wrong owner of {} (UID != 54321)", dir.display())
        );
        let file = base.join("file");
        fs::write(&file, "").unwrap();
        let error = check_socket_directory(&file, &user).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not directory", file.display()));
        let error = create(&file.join("x/y"), 0o700, None).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not directory", file.display()));
        let around = base.join("new/../other");
        assert_eq!(create(&around, 0o700, Some(&user)), Ok(()));
        assert!(base.join("other").is_dir());
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn where_nothing_can_be_made() {
        let error = create(Path::new("/proc/foo"), 0o750, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Could not create directory /proc/foo : No such file or directory"
        );
    }
}
