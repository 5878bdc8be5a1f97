//! A second program that manages the firewall of the same host. What it drops stays dropped, whatever a policy allows; and what it
//! does when it is reloaded is done behind the policy's back.

use super::words;
use crate::diagnostic::{Code, Diagnostic, Level};
use crate::netfilter::Target;
use crate::platform::{Platform, Situation};
use crate::policy::{Action, Class, Flow, Judgement, Policy, Rank};
use crate::project::Project;
use crate::span::Location;
use crate::syntax::tree::View;

/// Two managers of one host.
pub static SECOND_MANAGER: Code = Code {
    number: "FW0320",
    name: "second-manager",
    level: Level::Warning,
    summary: "ufw or firewalld manages the same host",
    explanation: "\
ufw and firewalld are each made to have the whole firewall of a host to themselves, and so is a policy of fwc's. Their rules and fwc's are
all passed, each without knowing of the others.

```fw
use ufw                            # warning
allow ssh from 198.51.100.0/24 to host
```

**Why it hurts.** What either of them drops is dropped; what one opens another may close, and whoever looks into one of them sees half the
truth. `ufw enable`, `disable` and `reload`, and a start, stop or reload of firewalld, write rules and policies at moments that the
other does not know of: ufw sets the policies of INPUT and FORWARD to DROP when it is enabled and to ACCEPT when it is disabled. A jump
into fwc's chains that is no longer there, or no longer in front, is not noticed either: what they deny would pass.

**Instead**, keep one of them: `ufw disable`, or `systemctl disable --now firewalld`, once the policy says what they said. While both
are there, load the policy last, and run its `.attach` script after every start or reload of the other; it makes the jumps that are not there and changes nothing else.
fail2ban is no such manager: it bans addresses, and its bans stay in front.

```fw
use fail2ban
fact ufw = off
allow ssh from 198.51.100.0/24 to host
```
",
};

/// An allow that the other manager's rules override.
pub static MANAGER_DROPS: Code = Code {
    number: "FW0321",
    name: "manager-drops",
    level: Level::Warning,
    summary: "an allow has no effect unless the other manager of this host lets the same in",
    explanation: "\
A packet passes every table at a hook. An accept ends one of them; a drop or reject ends the packet.

- **firewalld** (nftables backend) has its table behind all others and rejects what no zone of its lets in, on input and on forward. Only
  what has been translated, a container's published port or fwc's own `forward`, passes before that.
- **ufw** drops by the policies of iptables' INPUT and FORWARD. With `target iptables` fwc's jump stands before them and an allow is final;
  with `target nft` it is not.

```fw
use firewalld
allow https to host                # warning: firewalld rejects it
```

**Why it hurts.** The policy says that the port is open, the rules are loaded, and connections are refused.

**Instead**, keep one manager; or let the other in on it: `firewall-cmd --permanent --add-service=https`, or a zone of its for the card
that lets everything through (`trusted`), so that the policy alone decides. Beside ufw, build for iptables. Or say that it
no longer runs:

```fw
fact firewalld = off
allow https to host
```

What the policy denies is closed in any case.
",
};

/// How another manager's drops stand to an accept of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drops {
    /// By the policies of iptables' built-in chains.
    Policy,
    /// In a table behind every other.
    Behind,
}

/// The check.
pub fn check(project: &Project, policy: &Policy, target: Target) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for platform in policy.platforms.iter().filter_map(|name| Platform::load(name)) {
        let Some((drops, remedy)) = manages(platform) else { continue };
        let Some(location) = said(project, policy, &platform.name) else { continue };
        let message = format!("{} manages this host's firewall, too", platform.title);
        let told = Diagnostic::new(&SECOND_MANAGER, location, message).label("two managers of one host").help(remedy);
        out.push(match target {
            // The jumps into our chains stand in chains that the other one writes, too.
            Target::Iptables => {
                told.help("until then, run the `.attach` script again after each start or reload of it")
            }
            Target::Nft => told,
        });
        out.extend(overridden(policy, target, platform, drops, location));
    }
    out
}

/// Whether a platform is a second manager, by what its file says of it; with what to do.
fn manages(platform: &'static Platform) -> Option<(Drops, &'static str)> {
    platform.faults(&Situation::unknown()).into_iter().find_map(|fault| {
        let drops = match fault.item.name.as_str() {
            "policy-drop" => Drops::Policy,
            "rejects-after-us" => Drops::Behind,
            _ => return None,
        };
        Some((drops, fault.item.remedy.as_str()))
    })
}

/// Where the policy, or a fact, says that it is there.
fn said(project: &Project, policy: &Policy, name: &str) -> Option<Location> {
    words::used(project, name).or_else(|| policy.facts.source(name))
}

/// The first allow that does not take effect by itself, and how many more there are.
fn overridden(
    policy: &Policy,
    target: Target,
    platform: &Platform,
    drops: Drops,
    location: Location,
) -> Option<Diagnostic> {
    if drops == Drops::Policy && target == Target::Iptables {
        return None;
    }
    let mut allows: Vec<&Judgement> = policy
        .flows
        .iter()
        .flat_map(|(flow, list)| list.iter().filter(|judgement| drops_in(*flow, judgement)))
        .filter(|judgement| judgement.action == Action::Allow && matches!(judgement.rank, Rank::Rule | Rank::Default))
        .collect();
    allows.sort_by_key(|judgement| judgement.location);
    allows.dedup_by_key(|judgement| judgement.location);
    let first = allows.first()?;
    let verb = if drops == Drops::Behind { "rejects" } else { "drops" };
    let more = match allows.len() - 1 {
        0 => String::new(),
        1 => ", and one more".to_owned(),
        more => format!(", and {more} more"),
    };
    let found = Diagnostic::new(
        &MANAGER_DROPS,
        first.location,
        format!("{} {verb} what is allowed here, unless it lets it in as well", platform.title),
    )
    .label(format!("an accept here does not override it{more}"))
    .related(location, "the other manager");
    Some(if drops == Drops::Behind {
        found
            .help("stop it, and let the policy decide alone")
            .help("or let the same in there: `firewall-cmd --permanent --add-service=…`, or a card's zone `trusted`")
    } else {
        found
            .help("stop it, and let the policy decide alone")
            .help("or build for iptables (`target iptables`): there the rules stand in front of ufw's")
    })
}

/// Whether another manager judges this on input or forward, and has not let it pass as translated.
fn drops_in(flow: Flow, judgement: &Judgement) -> bool {
    let translated = judgement.forwarded || (flow.to == Class::Container && judgement.to.view != Some(View::Direct));
    flow.from != Class::Host && !translated
}
