//! `chronyd`: arguments in, exit status out.

fn main() -> std::process::ExitCode {
    truechimer::daemon::main()
}
