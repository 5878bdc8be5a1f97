//! From the netfilter form to itself: the same verdicts and effects for every packet, in fewer steps.

pub mod origin;
