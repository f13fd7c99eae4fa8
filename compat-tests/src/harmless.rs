//! Programs that cannot set the machine's clock, and libraries that are preloaded so that they get along with that.

use std::path::PathBuf;
use std::process::Command;

use crate::dir::TempDir;
use crate::process::finish;
use crate::programs::workspace;
use crate::wait::LIMIT;

/// The words of a command line before those of a program that is not to have the right to set the clock.
pub const HARMLESS: [&str; 3] = ["setpriv", "--inh-caps=-sys_time", "--bounding-set=-sys_time"];

/// Builds a library to be preloaded, from a C source below `compat-tests`; takes a moment.
///
/// # Panics
/// When there is no C compiler.
#[must_use]
pub fn library(source: &str, dir: &TempDir) -> PathBuf {
    let library = dir.join("preloaded.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
    compiler
        .arg(&library)
        .arg(workspace().join("compat-tests").join(source));
    finish(compiler.arg("-ldl"), LIMIT).ok();
    library
}
