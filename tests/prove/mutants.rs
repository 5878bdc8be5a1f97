//! Output with one thing changed is not taken for what the policy means.

use std::path::PathBuf;
use std::sync::Arc;

use fwc::emit::{Context, Target, emit};
use fwc::netfilter::Ruleset;
use fwc::project::{MemoryFileSystem, Options, Root};
use fwc::verify::verify;
use fwc::{lower, optimise, policy, project, syntax};

const POLICY: &str = "\
use docker
fact docker.version = \"28.5.2\"
interface wan = ens33
interface lan = eth1
set office = { 198.51.100.0/24, 2001:db8:1::/48 }
to host {
    allow ssh from office limit 10/minute per source
    allow { http, https } via wan
    deny from 203.0.113.128/25
    allow tcp 8000-8010 from 203.0.113.0/24 log \"near \"
}
allow https to container via wan
allow postgres from office to container
allow from lan to wan
masquerade from lan to wan
mark 7 udp 53 from lan to wan
reject tcp 25 from host to world
";

/// The rules that the policy is lowered to, and the files of its build.
fn built(target: Target) -> (Ruleset, Vec<(String, String)>) {
    let root = Root { path: PathBuf::from("site.fw"), bytes: POLICY.as_bytes().to_vec() };
    let options = Options { target: Some(target), ..Options::default() };
    let mut parse = |id, source: &fwc::span::SourceText| Arc::new(syntax::parse(&source.text, id));
    let (project, _) = project::load(&MemoryFileSystem::default(), root, options, &mut parse);
    let (policy, _) = policy::resolve::resolve(&project);
    let (ruleset, _) = lower::lower(&policy, target);
    let mut other = ruleset.clone();
    optimise::optimise(&mut other, target, &project.files);
    let context = Context { target, stem: "site", sources: &project.files, header: Vec::new(), partial: false };
    let files = emit(&other, &context).expect("it builds");
    (ruleset, files.into_iter().map(|file| (file.name, file.text)).collect())
}

/// A line with one thing changed, each way that there is.
fn changes(line: &str) -> Vec<String> {
    let rule = line.starts_with("-A ") || line.starts_with("\t\t");
    let mut all = Vec::new();
    for (from, to) in [
        (" DROP", " ACCEPT"),
        (" ACCEPT", " DROP"),
        (" RETURN", " DROP"),
        ("\tdrop", "\taccept"),
        (" drop ", " accept "),
        (" accept ", " drop "),
        (" 443", " 444"),
        ("/24", "/25"),
        ("/48", "/47"),
        (" -p tcp ", " -p udp "),
        ("meta l4proto tcp", "meta l4proto udp"),
        (" ens33", " ens34"),
        ("\"ens33\"", "\"ens34\""),
        ("10/minute", "11/minute"),
        (" -m conntrack --ctstate INVALID", ""),
        ("ct state invalid ", ""),
    ] {
        if rule && line.contains(from) && !line.contains("flags") {
            all.push(line.replacen(from, to, 1));
        }
    }
    all
}

#[test]
fn a_change_of_the_output_is_noticed() {
    for target in [Target::Iptables, Target::Nft] {
        let (ruleset, files) = built(target);
        assert_eq!(verify(&ruleset, target, &files), Ok(Vec::new()), "it is proved before it is changed");
        let (mut noticed, mut missed) = (0, Vec::new());
        for (number, (name, text)) in files.iter().enumerate() {
            if name.contains(".empty.") || name.ends_with(".attach") {
                continue;
            }
            for (at, line) in text.lines().enumerate() {
                let left_out = line.starts_with("-A ").then(String::new);
                for changed in changes(line).into_iter().chain(left_out) {
                    let mut files = files.clone();
                    let lines = text.lines().enumerate();
                    let lines = lines.map(|(other, line)| if other == at { changed.as_str() } else { line });
                    files[number].1 = lines.collect::<Vec<_>>().join("\n") + "\n";
                    match verify(&ruleset, target, &files) {
                        Err(_) => noticed += 1,
                        Ok(_) => missed.push(format!("{name}: {line} -> {changed}")),
                    }
                }
            }
        }
        println!("{target:?}: {noticed} noticed, {} not:\n{}", missed.len(), missed.join("\n"));
        // What is missed decides no packet otherwise: a rule whose packets the next rules treat alike.
        assert!(noticed > 50 && missed.len() * 6 < noticed, "{target:?}: {noticed} noticed\n{}", missed.join("\n"));
    }
}
