//! Files, patterns and names for the configuration: the daemon's side of [`truechimer_engine::config`].

mod glob;

use crate::files;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use truechimer_engine::config::{
    AddressFamily, Config, ConfigError, Environment, KeptLine, Loader, Options, Unsearchable, Warning,
};

/// Longest file of configuration, octets: `/dev/zero` ends here.
const MAX_SIZE: u64 = 256 << 20;

/// The real files and the system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct ConfigFiles<'a> {
    /// `-4`, `-6`: which addresses of names are used.
    pub family: AddressFamily,
    /// `-f`: the only file that may be a pipe, whose writer is waited for.
    pub main: Option<&'a str>,
}

impl<'a> ConfigFiles<'a> {
    /// All files are read without waiting.
    #[must_use]
    pub const fn new(family: AddressFamily) -> Self {
        Self { family, main: None }
    }

    /// The file that everything begins with is waited for.
    #[must_use]
    pub fn of(origin: &'a Origin, family: AddressFamily) -> Self {
        let main = match origin {
            Origin::File(path) => Some(path.as_str()),
            Origin::Directives(_) => None,
        };
        Self { family, main }
    }
}

impl Environment for ConfigFiles<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let file = if self.main == Some(path) {
            File::open(path)
        } else {
            files::open_no_pipe(path)
        };
        let mut contents = Vec::new();
        // A directory can be opened but not read: it is an empty file, as for chrony.
        let _ = file
            .map_err(|error| reason(&error))?
            .take(MAX_SIZE)
            .read_to_end(&mut contents);
        Ok(contents)
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<String>, Unsearchable> {
        glob::glob(pattern).map_err(|_| Unsearchable)
    }

    fn resolve(&mut self, name: &str) -> Option<IpAddr> {
        // An address that is valid on one link only cannot be used.
        let allowed = |socket: &SocketAddr| match socket {
            SocketAddr::V4(_) => self.family != AddressFamily::V6,
            SocketAddr::V6(v6) => self.family != AddressFamily::V4 && v6.scope_id() == 0,
        };
        (name, 0)
            .to_socket_addrs()
            .ok()?
            .find(allowed)
            .map(|socket| socket.ip())
    }
}

/// The C library's text of an error.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error ")
        .map_or(text.as_str(), |(reason, _)| reason)
        .to_owned()
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// A file.
    File(String),
    /// The arguments of the command line that are directives; there is at least one.
    Directives(Vec<String>),
}

/// What was read, up to the first error.
#[derive(Debug)]
pub struct Reading {
    /// The configuration; an error is fatal.
    pub result: Result<Config, ConfigError>,
    /// To be logged before, with severity warning.
    pub warnings: Vec<Warning>,
    /// For [`print()`], if asked for.
    pub lines: Vec<KeptLine>,
}

/// Reads the configuration.
pub fn read(origin: &Origin, family: AddressFamily, options: Options) -> Reading {
    let mut files = ConfigFiles::of(origin, family);
    let mut loader = Loader::new(&mut files, options);
    let done = load(&mut loader, origin);
    let (warnings, lines) = (loader.warnings().to_vec(), loader.take_lines());
    Reading {
        result: done.map(|()| loader.finish()),
        warnings,
        lines,
    }
}

/// Lets a loader read all that there is.
pub fn load(loader: &mut Loader<'_>, origin: &Origin) -> Result<(), ConfigError> {
    match origin {
        Origin::File(path) => loader.file(path),
        Origin::Directives(directives) => loader.directives(directives),
    }
}

/// `chronyd -p`: the lines up to the first error (`spec/config.md` 4.5).
///
/// # Errors
///
/// Of the output.
pub fn print(lines: &[KeptLine], out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    for line in lines {
        for (place, word) in line.words().enumerate() {
            if place > 0 {
                out.write_all(b" ")?;
            }
            out.write_all(word)?;
        }
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_c_library() {
        let mut files = ConfigFiles::new(AddressFamily::Any);
        assert_eq!(
            files.read("/nonexistent"),
            Err("No such file or directory".to_owned())
        );
        assert_eq!(files.read("/"), Ok(Vec::new()));
    }

    #[test]
    fn names_of_a_family() {
        let resolve = |family| ConfigFiles::new(family).resolve("0x7f.1");
        assert_eq!(resolve(AddressFamily::V4), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(resolve(AddressFamily::V6), None);
        let mut files = ConfigFiles::new(AddressFamily::Any);
        assert_eq!(files.resolve("fe80::1%lo"), None);
    }

    #[test]
    fn lines_are_printed_up_to_the_error() {
        let options = Options {
            keep_lines: true,
            ..Options::default()
        };
        let directives = ["  port  1", "commandkey 1", "foo", "bar"].map(str::to_owned);
        let reading = read(
            &Origin::Directives(directives.to_vec()),
            AddressFamily::Any,
            options,
        );
        let mut out = Vec::new();
        assert!(print(&reading.lines, &mut out).is_ok());
        assert_eq!(out, b"port 1\ncommandkey 1\nfoo\n");
        assert_eq!(reading.warnings.len(), 1);
        let error = reading.result.map_err(|error| error.to_string());
        assert_eq!(error.err().as_deref(), Some("Invalid directive foo at line 3"));
    }
}
