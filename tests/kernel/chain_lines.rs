//! Lines of `chain` blocks, as they are written, through the tools: what a tool refuses, `check` reports; what it reports as refused, the tool
//! refuses; and what is built from the rest, the tool takes.

use std::fmt::Write as _;

use fwc::database::Database;
use fwc::netfilter::Target;

use super::namespace::{HostPlan, Namespace, inside};
use crate::fixture;

const CARDS: &str = "eth0 203.0.113.10/24 2001:db8::10/64";

/// The sets of `set banned live`, for the lines as they are.
const IPSETS: &str =
    "create fwc-banned-v4 hash:net family inet timeout 0\ncreate fwc-banned-v6 hash:net family inet6 timeout 0\n";

/// What `check` finds in a policy of one line, and the files that are built of it.
struct Built {
    /// Errors that the tool refuses the line.
    refused: bool,
    /// Whether anything is said of the line.
    reported: bool,
    files: Vec<(String, String)>,
}

fn build(line: &str, target: Target) -> Built {
    let text = format!("set banned live\nchain filter INPUT {{\n    {line}\n}}\n");
    let mut db = Database::default();
    let input = fixture::load(&mut db, &[(fixture::POLICY.to_owned(), text)], Some(target));
    let (_, compiled) = db.compile_once(input, "site", &[], true);
    assert_eq!(compiled.disagreement, None, "{line}");
    let of_line = || compiled.diagnostics.iter().filter(|one| one.code.number != "FW0103");
    Built {
        refused: of_line().any(|one| one.code.number == "FW0721"),
        reported: of_line().next().is_some(),
        files: compiled.outputs.clone(),
    }
}

/// Loads a text into an empty kernel.
fn load(namespace: &Namespace, program: &str, text: &str) -> Result<(), String> {
    namespace.forget_rules();
    namespace.run("ipset", &["-exist", "restore"], IPSETS).expect("the sets");
    let arguments: &[&str] = if program == "nft" { &["-f", "-"] } else { &["--noflush"] };
    namespace.run(program, arguments, text).map(|_| ())
}

fn compare(namespace: &Namespace, line: &str, target: Target, wrong: &mut String) {
    let built = build(line, target);
    let programs: &[(&str, &str)] = match target {
        Target::Iptables => &[("iptables-nft-restore", "rules.v4"), ("ip6tables-nft-restore", "rules.v6")],
        Target::Nft => &[("nft", "nft")],
    };
    let mut taken = false;
    let mut refusal = String::new();
    for (program, ending) in programs {
        let direct = match target {
            Target::Iptables => format!("*filter\n-A INPUT {line}\nCOMMIT\n"),
            Target::Nft => format!(
                "table inet x {{\n\tset fwc-banned-v4 {{ type ipv4_addr; flags interval,timeout; }}\n\tset fwc-banned-v6 {{ type ipv6_addr; \
                 flags interval,timeout; }}\n\tchain INPUT {{ type filter hook input priority 0;\n\t\t{line}\n\t}}\n}}\n"
            ),
        };
        match load(namespace, program, &direct) {
            Ok(()) => taken = true,
            Err(error) => refusal = error,
        }
        for (name, text) in built.files.iter().filter(|(name, _)| name.ends_with(ending) && !name.contains(".empty.")) {
            if let Err(error) = load(namespace, program, text)
                && !built.reported
            {
                let _ = writeln!(wrong, "{target:?}: `{line}`: {name} is built, and {program} refuses it: {error}");
            }
        }
    }
    if !taken && !built.reported {
        let _ = writeln!(wrong, "{target:?}: `{line}`: nothing is reported, and the tool says: {refusal}");
    }
    if taken && built.refused {
        let _ = writeln!(wrong, "{target:?}: `{line}`: said to be refused, and the tool takes it");
    }
}

#[test]
fn what_the_tools_refuse_in_chain_blocks_is_reported() {
    let name = "what_the_tools_refuse_in_chain_blocks_is_reported";
    let wrong = inside(name, &HostPlan::parse(CARDS), |namespace| {
        let mut wrong = String::new();
        for (target, lines) in [
            (Target::Iptables, include_str!("../data/chain-lines/iptables.txt")),
            (Target::Nft, include_str!("../data/chain-lines/nft.txt")),
        ] {
            lines.lines().for_each(|line| compare(namespace, line, target, &mut wrong));
        }
        wrong
    });
    assert_eq!(wrong.unwrap_or_default(), "");
}
