//! The language's own library, built into the program: services, address sets and the prelude, as source texts that a user can
//! read. Knows nothing of parsing; the resolver asks for a text by name and treats it like any other file.

/// The files: the name after `std:`, and the text. In the order in which they are loaded, so that a file uses only those before it.
pub const FILES: &[(&str, &str)] = &[
    ("services.fw", include_str!("../stdlib/services.fw")),
    ("sets.fw", include_str!("../stdlib/sets.fw")),
    ("prelude.fw", include_str!("../stdlib/prelude.fw")),
];

/// The text of a file, by its name with or without `std:`.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("std:").unwrap_or(name);
    FILES.iter().find(|(known, _)| *known == name).map(|&(_, text)| text)
}

/// Path of a file of the library, as diagnostics show it.
#[must_use]
pub fn path(name: &str) -> String {
    format!("std:{name}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::net::{AddressRange, AddressSet};

    fn declared<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
        text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.split([' ', '=']).next()).collect()
    }

    #[test]
    fn files_are_found_with_and_without_the_prefix() {
        assert!(text("std:services.fw").is_some_and(|text| text.contains("service ssh")));
        assert_eq!(text("prelude.fw"), text("std:prelude.fw"));
        assert_eq!(text("std:nothing.fw"), None);
    }

    #[test]
    fn there_are_enough_services_each_declared_once_and_explained() {
        let services = declared(text("services.fw").unwrap_or_default(), "service");
        assert!(services.len() >= 120, "{} services", services.len());
        let names: BTreeSet<&&str> = services.iter().collect();
        assert_eq!(names.len(), services.len(), "a service is declared twice");
        for line in text("services.fw").unwrap_or_default().lines().filter(|line| line.starts_with("service ")) {
            let (_, comment) = line.split_once('#').unwrap_or_else(|| panic!("no comment: {line}"));
            assert!(comment.contains(':'), "the comment names no source: {line}");
        }
    }

    #[test]
    fn the_internet_is_what_no_registry_keeps_for_itself() {
        let sets = text("sets.fw").unwrap_or_default();
        let addresses = |name: &str| -> AddressSet {
            let start = sets.find(&format!("set {name} = {{")).unwrap_or_else(|| panic!("no set {name}"));
            let body = sets[start..].split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap_or(""));
            body.lines()
                .map(|line| line.split('#').next().unwrap_or(""))
                .flat_map(|line| line.split(','))
                .filter_map(|word| word.trim().parse::<AddressRange>().ok())
                .collect()
        };
        let address = |text: &str| text.parse().expect("address");
        assert!(addresses("private").contains(address("172.31.255.255")));
        assert!(!addresses("private").contains(address("172.32.0.0")));
        assert!(addresses("private").contains(address("fd00::1")));
        assert!(addresses("shared").contains(address("100.127.255.255")));
        assert!(addresses("reserved").contains(address("255.255.255.255")));
        for name in ["loopback", "link-local", "multicast", "documentation", "reserved", "shared", "private"] {
            let own = addresses(name);
            assert!(!own.is_empty(), "{name}");
            assert!(!own.contains(address("198.41.0.4")) && !own.contains(address("2001:500:2::c")), "{name}");
        }
    }
}
