//! Statements that begin with a field of the packet: matches, look-ups in maps, changes.

use std::sync::Arc;

use super::super::address;
use super::field::{self, Field};
use super::lex::{Kind, Token};
use super::rule::{Choice, Item, Reader, closing, is_stateless};
use super::set::{Elements, Type, card, simple_verdict, values};
use super::value::{clock, day, icmp_code, icmp_pair, mark, state, tcp_flag};
use super::vocabulary::{self, Stranger};
use thin_vec::thin_vec;

use crate::names::{self, closest};
use crate::net::{AddressSet, Card, Family, PortRange, PortSet, Protocol};
use crate::netfilter::{Effect, IcmpType, MarkWord, Match, MatchKind, SetField, SetValue, State, TableFamily, Verdict};

/// What a match is compared with.
enum Right<'a> {
    /// `established,related`; one value is the usual case.
    List(Vec<&'a [Token<'a>]>),
    /// `{ 80, 443 }`.
    Set(Vec<&'a [Token<'a>]>),
    Named(&'a str),
}

impl<'a> Right<'a> {
    fn all(&self) -> &[&'a [Token<'a>]] {
        match self {
            Self::List(list) | Self::Set(list) => list,
            Self::Named(_) => &[],
        }
    }
}

impl<'a> Reader<'a, '_> {
    /// A statement that begins with a field: a match, a map, or a change.
    pub(super) fn comparison(&mut self) -> bool {
        let start = self.at;
        let mut fields = Vec::with_capacity(1);
        loop {
            let Some((field, length)) = field::read(self.tokens.get(self.at..).unwrap_or_default()) else {
                return false;
            };
            if self.stranger.is_none() {
                self.stranger = vocabulary::field(self.tokens, self.at);
            }
            fields.push(field);
            self.at += length;
            if self.word(0) != "." {
                break;
            }
            self.at += 1;
        }
        let mut mask: Option<Vec<&'a [Token<'a>]>> = None;
        if matches!(self.word(0), "&" | "and") && fields.len() == 1 {
            self.at += 1;
            mask = match self.right() {
                Some(Right::List(list)) => Some(list),
                _ => return false,
            };
        } else if matches!(self.word(0), "|" | "^" | "or" | "xor" | "<<" | ">>") {
            return false;
        }
        match self.word(0) {
            "vmap" if mask.is_none() => return self.map(start, &fields),
            "set" if mask.is_none() => {
                let [field] = fields.as_slice() else { return false };
                return self.change(start, *field);
            }
            _ => {}
        }
        let op = match self.word(0) {
            op @ ("==" | "!=" | "<" | ">" | "<=" | ">=" | "!") => {
                self.at += 1;
                op
            }
            _ => "",
        };
        let Some(right) = self.right() else { return false };
        if self.word(0) == "/" {
            // `tcp flags syn / syn,rst`.
            self.at += 1;
            let Some(Right::List(list)) = self.right() else { return false };
            mask = Some(list);
        }
        let modelled = match fields.as_slice() {
            [field] => self.one(*field, op, mask.as_deref(), &right),
            _ if mask.is_none() => self.several(&fields, op, &right),
            _ => None,
        };
        if modelled.is_none() {
            if let [field] = fields.as_slice()
                && self.stranger.is_none()
            {
                self.stranger = self.refused(*field, &right, start);
            }
            self.unknown_comparison(start);
        }
        true
    }

    /// A value that nft refuses.
    fn refused(&self, field: Field, right: &Right<'a>, start: usize) -> Option<Stranger> {
        let place =
            |text: &str| (start..self.at).find(|at| self.tokens.get(*at).is_some_and(|token| token.text == text));
        if let Right::Named(name) = right {
            // Where the table is not whole, the set may be in another file.
            let missing = self.table.is_whole() && !self.table.set_at.contains_key(name);
            let at = place(&format!("@{name}")).filter(|_| missing)?;
            let near = closest(name, self.table.set_at.keys().copied()).map(|near| format!("@{near}"));
            return Some(Stranger { at, what: "set of this table", near, later: false });
        }
        let parts = right.all().iter().filter_map(|part| text_of(part)).filter(|text| !text.contains('$'));
        for text in parts {
            let found = match field {
                Field::SourcePort(_) | Field::DestinationPort(_) if address::named_ports(text, '-').is_none() => {
                    Some(("port or service", closest(text, names::port::names())))
                }
                Field::State if state(text).is_none() && address::number(text).is_none() => {
                    let known = ["new", "established", "related", "invalid", "untracked"];
                    Some(("state of a connection", closest(text, known)))
                }
                Field::Source(Family::Ipv4) | Field::Destination(Family::Ipv4)
                    if address::range(text).is_none()
                        && text.bytes().all(|byte| byte.is_ascii_digit() || b"./-".contains(&byte)) =>
                {
                    Some(("address", None))
                }
                Field::Protocol(_) if address::protocol(text).is_none() && text != "ip" => {
                    let known = ["tcp", "udp", "icmp", "ipv6-icmp", "sctp", "esp", "ah", "gre"];
                    Some(("protocol", closest(text, known)))
                }
                _ => None,
            };
            if let (Some((what, near)), Some(at)) = (found, place(text)) {
                return Some(Stranger { at, what, near: near.map(str::to_owned), later: false });
            }
        }
        None
    }

    /// What stands on the right: a value, a list, a set, the name of a set.
    fn right(&mut self) -> Option<Right<'a>> {
        let token = self.token(0)?;
        if token.is("{") {
            let close = closing(self.tokens, self.at)?;
            let inside = self.tokens.get(self.at + 1..close)?;
            self.at = close + 1;
            return Some(Right::Set(inside.split(|token| token.is(",")).filter(|part| !part.is_empty()).collect()));
        }
        if token.is("(") {
            // `(fin | syn)`.
            let length = self.tokens.get(self.at..)?.iter().position(|token| token.is(")"))?;
            let inside = self.tokens.get(self.at + 1..self.at + length)?;
            self.at += length + 1;
            return Some(Right::List(inside.split(|token| token.is("|") || token.is("or")).collect()));
        }
        if token.kind == Kind::Word
            && let Some(name) = token.text.strip_prefix('@')
        {
            self.at += 1;
            return Some(Right::Named(name));
        }
        let mut list = Vec::with_capacity(1);
        loop {
            let from = self.at;
            loop {
                let token = self.token(0)?;
                if token.kind == Kind::Mark {
                    return None;
                }
                self.at += 1;
                // `"08:00"-"18:00"`, and concatenations.
                if !matches!(self.word(0), "." | "-") {
                    break;
                }
                self.at += 1;
            }
            list.push(self.since(from));
            if !matches!(self.word(0), "," | "|") {
                return Some(Right::List(list));
            }
            self.at += 1;
        }
    }

    /// One field compared. `None`: it is not modelled; nothing has been pushed then.
    fn one(&mut self, field: Field, op: &str, mask: Option<&[&'a [Token<'a>]]>, right: &Right<'a>) -> Option<()> {
        // A name that nothing defines may be anything.
        let mut words = right.all().iter().flat_map(|part| part.iter());
        if words.any(|token| token.kind == Kind::Word && token.text.contains('$')) {
            return None;
        }
        let negated = match op {
            "" | "==" => false,
            "!=" => true,
            "!" if matches!(field, Field::State | Field::Status | Field::TcpFlags) => true,
            "<" | ">" | "<=" | ">=" => return self.ordered(field, op, mask, right),
            _ => return None,
        };
        match field {
            Field::State => {
                let bits = flags(right, state)?;
                // A packet is in one state: `state == a,b` asks for both at once.
                let many = bits.count_ones() > 1 && matches!(right, Right::List(_)) && matches!(op, "==" | "!=");
                if many || mask.is_some() {
                    return None;
                }
                self.push(negated, MatchKind::State(bits));
            }
            Field::Status => {
                let (asked, set) = match mask {
                    Some(mask) => (single(mask)?, Some(single(right.all())?)),
                    None if op.is_empty() || op == "!" => (single(right.all())?, None),
                    None => return None,
                };
                let kind = match asked {
                    "dnat" => MatchKind::DestinationTranslated,
                    "snat" => MatchKind::SourceTranslated,
                    _ => return None,
                };
                let negated = match set {
                    None => negated,
                    Some(zero) if address::number(zero) == Some(0) => !negated,
                    Some(same) if same == asked => negated,
                    Some(_) => return None,
                };
                if negated {
                    // A packet without a connection has no status, not even an empty one (`nft_ct_get_eval`).
                    self.push(true, MatchKind::State(State::INVALID | State::UNTRACKED));
                }
                self.push(negated, kind);
            }
            Field::TcpFlags => {
                let bits = |list: &[&[Token]]| list.iter().try_fold(0u8, |bits, part| Some(bits | tcp_flag(part)?));
                let set = match right {
                    Right::List(list) => bits(list)?,
                    _ => return None,
                };
                let (negated, mask, set) = match (mask, op) {
                    (Some(mask), "" | "==" | "!=") => (negated, bits(mask)?, set),
                    (None, "==" | "!=") => (negated, 0xff, set),
                    (None, "!") => (false, set, 0),
                    // Any of them.
                    (None, "") => (true, set, 0),
                    _ => return None,
                };
                self.needs(Protocol::TCP);
                // One flag that is set is said as that.
                if negated && set == 0 && mask.count_ones() == 1 {
                    self.is(MatchKind::TcpFlags { mask, set: mask });
                } else {
                    self.push(negated, MatchKind::TcpFlags { mask, set });
                }
            }
            Field::Mark(word) => {
                let mask = match mask {
                    Some(mask) => address::number(single(mask)?)?,
                    None => u32::MAX,
                };
                if matches!(right, Right::Set(list) if list.len() != 1) {
                    return None;
                }
                let value = address::number(single(right.all())?)?;
                self.push(
                    negated,
                    match word {
                        MarkWord::Packet => MatchKind::Mark { value, mask },
                        MarkWord::Connection => MatchKind::ConnectionMark { value, mask },
                    },
                );
            }
            Field::Source(family) | Field::Destination(family) => {
                let set = match (mask, right) {
                    (None, _) => self.addresses(
                        right,
                        Some(family),
                        if matches!(field, Field::Source(_)) { SetField::Source } else { SetField::Destination },
                    )?,
                    (Some(mask), Right::List(_)) => {
                        let length = address::length_of(single(mask)?.parse().ok()?)?;
                        Addresses::Known(
                            [address::of_family(&format!("{}/{length}", single(right.all())?), family)?]
                                .into_iter()
                                .collect(),
                        )
                    }
                    _ => return None,
                };
                self.only(family);
                let source = matches!(field, Field::Source(_));
                let kind = match set {
                    Addresses::Known(set) if source => MatchKind::Source(set),
                    Addresses::Known(set) => MatchKind::Destination(set),
                    Addresses::Named(set) => {
                        MatchKind::in_set(set, thin_vec![if source { SetField::Source } else { SetField::Destination }])
                    }
                };
                self.push(negated, kind);
            }
            _ if mask.is_some() => return None,
            Field::OriginalSource(family) | Field::OriginalDestination(family) => {
                let Addresses::Known(set) = self.addresses(right, family, SetField::Source)? else { return None };
                let first = set.iter().next().map(|range| range.family());
                if let Some(family) = family.or(first) {
                    self.only(family);
                }
                let source = matches!(field, Field::OriginalSource(_));
                self.push(
                    negated,
                    if source { MatchKind::OriginalSource(set) } else { MatchKind::OriginalDestination(set) },
                );
            }
            Field::SourcePort(protocol) | Field::DestinationPort(protocol) => {
                let source = matches!(field, Field::SourcePort(_));
                let asked = if source { SetField::SourcePort } else { SetField::DestinationPort };
                let kind = self.ports(right, asked)?;
                if let Some(protocol) = protocol {
                    self.needs(protocol);
                }
                self.push(negated, kind);
            }
            Field::OriginalPort => {
                let MatchKind::DestinationPort(set) = self.ports(right, SetField::DestinationPort)? else {
                    return None;
                };
                self.push(negated, MatchKind::OriginalDestinationPort(set));
            }
            Field::InInterface | Field::OutInterface => {
                let inward = field == Field::InInterface;
                let asked = if inward { SetField::InInterface } else { SetField::OutInterface };
                let kind = match right {
                    Right::Named(name) => self.named(name, &[asked], None)?,
                    _ => {
                        let cards =
                            right.all().iter().map(|part| card(text_of(part)?)).collect::<Option<Arc<[Card]>>>()?;
                        if inward { MatchKind::InInterface(cards) } else { MatchKind::OutInterface(cards) }
                    }
                };
                let bridge = self.table.family == TableFamily::Bridge;
                let kind = match kind {
                    MatchKind::InInterface(cards) if bridge => MatchKind::InPort(cards),
                    MatchKind::OutInterface(cards) if bridge => MatchKind::OutPort(cards),
                    MatchKind::InSet(_) if bridge => return None,
                    kind => kind,
                };
                self.push(negated, kind);
            }
            Field::Protocol(family) => {
                let kind = match right {
                    Right::Named(name) => self.named(name, &[SetField::Protocol], None)?,
                    _ => {
                        let list = right.all().iter().map(|part| address::protocol(text_of(part)?));
                        MatchKind::Protocol(list.collect::<Option<Vec<Protocol>>>()?.into())
                    }
                };
                if let Some(family) = family {
                    self.only(family);
                }
                self.push(negated, kind);
            }
            Field::NextHeader => {
                let list = right.all().iter().map(|part| address::protocol(text_of(part)?));
                let list = list.collect::<Option<Vec<Protocol>>>();
                let list = list.filter(|_| !negated && !matches!(right, Right::Named(_)))?;
                self.only(Family::Ipv6);
                self.is(MatchKind::Protocol(list.into()));
                // Of a packet with extension headers, the next header is the first of those.
                self.is(MatchKind::Unknown(Arc::from("no extension header of IPv6")));
            }
            Field::NfProto | Field::EtherType => {
                let named = match (field, single(right.all())?) {
                    (Field::NfProto, "ipv4") | (Field::EtherType, "ip") => Family::Ipv4,
                    (Field::NfProto, "ipv6") | (Field::EtherType, "ip6") => Family::Ipv6,
                    _ => return None,
                };
                let inet = matches!(self.table.family, TableFamily::Inet | TableFamily::Ipv4 | TableFamily::Ipv6);
                match (negated, inet, field) {
                    (false, false, Field::NfProto) => return None,
                    (false, ..) => self.only(named),
                    // Of an inet table's packets, those that are not of one family are of the other.
                    (true, true, _) => self.only(if named == Family::Ipv4 { Family::Ipv6 } else { Family::Ipv4 }),
                    _ => return None,
                }
            }
            Field::Version(family) if !negated => {
                let version = if family == Family::Ipv4 { 4 } else { 6 };
                if address::number(single(right.all())?)? != version {
                    return None;
                }
                self.only(family);
            }
            Field::IcmpType(family) => {
                let mut list = Vec::new();
                for part in right.all() {
                    let types = names::icmp::lookup(family, text_of(part)?)?;
                    if types.iter().any(|one| one.code.is_some()) {
                        return None;
                    }
                    list.extend(types);
                }
                if matches!(right, Right::Named(_)) {
                    return None;
                }
                self.only(family);
                self.needs(if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 });
                self.push(negated, MatchKind::IcmpType(list.into()));
            }
            Field::IcmpCode(family) if !negated && !matches!(right, Right::Named(_)) => {
                let codes = right.all().iter().map(|part| icmp_code(family, text_of(part)?));
                let codes = codes.collect::<Option<Vec<u8>>>()?;
                // Behind the type that it belongs to.
                let Some(Item::Match(Match { negated: false, kind: MatchKind::IcmpType(list) })) =
                    self.items.last_mut()
                else {
                    return None;
                };
                let types =
                    list.iter().map(|one| one.code.is_none().then_some(one.kind)).collect::<Option<Vec<u8>>>()?;
                *list = types
                    .iter()
                    .flat_map(|kind| codes.iter().map(|code| IcmpType { kind: *kind, code: Some(*code) }))
                    .collect();
            }
            Field::Direction => match single(right.all())? {
                "original" => self.push(negated, MatchKind::DirectionOriginal),
                "reply" => self.push(!negated, MatchKind::DirectionOriginal),
                _ => return None,
            },
            Field::SourceMac => {
                let kind = match right {
                    Right::Named(name) => self.named(name, &[SetField::SourceMac], None)?,
                    _ => {
                        let list = right.all().iter().map(|part| text_of(part)?.parse().ok());
                        MatchKind::SourceMac(list.collect::<Option<_>>()?)
                    }
                };
                self.push(negated, kind);
            }
            Field::User => {
                let user = single(right.all())?;
                if user.contains('-') && user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
                    return None;
                }
                self.push(negated, MatchKind::User(user.into()));
            }
            Field::PacketType
                if self.table.family == TableFamily::Bridge && single(right.all()) == Some("multicast") =>
            {
                self.push(negated, MatchKind::DestinationMulticast);
            }
            Field::DestinationType | Field::SourceType => {
                let kind = match (field, single(right.all())?) {
                    (Field::DestinationType, "local") => MatchKind::DestinationLocal,
                    (Field::DestinationType, "multicast") => MatchKind::DestinationMulticast,
                    (Field::DestinationType, "broadcast") => MatchKind::DestinationBroadcast,
                    (Field::SourceType, "local") => MatchKind::SourceLocal,
                    _ => return None,
                };
                self.push(negated, kind);
            }
            Field::Hour => {
                let [part] = right.all() else { return None };
                let [from, dash, to] = part else { return None };
                let times = (clock(from.text)?, clock(to.text)?);
                if !dash.is("-") || matches!(right, Right::Set(_)) {
                    return None;
                }
                // Outside of the day's hours is from their end to their start.
                let times = if negated { (times.1, times.0) } else { times };
                self.is(MatchKind::Time { days: 0x7f, times: Some(times) });
            }
            Field::Day => {
                let days = right.all().iter().try_fold(0u8, |days, part| Some(days | 1 << day(text_of(part)?)?))?;
                if days == 0 {
                    return None;
                }
                let days = if negated { !days & 0x7f } else { days };
                // The hour and the day of one time.
                match self.items.last_mut() {
                    Some(Item::Match(Match {
                        negated: false,
                        kind: MatchKind::Time { days: every @ 0x7f, times: Some(_) },
                    })) => *every = days,
                    _ => self.is(MatchKind::Time { days, times: None }),
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// `tcp dport > 1024`.
    fn ordered(&mut self, field: Field, op: &str, mask: Option<&[&'a [Token<'a>]]>, right: &Right<'a>) -> Option<()> {
        let (protocol, source) = match field {
            Field::SourcePort(protocol) => (protocol, true),
            Field::DestinationPort(protocol) => (protocol, false),
            _ => return None,
        };
        let port = address::named_port(single(right.all())?)?;
        let range = match op {
            "<" => PortRange { first: 0, last: port.checked_sub(1)? },
            "<=" => PortRange { first: 0, last: port },
            ">" => PortRange { first: port.checked_add(1)?, last: u16::MAX },
            _ => PortRange { first: port, last: u16::MAX },
        };
        if mask.is_some() || matches!(right, Right::Set(_)) {
            return None;
        }
        if let Some(protocol) = protocol {
            self.needs(protocol);
        }
        let set = PortSet::new([range]);
        self.is(if source { MatchKind::SourcePort(set) } else { MatchKind::DestinationPort(set) });
        Some(())
    }

    fn addresses(&mut self, right: &Right<'a>, family: Option<Family>, field: SetField) -> Option<Addresses> {
        if let Right::Named(name) = right {
            return match self.named(name, &[field], None)? {
                MatchKind::Source(set) | MatchKind::Destination(set) => Some(Addresses::Known(set)),
                MatchKind::InSet(asked) => Some(Addresses::Named(asked.set)),
                _ => None,
            };
        }
        let one = |part: &&[Token]| {
            let text = text_of(part)?;
            match family {
                Some(family) => address::of_family(text, family),
                None => address::range(text),
            }
        };
        right.all().iter().map(one).collect::<Option<AddressSet>>().map(Addresses::Known)
    }

    fn ports(&mut self, right: &Right<'a>, field: SetField) -> Option<MatchKind> {
        if let Right::Named(name) = right {
            return self.named(name, &[field], None);
        }
        let set: PortSet =
            right.all().iter().map(|part| address::named_ports(text_of(part)?, '-')).collect::<Option<_>>()?;
        Some(if field == SetField::SourcePort { MatchKind::SourcePort(set) } else { MatchKind::DestinationPort(set) })
    }

    /// A look-up in a named set: its elements if they are known and of one field, else its name.
    fn named(&mut self, name: &str, fields: &[SetField], protocol: Option<Protocol>) -> Option<MatchKind> {
        let at = *self.table.set_at.get(name)?;
        let set = self.table.sets.get_mut(at)?;
        let types = set.types.as_ref()?;
        if set.verdicts || set.data || set.broken || !super::set::fits(types, fields, protocol) {
            return None;
        }
        if let [field] = fields
            && set.whole()
            && let Some(kind) = set.folded().compared(*field).or_else(|| empty(&set.elements, *field))
        {
            return Some(kind);
        }
        Some(MatchKind::in_set(Arc::from(name), fields))
    }

    /// Several fields at once: a set of concatenations.
    fn several(&mut self, fields: &[Field], op: &str, right: &Right<'a>) -> Option<()> {
        let negated = match op {
            "" | "==" => false,
            "!=" => true,
            _ => return None,
        };
        if let [Field::IcmpType(family), Field::IcmpCode(_)] = fields {
            return self.icmp(*family, negated, right);
        }
        let key = self.key(fields)?;
        let kind = match right {
            Right::Named(name) => self.named(name, &key.fields, None)?,
            _ => {
                // One value of each: the conjunction of its parts.
                let [part] = right.all() else { return None };
                if negated {
                    return None;
                }
                let values = values(&key.types, part)?;
                self.implied(&key);
                for (field, value) in key.fields.iter().zip(values) {
                    for kind in compared(*field, value)? {
                        self.is(kind);
                    }
                }
                return Some(());
            }
        };
        self.implied(&key);
        self.push(negated, kind);
        Some(())
    }

    fn implied(&mut self, key: &Key) {
        if let Some(family) = key.family {
            self.only(family);
        }
        if let Some(protocol) = key.protocol {
            self.needs(protocol);
        }
    }

    /// `icmp type . icmp code @set`, the set's elements as types with codes.
    fn icmp(&mut self, family: Family, negated: bool, right: &Right<'a>) -> Option<()> {
        let mut list = Vec::new();
        match right {
            Right::Named(name) => {
                let set = self.table.sets.get(*self.table.set_at.get(*name)?)?;
                let word = if family == Family::Ipv4 {
                    ["icmp_type", ".", "icmp_code"]
                } else {
                    ["icmpv6_type", ".", "icmpv6_code"]
                };
                if set.live || set.declared != word {
                    return None;
                }
                for text in &set.text {
                    let tokens: Vec<Token> =
                        super::lex::Lexer::new(text).filter(|token| token.kind != Kind::End).collect();
                    for part in tokens.split(|token| token.is(",")).filter(|part| !part.is_empty()) {
                        icmp_pair(family, part, &mut list)?;
                    }
                }
            }
            _ => {
                for part in right.all() {
                    icmp_pair(family, part, &mut list)?;
                }
            }
        }
        self.only(family);
        self.needs(if family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 });
        self.push(negated, MatchKind::IcmpType(list.into()));
        Some(())
    }

    /// The fields of a set that a concatenation asks with.
    fn key(&self, fields: &[Field]) -> Option<Key> {
        let mut key = Key { fields: Vec::new(), types: Vec::new(), family: None, protocol: None };
        for field in fields {
            let (of_set, kind) = match field {
                Field::Source(family) => (SetField::Source, Type::Address(*family)),
                Field::Destination(family) => (SetField::Destination, Type::Address(*family)),
                Field::Protocol(_) => (SetField::Protocol, Type::Protocol),
                Field::DestinationPort(_) if key.fields.last() == Some(&SetField::Protocol) => {
                    key.fields.pop();
                    key.types.pop();
                    (SetField::DestinationService, Type::Service)
                }
                Field::DestinationPort(_) => (SetField::DestinationPort, Type::Port),
                Field::SourcePort(_) => (SetField::SourcePort, Type::Port),
                Field::SourceMac => (SetField::SourceMac, Type::Mac),
                Field::InInterface if self.table.family != TableFamily::Bridge => {
                    (SetField::InInterface, Type::Interface)
                }
                Field::OutInterface if self.table.family != TableFamily::Bridge => {
                    (SetField::OutInterface, Type::Interface)
                }
                Field::OriginalPort => (SetField::OriginalService, Type::Port),
                _ => return None,
            };
            match field {
                Field::Source(family) | Field::Destination(family) | Field::Protocol(Some(family)) => {
                    if key.family.is_some_and(|other| other != *family) {
                        return None;
                    }
                    key.family = Some(*family);
                }
                Field::DestinationPort(Some(protocol)) | Field::SourcePort(Some(protocol)) => {
                    if key.protocol.is_some_and(|other| other != *protocol) {
                        return None;
                    }
                    key.protocol = Some(*protocol);
                }
                _ => {}
            }
            key.fields.push(of_set);
            key.types.push(kind);
        }
        Some(key)
    }

    /// `FIELDS vmap @map`, `FIELDS vmap { … }`.
    fn map(&mut self, start: usize, fields: &[Field]) -> bool {
        self.at += 1;
        let open = self.at;
        let Some(right) = self.map_right() else { return false };
        let key = self.key(fields);
        let protocol = key.as_ref().and_then(|key| key.protocol).or(self.protocol());
        let elements: Option<Elements> = match (&key, right) {
            (Some(key), Some(name)) => {
                let set = self.table.set_at.get(name).and_then(|at| self.table.sets.get_mut(*at));
                set.and_then(|set| set.map(&key.fields, protocol))
            }
            (Some(key), None) => {
                let inside = self.tokens.get(open + 1..self.at - 1).unwrap_or_default();
                let mut set =
                    super::set::RawSet { verdicts: true, types: Some(key.types.clone()), ..Default::default() };
                for part in inside.split(|token| token.is(",")).filter(|part| !part.is_empty()) {
                    set.add(part);
                }
                set.map(&key.fields, protocol)
            }
            _ => None,
        };
        if let (Some(key), Some(elements)) = (key, elements) {
            self.implied(&key);
            self.verdict = Some(Verdict::Map { fields: key.fields.into(), elements });
            return true;
        }
        if let ([field], None) = (fields, right)
            && self.choices(*field, open).is_some()
        {
            return true;
        }
        self.alternatives.clear();
        self.unknown_verdict(start);
        true
    }

    /// The name of a map, or `None` for one in braces; the position is behind it.
    #[allow(clippy::option_option)]
    fn map_right(&mut self) -> Option<Option<&'a str>> {
        let token = self.token(0)?;
        if token.is("{") {
            self.at = closing(self.tokens, self.at)? + 1;
            return Some(None);
        }
        let name = token.text.strip_prefix('@')?;
        self.at += 1;
        Some(Some(name))
    }

    /// A map over a field that the netfilter form's maps lack: one rule for each key, for no packet has two of them.
    fn choices(&mut self, field: Field, open: usize) -> Option<()> {
        if !self.items.iter().all(|item| matches!(item, Item::Match(item) if is_stateless(&item.kind))) {
            return None;
        }
        let inside = self.tokens.get(open + 1..self.at - 1)?;
        let mut alternatives = Vec::new();
        let kept = self.items.len();
        for part in inside.split(|token| token.is(",")).filter(|part| !part.is_empty()) {
            let colon = part.iter().position(|token| token.is(":"))?;
            let (key, verdict) = part.split_at(colon);
            // `continue` is what happens anyway.
            let Some(verdict) = simple_verdict(verdict.get(1..)?)? else { continue };
            if field == Field::NfProto {
                let family = match text_of(key)? {
                    "ipv4" => Family::Ipv4,
                    "ipv6" => Family::Ipv6,
                    _ => return None,
                };
                if self.family.is_some() || self.table.family != TableFamily::Inet {
                    return None;
                }
                alternatives.push((Choice::Family(family), verdict));
                continue;
            }
            let right = Right::List(vec![key]);
            self.one(field, "", None, &right)?;
            let item = self.items.pop()?;
            let Item::Match(item) = item else { return None };
            // A key that implies more than itself (a protocol) is left alone.
            if self.items.len() != kept {
                self.items.truncate(kept);
                return None;
            }
            alternatives.push((Choice::Match(item), verdict));
        }
        self.alternatives = alternatives;
        (!self.alternatives.is_empty()).then_some(())
    }

    /// `meta mark set 0x1`, `ip dscp set ef`.
    fn change(&mut self, start: usize, field: Field) -> bool {
        self.at += 1;
        let from = self.at;
        // To the next word that begins a statement.
        while let Some(token) = self.token(0) {
            let begins = matches!(
                token.text,
                "accept"
                    | "drop"
                    | "return"
                    | "continue"
                    | "jump"
                    | "goto"
                    | "counter"
                    | "comment"
                    | "log"
                    | "reject"
                    | "limit"
                    | "notrack"
            );
            if self.at > from && token.kind == Kind::Word && begins {
                break;
            }
            if self.at > from && token.kind == Kind::Word && !is_operator(token.text) {
                let before = self.tokens.get(self.at - 1).map_or("", |token| token.text);
                let meant = is_operator(before)
                    || field::read(self.since(from)).is_some_and(|(_, length)| from + length > self.at)
                    || field::read(self.tokens.get(from..).unwrap_or_default())
                        .is_some_and(|(_, length)| from + length > self.at)
                    || matches!(before, "map" | "{" | "," | ":");
                let inside = unclosed(self.since(from));
                if !meant && !inside {
                    break;
                }
            }
            self.at += 1;
        }
        let value = self.since(from);
        let effect = match field {
            Field::Mark(word) => mark(word, value),
            Field::Dscp(family) => match value {
                [one] => names::dscp::lookup(one.text).map(|value| {
                    self.only(family);
                    Effect::SetDscp(value)
                }),
                _ => None,
            },
            Field::MaximumSegment => match value {
                [rt, mtu] if rt.is("rt") && mtu.is("mtu") => Some(Effect::ClampMss),
                _ => None,
            },
            _ => None,
        };
        match effect {
            Some(effect) => self.effect(effect),
            None if matches!(field, Field::Mark(_)) => {
                let text = self.text(self.since(start));
                self.effect(Effect::OpenMarks(text));
            }
            None => self.unknown_effect(start),
        }
        true
    }
}

struct Key {
    fields: Vec<SetField>,
    types: Vec<Type>,
    family: Option<Family>,
    protocol: Option<Protocol>,
}

enum Addresses {
    Known(AddressSet),
    Named(Arc<str>),
}

fn unclosed(tokens: &[Token]) -> bool {
    tokens.iter().filter(|token| token.is("{")).count() > tokens.iter().filter(|token| token.is("}")).count()
}

fn is_operator(word: &str) -> bool {
    matches!(word, "&" | "|" | "^" | "and" | "or" | "xor" | "." | "<<" | ">>" | "map")
}

/// A value of one word.
pub(super) fn text_of<'t>(part: &[Token<'t>]) -> Option<&'t str> {
    match part {
        [one] => Some(one.text),
        _ => None,
    }
}

/// The one value of a list of one.
fn single<'t>(list: &[&[Token<'t>]]) -> Option<&'t str> {
    match list {
        [one] => text_of(one),
        _ => None,
    }
}

/// An empty list, as a match of this field.
fn empty(elements: &[Box<[SetValue]>], field: SetField) -> Option<MatchKind> {
    if !elements.is_empty() {
        return None;
    }
    Some(match field {
        SetField::SourcePort => MatchKind::SourcePort(PortSet::default()),
        SetField::DestinationPort => MatchKind::DestinationPort(PortSet::default()),
        SetField::SourceMac => MatchKind::SourceMac(Default::default()),
        SetField::InInterface => MatchKind::InInterface(Default::default()),
        SetField::OutInterface => MatchKind::OutInterface(Default::default()),
        SetField::Protocol => MatchKind::Protocol(Default::default()),
        _ => return None,
    })
}

/// The matches that compare a field with one value.
fn compared(field: SetField, value: SetValue) -> Option<Vec<MatchKind>> {
    Some(match (field, value) {
        (SetField::Source, SetValue::Address(range)) => {
            vec![MatchKind::Source([range.unpacked()].into_iter().collect())]
        }
        (SetField::Destination, SetValue::Address(range)) => {
            vec![MatchKind::Destination([range.unpacked()].into_iter().collect())]
        }
        (SetField::DestinationService, SetValue::Service(protocol, ports)) => {
            vec![MatchKind::protocol(protocol), MatchKind::DestinationPort(PortSet::new([ports]))]
        }
        (SetField::Protocol, SetValue::Protocol(protocol)) => vec![MatchKind::protocol(protocol)],
        (SetField::SourcePort, SetValue::Port(ports)) => vec![MatchKind::SourcePort(PortSet::new([ports]))],
        (SetField::DestinationPort, SetValue::Port(ports)) => vec![MatchKind::DestinationPort(PortSet::new([ports]))],
        (SetField::SourceMac, SetValue::Mac(mac)) => vec![MatchKind::SourceMac(thin_vec![mac])],
        (SetField::InInterface, SetValue::Interface(card)) => vec![MatchKind::InInterface([*card].into())],
        (SetField::OutInterface, SetValue::Interface(card)) => vec![MatchKind::OutInterface([*card].into())],
        _ => return None,
    })
}

fn flags(right: &Right, bit: impl Fn(&str) -> Option<u8>) -> Option<u8> {
    if matches!(right, Right::Named(_)) {
        return None;
    }
    right.all().iter().try_fold(0, |bits, part| Some(bits | bit(text_of(part)?)?))
}
