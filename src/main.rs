//! The `fwc` command. Everything is in the library's `cli` module.

use std::sync::atomic::{AtomicBool, Ordering};

/// A build of a large policy makes and lets go of millions of small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether the process began without a standard output. Rust's runtime then opens `/dev/null` in its place, which takes every text and
/// keeps none; so it is asked before that.
static WITHOUT_OUTPUT: AtomicBool = AtomicBool::new(false);

#[ctor::ctor(unsafe)]
fn look_at_output() {
    WITHOUT_OUTPUT.store(rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err(), Ordering::Relaxed);
}

fn main() -> std::process::ExitCode {
    fwc::memory::keep();
    fwc::cli::main(WITHOUT_OUTPUT.load(Ordering::Relaxed))
}
