//! What holds for all packets: whether two programs are equal, which rules no packet meets, and packets that show it. Every answer is
//! exact, or says that it was left open.

pub mod compare;
pub mod cover;
pub mod findings;

pub use findings::codes::CODES;
