//! What is in the image, and that it is always the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use crate::engine::{LIMIT, build, image, podman, python_tool};
use compat_tests::{TempDir, finish};

/// The image with all its files.
const MAX_SIZE: u64 = 8_000_000;
/// What a pull costs.
const MAX_COMPRESSED: u64 = 4_000_000;

fn inspect(image: &str, what: &str) -> String {
    let format = format!("--format={{{{{what}}}}}");
    podman(&["image", "inspect", &format, image])
        .ok()
        .trim()
        .to_owned()
}

/// The layers, as files in `dir`.
fn layers(dir: &TempDir) -> Vec<PathBuf> {
    let archive = dir.join("image.tar");
    podman(&[
        "save",
        "--format=docker-archive",
        "-o",
        archive.to_str().unwrap(),
        image(),
    ])
    .ok();
    finish(
        Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&**dir),
        LIMIT,
    )
    .ok();
    fs::remove_file(archive).unwrap();
    let files = fs::read_dir(&**dir).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "tar"))
        .collect()
}

#[test]
fn small_and_without_a_shell() {
    let size: u64 = inspect(image(), ".Size").parse().unwrap();
    assert!(size <= MAX_SIZE, "{size} bytes");

    let dir = TempDir::new();
    let mut compressed = 0;
    let mut names = String::new();
    for layer in layers(&dir) {
        let packed = dir.join("layer.gz");
        // gzip complains about files of 1970.
        File::options()
            .append(true)
            .open(&layer)
            .unwrap()
            .set_modified(SystemTime::now())
            .unwrap();
        let mut gzip = Command::new("gzip");
        gzip.arg("-c")
            .stdin(File::open(&layer).unwrap())
            .stdout(File::create(&packed).unwrap());
        assert!(gzip.status().unwrap().success());
        compressed += fs::metadata(&packed).unwrap().len();
        names += &finish(Command::new("tar").arg("-tf").arg(&layer), LIMIT).ok();
    }
    eprintln!("{size} bytes, compressed {compressed}");
    assert!(compressed <= MAX_COMPRESSED, "{compressed} bytes compressed");
    for wanted in [
        "usr/sbin/chronyd",
        "usr/sbin/chronyd-container",
        "usr/bin/chronyc",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/share/zoneinfo/right/UTC",
        "usr/share/zoneinfo/Europe/Berlin",
        "usr/share/zoneinfo/leap-seconds.list",
    ] {
        assert!(names.lines().any(|name| name == wanted), "{wanted} is missing");
    }
    let programs: Vec<_> = names
        .lines()
        .filter(|name| name.contains("bin/") && !name.ends_with('/'))
        .collect();
    assert_eq!(programs.len(), 3, "{programs:?}");
}

#[test]
fn the_same_when_built_again() {
    if std::env::var_os("IMAGE").is_some() {
        // A finished image was not made here.
        return;
    }
    let first = inspect(image(), ".RootFS.Layers");
    let again = build("localhost/truechimer-test-again");
    assert_eq!(inspect(&again, ".RootFS.Layers"), first);
    podman(&["image", "rm", &again]).ok();
}

#[test]
fn labels_and_probe() {
    let labels = inspect(image(), "json .Labels");
    for name in [
        "title",
        "description",
        "licenses",
        "version",
        "revision",
        "created",
    ] {
        let label = format!("\"org.opencontainers.image.{name}\":\"");
        let (_, value) = labels
            .split_once(&label)
            .unwrap_or_else(|| panic!("{label} in {labels}"));
        assert!(!value.starts_with('"'), "{name} is empty");
    }
    let health = inspect(image(), "json .HealthCheck");
    assert!(
        health.contains(r#"["CMD","/usr/bin/chronyc","health","--min-sources","1"]"#),
        "{health}"
    );
}

#[test]
fn bill_of_materials() {
    let name = format!("compat-{}-materials", std::process::id());
    let dir = TempDir::new();
    let path = dir.join("sbom.json");
    podman(&["create", "--name", &name, image()]).ok();
    let from = format!("{name}:/usr/share/doc/truechimer/sbom.cdx.json");
    let copied = podman(&["cp", &from, path.to_str().unwrap()]);
    podman(&["rm", "--volumes", &name]).ok();
    copied.ok();

    let check = dir.write(
        "check.py",
        "import sys\n\
         from cyclonedx.schema import SchemaVersion\n\
         from cyclonedx.validation.json import JsonStrictValidator\n\
         error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[1]).read())\n\
         sys.exit(None if error is None else str(error))\n",
    );
    finish(Command::new(python_tool("python3")).arg(check).arg(&path), LIMIT).ok();

    // Every crate of the programs with the version of Cargo.lock, and the packages whose files are in the image.
    let text = fs::read_to_string(&path).unwrap();
    let field = |line: &str, key: &str| {
        let (_, rest) = line.split_once(&format!("\"{key}\": \""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    let components: BTreeMap<String, String> = text
        .lines()
        .filter(|line| line.contains("\"purl\""))
        .filter_map(|line| Some((field(line, "name")?, line.to_owned())))
        .collect();
    for wanted in [
        "truechimer-engine",
        "tokio",
        "nix",
        "libc6",
        "libgcc-s1",
        "tzdata",
        "ca-certificates",
    ] {
        let line = components
            .get(wanted)
            .unwrap_or_else(|| panic!("{wanted} in\n{text}"));
        assert!(
            field(line, "version").is_some_and(|version| !version.is_empty()),
            "{line}"
        );
    }
    let tokio = &components["tokio"];
    assert!(
        tokio.contains("SHA-256") && tokio.contains("\"expression\": \"MIT\""),
        "{tokio}"
    );
    assert!(!components.contains_key("proptest"), "a dependency of tests only");
}
