//! scratch
#[path = "../build/policies.rs"]
mod policies;
use fwc::netfilter::Target;
use fwc::project::{Entry, Options, ReadError, Root, System};
use fwc::{lower, optimise, policy, project, syntax};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
struct Alone;
impl System for Alone {
    fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::NotFound)
    }
    fn identity(&self, _: &Path) -> Option<PathBuf> {
        None
    }
    fn list(&self, _: &Path) -> Result<Vec<Entry>, ReadError> {
        Err(ReadError::NotFound)
    }
}
fn main() {
    for kind in policies::Kind::ALL {
        for rules in std::env::var("N").map_or(vec![1_000, 10_000, 100_000], |n| vec![n.parse().unwrap()]) {
            for target in [Target::Iptables, Target::Nft] {
                let text = kind.policy(rules);
                let root = Root { path: PathBuf::from("site.fw"), bytes: text.as_bytes().to_vec() };
                let options = Options { target: Some(target), facts: None };
                let mut parse = |id, source: &fwc::span::SourceText| Arc::new(syntax::parse(&source.text, id));
                let (project, _) = project::load(&Alone, root, options, &mut parse);
                let (policy, _) = policy::resolve::resolve(&project);
                let (ruleset, _) = lower::lower(&policy, target);
                let mut other = ruleset.clone();
                optimise::optimise(&mut other, target, &project.files);
                let start = Instant::now();
                let mut budget = fwc::prove::cover::Budget::new(200_000_000);
                let mut spaces = Vec::new();
                for (at, table) in ruleset.tables.iter().enumerate() {
                    for chain in table.chains.iter().filter(|c| c.base.is_some()) {
                        let mut space = fwc::program::Space::new(fwc::net::Family::Ipv4, [&ruleset, &other]);
                        let one =
                            fwc::program::flatten(&ruleset, at, &chain.name, fwc::program::End::Passed, &mut space)
                                .unwrap();
                        let two = fwc::program::flatten(&other, at, &chain.name, fwc::program::End::Passed, &mut space)
                            .unwrap();
                        if one.steps.len() > 100 {
                            if std::env::var("DUMP").is_ok() && &*chain.name == "fwc-forward" {
                                for (i, st) in two.steps.iter().enumerate().take(80) {
                                    let c: Vec<String> = st
                                        .cube
                                        .parts()
                                        .iter()
                                        .map(|(f, v)| {
                                            format!(
                                                "{f}={}",
                                                v.ranges()
                                                    .iter()
                                                    .take(4)
                                                    .map(|(a, b)| format!("{a:x}-{b:x}"))
                                                    .collect::<Vec<_>>()
                                                    .join(",")
                                            )
                                        })
                                        .collect();
                                    println!("{i} {:?} {:?} {}", st.does, st.place, c.join(" & "));
                                }
                            }
                            println!("   {} aligned {}", chain.name, fwc::prove::align::aligned(&one, &two));
                            spaces.push((
                                chain.name.clone(),
                                one.steps.len(),
                                two.steps.len(),
                                one.complete,
                                two.complete,
                            ));
                        }
                    }
                }
                let flat = start.elapsed();
                let found = fwc::prove::equal::mismatch(&ruleset, &other, &fwc::net::Family::BOTH, &mut budget);
                println!(
                    "{} {rules} {target:?}: flatten v4 {:?} total {:?}",
                    kind.name(),
                    flat,
                    start.elapsed() - flat
                );
                println!("   {spaces:?}");
                match found {
                    Ok(None) => println!("   equal"),
                    Ok(Some(m)) => {
                        println!("   DIFFERS {:?} {:?} {}", m.family, m.kind, m.chain);
                        if let (Some(d), Some((a, b, s))) = (m.difference, m.programs) {
                            println!(
                                "   {:?}\n   {:?}\n   {:?}",
                                d.cube, a.steps[d.left as usize], b.steps[d.right as usize]
                            );
                            for (step, p) in [(a.steps[d.left as usize].does, 0), (b.steps[d.right as usize].does, 1)] {
                                if let fwc::program::Does::Decide(e) | fwc::program::Does::Happen(e) = step {
                                    println!("   {p}: {:?}", s.event(e));
                                }
                            }
                        }
                    }
                    Err(_) => println!("   SPENT"),
                }
            }
        }
    }
}
