//! The kernel's own count of the packets that each rule of ours took: which packets of the run reach it at all.

use std::collections::BTreeMap;

use super::emitted::{Backend, Files};
use super::namespace::Namespace;

/// A rule by its file and line.
pub type Place = (String, usize);

/// The rules of a loaded program and where their counters are.
pub struct Counters {
    backend: Backend,
    /// Where each rule stands in what the kernel lists.
    listed: BTreeMap<String, Place>,
    last: BTreeMap<String, u64>,
}

/// A copy of the files in which every rule counts, and its counters. iptables always counts; nft only where it is told to.
pub fn counted(files: &Files, backend: Backend, is_rule: impl Fn(&str) -> bool) -> (Files, Counters) {
    let mut copy = files.clone();
    let mut listed = BTreeMap::new();
    for (name, text) in &mut copy {
        if name.contains(".empty.") {
            continue;
        }
        if backend == Backend::Nft && name.ends_with(".nft") {
            let mut lines = Vec::new();
            for (at, line) in text.lines().enumerate() {
                if !is_rule(line) {
                    lines.push(line.to_owned());
                    continue;
                }
                let number = format!("rule-{at}");
                lines.push(with_counter(line, &number));
                listed.insert(number, (name.clone(), at));
            }
            *text = lines.join("\n") + "\n";
        } else if let Some(program) = program(name) {
            let mut place = Numbering::new(program);
            for (at, line) in text.lines().enumerate() {
                if let Some(key) = place.line(line) {
                    listed.insert(key, (name.clone(), at));
                }
            }
        }
    }
    (copy, Counters { backend, listed, last: BTreeMap::new() })
}

impl Counters {
    /// The rules that took a packet since the last time.
    pub fn taken(&mut self, namespace: &Namespace) -> Vec<Place> {
        let now = match self.backend {
            Backend::Nft => nft(namespace),
            backend => iptables(namespace, backend),
        };
        // A counter that is smaller than before began anew when the rules were loaded again.
        let more = now.iter().filter(|(key, count)| **count > 0 && self.last.get(*key) != Some(*count));
        let places = more.filter_map(|(key, _)| self.listed.get(key).cloned()).collect();
        self.last = now;
        places
    }

    /// The rules are about to be loaded again, so that all counters begin at zero.
    pub fn forget(&mut self) {
        self.last.clear();
    }
}

fn program(name: &str) -> Option<&'static str> {
    [(".rules.v4", "iptables"), (".rules.v6", "ip6tables")]
        .into_iter()
        .find_map(|(ending, program)| name.ends_with(ending).then_some(program))
}

/// Gives each rule of an iptables listing its place: program, table, chain and number.
struct Numbering {
    program: &'static str,
    table: String,
    counts: BTreeMap<String, usize>,
}

impl Numbering {
    fn new(program: &'static str) -> Self {
        Self { program, table: String::new(), counts: BTreeMap::new() }
    }

    fn line(&mut self, line: &str) -> Option<String> {
        if let Some(table) = line.strip_prefix('*') {
            self.table = table.to_owned();
            return None;
        }
        let chain = line.strip_prefix("-A fwc-")?.split(' ').next()?;
        let place = format!("{} {} {chain}", self.program, self.table);
        let count = self.counts.entry(place.clone()).or_default();
        *count += 1;
        Some(format!("{place} {count}"))
    }
}

/// `[packets:bytes] -A chain …`
fn iptables(namespace: &Namespace, backend: Backend) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for program in ["iptables", "ip6tables"] {
        let text = namespace.run(&format!("{program}-{}-save", backend.variant()), &["-c"], "");
        let mut place = Numbering::new(program);
        for line in text.expect("rules can be listed").lines() {
            let (count, rule) = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
                Some((count, rule)) => {
                    (count.split(':').next().and_then(|count| count.parse().ok()).unwrap_or(0), rule)
                }
                None => (0, line),
            };
            if let Some(key) = place.line(rule) {
                counts.insert(key, count);
            }
        }
    }
    counts
}

/// A rule of nft that counts, right before it decides, and whose remark is its number.
fn with_counter(line: &str, number: &str) -> String {
    let bare = match line.find(" comment \"") {
        Some(at) => &line[..at],
        None => line,
    };
    let indent = bare.len() - bare.trim_start().len();
    let decides = [" accept", " return", " drop", " reject", " goto", " jump"];
    // What a map decides by is counted as a whole.
    let at = match bare.contains(" vmap ") {
        true => indent,
        false => decides.iter().filter_map(|word| bare.rfind(word)).max().map_or(indent, |at| at + 1),
    };
    format!("{}counter {} comment \"{number}\"", &bare[..at], &bare[at..])
}

fn nft(namespace: &Namespace) -> BTreeMap<String, u64> {
    let text = namespace.run("nft", &["-j", "list", "table", "inet", "fwc"], "").expect("our table can be listed");
    let value: serde_json::Value = serde_json::from_str(&text).expect("nft prints JSON");
    let rules = value["nftables"].as_array().expect("an array of objects").iter().map(|object| &object["rule"]);
    rules
        .filter_map(|rule| {
            let number = rule["comment"].as_str()?;
            let counter = rule["expr"].as_array()?.iter().find(|part| part.get("counter").is_some())?;
            Some((number.to_owned(), counter["counter"]["packets"].as_u64()?))
        })
        .collect()
}
