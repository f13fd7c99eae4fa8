//! What the fuzz targets do with their bytes. The engine's targets are also run, without a fuzzer, by the engine's
//! test `fuzz_corpus`.

pub mod targets;

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = targets::TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("the name of a target");
    target(data);
}

/// `chronyd --check-config`. Lines that would read files of this machine or look names up are left out.
pub fn check_config(data: &[u8]) {
    const OUTSIDE: &[&str] = &[
        "include",
        "confdir",
        "sourcedir",
        "allow",
        "deny",
        "cmdallow",
        "cmddeny",
        "initstepslew",
    ];
    let text = String::from_utf8_lossy(data);
    let directives: Vec<String> = text
        .split('\n')
        .filter(|line| {
            let first = line.split_ascii_whitespace().next().unwrap_or_default();
            !OUTSIDE.contains(&first.to_ascii_lowercase().as_str())
        })
        .map(str::to_owned)
        .collect();
    let check = truechimer::check_config::Check {
        origin: truechimer::config_files::Origin::Directives(directives),
        family: truechimer_engine::config::AddressFamily::Any,
        restarted: false,
    };
    let mut out = Vec::new();
    let status = truechimer::check_config::run(&check, &mut out).expect("writing to memory works");
    assert!(status <= 2 && !out.is_empty(), "what was found is printed");
}
