//! Which files the process can still get at (Landlock, Linux 5.13): beyond what chrony does. A kernel without it
//! is no error.

use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    make_bitflags, path_beneath_rules,
};
use std::path::PathBuf;

/// The rights that are taken away, as far as the kernel knows them. Later ones would be about sockets.
const KNOWN: ABI = ABI::V5;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// Making, replacing and removing files and sockets; no directories, devices or links. (A file can't replace a
/// directory in any case, but only with the right to remove it the kernel says why.)
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeSock | RemoveFile | RemoveDir
});
const DEVICE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});

/// The kernel has Landlock, but does not take our rules.
#[derive(Debug, thiserror::Error)]
#[error("Could not limit access to files : {0}")]
pub struct LandlockError(#[from] RulesetError);

/// What stays within reach: files, and directories with all that is in them, now or later. What does not exist
/// is out of reach.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reach {
    /// To be read.
    pub read: Vec<PathBuf>,
    /// To be read and written.
    pub write: Vec<PathBuf>,
    /// To be read, written and controlled.
    pub devices: Vec<PathBuf>,
}

impl Reach {
    /// Takes everything else away from this process, for ever; nothing can be executed. Threads started before
    /// would keep their access, so there must be none. Sets `no_new_privs`. False if the kernel can't do it.
    ///
    /// # Errors
    /// The kernel's refusal; access is then as before.
    pub fn enforce(&self) -> Result<bool, LandlockError> {
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(KNOWN))?
            .create()?
            .add_rules(path_beneath_rules(&self.read, READ))?
            .add_rules(path_beneath_rules(&self.write, WRITE))?
            .add_rules(path_beneath_rules(&self.devices, DEVICE))?
            .restrict_self()?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::fork;
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::ForkResult;
    use std::fs;

    /// What a child that is limited finds: a mistake is its exit status.
    fn find_mistakes(reach: &Reach, base: &std::path::Path) -> i32 {
        let enforced = reach.enforce().unwrap();
        let refused = |allowed: bool| allowed != enforced;
        let results = [
            fs::read(base.join("read/file")).is_ok(),
            refused(fs::write(base.join("read/file"), "x").is_ok()),
            refused(fs::write(base.join("read/new"), "x").is_ok()),
            fs::write(base.join("write/new"), "x").is_ok(),
            fs::rename(base.join("write/new"), base.join("write/file")).is_ok(),
            fs::remove_file(base.join("write/file")).is_ok(),
            std::os::unix::net::UnixDatagram::bind(base.join("write/socket")).is_ok(),
            refused(fs::create_dir(base.join("write/dir")).is_ok()),
            refused(std::os::unix::fs::symlink("x", base.join("write/link")).is_ok()),
            refused(fs::read(base.join("other/file")).is_ok()),
            refused(fs::remove_file(base.join("other/file")).is_ok()),
            refused(std::process::Command::new("/bin/true").status().is_ok()),
            fs::File::options()
                .read(true)
                .write(true)
                .open("/dev/null")
                .is_ok(),
            nix::sys::prctl::get_no_new_privs() == Ok(true),
        ];
        results
            .iter()
            .position(|right| !right)
            .map_or(0, |wrong| wrong as i32 + 1)
    }

    #[test]
    fn only_what_was_named_stays_within_reach() {
        let base = std::env::temp_dir().join(format!("truechimer-landlock-{}", std::process::id()));
        for name in ["read", "write", "other"] {
            fs::create_dir_all(base.join(name)).unwrap();
            fs::write(base.join(name).join("file"), "text").unwrap();
        }
        let reach = Reach {
            read: vec![base.join("read"), base.join("missing")],
            write: vec![base.join("write")],
            devices: vec!["/dev/null".into()],
        };
        match fork().unwrap() {
            ForkResult::Child => std::process::exit(find_mistakes(&reach, &base)),
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            }
        }
        fs::remove_dir_all(base).unwrap();
    }
}
