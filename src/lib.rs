//! fwc compiles a firewall policy into netfilter rules. The modules stand in the order of the pipeline; each uses only those
//! before it (`tests/layout.rs` keeps it so). The library does no input or output: texts come in as values, texts go out as
//! values; only `disk`, `server` and `cli` touch files, the environment and the terminal.

pub mod list;
pub mod memory;
pub mod span;
pub mod net;
pub mod diagnostic;
pub mod fingerprint;
pub mod levels;
pub mod netfilter;
pub mod names;
pub mod read;
pub mod packet;
pub mod program;
pub mod prove;
pub mod hooks;
pub mod optimise;
pub mod syntax;
pub mod format;
pub mod library;
pub mod facts;
pub mod project;
pub mod platform;
pub mod policy;
pub mod traffic;
pub mod check;
pub mod rules;
pub mod lower;
pub mod assertion;
pub mod emit;
pub mod verify;
pub mod codes;
pub mod configuration;
pub mod expectation;
pub mod database;
pub mod ide;
pub mod host;
pub mod simulate;
pub mod compare;
pub mod exposure;
pub mod disk;
pub mod server;
pub mod cli;
