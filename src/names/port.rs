//! Names of ports, as the tools look them up in a host's /etc/services.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

static NAMES: LazyLock<FxHashMap<&'static str, u16>> = LazyLock::new(|| {
    let mut names = FxHashMap::default();
    for line in include_str!("services.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        if let (Some(name), Some(port)) = (words.next(), words.next().and_then(|port| port.parse().ok())) {
            // Where a name has two ports, those of tcp come first, and the tools ask for any protocol.
            names.entry(name).or_insert(port);
        }
    }
    names
});

/// The port that a name means.
#[must_use]
pub fn lookup(name: &str) -> Option<u16> {
    NAMES.get(name).copied()
}

/// All names, in no order, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    include_str!("services.txt").lines().filter_map(|line| line.split(' ').next()).filter(|name| *name != "#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_ports() {
        assert_eq!(lookup("http"), Some(80));
        assert_eq!(lookup("domain"), Some(53));
        assert_eq!(lookup("www"), Some(80));
        assert_eq!(lookup("no-such-service"), None);
        assert!(names().any(|name| name == "ssh"));
    }
}
