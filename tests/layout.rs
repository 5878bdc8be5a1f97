//! The house rules that a compiler does not see.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("directory").map(|entry| entry.expect("entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// The modules of the crate, in the order of `lib.rs`.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned));
    names.collect()
}

/// The modules that a text takes things from: `use crate::net::Family` and `crate::net::Family` in the middle of a line.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for after in code.split("crate::").skip(1) {
        let names: Vec<&str> = match after.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![after],
        };
        for name in names {
            let word = name.trim().split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
            found.extend(word.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    found
}

#[test]
fn imports_point_down_the_pipeline() {
    let order = modules();
    let place = |name: &str| order.iter().position(|module| module == name);
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut faults = Vec::new();
    for path in files {
        let inside = path.strip_prefix(root().join("src")).expect("below src");
        let own = inside.iter().next().expect("a part").to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some(here) = place(&own) else { continue };
        let text = fs::read_to_string(&path).expect("source");
        // Tests may use what they like.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for module in imports(code) {
            if place(&module).is_some_and(|there| there > here) && !inside.ends_with("tests.rs") {
                faults.push(format!("src/{} uses `{module}`, which stands below `{own}`", inside.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A build is validated by reading what was written: a fault that both sides share would go unnoticed.
#[test]
fn readers_and_emitters_share_no_words() {
    let code = |module: &str| {
        let mut files = Vec::new();
        sources(&root().join("src").join(module), &mut files);
        files.into_iter().map(|path| fs::read_to_string(path).expect("source")).collect::<Vec<_>>()
    };
    let allowed = ["span", "net", "diagnostic", "names", "netfilter", "read"];
    let readers = code("read");
    assert!(readers.len() > 8);
    for text in readers {
        let others: Vec<String> = imports(&text).into_iter().filter(|name| !allowed.contains(&&**name)).collect();
        assert_eq!(others, [""; 0]);
        for shared in ["netfilter::words", "netfilter::entry", "words::{", "entry::{"] {
            assert!(!text.contains(shared), "the readers use {shared}");
        }
    }
    for module in ["emit", "lower", "optimise", "platform", "policy"] {
        assert!(code(module).iter().all(|text| !imports(text).contains("read")), "{module} reads");
    }
}

#[test]
fn every_module_stands_in_the_order() {
    let listed: BTreeSet<String> = modules().into_iter().collect();
    let there: BTreeSet<String> = fs::read_dir(root().join("src"))
        .expect("src")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
        .filter(|name| name != "lib" && name != "main")
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn an_import_is_seen_however_it_is_written() {
    let text =
        "use crate::net::Family;\nuse crate::{span::Span, facts};\nlet x = crate::emit::emit();\n// crate::cli\n";
    let seen: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(seen, ["emit", "facts", "net", "span"]);
}

#[test]
fn the_library_does_no_input_or_output() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for path in files {
        let inside = path.strip_prefix(root()).expect("below the root");
        // `facts/schema.rs` is compiled for tests alone: it keeps the schema page current.
        let test_only = inside.ends_with("tests.rs") || inside.ends_with("facts/schema.rs");
        let shell = ["src/cli", "src/server", "src/disk.rs", "src/main.rs"];
        if shell.iter().any(|part| inside.starts_with(part)) || test_only {
            continue;
        }
        let text = fs::read_to_string(&path).expect("source");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for forbidden in ["std::fs", "std::env", "std::process", "std::time", "println!", "std::net::Tcp"] {
            assert!(!code.contains(forbidden), "{} uses {forbidden}", inside.display());
        }
    }
}

#[test]
fn no_module_is_a_drawer_for_everything() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    for path in files {
        let name = path.file_stem().expect("name").to_string_lossy().into_owned();
        assert!(!["utils", "util", "helpers", "common", "misc", "manager"].contains(&&*name), "{}", path.display());
    }
}

/// A stub of a file system knows of no directory and no link, and a test that uses one cannot see what comes of them.
#[test]
fn tests_and_benches_have_one_file_system() {
    let mut files = Vec::new();
    ["src", "tests", "benches"].iter().for_each(|directory| sources(&root().join(directory), &mut files));
    let implements =
        |path: &PathBuf| fs::read_to_string(path).expect("source").contains(concat!("impl System", " for "));
    let found: BTreeSet<PathBuf> = files.into_iter().filter(implements).collect();
    let allowed = ["src/disk.rs", "src/project/memory.rs", "src/server/documents.rs"];
    assert_eq!(found, allowed.map(|path| root().join(path)).into());
}
