//! Network namespaces: a network of one's own, with free ports 123 and 323. Need root and iproute2.

use std::ffi::OsStr;
use std::fs::File;
use std::process::Command;

use nix::sched::{CloneFlags, setns};

use crate::dir::serial;
use crate::process::finish;
use crate::wait::{LIMIT, until};

/// A network namespace with the loopback interface up, deleted when dropped.
#[derive(Debug)]
pub struct Namespace(String);

/// Runs `ip` with the arguments.
fn ip(arguments: &[&str]) -> String {
    let done = finish(Command::new("ip").args(arguments), LIMIT);
    assert!(
        done.status.success(),
        "ip {} failed: {}(network namespaces need root and the package iproute2)",
        arguments.join(" "),
        done.stderr
    );
    done.stdout
}

impl Namespace {
    /// Makes a namespace.
    #[must_use]
    pub fn new() -> Self {
        let name = format!("compat-{}-{}", std::process::id(), serial());
        ip(&["netns", "add", &name]);
        let made = Self(name);
        made.ip(&["link", "set", "lo", "up"]);
        made
    }

    /// Its name, as `ip` and `/run/netns` have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A command that runs `program` in this namespace. Its process id is the program's own.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &[&str]) -> String {
        ip(&[&["-n", &self.0], arguments].concat())
    }

    /// Runs a function in this namespace, on a thread of its own; sockets made there belong to the namespace for
    /// ever.
    pub fn enter<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        let path = format!("/run/netns/{}", self.0);
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let file = File::open(&path).unwrap_or_else(|e| panic!("could not open {path}: {e}"));
                setns(file, CloneFlags::CLONE_NEWNET)
                    .unwrap_or_else(|e| panic!("could not enter {path}: {e}"));
                run()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A failure leaves a namespace behind, which harms nobody; a failing test must not panic again.
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// Two namespaces with a cable between them.
#[derive(Debug)]
pub struct Pair {
    /// Has the addresses [`Pair::LEFT4`] and [`Pair::LEFT6`].
    pub left: Namespace,
    /// Has the addresses [`Pair::RIGHT4`] and [`Pair::RIGHT6`].
    pub right: Namespace,
}

impl Pair {
    /// IPv4 address of the left side.
    pub const LEFT4: &str = "10.99.0.1";
    /// IPv4 address of the right side.
    pub const RIGHT4: &str = "10.99.0.2";
    /// IPv6 address of the left side.
    pub const LEFT6: &str = "fd00:99::1";
    /// IPv6 address of the right side.
    pub const RIGHT6: &str = "fd00:99::2";

    /// Makes both sides, each with an interface `veth0`.
    #[must_use]
    pub fn new() -> Self {
        let pair = Self {
            left: Namespace::new(),
            right: Namespace::new(),
        };
        pair.left.ip(&[
            "link",
            "add",
            "veth0",
            "type",
            "veth",
            "peer",
            "name",
            "veth0",
            "netns",
            &pair.right.0,
        ]);
        for (side, v4, v6) in [
            (&pair.left, Self::LEFT4, Self::LEFT6),
            (&pair.right, Self::RIGHT4, Self::RIGHT6),
        ] {
            side.ip(&["addr", "add", &format!("{v4}/24"), "dev", "veth0"]);
            side.ip(&["addr", "add", &format!("{v6}/64"), "dev", "veth0", "nodad"]);
            side.ip(&["link", "set", "veth0", "up"]);
        }
        until(LIMIT, "the cable between two namespaces", || {
            pair.left
                .ip(&["-o", "link", "show", "veth0"])
                .contains("LOWER_UP")
                .then_some(())
        });
        pair
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}
