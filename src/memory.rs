//! The allocator's memory: how long what was let go is kept, and when it is given back to the system. Does nothing in a program with
//! another allocator.
#![allow(unsafe_code)]

/// After how many milliseconds memory that was let go is given back to the system. What one stage lets go the next one takes; given back at
/// once (the allocator's own default is 10 ms), it is cleared by the kernel again and again, a third of the time of a large build.
const PURGE_DELAY: std::ffi::c_long = 1_000;

/// Keeps what is let go for a while. To be called first of all.
pub fn keep() {
    /// In the order of mimalloc's `mi_option_e`.
    const OPTION_PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: it sets a number in a table of the allocator's, unless the environment (MIMALLOC_PURGE_DELAY) did, and no other thread has begun.
    unsafe { libmimalloc_sys::mi_option_set_default(OPTION_PURGE_DELAY, PURGE_DELAY) }
}

/// Gives back what was let go, at once.
pub fn give_back() {
    // SAFETY: it may be called at any time by any thread; it looks at what the calling thread has let go.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
