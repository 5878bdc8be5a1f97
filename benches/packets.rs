//! Packets per second through a policy of 10,000 lines `allow tcp PORT from ADDRESS`: without rules, as fwc emits it, and as
//! ferm does, for every program that loads rules. Needs root and `/dev/net/tun`.
//!
//! Each packet goes the whole road: it is written to one tap device and read from another. Two loads: `opening`, where every packet
//! begins a connection and so meets the rules; and `open`, where all belong to connections that are open already. A packet is
//! filtered in the very call that writes it, so that the processor time of the thread is what it costs; the clock counts what else the
//! machine does, too. All variants are loaded at once, each in a namespace of its own, and take turns, so that they meet the same
//! machine; each keeps its best turn.
//!
//! The same policy with `notrack` for what it lets through, and without the parts of the prelude that ask for connections, shows what
//! connection tracking costs: a router that filters and does not translate needs none.
//!
//! What is to be reached: 0.85 of the packets that pass without any rules. Without rules the kernel does not track connections either;
//! what tracking alone leaves is printed beside it, and what one rule with one set leaves that somebody wrote by hand for these
//! packets alone: nothing that asks a set can cost less.

#[path = "../tests/kernel/emitted.rs"]
mod emitted;
#[path = "../tests/kernel/namespace.rs"]
#[allow(dead_code)]
mod namespace;
#[path = "../tests/kernel/packet.rs"]
#[allow(dead_code)]
mod packet;
#[path = "../tests/kernel/tap.rs"]
mod tap;

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use emitted::{Backend, build, load};
use namespace::{HostPlan, Namespace, inside};
use nix::time::{ClockId, clock_gettime};
use packet::{ACK, Packet, Payload, SYN};

const LINES: u32 = 10_000;
const PACKETS: u32 = 60_000;
const ROUNDS: usize = 10;
/// Of the packets that pass without rules.
const REACH: f64 = 0.85;
const LOADS: [&str; 2] = ["opening", "open"];

fn plan() -> HostPlan {
    HostPlan::parse("ens33 203.0.113.10/24\neth1 192.168.2.1/24")
}

/// The address and the port of a line: spread, so that no two lines fold into one range.
fn line(number: u32) -> (Ipv4Addr, u16) {
    let address = Ipv4Addr::from(0x0a00_0000 + number * 1_103);
    (address, u16::try_from(1_024 + number * 7 % 40_000).expect("it is below 65,536"))
}

/// What a policy asks of connection tracking.
struct Policy {
    /// What it is called beside `fwc`.
    name: &'static str,
    /// What stands in front of the lines.
    head: &'static str,
    /// What stands behind them: the answers, where nothing is known of connections.
    tail: &'static str,
}

const ANSWERS: &str = "allow tcp from 192.168.2.0/24 to 10.0.0.0/8\n";

const POLICIES: [Policy; 3] = [
    Policy { name: "fwc", head: "interface lan = eth1\n\nto lan {\n", tail: "" },
    // To a network: what a card leads to is not known before routing.
    Policy {
        name: "fwc, `notrack`",
        head: "notrack tcp from 10.0.0.0/8 to 192.168.2.0/24\nto 192.168.2.0/24 {\n",
        tail: ANSWERS,
    },
    Policy {
        name: "fwc, stateless",
        head: "use prelude except { established, invalid }\ninterface lan = eth1\nto lan {\n",
        tail: ANSWERS,
    },
];

fn text(policy: &Policy) -> String {
    let mut text = String::from(policy.head);
    for number in 0..LINES {
        let (address, port) = line(number);
        writeln!(text, "    allow tcp {port} from {address}").expect("a String takes everything");
    }
    text + "}\n" + policy.tail
}

fn ferm() -> Option<String> {
    let mut text = String::from(
        "domain ip table filter chain FORWARD {\n    policy DROP;\n    mod conntrack ctstate (ESTABLISHED RELATED) ACCEPT;\n    outerface eth1 {\n",
    );
    for number in 0..LINES {
        let (address, port) = line(number);
        writeln!(text, "        proto tcp dport {port} saddr {address} ACCEPT;").expect("a String takes everything");
    }
    text += "    }\n}\n";
    let mut child = Command::new("ferm")
        .args(["--noexec", "--lines", "--noflush", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
    let output = child.wait_with_output().ok()?;
    writer.join().ok()?.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text + "\n")
}

/// The packets of a round, ready to be written: each from the address of some line, to its port.
fn packets(flags: u8) -> Vec<Vec<u8>> {
    (0..PACKETS)
        .map(|at| {
            let (source, port) = line(at.wrapping_mul(2_654_435_761) % LINES);
            let source_port = u16::try_from(1_024 + at % 60_000).expect("it is below 65,536");
            let payload = Payload::Tcp { source: source_port, destination: port, flags };
            Packet { source: source.into(), destination: Ipv4Addr::new(192, 168, 2, 9).into(), payload }.bytes(1, 64)
        })
        .collect()
}

/// Seconds that the processor has spent on this thread. (What `getrusage` tells is brought up to date once a tick.)
fn processor() -> f64 {
    let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("the kernel knows what a thread took");
    Duration::from(spent).as_secs_f64()
}

/// Packets per second.
#[derive(Clone, Copy, Default)]
struct Rate {
    /// Of processor time.
    processor: f64,
    /// By the clock.
    clock: f64,
}

impl Rate {
    fn best(self, other: Self) -> Self {
        Self { processor: self.processor.max(other.processor), clock: self.clock.max(other.clock) }
    }
}

/// Lets all packets go the road; how many came out, and how fast.
fn pass(namespace: &mut Namespace, packets: &[Vec<u8>]) -> (u32, Rate) {
    let mut passed = 0;
    let mut buffer = [0; 2048];
    let (start, before) = (Instant::now(), processor());
    for part in packets.chunks(32) {
        for packet in part {
            namespace.taps[0].write(packet, None).expect("a card that is up takes a packet");
        }
        while let Some(packet) = namespace.taps[1].read(&mut buffer) {
            // The kernel says a word of its own now and then (IGMP).
            passed += u32::from(packet.get(16..20) == Some(&[192, 168, 2, 9]));
        }
    }
    let per = |seconds: f64| f64::from(passed) / seconds;
    (passed, Rate { processor: per(processor() - before), clock: per(start.elapsed().as_secs_f64()) })
}

/// One turn: packets that open connections, and packets of these.
fn turn(namespace: &mut Namespace, name: &str, loads: &[Vec<Vec<u8>>; 2]) -> [Rate; 2] {
    namespace.forget_connections();
    let mut rates = [Rate::default(); 2];
    for (load, packets) in loads.iter().enumerate() {
        if load == 1 {
            establish(namespace);
        }
        let (passed, rate) = pass(namespace, packets);
        assert_eq!(passed, PACKETS, "{name}: not every packet came through");
        rates[load] = rate;
    }
    namespace.forget_connections();
    rates
}

/// What is loaded, and how.
struct Variant {
    name: String,
    prepare: Box<dyn Fn(&Namespace) + Send + Sync>,
}

impl Variant {
    fn new(name: impl Into<String>, prepare: impl Fn(&Namespace) + Send + Sync + 'static) -> Self {
        Self { name: name.into(), prepare: Box::new(prepare) }
    }

    /// Takes a turn whenever it is asked to, in a namespace of its own, until nobody asks any more.
    fn serve(&self, asked: Receiver<()>, answers: Sender<[Rate; 2]>) {
        let loads = [packets(SYN), packets(ACK)];
        inside(&self.name, &plan(), |namespace| {
            namespace.forget_rules();
            (self.prepare)(namespace);
            for () in asked {
                if answers.send(turn(namespace, &self.name, &loads)).is_err() {
                    return;
                }
            }
        });
    }
}

/// The best of each variant's turns; `None` for one that cannot be measured.
fn measure(variants: &[Variant]) -> Vec<Option<[Rate; 2]>> {
    std::thread::scope(|scope| {
        let served: Vec<(Sender<()>, Receiver<[Rate; 2]>)> = variants
            .iter()
            .map(|variant| {
                let ((ask, asked), (answers, answer)) = (channel(), channel());
                scope.spawn(move || variant.serve(asked, answers));
                (ask, answer)
            })
            .collect();
        let mut best = vec![Some([Rate::default(); 2]); variants.len()];
        for _ in 0..ROUNDS {
            for ((ask, answer), best) in served.iter().zip(&mut best) {
                let taken = ask.send(()).ok().and_then(|()| answer.recv().ok());
                *best = best.zip(taken).map(|([a, b], [c, d])| [a.best(c), b.best(d)]);
            }
        }
        best
    })
}

/// The other side answers every opened connection.
fn establish(namespace: &mut Namespace) {
    let mut buffer = [0; 2048];
    for at in 0..PACKETS {
        let (source, port) = line(at.wrapping_mul(2_654_435_761) % LINES);
        let source_port = u16::try_from(1_024 + at % 60_000).expect("it is below 65,536");
        let payload = Payload::Tcp { source: source_port, destination: port, flags: SYN };
        let packet = Packet { source: source.into(), destination: Ipv4Addr::new(192, 168, 2, 9).into(), payload };
        namespace.taps[1].write(&packet.reply().bytes(1, 64), None).expect("a card that is up takes a packet");
        if at % 32 == 0 {
            while namespace.taps[0].read(&mut buffer).is_some() {}
        }
    }
    while namespace.taps[0].read(&mut buffer).is_some() {}
}

fn row(name: &str, rates: [Rate; 2], bare: [Rate; 2], tracked: [Rate; 2]) {
    for (load, word) in LOADS.into_iter().enumerate() {
        let (rate, bare, tracked) = (rates[load], bare[load], tracked[load]);
        let reached = rate.processor / bare.processor;
        let late = if reached < REACH { "  misses" } else { "" };
        println!(
            "{name:<31} {word:<8} {:>10.0} {reached:>8.2} {:>12.2} {:>10.0} {:>8.2} {:>12.2}{late}",
            rate.processor,
            rate.processor / tracked.processor,
            rate.clock,
            rate.clock / bare.clock,
            rate.clock / tracked.clock,
        );
    }
}

const TRACKING: &str =
    "table inet tracking { chain f { type filter hook forward priority 0; ct state established accept; }; }";

fn main() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut variants = variants(directory.path());
    // `cargo bench --bench packets -- stateless`: those whose names have the word, beside no rules and tracking alone.
    if let Some(word) = std::env::args().skip(1).find(|word| !word.starts_with('-')) {
        let mut at = 0;
        variants.retain(|variant| {
            at += 1;
            at <= 2 || variant.name.contains(&word)
        });
    }
    let rates = measure(&variants);
    let (Some(&Some(bare)), Some(&Some(tracked))) = (rates.first(), rates.get(1)) else { return };
    println!(
        "packets per second through {LINES} rules, best of {ROUNDS} turns; to reach: {REACH} of no rules, by processor time\n"
    );
    println!(
        "{:<40} {:>10} {:>8} {:>12} {:>10} {:>8} {:>12}",
        "", "processor", "of none", "of tracking", "clock", "of none", "of tracking"
    );
    for (variant, rates) in variants.iter().zip(&rates) {
        match rates {
            Some(rates) => row(&variant.name, *rates, bare, tracked),
            None => println!("{}: not measured", variant.name),
        }
    }
}

/// No rules and connection tracking alone come first.
fn variants(directory: &Path) -> Vec<Variant> {
    let mut variants = vec![
        Variant::new("no rules", |_| {}),
        Variant::new("connection tracking alone", |namespace| {
            namespace.run("nft", &["-f", "-"], TRACKING).expect("the rule loads");
        }),
    ];
    for policy in &POLICIES {
        let path = directory.join("site.fw");
        std::fs::write(&path, text(policy)).expect("a file in a temporary directory");
        for &backend in Backend::ALL {
            let name = format!("{}, {backend:?}", policy.name);
            match build(&path, None, backend.target()) {
                Ok(files) => variants.push(Variant::new(name, move |namespace| {
                    load(namespace, &files, backend).unwrap_or_else(|error| panic!("{backend:?}: {error}"));
                })),
                Err(error) => println!("{name}: not built: {error}"),
            }
        }
    }
    variants.extend(by_hand());
    let Some(rules) = ferm() else {
        println!("skipped: ferm: it is not installed");
        return variants;
    };
    for &backend in Backend::IPTABLES {
        let rules = rules.clone();
        variants.push(Variant::new(format!("ferm, {backend:?}"), move |namespace| {
            let program = format!("iptables-{}-restore", backend.variant());
            namespace.run(&program, &["-w"], &rules).unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        }));
    }
    variants
}

/// One rule with one set, as somebody would write it who knows what packets will come.
fn by_hand() -> Vec<Variant> {
    const NAME: &str = "one set by hand";
    let lines = || (0..LINES).map(line);
    let nft = Variant::new(format!("{NAME}, {:?}", Backend::Nft), move |namespace| {
        let elements: Vec<String> = lines().map(|(address, port)| format!("{address} . tcp . {port}")).collect();
        let elements = elements.join(", ");
        let rules = format!(
            "table ip hand {{ set s {{ type ipv4_addr . inet_proto . inet_service; elements = {{ {elements} }}; }}
             chain f {{ type filter hook forward priority 0; policy drop; ip saddr . meta l4proto . th dport @s accept; }}; }}"
        );
        namespace.run("nft", &["-f", "-"], &rules).expect("the rules load");
    });
    let iptables = Backend::IPTABLES.iter().map(|&backend| {
        Variant::new(format!("{NAME}, {backend:?}"), move |namespace| {
            let mut set = String::from("create s hash:ip,port\n");
            for (address, port) in lines() {
                writeln!(set, "add s {address},tcp:{port}").expect("a String takes everything");
            }
            namespace.run("ipset", &["restore"], &set).expect("the set loads");
            let rules = "*filter\n:FORWARD DROP\n-A FORWARD -m set --match-set s src,dst -j ACCEPT\nCOMMIT\n";
            let program = format!("iptables-{}-restore", backend.variant());
            namespace.run(&program, &["-w"], rules).unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        })
    });
    iptables.chain([nft]).collect()
}
