//! The kernel takes every file that is emitted: cold, again, after an edit, and emptied twice; and rules of others stay as they are.

use std::path::Path;
use std::process::Command;

use fwc::emit::Target;
use fwc::netfilter::{Hook, MatchKind, Rule, Ruleset, TableKind, Verdict};

use crate::emit::{addresses, at_hook, bridge, build, cards, everything, iptables_alone, is, rule};
use crate::fixture;

/// Runs a shell script in a network namespace of its own, in `directory`; gives what it printed.
pub(super) fn in_namespace(directory: &Path, script: &str) -> Result<String, String> {
    let out = Command::new("unshare")
        .args(["--net", "sh", "-ec", script])
        .current_dir(directory)
        .output()
        .map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&out.stderr);
    if out.status.success() { Ok(String::from_utf8_lossy(&out.stdout).into_owned()) } else { Err(errors.into_owned()) }
}

/// Whether the machine lets us try; says by name what is skipped.
pub(super) fn can(test: &str, tools: &[&str]) -> bool {
    let script = tools.iter().map(|tool| format!("{tool} >/dev/null\n")).collect::<String>();
    match in_namespace(Path::new("/"), &script) {
        Ok(_) => true,
        Err(reason) => {
            println!("skipped: {test}: {}", reason.trim());
            false
        }
    }
}

/// The policy after an edit: other chains, other rules, and nothing left in mangle, raw and nat.
fn edited() -> Ruleset {
    let mut ruleset = Ruleset::default();
    at_hook(
        &mut ruleset,
        TableKind::Filter,
        Hook::Input,
        vec![
            rule(vec![is(MatchKind::InInterface(cards("eth0 wg0").into()))], Verdict::Goto("fwc-added".into())),
            Rule { verdict: Some(Verdict::Return), ..Rule::default() },
        ],
    );
    let list = "10.0.0.1 10.0.0.3 10.0.0.5 10.0.0.7 10.0.0.9 10.0.0.13";
    let added =
        crate::emit::chain("fwc-added", vec![rule(vec![is(MatchKind::Source(addresses(list)))], Verdict::Drop)]);
    ruleset.table_mut(fwc::netfilter::TableFamily::Inet, TableKind::Filter).chains.push(added);
    ruleset
}

fn write(directory: &Path, ruleset: &Ruleset, target: Target, stem: &str) {
    for file in build(ruleset, target, stem) {
        std::fs::write(directory.join(file.name), file.text).expect("the directory is ours");
    }
}

/// A listing without what changes by itself: counters, time stamps, the seeds of sets.
fn settled(listing: &str) -> Vec<String> {
    let settle = |line: &str| {
        let end = if line.starts_with(':') { " [" } else { " initval " };
        line.split(end).next().unwrap_or(line).to_owned()
    };
    listing.lines().filter(|line| !line.starts_with('#')).map(settle).collect()
}

/// Compares listings, and shows only where they differ.
#[track_caller]
fn same(left: &[String], right: &[String], what: &str) {
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join("\n")
    };
    assert!(left == right, "{what}: one has\n{}\nthe other has\n{}", only(left, right), only(right, left));
}

const FUNCTIONS: &str = r#"
load() {
    if [ -e "$1.ipset" ]; then ipset restore -exist -file "$1.ipset"; fi
    iptables-$V-restore --noflush "$1.rules.v4"
    ip6tables-$V-restore --noflush "$1.rules.v6"
    IPTABLES=iptables-$V IP6TABLES=ip6tables-$V sh "$1.attach"
}
emptied() {
    iptables-$V-restore --noflush "$1.empty.v4"
    ip6tables-$V-restore --noflush "$1.empty.v6"
}
show() { iptables-$V-save; ip6tables-$V-save; ipset save 2>/dev/null | sort; }
others() {
    iptables-$V -N f2b-sshd
    iptables-$V -A INPUT -p tcp -j f2b-sshd
    iptables-$V -A INPUT -i eth9 -j ACCEPT
    iptables-$V -N DOCKER-USER
    iptables-$V -A DOCKER-USER -j RETURN
    iptables-$V -A FORWARD -j DOCKER-USER
}
"#;

#[test]
fn iptables_takes_every_file_cold_again_edited_and_emptied() {
    for variant in ["nft", "legacy"] {
        let name = format!("iptables_takes_every_file ({variant})");
        if !can(&name, &[&format!("iptables-{variant} -S"), "ipset list"]) {
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        write(directory, &everything(), Target::Iptables, "a");
        write(directory, &edited(), Target::Iptables, "b");
        write(directory, &iptables_alone(), Target::Iptables, "c");
        let run = |script: &str| {
            let script = format!("V={variant}\n{FUNCTIONS}\nothers\n{script}\nshow");
            settled(&in_namespace(directory, &script).unwrap_or_else(|error| panic!("{variant}: {script}: {error}")))
        };
        let once = run("load a");
        same(&once, &run("load a; load a"), &format!("{variant}: loading again"));
        let jump = |listing: &[String], rule: &str| listing.iter().position(|line| line == rule).expect("a jump");
        assert_eq!(jump(&once, "-A INPUT -j fwc-input"), jump(&once, "-A INPUT -p tcp -j f2b-sshd") + 1);
        assert_eq!(jump(&once, "-A INPUT -i eth9 -j ACCEPT"), jump(&once, "-A INPUT -j fwc-input") + 1);

        // An edit leaves what a load of the new files alone leaves, but for chains and sets that nothing leads to any more.
        let fresh = run("load b");
        let after = run("load a; load b");
        let stale: Vec<&String> = after.iter().filter(|line| !fresh.contains(line)).collect();
        for line in &stale {
            let own = line.starts_with("-A fwc-") || line.starts_with(":fwc-") || line.contains(" fwc-");
            // A table that the edit no longer speaks of lives on, with the kernel's own chains.
            let table = line.starts_with('*') || (line.starts_with(':') && line.ends_with(" ACCEPT"));
            assert!(own || table, "{variant}: {line}");
        }
        for chain in ["fwc-input", "fwc-added", "fwc-mangle-forward", "fwc-raw-prerouting", "fwc-nat-postrouting"] {
            let of = |listing: &[String]| {
                let start = format!("-A {chain} ");
                listing.iter().filter(|line| line.starts_with(&start)).cloned().collect::<Vec<_>>()
            };
            same(&of(&fresh), &of(&after), &format!("{variant}: {chain}"));
        }
        same(&after, &run("load a; load b; load b"), &format!("{variant}: loading the edit again"));

        let empty = run("load a; emptied a");
        same(&empty, &run("load a; emptied a; emptied a"), &format!("{variant}: emptying again"));
        assert!(empty.iter().all(|line| !line.starts_with("-A fwc-")), "{variant}: emptied");
        assert!(empty.contains(&"-A INPUT -j fwc-input".to_owned()), "{variant}: the jump stays");
        let detached = run("load a; IPTABLES=iptables-$V IP6TABLES=ip6tables-$V sh a.attach detach");
        assert!(!detached.iter().any(|line| line.starts_with("-A INPUT -j fwc")), "{variant}: detached");
        run("load c");
        let foreign = run("").into_iter().filter(|line| line.starts_with("-A"));
        for line in foreign {
            assert!(empty.contains(&line) && after.contains(&line), "{variant}: {line}");
        }
    }
}

#[test]
fn members_that_others_gave_a_live_set_outlive_a_load() {
    let name = "members_that_others_gave_a_live_set_outlive_a_load";
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    if can(name, &["iptables-nft -S", "ipset list"]) {
        write(directory, &everything(), Target::Iptables, "a");
        let script = "ipset restore -exist -file a.ipset; ipset add fwc-banned 192.0.2.66 timeout 600
            ipset restore -exist -file a.ipset; ipset save fwc-banned";
        let listing = in_namespace(directory, script).expect("loads");
        assert!(listing.contains("192.0.2.66"), "{listing}");
    }
    if can(name, &["nft list ruleset"]) {
        write(directory, &everything(), Target::Nft, "a");
        let script = "nft -f a.nft; nft add element inet fwc fwc-banned '{ 192.0.2.66 timeout 10m }'
            nft -f a.nft; nft list set inet fwc fwc-banned";
        let listing = in_namespace(directory, script).expect("loads");
        assert!(listing.contains("192.0.2.66"), "{listing}");
    }
}

#[test]
fn nft_takes_every_file_cold_again_edited_and_emptied() {
    if !can("nft_takes_every_file_cold_again_edited_and_emptied", &["nft list ruleset"]) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let mut without_live = everything();
    for table in &mut without_live.tables {
        table.sets.iter_mut().for_each(|set| set.live = false);
    }
    write(directory, &everything(), Target::Nft, "live");
    write(directory, &without_live, Target::Nft, "a");
    write(directory, &edited(), Target::Nft, "b");
    write(directory, &bridge(), Target::Nft, "bridge");
    let run = |script: &str| {
        let script = format!("nft add table ip other; nft add chain ip other x; {script}; nft -s list ruleset");
        in_namespace(directory, &script).unwrap_or_else(|error| panic!("{script}: {error}"))
    };
    for stem in ["a", "live", "b", "bridge"] {
        let once = run(&format!("nft -f {stem}.nft"));
        assert_eq!(once, run(&format!("nft -f {stem}.nft; nft -f {stem}.nft")), "{stem}: loading again");
        let empty = run(&format!("nft -f {stem}.nft; nft -f {stem}.empty.nft"));
        let twice = run(&format!("nft -f {stem}.nft; nft -f {stem}.empty.nft; nft -f {stem}.empty.nft"));
        assert_eq!(empty, twice, "{stem}: emptying again");
        assert!(empty.contains("table ip other"), "{stem}: {empty}");
    }
    assert_eq!(run("nft -f b.nft"), run("nft -f a.nft; nft -f b.nft"), "an edit leaves nothing of the build before");
    assert_eq!(
        run("nft -f b.nft"),
        run("nft -f bridge.nft; nft -f b.nft"),
        "nor when bridged frames are no longer judged"
    );
    assert_eq!(run("nft -f b.nft"), run("nft -f live.nft; nft -f b.nft"), "nor when live sets go");
}

#[test]
fn the_kernel_takes_ten_thousand_rules_as_sets_and_trees() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    for dialled in [false, true] {
        for (target, load, tools) in [
            (Target::Iptables, "V=nft; load site", ["iptables-nft -S", "ipset list"]),
            (Target::Iptables, "V=legacy; load site", ["iptables-legacy -S", "ipset list"]),
            (Target::Nft, "nft -f site.nft; nft -f site.nft", ["nft list ruleset", "true"]),
        ] {
            if can(&format!("the_kernel_takes_ten_thousand_rules ({load}, {dialled})"), &tools) {
                let mut ruleset = crate::optimise::pairs(10_000, dialled);
                fwc::optimise::optimise(&mut ruleset, target, &[]);
                write(directory, &ruleset, target, "site");
                let script = format!("{FUNCTIONS}\n{load}");
                in_namespace(directory, &script).unwrap_or_else(|error| panic!("{load}, {dialled}: {error}"));
                let _ = std::fs::remove_file(directory.join("site.ipset"));
            }
        }
    }
}

/// The policies with `chain` blocks that no check objects to.
fn own_words() -> Vec<String> {
    let fine = fixture::read("check/raw.fw").into_iter().filter(|case| case.title.starts_with("fine:"));
    fine.map(|case| case.policy().to_owned()).collect()
}

/// A line that names an address of one family stands in that family's file alone, and the kernel takes every line.
#[test]
fn the_kernel_takes_the_lines_of_chain_blocks() {
    let name = "the_kernel_takes_the_lines_of_chain_blocks";
    for policy in own_words() {
        let nft = policy.contains("target nft");
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        std::fs::write(directory.join("a.fw"), policy).expect("the directory is ours");
        let target = if nft { "nft" } else { "iptables" };
        let files = super::emitted::build(&directory.join("a.fw"), None, target).expect("it builds");
        for (name, text) in &files {
            std::fs::write(directory.join(name), text).expect("the directory is ours");
        }
        let loads: &[(&str, &str)] = if nft {
            &[("nft list ruleset", "nft -f a.nft; nft -f a.nft; nft list ruleset")]
        } else {
            &[
                ("iptables-nft -S", "V=nft; load a; load a; show"),
                ("iptables-legacy -S", "V=legacy; load a; load a; show"),
            ]
        };
        for (tool, load) in loads {
            if !can(&format!("{name} ({tool})"), &[tool]) {
                continue;
            }
            let script = format!("{FUNCTIONS}\n{load}");
            let listing =
                in_namespace(directory, &script).unwrap_or_else(|error| panic!("{load}: {error}\n{files:#?}"));
            assert!(listing.contains("fwc-chain-1"), "{load}: {listing}");
        }
        let text = |ending: &str| files.iter().find(|(name, _)| name.ends_with(ending)).map_or("", |(_, text)| text);
        assert!(!text("a.rules.v6").contains("198.51.100") && !text("a.rules.v4").contains("2001:db8"), "{files:#?}");
    }
}
