//! The `fwc` command. Everything is in the library's `cli` module.

/// A build of a large policy makes and lets go of millions of small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    fwc::memory::keep();
    fwc::cli::main()
}
