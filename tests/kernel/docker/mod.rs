//! Real Docker daemons judge what fwc emits: real clients dial real containers, and who gets an answer is compared with what the
//! policy's sentences say. Each expectation names the rule of the language (`docs/language.md`) that decides it.
//!
//! The installed daemon runs with the other tests. `FWC_DOCKER=all` adds its other set-ups and the daemons of other Debian suites,
//! which are downloaded.

mod built;
mod cases;
mod daemon;
mod dial;
mod dials;
mod matrix;
mod site;
mod steady;

use cases::verdicts;
use daemon::{Daemon, Setup};
use dial::Dial;
use matrix::matrix;
use steady::steadiness;

fn judge(setup: Setup) {
    let mut daemon = match Daemon::start(setup) {
        Ok(daemon) => daemon,
        Err(reason) => {
            println!("skipped: docker {}: {reason}", setup.name);
            return;
        }
    };
    let mut faults = match matrix(&daemon, &[]) {
        Ok(tally) => tally.faults,
        Err(error) => vec![error],
    };
    faults.extend(verdicts(&daemon));
    faults.extend(steadiness(&mut daemon));
    drop(daemon);
    assert!(faults.is_empty(), "{} disagreements\n{}", faults.len(), faults.join("\n"));
}

/// Other set-ups, and daemons that are downloaded, run only when they are asked for: each takes a minute.
fn wanted(setup: Setup) {
    if std::env::var("FWC_DOCKER").as_deref() == Ok("all") {
        judge(setup);
    } else {
        println!("skipped: docker {}: FWC_DOCKER is not `all`", setup.name);
    }
}

const INSTALLED: Setup = Setup {
    name: "installed",
    suite: None,
    userland_proxy: true,
    ip6tables: None,
    iptables: true,
    bridge_netfilter: true,
    legacy: false,
};

#[test]
fn installed_daemon_agrees() {
    judge(INSTALLED);
}

#[test]
fn installed_daemon_with_ip6tables_agrees() {
    wanted(Setup { name: "ip6tables", ip6tables: Some(true), ..INSTALLED });
}

#[test]
fn installed_daemon_without_proxy_agrees() {
    wanted(Setup { name: "noproxy", userland_proxy: false, ..INSTALLED });
}

#[test]
fn installed_daemon_with_legacy_rules_agrees() {
    wanted(Setup { name: "legacy", legacy: true, ..INSTALLED });
}

#[test]
fn trixie_daemon_agrees() {
    wanted(Setup { name: "trixie", suite: Some("trixie"), ..INSTALLED });
}

#[test]
fn sid_daemon_agrees() {
    wanted(Setup { name: "sid", suite: Some("sid"), ..INSTALLED });
}

#[test]
fn sid_daemon_without_proxy_agrees() {
    wanted(Setup { name: "sid-noproxy", suite: Some("sid"), userland_proxy: false, ..INSTALLED });
}

#[test]
fn a_dial_reads_as_it_is_written() {
    let dial = Dial::parse("peer 10.1.1.1 > udp 203.0.113.10 5353");
    assert!(dial.datagram && dial.source == Some("10.1.1.1".parse().expect("an address")) && dial.party == "peer");
}
