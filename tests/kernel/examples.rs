//! The kernel takes what every example comes to, for both targets and both variants of iptables, cold and again.

use super::emitted::{Backend, build, load};
use super::namespace::{HostPlan, inside};
use crate::examples::EXAMPLES;

/// Whether the kernel can do what an nft script asks of it; connection tracking on bridges is a module of its own.
fn lacks_bridge_conntrack(error: &str) -> bool {
    error.contains("Operation not supported") || error.contains("No such file or directory")
}

#[test]
fn every_example_is_loaded() {
    let plan = HostPlan::parse("eth0 203.0.113.10/24 2001:db8::10/64");
    for example in EXAMPLES {
        let policy = example.directory().join(example.policy);
        let facts = Some(example.directory().join("fwc.facts.json")).filter(|path| path.exists());
        for &backend in Backend::ALL {
            let name = format!("example {} ({}, {})", example.name, backend.target(), backend.variant());
            let files =
                build(&policy, facts.as_deref(), backend.target()).unwrap_or_else(|error| panic!("{name}: {error}"));
            let bridged = files.values().any(|text| text.contains("table bridge fwc {") && text.contains("ct state"));
            inside(&name, &plan, |namespace| {
                for _ in 0..2 {
                    match load(namespace, &files, backend) {
                        Ok(()) => {}
                        Err(error) if bridged && lacks_bridge_conntrack(&error) => {
                            println!("skipped: {name}: no connection tracking on bridges here");
                            return;
                        }
                        Err(error) => panic!("{name}: {error}"),
                    }
                }
            });
        }
    }
}
