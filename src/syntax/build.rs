//! From pest's pairs to the tree. Reads every value; a statement with a value that cannot be read is given up, after all of its
//! values have been looked at, so that each fault is told in one run.

#![allow(clippy::result_large_err, reason = "as in `values`, whose readers are called here")]

use pest::iterators::{Pair, Pairs};

use thin_vec::ThinVec;

use crate::diagnostic::{Code, Diagnostic, Level};
use crate::net::{AddressRange, Card, Family, PortRange, Protocol};
use crate::span::{FileId, Location, Span, Spanned};
use crate::syntax::fault::codes::UNEXPECTED;
use crate::syntax::grammar::Rule;
use crate::syntax::tree::{
    Action, Beside, Change, ChangeKind, Container, During, Fact, FactValue, Few, Guest, GuestKind, Interface,
    InterfaceValue, Item, Limit, LimitAmount, LogOption, Name, Nat, Network, One, Place, Ports, Publish, RawChain,
    Rule as PolicyRule, RuleOption, Scope, Sentence, Service, Set, SetValue, Statement, StatementKind, Target, Use,
    View, Who,
};
use crate::syntax::values;

pub(super) static OPTION_TWICE: Code = Code {
    number: "FW0018",
    name: "option-twice",
    level: Level::Error,
    summary: "an option that is given more than once",
    explanation: "\
Each option (`limit`, `log`, `during`, `source port`, `comment`, `early`) stands once behind a sentence, and so do the parts of a
declaration (`mac`, `address`). Two of one kind contradict each other, and neither would be obvious to a reader.

    allow ssh from office to host limit 10/minute limit 5/minute
    allow ssh from office to host limit 5/minute
",
};

/// Where diagnostics go, and how many there may be: a binary file taken for a policy has a fault in every line.
pub(super) struct Report {
    pub file: FileId,
    pub diagnostics: Vec<Diagnostic>,
    /// Diagnostics left out since [`Report::MOST`] was reached.
    pub left_out: usize,
    /// Whether one of those left out stops a build.
    pub left_out_error: bool,
}

impl Report {
    /// So many are told, the rest is counted.
    pub const MOST: usize = 500;

    /// Nothing is told yet.
    pub fn new(file: FileId) -> Self {
        Self { file, diagnostics: Vec::new(), left_out: 0, left_out_error: false }
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.is_full() { self.leave_out(diagnostic.code.level) } else { self.diagnostics.push(diagnostic) }
    }

    /// Counts one that is not told.
    pub fn leave_out(&mut self, level: Level) {
        self.left_out += 1;
        self.left_out_error |= level == Level::Error;
    }

    pub fn is_full(&self) -> bool {
        self.diagnostics.len() >= Self::MOST
    }

    pub fn at(&self, span: Span) -> Location {
        Location { file: self.file, span }
    }
}

type Text<'t> = Pair<'t, Rule>;

/// Turns the pairs of one statement into a part of the tree.
pub(super) struct Builder<'r> {
    report: &'r mut Report,
    /// Where the statement begins in its file.
    base: usize,
    failed: bool,
}

/// The parts of any sentence, before they are sorted into the statement that they make.
#[derive(Default)]
struct Parts {
    action: Option<Spanned<Action>>,
    change: Option<Spanned<ChangeKind>>,
    sentence: Sentence,
    at: Option<Spanned<AddressRange>>,
    port: Option<Spanned<u16>>,
    source: Option<Spanned<AddressRange>>,
    options: ThinVec<Spanned<RuleOption>>,
}

impl<'r> Builder<'r> {
    pub fn new(report: &'r mut Report, base: usize) -> Self {
        Self { report, base, failed: false }
    }

    /// The statement that `pairs` make, read by `rule`; `None` if a value in it could not be read.
    pub fn statement(mut self, rule: Rule, pairs: Pairs<'_, Rule>, span: Span) -> Option<Statement> {
        let kind = match rule {
            Rule::rule_line => StatementKind::Rule(self.rule(pairs)?),
            Rule::default_line => StatementKind::Default(self.rule(pairs)?),
            Rule::assert_line => StatementKind::Assert(self.rule(pairs)?),
            Rule::change_line => {
                let parts = self.parts(pairs);
                StatementKind::Change(Box::new(Change { kind: parts.change?, sentence: parts.sentence }))
            }
            Rule::masquerade_line => {
                let Parts { sentence, source: address, .. } = self.parts(pairs);
                StatementKind::Nat(Box::new(Nat::Masquerade { sentence, address }))
            }
            Rule::forward_line => {
                let Parts { sentence, at, port, options, .. } = self.parts(pairs);
                StatementKind::Nat(Box::new(Nat::Forward { sentence, at, port, options }))
            }
            Rule::redirect_line => {
                let Parts { sentence, port, .. } = self.parts(pairs);
                StatementKind::Nat(Box::new(Nat::Redirect { sentence, port: port? }))
            }
            Rule::scope_head => {
                let clauses = self.parts(pairs).sentence.clauses;
                StatementKind::Scope(Box::new(Scope { clauses, body: Vec::new() }))
            }
            Rule::apply_line => StatementKind::Apply(Box::new(self.first_name(pairs)?)),
            Rule::include_line => StatementKind::Include(Box::new(self.first_name(pairs)?)),
            Rule::compose_line => StatementKind::Compose(Box::new(self.first_name(pairs)?)),
            Rule::use_line | Rule::target_line => self.use_or_target(pairs)?,
            Rule::fact_line => StatementKind::Fact(self.fact(pairs)?),
            Rule::interface_line => StatementKind::Interface(self.interface(pairs)?),
            Rule::set_line => StatementKind::Set(self.set(pairs)?),
            Rule::service_line => StatementKind::Service(self.service(pairs)?),
            Rule::network_line => StatementKind::Network(self.network(pairs)?),
            Rule::container_line => StatementKind::Container(self.container(pairs)?),
            Rule::group_head => StatementKind::Group(Box::new(crate::syntax::tree::Group {
                name: self.first_name(pairs)?,
                body: Vec::new(),
            })),
            Rule::guest_head => StatementKind::Guest(self.guest(pairs)?),
            Rule::chain_head => {
                let mut words = pairs.filter(|pair| pair.as_rule() == Rule::word).map(|pair| self.name(&pair));
                let (table, hook) = (words.next()?, words.next()?);
                StatementKind::Chain(Box::new(RawChain { table, hook, lines: Vec::new() }))
            }
            _ => return None,
        };
        (!self.failed).then(|| Statement::new(kind, span))
    }

    fn span(&self, pair: &Text<'_>) -> Span {
        let span = pair.as_span();
        Span::new(self.base + span.start(), self.base + span.end())
    }

    /// Without the white space that a compound pair may end in.
    fn tight(&self, pair: &Text<'_>) -> Span {
        let start = self.base + pair.as_span().start();
        Span::new(start, start + pair.as_str().trim_end().len())
    }

    fn location(&self, pair: &Text<'_>) -> Location {
        self.report.at(self.span(pair))
    }

    fn fail(&mut self, diagnostic: Diagnostic) {
        self.failed = true;
        self.report.push(diagnostic);
    }

    /// The value that a reader in [`values`] gives, or `None` after its diagnostic was told.
    fn value<T>(
        &mut self,
        pair: &Text<'_>,
        read: impl FnOnce(&str, Location) -> Result<T, Diagnostic>,
    ) -> Option<Spanned<T>> {
        match read(pair.as_str(), self.location(pair)) {
            Ok(value) => Some(Spanned::new(value, self.span(pair))),
            Err(diagnostic) => {
                self.fail(diagnostic);
                None
            }
        }
    }

    /// The value of the first pair inside.
    fn inner_value<T>(
        &mut self,
        pair: Text<'_>,
        read: impl FnOnce(&str, Location) -> Result<T, Diagnostic>,
    ) -> Option<Spanned<T>> {
        let inner = pair.into_inner().next()?;
        self.value(&inner, read)
    }

    fn name(&self, pair: &Text<'_>) -> Name {
        Name::new(unquoted(pair.as_str()).into(), self.span(pair))
    }

    fn first_name(&self, mut pairs: Pairs<'_, Rule>) -> Option<Name> {
        pairs.next().map(|pair| self.name(&pair))
    }

    fn address(&mut self, pair: &Text<'_>) -> Option<Spanned<AddressRange>> {
        let address = self.value(pair, values::address)?;
        let (range, warning) = address.value;
        if let Some(warning) = warning {
            self.report.push(warning);
        }
        Some(Spanned::new(range, address.span))
    }

    fn rule(&mut self, pairs: Pairs<'_, Rule>) -> Option<Box<PolicyRule>> {
        let Parts { action, sentence, options, .. } = self.parts(pairs);
        Some(Box::new(PolicyRule { action: action?, sentence, options }))
    }

    fn parts(&mut self, pairs: Pairs<'_, Rule>) -> Parts {
        let mut parts = Parts::default();
        for pair in pairs {
            match pair.as_rule() {
                Rule::action | Rule::assert_action => parts.action = Some(self.action(pair)),
                Rule::change => parts.change = self.change(pair),
                Rule::family => {
                    let family = if pair.as_str() == "ipv4" { Family::Ipv4 } else { Family::Ipv6 };
                    parts.sentence.family = Some(Spanned::new(family, self.span(&pair)));
                }
                Rule::what => parts.sentence.what = self.what(pair),
                Rule::from => parts.sentence.clauses.from = self.clause(pair),
                Rule::to => parts.sentence.clauses.to = self.clause(pair),
                Rule::via => parts.sentence.clauses.via = self.names(pair),
                Rule::at => parts.at = pair.into_inner().next().and_then(|inner| self.address(&inner)),
                Rule::as_address => parts.source = pair.into_inner().next().and_then(|inner| self.address(&inner)),
                Rule::to_port => parts.port = self.inner_value(pair, values::port),
                Rule::EOI => {}
                _ => self.option(pair, &mut parts.options),
            }
        }
        parts.options.shrink_to_fit();
        parts
    }

    fn action(&mut self, pair: Text<'_>) -> Spanned<Action> {
        let span = self.tight(&pair);
        let text = pair.as_str();
        let action = if text.starts_with("allow") {
            Action::Allow
        } else if text.starts_with("deny") {
            Action::Deny
        } else if text.starts_with("log") {
            Action::Log
        } else {
            Action::Reject(self.first_name(pair.into_inner()).map(Box::new))
        };
        Spanned::new(action, span)
    }

    fn change(&mut self, pair: Text<'_>) -> Option<Spanned<ChangeKind>> {
        let span = self.tight(&pair);
        let kind = match pair.into_inner().next() {
            None => ChangeKind::Notrack,
            Some(inner) => match inner.as_rule() {
                Rule::mss => ChangeKind::ClampMss,
                Rule::number => ChangeKind::Mark(self.value(&inner, values::mark)?.value),
                Rule::word => ChangeKind::Dscp(inner.as_str().into()),
                _ => ChangeKind::Helper(unquoted(inner.as_str()).into()),
            },
        };
        Some(Spanned::new(kind, span))
    }

    fn names(&mut self, pair: Text<'_>) -> ThinVec<Name> {
        let inner = pair.into_inner();
        let mut names = ThinVec::with_capacity(inner.len());
        names.extend(inner.map(|pair| self.name(&pair)));
        names
    }

    fn what(&mut self, pair: Text<'_>) -> Few<Spanned<Item>> {
        let inner = pair.into_inner();
        let mut items = Few::with_capacity(inner.len());
        for pair in inner {
            items.extend(self.item(pair));
        }
        items
    }

    fn item(&mut self, pair: Text<'_>) -> Option<Spanned<Item>> {
        let span = self.tight(&pair);
        let item = match pair.as_rule() {
            Rule::ports_item => {
                let mut inner = pair.into_inner();
                let protocol = match inner.next()?.as_str() {
                    "tcp" => Protocol::TCP,
                    "udp" => Protocol::UDP,
                    _ => Protocol::SCTP,
                };
                Item::Ports { protocol, ports: self.ports(inner) }
            }
            Rule::icmp_item => Item::Icmp(pair.into_inner().next().map(|inner| unquoted(inner.as_str()).into())),
            Rule::protocol_item => Item::Protocol(self.inner_value(pair, values::protocol)?.value),
            _ => Item::Name(unquoted(pair.as_str()).into()),
        };
        Some(Spanned::new(item, span))
    }

    fn ports(&mut self, pairs: Pairs<'_, Rule>) -> Ports {
        let ports: Vec<PortRange> =
            pairs.filter_map(|pair| self.value(&pair, values::ports)).map(|ports| ports.value).collect();
        ports.into()
    }

    fn clause(&mut self, pair: Text<'_>) -> Option<Box<Who>> {
        pair.into_inner().next().map(|inner| Box::new(self.who(inner)))
    }

    fn who(&mut self, pair: Text<'_>) -> Who {
        let span = self.tight(&pair);
        let inner = pair.into_inner();
        let mut members = Few::with_capacity(inner.len());
        let mut negated = false;
        for pair in inner {
            if pair.as_rule() == Rule::not { negated = true } else { members.extend(self.one(pair)) }
        }
        if negated && members.capacity() > members.len() {
            members.shrink_to_fit();
        }
        Who { span, negated, members }
    }

    fn one(&mut self, pair: Text<'_>) -> Option<One> {
        let mut place = None;
        let mut beside = Beside::default();
        for pair in pair.into_inner() {
            match pair.as_rule() {
                Rule::not => beside.negated = true,
                Rule::on => beside.on = self.names(pair),
                Rule::at => beside.at = pair.into_inner().next().and_then(|inner| self.address(&inner)),
                Rule::view => {
                    let which = if pair.as_str() == "inside" { View::Inside } else { View::Direct };
                    beside.view = Some(Spanned::new(which, self.span(&pair)));
                }
                _ => place = self.place(pair),
            }
        }
        place.map(|place| One::new(place, beside))
    }

    fn place(&mut self, pair: Text<'_>) -> Option<Spanned<Place>> {
        let span = self.tight(&pair);
        let place = match pair.as_rule() {
            Rule::any => Place::Any,
            Rule::world => Place::World,
            Rule::host => Place::Host(self.first_name(pair.into_inner()).map(Box::new)),
            Rule::container => Place::Container(self.first_name(pair.into_inner()).map(Box::new)),
            Rule::guest => Place::Guest(self.first_name(pair.into_inner()).map(Box::new)),
            Rule::instance => Place::Instance(self.first_name(pair.into_inner()).map(Box::new)),
            Rule::network => Place::Network(Box::new(self.first_name(pair.into_inner())?)),
            Rule::mac => Place::Mac(self.inner_value(pair, values::mac)?.value),
            Rule::address => Place::Address(self.address(&pair)?.value.into()),
            _ => Place::Name(unquoted(pair.as_str()).into()),
        };
        Some(Spanned::new(place, span))
    }

    fn option(&mut self, pair: Text<'_>, options: &mut ThinVec<Spanned<RuleOption>>) {
        let span = self.tight(&pair);
        let rule = pair.as_rule();
        let option = match rule {
            Rule::limit => self.limit(pair).map(RuleOption::Limit),
            Rule::log => Some(RuleOption::Log(self.log(pair))),
            Rule::during => self.during(pair).map(RuleOption::During),
            Rule::source_port => Some(RuleOption::SourcePort(self.ports(pair.into_inner()))),
            Rule::comment => self.first_name(pair.into_inner()).map(RuleOption::Comment),
            Rule::early => Some(RuleOption::Early),
            _ => None,
        };
        let Some(option) = option else { return };
        let same = std::mem::discriminant(&option);
        if let Some(first) = options.iter().find(|other| std::mem::discriminant(&other.value) == same) {
            let word = option_word(&option);
            let first = first.span;
            self.twice(word, first, span);
        }
        options.push(Spanned::new(option, span));
    }

    fn twice(&mut self, word: &str, first: Span, second: Span) {
        let (first, second) = (self.report.at(first), self.report.at(second));
        self.fail(
            Diagnostic::new(&OPTION_TWICE, second, format!("`{word}` is given twice"))
                .label("a second time here")
                .related(first, "first here")
                .fix(format!("leave this `{word}` out"), second, ""),
        );
    }

    fn limit(&mut self, pair: Text<'_>) -> Option<Limit> {
        let (mut amount, mut per_source, mut burst, mut connections) = (None, false, None, None);
        for pair in pair.into_inner() {
            match pair.as_rule() {
                Rule::rate => amount = self.value(&pair, values::rate).map(|rate| LimitAmount::Rate(rate.value)),
                Rule::number => {
                    amount = self.value(&pair, values::count).map(|count| LimitAmount::Connections(count.value));
                }
                Rule::connections => connections = Some(self.span(&pair)),
                Rule::per_source => per_source = true,
                Rule::burst => {
                    let span = self.tight(&pair);
                    burst = self.inner_value(pair, values::count).map(|count| count.value);
                    if connections.is_some() {
                        let at = self.report.at(span);
                        self.fail(
                            Diagnostic::new(&values::BAD_RATE, at, "a limit on open connections has no `burst`")
                                .label("a burst belongs to a rate such as `10/minute`")
                                .fix("leave it out", at, ""),
                        );
                    }
                }
                _ => {}
            }
        }
        Some(Limit { amount: amount?, per_source, burst })
    }

    fn log(&mut self, pair: Text<'_>) -> LogOption {
        let mut log = LogOption::default();
        let (mut level_at, mut rate_at) = (None, None);
        for pair in pair.into_inner() {
            let span = self.tight(&pair);
            match pair.as_rule() {
                Rule::string => log.prefix = Some(self.name(&pair)),
                Rule::level => {
                    if let Some(first) = level_at.replace(span) {
                        self.twice("level", first, span);
                    }
                    log.level =
                        self.inner_value(pair, values::level).map(|level| Name::new(level.value.into(), level.span));
                }
                Rule::log_rate => {
                    if let Some(first) = rate_at.replace(span) {
                        self.twice("rate", first, span);
                    }
                    log.rate = self.inner_value(pair, values::rate);
                }
                _ => {}
            }
        }
        log
    }

    fn during(&mut self, pair: Text<'_>) -> Option<During> {
        let (mut days, mut times) = (0, None);
        for pair in pair.into_inner() {
            if pair.as_rule() == Rule::day {
                days |= self.value(&pair, values::days)?.value;
            } else {
                times = Some(self.value(&pair, values::times)?.value);
            }
        }
        Some(During { days: if days == 0 { 0x7f } else { days }, times })
    }

    fn use_or_target(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<StatementKind> {
        let first = pairs.next()?;
        if first.as_rule() == Rule::target {
            let target = if first.as_str().starts_with("nft") { Target::Nft } else { Target::Iptables };
            return Some(StatementKind::Target(Spanned::new(target, self.tight(&first))));
        }
        let name = self.name(&first);
        let except = match pairs.next() {
            Some(pair) if pair.as_rule() == Rule::except => self.names(pair),
            _ => ThinVec::new(),
        };
        Some(StatementKind::Use(Box::new(Use { name, except })))
    }

    fn fact(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Fact>> {
        let path = self.name(&pairs.next()?);
        let pair = pairs.find(|pair| pair.as_rule() != Rule::equals)?;
        let text = pair.as_str();
        let value = match text {
            _ if pair.as_rule() == Rule::string => FactValue::Text(unquoted(text).into()),
            "true" | "on" | "yes" => FactValue::Bool(true),
            "false" | "off" | "no" => FactValue::Bool(false),
            _ => text.parse().map_or_else(|_| FactValue::Text(text.into()), FactValue::Number),
        };
        Some(Box::new(Fact { path, value: Spanned::new(value, self.span(&pair)) }))
    }

    fn cards<'t>(&mut self, pairs: impl Iterator<Item = Text<'t>>) -> Vec<Spanned<Card>> {
        let mut cards: Vec<_> = pairs
            .map(|pair| {
                let text = pair.as_str();
                let card = if text.starts_with('"') { Card::exact(unquoted(text)) } else { Card::parse(text) };
                Spanned::new(card, self.span(&pair))
            })
            .collect();
        cards.shrink_to_fit();
        cards
    }

    fn interface(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Interface>> {
        let name = self.name(&pairs.next()?);
        let mut rest = pairs.filter(|pair| !matches!(pair.as_rule(), Rule::equals | Rule::EOI)).peekable();
        let value = match rest.peek() {
            None => None,
            Some(pair) if pair.as_rule() == Rule::default_route => {
                Some(Spanned::new(InterfaceValue::DefaultRoute, self.tight(pair)))
            }
            Some(pair) => {
                let start = self.span(pair);
                let cards = self.cards(rest);
                let span = cards.last().map_or(start, |last| start.to(last.span));
                Some(Spanned::new(InterfaceValue::Cards(cards), span))
            }
        };
        Some(Box::new(Interface { name, value }))
    }

    fn set(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Set>> {
        let name = self.name(&pairs.next()?);
        let value = match pairs.find(|pair| pair.as_rule() != Rule::equals) {
            Some(pair) if pair.as_rule() == Rule::who => SetValue::Who(self.who(pair)),
            Some(pair) if pair.as_rule() == Rule::from_file => SetValue::File(self.first_name(pair.into_inner())?),
            Some(pair) if pair.as_rule() == Rule::live => SetValue::Live,
            _ => SetValue::Parameter,
        };
        Some(Box::new(Set { name, value }))
    }

    fn service(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Service>> {
        let name = self.name(&pairs.next()?);
        Some(Box::new(Service { name, what: self.what(pairs.find(|pair| pair.as_rule() == Rule::what)?) }))
    }

    fn network(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Network>> {
        let name = self.name(&pairs.next()?);
        let (cards, rest): (Vec<_>, Vec<_>) = pairs.partition(|pair| pair.as_rule() == Rule::card);
        let cards = self.cards(cards.into_iter());
        let address = rest.into_iter().find(|pair| pair.as_rule() == Rule::having).and_then(|pair| self.clause(pair));
        Some(Box::new(Network { name, cards, address }))
    }

    fn container(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Container>> {
        let name = self.name(&pairs.next()?);
        let network = self.name(&pairs.find(|pair| pair.as_rule() == Rule::machine)?);
        let (mut address, mut publish) = (None, Vec::new());
        for pair in pairs {
            match pair.as_rule() {
                Rule::having => address = self.clause(pair),
                Rule::publish => publish.extend(self.publish(pair)),
                _ => {}
            }
        }
        publish.shrink_to_fit();
        Some(Box::new(Container { name, network, address, publish }))
    }

    fn publish(&mut self, pair: Text<'_>) -> Option<Publish> {
        let mut pairs = pair.into_inner();
        let told = self.report.diagnostics.len();
        let item = self.item(pairs.next()?);
        if let Some(item) = &item
            && self.report.diagnostics.len() == told
            && !matches!(&item.value, Item::Name(_))
            && !matches!(&item.value, Item::Ports { ports, .. } if !ports.is_empty())
        {
            let at = self.report.at(item.span);
            self.fail(
                Diagnostic::new(&UNEXPECTED, at, "a container publishes ports, and none is given")
                    .label("expected a port, such as `tcp 5432`, or the name of a service"),
            );
        }
        let (mut at, mut to) = (None, None);
        for pair in pairs {
            match pair.as_rule() {
                Rule::at => at = pair.into_inner().next().and_then(|inner| self.address(&inner)),
                _ => to = self.value(&pair, values::port),
            }
        }
        Some(Publish { item: item?, at, to })
    }

    fn guest(&mut self, mut pairs: Pairs<'_, Rule>) -> Option<Box<Guest>> {
        let kind = if pairs.next()?.as_str() == "guest" { GuestKind::Guest } else { GuestKind::Instance };
        let name = self.name(&pairs.next()?);
        let (cards, rest): (Vec<_>, Vec<_>) = pairs.partition(|pair| pair.as_rule() == Rule::card);
        let cards = self.cards(cards.into_iter());
        let (mut mac, mut address) = (None, None);
        let (mut mac_at, mut address_at) = (None, None);
        for pair in rest {
            let span = self.tight(&pair);
            match pair.as_rule() {
                Rule::with_mac => {
                    if let Some(first) = mac_at.replace(span) {
                        self.twice("mac", first, span);
                    }
                    mac = self.inner_value(pair, values::mac);
                }
                Rule::having => {
                    if let Some(first) = address_at.replace(span) {
                        self.twice("address", first, span);
                    }
                    address = self.clause(pair);
                }
                _ => {}
            }
        }
        Some(Box::new(Guest { kind, name, cards, mac, address, gates: None }))
    }
}

/// The text of a name or string without its quotes.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn option_word(option: &RuleOption) -> &'static str {
    match option {
        RuleOption::Limit(_) => "limit",
        RuleOption::Log(_) => "log",
        RuleOption::During(_) => "during",
        RuleOption::SourcePort(_) => "source port",
        RuleOption::Comment(_) => "comment",
        RuleOption::Early => "early",
    }
}
