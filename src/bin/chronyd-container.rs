//! `chronyd-container`: the entry point of the container image.

fn main() -> std::process::ExitCode {
    truechimer::container::main()
}
