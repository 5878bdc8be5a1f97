//! Random policies over the whole language: statements that mostly mean something, with odd names, texts and numbers among them.

use fwc::syntax::tree::Target;

use crate::kernel::traffic::Random;

/// A statement, or a block of them, a line each.
pub type Statements = Vec<String>;

/// Texts for logs and comments, from the harmless to what a tool might read as its own.
const TEXTS: &[&str] = &[
    "in: ",
    "cost $x ",
    "100% ",
    "a;b",
    "{ x }",
    "# no",
    "it's",
    "DOMAIN\\\\host",
    "a\\b",
    "-j DROP",
    "--comment x",
    "! -i lo",
    "é ä 漢 ",
    "tab\there",
    "<EOF>",
    "`id`",
    "$(id)",
    "@fwc",
    "COMMIT",
    "",
    " ",
    "abcdefghijklmnopqrstuvwxyz012",
    "abcdefghijklmnopqrstuvwxyz0123",
    "é234567890123456789012345678",
    "accept",
    "log prefix",
];

/// Names of everything that a policy declares, among them words of the tools.
const NAMES: &[&str] = &[
    "office",
    "a",
    "accept",
    "drop",
    "filter",
    "table",
    "chain",
    "queue",
    "counter",
    "ct",
    "meta",
    "ip",
    "tcp-x",
    "x.y",
    "x_y",
    "input",
    "ACCEPT",
    "INPUT",
    "RETURN",
    "a-very-long-name-of-a-set-that-is-longer-than-any",
    "a-very-long-name-of-a-set-that-is-longer-than-all",
    "elements",
    "timeout",
    "policy",
    "v4",
    "vm-110",
    "f2b-sshd",
];

const INTERFACES: &[&str] = &[
    "eth0",
    "eth1",
    "\"eth+\"",
    "wg0",
    "ppp+",
    "\"a.b-c_d\"",
    "enp0s31f6",
    "a12345678901234",
    "\"a1234567890123+\"",
    "\"x$y\"",
    "\"x#y\"",
    "\"x;y\"",
    "\"x{y\"",
    "\"x(y\"",
    "lo",
    "\"dummy,1\"",
    "bond0.100",
    "\"x'y\"",
    "\"-x\"",
    "\"x y\"",
];

const IPV4: &[&str] = &[
    "10.0.0.0/8",
    "198.51.100.7",
    "192.168.2.0/24",
    "192.0.2.0-192.0.2.77",
    "0.0.0.0/0",
    "0.0.0.0/1",
    "255.255.255.255",
    "224.0.0.0/4",
    "198.51.100.64/27",
    "203.0.113.5-203.0.113.6",
    "10.1.2.3/32",
];

const IPV6: &[&str] = &[
    "2001:db8::/32",
    "2001:db8::7",
    "fe80::/10",
    "::/0",
    "ff00::/8",
    "2001:db8:1::1-2001:db8:1::77",
    "fd00:2::/64",
    "::1:2:3/128",
    "2000::/3",
];

const SERVICES: &[&str] = &[
    "ssh",
    "http",
    "https",
    "dns",
    "ping",
    "ntp",
    "wireguard",
    "smtp",
    "postgres",
    "tcp",
    "udp",
    "sctp",
    "icmp",
    "tcp 22",
    "tcp 1-65535",
    "tcp 0-10",
    "udp 53",
    "tcp 65535",
    "sctp 5060",
    "tcp 8000-8080",
    "{ http, https }",
    "{ tcp 22, 80, 443, udp 53, 123 }",
    "icmp echo-request",
    "icmp redirect",
    "icmp timestamp-request",
    "ipv4 icmp",
    "ipv6 icmp",
    "protocol gre",
    "protocol 41",
    "protocol esp",
    "protocol 255",
    "protocol 0",
    "protocol igmp",
    "protocol 58",
    "protocol udplite",
    "protocol dccp",
    "{ dns, ping, protocol ah }",
    "ipv4 tcp 80",
    "ipv6 udp 500",
    "ipv6 { ssh, http }",
    "dhcp-client",
    "ospf",
    "vrrp",
    "{ tcp 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33 }",
    "{ tcp 1-2, 4-5, 7-8, 10-11, 13-14, 16-17, 19-20, 22-23, udp 1, 3 }",
];

const OPTIONS: &[&str] = &[
    "limit 10/minute",
    "limit 10/minute per source",
    "limit 3/second burst 7",
    "limit 1/day",
    "limit 2/hour per source burst 1",
    "limit 10000/second",
    "limit 100000/second",
    "limit 1000000/minute per source",
    "limit 5 connections",
    "limit 5 connections per source",
    "limit 4000000000 connections",
    "limit 4294967295/second burst 4294967295",
    "during mon-fri 08:00-17:00",
    "during 22:00-06:00",
    "during sat,sun",
    "during 00:00-24:00",
    "during mon 23:59-00:00",
    "source port 1024-65535",
    "source port 53",
    "early",
];

const CHANGES: &[&str] = &[
    "mark 0x1",
    "mark 255",
    "mark 0x0fffffff",
    "mark 0x80000000",
    "dscp ef",
    "dscp cs0",
    "dscp af41",
    "dscp 63",
    "clamp mss",
    "notrack",
    "helper ftp",
    "helper tftp",
    "helper sip",
    "helper irc",
    "helper amanda",
    "helper pptp",
    "helper h323",
    "helper \"netbios-ns\"",
    "helper snmp",
];

const IPTABLES_CHAINS: &[(&str, &str)] = &[
    ("filter INPUT", "-p tcp --dport 7 -j REJECT --reject-with icmp-host-prohibited"),
    ("filter INPUT", "-p icmpv6 -j ACCEPT"),
    ("filter INPUT", "-p 58 -j ACCEPT"),
    ("filter INPUT", "-s 10.0.0.0/8 -m limit --limit 1/s -j LOG --log-prefix \"x $y \""),
    ("filter FORWARD", "-m conntrack --ctstate NEW -j NFLOG --nflog-group 1"),
    ("filter FORWARD", "-i eth0 -o eth1 -m mark --mark 0x1/0x1 -j RETURN"),
    ("filter DOCKER-USER", "-s 198.51.100.0/24 -j DROP"),
    ("filter OUTPUT", "-m owner --uid-owner 33 -j REJECT"),
    ("filter OUTPUT", "-m owner ! --uid-owner 0-99 -j RETURN"),
    ("nat PREROUTING", "-p tcp --dport 8080 -j DNAT --to-destination 192.168.2.5:9000-9010"),
    ("nat PREROUTING", "-p tcp --dport 8081 -j DNAT --to-destination [2001:db8::5]:9000"),
    ("nat POSTROUTING", "-o eth0 -j SNAT --to-source 203.0.113.10-203.0.113.20"),
    ("nat POSTROUTING", "-o eth0 -p tcp -j MASQUERADE --to-ports 1024-2048"),
    ("mangle PREROUTING", "-i eth0 -j MARK --set-xmark 0x1/0x1"),
    ("mangle POSTROUTING", "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400"),
    ("mangle FORWARD", "-j TTL --ttl-set 64"),
    ("mangle FORWARD", "-j HL --hl-set 64"),
    ("raw PREROUTING", "-p udp --dport 53 -j CT --notrack"),
    ("raw OUTPUT", "-p tcp --dport 21 -j CT --helper ftp"),
    ("filter INPUT", "-m set --match-set fwc-banned-v4 src -j DROP"),
    ("filter INPUT", "-p tcp -m multiport --dports 1,2,3:9 -m comment --comment \"a \\\" b\" -j ACCEPT"),
    ("filter INPUT", "-p icmp --icmp-type any -j ACCEPT"),
    ("filter INPUT", "-m addrtype --dst-type MULTICAST -j DROP"),
    ("filter INPUT", "! -i eth0 ! -s 10.0.0.0/8 -j DROP"),
    ("filter INPUT", "-i eth0 -i eth1 -j DROP"),
    ("filter INPUT", "-p tcp --dport 22 -m recent --name ssh --set"),
    ("filter INPUT", "-m time --timestart 22:00 --timestop 06:00 -j DROP"),
    ("filter INPUT", "-m string --string \"x\" --algo bm -j DROP"),
    ("filter INPUT", "-j CT --notrack"),
    ("filter INPUT", "-m owner --uid-owner 33 -j DROP"),
    ("filter INPUT", "-f -j DROP"),
    ("filter INPUT", "-p tcp --dport 9:5 -j DROP"),
    ("filter INPUT", "-m ttl --ttl-lt 5 -j DROP"),
    ("filter INPUT", "-m hl --hl-lt 5 -j DROP"),
    ("filter INPUT", "-m conntrack --ctorigdst 10.0.0.1 -j DROP"),
    ("filter INPUT", "-p tcp -j REJECT --reject-with tcp-reset"),
    ("filter INPUT", "-j REJECT --reject-with tcp-reset"),
    ("filter INPUT", "-j REJECT --reject-with adm-prohibited"),
    ("filter INPUT", "-j REJECT --reject-with host-prohib"),
    ("nat OUTPUT", "-p tcp --dport 80 -j REDIRECT --to-ports 3128"),
    ("nat INPUT", "-j SNAT --to-source 192.0.2.1"),
    ("nat PREROUTING", "-d 192.0.2.0/24 -j NETMAP --to 198.51.100.0/24"),
    ("mangle PREROUTING", "-p tcp -j TPROXY --on-port 3129 --tproxy-mark 0x1/0x1"),
    ("mangle OUTPUT", "-j CLASSIFY --set-class 1:1"),
    ("mangle PREROUTING", "-j CONNMARK --restore-mark"),
    ("mangle PREROUTING", "-j TEE --gateway 192.0.2.1"),
    ("filter INPUT", "-m mac --mac-source 02:00:00:00:00:01 -j ACCEPT"),
    ("filter OUTPUT", "-m mac --mac-source 02:00:00:00:00:01 -j ACCEPT"),
    ("filter OUTPUT", "-m physdev --physdev-in eth0 -j ACCEPT"),
    ("filter FORWARD", "-m physdev --physdev-is-bridged -j ACCEPT"),
    ("filter INPUT", "-p esp -m policy --dir in --pol ipsec -j ACCEPT"),
    ("filter INPUT", "-p sctp --dport 5060 -j ACCEPT"),
    ("filter INPUT", "-m nosuch --x 1 -j DROP"),
];

const NFT_CHAINS: &[(&str, &str)] = &[
    ("filter INPUT", "tcp dport 7 reject with icmp type host-prohibited"),
    ("filter INPUT", "ip6 nexthdr icmpv6 accept"),
    ("filter INPUT", "meta l4proto icmpv6 accept"),
    ("filter INPUT", "ip saddr 10.0.0.0/8 limit rate 1/second log prefix \"x \""),
    ("filter INPUT", "limit rate 1/second log prefix \"x $y \""),
    ("filter FORWARD", "ct state new log group 1"),
    ("filter FORWARD", "iifname \"eth0\" oifname \"eth1\" meta mark & 0x1 == 0x1 return"),
    ("filter OUTPUT", "meta skuid 33 reject"),
    ("filter OUTPUT", "meta skuid != 0-99 return"),
    ("nat PREROUTING", "tcp dport 8080 dnat ip to 192.168.2.5:9000-9010"),
    ("nat PREROUTING", "tcp dport 8081 dnat ip6 to [2001:db8::5]:9000"),
    ("nat POSTROUTING", "oifname \"eth0\" snat ip to 203.0.113.10-203.0.113.20"),
    ("nat POSTROUTING", "oifname \"eth0\" meta l4proto tcp masquerade to :1024-2048"),
    ("mangle PREROUTING", "iifname \"eth0\" meta mark set meta mark | 0x1"),
    ("mangle FORWARD", "ip ttl set 64"),
    ("mangle FORWARD", "tcp flags syn tcp option maxseg size set 1400"),
    ("raw PREROUTING", "udp dport 53 notrack"),
    ("filter INPUT", "tcp dport { 1, 2, 3-9 } accept comment \"a $b\""),
    ("filter INPUT", "icmp type echo-request accept"),
    ("filter INPUT", "fib daddr type multicast drop"),
    ("filter INPUT", "iifname != \"eth0\" ip saddr != 10.0.0.0/8 drop"),
    ("filter INPUT", "meta hour \"22:00\"-\"23:00\" drop"),
    ("filter INPUT", "ip saddr $bad drop"),
    ("filter INPUT", "ip saddr @nosuch drop"),
    ("filter INPUT", "tcp dport 9-5 drop"),
    ("filter INPUT", "ip saddr 10.0.0.0/8 ip6 saddr 2001:db8::/32 drop"),
    ("filter INPUT", "ip ttl < 5 drop"),
    ("filter INPUT", "ct original ip daddr 10.0.0.1 drop"),
    ("filter INPUT", "reject with tcp reset"),
    ("nat OUTPUT", "tcp dport 80 redirect to :3128"),
    ("nat INPUT", "snat ip to 192.0.2.1"),
    ("filter INPUT", "ether saddr 02:00:00:00:00:01 accept"),
    ("filter INPUT", "tcp dport vmap { 22 : accept, 23 : drop }"),
    ("filter INPUT", "counter accept; drop"),
    ("filter INPUT", "tcp sport 1 udp dport 2 accept"),
];

/// A generator of policies.
pub struct Writer {
    random: Random,
    target: Target,
    sets: Vec<String>,
    interfaces: Vec<String>,
    services: Vec<String>,
    groups: Vec<String>,
    guests: Vec<(&'static str, String)>,
    containers: Vec<String>,
    networks: Vec<String>,
}

/// What a policy is: its statements, and which facts come with it.
pub struct Policy {
    /// Each with its lines.
    pub statements: Statements,
    /// A facts file of `tests/data/hosts`.
    pub facts: Option<&'static str>,
}

/// Facts files that describe quite different hosts.
const FACTS: &[&str] = &[
    "docker-web",
    "docker-29-iptables",
    "docker-29-nftables",
    "docker-dual-20.10",
    "docker-dual-28.5",
    "docker-unmanaged",
    "home",
    "libvirt",
    "plain",
    "podman-iptables",
    "podman-nftables",
    "vps",
    "default-route",
];

impl Writer {
    /// The policy of a number.
    pub fn policy(seed: u64, target: Target) -> Policy {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        // The first numbers of neighbouring seeds are alike.
        (0..8).for_each(|_| {
            random.below(2);
        });
        let mut writer = Self {
            random,
            target,
            sets: Vec::new(),
            interfaces: Vec::new(),
            services: Vec::new(),
            groups: Vec::new(),
            guests: Vec::new(),
            containers: Vec::new(),
            networks: Vec::new(),
        };
        let facts = if writer.one_in(3) { Some(writer.of(FACTS)) } else { None };
        let mut statements = vec![format!("target {}", if target == Target::Nft { "nft" } else { "iptables" })];
        writer.platforms(&mut statements);
        writer.declarations(&mut statements);
        for _ in 0..2 + writer.random.below(10) {
            let statement = writer.statement();
            statements.push(statement);
        }
        Policy { statements, facts }
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.random.below(number) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.random.below(list.len())]
    }

    fn pick(&mut self, list: &[String]) -> String {
        list[self.random.below(list.len())].clone()
    }

    /// A name that nothing has yet; a keyword of the tools now and then.
    fn name(&mut self, word: &str) -> String {
        if self.one_in(2) { format!("{word}{}", self.random.below(1000)) } else { self.of(NAMES).to_owned() }
    }

    fn platforms(&mut self, out: &mut Statements) {
        for platform in ["docker", "lxd", "incus", "libvirt", "podman", "tap", "kubernetes"] {
            let often = if platform == "docker" { 2 } else { 6 };
            if self.one_in(often) {
                out.push(format!("use {platform}"));
            }
        }
        if self.one_in(6) {
            out.push(
                self.of(&[
                    "use prelude except dhcp-client",
                    "use prelude except { invalid, loopback }",
                    "use prelude except established",
                ])
                .to_owned(),
            );
        }
        let settings = [
            "fact docker.userland-proxy = off",
            "fact docker.iptables = off",
            "fact docker.version = \"20.10.24\"",
            "fact docker.version = \"28.5.2\"",
            "fact docker.ip6tables = on",
            "fact sysctls.net.bridge.bridge-nf-call-iptables = 1",
        ];
        if self.one_in(3) {
            out.push(self.of(&settings).to_owned());
        }
    }

    fn declarations(&mut self, out: &mut Statements) {
        for word in ["wan", "lan", "vpn"] {
            if self.one_in(2) {
                let value = match self.random.below(4) {
                    0 => "default-route".to_owned(),
                    1 => format!("{{ {}, {} }}", self.of(INTERFACES), self.of(INTERFACES)),
                    _ => self.of(INTERFACES).to_owned(),
                };
                out.push(format!("interface {word} = {value}"));
                self.interfaces.push(word.to_owned());
            }
        }
        for _ in 0..self.random.below(4) {
            let name = self.name("set");
            let value = match self.random.below(8) {
                0 => "live".to_owned(),
                1 => format!(
                    "= {{ {} }}",
                    (0..40).map(|at| format!("198.18.{}.{}", at * 3, at * 5)).collect::<Vec<_>>().join(", ")
                ),
                2 => format!(
                    "= {{ {} }}",
                    (0..9).map(|at| format!("2001:db8:{at}::/{}", 40 + at * 9)).collect::<Vec<_>>().join(", ")
                ),
                3 if !self.interfaces.is_empty() => {
                    format!("= {{ {}, {} }}", self.of(IPV4), self.pick(&self.interfaces.clone()))
                }
                4 => format!("= not {{ {}, {} }}", self.of(IPV4), self.of(IPV6)),
                5 => format!("= {{ mac 02:00:00:00:00:0{}, mac 02:00:00:00:01:00 }}", self.random.below(10)),
                _ => format!("= {{ {}, {}, {} }}", self.of(IPV4), self.of(IPV4), self.of(IPV6)),
            };
            let separator = " ";
            out.push(format!("set {name}{separator}{value}"));
            self.sets.push(name);
        }
        if self.one_in(3) {
            let name = self.name("service");
            out.push(format!("service {name} = {}", self.of(SERVICES)));
            self.services.push(name);
        }
        if self.one_in(4) {
            let name = self.name("group");
            let rules: Vec<String> = (0..1 + self.random.below(3)).map(|_| format!("    {}", self.judge())).collect();
            out.push(format!("group {name} {{\n{}\n}}", rules.join("\n")));
            self.groups.push(name);
        }
        self.containers(out);
        for _ in 0..self.random.below(3) {
            if self.one_in(2) {
                self.guest(out);
            }
        }
    }

    fn containers(&mut self, out: &mut Statements) {
        if self.one_in(3) {
            let name = self.name("net");
            let bridge = self.of(&["br-app", "\"br-x+\"", "br0", "docker0"]);
            let address = self.of(&["", " address 172.18.0.0/16", " address { 172.19.0.0/16, fd00:19::/64 }"]);
            out.push(format!("network {name} on {bridge}{address}"));
            self.networks.push(name);
        }
        for _ in 0..self.random.below(3) {
            let name = self.name("web");
            let on = if self.networks.is_empty() { "bridge".to_owned() } else { self.pick(&self.networks.clone()) };
            let address = self.of(&["", " address 172.18.0.5", " address { 172.18.0.6, fd00:19::6 }"]);
            let mut publish = String::new();
            for _ in 0..self.random.below(3) {
                publish += " publish ";
                publish += self.of(&[
                    "tcp 80",
                    "tcp 8080 to 80",
                    "udp 53",
                    "tcp 7000-7010",
                    "tcp 443 at 203.0.113.10",
                    "tcp 444 at 2001:db8::10",
                    "sctp 99",
                    "tcp 5432 at 127.0.0.1",
                ]);
            }
            out.push(format!("container {name} on {on}{address}{publish}"));
            self.containers.push(name);
        }
    }

    fn guest(&mut self, out: &mut Statements) {
        let kind = self.of(&["guest", "instance"]);
        let name = self.name("vm");
        let number = self.random.below(9);
        let on = self.of(&["tap0i0", "tap1i0", "{ tap2i0, tap2i1 }", "lxdbr0", "virbr0", "vnet3", "\"veth+\""]);
        let mac = if self.one_in(2) { format!(" mac 02:00:00:00:07:0{number}") } else { String::new() };
        let address = match self.random.below(4) {
            0 => String::new(),
            1 => format!(" address {{ 192.0.2.1{number}, 2001:db8:2::{number} }}"),
            2 => " address 192.0.2.64/28".to_owned(),
            _ => format!(" address 192.0.2.1{number}"),
        };
        let mut lines = Vec::new();
        for _ in 0..self.random.below(4) {
            let direction = self.of(&["in", "out"]);
            let line = match self.random.below(5) {
                0 if !self.groups.is_empty() => format!("apply {}", self.pick(&self.groups.clone())),
                1 => format!("{} {}", self.of(CHANGES), self.of(SERVICES)),
                _ => {
                    let (action, service, options) = (self.action(), self.service(), self.options());
                    let clause = match direction {
                        "in" => format!(" from {}", self.who()),
                        _ => format!(" to {}", self.who()),
                    };
                    format!("{action} {service}{}{options}", if self.one_in(3) { String::new() } else { clause })
                }
            };
            lines.push(format!("    {direction} {line}"));
        }
        let head = format!("{kind} {name} on {on}{mac}{address}");
        out.push(if lines.is_empty() { head } else { format!("{head} {{\n{}\n}}", lines.join("\n")) });
        self.guests.push((kind, name));
    }

    fn action(&mut self) -> &'static str {
        self.of(&[
            "allow",
            "allow",
            "allow",
            "deny",
            "deny",
            "reject",
            "log",
            "reject with tcp-reset",
            "reject with host-unreachable",
            "reject with admin-prohibited",
            "reject with host-prohibited",
            "reject with network-unreachable",
            "reject with network-prohibited",
            "reject with port-unreachable",
        ])
    }

    fn service(&mut self) -> String {
        if !self.services.is_empty() && self.one_in(3) {
            self.pick(&self.services.clone())
        } else {
            self.of(SERVICES).to_owned()
        }
    }

    fn place(&mut self) -> String {
        let named = |list: &[String], word: &str, own: &mut Self| {
            if list.is_empty() { word.to_owned() } else { format!("{word} {}", own.pick(list)) }
        };
        match self.random.below(18) {
            0 => "any".to_owned(),
            1 | 2 => "world".to_owned(),
            3 | 4 => "host".to_owned(),
            5 => format!("host user {}", self.of(&["root", "33", "\"www-data\"", "nobody", "65534", "0"])),
            6 | 7 => self.of(IPV4).to_owned(),
            8 => self.of(IPV6).to_owned(),
            9 => format!("mac 02:00:00:00:00:0{}", self.random.below(10)),
            10 | 11 => named(&self.containers.clone(), "container", self),
            12 => named(&self.networks.clone(), "network", self),
            13 if !self.guests.is_empty() => {
                let (kind, name) = self.guests[self.random.below(self.guests.len())].clone();
                if self.one_in(2) { kind.to_owned() } else { format!("{kind} {name}") }
            }
            14 if !self.interfaces.is_empty() => self.pick(&self.interfaces.clone()),
            15 => self
                .of(&["internet", "private", "bogon", "loopback", "link-local", "multicast", "documentation"])
                .to_owned(),
            _ if !self.sets.is_empty() => self.pick(&self.sets.clone()),
            _ => "world".to_owned(),
        }
    }

    fn one(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(8) {
            text += "not ";
        }
        text += &self.place();
        if self.one_in(6) {
            text += &format!(" on {}", self.of(INTERFACES));
        }
        if self.one_in(8) {
            text += " at ";
            text += self.of(&["203.0.113.10", "2001:db8::10", "127.0.0.1", "192.168.2.1"]);
        }
        if self.one_in(8) {
            text += self.of(&[" direct", " inside"]);
        }
        text
    }

    fn who(&mut self) -> String {
        match self.random.below(6) {
            0 => format!("{{ {}, {} }}", self.one(), self.one()),
            1 => format!("not {{ {}, {} }}", self.place(), self.place()),
            _ => self.one(),
        }
    }

    fn clauses(&mut self) -> String {
        let mut text = String::new();
        if !self.one_in(3) {
            text += &format!(" from {}", self.who());
        }
        if !self.one_in(6) {
            text += &format!(" to {}", self.who());
        }
        if self.one_in(4) {
            let via = if self.interfaces.is_empty() || self.one_in(3) {
                self.of(INTERFACES).to_owned()
            } else {
                self.pick(&self.interfaces.clone())
            };
            text += &format!(" via {via}");
        }
        text
    }

    fn options(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(3) {
            text += &format!(" {}", self.of(OPTIONS));
        }
        if self.one_in(4) {
            text += " log";
            if self.one_in(2) {
                text += &format!(" \"{}\"", self.of(TEXTS));
            }
            if self.one_in(3) {
                text += &format!(
                    " level {}",
                    self.of(&["emerg", "alert", "crit", "err", "warn", "warning", "notice", "info", "debug"])
                );
            }
            if self.one_in(3) {
                text += &format!(" rate {}", self.of(&["1/second", "100/second", "7/minute", "1/day", "3/hour"]));
            }
        }
        if self.one_in(5) {
            let text_of = if self.one_in(6) {
                "x".repeat(self.of(&[100, 126, 127, 128, 240, 254, 255, 256]))
            } else {
                self.of(TEXTS).to_owned()
            };
            text += &format!(" comment \"{text_of}\"");
        }
        text
    }

    fn judge(&mut self) -> String {
        let service = if self.one_in(6) { String::new() } else { format!(" {}", self.service()) };
        format!("{}{service}{}{}", self.action(), self.clauses(), self.options())
    }

    fn statement(&mut self) -> String {
        match self.random.below(20) {
            0 => format!(
                "default {}{}{}",
                self.of(&["deny", "reject", "allow", "reject with tcp-reset"]),
                self.clauses(),
                self.options()
            ),
            1 | 2 => {
                let change = self.of(CHANGES);
                format!("{change} {}{}", self.service(), self.clauses())
            }
            3 => {
                let address = self.of(&["", "", " as 203.0.113.10", " as 2001:db8::10"]);
                let family = self.of(&["", "ipv4", "ipv6", "tcp 80", "udp"]);
                format!("masquerade {family}{}{address}", self.clauses())
            }
            4 => {
                let service = self.service();
                let at = self.of(&["", "", " at 203.0.113.10"]);
                let port = self.of(&["", " port 8080", " port 22"]);
                let to = self.of(&["192.168.2.5", "2001:db8:2::5", "192.0.2.11"]);
                format!("forward {service}{at} to {to}{}{port}{}", self.of(&["", " via eth0"]), self.options())
            }
            5 => {
                format!("redirect {} from {} to port {}", self.service(), self.who(), self.of(&["3128", "1", "65535"]))
            }
            6 | 7 => {
                let rules: Vec<String> = (0..1 + self.random.below(3))
                    .map(|_| format!("    {} {}{}", self.action(), self.service(), self.options()))
                    .collect();
                format!("from {} to {} {{\n{}\n}}", self.who(), self.who(), rules.join("\n"))
            }
            8 | 9 => {
                let pool = if self.target == Target::Nft { NFT_CHAINS } else { IPTABLES_CHAINS };
                let (place, line) = self.of(pool);
                format!("chain {place} {{\n    {line}\n}}")
            }
            _ => self.judge(),
        }
    }
}
