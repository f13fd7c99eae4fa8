//! The rules of ARCHITECTURE.md that the compiler doesn't check: which module of the engine may use which, and that
//! the engine touches nothing of the world.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules, from the bottom up. A module uses modules of lower layers; within a layer there are no cycles.
const LAYERS: [&[&str]; 6] = [
    &["time", "text", "random"],
    &["wire", "event", "io"],
    &["config"],
    &["auth", "sync"],
    &["command", "server", "source"],
    &["engine"],
];

/// What the engine must not name: it gets time, bytes and randomness from outside and says what to do.
const WORLD: [&str; 9] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::SystemTime",
    "std::time::Instant",
    "UdpSocket",
    "TcpStream",
    "println!",
];

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The code of a file, without comments and without its tests (which stand at the end, or in `tests.rs`).
fn code(path: &Path) -> String {
    if path.file_stem().is_some_and(|s| s == "tests") {
        return String::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Name of the top-level module that a file of `src` belongs to.
fn module(src: &Path, path: &Path) -> String {
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first
        .as_os_str()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

/// The top-level modules named after `crate::`, also in `crate::{a, b::C}`.
fn named(code: &str) -> BTreeSet<String> {
    let ident = |text: &str| {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && c == ',') {
                    found.insert(ident(item.trim()));
                    item.clear();
                } else {
                    item.push(c);
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.insert(ident(rest));
        }
    }
    // `crate::Type` is a re-export of lib.rs, which has none.
    found.remove("");
    found
}

/// Which module uses which, and where.
fn arrows() -> BTreeMap<(String, String), PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "no sources in {}", src.display());
    let mut arrows = BTreeMap::new();
    for file in files {
        let from = module(&src, &file);
        if from == "lib" {
            continue;
        }
        for to in named(&code(&file)) {
            if to != from {
                arrows.insert((from.clone(), to), file.clone());
            }
        }
    }
    arrows
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| {
            panic!("module {module} is in no layer; ARCHITECTURE.md and this test must name it")
        })
}

#[test]
fn arrows_point_down() {
    let arrows = arrows();
    assert!(arrows.len() > 5, "hardly any arrow was found: {arrows:?}");
    for ((from, to), file) in &arrows {
        assert!(
            layer(from) >= layer(to),
            "{from} uses {to} of a higher layer in {}",
            file.display()
        );
    }
}

#[test]
fn no_cycles() {
    let arrows = arrows();
    let mut left: BTreeSet<&str> = LAYERS.iter().copied().flatten().copied().collect();
    // Take away what uses nothing that is left, until nothing is left.
    loop {
        let free: Vec<&str> = left
            .iter()
            .copied()
            .filter(|m| {
                !arrows
                    .keys()
                    .any(|(from, to)| from == m && left.contains(to.as_str()))
            })
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|m| !free.contains(m));
    }
    assert!(left.is_empty(), "a cycle among {left:?}");
}

#[test]
fn the_engine_touches_nothing() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let code = code(&file);
        for name in WORLD {
            assert!(!code.contains(name), "{name} in {}", file.display());
        }
    }
}

#[test]
fn lists_in_braces_are_understood() {
    let code = "use crate::{time::{Raw, Cooked}, wire, event::Message};\nlet x = crate::io::Input;";
    assert_eq!(
        named(code),
        ["time", "wire", "event", "io"].map(String::from).into()
    );
}
