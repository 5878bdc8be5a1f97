//! A host for every recorded platform and version: what is true of it, its interfaces, and the rule set that was recorded there.

use std::collections::BTreeSet;
use std::path::Path;

use fwc::facts::{Backend as FirewallBackend, Facts, InterfaceFact};
use fwc::platform::{Platform, bridges};

use super::emitted::Backend;
use super::model::Model;
use super::namespace::{CardPlan, HostPlan, Namespace};
use super::program::load_recorded;
use crate::recorded::scenarios;

/// Facts below `tests/data`, the rule set below `tests/data/rulesets`, and what a policy says to name who manages the host. A host whose
/// daemon writes no rules has no rule set.
type Row = (&'static str, Option<&'static str>, &'static str);

const ROWS: &[Row] = &[
    ("connections/docker-20.10-web", Some("docker-20.10/b-web"), "use docker"),
    ("connections/docker-20.10-ipv6", Some("docker-20.10/c-ipv6"), "use docker"),
    ("connections/docker-20.10-noproxy", Some("docker-20.10/d-noproxy"), "use docker"),
    ("connections/docker-20.10-iptables-false", None, UNMANAGED),
    ("connections/docker-20.10-swarm", Some("docker-20.10/f-swarm"), "use docker"),
    ("connections/docker-20.10-macvlan", Some("docker-20.10/g-macvlan"), "use docker"),
    ("connections/docker-20.10-icc-false", Some("docker-20.10/h-icc-false"), "use docker"),
    ("connections/docker-28.5-web", Some("docker-28.5/b-web"), "use docker"),
    ("connections/docker-28.5-ipv6", Some("docker-28.5/c-ipv6"), "use docker"),
    ("connections/docker-28.5-noproxy", Some("docker-28.5/d-noproxy"), "use docker"),
    ("connections/docker-28.5-iptables-false", None, UNMANAGED),
    ("connections/docker-28.5-swarm", Some("docker-28.5/f-swarm"), "use docker"),
    ("connections/docker-28.5-macvlan", Some("docker-28.5/g-macvlan"), "use docker"),
    ("connections/docker-28.5-icc-false", Some("docker-28.5/h-icc-false"), "use docker"),
    ("connections/docker-28.5-gateway-modes", Some("docker-28.5/i-gateway-modes"), "use docker"),
    ("connections/docker-28.5-allow-direct-routing", Some("docker-28.5/j-allow-direct-routing"), "use docker"),
    ("connections/docker-28.5-no-iptables-raw", Some("docker-28.5/j2-no-iptables-raw"), "use docker"),
    ("connections/docker-29.7-iptables-web", Some("docker-29.7-iptables/b-web"), "use docker"),
    ("connections/docker-29.7-iptables-ipv6", Some("docker-29.7-iptables/c-ipv6"), "use docker"),
    ("connections/docker-29.7-iptables-iptables-false", None, UNMANAGED),
    ("connections/docker-29.7-iptables-fwmark", Some("docker-29.7-iptables/fwmark"), "use docker"),
    ("connections/docker-29.7-iptables-fwmark-direct", Some("docker-29.7-iptables/fwmark-direct"), "use docker"),
    ("connections/docker-29.7-iptables-gateway-modes", Some("docker-29.7-iptables/i-gateway-modes"), "use docker"),
    ("connections/docker-29.7-nftables-web", Some("docker-29.7-nftables/b-web"), "use docker"),
    ("connections/docker-29.7-nftables-ipv6", Some("docker-29.7-nftables/c-ipv6"), "use docker"),
    ("connections/docker-29.7-nftables-iptables-false", None, UNMANAGED),
    ("connections/docker-29.7-nftables-fwmark", Some("docker-29.7-nftables/fwmark"), "use docker"),
    ("connections/docker-29.7-nftables-fwmark-direct", Some("docker-29.7-nftables/fwmark-direct"), "use docker"),
    ("connections/docker-29.7-nftables-gateway-modes", Some("docker-29.7-nftables/i-gateway-modes"), "use docker"),
    ("connections/podman-4.3-iptables", Some("podman-4.3-netavark-iptables/b-web"), "use podman"),
    ("connections/podman-5.8-iptables", Some("podman-5.8-netavark-iptables/b-web"), "use podman"),
    ("connections/podman-5.8-nftables", Some("podman-5.8-netavark-nftables/b-web"), "use podman"),
    ("connections/podman-6.0-netavark-2.0-web", Some("podman-6.0-netavark-2.0-nftables/b-web"), "use podman"),
    (
        "connections/podman-6.0-netavark-2.0-isolation",
        Some("podman-6.0-netavark-2.0-nftables/d-isolation"),
        "use podman",
    ),
    ("connections/podman-6.0-netavark-2.1-web", Some("podman-6.0-netavark-2.1-nftables/b-web"), "use podman"),
    (
        "connections/podman-6.0-netavark-2.1-isolation",
        Some("podman-6.0-netavark-2.1-nftables/d-isolation"),
        "use podman",
    ),
    (
        "connections/podman-6.0-netavark-2.1-forward-drop",
        Some("podman-6.0-netavark-2.1-nftables/f-forward-drop"),
        "use docker\nuse podman",
    ),
    ("hosts/lxd.model.facts", Some("lxd-5.0-nft/a-bridge"), "use lxd"),
    ("hosts/lxd.model.facts", Some("lxd-5.0-xtables/a-bridge"), "use lxd"),
    ("hosts/incus.model.facts", Some("incus-6.0/a-bridge"), "use incus"),
    ("hosts/incus.model.facts", Some("incus-7.0/a-bridge"), "use incus"),
    ("hosts/libvirt.facts", Some("libvirt-11.3-iptables/a-default"), "use libvirt"),
    ("hosts/libvirt.facts", Some("libvirt-11.3-nftables/a-default"), "use libvirt"),
];

/// That Docker writes no rules is a thing that a policy says: no build without facts takes it for possible.
const UNMANAGED: &str = "use docker\nfact docker.iptables = off";

/// Where facts name the bridges alone: the interfaces of that host.
const INSTANCE_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    lxdbr0 10.10.10.1/24 fd42:10::1/64";

/// One more interface towards the outside, which no recorded host has.
const LAN: &str = "eth1 192.168.2.1/24 fd00:2::1/64";

/// A host.
pub struct RecordedHost {
    /// Its name in reports.
    pub name: String,
    /// What is true of it.
    pub facts: Facts,
    /// The lines that name who manages it.
    pub uses: &'static str,
    /// Its interfaces, and what is behind them.
    pub model: Model,
    ruleset: Option<&'static str>,
}

impl RecordedHost {
    fn new(&(path, ruleset, uses): &Row) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{path}.json"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut value: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        if let Some(facts) = value.get_mut("facts") {
            value = facts.take();
        }
        let mut facts: Facts = serde_json::from_value(value).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut cards = vec![LAN.to_owned()];
        if facts.interfaces.is_empty() {
            let bridge = if uses.contains("incus") { "incusbr0" } else { "lxdbr0" };
            cards.push(INSTANCE_CARDS.replace("lxdbr0", bridge));
        }
        let mut plan = HostPlan::parse(&cards.join("\n"));
        plan.default_route = facts.default_route.clone().expect("facts name the interface of the default route");
        for (name, interface) in facts.interfaces.iter().filter(|(name, _)| *name != "lo" && *name != "eth1") {
            plan.cards.push(CardPlan { name: name.clone(), addresses: interface.addresses.clone() });
        }
        // A build that knows the interfaces knows all of them.
        if !facts.interfaces.is_empty() {
            let lan = InterfaceFact { addresses: plan.cards[0].addresses.clone(), ..InterfaceFact::default() };
            facts.interfaces.insert("eth1".to_owned(), lan);
        }
        let name = format!("{} ({})", path.rsplit('/').next().unwrap_or(path), ruleset.unwrap_or("no rules"));
        Self { name, model: Model::new(plan, &facts, true), facts, uses, ruleset }
    }

    /// All of them.
    pub fn all() -> Vec<Self> {
        let named: BTreeSet<&str> = ROWS.iter().filter_map(|(path, ..)| path.strip_prefix("connections/")).collect();
        let missing: Vec<String> = scenarios().filter(|name| !named.contains(name.as_str())).collect();
        assert_eq!(missing, [""; 0], "recorded hosts that are left out");
        ROWS.iter().map(Self::new).collect()
    }

    /// Whether the platform writes its rules with nft.
    pub fn by_nft(&self) -> bool {
        let docker = self.facts.docker.as_ref().and_then(|docker| docker.firewall_backend);
        let podman = self.facts.podman.as_ref().and_then(|podman| podman.firewall_driver);
        docker.or(podman) == Some(FirewallBackend::Nftables)
    }

    /// The tools by which a policy can be loaded here.
    pub fn backends(&self) -> &'static [Backend] {
        // Both kinds of tables at once would be two firewalls, which the facts of these hosts do not have.
        if self.by_nft() { &[Backend::IptablesNft, Backend::Nft] } else { Backend::ALL }
    }

    /// Whether the bridges are called as the platforms call theirs, so that a policy without facts finds them.
    pub fn bridges_are_found(&self) -> bool {
        let unknown = Facts::default();
        let platforms = self.uses.lines().filter_map(|line| Platform::load(line.strip_prefix("use ")?));
        let known: Vec<fwc::net::Card> = platforms.flat_map(|platform| bridges(platform, &unknown)).collect();
        self.model.bridges.keys().all(|bridge| known.iter().any(|card| card.matches(bridge)))
    }

    /// Puts the rules there that its daemon wrote.
    pub fn load_rules(&self, namespace: &Namespace, backend: Backend) {
        let without_proxy = self.facts.docker.as_ref().is_some_and(|docker| docker.userland_proxy == Some(false));
        if self.facts.podman.is_some() || without_proxy {
            // Both let the host reach published ports by 127.0.0.1.
            for bridge in self.model.bridges.keys().filter(|bridge| self.model.plan.has(bridge)) {
                let setting = format!("net.ipv4.conf.{bridge}.route_localnet=1");
                namespace.run("sysctl", &["-qw", &setting], "").expect("a setting of the namespace's own interface");
            }
        }
        if let Some(ruleset) = self.ruleset {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets").join(ruleset);
            load_recorded(namespace, &path, &[], backend);
        }
    }
}
