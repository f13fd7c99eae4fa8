//! With `initstepslew` the daemon is ready only when that is done (`spec/config.md` 7.1): whoever started it goes on then.

use std::fs;

use compat_tests::{Chronyd, LIMIT, Namespace, TempDir, finish, reference, subject, until};

#[test]
fn the_first_process_ends_after_initstepslew() {
    let namespace = Namespace::new();
    let _server = Chronyd::new(&reference())
        .within(&namespace)
        .config("cmdport 0\nallow\nlocal stratum 3")
        .start();
    let dir = TempDir::new();
    let at = dir.display();
    let conf = dir.write(
        "conf",
        format!(
            "user root\npidfile {at}/pid\nbindcmdaddress /\ncmdport 0\nport 0\ninitstepslew 1 127.0.0.1\n\
             server 127.0.0.1 iburst\n"
        ),
    );
    let mut command = namespace.command(&subject().chronyd);
    command
        .args(["-x", "-l"])
        .arg(dir.join("log"))
        .arg("-f")
        .arg(conf);
    finish(&mut command, LIMIT).ok();
    let log = fs::read_to_string(dir.join("log")).unwrap();
    assert!(log.contains("System's initial offset : "), "{log}");

    let pid: i32 = fs::read_to_string(dir.join("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    until(LIMIT, "the end of the daemon", || {
        (!dir.join("pid").exists()).then_some(())
    });
}
