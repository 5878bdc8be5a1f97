//! Names of syslog's severities, as `--log-level` and nft's `log level` take them (syslog(3)).

/// Name and number; the first name of a number is the one that both tools write.
const LEVELS: &[(&str, u8)] = &[
    ("emerg", 0),
    ("panic", 0),
    ("alert", 1),
    ("crit", 2),
    ("err", 3),
    ("error", 3),
    ("warn", 4),
    ("warning", 4),
    ("notice", 5),
    ("info", 6),
    ("debug", 7),
];

/// The number of a severity, 0 (worst) to 7, by name or digit.
#[must_use]
pub fn lookup(name: &str) -> Option<u8> {
    let known = LEVELS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|&(_, level)| level).or_else(|| match name.as_bytes() {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    })
}

/// The name of a severity as nft writes it.
#[must_use]
pub fn name(level: u8) -> Option<&'static str> {
    LEVELS.iter().find(|&&(_, known)| known == level).map(|&(name, _)| name)
}

/// Every name, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    LEVELS.iter().map(|&(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_by_name_and_number() {
        for level in 0..8 {
            let name = name(level).expect("every level has a name");
            assert_eq!(lookup(name), Some(level));
            assert_eq!(lookup(&level.to_string()), Some(level));
        }
        assert_eq!(lookup("Warning"), Some(4));
        assert_eq!(lookup("8"), None);
        assert_eq!(lookup("loud"), None);
    }
}
