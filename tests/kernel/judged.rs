//! The tools judge mutated rule files: what `iptables-restore` refuses, `check` refuses, and it never refuses what loads.

use std::fmt::Write as _;
use std::path::Path;

use fwc::net::Family;
use fwc::read::{self, FaultKind, Reading};
use fwc::span::FileId;

use super::accept::{can, in_namespace};

/// Mutants of each kind of file.
const MUTANTS: usize = 1_000;
/// Of a hundred mutants, how many the tool and the reader have to agree on.
const AGREED: usize = 98;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides.max(1)
    }
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-:,/.!ABCDR";

/// The lines with one of them changed: a letter, a word or a number of it, or the line itself.
fn mutant(lines: &[&str], dice: &mut Dice) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let long: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].trim().len() > 3).collect();
    let at = long[dice.roll(long.len())];
    let others: Vec<String> = lines.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect();
    let mut letters: Vec<u8> = lines[at].bytes().collect();
    let mut words: Vec<String> = lines[at].split(' ').map(str::to_owned).collect();
    let place = dice.roll(letters.len() - 1);
    let word = dice.roll(words.len());
    let kind = dice.roll(12);
    match kind {
        0..=2 => drop(letters.remove(place)),
        3 => letters.insert(place, LETTERS[dice.roll(LETTERS.len())]),
        4..=5 => letters[place] = LETTERS[dice.roll(LETTERS.len())],
        6 => letters.swap(place, place + 1),
        7 => drop(words.remove(word)),
        8 => words.insert(word, words[word].clone()),
        9 => words[word].clone_from(&others[dice.roll(others.len())]),
        10 => {
            let numbers = ["0", "70000", "256", "33", "10.0.0.300"];
            words[word] = numbers[dice.roll(numbers.len())].to_owned();
        }
        _ => {
            lines.remove(at);
            return lines;
        }
    }
    lines[at] = if kind < 7 { String::from_utf8(letters).expect("ASCII") } else { words.join(" ") };
    lines
}

fn mutants(text: &str, seed: u64) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut dice = Dice(seed);
    let mut out = Vec::with_capacity(MUTANTS);
    while out.len() < MUTANTS {
        let mutant = mutant(&lines, &mut dice).join("\n") + "\n";
        // A single `-h` or `-V` has the tool print its help and load nothing.
        let asks_help = mutant.split_ascii_whitespace().any(|word| word.starts_with("-h") || word.starts_with("-V"));
        if mutant.trim_end() != text.trim_end() && !asks_help {
            out.push(mutant);
        }
    }
    out
}

/// What the reader says of a text: why no tool loads it.
fn refusal(reading: &Reading) -> Option<&str> {
    let refuses =
        |kind: FaultKind| kind.is_refused() || matches!(kind, FaultKind::Unloadable | FaultKind::MissingChain);
    reading.faults.iter().find(|fault| refuses(fault.kind)).map(|fault| &*fault.message)
}

/// Has a tool load each text into an empty namespace; whether it did, and what it said.
fn loaded(directory: &Path, texts: &[String], command: &str) -> Vec<(bool, String)> {
    for (number, text) in texts.iter().enumerate() {
        std::fs::write(directory.join(format!("{number:04}")), text).expect("the directory is ours");
    }
    let script = format!(
        "for file in [0-9]*; do if {command} >/dev/null 2>said; then echo ok; else echo \"no $(head -n 1 said)\"; fi; done"
    );
    let out = in_namespace(directory, &script).expect("a namespace");
    let said = |line: &str| (line == "ok", line.trim_start_matches("no").trim().to_owned());
    out.lines().map(said).collect()
}

/// Compares the tool's verdicts with the reader's.
fn judge(text: &str, command: &str, seed: u64, read: impl Fn(&str) -> Reading) {
    let directory = tempfile::tempdir().expect("a directory");
    let texts = mutants(text, seed);
    let verdicts = loaded(directory.path(), &texts, command);
    assert_eq!(verdicts.len(), texts.len());
    let (mut wrong, mut missed, mut refused) = (String::new(), String::new(), 0);
    let mut agreed = 0;
    for (text_of, (loads, said)) in texts.iter().zip(&verdicts) {
        let reading = read(text_of);
        let changed =
            text_of.lines().find(|line| !text.lines().any(|known| known == *line)).unwrap_or("(a line is gone)");
        refused += usize::from(!loads);
        match (loads, refusal(&reading)) {
            (true, Some(why)) => {
                let _ = writeln!(wrong, "{changed}\n    {why}");
            }
            (false, None) => {
                let _ = writeln!(missed, "{changed}\n    {said}");
            }
            _ => agreed += 1,
        }
    }
    println!("{agreed} of {} agreed; the tool refused {refused}\nmissed:\n{missed}", texts.len());
    assert_eq!(wrong, "", "these load");
    assert!(agreed * 100 >= texts.len() * AGREED, "{agreed} of {} agreed; missed:\n{missed}", texts.len());
    assert!(refused * 4 > texts.len(), "the mutants are harmless: {refused}");
}

#[test]
fn iptables_refuses_what_is_refused_here() {
    if !can("iptables_refuses_what_is_refused_here", &["iptables-restore --version"]) {
        return;
    }
    let text = include_str!("../data/judged/rules.v4");
    assert_eq!(refusal(&read::iptables(FileId(0), text, Family::Ipv4)), None);
    judge(text, "iptables-restore < $file", 1, |text| read::iptables(FileId(0), text, Family::Ipv4));
}
