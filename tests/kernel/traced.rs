//! `fwc trace` against the kernel: packets go through the rule sets of recorded hosts, and come out where the trace says.

use std::net::IpAddr;
use std::path::Path;

use fwc::host::{Host, load};
use fwc::packet::Field;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::simulate::{Outcome as Told, parse, trace};

use super::namespace::{HostPlan, inside};
use super::oracle::{Entry, Oracle, Outcome, Probe};
use super::packet::{Packet, Payload, SYN};

const CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    docker0 172.17.0.1/16 fd00:17::1/64
    br-app 172.18.0.1/16 fd00:18::1/64
    eth1 192.168.2.1/24 fd00:2::1/64";

fn recorded(host: &str, plan: &HostPlan) -> (Host, Vec<String>) {
    let texts = ["iptables.save", "ip6tables.save"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets").join(host).join(name);
        (path.clone(), std::fs::read_to_string(&path).expect("recorded"))
    });
    let roots =
        texts.iter().map(|(path, text)| Root { path: path.clone(), bytes: text.clone().into_bytes() }).collect();
    let mut host = load(&MemoryFileSystem::default(), roots, Vec::new(), Options::default()).expect("a host");
    host.cards.links.clear();
    host.cards.default_route = Some(plan.default_route.clone());
    for card in &plan.cards {
        for address in &card.addresses {
            host.cards.add(&card.name, *address);
        }
    }
    (host, texts.into_iter().map(|(_, text)| text).collect())
}

/// Packets from every card and from the host to every party, at ports that rules name and others.
fn probes(plan: &HostPlan, count: usize) -> Vec<Probe> {
    let parse = |list: &[&str]| list.iter().map(|text| text.parse::<IpAddr>().expect(text)).collect::<Vec<_>>();
    let four = parse(&[
        "203.0.113.1",
        "203.0.113.77",
        "203.0.113.10",
        "10.1.1.1",
        "172.17.0.2",
        "172.17.0.1",
        "172.18.0.2",
        "172.18.0.3",
        "192.168.2.9",
        "192.168.2.1",
        "198.51.100.9",
    ]);
    let six =
        parse(&["2001:db8::1", "2001:db8::10", "fd00:17::2", "fd00:18::2", "fd00:18::1", "fd00:2::9", "2001:db8:9::1"]);
    let ports = [22, 53, 80, 443, 5353, 7001, 7002, 8080, 8443, 9000, 25, 1];
    let mut state = 0x7ace_u64;
    let mut below = move |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("fits") % end
    };
    let mut list = Vec::new();
    while list.len() < count {
        let all = if below(3) == 0 { &six } else { &four };
        let (from, destination) = (below(plan.cards.len() + 1), all[below(all.len())]);
        let own = |card: usize| {
            plan.cards[card].addresses.iter().map(ipnet::IpNet::addr).find(|own| own.is_ipv4() == destination.is_ipv4())
        };
        let (entry, source) = if from == plan.cards.len() {
            let card = plan.cards.iter().position(|card| card.name == plan.route(destination)).expect("a card");
            (Entry::Host, own(card).expect("an address"))
        } else {
            (Entry::Card(from), all[below(all.len())])
        };
        // What no neighbour could send the kernel does not route.
        let strange = entry != Entry::Host && (plan.owns(source) || plan.route(source) != plan.cards[from].name);
        let back = entry != Entry::Host && !plan.owns(destination) && plan.route(destination) == plan.cards[from].name;
        if strange
            || back
            || plan.is_edge(source) && entry != Entry::Host
            || plan.is_edge(destination) && !plan.owns(destination)
        {
            continue;
        }
        if entry == Entry::Host && plan.owns(destination) {
            continue;
        }
        let (port, sport) = (ports[below(ports.len())], 20_000 + u16::try_from(list.len() % 40_000).expect("small"));
        let payload = match below(5) {
            0 | 1 => Payload::Udp { source: sport, destination: port },
            2 if destination.is_ipv4() => Payload::Icmp { kind: 8, code: 0, id: sport },
            _ => Payload::Tcp { source: sport, destination: port, flags: SYN },
        };
        list.push(Probe { entry, packet: Packet { source, destination, payload }, mac: None });
    }
    list
}

fn words(probe: &Probe, plan: &HostPlan) -> String {
    let Packet { source, destination, payload } = probe.packet;
    let end = |address: IpAddr, port: u16| std::net::SocketAddr::new(address, port).to_string();
    let packet = match payload {
        Payload::Tcp { source: from, destination: to, .. } => {
            format!("tcp {} -> {}", end(source, from), end(destination, to))
        }
        Payload::Udp { source: from, destination: to } => {
            format!("udp {} -> {}", end(source, from), end(destination, to))
        }
        Payload::Icmp { kind, code, .. } => format!("icmp {kind}/{code} {source} -> {destination}"),
        other => panic!("{other:?}"),
    };
    match probe.entry {
        Entry::Card(card) => format!("{packet} in {}", plan.cards[card].name),
        Entry::Host => format!("{packet} from host"),
    }
}

/// `open`: of how many packets in a hundred, at most, the outcome may rest on what counts.
fn agrees(name: &str, path: &str, open: usize) {
    let plan = HostPlan::parse(CARDS);
    inside(name, &plan, |namespace| {
        let (host, texts) = recorded(path, &plan);
        for (program, text) in ["iptables-nft-restore", "ip6tables-nft-restore"].into_iter().zip(&texts) {
            namespace.run(program, &["-w"], text).expect("the rules load");
        }
        let probes = probes(&plan, 3_000);
        let outcomes = Oracle::new(namespace).judge(&probes);
        let (mut possibly, mut tally) = (0, std::collections::BTreeMap::new());
        for (probe, outcome) in probes.iter().zip(outcomes) {
            let packet = words(probe, &plan);
            let way = trace(&host, &parse(&packet).expect(&packet)).expect(&packet);
            if !way.doubts.is_empty() {
                possibly += 1;
                continue;
            }
            let same = match (&way.outcome, outcome) {
                (Told::Delivered, Outcome::Delivered)
                | (Told::Dropped, Outcome::Dropped)
                | (Told::Rejected(_), Outcome::Rejected) => true,
                (Told::Left(Some(name)), Outcome::Left { card, destination, port }) => {
                    let told = way.packet.get(Field::DESTINATION);
                    let number = match destination {
                        IpAddr::V4(address) => u128::from(u32::from(address)),
                        IpAddr::V6(address) => u128::from(address),
                    };
                    plan.cards[card].name == *name
                        && told == Some(number)
                        && port.is_none_or(|port| way.packet.get(Field::DESTINATION_PORT) == Some(u128::from(port)))
                }
                _ => false,
            };
            assert!(same, "{packet}: the kernel says {outcome:?}, the trace {:?}", way.outcome);
            let kind = format!("{:?}", way.outcome).split('(').next().unwrap_or_default().to_owned();
            *tally.entry(kind).or_insert(0) += 1;
        }
        println!("{path}: {tally:?}, possibly {possibly}");
        assert!(tally.len() >= 3 && possibly * 100 <= probes.len() * open, "{tally:?}, possibly {possibly}");
    });
}

#[test]
fn trace_agrees_with_the_kernel_on_a_docker_host() {
    agrees("trace_agrees_with_the_kernel_on_a_docker_host", "docker-28.5/b-web", 0);
}

#[test]
fn trace_agrees_with_the_kernel_on_an_older_docker_host() {
    agrees("trace_agrees_with_the_kernel_on_an_older_docker_host", "docker-20.10/b-web", 0);
}

#[test]
fn trace_agrees_with_the_kernel_on_a_ufw_host() {
    agrees("trace_agrees_with_the_kernel_on_a_ufw_host", "ufw-0.36/c-route", 25);
}
