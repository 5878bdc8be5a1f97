//! Real Docker daemons judge what fwc emits: real clients dial real containers, and who gets an answer is compared with what the
//! policy's sentences say. Each expectation names the rule of the language (`docs/language.md`) that decides it.
//!
//! The installed daemon runs with the other tests (`./test`). `FWC_DOCKER=live` (`./test --live`) adds the daemons of other Debian suites, which
//! are downloaded, and each setting of a daemon beside what is known of it; `FWC_DOCKER=all` (`./test --long`) all policies beside each setting.

mod built;
mod cases;
mod daemon;
mod dial;
mod dials;
mod matrix;
mod site;
mod steady;

use fwc::netfilter::Target;

use cases::{CASES, verdicts};
use daemon::{Daemon, Setup};
use dial::Dial;
use matrix::matrix;
use steady::steadiness;

/// What is tried beside a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The matrix, the expectations written by hand, and what happens over time.
    Whole,
    /// The matrix alone, of builds that know everything.
    Known,
}

fn judge(setup: Setup, extent: Extent) {
    let mut daemon = match Daemon::start(setup) {
        Ok(daemon) => daemon,
        Err(reason) => {
            println!("skipped: docker {}: {reason}", setup.name);
            return;
        }
    };
    let mut faults = match matrix(&daemon, extent == Extent::Whole) {
        Ok(tally) => tally.faults,
        Err(error) => vec![error],
    };
    if extent == Extent::Whole {
        faults.extend(verdicts(&daemon));
        faults.extend(steadiness(&mut daemon, &CASES[0], Target::Iptables));
        faults.extend(steadiness(&mut daemon, &CASES[5], Target::Nft));
    }
    drop(daemon);
    assert!(faults.is_empty(), "{} disagreements\n{}", faults.len(), faults.join("\n"));
}

/// Settings and daemons that are tried only when they are asked for: a whole one takes five minutes, what is known one and a half.
fn wanted(setup: Setup, extent: Extent) {
    let asked = std::env::var("FWC_DOCKER").unwrap_or_default();
    match asked.as_str() {
        "live" => judge(setup, extent),
        // What Docker does not write, the expectations by hand do not know.
        "all" if setup.iptables && setup.bridge_netfilter => judge(setup, Extent::Whole),
        "all" => judge(setup, extent),
        _ => println!("skipped: docker {}: FWC_DOCKER is neither `live` nor `all`", setup.name),
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
const TRIXIE: Setup = Setup { name: "trixie", suite: Some("trixie"), ..INSTALLED };
const SID: Setup = Setup { name: "sid", suite: Some("sid"), ..INSTALLED };

/// A test of its own for each daemon and setting.
macro_rules! daemons {
    ($($test:ident: $setup:expr, $extent:expr;)*) => {
        $(#[test]
        fn $test() {
            wanted($setup, $extent);
        })*
    };
}

daemons! {
    installed_with_ip6tables: Setup { name: "ip6tables", ip6tables: Some(true), ..INSTALLED }, Extent::Known;
    installed_without_proxy: Setup { name: "noproxy", userland_proxy: false, ..INSTALLED }, Extent::Known;
    installed_with_legacy_rules: Setup { name: "legacy", legacy: true, ..INSTALLED }, Extent::Known;
    installed_without_rules: Setup { name: "norules", iptables: false, ..INSTALLED }, Extent::Known;
    installed_without_bridge_netfilter: Setup { name: "nobridge", bridge_netfilter: false, ..INSTALLED }, Extent::Known;
    trixie_agrees: TRIXIE, Extent::Whole;
    trixie_with_ip6tables: Setup { name: "trixie-ip6tables", ip6tables: Some(true), ..TRIXIE }, Extent::Known;
    trixie_without_proxy: Setup { name: "trixie-noproxy", userland_proxy: false, ..TRIXIE }, Extent::Known;
    trixie_without_rules: Setup { name: "trixie-norules", iptables: false, ..TRIXIE }, Extent::Known;
    trixie_without_bridge_netfilter: Setup { name: "trixie-nobridge", bridge_netfilter: false, ..TRIXIE }, Extent::Known;
    sid_agrees: SID, Extent::Whole;
    sid_without_ip6tables: Setup { name: "sid-noip6tables", ip6tables: Some(false), ..SID }, Extent::Known;
    sid_without_proxy: Setup { name: "sid-noproxy", userland_proxy: false, ..SID }, Extent::Known;
    sid_without_rules: Setup { name: "sid-norules", iptables: false, ..SID }, Extent::Known;
    sid_without_bridge_netfilter: Setup { name: "sid-nobridge", bridge_netfilter: false, ..SID }, Extent::Known;
}

#[test]
fn installed_daemon_agrees() {
    judge(INSTALLED, Extent::Whole);
}

#[test]
fn a_dial_reads_as_it_is_written() {
    let dial = Dial::parse("peer 10.1.1.1 > udp 203.0.113.10 5353");
    assert!(dial.datagram && dial.source == Some("10.1.1.1".parse().expect("an address")) && dial.party == "peer");
}
