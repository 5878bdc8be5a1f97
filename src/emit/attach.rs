//! The script that makes the jumps into our chains. It is apart from the rules because no restore file can make a jump exactly
//! once: `-I` twice makes two, and `-C` of a missing one fails the table.

use std::fmt::Write as _;

use super::{Context, header, iptables};
use crate::net::Family;
use crate::netfilter::Ruleset;

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
    }
    out
}
