//! The script that makes the jumps into our chains. It is apart from the rules because no restore file can make a jump exactly
//! once: `-I` twice makes two, and `-C` of a missing one fails the table.

use std::fmt::Write as _;

use super::{Context, header, iptables};
use crate::net::Family;
use crate::netfilter::entry::{ENTRY_CHAINS, entry_chain};
use crate::netfilter::{Ruleset, TableKind};

const BODY: &str = r#"
# Run it after the rules are loaded; running it again changes nothing. `IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy`
# before it chooses another variant. With the word `detach` it takes the jumps away again.
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

# jump COMMAND TABLE PARENT CHAIN [create]
jump() {
    if [ "$action" = detach ]; then
        while "$1" -w -t "$2" -D "$3" -j "$4" 2>/dev/null; do :; done
        return
    fi
    if [ "${5:-}" = create ]; then
        "$1" -w -t "$2" -N "$3" 2>/dev/null || :
        # Docker leads FORWARD there when it starts; before that, with its nftables backend or after a fault of its own,
        # nothing does, and what our chain denies would pass.
        once "$1" "$2" FORWARD "$3"
    fi
    once "$1" "$2" "$3" "$4"
}

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

# once COMMAND TABLE PARENT CHAIN
once() {
    "$1" -w -t "$2" -C "$3" -j "$4" 2>/dev/null || "$1" -w -t "$2" -I "$3" "$(place "$1" "$2" "$3")" -j "$4"
}
"#;

/// The script's text.
pub(super) fn script(ruleset: &Ruleset, context: &Context) -> String {
    let mut out = String::from("#!/bin/sh\n");
    out.push_str(&header(context, &[]));
    out.push_str(BODY);
    for family in Family::BOTH {
        let command = iptables::command(family);
        let mut first = true;
        for attachment in ruleset.attachments.iter().filter(|attachment| attachment.family == family) {
            if std::mem::take(&mut first) {
                out.push('\n');
            }
            // Writing to a String cannot fail.
            let _ = write!(
                out,
                "jump \"${command}\" {} {} {}",
                attachment.table.name(),
                attachment.parent,
                attachment.chain
            );
            out.push_str(if attachment.create_parent { " create\n" } else { "\n" });
        }
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
    out
}
