//! What is found, and how it is shown.

use super::*;
use std::fs;
use std::path::PathBuf;

fn check(directives: &[&str]) -> (u8, String) {
    let directives = directives.iter().map(|&text| text.to_owned()).collect();
    check_origin(Origin::Directives(directives))
}

fn check_origin(origin: Origin) -> (u8, String) {
    let check = Check {
        origin,
        family: AddressFamily::Any,
        restarted: false,
    };
    let mut out = Vec::new();
    let status = run(&check, &mut out).unwrap_or(255);
    (status, String::from_utf8_lossy(&out).into_owned())
}

/// A directory that is removed.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("truechimer-check-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<String> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const THREE: [&str; 3] = ["server a.example", "server b.example", "server c.example"];

fn warned(directive: &str, text: &str) {
    let (status, out) = check(&[&THREE[..], &[directive]].concat());
    assert_eq!(status, 2, "{directive}: {out}");
    assert!(out.contains(text), "{out}");
}

#[test]
fn nothing_to_say() {
    assert_eq!(check(&THREE), (0, "no problems found\n".to_owned()));
    assert_eq!(check(&["pool pool.example iburst", "makestep 1 3"]).0, 0);
    assert_eq!(check(&["local"]).0, 0);
}

#[test]
fn errors_are_shown_in_their_line() -> io::Result<()> {
    let dir = Dir::new("errors")?;
    let path = dir.write(
        "chrony.conf",
        "pool a.example\n\n  server\tb.example   minpol 5\nprot 1\nport 70000\nlocal stratum\n",
    )?;
    let (status, out) = check_origin(Origin::File(path.clone()));
    let expected = format!(
        "error: Invalid option in server directive
 --> {path}:3:22
  |
3 |   server b.example   minpol 5
  |                      ^^^^^^ expected an option of this directive
  = help: did you mean 'minpoll'?

error: Invalid directive prot
 --> {path}:4:1
  |
4 | prot 1
  | ^^^^ expected a directive
  = help: did you mean 'port'?

error: Invalid value 70000 in port directive (min 0, max 65535)
 --> {path}:5:6
  |
5 | port 70000
  |      ^^^^^ expected an integer from 0 to 65535

error: Invalid value in local directive
 --> {path}:6:14
  |
6 | local stratum
  |              ^ expected an integer from 1 to 15

4 errors, 0 warnings
"
    );
    assert_eq!((status, out), (1, expected));
    Ok(())
}

#[test]
fn a_file_that_is_missing() {
    let (status, out) = check_origin(Origin::File("/nonexistent/chrony.conf".to_owned()));
    assert_eq!(status, 1);
    assert!(
        out.starts_with("error: Could not open /nonexistent/chrony.conf : No such file"),
        "{out}"
    );
}

#[test]
fn comments_behind_directives() {
    let (status, out) = check(&["port 123 # the port"]);
    assert_eq!(status, 1);
    assert!(out.contains("= help: a comment needs a line of its own"), "{out}");
    warned("dumponexit # old", "words after '#' in a line are arguments");
}

#[test]
fn hints() {
    warned("server d.example maxpoll 4", "add 'minpoll 4'");
    warned(
        "server d.example minpoll 8 maxpoll 7",
        "maxpoll 7 is below minpoll 8, 8 is used for both",
    );
    warned("pool 192.0.2.1", "a pool with an IP address is a single server");
    warned(
        "driftfile /nonexistent/drift",
        "there is no directory /nonexistent",
    );
    warned("commandkey 1", "commandkey directive is no longer supported");
    let (status, out) = check(&["server a.example"]);
    assert_eq!(status, 2);
    assert!(out.contains("there is only 1 time source"), "{out}");
    assert!(check(&["port 1"]).1.contains("there is no time source"));
}

#[test]
fn files_of_sources() -> io::Result<()> {
    let dir = Dir::new("sources")?;
    let path = dir.write(
        "x.sources",
        "server a.example\nsevrer b.example\nserver c.example",
    )?;
    let (status, out) = check(&[&format!("sourcedir {}", dir.0.display())]);
    assert_ne!(status, 0);
    assert!(
        out.contains("Invalid directive sevrer, the line is ignored"),
        "{out}"
    );
    assert!(out.contains("did you mean 'server'?"), "{out}");
    assert!(
        out.contains(&format!("the last line of {path} has no newline at its end")),
        "{out}"
    );
    Ok(())
}

#[test]
fn everybody_is_allowed() {
    let mut loader_files = ConfigFiles::new(AddressFamily::Any);
    let options = Options {
        keep_lines: true,
        ..Options::default()
    };
    let mut loader = Loader::new(&mut loader_files, options);
    assert!(
        loader
            .directives(&["allow", "allow all 0/0", "allow 10/8"])
            .is_ok()
    );
    let lines = Lines::new(loader.lines(), &[]);
    let mut report = Report::default();
    hints::open_to_all(&lines, Some([8, 8, 8, 8].into()), &mut report);
    let mut out = Vec::new();
    assert!(matches!(report.write(&mut out), Ok(2)));
    assert!(String::from_utf8_lossy(&out).ends_with("0 errors, 2 warnings\n"));
}
