//! A compose file by itself: who can reach what it publishes, and what to write instead.

use super::codes::{EXPOSED_SERVICE, PUBLISHED_TO_EVERYBODY};
use super::exposed::service_at;
use crate::diagnostic::Diagnostic;
use crate::net::Family;
use crate::policy::{Policy, Published};
use crate::project::Root;

/// What a policy begins with that reads a compose file and says nothing.
const SILENT: &str = "use docker\n";

/// A policy that says nothing beside a compose file, if a text is one; the path is of a file beside it that need not be there.
#[must_use]
pub fn silent_policy(root: &Root) -> Option<Root> {
    let name = root.path.file_name()?.to_str().filter(|name| !name.contains(['"', '*', '?', '[']))?;
    let yaml = root.path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    let text = std::str::from_utf8(&root.bytes).ok()?;
    let services = text.lines().any(|line| line.starts_with("services:"));
    if !yaml || !services {
        return None;
    }
    let bytes = format!("{SILENT}compose \"{name}\"\n").into_bytes();
    Some(Root { path: root.path.with_file_name("compose.fw"), bytes })
}

/// A finding for every port that is published on more than the loopback, where no rule decides about it.
#[must_use]
pub fn check(policy: &Policy) -> Vec<Diagnostic> {
    let mut seen = rustc_hash::FxHashSet::default();
    let all = policy.containers.published.iter();
    all.filter(|one| seen.insert((one.location, one.protocol, one.ports))).filter_map(published).collect()
}

fn published(one: &Published) -> Option<Diagnostic> {
    let location = one.location?;
    let Published { container, protocol, ports, container_ports, .. } = one;
    let known = (container_ports.first..=container_ports.last).find_map(|port| service_at(*protocol, port));
    let code = if known.is_some() { &EXPOSED_SERVICE } else { &PUBLISHED_TO_EVERYBODY };
    let at = match one.address {
        Some(address) => format!("at {address}"),
        None => "at every address of this host".to_owned(),
    };
    let what = known.map_or_else(String::new, |name| format!(" ({name})"));
    let message = format!("everybody reaches {protocol} {ports} of `{container}`{what} {at}");
    let way = match one.only_family() {
        Some(Family::Ipv6) => "IPv6 comes by NAT, or, before Docker 27, by docker-proxy through INPUT",
        Some(Family::Ipv4) => "NAT leads it past INPUT: what INPUT refuses is not asked",
        None => {
            "NAT leads IPv4 past INPUT: what INPUT refuses is not asked; IPv6 comes by NAT, or, before Docker 27, by docker-proxy"
        }
    };
    let suffix = if protocol.name() == Some("udp") { "/udp" } else { "" };
    let line = format!(
        "iptables -I DOCKER-USER -i eth0 -p {protocol} -m conntrack --ctorigdstport {} --ctdir ORIGINAL ! -s 198.51.100.0/24 -j DROP",
        ports.to_string().replace('-', ":")
    );
    Some(
        Diagnostic::new(code, location, message)
            .label("no rule decides who may")
            .note(way)
            .help(format!("for this host alone: `127.0.0.1:{ports}:{container_ports}{suffix}`"))
            .help(format!("in a policy: `allow {protocol} {ports} from 198.51.100.0/24 to container {container}`"))
            .help(format!("by hand: `{line}`")),
    )
}
