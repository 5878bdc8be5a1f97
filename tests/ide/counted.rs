//! What a running host counted is shown beneath the lines that counted it: the recipe of the documents is run on what the kernel lists.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;

use fwc::database::{self, Database};
use fwc::ide;
use fwc::netfilter::Target;
use fwc::span::FileId;

use crate::examples::EXAMPLES;
use crate::fixture;
use crate::kernel::emitted::{Backend, build, load};
use crate::kernel::namespace::{HostPlan, Namespace, inside};

const FACTS: &str = "fwc.facts.json";

/// The recipe of the documents.
fn recipe() -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/facts.md")).expect("the page");
    let (_, rest) = page.split_once("## Counters\n").expect("the part about counters");
    let block = rest.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a recipe").to_owned()
}

/// Runs the recipe in a directory on a host with one of the two variants of iptables, under the names that it has on a host.
fn take_counters(namespace: &Namespace, directory: &Path, backend: Backend) {
    let variant = backend.variant();
    let programs = directory.join("bin");
    std::fs::create_dir_all(&programs).expect("the directory is ours");
    let links = ["iptables", "ip6tables"]
        .map(|program| format!("ln -sf \"$(command -v {program}-{variant}-save)\" bin/{program}-save\n"));
    let script = format!("cd '{}'\n{}PATH=\"$PWD/bin:$PATH\"\n{}", directory.display(), links.concat(), recipe());
    namespace.run("sh", &["-ec", &script], "").expect("the recipe runs");
}

/// The files of a directory, a policy first.
fn files(directory: &Path, policy: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("the directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if let Some(text) = path.is_file().then(|| std::fs::read_to_string(&path).expect("a text")) {
            files.push((name, text));
        }
    }
    files.sort_by_key(|(name, _)| (name != policy, name.clone()));
    files
}

/// What hover says at the beginning of each statement that becomes lines, by its place.
fn hovers(files: &[(String, String)]) -> BTreeMap<(u32, u32), String> {
    let mut db = Database::default();
    let input = fixture::load(&mut db, files, Some(Target::Iptables));
    let written = database::written(&db, input, Target::Iptables);
    let mut said = BTreeMap::new();
    for place in written.lines.iter().flat_map(|line| &line.origins) {
        said.entry((place.file.0, place.span.start)).or_insert_with(|| {
            ide::hover(&db, input, FileId(place.file.0), place.span.start).map(|hover| hover.text).unwrap_or_default()
        });
    }
    said
}

/// The block of a hover with iptables' lines.
fn lines(hover: &str) -> Vec<&str> {
    hover.split("```iptables\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default().lines().collect()
}

#[test]
fn packets_are_shown_beneath_the_rules_that_counted_them() {
    let policy = "\
deny udp 9998 from host to world
allow udp 9999 from host to 198.51.100.0/24
allow ssh to host
";
    let plan = HostPlan::parse("eth0 203.0.113.10/24 2001:db8::10/64");
    for &backend in Backend::IPTABLES {
        let name = format!("packets_are_shown_beneath_the_rules_that_counted_them ({})", backend.variant());
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("site.fw"), policy).expect("the directory is ours");
        // What the file says already stays.
        std::fs::write(directory.path().join(FACTS), r#"{ "version": 1, "default-route": "eth0" }"#).expect("as above");
        let built = build(&directory.path().join("site.fw"), None, backend.target()).expect("it builds");
        let told = inside(&name, &plan, |namespace| {
            load(namespace, &built, backend).expect("the kernel takes it");
            let send = |from: &str, to: &str, times: usize| {
                let socket = UdpSocket::bind(from).expect("a socket");
                // What is denied may be refused to the sender.
                (0..times).for_each(|_| drop(socket.send_to(b"ten bytes!", to)));
            };
            send("0.0.0.0:0", "198.51.100.7:9999", 3);
            send("0.0.0.0:0", "198.51.100.7:9998", 2);
            send("[::]:0", "[2001:db8::7]:9998", 1);
            take_counters(namespace, directory.path(), backend);
            let again = build(&directory.path().join("site.fw"), None, backend.target()).expect("it builds");
            assert_eq!(rules(&built), rules(&again), "{name}: counters change nothing");
            let said = hovers(&files(directory.path(), "site.fw"));
            said.into_iter().map(|(place, hover)| (place, lines(&hover).join("\n"))).collect::<BTreeMap<_, _>>()
        });
        let Some(told) = told else { continue };
        let at = |line: usize| {
            let start = policy.lines().take(line).map(|line| line.len() + 1).sum::<usize>();
            told.get(&(0, u32::try_from(start).expect("small"))).map(String::as_str).unwrap_or_default()
        };
        assert!(at(0).contains("\n# IPv4: 2 packets, 76 bytes; IPv6: 1 packet, 58 bytes"), "{name}: {}", at(0));
        assert!(at(1).contains("\n# 3 packets, 114 bytes"), "{name}: {}", at(1));
        assert!(
            at(2).contains("--dport 22") && at(2).contains("\n# IPv4: 0 packets, 0 bytes; IPv6: 0 packets, 0 bytes"),
            "{}",
            at(2)
        );
    }
}

/// Rules without the remarks above them.
fn rules(files: &crate::kernel::emitted::Files) -> Vec<(&String, Vec<&str>)> {
    files.iter().map(|(name, text)| (name, text.lines().filter(|line| !line.starts_with('#')).collect())).collect()
}

#[test]
fn every_line_of_every_example_is_found_among_what_the_kernel_lists() {
    let plan = HostPlan::parse("eth0 203.0.113.10/24 2001:db8::10/64");
    for example in EXAMPLES {
        for &backend in Backend::IPTABLES {
            let name = format!("counters of {} ({})", example.name, backend.variant());
            let directory = tempfile::tempdir().expect("a directory");
            for (name, text) in files(&example.directory(), example.policy) {
                std::fs::write(directory.path().join(name), text).expect("the directory is ours");
            }
            let policy = directory.path().join(example.policy);
            let facts = Some(directory.path().join(FACTS)).filter(|path| path.exists());
            let built =
                build(&policy, facts.as_deref(), backend.target()).unwrap_or_else(|said| panic!("{name}: {said}"));
            let missing = inside(&name, &plan, |namespace| {
                load(namespace, &built, backend).unwrap_or_else(|error| panic!("{name}: {error}"));
                take_counters(namespace, directory.path(), backend);
                if facts.is_some() {
                    let again = build(&policy, facts.as_deref(), backend.target()).expect("it builds");
                    assert_eq!(built, again, "{name}: counters change nothing");
                }
                let (mut found, mut missing) = (0, Vec::new());
                for hover in hovers(&files(directory.path(), example.policy)).into_values() {
                    let lines = lines(&hover);
                    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("-A ")) {
                        match lines.get(at + 1) {
                            Some(next) if next.contains(" packets, ") => found += 1,
                            _ => missing.push((*line).to_owned()),
                        }
                    }
                }
                assert!(found > 5, "{name}: {found}");
                missing
            });
            assert_eq!(missing.unwrap_or_default(), [""; 0], "{name}");
        }
    }
}
