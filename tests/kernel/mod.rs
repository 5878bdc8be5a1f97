//! Tests that ask the kernel. They need root and `/dev/net/tun`; elsewhere each says that it was skipped, and why.

pub mod conversation;
pub mod counters;
pub mod docker;
pub mod emitted;
pub mod hosts;
pub mod model;
pub mod namespace;
pub mod oracle;
pub mod packet;
pub mod platforms;
pub mod program;
pub mod tap;
pub mod traffic;

mod accept;
mod agreement;
mod asserted;
mod attached;
mod bridged;
mod chain_lines;
mod connections;
mod examples;
mod judged;
mod listed;
mod loading;
mod marked;
mod mutants;
mod neighbours;
mod oracle_proof;
mod own_ports;
mod random;
mod restrictions;
mod simulated;
mod stateless;
mod traced;
mod translated;
mod untracked;
