//! What the grammar would have taken, where nothing better can be said.

use super::Case;
use super::clauses::rank;
use super::codes::{STRAY_WORDS, UNEXPECTED};
use crate::diagnostic::Diagnostic;
use crate::syntax::grammar::Rule;
use crate::syntax::values::shown;

pub(super) fn unexpected(case: &Case<'_>, positives: &[Rule]) -> Diagnostic {
    let expected = expected(positives);
    let found = case.found();
    let before = case.before();
    if case.at >= case.tokens.len() {
        let message = match expected.as_str() {
            "" => "the line ends too early".to_owned(),
            expected => format!("the line ends, and {expected} is expected"),
        };
        let message = if message.len() < 100 { message } else { "the line ends too early".to_owned() };
        let mut diagnostic = Diagnostic::new(&UNEXPECTED, case.place(), message);
        diagnostic = diagnostic.label(format!("nothing follows `{}`", shown(before)));
        return with_form(case, diagnostic);
    }
    if positives.contains(&Rule::EOI) {
        let range = case.range_of(case.at).start..case.text.len();
        let without_eoi: Vec<Rule> = positives.iter().copied().filter(|&rule| rule != Rule::EOI).collect();
        let other = self::expected(&without_eoi);
        let mut diagnostic = Diagnostic::new(
            &STRAY_WORDS,
            case.location(range.clone()),
            format!("`{}` is left over behind a complete statement", shown(found)),
        );
        diagnostic = match other.as_str() {
            "" => diagnostic.label("expected the end of the line"),
            other => diagnostic.label(format!("expected {other}, or the end of the line")),
        };
        if case.rule == Rule::assert_line && rank(found) == Some(5) {
            return diagnostic.help("an assert says what must hold; options belong to rules");
        }
        if case.rule == Rule::use_line && found.starts_with(|letter: char| letter.is_ascii_digit()) {
            return diagnostic.help(format!(
                "a version is a fact: `fact {}.version = \"{}\"`",
                shown(before),
                shown(found)
            ));
        }
        // No edit takes the words out: what is left could be wider than what was meant.
        return diagnostic.help("behind a remark's `#` anything may stand; everything else has to be understood");
    }
    let diagnostic = match expected.as_str() {
        "" => Diagnostic::new(&UNEXPECTED, case.place(), format!("`{}` cannot stand here", shown(found))),
        expected => Diagnostic::new(&UNEXPECTED, case.place(), format!("`{}` cannot stand here", shown(found)))
            .label(format!("expected {expected}")),
    };
    with_form(case, diagnostic)
}

/// Adds how a statement of this kind is written.
fn with_form(case: &Case<'_>, diagnostic: Diagnostic) -> Diagnostic {
    let form = match case.rule {
        Rule::rule_line => "allow tcp 443 from 10.1.1.1 to container via ens33",
        Rule::default_line => "default deny to host",
        Rule::assert_line => "assert deny ssh from not office to host",
        Rule::apply_line => "apply web",
        Rule::change_line => "mark 0x1 tcp 443 from lan to wan",
        Rule::masquerade_line => "masquerade from lan to wan",
        Rule::forward_line => "forward tcp 2222 from wan to 192.168.2.5 port 22",
        Rule::redirect_line => "redirect tcp 80 from lan to port 3128",
        Rule::use_line => "use docker",
        Rule::target_line => "target nft",
        Rule::include_line => "include \"base.fw\"",
        Rule::compose_line => "compose \"docker-compose.yml\"",
        Rule::fact_line => "fact docker.version = \"28.5\"",
        Rule::interface_line => "interface wan = eth0",
        Rule::set_line => "set office = { 198.51.100.0/24 }",
        Rule::service_line => "service app = tcp 8000-8010",
        Rule::network_line => "network dmz on br-dmz address 10.5.0.0/24",
        Rule::container_line => "container db on br-app address 172.18.0.2 publish tcp 5432",
        Rule::group_head => "group web {",
        Rule::guest_head => "guest vm110 on tap110i0 mac 1e:0b:85:27:8d:65 {",
        Rule::chain_head => "chain filter INPUT {",
        _ => return diagnostic,
    };
    diagnostic.help(format!("it is written like this: `{form}`"))
}

/// What the grammar would have taken, in the words of the field.
fn expected(positives: &[Rule]) -> String {
    let mut phrases: Vec<&str> = Vec::new();
    for rule in positives {
        let phrase = match rule {
            Rule::EOI => "the end of the line",
            Rule::from => "`from`",
            Rule::to => "`to`",
            Rule::via => "`via`",
            Rule::what
            | Rule::ports_item
            | Rule::transport
            | Rule::icmp_item
            | Rule::protocol_item
            | Rule::service_name => "a service such as `http` or `tcp 443`",
            Rule::who
            | Rule::one
            | Rule::any
            | Rule::world
            | Rule::host
            | Rule::container
            | Rule::guest
            | Rule::instance
            | Rule::network
            | Rule::mac
            | Rule::place_name => "a place such as `host`, `10.1.1.1` or a name",
            Rule::address if positives.contains(&Rule::place_name) => continue,
            Rule::address => "an address such as `10.1.1.1`",
            Rule::limit | Rule::log | Rule::during | Rule::source_port | Rule::comment | Rule::early => "an option",
            Rule::name | Rule::machine => "a name",
            Rule::card => "an interface",
            Rule::string => "a text in quotes",
            Rule::number => "a number",
            Rule::rate | Rule::log_rate => "a rate such as `10/minute`",
            Rule::connections => "`connections`",
            Rule::mac_address => "an Ethernet address",
            Rule::port => "a port",
            Rule::to_port => "`port`",
            Rule::day => "days such as `mon-fri`",
            Rule::times => "times such as `08:00-18:00`",
            Rule::word => "a word",
            Rule::protocol_word => "a protocol such as `gre`",
            Rule::action | Rule::assert_action => "`allow`, `deny` or `reject`",
            Rule::target => "`iptables` or `nft`",
            Rule::equals => "`=`",
            Rule::on_word => "`on`",
            Rule::mss => "`mss`",
            Rule::default_route => "`default-route`",
            Rule::fact_path => "a fact such as `docker.version`",
            Rule::from_file => "`from file`",
            Rule::live => "`live`",
            Rule::publish => "`publish`",
            Rule::having => "`address`",
            Rule::with_mac => "`mac`",
            Rule::as_address => "`as`",
            _ => continue,
        };
        if !phrases.contains(&phrase) {
            phrases.push(phrase);
        }
    }
    phrases.truncate(5);
    match phrases.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}
