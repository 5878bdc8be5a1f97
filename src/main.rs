//! The `fwc` command. Everything is in the library's `cli` module.

fn main() -> std::process::ExitCode {
    fwc::cli::main()
}
