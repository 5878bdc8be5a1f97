//! The language's own library, built into the program: services, address sets and the prelude, as source texts that a user can
//! read. Knows nothing of parsing; the resolver asks for a text by name and treats it like any other file.

use std::sync::LazyLock;

use crate::span::SourceText;

/// The files: the name after `std:`, and the text. In the order in which they are loaded, so that a file uses only those before it.
pub const FILES: &[(&str, &str)] = &[
    ("services.fw", include_str!("../stdlib/services.fw")),
    ("sets.fw", include_str!("../stdlib/sets.fw")),
    ("prelude.fw", include_str!("../stdlib/prelude.fw")),
];

/// The files as a project has them. Every project has the same: a session has thousands of projects.
pub fn sources() -> &'static [SourceText] {
    static SOURCES: LazyLock<Vec<SourceText>> = LazyLock::new(|| {
        FILES.iter().map(|(name, text)| SourceText { path: path(name).into(), text: (*text).into() }).collect()
    });
    &SOURCES
}

/// The text of a file, by its name: `prelude`, `prelude.fw` and `std:prelude.fw` are one.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    let name = path(name);
    FILES.iter().find(|(known, _)| name.strip_prefix("std:") == Some(known)).map(|&(_, text)| text)
}

/// Path of a file of the library, as diagnostics show it: `std:prelude.fw`, by its name with or without `std:` and `.fw`.
#[must_use]
pub fn path(name: &str) -> String {
    let name = name.strip_prefix("std:").unwrap_or(name);
    format!("std:{}.fw", name.strip_suffix(".fw").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::names::icmp;
    use crate::net::{AddressRange, AddressSet, Family};
    use crate::span::FileId;
    use crate::syntax;
    use crate::syntax::tree::{Item, Place, Rule, SetValue, Statement, StatementKind};

    fn statements(name: &str) -> Vec<Statement> {
        let text = text(name).unwrap_or_else(|| panic!("no {name}"));
        let parsed = syntax::parse(text, FileId(0));
        let told: Vec<_> =
            parsed.diagnostics.iter().map(|one| (&one.message, text.get(one.primary.location.span.range()))).collect();
        assert!(told.is_empty(), "{name}: {told:?}");
        parsed.tree.statements
    }

    #[test]
    fn every_file_parses_without_a_diagnostic() {
        for (name, _) in FILES {
            assert!(!statements(name).is_empty(), "{name}");
        }
    }

    #[test]
    fn services_say_protocols_and_ports() {
        let mut ports = std::collections::BTreeMap::new();
        for statement in statements("services.fw") {
            let StatementKind::Service(service) = statement.value else { panic!("{statement:?}") };
            for item in &service.what {
                let known = match &item.value {
                    Item::Ports { ports, .. } => !ports.is_empty() && ports.iter().all(|range| range.first > 0),
                    Item::Icmp(Some(name)) => Family::BOTH.iter().all(|family| icmp::lookup(*family, name).is_some()),
                    Item::Icmp(None) | Item::Name(_) => false,
                    Item::Protocol(_) => true,
                };
                assert!(known, "{}: {item:?}", service.name);
            }
            ports.insert(
                service.name.to_string(),
                service.what.iter().map(|item| item.value.clone()).collect::<Vec<_>>(),
            );
        }
        let one = |name: &str, protocol, port| {
            let range = crate::net::PortRange::single(port);
            assert_eq!(ports[name], [Item::Ports { protocol, ports: vec![range].into() }], "{name}");
        };
        one("ssh", crate::net::Protocol::TCP, 22);
        one("https", crate::net::Protocol::TCP, 443);
        one("http3", crate::net::Protocol::UDP, 443);
        one("wireguard", crate::net::Protocol::UDP, 51820);
        assert_eq!(ports["dns"].len(), 2);
    }

    #[test]
    fn sets_use_only_sets_before_them() {
        let mut known = BTreeSet::new();
        for statement in statements("sets.fw") {
            let StatementKind::Set(set) = statement.value else { panic!("{statement:?}") };
            let SetValue::Who(who) = &set.value else { panic!("{}", set.name) };
            for member in &who.members {
                match &member.place.value {
                    Place::Name(name) => assert!(known.contains(name), "{name} in {}", set.name),
                    Place::Address(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            known.insert(set.name.value.clone());
        }
        for name in ["private", "bogon", "link-local", "multicast", "documentation", "loopback", "shared", "internet"] {
            assert!(known.contains(name), "{name}");
        }
    }

    fn rules<'a>(body: &'a [Statement], out: &mut Vec<&'a Rule>) {
        for statement in body {
            match &statement.value {
                StatementKind::Rule(rule) => out.push(rule),
                StatementKind::Scope(scope) => rules(&scope.body, out),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_prelude_has_its_parts_and_knows_every_message_that_it_names() {
        let mut parts = Vec::new();
        let mut types = BTreeSet::new();
        for statement in statements("prelude.fw") {
            let StatementKind::Group(group) = statement.value else { panic!("{statement:?}") };
            let mut all = Vec::new();
            rules(&group.body, &mut all);
            for rule in all {
                let family = rule.sentence.family.as_ref().map(|family| family.value);
                for item in &rule.sentence.what {
                    if let Item::Icmp(Some(name)) = &item.value {
                        let family = family.unwrap_or_else(|| panic!("{name} of which family?"));
                        let found = icmp::lookup(family, name).unwrap_or_else(|| panic!("no {name} in {family}"));
                        types.extend(found.into_iter().map(|one| (family, one.kind)));
                    }
                }
            }
            parts.push(group.name.to_string());
        }
        assert_eq!(
            parts,
            [
                "loopback",
                "established",
                "neighbour-discovery",
                "multicast-listener",
                "router-advertisement",
                "icmp-errors",
                "invalid",
                "dhcp-client",
                "bridge-services"
            ]
        );
        // RFC 4890, section 4.4.1, less echo, which the policy decides, and less what the prelude leaves out by name.
        for kind in [1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 143] {
            assert!(types.contains(&(Family::Ipv6, kind)), "ICMPv6 type {kind}");
        }
        for kind in [3, 11, 12] {
            assert!(types.contains(&(Family::Ipv4, kind)), "ICMP type {kind}");
        }
        assert!(
            !types.contains(&(Family::Ipv6, 137)) && !types.contains(&(Family::Ipv4, 5)),
            "redirects are not let in"
        );
    }

    fn declared<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
        text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')?.split([' ', '=']).next()).collect()
    }

    #[test]
    fn files_are_found_with_and_without_the_prefix() {
        assert!(text("std:services.fw").is_some_and(|text| text.contains("service ssh")));
        assert_eq!(text("prelude.fw"), text("std:prelude.fw"));
        assert_eq!(text("prelude"), text("std:prelude.fw"));
        assert_eq!(text("std:nothing.fw"), None);
        for (name, _) in FILES {
            assert_eq!(path(name), path(name.trim_end_matches(".fw")));
            assert!(text(&path(name)).is_some());
        }
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
