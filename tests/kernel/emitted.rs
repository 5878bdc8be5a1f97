//! What `fwc build` writes, and how it is loaded. The benchmark of packets uses it, too.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::namespace::Namespace;

/// Which program loads the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `iptables` of the nf_tables variant.
    IptablesNft,
    /// `iptables` of the legacy variant.
    IptablesLegacy,
    /// `nft`.
    Nft,
}

impl Backend {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::IptablesNft, Self::IptablesLegacy, Self::Nft];
    /// Both variants of iptables.
    pub const IPTABLES: &'static [Self] = &[Self::IptablesNft, Self::IptablesLegacy];

    /// The word in the names of the iptables programs; the platform's own rules are loaded by them beside nft, too.
    pub fn variant(self) -> &'static str {
        match self {
            Self::IptablesLegacy => "legacy",
            _ => "nft",
        }
    }

    /// The word of `fwc build --target`.
    pub fn target(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            _ => "iptables",
        }
    }
}

/// Emitted files: name and text.
pub type Files = BTreeMap<String, String>;

/// What `fwc build` writes for a policy; its diagnostics if it fails.
pub fn build(policy: &Path, facts: Option<&Path>, target: &str) -> Result<Files, String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fwc"));
    command.arg("build").arg(policy).args(["--target", target]).arg("-o").arg(directory.path());
    if let Some(facts) = facts {
        command.arg("--facts").arg(facts);
    }
    let output = command.output().expect("fwc runs");
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let entries = std::fs::read_dir(directory.path()).expect("its own directory");
    let files: Files = entries
        .map(|entry| {
            let path = entry.expect("a directory entry").path();
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("output is text"))
        })
        .collect();
    // A build that says that it went well and writes nothing would agree with everything.
    if files.is_empty() { Err("no file was written".to_owned()) } else { Ok(files) }
}

fn ending<'a>(files: &'a Files, ending: &str) -> Option<&'a String> {
    files.iter().find(|(name, _)| name.ends_with(ending) && !name.contains(".empty.")).map(|(_, text)| text)
}

/// Loads emitted files: sets, rules, jumps, in the order in which a host does.
pub fn load(namespace: &Namespace, files: &Files, backend: Backend) -> Result<(), String> {
    if let Some(script) = ending(files, ".nft") {
        namespace.run("nft", &["-f", "-"], script)?;
    }
    let variant = backend.variant();
    if let Some(sets) = ending(files, ".ipset") {
        namespace.run("ipset", &["restore", "-exist"], sets)?;
    }
    for (program, suffix) in [("iptables", ".rules.v4"), ("ip6tables", ".rules.v6")] {
        if let Some(rules) = ending(files, suffix) {
            namespace.run(&format!("{program}-{variant}-restore"), &["-w", "--noflush"], rules)?;
        }
    }
    if let Some(script) = ending(files, ".attach") {
        let commands = [("IPTABLES", format!("iptables-{variant}")), ("IP6TABLES", format!("ip6tables-{variant}"))];
        let commands: Vec<(&str, &str)> = commands.iter().map(|(name, value)| (*name, value.as_str())).collect();
        namespace.run_with("sh", &["-s"], script, &commands)?;
    }
    Ok(())
}
