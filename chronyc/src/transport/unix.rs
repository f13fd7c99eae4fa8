//! The client's Unix socket. It needs a name, or the daemon could not answer; the name lies in a directory that
//! only this process and the daemon's user reach (`spec/command-protocol.md` section 1.2).

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{geteuid, mkdir};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Longest path of a socket, without the closing zero.
const MAX_PATH: usize = 107;
const DIR_MODE: Mode = Mode::from_bits_truncate(0o711);

/// Why the socket could not be made. Text for standard error.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("Server socket path {} is too long", .0.display())]
    TooLong(PathBuf),
    #[error("Could not create {} : {}", .0.display(), .1.desc())]
    Create(PathBuf, Errno),
    #[error("Could not open/stat {} : {}", .0.display(), .1.desc())]
    Stat(PathBuf, Errno),
    #[error("Unexpected mode/owner of {}", .0.display())]
    Owner(PathBuf),
    #[error("Could not bind/connect client Unix socket")]
    Bind,
    #[error("Could not change socket or directory permissions : {}", .0)]
    Permissions(String),
}

/// A connected socket; its files go with it.
#[derive(Debug)]
pub(super) struct UnixClient {
    pub(super) socket: UnixDatagram,
    _files: Files,
}

/// Files to be removed again.
#[derive(Debug)]
struct Files {
    outer: PathBuf,
    inner: PathBuf,
    path: PathBuf,
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is not there, or not ours, stays.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.inner);
        let _ = fs::remove_dir(&self.outer);
    }
}

impl UnixClient {
    /// Connects to the socket at `server`. Silently `None` when there is no daemon behind it or we may not
    /// reach it, which is normal; other problems are told.
    pub(super) fn open(server: &Path, letters: [u8; 16]) -> Option<Self> {
        let probe = UnixDatagram::unbound().ok()?;
        probe.connect(server).ok()?;
        drop(probe);
        Self::bind(server, letters)
            .inspect_err(|problem| eprintln!("{problem}"))
            .ok()
    }

    fn bind(server: &Path, letters: [u8; 16]) -> Result<Self, Problem> {
        let dir = server.parent().unwrap_or(Path::new("/"));
        let outer = dir.join(format!("chronyc.{}", std::process::id()));
        let name: String = letters.into_iter().map(alphanumeric).collect();
        let inner = outer.join(&name);
        let path = inner.join("sock");
        if path.as_os_str().len() > MAX_PATH {
            return Err(Problem::TooLong(server.to_owned()));
        }
        match mkdir(&outer, DIR_MODE) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(Problem::Create(outer, error)),
        }
        let outer_fd = own_directory(&outer)?;
        let files = Files { outer, inner, path };
        mkdirat(&outer_fd, name.as_str(), DIR_MODE).map_err(|e| Problem::Create(files.inner.clone(), e))?;
        let _ = fs::remove_file(&files.path);
        let socket = UnixDatagram::bind(&files.path).map_err(|_| Problem::Bind)?;
        socket.connect(server).map_err(|_| Problem::Bind)?;
        // The umask must not keep a daemon of another user from answering.
        let permissions = |error: &dyn std::fmt::Display| Problem::Permissions(error.to_string());
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        chmod(&files.path, 0o666).map_err(|e| permissions(&e))?;
        chmod(&files.inner, 0o711).map_err(|e| permissions(&e))?;
        fchmod(&outer_fd, DIR_MODE).map_err(|e| permissions(&e.desc()))?;
        Ok(Self {
            socket,
            _files: files,
        })
    }
}

/// Opens the directory, which nobody else may have put there.
fn own_directory(path: &Path) -> Result<OwnedFd, Problem> {
    let stat = |error| Problem::Stat(path.to_owned(), error);
    let fd = open(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW, Mode::empty()).map_err(stat)?;
    let status = fstat(&fd).map_err(stat)?;
    let is_dir = status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits();
    if !is_dir || status.st_mode & 0o777 & !0o711 != 0 || status.st_uid != geteuid().as_raw() {
        return Err(Problem::Owner(path.to_owned()));
    }
    Ok(fd)
}

fn alphanumeric(byte: u8) -> char {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    LETTERS
        .get(usize::from(byte) % LETTERS.len())
        .copied()
        .map_or('0', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_can_answer_and_no_file_stays() {
        let dir = std::env::temp_dir().join(format!("chronyc-test-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let server_path = dir.join("sock");
        assert!(UnixClient::open(&server_path, [1; 16]).is_none());
        let server = UnixDatagram::bind(&server_path).unwrap();
        let client = UnixClient::open(&server_path, [1; 16]).unwrap();
        client.socket.send(b"?").unwrap();
        let mut buffer = [0; 2];
        let (_, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(b"!", from.as_pathname().unwrap()).unwrap();
        assert_eq!(client.socket.recv(&mut buffer).unwrap(), 1);
        drop(client);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }
}
