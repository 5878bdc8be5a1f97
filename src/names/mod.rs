//! Names that iptables, nft and the kernel have for numbers: ICMP types, DSCP classes, log levels, kinds of reject, conntrack
//! helpers. Tables and look-ups only; which of them a rule may use where is for the checks to say.

pub mod dscp;
pub mod helper;
pub mod icmp;
pub mod reject;
pub mod syslog;

/// The candidate that `name` was probably meant to be: near enough to be a slip of the fingers, or the same but for case.
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Texts far longer than any name are no slips, and comparing them would cost their length squared.
    if name.len() > 64 {
        return None;
    }
    let name = name.to_lowercase();
    let allowed = match name.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| distance <= allowed && distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_is_a_slip_away() {
        let names = ["userland-proxy", "networks", "containers"];
        assert_eq!(closest("userland_proxy", names), Some("userland-proxy"));
        assert_eq!(closest("Networks", names), Some("networks"));
        assert_eq!(closest("volumes", names), None);
        assert_eq!(closest("x", ["tcp"]), None);
        assert_eq!(closest(&"a".repeat(1 << 20), names), None);
    }
}
