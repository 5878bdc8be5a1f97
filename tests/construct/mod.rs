//! One small policy for each construct of the language, and what it comes to: the source, what is said about it, the rules for
//! iptables (IPv4, IPv6) and for nft. `INSTA_UPDATE=always cargo test construct` writes the snapshots anew; read what changed.
//!
//! Shown are rules alone, by table and chain. Rules of the prelude are left out but where the construct is the prelude itself,
//! because they would stand in every chain of every snapshot.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/construct")
}

fn fwc(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fwc"))
        .current_dir(directory())
        .args(arguments)
        .env_remove("CLICOLOR_FORCE")
        .output()
        .expect("fwc runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The files of a listing, by what their names end in.
fn part<'a>(listing: &'a str, ending: &str) -> &'a str {
    let text = listing.split("# --- ").find(|text| text.lines().next().is_some_and(|name| name.ends_with(ending)));
    text.and_then(|text| text.split_once('\n')).map_or("", |(_, body)| body)
}

/// Each line of an iptables file that is a rule, under the name of its table.
fn iptables(text: &str, prelude: bool) -> String {
    let mut out = String::new();
    let mut table = "";
    let mut named = false;
    for line in text.lines() {
        if line.starts_with('*') {
            (table, named) = (line, false);
        } else if line.starts_with("-A") && (prelude || !line.contains("std:prelude.fw")) {
            if !named {
                let _ = writeln!(out, "{table}");
                named = true;
            }
            let _ = writeln!(out, "{line}");
        }
    }
    if out.is_empty() { "(no rules)\n".to_owned() } else { out }
}

/// The tables of an nft script.
fn nft(text: &str, prelude: bool) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        inside |= line.starts_with("table") && line.ends_with('{');
        if inside && (prelude || !line.contains("std:prelude.fw")) {
            let _ = writeln!(out, "{line}");
        }
        inside &= line != "}";
    }
    if out.is_empty() { "(no rules)\n".to_owned() } else { out }
}

/// What a policy comes to, for a person to read.
fn shown(name: &str) -> String {
    let source = std::fs::read_to_string(directory().join(format!("{name}.fw"))).expect("the policy is there");
    let file = format!("{name}.fw");
    let facts = format!("{name}.facts.json");
    let given: &[&str] = if directory().join(&facts).exists() { &["--facts", &facts] } else { &[] };
    let run = |arguments: &[&str]| fwc(&[arguments, given].concat());
    let prelude = name.starts_with("prelude");
    let mut out = source;
    for target in ["iptables", "nft"] {
        let (_, said) = run(&["check", &file, "--format", "short", "--target", target]);
        if !said.trim().is_empty() {
            let _ = write!(out, "\n===== what is said, for {target}\n{said}");
        }
        let (code, listing) = run(&["build", &file, "--target", target]);
        if code != Some(0) {
            let _ = writeln!(out, "\n===== {target}: not built");
        } else if target == "nft" {
            let _ = write!(out, "\n===== nft\n{}", nft(part(&listing, ".nft"), prelude));
        } else {
            let sets = part(&listing, ".ipset");
            let sets: String =
                sets.lines().filter(|line| !line.starts_with('#')).fold(String::new(), |all, line| all + line + "\n");
            if !sets.is_empty() {
                let _ = write!(out, "\n===== ipset\n{sets}");
            }
            let _ = write!(out, "\n===== iptables, IPv4\n{}", iptables(part(&listing, ".rules.v4"), prelude));
            let _ = write!(out, "\n===== iptables, IPv6\n{}", iptables(part(&listing, ".rules.v6"), prelude));
        }
    }
    out
}

#[test]
fn construct_by_construct() {
    let mut names: Vec<String> = std::fs::read_dir(directory())
        .expect("the directory is there")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".fw")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() > 40, "only {} constructs", names.len());
    let mut faults = Vec::new();
    for name in names.iter().filter(|name| !name.ends_with(".part")) {
        let text = shown(name);
        // One that differs must not hide the others.
        let same = std::panic::catch_unwind(|| {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(name.as_str(), text);
            });
        });
        if same.is_err() {
            faults.push(name.clone());
        }
    }
    assert!(faults.is_empty(), "these are not what their snapshots say: {}", faults.join(", "));
}

#[test]
fn arp_passes_the_judges_of_a_guest() {
    let (_, listing) = fwc(&["build", "guest.fw", "--target", "nft"]);
    let (_, bridge) = part(&listing, ".nft").split_once("table bridge fwc {").expect("a bridge table");
    let calls: Vec<&str> = bridge.lines().filter(|line| line.contains("jump fwc-guest-")).collect();
    assert!(!calls.is_empty());
    for call in calls {
        assert!(call.contains("meta protocol ip ") || call.contains("meta protocol ip6 "), "{call}");
    }
    // A borrowed Ethernet address is refused for every kind of frame.
    assert!(bridge.contains("iifname \"tap110i0\" ether saddr != 1e:0b:85:27:8d:65 drop"));
}

#[test]
fn words_of_the_other_tool_are_refused() {
    for (file, other) in [("chain.fw", "nft"), ("chain-nft.fw", "iptables")] {
        let (code, said) = fwc(&["check", file, "--target", other, "--format", "short"]);
        assert_eq!(code, Some(1), "{file} for {other}: {said}");
        assert!(said.contains("error[FW0716]"), "{file} for {other}: {said}");
    }
    let (_, listing) = fwc(&["build", "chain-nft.fw"]);
    assert!(part(&listing, ".nft").contains("\t\ttcp dport { 80, 443 } counter comment \"chain-nft.fw:3\"\n"));
}
