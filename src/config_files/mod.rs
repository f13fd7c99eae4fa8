//! Files, patterns and names for the configuration: the daemon's side of [`truechimer_engine::config`].

mod glob;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use truechimer_engine::config::{
    AddressFamily, Config, ConfigError, Environment, KeptLine, Loader, Options, Unsearchable, Warning,
};

/// The real files and the system's resolver.
#[derive(Clone, Copy, Debug)]
pub struct ConfigFiles {
    /// `-4`, `-6`: which addresses of names are used.
    pub family: AddressFamily,
}

impl Environment for ConfigFiles {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let mut contents = Vec::new();
        let mut file = File::open(path).map_err(|error| reason(&error))?;
        // A directory can be opened but not read: it is an empty file, as for chrony.
        let _ = file.read_to_end(&mut contents);
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
    let mut files = ConfigFiles { family };
    let mut loader = Loader::new(&mut files, options);
    let done = load(&mut loader, origin);
    let (warnings, lines) = (loader.warnings().to_vec(), loader.lines().to_vec());
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
        out.write_all(&line.normalised())?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_those_of_the_c_library() {
        let mut files = ConfigFiles {
            family: AddressFamily::Any,
        };
        assert_eq!(
            files.read("/nonexistent"),
            Err("No such file or directory".to_owned())
        );
        assert_eq!(files.read("/"), Ok(Vec::new()));
    }

    #[test]
    fn names_of_a_family() {
        let resolve = |family| ConfigFiles { family }.resolve("0x7f.1");
        assert_eq!(resolve(AddressFamily::V4), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(resolve(AddressFamily::V6), None);
        let mut files = ConfigFiles {
            family: AddressFamily::Any,
        };
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
