//! The hosts of the packet run: a policy, what is known of the host, its cards, and the rule set that its platform wrote.

use super::emitted::Backend;

/// A host.
pub struct HostCase {
    /// Its name in reports.
    pub name: &'static str,
    /// The policy.
    pub policy: &'static str,
    /// The facts that the build is given.
    pub facts: &'static str,
    /// The facts that are true, where the build is given fewer.
    pub truth: &'static str,
    /// Its cards: a line each, the default route's first.
    pub cards: &'static str,
    /// Directories of recorded rule sets, in the order in which they are loaded.
    pub rulesets: &'static [&'static str],
    /// Words of the recorded rule sets that this host has otherwise.
    pub replace: &'static [(&'static str, &'static str)],
    /// What it is tested with.
    pub backends: &'static [Backend],
}

const DOCKER_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64
    docker0 172.17.0.1/16
    br-app 172.18.0.1/16";

/// The cards of a Docker host with a network of both families, and with the bridge of a platform that its policy does not use.
const DUAL_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64
    docker0 172.17.0.1/16
    br-app 172.18.0.1/16
    br-app6 172.19.0.1/16 fd00:18::1/64
    virbr0 192.168.122.1/24 fd00:122::1/64";

/// The cards of a Docker host with a bridge of its own, called as Docker's might be.
const LAN_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    br-lan 192.168.2.1/24 fd00:2::1/64
    docker0 172.17.0.1/16
    br-app 172.18.0.1/16";

/// The cards of a Podman host; `podman3` is a network apart.
const PODMAN_CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64
    podman0 10.88.0.1/16
    br-app 10.89.5.1/24
    podman2 10.89.7.1/24 fd00:7::1/64
    podman3 10.89.8.1/24";

/// The hosts.
pub const HOSTS: &[HostCase] = &[
    // Bridges of every platform, none of which its policy uses.
    HostCase {
        name: "plain",
        policy: "tests/data/hosts/plain.fw",
        facts: "tests/data/hosts/plain.facts.json",
        truth: "tests/data/hosts/plain.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            wg0 10.9.0.1/24 fd00:9::1/64
            virbr0 192.168.122.1/24 fd00:122::1/64
            lxdbr0 10.0.3.1/24 fd00:3::1/64
            incusbr0 10.0.4.1/24 fd00:4::1/64
            podman1 10.89.0.1/24 fd00:89::1/64
            cni-podman0 10.88.0.1/16 fd00:88::1/64
            docker0 172.17.0.1/16 fd00:17::1/64
            br-4f1c 172.18.0.1/16 fd00:18::1/64",
        rulesets: &[],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-web-28.5",
        policy: "tests/data/hosts/docker-web.fw",
        facts: "tests/data/hosts/docker-web.facts.json",
        truth: "tests/data/hosts/docker-web.facts.json",
        cards: DOCKER_CARDS,
        rulesets: &["docker-28.5/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-web-20.10",
        policy: "tests/data/hosts/docker-web.fw",
        facts: "tests/data/hosts/docker-web.facts.json",
        truth: "tests/data/hosts/docker-web.facts.json",
        cards: DOCKER_CARDS,
        rulesets: &["docker-20.10/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-dual-28.5",
        policy: "tests/data/hosts/docker-web.fw",
        facts: "tests/data/hosts/docker-dual-28.5.facts.json",
        truth: "tests/data/hosts/docker-dual-28.5.facts.json",
        cards: DUAL_CARDS,
        rulesets: &["docker-28.5/c-ipv6"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-dual-20.10",
        policy: "tests/data/hosts/docker-web.fw",
        facts: "tests/data/hosts/docker-dual-20.10.facts.json",
        truth: "tests/data/hosts/docker-dual-20.10.facts.json",
        cards: DUAL_CARDS,
        rulesets: &["docker-20.10/c-ipv6"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-unmanaged",
        policy: "tests/data/hosts/docker-web.fw",
        facts: "tests/data/hosts/docker-unmanaged.facts.json",
        truth: "tests/data/hosts/docker-unmanaged.facts.json",
        cards: DUAL_CARDS,
        rulesets: &["docker-28.5/e-iptables-false"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "vps",
        policy: "examples/vps/site.fw",
        facts: "tests/data/hosts/vps.facts.json",
        truth: "tests/data/hosts/vps.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            wg0 10.9.0.1/24 fd00:9::1/64
            docker0 172.17.0.1/16
            br-app 172.28.0.1/16",
        rulesets: &["docker-28.5/b-web"],
        replace: &[("172.18.", "172.28.")],
        backends: Backend::ALL,
    },
    HostCase {
        name: "home",
        policy: "examples/home/site.fw",
        facts: "tests/data/hosts/home.facts.json",
        truth: "tests/data/hosts/home.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            eth2 192.168.3.1/24 fd00:3::1/64
            wlan1 192.168.4.1/24 fd00:4::1/64
            docker0 172.17.0.1/16
            br-app 172.18.0.1/16
            lxdbr0 10.10.10.1/24 fd42:10::1/64",
        rulesets: &["docker-28.5/b-web", "lxd-5.0-xtables/a-bridge"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-systemd",
        policy: "examples/docker-systemd/site.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/docker.model.facts.json",
        cards: DOCKER_CARDS,
        rulesets: &["docker-28.5/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-router",
        policy: "examples/docker-router/site.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/docker.model.facts.json",
        cards: DOCKER_CARDS,
        rulesets: &["docker-20.10/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-lan",
        policy: "tests/data/hosts/docker-lan.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/docker.model.facts.json",
        cards: LAN_CARDS,
        rulesets: &["docker-28.5/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-vpn",
        policy: "examples/docker-vpn/site.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/docker.model.facts.json",
        cards: DOCKER_CARDS,
        rulesets: &["docker-28.5/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "lxd-nft",
        policy: "examples/lxd/site.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/lxd.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            lxdbr0 10.10.10.1/24 fd42:10::1/64",
        rulesets: &["lxd-5.0-nft/a-bridge"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "lxd-xtables",
        policy: "examples/lxd/site.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/lxd.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            lxdbr0 10.10.10.1/24 fd42:10::1/64",
        rulesets: &["lxd-5.0-xtables/a-bridge"],
        replace: &[],
        backends: Backend::IPTABLES,
    },
    HostCase {
        name: "egress",
        policy: "examples/egress/site.fw",
        facts: "tests/data/hosts/egress.facts.json",
        truth: "tests/data/hosts/egress.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            docker0 172.17.0.1/16
            br-app 172.29.0.1/16",
        rulesets: &["docker-28.5/b-web"],
        replace: &[("172.18.", "172.29.")],
        backends: Backend::ALL,
    },
    HostCase {
        name: "fleet",
        policy: "examples/fleet/host.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/docker.model.facts.json",
        cards: "eno1 203.0.113.10/24 2001:db8::10/64
            docker0 172.17.0.1/16
            br-app 172.18.0.1/16",
        rulesets: &["docker-28.5/b-web"],
        replace: &[("ens33", "eno1")],
        backends: Backend::ALL,
    },
    HostCase {
        name: "libvirt-beside",
        policy: "tests/data/hosts/plain.fw",
        facts: "tests/data/hosts/libvirt.facts.json",
        truth: "tests/data/hosts/libvirt.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            wg0 10.9.0.1/24 fd00:9::1/64
            virbr0 192.168.122.1/24",
        // fail2ban puts its jumps in front of libvirt's, and ours goes behind the last of them.
        rulesets: &["fail2ban-1.1/iptables-multiport", "libvirt-11.3-iptables/a-default"],
        replace: &[],
        backends: Backend::IPTABLES,
    },
    HostCase {
        name: "podman-4.3",
        policy: "tests/data/hosts/podman.fw",
        facts: "tests/data/hosts/podman-iptables.facts.json",
        truth: "tests/data/hosts/podman-iptables.facts.json",
        cards: PODMAN_CARDS,
        rulesets: &["podman-4.3-netavark-iptables/b-web"],
        replace: &[],
        backends: Backend::IPTABLES,
    },
    HostCase {
        name: "podman-5.8-iptables",
        policy: "tests/data/hosts/podman.fw",
        facts: "tests/data/hosts/podman-iptables.facts.json",
        truth: "tests/data/hosts/podman-iptables.facts.json",
        cards: PODMAN_CARDS,
        rulesets: &["podman-5.8-netavark-iptables/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "podman-5.8-nftables",
        policy: "tests/data/hosts/podman.fw",
        facts: "tests/data/hosts/podman-nftables.facts.json",
        truth: "tests/data/hosts/podman-nftables.facts.json",
        cards: PODMAN_CARDS,
        rulesets: &["podman-5.8-netavark-nftables/b-web"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-29-nftables",
        policy: "tests/data/hosts/docker-29.fw",
        facts: "tests/data/hosts/docker-29-nftables.facts.json",
        truth: "tests/data/hosts/docker-29-nftables.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            docker0 172.17.0.1/16
            bridge1 192.0.2.1/24",
        rulesets: &["docker-29/nftables/usernet-portmap.nft"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "docker-29-iptables",
        policy: "tests/data/hosts/docker-29.fw",
        facts: "tests/data/hosts/docker-29-iptables.facts.json",
        truth: "tests/data/hosts/docker-29-iptables.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            eth1 192.168.2.1/24 fd00:2::1/64
            docker0 172.17.0.1/16
            bridge1 192.0.2.1/24",
        rulesets: &["docker-29/iptables/usernet-portmap.rules"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "incus-6.0",
        policy: "tests/data/hosts/incus.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/incus.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            incusbr0 10.10.10.1/24 fd42:10::1/64",
        rulesets: &["incus-6.0/a-bridge"],
        replace: &[],
        backends: Backend::ALL,
    },
    HostCase {
        name: "incus-7.0",
        policy: "tests/data/hosts/incus.fw",
        facts: "tests/data/hosts/default-route.facts.json",
        truth: "tests/data/hosts/incus.model.facts.json",
        cards: "ens33 203.0.113.10/24 2001:db8::10/64
            incusbr0 10.10.10.1/24 fd42:10::1/64",
        rulesets: &["incus-7.0/a-bridge"],
        replace: &[],
        backends: Backend::ALL,
    },
];
