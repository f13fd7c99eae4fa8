//! The engine's fuzz targets (`fuzz/README.md`) without a fuzzer: the inputs that are kept, and mutations of them.

#[allow(unreachable_pub, reason = "the fuzzer's programs use it, too")]
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use truechimer_engine::random::{Random, Seeded};

/// Mutations a target.
const MUTATIONS: u64 = 500;
/// As long as the fuzzer's own.
const MAX_LENGTH: usize = 4096;

/// The kept inputs of a target, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn try_one(target: &str, function: targets::Target, input: &[u8]) {
    if catch_unwind(|| function(input)).is_err() {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}.input"));
        fs::write(&path, input).unwrap();
        panic!("{target} fails on what is in {}", path.display());
    }
}

fn mutated(inputs: &[Vec<u8>], random: &mut Seeded) -> Vec<u8> {
    let below = |random: &mut Seeded, limit: usize| random.bits32() as usize % limit.max(1);
    let mut input = inputs[below(random, inputs.len())].clone();
    for _ in 0..=below(random, 6) {
        let at = below(random, input.len() + 1);
        let other = &inputs[below(random, inputs.len())];
        let start = below(random, other.len() + 1);
        let piece = &other[start..(start + below(random, 32)).min(other.len())];
        match below(random, 5) {
            0 => input.insert(at, random.bits32() as u8),
            1 if at < input.len() => input[at] = random.bits32() as u8,
            2 if at < input.len() => input[at] ^= 1 << below(random, 8),
            3 => {
                input.drain(at..(at + below(random, 16)).min(input.len()));
            }
            _ => {
                input.splice(at..at, piece.iter().copied());
            }
        }
    }
    input.truncate(MAX_LENGTH);
    input
}

#[test]
fn kept_inputs_and_mutations_of_them() {
    let soak: u64 = std::env::var("SOAK").map_or(1, |text| text.parse().expect("SOAK is a number"));
    for &(target, function) in targets::TARGETS {
        let inputs = corpus(target);
        assert!(!inputs.is_empty(), "no inputs for {target}");
        for input in &inputs {
            try_one(target, function, input);
        }
        let mut random = Seeded::new(1);
        for _ in 0..MUTATIONS * soak {
            try_one(target, function, &mutated(&inputs, &mut random));
        }
    }
}
