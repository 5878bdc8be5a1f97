//! The kernel takes every emitted file; doing it twice is doing it once; and what other programs wrote stays as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::emitted::{Backend, Files, build, load};
use super::hosts::{HOSTS, HostCase};
use super::model::Model;
use super::namespace::{HostPlan, Namespace, inside, side_by_side};
use super::program::{build_host, load_platform, load_recorded};

/// Everything that is loaded, without counters and dates.
fn listing(namespace: &Namespace, backend: Backend) -> Vec<String> {
    let variant = backend.variant();
    let mut lines = Vec::new();
    for program in ["iptables", "ip6tables"] {
        let text = namespace.run(&format!("{program}-{variant}-save"), &[], "").expect("rules can be listed");
        lines.extend(text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            // `:INPUT ACCEPT [12:345]` counts packets.
            format!("{program}: {}", line.split(" [").next().unwrap_or(line))
        }));
    }
    // Tables that iptables-nft wrote are listed by it, above.
    let text = namespace.run("nft", &["-s", "list", "tables"], "").expect("tables can be listed");
    for table in text.lines().filter(|line| !["raw", "mangle", "nat", "filter", "security"].contains(&last(line))) {
        let mut arguments = vec!["-s", "list"];
        arguments.extend(table.split_whitespace());
        let text = namespace.run("nft", &arguments, "").expect("a table can be listed");
        lines.extend(text.lines().map(str::to_owned));
    }
    let sets = namespace.run("ipset", &["save"], "").expect("sets can be listed");
    let mut sets: Vec<String> =
        sets.lines().map(|line| line.split(" initval ").next().unwrap_or(line).to_owned()).collect();
    // The kernel gives a set's members in the order of their hashes.
    sets.sort();
    lines.extend(sets);
    lines
}

fn last(line: &str) -> &str {
    line.rsplit(' ').next().unwrap_or_default()
}

/// The lines that are not ours: iptables' tables that have nothing but our chains are as good as absent.
fn of_others(lines: &[String]) -> Vec<String> {
    let mut others = Vec::new();
    let mut ours = false;
    for line in lines {
        // Our own nft table runs from its first line to the brace at the margin.
        if line.starts_with("table ") {
            ours = line.contains(" fwc");
        }
        let closes = ours && line == "}";
        let mechanical = [": COMMIT", ": *"].iter().any(|word| line.contains(word)) || is_empty_base_chain(line);
        if !ours && !line.contains("fwc-") && !mechanical {
            others.push(line.clone());
        }
        ours &= !closes;
    }
    others
}

/// A listing without chains and sets of ours that `wanted` does not have: no restore file can take away what it does not name,
/// so they stay, and nothing leads to them.
fn without_strays(lines: &[String], wanted: &[String]) -> Vec<String> {
    let known: Vec<String> = wanted.iter().filter_map(|line| subject(line)).collect();
    let stays = |line: &&String| subject(line).is_none_or(|subject| known.contains(&subject));
    lines.iter().filter(stays).cloned().collect()
}

/// The chain or set of ours that a line makes or fills, with the program that lists it.
fn subject(line: &str) -> Option<String> {
    let (program, rest) = line.split_once(": ").unwrap_or(("ipset", line));
    let name = ["-A ", ":", "create ", "add "].iter().find_map(|word| rest.strip_prefix(word))?.split(' ').next()?;
    name.starts_with("fwc-").then(|| format!("{program} {name}"))
}

fn is_empty_base_chain(line: &str) -> bool {
    line.split_once(": :").is_some_and(|(_, chain)| chain.ends_with(" ACCEPT"))
}

/// The policy with more sets, groups and scopes, hence with more chains.
fn edited(case: &HostCase, backend: Backend, directory: &Path) -> Result<Files, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = root.join(case.policy);
    // What it includes stands beside it.
    for entry in std::fs::read_dir(policy.parent().expect("it is in a directory")).expect("the directory is there") {
        let path = entry.expect("a directory entry").path();
        if path.is_file() {
            std::fs::copy(&path, directory.join(path.file_name().expect("a file has a name")))
                .expect("it can be copied");
        }
    }
    let path = directory.join(policy.file_name().expect("a file has a name"));
    let mut text = std::fs::read_to_string(&path).expect("a policy is text");
    text += "\nset edit-guests = { 198.18.1.0/24, 198.18.3.0/24, 198.18.5.7 }\nallow { tcp 6001, tcp 6003, udp 6005 } from edit-guests to host\n";
    text += "allow tcp 6007 from edit-guests to host limit 10/minute per source\n";
    std::fs::write(&path, text).expect("it can be written");
    build(&path, Some(&root.join(case.facts)), backend.target())
}

fn empty(namespace: &Namespace, files: &Files, backend: Backend) {
    for (program, ending) in [("iptables", ".empty.v4"), ("ip6tables", ".empty.v6")] {
        if let Some((_, text)) = files.iter().find(|(name, _)| name.ends_with(ending)) {
            let program = format!("{program}-{}-restore", backend.variant());
            namespace.run(&program, &["-w", "--noflush"], text).unwrap_or_else(|error| panic!("{ending}: {error}"));
        }
    }
    if let Some((_, text)) = files.iter().find(|(name, _)| name.ends_with(".empty.nft")) {
        namespace.run("nft", &["-f", "-"], text).unwrap_or_else(|error| panic!(".empty.nft: {error}"));
    }
}

fn difference(one: &[String], other: &[String]) -> String {
    let gone = one.iter().filter(|line| !other.contains(line)).map(|line| format!("- {line}"));
    let new = other.iter().filter(|line| !one.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).take(12).collect::<Vec<_>>().join("\n")
}

/// Loads over what others wrote: cold, again, after an edit and back, emptied twice; and says what should not have changed.
fn once_is_enough(
    namespace: &Namespace,
    name: &str,
    backend: Backend,
    files: &Files,
    edited: &Result<Files, String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let before = listing(namespace, backend);
    let mut compare = |what: &str, one: &[String], other: &[String]| {
        if one != other {
            faults.push(format!("{name}: {what}:\n{}", difference(one, other)));
        }
    };
    let load = |files: &Files| {
        load(namespace, files, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
    };
    // Where Docker has not made its chain for a user's rules, attaching does, and leads there.
    let had_chain = |program: &str| before.iter().any(|line| line.starts_with(&format!("{program}: :DOCKER-USER ")));
    let had = [("iptables", had_chain("iptables")), ("ip6tables", had_chain("ip6tables"))];
    let of_others = |lines: &[String]| {
        let made = |line: &String| {
            let fits = line.contains(": :DOCKER-USER ") || line.ends_with("-j DOCKER-USER");
            fits && had.iter().any(|(program, had)| !had && line.split(": ").next() == Some(program))
        };
        of_others(lines).into_iter().filter(|line| !made(line)).collect::<Vec<String>>()
    };
    load(files);
    let once = listing(namespace, backend);
    compare("rules of others changed", &of_others(&before), &of_others(&once));
    load(files);
    compare("loading again changed something", &once, &listing(namespace, backend));
    match edited {
        Ok(edited) => {
            load(edited);
            let other = listing(namespace, backend);
            compare("rules of others changed after an edit", &of_others(&before), &of_others(&other));
            load(edited);
            compare("loading the edit again changed something", &other, &listing(namespace, backend));
            load(files);
            let back = without_strays(&listing(namespace, backend), &once);
            compare("going back is not where it began", &once, &back);
        }
        Err(error) => compare(&format!("the edit is not built: {error}"), &[], &[String::new()]),
    }
    empty(namespace, files, backend);
    let emptied = listing(namespace, backend);
    compare("emptying changed rules of others", &of_others(&before), &of_others(&emptied));
    empty(namespace, files, backend);
    compare("emptying again changed something", &emptied, &listing(namespace, backend));
    faults
}

#[test]
fn loading_again_changes_nothing_and_others_keep_their_rules() {
    let jobs: Vec<(&HostCase, Backend)> =
        HOSTS.iter().flat_map(|case| case.backends.iter().map(move |&backend| (case, backend))).collect();
    let results = side_by_side(&jobs, |&(case, backend)| {
        let name = format!("{} with {backend:?}", case.name);
        let model = Model::of(case);
        let files = match build_host(case, backend) {
            Ok(files) => files,
            Err(error) => return Some(vec![format!("{name}: not built: {error}")]),
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let edited = edited(case, backend, directory.path());
        inside(&name, &model.plan, |namespace| {
            load_platform(namespace, case, &model, backend);
            once_is_enough(namespace, &name, backend, &files, &edited)
        })
    });
    let mut faults = Vec::new();
    for found in results {
        let Some(found) = found else { return };
        faults.extend(found);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The host's cards. Most of what the recorded rule sets name need not be there to load them; libvirt's rules name bridges by
/// their numbers, which need to be.
const CARDS: &str = "ens33 203.0.113.10/24 2001:db8::10/64
    eth1 192.168.2.1/24 fd00:2::1/64
    wg0 10.9.0.1/24 fd00:9::1/64
    virbr0 192.168.122.1/24
    virbr1 192.168.130.1/24
    virbr2 192.168.140.1/24
    virbr3 192.168.150.1/24";

/// The policy that is loaded over what a platform wrote, by the first word of its directory.
const POLICIES: &[(&str, &str)] = &[
    ("docker", "tests/data/hosts/docker-web.fw"),
    ("lxd", "examples/lxd/site.fw"),
    ("incus", "examples/lxd/site.fw"),
    ("podman", "tests/data/hosts/podman.fw"),
    ("libvirt", "tests/data/hosts/plain.fw"),
    ("fail2ban", "tests/data/hosts/plain.fw"),
    ("ufw", "tests/data/hosts/plain.fw"),
    ("firewalld", "tests/data/hosts/plain.fw"),
];

/// Every recorded rule set: a directory that holds rule files, or one file of Docker's own listings.
fn recorded() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets")];
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory).expect("it is a directory");
        let (directories, files): (Vec<PathBuf>, Vec<PathBuf>) =
            entries.map(|entry| entry.expect("an entry").path()).partition(|path| path.is_dir());
        open.extend(directories);
        let alone = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rules" || ending == "nft");
        let (alone, together): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(alone);
        found.extend(alone);
        found.extend((!together.is_empty()).then_some(directory));
    }
    found.sort();
    found
}

#[test]
fn every_recorded_rule_set_survives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rulesets");
    let plan = HostPlan::parse(CARDS);
    let mut faults = Vec::new();
    let mut loads = BTreeMap::new();
    let recorded = recorded();
    let jobs: Vec<_> =
        POLICIES.iter().flat_map(|job| Backend::ALL.iter().map(move |&backend| (*job, backend))).collect();
    let built = side_by_side(&jobs, |&((platform, policy), backend)| {
        let case = HostCase {
            name: platform,
            policy,
            facts: "tests/data/hosts/default-route.facts.json",
            truth: "tests/data/hosts/default-route.facts.json",
            cards: CARDS,
            rulesets: &[],
            replace: &[],
            backends: Backend::ALL,
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let files = build_host(&case, backend).unwrap_or_else(|error| panic!("{policy}: {backend:?}: {error}"));
        (files, edited(&case, backend, directory.path()))
    });
    let mut loaded = Vec::new();
    for (((platform, _), backend), (files, edited)) in jobs.iter().zip(&built) {
        for path in &recorded {
            let short = path.strip_prefix(&root).expect("it is in there").to_string_lossy().into_owned();
            if short.split('-').next() == Some(platform) {
                loaded.push((*platform, *backend, files, edited, path, format!("{short} with {backend:?}")));
            }
        }
    }
    let results = side_by_side(&loaded, |(_, backend, files, edited, path, name)| {
        inside(name, &plan, |namespace| {
            load_recorded(namespace, path, &[], *backend);
            once_is_enough(namespace, name, *backend, files, edited)
        })
    });
    for ((platform, ..), found) in loaded.iter().zip(results) {
        let Some(found) = found else { return };
        *loads.entry(*platform).or_insert(0) += 1;
        faults.extend(found);
    }
    println!("rule sets loaded under ours, by who wrote them: {loads:?}");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(loads.len() == POLICIES.len() && loads.values().all(|&count| count >= 3), "{loads:?}");
}
