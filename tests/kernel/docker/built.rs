//! What `fwc build` writes, loaded on a daemon's host and taken away again.

use std::collections::BTreeSet;

use fwc::assertion::Proof;
use fwc::database::{Database, proofs};
use fwc::diagnostic::Diagnostic;
use fwc::netfilter::Target;

use super::daemon::Daemon;
use crate::fixture;
use crate::kernel::emitted::Files;

/// What a build came to.
pub struct Built {
    /// The files, by name.
    pub files: Files,
    /// The codes of what is said of it.
    pub codes: BTreeSet<&'static str>,
    /// What it has in force, in one line.
    pub in_force: String,
}

/// A project's files, the policy first: its compose file and facts, if the build has them, behind it.
pub type Project = Vec<(String, String)>;

/// Builds a project; what is said if it has errors.
pub fn build(project: &Project, target: Target) -> Result<Built, String> {
    let mut db = Database::default();
    let input = fixture::load(&mut db, project, Some(target));
    let (_, compiled) = db.compile_once(input, "site", &[], true);
    if let Some(found) = compiled.disagreement {
        return Err(format!("the files do not mean what the policy means: {}", found.0));
    }
    let errors = errors(&compiled.diagnostics);
    if !errors.is_empty() {
        return Err(errors.join("; "));
    }
    let codes = compiled.diagnostics.iter().map(|one| one.code.number).collect();
    Ok(Built { files: compiled.outputs.into_iter().collect(), codes, in_force: compiled.in_force })
}

/// What becomes of a project's asserts; none where it has errors.
pub fn prove(project: &Project, target: Target) -> Vec<Proof> {
    let mut db = Database::default();
    let input = fixture::load(&mut db, project, Some(target));
    proofs(&db, input).1
}

fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics.iter().filter(|one| one.is_error()).map(|one| format!("{} {}", one.code.number, one.message)).collect()
}

impl Built {
    /// Whether it was said that without facts a road by docker-proxy stays open or may be closed, and which fact would settle that.
    pub fn warned(&self) -> bool {
        ["FW0303", "FW0304", "FW0305"].iter().any(|code| self.codes.contains(code))
    }

    fn text(&self, name: &str) -> Option<&str> {
        // nft's script is told apart from that of iptables.
        let other = format!("site.nft.{name}");
        self.files.get(&format!("site.{name}")).or_else(|| self.files.get(&other)).map(String::as_str)
    }

    fn feed(&self, daemon: &Daemon, name: &str, program: &str, arguments: &[&str]) -> Result<(), String> {
        let Some(text) = self.text(name) else { return Ok(()) };
        daemon.run(program, arguments, text).map(|_| ()).map_err(|error| format!("site.{name}: {error}"))
    }

    /// Loads and attaches, as the files say at their top.
    pub fn load(&self, daemon: &Daemon) -> Result<(), String> {
        self.feed(daemon, "nft", "nft", &["-f", "-"])?;
        self.feed(daemon, "ipset", "ipset", &["restore", "-exist"])?;
        self.feed(daemon, "rules.v4", "iptables-restore", &["-w", "--noflush"])?;
        self.feed(daemon, "rules.v6", "ip6tables-restore", &["-w", "--noflush"])?;
        self.feed(daemon, "attach", "sh", &["-s"])
    }

    /// Takes everything away again.
    pub fn unload(&self, daemon: &Daemon) -> Result<(), String> {
        self.feed(daemon, "attach", "sh", &["-s", "detach"])?;
        self.feed(daemon, "empty.v4", "iptables-restore", &["-w", "--noflush"])?;
        self.feed(daemon, "empty.v6", "ip6tables-restore", &["-w", "--noflush"])?;
        self.feed(daemon, "empty.nft", "nft", &["-f", "-"])?;
        if self.text("nft").is_some() {
            daemon
                .shell("nft delete table inet fwc 2>/dev/null || :\nnft delete table bridge fwc 2>/dev/null || :\n")?;
        }
        Ok(())
    }
}
