//! The `fwc` command. Everything is in the library's `cli` module.

/// A build of a large policy makes and lets go of millions of small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After how many milliseconds memory that was let go is given back to the system. What one stage lets go the next one takes; given back at
/// once (the allocator's own default is 10 ms), it is cleared by the kernel again and again, a third of the time of a large build.
const PURGE_DELAY: std::ffi::c_long = 1_000;

fn main() -> std::process::ExitCode {
    keep_memory();
    fwc::cli::main()
}

#[allow(unsafe_code)]
fn keep_memory() {
    /// In the order of mimalloc's `mi_option_e`.
    const OPTION_PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: it sets a number in a table of the allocator's, unless the environment (MIMALLOC_PURGE_DELAY) did, and no other thread has begun.
    unsafe { libmimalloc_sys::mi_option_set_default(OPTION_PURGE_DELAY, PURGE_DELAY) }
}
