//! Who else than root may use the command socket: the group of the daemon's user, if it may write to directory and
//! socket, and then with all rights. chrony knows no group that may only look (README.md, "Monitoring").

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use compat_tests::{Finished, LIMIT, Process, Programs, TempDir, finish, ours, reference, subject, until};

/// User and group of the daemon: nobody and nogroup, which every machine has.
const DAEMON: u32 = 65_534;
/// A user that the daemon knows nothing about.
const OTHER: u32 = 12_345;

struct World {
    dir: TempDir,
    _daemon: Process,
}

impl World {
    fn new(programs: &Programs, umask: &str) -> Self {
        let dir = TempDir::new();
        let run = dir.subdir("run", 0o770);
        chown(&run, Some(DAEMON), Some(DAEMON)).unwrap();
        let socket = run.join("chronyd.sock");
        let conf = dir.write(
            "chrony.conf",
            format!(
                "user nobody\nport 0\ncmdport 0\npidfile /\nlocal stratum 7\nbindcmdaddress {}\n",
                socket.display()
            ),
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
            .arg(&programs.chronyd)
            .args(["-x", "-d", "-f"])
            .arg(conf);
        let mut daemon = Process::start(&mut command, &dir.join("log"));
        until(LIMIT, "the command socket", || socket.exists().then_some(()));
        daemon.wait_handlers();
        // Where others may read it.
        let client = dir.join("chronyc");
        fs::copy(ours().chronyc, &client).unwrap();
        fs::set_permissions(client, fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, _daemon: daemon }
    }

    /// Asks as that other user with this group.
    fn ask(&self, group: u32, command: &str) -> Finished {
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args([
                &format!("--reuid={OTHER}"),
                &format!("--regid={group}"),
                "--clear-groups",
            ])
            .arg(self.dir.join("chronyc"))
            .arg("-h")
            .arg(self.dir.join("run/chronyd.sock"))
            .arg(command);
        finish(&mut setpriv, LIMIT)
    }
}

#[test]
fn the_group_of_the_daemon_may_do_everything_or_nothing() {
    for programs in [subject(), reference()] {
        let world = World::new(&programs, "007");
        assert!(
            world
                .ask(DAEMON, "tracking")
                .ok()
                .contains("Stratum         : 7\n")
        );
        assert_eq!(world.ask(DAEMON, "maxupdateskew 500").ok(), "200 OK\n");
        let refused = "Could not open connection to daemon\n";
        let done = world.ask(OTHER, "tracking");
        assert_eq!((done.code(), done.stderr.as_str()), (Some(1), refused));
        let left: Vec<_> = fs::read_dir(world.dir.join("run")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");

        // With the usual umask the group may not write to the socket.
        let world = World::new(&programs, "022");
        let done = world.ask(DAEMON, "tracking");
        assert_eq!((done.code(), done.stderr.as_str()), (Some(1), refused));
    }
}
