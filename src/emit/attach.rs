//! The script that makes the rules that are needed in other owners' chains: the jumps into ours, or the accept of what our nft table
//! accepted. It is apart from the rules because no restore file can make a rule exactly once: `-I` twice makes two, and `-C` of a
//! missing one fails the table.

use std::fmt::Write as _;

use super::{Context, header, iptables};
use crate::net::Family;
use crate::netfilter::entry::{ENTRY_CHAINS, entry_chain};
use crate::netfilter::{Attached, Attachment, Ruleset, TableKind, Target};

const BODY: &str = r#"
# Run it after the rules are loaded; running it again changes nothing. `IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy`
# before it chooses another variant. With the word `detach` it takes away again what it made.
set -eu
IPTABLES=${IPTABLES:-iptables}
IP6TABLES=${IP6TABLES:-ip6tables}
action=${1:-attach}
case $action in
attach | detach) ;;
*)
    echo "usage: $0 [attach|detach]" >&2
    exit 2
    ;;
esac

# The number of the place behind the ban chains and ban sets that the chain begins with: who is banned stays banned,
# whatever our chain allows.
place() {
    "$1" -w -t "$2" -S "$3" | {
        at=1
        while read -r word _ rest; do
            [ "$word" = -A ] || continue
            case $rest in
            *f2b-* | *"-j fail2ban"* | *"-j sshguard"* | *"-j SSHGUARD"* | *crowdsec* | *CROWDSEC*) at=$((at + 1)) ;;
            *) break ;;
            esac
        done
        echo "$at"
    }
}

# rule COMMAND TABLE PARENT WORD...: that rule, once.
rule() {
    command=$1
    table=$2
    parent=$3
    shift 3
    if [ "$action" = detach ]; then
        while "$command" -w -t "$table" -D "$parent" "$@" 2>/dev/null; do :; done
        return
    fi
    "$command" -w -t "$table" -C "$parent" "$@" 2>/dev/null ||
        "$command" -w -t "$table" -I "$parent" "$(place "$command" "$table" "$parent")" "$@"
}

# user COMMAND TABLE CHAIN: Docker leads FORWARD to its users' chain when it starts; before that, with its nftables backend or after
# a fault of its own, nothing does, and what stands there would not be asked.
user() {
    [ "$action" = attach ] || return 0
    "$1" -w -t "$2" -N "$3" 2>/dev/null || :
    rule "$1" "$2" FORWARD -j "$3"
}
"#;

const GONE: &str = r#"
# gone COMMAND NAMES TABLE CHAIN...: empties what an earlier build had in a table where this one has nothing to say.
gone() {
    [ "$action" = attach ] || return 0
    # iptables-legacy brings a table to life by looking at it, and then every packet passes it; NAMES lists the living ones.
    case $("$1" -V) in
    *nf_tables*) ;;
    *) grep -qx "$3" "/proc/net/$2" 2>/dev/null || return 0 ;;
    esac
    command=$1
    table=$3
    shift 3
    for chain; do
        "$command" -w -t "$table" -F "$chain" 2>/dev/null || :
    done
}
"#;

/// The script's text.
pub(super) fn script(ruleset: &Ruleset, context: &Context) -> String {
    let mut out = String::from("#!/bin/sh\n");
    out.push_str(&header(context, &[]));
    out.push_str(BODY);
    if context.target == Target::Iptables {
        out.push_str(GONE);
    }
    for family in Family::BOTH {
        let command = iptables::command(family);
        let wanted = |one: &&Attachment| one.family == family && one.is_for(context.target);
        let of_family = ruleset.attachments.iter().filter(wanted);
        for (number, attachment) in of_family.enumerate() {
            out.push_str(if number == 0 { "\n" } else { "" });
            rule(&mut out, command, attachment);
        }
        if context.target == Target::Iptables {
            gone(&mut out, family, ruleset);
        }
    }
    out
}

/// The lines of one rule. Writing to a String cannot fail.
fn rule(out: &mut String, command: &str, attachment: &Attachment) {
    let (table, parent) = (attachment.table.name(), &attachment.parent);
    if attachment.create_parent {
        let _ = writeln!(out, "user \"${command}\" {table} {parent}");
    }
    let _ = match &attachment.rule {
        Attached::Jump(chain) => writeln!(out, "rule \"${command}\" {table} {parent} -j {chain}"),
        Attached::Accept(mark) => {
            let words = format!("-m mark --mark {mark:#x}/{mark:#x} -m comment --comment fwc-accepted -j ACCEPT");
            writeln!(out, "rule \"${command}\" {table} {parent} {words}")
        }
    };
}

/// The lines that empty our chains in the tables where a program has nothing to say.
fn gone(out: &mut String, family: Family, ruleset: &Ruleset) {
    let command = iptables::command(family);
    let names = if family == Family::Ipv4 { "ip_tables_names" } else { "ip6_tables_names" };
    for table in TableKind::ALL.into_iter().filter(|kind| !iptables::uses(ruleset, family, *kind)) {
        let mut chains = ENTRY_CHAINS.iter().filter(|(kind, _)| *kind == table).peekable();
        if chains.peek().is_none() {
            continue;
        }
        let _ = write!(out, "gone \"${command}\" {names} {}", table.name());
        for (kind, hook) in chains {
            let _ = write!(out, " {}", entry_chain(*kind, *hook));
        }
        out.push('\n');
    }
}
