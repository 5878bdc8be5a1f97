//! What `trace` and `diff` take in alike: policies and rule sets, and what is known of the host that they are for.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::failure::Failure;
use super::inputs::{STANDARD_INPUT, configured, facts_beside, read_root};
use super::render::{Sheet, full, harmless};
use super::{Color, TargetArgument, disk, print_aside};
use crate::host::{self, Host, Refused, sentence};
use crate::project::Options;
use crate::rules::compose;
use crate::simulate::{self, Question};

/// Arguments that `trace` and `diff` share.
#[derive(Debug, clap::Args)]
pub(super) struct HostArguments {
    /// A rule set recorded on the host (iptables-save, ip6tables-save, ipset save, nft list ruleset), whose chains take part; may be
    /// given several times
    #[arg(long, value_name = "FILE")]
    beside: Vec<PathBuf>,
    /// What is known about the host; without it, fwc.facts.json beside the file, if there is one
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// What a policy is compiled for, whatever the source and the facts say
    #[arg(long, value_name = "TARGET")]
    target: Option<TargetArgument>,
}

/// An address of the host, `ens33=203.0.113.10/24`.
pub(super) fn address(text: &str) -> Result<(String, IpNet), String> {
    let (card, address) = text.split_once('=').ok_or("expected CARD=ADDRESS/LENGTH, such as ens33=203.0.113.10/24")?;
    let net = address
        .parse::<IpNet>()
        .or_else(|_| address.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{address}` is no address with a prefix length"))?;
    if card.is_empty() || card.len() > 15 {
        return Err(format!("`{card}` is no interface's name"));
    }
    Ok((card.to_owned(), net))
}

impl HostArguments {
    /// The host that an argument means: one file, or several with `+` between, and `with` more. `None`: a policy has errors, which
    /// were shown.
    pub(super) fn load(&self, argument: &Path, with: &[PathBuf], color: Color) -> Result<Option<Host>, Failure> {
        let mut paths = parts(argument);
        paths.extend(with.iter().cloned());
        let options = self.options(&paths)?;
        let levels = options.levels.clone();
        let mut roots = paths.iter().map(|path| read_root(path)).collect::<Result<Vec<_>, _>>()?;
        // A compose file by itself is a host whose policy says nothing.
        for root in &mut roots {
            if let Some(silent) = compose::silent_policy(root) {
                *root = silent;
            }
        }
        let beside = self.beside.iter().map(|path| read_root(path)).collect::<Result<Vec<_>, _>>()?;
        match host::load(&disk::Disk, roots, beside, options) {
            Ok(host) => Ok(Some(host)),
            Err(Refused::Text(message)) => Err(Failure::new(harmless(&message).replace('\n', "\\n"))),
            Err(Refused::Policy { files, diagnostics }) => {
                let sheet = Sheet::new(&files, &diagnostics, &levels);
                print_aside(&full::render(&sheet, color.on(std::io::stderr().is_terminal())));
                print_aside(&sheet.tally().line());
                Ok(None)
            }
            Err(Refused::Rules { files, diagnostics }) => {
                let sheet = Sheet::new(&files, &diagnostics, &levels);
                print_aside(&full::render(&sheet, color.on(std::io::stderr().is_terminal())));
                print_aside(&sheet.tally().line());
                Err(Failure::new("no tool loads these rules, so that there is nothing to be asked about them"))
            }
        }
    }
}

/// A packet as a command line gives it: in the form of packets, or in the words of the policy that the host has.
pub(super) struct Asked {
    /// What is followed.
    pub question: Question,
    /// Where it was given in the policy's words: the packet that is followed, and how many others the words mean.
    pub chosen: Option<(String, usize)>,
}

impl HostArguments {
    /// Understands a packet, or a connection in the words of the policy in `argument`.
    pub(super) fn asked(&self, argument: &Path, text: &str) -> Result<Asked, Failure> {
        if !sentence::is_sentence(text) {
            let question = simulate::parse(text).map_err(|fault| pointed(text, &fault.at, &fault.message, None))?;
            return Ok(Asked { question, chosen: None });
        }
        let paths = parts(argument);
        let policy = paths.iter().find(|path| path.extension().is_some_and(|extension| extension == "fw"));
        let Some(policy) = policy else {
            let message = "these are words of a policy's rules, and a rule set is asked about a packet";
            let help = "write it like `tcp 198.51.100.7 -> host:22 via eth0`";
            return Err(pointed(text, &(0..text.len()), message, Some(help)));
        };
        let options = self.options(&paths)?;
        let found = sentence::packets(&disk::Disk, policy, options, text)
            .map_err(|fault| pointed(text, &fault.at, &fault.message, fault.help.as_deref()))?;
        let Some((first, others)) = found.split_first() else { return Err(Failure::new("no connection is like this")) };
        let question = simulate::parse(first).map_err(|fault| pointed(first, &fault.at, &fault.message, None))?;
        Ok(Asked { question, chosen: Some((first.clone(), others.len())) })
    }

    fn options(&self, paths: &[PathBuf]) -> Result<Options, Failure> {
        let facts = match (&self.facts, paths.first()) {
            (Some(path), _) => Some(read_root(path)?),
            (None, Some(first)) => facts_beside(first)?,
            (None, None) => None,
        };
        let levels = paths.first().map(|path| configured(path)).transpose()?.unwrap_or_default();
        Ok(Options { target: self.target.map(Into::into), facts, levels })
    }
}

/// What is wrong with a part of a text, with the text and that part marked below it.
pub(super) fn pointed(text: &str, at: &std::ops::Range<usize>, message: &str, help: Option<&str>) -> Failure {
    let before = text.get(..at.start).unwrap_or_default().chars().count();
    let under = text.get(at.clone()).map_or(1, |text| text.chars().count().max(1));
    let shown = harmless(text).replace('\n', " ");
    let help = help.map(|help| format!("\n  help: {}", harmless(help))).unwrap_or_default();
    Failure::new(format!("{}\n  {shown}\n  {}{}{help}", harmless(message), " ".repeat(before), "^".repeat(under)))
}

/// `rules.v4+rules.v6`: the files of one host. A file whose own name has a `+` is that file.
fn parts(argument: &Path) -> Vec<PathBuf> {
    let whole = vec![argument.to_path_buf()];
    if argument.as_os_str() == STANDARD_INPUT || argument.exists() {
        return whole;
    }
    match argument.to_str() {
        Some(text) if text.contains('+') => {
            text.split('+').filter(|part| !part.is_empty()).map(PathBuf::from).collect()
        }
        _ => whole,
    }
}
