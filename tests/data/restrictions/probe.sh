# Asks the tools present what they refuse: for each option of the standard input, in which families and places it can be, whether it can
# be repeated in one match, and which protocols it needs. An option counts as accepted if iptables-nft and iptables-legacy both take it, into
# the kernel. Runs in a network namespace of its own; prints the rows of src/netfilter/restrictions.tsv.
#
# A line of the input is NAME, what is before the option, and the option with its values, with `|` between.
set -u
places="raw:PREROUTING raw:OUTPUT mangle:PREROUTING mangle:INPUT mangle:FORWARD mangle:OUTPUT mangle:POSTROUTING nat:PREROUTING nat:INPUT
nat:OUTPUT nat:POSTROUTING filter:INPUT filter:FORWARD filter:OUTPUT"
tab='|'

# takes FAMILY WORDS PLACE...: whether both variants take the words at all of these places.
takes() {
    program=iptables
    [ "$1" = 4 ] || program=ip6tables
    asked=$2
    shift 2
    text=
    for place; do
        text="$text*${place%:*}
-A ${place#*:} $asked
COMMIT
"
    done
    for variant in nft legacy; do
        printf '%s' "$text" | "$program-$variant-restore" --noflush 2>/dev/null || return 1
    done
}

clear() {
    nft flush ruleset
    for program in iptables-legacy ip6tables-legacy; do
        for table in raw mangle nat filter; do "$program" -t "$table" -F; done
    done
}

ipset create fwc-probe4 hash:ip family inet
ipset create fwc-probe6 hash:ip family inet6
while IFS=$tab read -r name before option; do
    families= allowed= repeat=- protocols=-
    for family in 4 6; do
        # What is written otherwise in each family.
        case $family in
        4) of='s/ADDRESS/192.0.2.1/g; s/NATADDR/192.0.2.1/g; s/NATNET/192.0.2.0\/24/g; s/REJECTWORD/icmp-port-unreachable/g; s/fwc-probe/fwc-probe4/g' ;;
        6) of='s/ADDRESS/2001:db8::1/g; s/NATADDR/2001:db8::1/g; s/NATNET/2001:db8::\/64/g; s/REJECTWORD/icmp6-port-unreachable/g; s/fwc-probe/fwc-probe6/g; s/192.0.2.1-192.0.2.2/2001:db8::1-2001:db8::2/g' ;;
        esac
        words=$(printf '%s %s' "$before" "$option" | sed "$of")
        here=
        if takes "$family" "$words" $places; then
            here=$places
        else
            for place in $places; do
                if takes "$family" "$words" "$place"; then here="$here $place"; fi
            done
        fi
        clear
        [ "$here" ] || continue
        families=$families$family
        first=${here# }
        first=${first%% *}
        [ "$allowed" ] || allowed=$(echo $here)
        if takes "$family" "$words $(printf '%s' "$option" | sed "$of")" "$first"; then repeat=again; else repeat=once; fi
        case $before in
        "-p tcp"*)
            protocols=
            for protocol in any tcp udp sctp dccp udplite icmp esp; do
                case $protocol in
                any) other=${words#-p tcp} ;;
                *) other="-p $protocol${words#-p tcp}" ;;
                esac
                if takes "$family" "$other" "$first"; then protocols="$protocols,$protocol"; fi
            done
            protocols=${protocols#,}
            case $protocols in any*) protocols=- ;; esac
            ;;
        esac
        clear
    done
    if [ "$families" ]; then
        [ "$allowed" != "$(echo $places)" ] || allowed=-
        printf '%s\t%s\t%s\t%s\t%s\n' "$name" "$families" "$repeat" "$protocols" "$(echo $allowed)"
    else
        echo "not taken here: $name" >&2
    fi
done
