//! Exact sets of packets: products of value sets over the fields that netfilter compares, for one family at a time. What is not
//! modelled is one condition that is true or false. Knows nothing of rules.

pub mod condition;
pub mod cube;
pub mod field;
pub mod index;
pub mod values;

pub use condition::Condition;
pub use cube::Cube;
pub use field::{Bits, Field, Universe};
pub use index::Index;
pub use values::Values;
