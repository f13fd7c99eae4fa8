//! `chrony.conf`.

use super::world::World;
use std::net::{IpAddr, Ipv4Addr};
use truechimer_engine::config::{Environment, Loader, Options, Unsearchable, unsupported};
use truechimer_engine::sync::reference::Start;

/// Separates the files.
const NEXT: u8 = 0xff;
/// Not the name of another one.
const MAIN: &str = "main-";

/// The input's parts: the first is the main file, the others are `a`, `b`, ...
struct Files<'a>(Vec<&'a [u8]>);

impl Environment for Files<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let number = match path {
            MAIN => 0,
            _ => 1 + usize::from(path.bytes().last().unwrap_or(0).wrapping_sub(b'a')),
        };
        let file = self.0.get(number);
        file.map(|file| file.to_vec())
            .ok_or_else(|| "No such file or directory".to_owned())
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<String>, Unsearchable> {
        if pattern.contains('/') && !pattern.ends_with("/*") {
            return Err(Unsearchable);
        }
        Ok(if pattern.contains(['*', '?', '[']) {
            vec!["a".to_owned(), "b".to_owned()]
        } else {
            vec![pattern.to_owned()]
        })
    }

    fn resolve(&mut self, name: &str) -> Option<IpAddr> {
        name.starts_with('a')
            .then_some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)))
    }
}

/// Reads the text; what is accepted must run.
pub(super) fn text(data: &[u8]) {
    let parts: Vec<&[u8]> = data.split(|&byte| byte == NEXT).collect();
    // Files in files in files: ten levels of lines that include twice would take for ever.
    let includes = |part: &&[u8]| {
        let lower = part.to_ascii_lowercase();
        lower.windows(7).any(|w| w == b"include" || w == b"confdir")
    };
    if parts.iter().skip(1).any(includes) {
        return;
    }
    for all_problems in [true, false] {
        let mut files = Files(parts.clone());
        let options = Options {
            keep_lines: true,
            all_problems,
            ..Options::default()
        };
        let mut loader = Loader::new(&mut files, options);
        let done = loader.file(MAIN);
        for line in loader.lines() {
            assert!(line.normalised().len() <= line.raw.len());
        }
        for warning in loader.warnings() {
            assert!(!warning.to_string().is_empty());
        }
        let problems = loader.problems().len();
        match done {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(()) if problems == 0 => {
                let config = loader.finish();
                if !all_problems
                    && unsupported(&config).is_empty()
                    && config.network.client_log_limit <= 1 << 20
                {
                    run(config);
                }
            }
            Ok(()) => {}
        }
    }
}

fn run(config: truechimer_engine::config::Config) {
    if let Some(mut world) = World::new(config, &Start::default(), b"1 MD5 one\n", Vec::new()) {
        world.pass(3.0);
        world.end();
    }
}
