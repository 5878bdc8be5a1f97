//! Tests that ask the kernel. They need root and `/dev/net/tun`; elsewhere each says that it was skipped, and why.

pub mod namespace;
pub mod oracle;
pub mod packet;
pub mod tap;

mod oracle_proof;
