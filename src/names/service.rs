//! What services are called elsewhere: by programs, packages and other firewalls.

/// Names by which users know a service, and its name in the standard library.
const SYNONYMS: [(&str, &str); 19] = [
    ("openssh", "ssh"),
    ("sshd", "ssh"),
    ("postgresql", "postgres"),
    ("pgsql", "postgres"),
    ("mariadb", "mysql"),
    ("mysqld", "mysql"),
    ("www", "http"),
    ("web", "http"),
    ("domain", "dns"),
    ("named", "dns"),
    ("ntpd", "ntp"),
    ("chrony", "ntp"),
    ("mongo", "mongodb"),
    ("igmp", "protocol igmp"),
    ("esp", "protocol esp"),
    ("ah", "protocol ah"),
    ("wg", "wireguard"),
    ("redis-server", "redis"),
    ("memcache", "memcached"),
];

/// What the language calls a service that is known by this name elsewhere.
#[must_use]
pub fn synonym(name: &str) -> Option<&'static str> {
    SYNONYMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, ours)| *ours)
}
