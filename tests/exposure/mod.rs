//! The exposure table against the ways of single packets: what a row says arrives, and what arrives some row says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use fwc::exposure::{Certainty, Effort, Report, Row, Section, Service, ThroughKind, Wanted, expose};
use fwc::host::{Host, load};
use fwc::net::Family;
use fwc::netfilter::{MatchKind, Verdict};
use fwc::packet::field::name_number;
use fwc::policy::Class;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome, Stage, parse, trace};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn root(path: &str) -> Root {
    let path = data(path);
    Root { bytes: std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())), path }
}

/// A host at 203.0.113.10 and 2001:db8::10 on eth0, and 192.168.2.1 on eth1.
fn host(roots: Vec<Root>, beside: Vec<Root>) -> Host {
    let mut host = load(&MemoryFileSystem::default(), roots, beside, Options::default())
        .unwrap_or_else(|refused| panic!("{refused:?}"));
    for (card, address) in [("eth0", "203.0.113.10/24"), ("eth0", "2001:db8::10/64"), ("eth1", "192.168.2.1/24")] {
        host.cards.add(card, address.parse().expect("a network"));
    }
    host.cards.default_route = Some("eth0".to_owned());
    host
}

fn recorded(names: &[&str]) -> Vec<Root> {
    names.iter().map(|name| root(&format!("tests/data/rulesets/{name}"))).collect()
}

/// xorshift64*.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("fits") % end
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    /// An address of a range, often its first or last.
    fn among(&mut self, first: IpAddr, last: IpAddr) -> IpAddr {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let (first, last) = (u32::from(first), u32::from(last));
                let span = u64::from(last - first) + 1;
                let more = u32::try_from(self.next() % span).expect("fits");
                IpAddr::V4(Ipv4Addr::from(self.of(&[first, last, first + more])))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let (first, last) = (u128::from(first), u128::from(last));
                let more = (u128::from(self.next()) << 64 | u128::from(self.next())) % (last - first).max(1);
                IpAddr::V6(Ipv6Addr::from(self.of(&[first, last, first + more])))
            }
            _ => first,
        }
    }
}

/// A connection's first packet.
#[derive(Clone, Debug)]
struct First {
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    port: u16,
    card: String,
}

impl First {
    fn family(&self) -> Family {
        Family::of(self.source)
    }

    fn words(&self) -> String {
        let end = |address: IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
        let name = match self.protocol {
            6 => "tcp",
            17 => "udp",
            _ => "ping",
        };
        if name == "ping" {
            return format!("ping {} -> {} in {}", self.source, self.destination, self.card);
        }
        format!("{name} {} -> {} in {}", end(self.source, 40_001), end(self.destination, self.port), self.card)
    }

    fn is(&self, service: &Service) -> bool {
        let echo = if self.family() == Family::Ipv4 { 8 } else { 128 };
        let protocol = match self.protocol {
            1 if self.family() == Family::Ipv6 => 58,
            other => other,
        };
        service.protocol.is_none_or(|known| known == protocol)
            && !service.but.contains(&protocol)
            && service
                .ports
                .is_none_or(|(first, last)| (first..=last).contains(&self.port) && protocol != 58 && protocol != 1)
            && service.icmp.is_none_or(|(kind, _)| kind == echo && (protocol == 1 || protocol == 58))
    }

    fn is_in(&self, row: &Row) -> bool {
        row.families.contains(&self.family())
            && row.sources.contains(self.source)
            && row.dialled.contains(self.destination)
            && row.cards.as_ref().is_none_or(|cards| cards.contains(name_number(&self.card)))
            && row.services.iter().any(|service| self.is(service))
            && !row.except.iter().any(|service| self.is(service))
    }
}

/// What becomes of it: who gets it, whether that is certain, and whether its destination was translated.
fn way(host: &Host, packet: &First) -> (Option<Class>, bool, bool) {
    let question = parse(&packet.words()).unwrap_or_else(|fault| panic!("{}: {fault:?}", packet.words()));
    let trace = trace(host, &question).expect("a way");
    let translated = trace.stages.iter().any(|stage| match stage {
        Stage::Hook(stage) => matches!(stage.verdict, Some(Verdict::Dnat { .. } | Verdict::Redirect(_))),
        Stage::Routing(_) => false,
    });
    let whose = match &trace.outcome {
        Outcome::Delivered => Some(Class::Host),
        Outcome::Left(_) => Some(Class::Outside),
        _ => None,
    };
    (whose, trace.doubts.is_empty(), translated)
}

/// Whether a row's target is where a packet came. What a proxy takes in for a container comes to this host first.
fn same_end(row: &Row, whose: Class) -> bool {
    let proxied = row.remarks.iter().any(|remark| remark.contains("docker-proxy"));
    proxied || (row.to.class == Class::Host) == (whose == Class::Host)
}

/// Whether it shows in a row by which card packets leave: a packet that is only routed leaves where routing says.
fn is_settled(row: &Row) -> bool {
    let translated = row.through.iter().any(|through| through.kind == ThroughKind::Translation);
    row.from.class != Class::Host && (row.to.class == Class::Host || translated)
}

/// Addresses and ports that a host's rules speak of, their neighbours, and a few of others.
fn interesting(host: &Host) -> (Vec<IpAddr>, Vec<u16>, Vec<String>) {
    let mut addresses: Vec<IpAddr> = [
        "203.0.113.10",
        "198.51.100.7",
        "10.1.1.1",
        "192.168.2.9",
        "2001:db8::10",
        "2001:db8:ffff::7",
        "fd00::7",
        "fe80::1",
    ]
    .iter()
    .map(|text| text.parse().expect("an address"))
    .collect();
    let mut ports = vec![22, 80, 443, 8080, 5000];
    let mut cards = vec!["eth0".to_owned(), "eth1".to_owned(), "wg7".to_owned()];
    let rules = host.ruleset.tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    for item in rules.flat_map(|rule| &rule.matches) {
        match &item.kind {
            MatchKind::Source(set) | MatchKind::Destination(set) => {
                addresses.extend(set.ranges().iter().take(4).flat_map(|range| [range.first, range.last]));
            }
            MatchKind::DestinationPort(set) | MatchKind::OriginalDestinationPort(set) => {
                ports.extend(
                    set.ranges().iter().flat_map(|range| [range.first, range.last, range.last.saturating_add(1)]),
                );
            }
            MatchKind::InInterface(list) => {
                cards.extend(list.iter().filter(|card| !card.prefix).map(|card| card.name.clone()));
            }
            _ => {}
        }
    }
    cards.retain(|card| card != "lo");
    cards.sort();
    cards.dedup();
    (addresses, ports, cards)
}

/// Whether something of a packet is no business of the table: for many, or from where nothing comes.
fn is_odd(packet: &First) -> bool {
    let odd = |address: IpAddr| {
        address.is_multicast()
            || address.is_loopback()
            || address.is_unspecified()
            || address == IpAddr::V4(Ipv4Addr::BROADCAST)
    };
    let own = ["203.0.113.10", "192.168.2.1", "2001:db8::10"];
    odd(packet.source) || odd(packet.destination) || own.iter().any(|own| packet.source.to_string() == *own)
}

#[derive(Debug, Default)]
struct Count {
    allowed: usize,
    denied: usize,
    rows: usize,
    points: usize,
}

fn agree(name: &str, host: &Host, seed: u64) -> Count {
    let report = expose(host, Wanted { inside: true, outbound: true }, Effort::default());
    assert!(report.unknown.is_empty(), "{name}: {:?}", report.unknown);
    let mut chance = Chance(seed);
    let mut count = Count::default();
    points(name, host, &report, &mut chance, &mut count);
    let (addresses, ports, cards) = interesting(host);
    for _ in 0..1_500 {
        let source = chance.of(&addresses);
        let alike: Vec<IpAddr> =
            addresses.iter().copied().filter(|one| Family::of(*one) == Family::of(source)).collect();
        let packet = First {
            protocol: chance.of(&[6, 6, 6, 17, 17, 1]),
            source,
            destination: chance.of(&alike),
            port: chance.of(&ports),
            card: chance.of(&cards),
        };
        if is_odd(&packet) || !host.families.contains(&packet.family()) {
            continue;
        }
        let (whose, certain, translated) = way(host, &packet);
        let inside = |row: &&&Row| is_settled(row) && row.services.iter().all(|service| service.besides.is_empty());
        let telling: Vec<&Row> = report.rows.iter().filter(|row| packet.is_in(row)).collect();
        match whose {
            Some(whose) => {
                count.allowed += 1;
                let told = telling.iter().any(|row| same_end(row, whose));
                assert!(told || !certain, "{name}: `{}` arrives, and no row says so", packet.words());
            }
            None => {
                count.denied += 1;
                let promised = telling.iter().filter(inside).find(|row| {
                    row.certainty == Certainty::Certain
                        && row.limits.is_empty()
                        && !(translated && row.through.iter().all(|through| through.kind != ThroughKind::Translation))
                });
                assert!(
                    promised.is_none() || !certain,
                    "{name}: `{}` is stopped, and a row promises it: {promised:?}",
                    packet.words()
                );
            }
        }
    }
    count
}

/// Packets of each row that is certain arrive where it says.
fn points(name: &str, host: &Host, report: &Report, chance: &mut Chance, count: &mut Count) {
    let (_, _, mentioned) = interesting(host);
    let rows = report.rows.iter().filter(|row| is_settled(row));
    for row in rows.filter(|row| row.certainty == Certainty::Certain && row.limits.is_empty()) {
        count.rows += 1;
        for _ in 0..12 {
            let service = chance.of(&row.services);
            let protocol = match service.protocol {
                None if service.but.is_empty() => chance.of(&[6, 17, 1]),
                Some(58 | 1) => 1,
                Some(number @ (6 | 17)) => number,
                _ => continue,
            };
            let range = chance.of(&row.sources.ranges());
            let source = chance.among(range.first, range.last);
            let alike: Vec<_> =
                row.dialled.ranges().iter().filter(|one| one.family() == Family::of(source)).copied().collect();
            let own: IpAddr =
                if source.is_ipv4() { "203.0.113.10" } else { "2001:db8::10" }.parse().expect("an address");
            let destination =
                if row.dialled.contains(own) && row.section == Section::Inbound && row.to.class != Class::Outside {
                    own
                } else if let [_, ..] = alike.as_slice() {
                    let range = chance.of(&alike);
                    chance.among(range.first, range.last)
                } else {
                    continue;
                };
            let (first, last) = service.ports.unwrap_or((1, 65_535));
            let between = first + u16::try_from(chance.below(usize::from(last - first) + 1)).expect("fits");
            let port = chance.of(&[first, last, between]);
            let cards: Vec<String> = mentioned
                .iter()
                .filter(|card| row.cards.as_ref().is_none_or(|cards| cards.contains(name_number(card))))
                .cloned()
                .collect();
            if cards.is_empty() {
                continue;
            }
            let packet = First { protocol, source, destination, port, card: chance.of(&cards) };
            if is_odd(&packet) || !packet.is_in(row) || !service.besides.is_empty() {
                continue;
            }
            let (whose, certain, translated) = way(host, &packet);
            // What is translated elsewhere never comes to the rest of everything.
            let elsewhere = translated
                && row
                    .through
                    .iter()
                    .all(|through| through.kind == ThroughKind::End || through.kind == ThroughKind::Rule);
            count.points += 1;
            let right = whose.is_some_and(|whose| same_end(row, whose));
            assert!(
                right || elsewhere || !certain,
                "{name}: `{}` is in a row, and comes to {whose:?}: {row:#?}",
                packet.words()
            );
        }
    }
}

#[test]
fn what_arrives_is_told_and_what_is_told_arrives() {
    let pairs: [(&str, &[&str]); 10] = [
        ("docker 28", &["docker-28.5/b-web/iptables.save", "docker-28.5/b-web/ip6tables.save"]),
        ("docker 28, IPv6", &["docker-28.5/c-ipv6/iptables.save", "docker-28.5/c-ipv6/ip6tables.save"]),
        ("docker 20", &["docker-20.10/b-web/iptables.save", "docker-20.10/b-web/ip6tables.save"]),
        ("docker 29", &["docker-29/iptables/usernet-portmap.rules"]),
        ("ufw", &["ufw-0.36/b-typical/iptables.save", "ufw-0.36/b-typical/ip6tables.save"]),
        ("firewalld", &["firewalld-2.3-nftables/c-forwarding/nft.txt"]),
        ("podman", &["podman-5.8-netavark-nftables/b-web/nft.txt"]),
        ("podman 6", &["podman-6.0-netavark-2.1-nftables/d-isolation/nft.txt"]),
        ("libvirt", &["libvirt-11.3-iptables/b-more/iptables.save"]),
        ("lxd", &["lxd-5.0-nft/b-forward/nft.txt"]),
    ];
    let mut whole = Count::default();
    for (number, (name, files)) in (1u64..).zip(pairs) {
        let host = host(recorded(files), Vec::new());
        let count = agree(name, &host, 0xfeed_0000 + number);
        whole.allowed += count.allowed;
        whole.denied += count.denied;
        whole.rows += count.rows;
        whole.points += count.points;
    }
    assert!(whole.allowed > 1_000 && whole.denied > 1_000 && whole.rows > 40 && whole.points > 300, "{whole:?}");
}

#[test]
fn a_policy_beside_what_was_recorded_is_told_as_it_works() {
    let policy = "use docker\ninterface wan = eth0\ninterface lan = eth1\nset office = { 198.51.100.0/24, 2001:db8:1::/48 }\n\
                  to host {\n    allow ping\n    allow ssh from { office, lan }\n    deny from 10.1.1.1\n    allow https\n}\n\
                  allow tcp 8080 from office to container via wan\nallow udp 5353 to container via lan\n";
    let file = Root { path: PathBuf::from("site.fw"), bytes: policy.as_bytes().to_vec() };
    let beside = recorded(&["docker-28.5/b-web/iptables.save", "docker-28.5/b-web/ip6tables.save"]);
    let host = host(vec![file], beside);
    let count = agree("policy", &host, 0xbeef);
    assert!(count.allowed > 100 && count.denied > 300 && count.rows > 5 && count.points > 40, "{count:?}");
}

#[test]
fn what_takes_too_much_work_is_said_to_be_unknown() {
    let host = host(recorded(&["docker-28.5/b-web/iptables.save"]), Vec::new());
    let report = expose(&host, Wanted::default(), Effort(3));
    assert!(report.unknown.iter().any(|text| text.contains("from outside to host")), "{:?}", report.unknown);
}

#[test]
fn what_a_connection_mark_lets_in_is_said_without_a_doubt() {
    // The mark is set where the destination is translated, and asked for where the packet is forwarded.
    let rules = "*nat\n:PREROUTING ACCEPT [0:0]\n\
                 -A PREROUTING -d 203.0.113.10/32 -p tcp -m tcp --dport 8080 -j CONNMARK --set-xmark 0x10/0x10\n\
                 -A PREROUTING -d 203.0.113.10/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.168.2.9:80\n\
                 -A PREROUTING -d 203.0.113.10/32 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 192.168.2.9:81\nCOMMIT\n\
                 *filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A FORWARD -m connmark --mark 0x10/0x10 -j ACCEPT\nCOMMIT\n";
    let root = Root { path: PathBuf::from("rules.v4"), bytes: rules.as_bytes().to_vec() };
    let report = expose(&host(vec![root], Vec::new()), Wanted { inside: true, outbound: true }, Effort::default());
    let said: Vec<_> = report.rows.iter().map(|row| (format!("{:?}", row.services), &row.certainty)).collect();
    assert!(report.rows.iter().any(|row| row.certainty == Certainty::Certain), "{said:?}");
    assert!(report.rows.iter().all(|row| row.certainty == Certainty::Certain), "{said:?}");
    assert_eq!(report.unknown, Vec::<String>::new());
}
