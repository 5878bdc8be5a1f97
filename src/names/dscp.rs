//! Names of DSCP classes: RFC 2474 (class selectors), RFC 2597 (assured forwarding), RFC 3246 (expedited forwarding), RFC 8622
//! (lower effort). The same names in iptables (`--set-dscp-class`, upper case there) and nft.

/// Name and value of the six bits.
const CLASSES: &[(&str, u8)] = &[
    ("cs0", 0),
    ("be", 0),
    ("df", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("voice-admit", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

/// The value of a class: by name, or a number up to 63 (decimal or `0x`).
#[must_use]
pub fn lookup(name: &str) -> Option<u8> {
    if let Some(&(_, value)) = CLASSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(value);
    }
    let value = match name.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok()?,
        None => name.parse().ok()?,
    };
    (value < 64).then_some(value)
}

/// Every name, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|&(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_the_values_of_their_rfc() {
        // RFC 2474: class selector n is n << 3. RFC 2597: AFxy is x << 3 | y << 1.
        for class in 0..8 {
            assert_eq!(lookup(&format!("cs{class}")), Some(class << 3));
        }
        for class in 1..=4 {
            for drop in 1..=3 {
                assert_eq!(lookup(&format!("AF{class}{drop}")), Some(class << 3 | drop << 1));
            }
        }
        assert_eq!(lookup("ef"), Some(0b10_1110));
        assert_eq!(lookup("0x2e"), Some(46));
        assert_eq!(lookup("64"), None);
        assert_eq!(lookup("af44"), None);
    }
}
