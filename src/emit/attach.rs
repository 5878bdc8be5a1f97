//! The script that makes the rules that are needed in other owners' chains: the jumps into ours, or the accept of what our nft table
//! accepted. It is apart from the rules because no restore file can make a rule exactly once: `-I` twice makes two, and `-C` of a
//! missing one fails the table. It knows its rules by what they are, not by a list of what a build made, so that a build finds what
//! any earlier one has attached.

use std::fmt::Write as _;

use super::{Context, header, iptables};
use crate::net::Family;
use crate::netfilter::{Attached, Attachment, Ruleset, TableKind};

const BODY: &str = r#"
# Run it after the rules are loaded; running it again changes nothing, or puts back what another program has put in front of.
# `IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy` chooses another variant. With the word `detach` it takes away what this and
# earlier builds made: the rules in chains of others, then our own chains.
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

# ours RULE: whether a rule in a chain of others was made by this script, in whatever build.
ours() {
    case $1 in
    *"-j fwc-"* | *"--comment fwc-"*) ;;
    *) return 1 ;;
    esac
}

# bans RULE: whether a rule asks who is banned.
bans() {
    case $1 in
    *f2b-* | *"-j fail2ban"* | *"-j sshguard"* | *"-j SSHGUARD"* | *crowdsec* | *CROWDSEC*) ;;
    *) return 1 ;;
    esac
}

# opens RULE: whether a rule of others accepts what is not banned yet.
opens() {
    case $1 in
    *"-i lo "* | *ESTABLISHED*) return 1 ;;
    *"-j ACCEPT") ;;
    *) return 1 ;;
    esac
}

# remove CHAIN: our rules there go, with the next commit.
remove() {
    while read -r word chain rest; do
        if [ "$word $chain" = "-A $1" ] && ours "$rest"; then
            commit="$commit-D $1 $rest
"
            case $rest in
            *"--comment fwc-made "*) made=yes ;;
            esac
        fi
    done <<END
$rules
END
}

# put CHAIN RULE: that rule, once, behind the last one that asks who is banned, else in front: who is banned stays banned, whatever our
# chain allows, and no rule of others comes before ours otherwise.
put() {
    before=0 banned=0 count=0 found= open=
    while read -r word chain rest; do
        [ "$word $chain" = "-A $1" ] || continue
        if ours "$rest"; then
            count=$((count + 1))
            found="$before $rest"
            continue
        fi
        before=$((before + 1))
        if bans "$rest"; then
            banned=$before
            opened=$open
        elif opens "$rest"; then
            open="$rest"
        fi
    done <<END
$rules
END
    if [ "$banned" -gt 0 ] && [ -n "$opened" ]; then
        echo "$0: $table $1: a rule before the last ban accepts, and neither bans nor our rules are asked: $opened" >&2
    fi
    if [ "$count $found" != "1 $banned $2" ]; then
        remove "$1"
        commit="$commit-I $1 $((banned + 1)) $2
"
    fi
    kept="$kept $1 "
}

# lead: Docker leads FORWARD to its users' chain when it starts; before that, with its nftables backend or after a fault of its own, nothing
# does, and what is there would not be asked. The comment says who made what, for `detach`.
lead() {
    case "
$rules
" in
    *"--comment fwc-made -j DOCKER-USER
"*) mark=fwc-made ;;
    *"
-N DOCKER-USER
"*) mark=fwc-led ;;
    *)
        mark=fwc-made
        commit="$commit-N DOCKER-USER
"
        ;;
    esac
    while read -r word chain rest; do
        if [ "$word $chain $rest" = "-A FORWARD -j DOCKER-USER" ]; then return; fi
    done <<END
$rules
END
    put FORWARD "-m comment --comment $mark -j DOCKER-USER"
}

# empty CHAIN: whether no rule of others is in it, and none leads there.
empty() {
    while read -r word chain rest; do
        [ "$word" = -A ] || continue
        if ours "$rest"; then continue; fi
        case "$chain $rest" in
        "$1 -j RETURN") ;;
        "$1 "* | *"-j $1" | *"-g $1") return 1 ;;
        esac
    done <<END
$rules
END
}

# table COMMAND NAMES TABLE: the rules that the standard input lists, a chain and a rule a line, and no other of ours in chains of others;
# all in one commit, so that no packet comes between.
table() {
    command=$1 table=$3 wanted=
    while read -r line; do
        wanted="$wanted$line
"
    done
    if [ "$action" = detach ]; then wanted=; fi
    if [ -z "$wanted" ]; then
        version=$("$command" -V 2>/dev/null) || return 0
        # iptables-legacy brings a table to life by looking at it, and then every packet passes it; NAMES lists the living ones.
        case $version in
        *nf_tables*) ;;
        *) grep -qx "$3" "/proc/net/$2" 2>/dev/null || return 0 ;;
        esac
    fi
    rules=$("$command" -w -t "$table" -S) || if [ "$wanted" ]; then exit 1; else return 0; fi
    commit= kept= made= opened=
    while read -r parent rule; do
        case $parent in
        '') continue ;;
        DOCKER-USER) lead ;;
        esac
        put "$parent" "$rule"
    done <<END
$wanted
END
    seen=
    while read -r word chain rest; do
        [ "$word" = -A ] || continue
        case "$chain $kept $seen" in
        fwc-* | *" $chain "*) continue ;;
        esac
        seen="$seen $chain "
        remove "$chain"
    done <<END
$rules
END
    if [ "$made" ] && empty DOCKER-USER; then
        case $kept in
        *" DOCKER-USER "*) ;;
        *) commit="$commit-F DOCKER-USER
-X DOCKER-USER
" ;;
        esac
    fi
    if [ -z "$wanted" ]; then
        for order in -F -X; do
            while read -r word chain rest; do
                case "$word $chain" in
                "-N fwc-"*) commit="$commit$order $chain
" ;;
                esac
            done <<END
$rules
END
        done
    fi
    if [ -n "$commit" ]; then
        printf '*%s\n%sCOMMIT\n' "$table" "$commit" | "$command-restore" -w --noflush
    fi
}
"#;

/// What `detach` takes away beside the rules of iptables: sets that no chain of ours looks into any more. Others fill the live ones, whose
/// names end in their family.
const SETS: &str = r#"
if [ "$action" = detach ] && command -v ipset >/dev/null; then
    ipset list -n | while read -r name; do
        case $name in
        fwc-*-v4 | fwc-*-v6) ;;
        fwc-*) ipset destroy "$name" 2>/dev/null || : ;;
        esac
    done
fi
"#;

/// The script's text.
pub(super) fn script(ruleset: &Ruleset, context: &Context) -> String {
    let mut out = String::from("#!/bin/sh\n");
    out.push_str(&header(context, &[]));
    out.push_str(BODY);
    for family in Family::BOTH {
        for kind in TableKind::ALL {
            let here = |one: &&Attachment| one.family == family && one.table == kind && one.is_for(context.target);
            table(&mut out, family, kind, ruleset.attachments.iter().filter(here));
        }
    }
    out.push_str(SETS);
    out
}

/// The lines of one table. Writing to a String cannot fail.
fn table<'r>(out: &mut String, family: Family, kind: TableKind, attachments: impl Iterator<Item = &'r Attachment>) {
    let command = iptables::command(family);
    let names = if family == Family::Ipv4 { "ip_tables_names" } else { "ip6_tables_names" };
    let _ = write!(out, "\ntable \"${command}\" {names} {}", kind.name());
    let mut lines = String::new();
    for attachment in attachments {
        let _ = match &attachment.rule {
            Attached::Jump(chain) => writeln!(lines, "{} -j {chain}", attachment.parent),
            Attached::Accept(mark) => {
                let words = format!("-m mark --mark {mark:#x}/{mark:#x} -m comment --comment fwc-accepted -j ACCEPT");
                writeln!(lines, "{} {words}", attachment.parent)
            }
        };
    }
    if lines.is_empty() {
        out.push_str(" </dev/null\n");
    } else {
        let _ = write!(out, " <<END\n{lines}END\n");
    }
}
