//! The kernel takes what every example comes to, for both targets and both variants of iptables, cold and again.

use super::emitted::{Backend, build, load};
use super::namespace::{HostPlan, Namespace, inside};
use crate::examples::EXAMPLES;

/// Whether the kernel tracks connections on bridges; that is a module of its own.
fn tracks_on_bridges(namespace: &Namespace) -> bool {
    let probe = "table bridge probe { chain probe { ct state established accept; }; }\ndelete table bridge probe\n";
    namespace.run("nft", &["-f", "-"], probe).is_ok()
}

#[test]
fn every_example_is_loaded() {
    let plan = HostPlan::parse("eth0 203.0.113.10/24 2001:db8::10/64");
    for example in EXAMPLES {
        let policy = example.directory().join(example.policy);
        let facts = Some(example.directory().join("fwc.facts.json")).filter(|path| path.exists());
        for &backend in Backend::ALL {
            let name = format!("example {} ({}, {})", example.name, backend.target(), backend.variant());
            let files = build(&policy, facts.as_deref(), backend.target());
            let files = files.unwrap_or_else(|said| panic!("{name}: {said}"));
            let bridged = files.values().any(|text| text.contains("table bridge fwc {") && text.contains("ct state"));
            inside(&name, &plan, |namespace| {
                if bridged && !tracks_on_bridges(namespace) {
                    println!("skipped: {name}: no connection tracking on bridges here");
                    return;
                }
                for _ in 0..2 {
                    load(namespace, &files, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
                }
            });
        }
    }
}
