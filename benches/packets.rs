//! Packets per second through a policy of 10,000 lines `allow tcp PORT from ADDRESS`: without rules, as fwc emits it, and as
//! ferm does, for every program that loads rules. Needs root and `/dev/net/tun`.
//!
//! Each packet is written to one tap device and read from another. Seconds are those that the processor spent on this: a packet is
//! filtered in the very call that writes it, and what else the machine does meanwhile says nothing about rules. Two loads: `open`, where every packet begins a connection
//! and so meets the rules; and `established`, where all belong to connections that are open already.

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

use emitted::{Backend, Files, build, load};
use namespace::{HostPlan, Namespace, inside};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use packet::{ACK, Packet, Payload, SYN};

const LINES: u32 = 10_000;
const PACKETS: u32 = 60_000;
const ROUNDS: usize = 5;

fn plan() -> HostPlan {
    HostPlan::parse("ens33 203.0.113.10/24\neth1 192.168.2.1/24")
}

/// The address and the port of a line: spread, so that no two lines fold into one range.
fn line(number: u32) -> (Ipv4Addr, u16) {
    let address = Ipv4Addr::from(0x0a00_0000 + number * 1_103);
    (address, u16::try_from(1_024 + number * 7 % 40_000).expect("it is below 65,536"))
}

fn policy() -> String {
    let mut text = String::from("interface wan = ens33\ninterface lan = eth1\n\nto lan {\n");
    for number in 0..LINES {
        let (address, port) = line(number);
        writeln!(text, "    allow tcp {port} from {address}").expect("a String takes everything");
    }
    text + "}\n"
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

/// Seconds that the processor has spent on this thread.
fn processor() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("the kernel knows what a thread took");
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

/// Writes all packets; how many came out, and how many seconds of the processor it took.
fn pass(namespace: &mut Namespace, packets: &[Vec<u8>]) -> (u32, f64) {
    let mut passed = 0;
    let mut buffer = [0; 2048];
    let start = processor();
    for part in packets.chunks(32) {
        for packet in part {
            namespace.taps[0].write(packet, None).expect("a card that is up takes a packet");
        }
        while let Some(packet) = namespace.taps[1].read(&mut buffer) {
            // The kernel says a word of its own now and then (IGMP).
            passed += u32::from(packet.get(16..20) == Some(&[192, 168, 2, 9]));
        }
    }
    (passed, processor() - start)
}

/// Packets per second that open connections, and that belong to open ones: the best of some rounds.
fn measure(namespace: &mut Namespace, name: &str) -> [f64; 2] {
    let (opening, following) = (packets(SYN), packets(ACK));
    let mut best = [0f64; 2];
    for _ in 0..ROUNDS {
        namespace.forget_connections();
        for (load, packets) in [&opening, &following].into_iter().enumerate() {
            if load == 1 {
                establish(namespace);
            }
            let (passed, seconds) = pass(namespace, packets);
            assert_eq!(passed, PACKETS, "{name}: not every packet came through");
            best[load] = best[load].max(f64::from(passed) / seconds);
        }
    }
    best
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

fn row(name: &str, rates: [f64; 2], bare: [f64; 2], tracked: [f64; 2]) {
    println!(
        "{name:<32} open {:>9.0}/s {:>5.2} of no rules {:>5.2} of tracking alone   established {:>9.0}/s {:>5.2} {:>5.2}",
        rates[0],
        rates[0] / bare[0],
        rates[0] / tracked[0],
        rates[1],
        rates[1] / bare[1],
        rates[1] / tracked[1]
    );
}

const TRACKING: &str =
    "table inet tracking { chain f { type filter hook forward priority 0; ct state established accept; }; }";

fn main() {
    let measured = |name: &str, prepare: &(dyn Fn(&Namespace) + Sync)| {
        inside(name, &plan(), |namespace| {
            prepare(namespace);
            measure(namespace, name)
        })
    };
    // The namespace's own setting up needs tracking once; without any rule that asks for it the kernel turns it off again.
    let untracked = |namespace: &Namespace| {
        namespace.run("nft", &["flush", "ruleset"], "").expect("it can be emptied");
    };
    let Some(bare) = measured("no rules", &untracked) else { return };
    let tracking = |namespace: &Namespace| {
        namespace.run("nft", &["-f", "-"], TRACKING).expect("the rule loads");
    };
    let Some(tracked) = measured("tracking alone", &tracking) else { return };
    row("no rules", bare, bare, tracked);
    row("connection tracking alone", tracked, bare, tracked);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, policy()).expect("a file in a temporary directory");
    for &backend in Backend::ALL {
        let name = format!("fwc, {backend:?}");
        match build_for(&path, backend) {
            Ok(files) => {
                let prepare = |namespace: &Namespace| {
                    load(namespace, &files, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
                };
                if let Some(rates) = measured(&name, &prepare) {
                    row(&name, rates, bare, tracked);
                }
            }
            Err(error) => println!("{name}: not built: {error}"),
        }
    }
    let Some(rules) = ferm() else {
        println!("skipped: ferm: it is not installed");
        return;
    };
    for &backend in Backend::IPTABLES {
        let name = format!("ferm, {backend:?}");
        let prepare = |namespace: &Namespace| {
            let program = format!("iptables-{}-restore", backend.variant());
            namespace.run(&program, &["-w"], &rules).unwrap_or_else(|error| panic!("{name}: {error}"));
        };
        if let Some(rates) = measured(&name, &prepare) {
            row(&name, rates, bare, tracked);
        }
    }
}

fn build_for(path: &Path, backend: Backend) -> Result<Files, String> {
    build(path, None, backend.target())
}
