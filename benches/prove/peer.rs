//! Capirca (`pip install capirca`), which finds terms that one earlier term shadows. It compares every term with all before it.

use std::fmt::Write as _;

use super::measure::{Taken, best};
use super::policies::line;

/// A list of more rules takes it minutes.
pub const MOST: u32 = 1_000;

/// Processor time that looking for shadowed terms takes in a list of so many: with it less without it.
pub fn shadowed(rules: u32) -> Option<Taken> {
    let directory = tempfile::tempdir().ok()?;
    let (mut networks, mut services) = (String::new(), String::new());
    let mut terms = String::from("header {\n  target:: iptables FORWARD\n}\n");
    for number in 0..rules {
        let (address, port) = line(number);
        writeln!(networks, "A{number} = {address}/32").ok()?;
        writeln!(services, "P{number} = {port}/tcp").ok()?;
        writeln!(
            terms,
            "term t{number} {{\n  source-address:: A{number}\n  destination-port:: P{number}\n  protocol:: tcp\n  action:: accept\n}}"
        )
        .ok()?;
    }
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).ok();
    write("networks.net", &networks)?;
    write("services.svc", &services)?;
    write("rules.pol", &terms)?;
    let path = directory.path().to_str()?;
    let policy = format!("{path}/rules.pol");
    let arguments = [
        "--policy_file",
        &policy,
        "--base_directory",
        path,
        "--definitions_directory",
        path,
        "--output_directory",
        path,
    ];
    let plain = best(1, "aclgen", &arguments)?;
    let looking = best(1, "aclgen", &[&arguments[..], &["--shade_check"]].concat())?;
    Some(Taken { processor: looking.processor - plain.processor, seconds: looking.seconds - plain.seconds, ..looking })
}
