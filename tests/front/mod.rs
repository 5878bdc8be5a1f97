//! Any text at all: the front end never fails, every place that it names is there, and what it lowers it can emit. The same as the fuzz
//! target `front`, with damaged fixtures and a fixed seed.

mod whole;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use fwc::library;
use fwc::span::FileId;
use fwc::syntax::{Parsed, parse};

/// Damaged texts in all, and threads that share them.
const TEXTS: u64 = 5_000;
const THREADS: u64 = 4;

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// The policies of the tests and examples, and the library's own.
fn fixtures() -> Vec<String> {
    fn policies(directory: &Path, found: &mut Vec<String>) {
        let mut paths: Vec<_> =
            fs::read_dir(directory).expect("directory").map(|entry| entry.expect("entry").path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                policies(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "fw") {
                found.push(fs::read_to_string(path).expect("policy"));
            }
        }
    }
    let mut found = Vec::new();
    for directory in ["tests/syntax", "tests/data/hosts", "examples", "stdlib"] {
        policies(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut found);
    }
    found
}

/// Some lines from anywhere, in any order, with words exchanged, doubled and lost.
fn damaged(random: &mut Random, pieces: &[Vec<&str>], words: &[&str]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for _ in 0..1 + random.below(8) {
        let piece = random.of(pieces);
        let start = random.below(piece.len());
        let end = (start + 1 + random.below(6)).min(piece.len());
        lines.extend(piece[start..end].iter().map(|line| (*line).to_owned()));
    }
    for _ in 0..random.below(8) {
        let at = random.below(lines.len());
        let mut parts: Vec<String> = lines[at].split(' ').map(str::to_owned).collect();
        let place = random.below(parts.len());
        match random.below(7) {
            0 | 1 => parts[place] = (*random.of(words)).to_owned(),
            2 => parts.insert(place, (*random.of(words)).to_owned()),
            3 => drop(parts.remove(place)),
            4 => parts[place].push(*random.of(&['{', '}', '"', ',', '#', '=', '-', '0', '\n', '\u{e4}', '\u{0}', '*'])),
            5 => parts.truncate(place),
            _ => {
                let other = random.below(lines.len());
                lines.swap(at, other);
                continue;
            }
        }
        lines[at] = parts.join(" ");
    }
    lines.join("\n")
}

#[test]
fn damaged_policies_go_all_the_way_or_are_refused() {
    let fixtures = fixtures();
    let pieces: Vec<Vec<&str>> = fixtures.iter().map(|text| text.lines().collect()).collect();
    let words: Vec<&str> = fixtures.iter().flat_map(|text| text.split_whitespace()).collect();
    let emitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                let (pieces, words) = (&pieces, &words);
                scope.spawn(move || {
                    let mut random = Random(seed + 1);
                    let mut known: HashMap<(String, u32), Arc<Parsed>> = HashMap::new();
                    let mut library = |path: &str, id: u32| {
                        let make = || Arc::new(parse(library::text(path).expect("library"), FileId(id)));
                        known.entry((path.to_owned(), id)).or_insert_with(make).clone()
                    };
                    let count = (0..TEXTS / THREADS).filter(|_| {
                        let text = damaged(&mut random, pieces, words);
                        let run = || whole::compile(&text, &mut library).emitted;
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
                            .unwrap_or_else(|_| panic!("this text breaks the front end:\n{text}\n---"))
                    });
                    count.count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    // Damage that stops everything would test the parser alone.
    assert!(emitted > 1_000, "{emitted} of {TEXTS} reached the output");
}
