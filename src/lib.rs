//! fwc compiles a firewall policy into netfilter rules. The modules stand in the order of the pipeline; each uses only those
//! before it. The library does no input or output: texts come in as values, texts go out as values.

pub mod check;
pub mod diagnostic;
pub mod emit;
pub mod facts;
pub mod library;
pub mod lower;
pub mod names;
pub mod net;
pub mod netfilter;
pub mod platform;
pub mod policy;
pub mod span;
pub mod syntax;
