//! nft scripts (being written).
use super::{Context, OutputFile, State};
use crate::netfilter::Ruleset;
pub(super) fn files(_: &Ruleset, _: &Context, _: &mut State) -> Vec<OutputFile> {
    Vec::new()
}
