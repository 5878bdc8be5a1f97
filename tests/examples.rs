//! The examples: what is checked in beside each is what the program writes today. `UPDATE=1 cargo test examples` writes it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An example: its directory, its policy there, the target that it is for.
pub struct Example {
    pub name: &'static str,
    pub policy: &'static str,
    pub target: &'static str,
}

/// All of them.
pub const EXAMPLES: &[Example] = &[
    Example { name: "docker-router", policy: "site.fw", target: "iptables" },
    Example { name: "docker-systemd", policy: "site.fw", target: "iptables" },
    Example { name: "docker-vpn", policy: "site.fw", target: "iptables" },
    Example { name: "egress", policy: "site.fw", target: "iptables" },
    Example { name: "fleet", policy: "host.fw", target: "iptables" },
    Example { name: "home", policy: "site.fw", target: "iptables" },
    Example { name: "hypervisor", policy: "site.fw", target: "nft" },
    Example { name: "lxd", policy: "site.fw", target: "nft" },
    Example { name: "vps", policy: "site.fw", target: "iptables" },
];

impl Example {
    /// Its directory.
    pub fn directory(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(self.name)
    }

    /// What is written for a target: file name and text. If it is refused: why.
    pub fn build(&self, target: &str) -> Result<BTreeMap<String, String>, String> {
        let out = tempfile::tempdir().expect("a directory");
        self.write(target, out.path()).map(|()| files(out.path()))
    }

    fn write(&self, target: &str, out: &Path) -> Result<(), String> {
        let output = Command::new(env!("CARGO_BIN_EXE_fwc"))
            .current_dir(self.directory())
            .args(["build", self.policy, "--target", target, "-o"])
            .arg(out)
            .output()
            .expect("fwc runs");
        let said = || format!("examples/{}/{}: {}", self.name, self.policy, String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(()) } else { Err(said()) }
    }
}

fn files(directory: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return BTreeMap::new() };
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("output is text"))
        })
        .collect()
}

#[test]
fn what_is_checked_in_is_what_is_built() {
    for example in EXAMPLES {
        let built = example.directory().join("built");
        let now = example.build(example.target).unwrap_or_else(|said| panic!("{said}"));
        if std::env::var_os("UPDATE").is_some() {
            let _ = std::fs::remove_dir_all(&built);
            example.write(example.target, &built).unwrap_or_else(|said| panic!("{said}"));
        }
        let there = files(&built);
        let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
        let stale = format!("examples/{}/built is out of date: run `UPDATE=1 cargo test examples`", example.name);
        assert_eq!(names(&there), names(&now), "{stale}");
        for (name, text) in &now {
            assert!(there.get(name) == Some(text), "{name}: {stale}");
        }
    }
}

#[test]
fn the_other_target_is_built() {
    for example in EXAMPLES {
        let (other, rules) = if example.target == "nft" { ("iptables", ".rules.v4") } else { ("nft", ".nft") };
        let files = example.build(other).unwrap_or_else(|said| panic!("{}: {said}", example.name));
        assert!(files.keys().any(|name| name.ends_with(rules)), "{}: {:?}", example.name, files.keys());
    }
}

#[test]
fn the_list_is_complete_and_described() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let page = std::fs::read_to_string(root.join("README.md")).expect("examples/README.md");
    let mut there: Vec<String> = std::fs::read_dir(root)
        .expect("examples")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir())?.file_name().into_string().ok())
        .collect();
    there.sort();
    assert_eq!(there, EXAMPLES.iter().map(|example| example.name).collect::<Vec<_>>());
    for name in there {
        assert!(page.contains(&format!("({name}/)")), "examples/README.md says nothing of {name}");
    }
}
