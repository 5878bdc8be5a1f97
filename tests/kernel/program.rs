//! A host's rules: those that its platforms wrote, and those that `fwc build` writes for its policy.

use std::path::{Path, PathBuf};

use super::emitted::{Backend, Files, build, load};
use super::hosts::HostCase;
use super::model::Model;
use super::namespace::{HostPlan, Namespace, inside};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `fwc build` writes for a host.
pub fn build_host(case: &HostCase, backend: Backend) -> Result<Files, String> {
    build(&project(case.policy), Some(&project(case.facts)), backend.target())
}

/// Builds a policy for each back end and loads it into a namespace with these cards and no other rules.
pub fn on_each_backend(name: &str, policy: &str, cards: &str, body: impl Fn(&mut Namespace, Backend) + Sync) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("site.fw");
    std::fs::write(&path, policy).expect("a file in a temporary directory");
    let plan = HostPlan::parse(cards);
    for &backend in Backend::ALL {
        let files = build(&path, None, backend.target()).expect("it builds");
        inside(&format!("{name}, {backend:?}"), &plan, |namespace| {
            namespace.forget_rules();
            load(namespace, &files, backend).unwrap_or_else(|error| panic!("{backend:?}: {error}"));
            body(namespace, backend);
        });
    }
}

/// Loads the rule sets that the host's platforms wrote, with what its containers publish.
pub fn load_platform(namespace: &Namespace, case: &HostCase, model: &Model, backend: Backend) {
    for ruleset in case.rulesets {
        let path = project("tests/data/rulesets").join(ruleset);
        load_recorded(namespace, &path, case.replace, backend);
    }
    publish(namespace, model, backend.variant());
}

/// Loads a recorded rule set, a file or a directory of them, with some words replaced.
pub fn load_recorded(namespace: &Namespace, path: &Path, replace: &[(&str, &str)], backend: Backend) {
    let variant = backend.variant();
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        files = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect();
    }
    // Where rules of iptables are listed, nft's listing is of the same.
    let by_iptables = files
        .iter()
        .any(|path| path.ends_with("iptables.save") && std::fs::metadata(path).is_ok_and(|found| found.len() > 0));
    files.retain(|path| !(by_iptables && path.ends_with("nft.txt")));
    // Sets come before the rules that use them.
    files.sort_by_key(|path| (!path.ends_with("ipset.save"), path.clone()));
    for path in files {
        let mut text = std::fs::read_to_string(&path).expect("rule sets are text");
        for (old, new) in replace {
            text = text.replace(old, new);
        }
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let restore = |program: &str, text: &str| {
            // Chains that several platforms fill (FORWARD) must keep what the ones before wrote.
            namespace.run(&format!("{program}-{variant}-restore"), &["-w", "--noflush"], text)
        };
        let result = match name.as_str() {
            "ipset.save" => namespace.run("ipset", &["restore"], &text),
            // nft takes the word on the output hook from some version on; the number it always takes.
            name if name.starts_with("nft.txt") || name.ends_with(".nft") => {
                let text = text.replace("output priority dstnat + 10", "output priority -90");
                // A table is owned by the daemon that holds it open, which is not here.
                let text = text.replace("\tflags owner,persist\n", "");
                namespace.run("nft", &["-f", "-"], &text.replace("output priority dstnat", "output priority -100"))
            }
            name if name.starts_with("iptables") => restore("iptables", &text),
            name if name.starts_with("ip6tables") => restore("ip6tables", &text),
            name if name.ends_with(".rules") => restore("iptables", &as_saved(&text)),
            // The other listing of the same rules.
            name if name.ends_with(".json") => Ok(String::new()),
            other => panic!("{}: what is {other}?", path.display()),
        };
        result.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Rules in the form of `iptables -S`, a table after another, as `iptables-restore` reads them.
fn as_saved(text: &str) -> String {
    let mut saved = String::new();
    for line in text.lines() {
        if line.starts_with('*') && !saved.is_empty() {
            saved += "COMMIT\n";
        }
        match line.strip_prefix("-N ") {
            Some(chain) => saved += &format!(":{chain} - [0:0]\n"),
            None => match line.strip_prefix("-P ") {
                Some(policy) => saved += &format!(":{policy} [0:0]\n"),
                None => saved += &format!("{line}\n"),
            },
        }
    }
    saved + "COMMIT\n"
}

/// Adds the rules that Docker writes for a published port, where the recorded rule set does not have them. A host whose Docker
/// writes no rules at all gets none.
fn publish(namespace: &Namespace, model: &Model, variant: &str) {
    for (program, v4) in [("iptables", true), ("ip6tables", false)] {
        let saved = namespace.run(&format!("{program}-{variant}-save"), &[], "").expect("rules can be listed");
        let (mut nat, mut filter) = (String::new(), String::new());
        for published in model.published.iter().filter(|published| published.address.is_ipv4() == v4) {
            let protocol = if published.protocol == 6 { "tcp" } else { "udp" };
            let (card, address) = (&published.card, published.address);
            for port in published.first..=published.last {
                let dialled = format!("--dport {port} -j DNAT");
                if saved.lines().any(|line| line.contains(protocol) && line.contains(&dialled)) {
                    continue;
                }
                let inside = port - published.first + published.inside;
                let at = published.at.map(|at| format!("-d {at} ")).unwrap_or_default();
                let to = std::net::SocketAddr::new(address, inside);
                nat += &format!(
                    "-A DOCKER {at}! -i {card} -p {protocol} -m {protocol} --dport {port} -j DNAT --to-destination {to}\n"
                );
                filter += &format!(
                    "-I DOCKER 1 -d {address} ! -i {card} -o {card} -p {protocol} -m {protocol} --dport {inside} -j ACCEPT\n"
                );
            }
        }
        if nat.is_empty() || !saved.contains(":DOCKER ") {
            continue;
        }
        let text = format!("*nat\n{nat}COMMIT\n*filter\n{filter}COMMIT\n");
        let program = format!("{program}-{variant}-restore");
        namespace.run(&program, &["-w", "--noflush"], &text).expect("Docker's rules load");
    }
}

/// Accepts all that is forwarded with no container at either end: what an allow of the policy does to the platform's own drops.
/// An nft table alone cannot do that: an accept there ends only its own chain.
pub fn open_forwarding(namespace: &Namespace, model: &Model, backend: Backend, open: bool) {
    for program in ["iptables", "ip6tables"] {
        let mut text = String::from("*filter\n");
        if open {
            text += ":TEST-OPEN - [0:0]\n-I FORWARD 1 -j TEST-OPEN\n";
            for (card, class) in &model.bridges {
                if *class == crate::interpreter::Class::Container {
                    text += &format!("-A TEST-OPEN -i {card} -j RETURN\n-A TEST-OPEN -o {card} -j RETURN\n");
                }
            }
            text += "-A TEST-OPEN -j ACCEPT\n";
        } else {
            text += "-D FORWARD -j TEST-OPEN\n-F TEST-OPEN\n-X TEST-OPEN\n";
        }
        text += "COMMIT\n";
        let program = format!("{program}-{}-restore", backend.variant());
        namespace.run(&program, &["-w", "--noflush"], &text).expect("the test's own rules load");
    }
}
