# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_fwc_global_optspecs
    string join \n color= h/help V/version
end

function __fish_fwc_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_fwc_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_fwc_using_subcommand
    set -l cmd (__fish_fwc_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c fwc -n "__fish_fwc_needs_command" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_needs_command" -s V -l version -d 'Print version'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "build" -d 'Compile a policy into netfilter rules'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "check" -d 'Say what is wrong with policies, and write nothing'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "test" -d 'Prove the asserts in files of tests (*.fwtest) of policies'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "trace" -d 'Follow one packet through a policy or rule set, rule by rule'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "diff" -d 'Say which packets two policies or rule sets treat differently'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "who" -d 'Say who can reach what: the exposure table of a policy or rule set'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "lsp" -d 'Serve an editor: the language server'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "fmt" -d 'Lay policies out in the one style'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "explain" -d 'Explain a diagnostic'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "services" -d 'List the services of the standard library'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "completions" -d 'Write a completion script for a shell'
complete -c fwc -n "__fish_fwc_needs_command" -f -a "man" -d 'Write the manual page, in roff'
complete -c fwc -n "__fish_fwc_using_subcommand build" -l target -d 'What to emit, whatever the source and the facts say' -r -f -a "iptables\t'iptables-restore files for IPv4 and IPv6'
nft\t'An nft script'"
complete -c fwc -n "__fish_fwc_using_subcommand build" -l facts -d 'What is known about the host; without it, fwc.facts.json beside the policy, if there is one' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand build" -l deny -d 'Make errors of these: codes by number or name, or `warnings` for all warnings; may be repeated' -r
complete -c fwc -n "__fish_fwc_using_subcommand build" -l warn -d 'Make warnings of these; of --deny, --warn and --allow the last word counts' -r
complete -c fwc -n "__fish_fwc_using_subcommand build" -l allow -d 'Do not tell these' -r
complete -c fwc -n "__fish_fwc_using_subcommand build" -s o -l output -d 'The directory that the files are written to, all or none; it is made if absent' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand build" -l only -d 'Only the chains of this guest, instance or group, to be loaded into the running program; may be given several times' -r
complete -c fwc -n "__fish_fwc_using_subcommand build" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand build" -l stdout -d 'Write to the standard output, each file under a line `# --- NAME`; so it is without -o'
complete -c fwc -n "__fish_fwc_using_subcommand build" -l no-verify -d 'Do not read the output back and prove it equal to the policy; for measuring how long that takes'
complete -c fwc -n "__fish_fwc_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand check" -l target -d 'What to emit, whatever the source and the facts say' -r -f -a "iptables\t'iptables-restore files for IPv4 and IPv6'
nft\t'An nft script'"
complete -c fwc -n "__fish_fwc_using_subcommand check" -l facts -d 'What is known about the host; without it, fwc.facts.json beside the policy, if there is one' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand check" -l deny -d 'Make errors of these: codes by number or name, or `warnings` for all warnings; may be repeated' -r
complete -c fwc -n "__fish_fwc_using_subcommand check" -l warn -d 'Make warnings of these; of --deny, --warn and --allow the last word counts' -r
complete -c fwc -n "__fish_fwc_using_subcommand check" -l allow -d 'Do not tell these' -r
complete -c fwc -n "__fish_fwc_using_subcommand check" -l format -d 'How the findings are written to the standard output' -r -f -a "full\t'With the lines of source that take part'
short\t'One line each: FILE:LINE:COLUMN: LEVEL[CODE]: MESSAGE'
json\t'One JSON object a line, described in docs/diagnostics-json.md'
sarif\t'SARIF 2.1.0, for GitHub\'s code scanning and others'
github\t'Annotations of GitHub\'s runner'
gitlab\t'GitLab\'s code quality report'
rdjson\t'Reviewdog\'s diagnostic format'
junit\t'JUnit\'s XML, as Jenkins reads it'"
complete -c fwc -n "__fish_fwc_using_subcommand check" -l output-file -d 'Write them to a file, too, in a form of its own (sarif=fwc.sarif); may be given several times. Without FORMAT the form is that of --format, and the standard output gets nothing' -r
complete -c fwc -n "__fish_fwc_using_subcommand check" -l baseline -d 'Findings that are known, as --write-baseline wrote them: they are not told, and do not fail the check' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand check" -l write-baseline -d 'Write the findings that there are to a file for --baseline, and tell none of them' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand check" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand check" -l all -d 'Tell also what is rarely a fault: rules of opposite verdicts that share packets, rules that say what the policy says, and findings in rules that Docker and others write'
complete -c fwc -n "__fish_fwc_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand test" -l target -d 'What to emit, whatever the source and the facts say' -r -f -a "iptables\t'iptables-restore files for IPv4 and IPv6'
nft\t'An nft script'"
complete -c fwc -n "__fish_fwc_using_subcommand test" -l facts -d 'What is known about the host; without it, fwc.facts.json beside the policy, if there is one' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand test" -l deny -d 'Make errors of these: codes by number or name, or `warnings` for all warnings; may be repeated' -r
complete -c fwc -n "__fish_fwc_using_subcommand test" -l warn -d 'Make warnings of these; of --deny, --warn and --allow the last word counts' -r
complete -c fwc -n "__fish_fwc_using_subcommand test" -l allow -d 'Do not tell these' -r
complete -c fwc -n "__fish_fwc_using_subcommand test" -l format -d 'How the diagnostics are written; `json` writes nothing else' -r -f -a "full\t'With the lines of source that take part'
short\t'One line each: FILE:LINE:COLUMN: LEVEL[CODE]: MESSAGE'
json\t'One JSON object a line, described in docs/diagnostics-json.md'"
complete -c fwc -n "__fish_fwc_using_subcommand test" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand test" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l with -d 'One more file of the same host; may be given several times' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l beside -d 'A rule set recorded on the host (iptables-save, ip6tables-save, ipset save, nft list ruleset), whose chains take part; may be given several times' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l facts -d 'What is known about the host; without it, fwc.facts.json beside the file, if there is one' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l target -d 'What a policy is compiled for, whatever the source and the facts say' -r -f -a "iptables\t'iptables-restore files for IPv4 and IPv6'
nft\t'An nft script'"
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l address -d 'An address of the host, such as eth0=203.0.113.10/24; may be given several times' -r
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l format -d 'How the answer is written' -r -f -a "text\t'For people'
json\t'One JSON object, described in docs/trace-and-diff.md'"
complete -c fwc -n "__fish_fwc_using_subcommand trace" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand trace" -s v -l verbose -d 'Every rule on a line of its own, also where many in a row do not match'
complete -c fwc -n "__fish_fwc_using_subcommand trace" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand diff" -l beside -d 'A rule set recorded on the host (iptables-save, ip6tables-save, ipset save, nft list ruleset), whose chains take part; may be given several times' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand diff" -l facts -d 'What is known about the host; without it, fwc.facts.json beside the file, if there is one' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand diff" -l target -d 'What a policy is compiled for, whatever the source and the facts say' -r -f -a "iptables\t'iptables-restore files for IPv4 and IPv6'
nft\t'An nft script'"
complete -c fwc -n "__fish_fwc_using_subcommand diff" -l format -d 'How the answer is written' -r -f -a "text\t'For people'
json\t'One JSON object, described in docs/trace-and-diff.md'
markdown\t'For a comment on a pull request'"
complete -c fwc -n "__fish_fwc_using_subcommand diff" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand diff" -l all-states -d 'Packets of all connection states, not only the first of a connection'
complete -c fwc -n "__fish_fwc_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand who" -l with -d 'One more file of the same host; may be given several times' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand who" -l beside -d 'A rule set recorded on the host (iptables-save, ip6tables-save, ipset save, nft list ruleset), whose chains take part; may be given several times' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand who" -l facts -d 'What is known about the host; without it, fwc.facts.json beside the file, if there is one' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand who" -l target -d 'What a policy is compiled for, whatever the source and the facts say' -r -f -a "iptables\t'iptables-restore files for IPv4 and IPv6'
nft\t'An nft script'"
complete -c fwc -n "__fish_fwc_using_subcommand who" -l address -d 'An address of the host, such as eth0=203.0.113.10/24; may be given several times' -r
complete -c fwc -n "__fish_fwc_using_subcommand who" -l format -d 'How the answer is written; without it, as the name behind -o ends, or as a table' -r -f -a "table\t'For a terminal'
json\t'One JSON object, described in docs/who.md'
html\t'One page with a picture of the host'
markdown\t'For a comment or a wiki'"
complete -c fwc -n "__fish_fwc_using_subcommand who" -s o -l output -d 'Where it is written; `-`, or nothing, is the standard output' -r -F
complete -c fwc -n "__fish_fwc_using_subcommand who" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand who" -l inside -d 'Also what containers and guests can reach of this host and of one another'
complete -c fwc -n "__fish_fwc_using_subcommand who" -l outbound -d 'Also what this host, its containers and guests may open to elsewhere'
complete -c fwc -n "__fish_fwc_using_subcommand who" -l all -d 'Also what the prelude lets live, such as answers of DHCP servers'
complete -c fwc -n "__fish_fwc_using_subcommand who" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand lsp" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand lsp" -l stdio -d 'Speak over the standard input and output; there is no other way, and editors like to say so'
complete -c fwc -n "__fish_fwc_using_subcommand lsp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand fmt" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand fmt" -l check -d 'Write nothing; name the files that would change, and end with 1 if there are any'
complete -c fwc -n "__fish_fwc_using_subcommand fmt" -l diff -d 'Write nothing; show what would change as a unified diff'
complete -c fwc -n "__fish_fwc_using_subcommand fmt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand explain" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand services" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand services" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand completions" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c fwc -n "__fish_fwc_using_subcommand man" -l color -d 'When to use colours; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t'At a terminal'
always\t'Always'
never\t'Never'"
complete -c fwc -n "__fish_fwc_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
