//! Files that are not what the daemon left: replaced by directories, links, garbage; a disk that is full or read-only.
//! It starts when chrony does, says what chrony says, keeps the drift file whole and touches nothing elsewhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use compat_tests::{Chronyd, LIMIT, Namespace, Process, Programs, TempDir, filter_options};
use compat_tests::{finish, ours, reference};

/// User and group `nobody`.
const NOBODY: u32 = 65_534;
const DRIFT: &str = "            1.500000             0.250000\n";

/// What becomes of a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Directory,
    FullDirectory,
    LinkToFile,
    LinkToNothing,
    LinkToDirectory,
    LinkToItself,
    Garbage(usize),
}

use Damage::{Directory, FullDirectory, Garbage, LinkToDirectory, LinkToFile, LinkToItself, LinkToNothing};

impl Damage {
    fn on(self, path: &Path, elsewhere: &Path) {
        let _ = fs::remove_file(path);
        match self {
            Self::Directory => fs::create_dir(path),
            Self::FullDirectory => fs::create_dir_all(path.join("directory")),
            Self::LinkToFile => symlink(elsewhere.join("file"), path),
            Self::LinkToNothing => symlink(elsewhere.join("nothing"), path),
            Self::LinkToDirectory => symlink(elsewhere, path),
            Self::LinkToItself => symlink(path, path),
            Self::Garbage(length) => fs::write(path, garbage(length)),
        }
        .unwrap();
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Bytes without sense, the same ones each time.
fn garbage(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

/// A directory with the configuration, and all files of a daemon as they should be. It belongs to `nobody`, so that it
/// may try everything.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = TempDir::new();
        for name in [
            "run",
            "state",
            "state/dumps",
            "state/logs",
            "state/sources",
            "elsewhere",
        ] {
            let path = dir.subdir(name, 0o750);
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let at = dir.display();
        dir.write(
            "chrony.conf",
            format!(
                "server 127.0.0.1 offline\nuser nobody\nport 0\ncmdport 0\npidfile {at}/run/pid\n\
                 bindcmdaddress {at}/run/chronyd.sock\ndriftfile {at}/state/drift\ndumpdir {at}/state/dumps\n\
                 logdir {at}/state/logs\nlog tracking\nkeyfile {at}/state/keys\nsourcedir {at}/state/sources\n\
                 leapseclist {at}/state/leaps\n"
            ),
        );
        for (name, text) in [
            ("state/drift", DRIFT),
            ("state/keys", "1 SHA1 HEX:000102030405060708090A0B0C0D0E0F\n"),
            ("state/sources/a.sources", "server 127.0.0.2 offline\n"),
            ("state/messages", "a line\n"),
            ("elsewhere/file", "precious\n"),
        ] {
            let path = dir.write(name, text);
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { dir }
    }

    fn elsewhere(&self) -> PathBuf {
        self.dir.join("elsewhere")
    }

    /// Names, contents and times of what must not be touched.
    fn untouched(&self) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
        let entries = fs::read_dir(self.elsewhere())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let state = |path: PathBuf| {
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            (path.clone(), fs::read(path).unwrap(), modified)
        };
        entries.map(state).collect()
    }

    /// A short life of a daemon: exit status and messages.
    fn live(
        &self,
        programs: &Programs,
        namespace: &Namespace,
        options: &[&str],
    ) -> (Option<i32>, Vec<String>) {
        let mut command = self.command(programs, namespace);
        let done = finish(command.args(options), LIMIT);
        (done.code(), self.messages(&done.stderr))
    }

    /// A life of ours that lasts until it is synchronised.
    fn live_long(&self, namespace: &Namespace, options: &[&str]) -> Vec<String> {
        let mut command = self.command(&ours(), namespace);
        let mut daemon = Process::start(command.args(options), &self.dir.join("stderr"));
        daemon.wait_log("Selected source", LIMIT);
        assert_eq!(daemon.stop().code(), Some(0), "{}", daemon.log());
        self.messages(&daemon.log())
    }

    fn command(&self, programs: &Programs, namespace: &Namespace) -> Command {
        let mut command = namespace.command(&programs.chronyd);
        if programs.chronyd == ours().chronyd {
            command.args(filter_options());
        }
        command.args(["-x", "-d", "-f"]).arg(self.dir.join("chrony.conf"));
        command
    }

    /// Messages without the usual ones of a start.
    fn messages(&self, log: &str) -> Vec<String> {
        let at = self.dir.display().to_string();
        let ordinary = [
            "chronyd version ",
            "truechimer ",
            "Disabled control",
            "Loaded seccomp filter",
        ];
        let lines = log.lines().filter_map(|line| Some(line.split_once("Z ")?.1));
        let lines = lines.filter(|line| !ordinary.iter().any(|text| line.starts_with(text)));
        lines.map(|line| line.replace(&at, "AT")).collect()
    }

    fn drift(&self) -> String {
        fs::read_to_string(self.dir.join("state/drift")).unwrap()
    }
}

const ALL: &[Damage] = &[
    Directory,
    FullDirectory,
    LinkToFile,
    LinkToNothing,
    LinkToDirectory,
    LinkToItself,
    Garbage(0),
    Garbage(1),
    Garbage(41),
    Garbage(4097),
    Garbage(1 << 20),
];

/// Checks short lives, with `options`, after each damage to a file.
fn survives(name: &str, damages: &[Damage], options: &[&str]) {
    let namespace = Namespace::new();
    let mut different = Vec::new();
    for damage in damages {
        let life = |programs: &Programs, more: &[&str]| {
            let world = World::new();
            damage.on(&world.dir.join(name), &world.elsewhere());
            let before = world.untouched();
            let found = world.live(programs, &namespace, &[options, more].concat());
            assert_eq!(world.untouched(), before, "{name} {damage:?}: {found:?}");
            (world, found)
        };
        let unlimited = ["-F", "0"];
        let (_, theirs) = life(&reference(), &unlimited);
        let (_, same) = life(&ours(), &unlimited);
        if same != theirs {
            different.push(format!("{name} {damage:?}\n  {same:?}\n  {theirs:?}"));
        }
        // With all limits, links elsewhere lead nowhere, which is no reason to fail.
        let (world, (code, messages)) = life(&ours(), &[]);
        assert_eq!(code, theirs.0, "{name} {damage:?}: {messages:?}");
        // Nothing but the file itself can harm the drift.
        if name != "state/drift" {
            assert_eq!(world.drift(), DRIFT, "{name} {damage:?}: {messages:?}");
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn replaced_state() {
    for name in [
        "state/drift",
        "state/drift.tmp",
        "state/logs/tracking.log",
        "run/pid",
        "run/chronyd.sock",
    ] {
        survives(name, ALL, &["-t", "0"]);
    }
}

#[test]
fn replaced_settings() {
    for name in ["state/keys", "state/leaps", "state/sources/a.sources"] {
        survives(name, ALL, &["-t", "0"]);
    }
}

#[test]
fn replaced_dump_files() {
    // They are read after the first moment.
    let few = [
        FullDirectory,
        LinkToFile,
        LinkToItself,
        Garbage(41),
        Garbage(1 << 20),
    ];
    survives("state/dumps/127.0.0.1.dat", &few, &["-r", "-t", "1"]);
}

/// The message log is the one file that is appended to, and the start fails without it.
#[test]
fn a_replaced_message_log() {
    let namespace = Namespace::new();
    for damage in [
        Directory,
        LinkToFile,
        LinkToNothing,
        LinkToDirectory,
        LinkToItself,
        Garbage(4097),
    ] {
        let life = |programs: &Programs| {
            let world = World::new();
            let path = world.dir.join("state/messages");
            damage.on(&path, &world.elsewhere());
            let before = world.untouched();
            let found = world.live(programs, &namespace, &["-t", "0", "-l", path.to_str().unwrap()]);
            assert_eq!(world.untouched(), before, "{damage:?}: {found:?}");
            found
        };
        assert_eq!(life(&ours()), life(&reference()), "{damage:?}");
    }
}

/// A small disk, gone with it.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf, options: &str) -> Self {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "none"]).arg(&path);
        finish(&mut command, LIMIT).ok();
        Self(path)
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        finish(Command::new("mount").args(["-o", &options]).arg(&self.0), LIMIT).ok();
    }

    /// Leaves not one byte.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still uses it keeps it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_takes_nothing() {
    let namespace = Namespace::new();
    let _server = Chronyd::new(&ours())
        .config("local stratum 1\nallow 127.0.0.0/8")
        .within(&namespace)
        .start();
    for full in [true, false] {
        let world = World::new();
        let disk = Disk::new(world.dir.join("state"), "size=64k,mode=0750,uid=65534,gid=65534");
        for name in ["state/dumps", "state/logs", "state/sources"] {
            chown(world.dir.subdir(name, 0o750), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(world.dir.write("state/drift", DRIFT), Some(NOBODY), Some(NOBODY)).unwrap();
        let conf = fs::read_to_string(world.dir.join("chrony.conf")).unwrap();
        world.dir.write(
            "chrony.conf",
            conf.replace("127.0.0.1 offline", "127.0.0.1 iburst minpoll -2"),
        );

        let filler = disk.fill();
        if !full {
            fs::remove_file(&filler).unwrap();
            disk.remount("ro");
        }
        let (code, messages) = world.live(&ours(), &namespace, &["-t", "8"]);
        assert_eq!(code, Some(0), "{messages:?}");
        assert!(
            messages.iter().any(|line| line == "Selected source 127.0.0.1"),
            "{messages:?}"
        );
        let expected = if full {
            "Could not write AT/state/drift.tmp : No space left on device"
        } else {
            "Could not open AT/state/drift.tmp : Read-only file system"
        };
        assert!(messages.iter().any(|line| line == expected), "{messages:?}");
        // As it was, and nothing half-written beside it.
        assert_eq!(world.drift(), DRIFT);
        assert!(!world.dir.join("state/drift.tmp").exists());
        assert_eq!(
            fs::read_dir(world.dir.join("state/dumps")).unwrap().count(),
            0,
            "{messages:?}"
        );

        let number = || fs::metadata(world.dir.join("state/drift")).unwrap().ino();
        let before = number();
        // The next one has space again, and starts with what there is.
        if full {
            fs::remove_file(&filler).unwrap();
        } else {
            disk.remount("rw");
        }
        let messages = world.live_long(&namespace, &["-r"]);
        let read = "Frequency 1.500 +/- 0.250 ppm read from AT/state/drift";
        assert!(messages.iter().any(|line| line == read), "{messages:?}");
        assert_eq!(world.drift().len(), DRIFT.len());
        assert_ne!(number(), before, "a new file");
        assert!(world.dir.join("state/dumps/127.0.0.1.dat").exists());
        assert!(world.dir.join("state/logs/tracking.log").exists());
    }
}
