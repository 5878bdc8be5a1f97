//! The rules in other owners' chains, as the attach script makes them, and our chains in the place of those of an earlier build.

use std::sync::Arc;

use crate::net::Family;
use crate::netfilter::entry::{base, hooks};
use crate::netfilter::{
    Attached, Base, Chain, Hook, Match, MatchKind, Owner, Rule, Ruleset, Table, TableFamily, TableKind, Target, Verdict,
};

/// What ban chains and ban sets are called: the jump into our chain comes after the last rule that leads there.
const BANS: [&str; 6] = ["f2b-", "fail2ban", "sshguard", "SSHGUARD", "crowdsec", "CROWDSEC"];

/// Puts a policy's rules into a host's.
pub(super) fn attach(host: &mut Ruleset, lowered: Ruleset, target: Target) {
    let attachments = lowered.attachments;
    match target {
        Target::Nft => {
            for mut table in lowered.tables {
                table.name = format!("fwc/{}", table.name);
                host.tables.push(table);
            }
        }
        Target::Iptables => {
            for table in &lowered.tables {
                match table.family {
                    TableFamily::Inet => {
                        for family in Family::BOTH {
                            fill(host, table, family);
                        }
                    }
                    _ => host.tables.push(table.clone()),
                }
            }
        }
    }
    for attachment in attachments.iter().filter(|attachment| attachment.is_for(target)) {
        let table = built_in(host, attachment.family, attachment.table);
        if attachment.create_parent && chain(table, &attachment.parent).is_none() {
            table.chains.push(plain(&attachment.parent));
        }
        // Docker's own jump stays where Docker has put it.
        if attachment.create_parent && !leads(table, "FORWARD", &attachment.parent) {
            lead(table, "FORWARD", jump(&Arc::from(&*attachment.parent)));
        }
        let rule = match &attachment.rule {
            Attached::Jump(chain) => jump(chain),
            Attached::Accept(mark) => Rule {
                matches: vec![Match::is(MatchKind::Mark { value: *mark, mask: *mark })],
                verdict: Some(Verdict::Accept),
                ..Rule::default()
            },
        };
        lead(table, &attachment.parent, rule);
    }
}

/// Our chains of one family, into its table.
fn fill(host: &mut Ruleset, from: &Table, family: Family) {
    let table = built_in(host, family, from.kind);
    table.sets.retain(|known| from.sets.iter().all(|set| set.name != known.name));
    table.sets.extend(from.sets.iter().cloned());
    for chain in &from.chains {
        let of_family = |rule: &&Rule| rule.family.is_none_or(|only| only == family);
        let rules = chain.rules.iter().filter(of_family).cloned().collect();
        let new = Chain { base: None, rules, ..chain.clone() };
        match table.chains.iter_mut().find(|known| known.name == chain.name) {
            Some(known) => *known = new,
            None => table.chains.push(new),
        }
    }
}

/// A table of iptables, with its built-in chains.
fn built_in(host: &mut Ruleset, family: Family, kind: TableKind) -> &mut Table {
    let of = match family {
        Family::Ipv4 => TableFamily::Ipv4,
        Family::Ipv6 => TableFamily::Ipv6,
    };
    let table = host.table_mut(of, kind);
    for hook in hooks(kind) {
        if chain(table, hook.chain()).is_none() {
            let new = Chain { owner: Owner::Kernel, base: Some(customary(kind, *hook)), ..plain(hook.chain()) };
            table.chains.push(new);
        }
    }
    table
}

/// iptables' own place at a hook: ours stand five before it.
fn customary(kind: TableKind, hook: Hook) -> Base {
    let ours = base(kind, hook);
    Base { priority: ours.priority + 5, ..ours }
}

fn plain(name: &str) -> Chain {
    Chain { name: Arc::from(name), owner: Owner::Other, base: None, rules: Vec::new() }
}

fn chain<'t>(table: &'t mut Table, name: &str) -> Option<&'t mut Chain> {
    table.chains.iter_mut().find(|chain| &*chain.name == name)
}

fn jump(to: &Arc<str>) -> Rule {
    Rule { verdict: Some(Verdict::Jump(to.clone())), ..Rule::default() }
}

/// Puts a rule of ours into another owner's chain: after the last rule that asks who is banned, else in front. One that is there already
/// is moved there, as attaching does.
fn lead(table: &mut Table, parent: &str, rule: Rule) {
    let Some(parent) = chain(table, parent) else { return };
    let same = |known: &Rule| known.matches == rule.matches && known.verdict == rule.verdict;
    let known = parent.rules.iter().position(same).map(|at| parent.rules.remove(at));
    let at = parent.rules.iter().rposition(asks_who_is_banned).map_or(0, |last| last + 1);
    let rule = known.unwrap_or_else(|| Rule { comment: Some(Arc::from("made by the attach script")), ..rule });
    parent.rules.insert(at, rule);
}

/// Whether a rule leads to a chain, or looks into a set, of a program that bans addresses.
fn asks_who_is_banned(rule: &Rule) -> bool {
    let theirs = |name: &str| BANS.iter().any(|ban| name.contains(ban));
    let asks = |item: &Match| match &item.kind {
        MatchKind::InSet(asked) => theirs(&asked.set),
        MatchKind::Unknown(text) => theirs(text),
        _ => false,
    };
    let leads = match &rule.verdict {
        Some(Verdict::Jump(name) | Verdict::Goto(name) | Verdict::Unknown(name)) => theirs(name),
        _ => false,
    };
    leads || rule.matches.iter().any(asks)
}

/// Whether a rule of a chain leads to another whatever the packet.
fn leads(table: &mut Table, from: &str, to: &str) -> bool {
    let jump = jump(&Arc::from(to));
    chain(table, from)
        .is_some_and(|chain| chain.rules.iter().any(|rule| rule.matches.is_empty() && rule.verdict == jump.verdict))
}

/// Gives FORWARD the policy that facts know, where no rule set does.
pub(super) fn forward_policy(host: &mut Ruleset, family: Family, accept: bool) {
    let table = built_in(host, family, TableKind::Filter);
    if let Some(base) = chain(table, "FORWARD").and_then(|chain| chain.base.as_mut()) {
        base.accept = accept;
    }
}
