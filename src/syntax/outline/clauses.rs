//! Services, places, clauses and options: what statements have in common.

use super::token::TokenKind;
use super::walk::Walk;
use super::{Expected, Naming, Part, Role};

/// Which clauses a statement has.
pub(super) const CLAUSES: [(&str, Part); 3] = [("from", Part::From), ("to", Part::To), ("via", Part::Via)];

/// The options, in the order in which they are mostly written.
const OPTIONS: [&str; 6] = ["limit", "log", "during", "source", "comment", "early"];

impl Walk<'_, '_> {
    /// `[family] [what]`.
    pub fn traffic(&mut self) {
        self.one_of(&["ipv4", "ipv6"], Role::Protocol);
        self.what();
    }

    /// Services, or nothing.
    pub fn what(&mut self) {
        if self.is(TokenKind::Open) {
            self.list(&mut |walk| walk.item());
        } else {
            self.item();
        }
    }

    /// One service.
    pub fn item(&mut self) {
        if self.is_value() {
            // A number behind a comma goes on with the ports in front of it.
            return self.ports();
        }
        match self.peek() {
            "icmp" => {
                self.eat(Role::Protocol);
                if self.peek() == "redirect" {
                    self.eat(Role::Name { naming: Naming::Icmp, declares: false });
                } else {
                    self.name(Naming::Icmp, false);
                }
            }
            "protocol" => {
                self.eat(Role::Keyword);
                let said = self.any_word(Naming::Protocol);
                self.must(said);
            }
            _ => {
                if self.name(Naming::Service, false) {
                    return;
                }
                if self.one_of(&["tcp", "udp", "sctp"], Role::Protocol).is_some() {
                    self.ports();
                } else {
                    self.could(Expected::Word("icmp"));
                    self.could(Expected::Word("protocol"));
                }
            }
        }
    }

    /// Ports and ranges with commas between them.
    fn ports(&mut self) {
        while self.value("port", Role::Number) {
            let before = self.position();
            if !self.mark(TokenKind::Comma) {
                return;
            }
            self.could(Expected::Value("port"));
            if !self.is_value() {
                // The comma belongs to the list around.
                self.back_to(before);
                return;
            }
        }
    }

    /// `[not] { one, … }` or one alone.
    pub fn who(&mut self) {
        self.keyword("not", Role::Keyword);
        self.list(&mut |walk| walk.one());
    }

    /// `[not] place [on cards] [at ADDR] [inside|direct]`.
    fn one(&mut self) {
        if self.peek() == "not" {
            self.eat(Role::Keyword);
        }
        let before = self.position();
        let container = self.place();
        if self.position() == before {
            return self.must(false);
        }
        if self.keyword("on", Role::Keyword) {
            self.cards(Naming::Via);
        }
        if self.keyword("at", Role::Keyword) {
            self.address();
        }
        if container || matches!(self.peek(), "inside" | "direct") {
            self.one_of(&["inside", "direct"], Role::Keyword);
        }
    }

    /// A place; gives whether it is a container.
    fn place(&mut self) -> bool {
        if self.is_value() {
            self.eat(Role::Address);
            return false;
        }
        if self.name(Naming::Place, false) {
            return false;
        }
        let words = ["any", "world", "host", "container", "guest", "instance", "network"];
        let Some(word) = self.one_of(&words, Role::PlaceWord) else {
            if self.keyword("mac", Role::Keyword) {
                self.mac_address();
            }
            self.could(Expected::Value("address"));
            return false;
        };
        match word {
            "host" => {
                if self.keyword("user", Role::Keyword) {
                    let said = self.name(Naming::User, false);
                    self.must(said);
                }
            }
            "network" => {
                let said = self.name(Naming::Network, false);
                self.must(said);
            }
            _ => {
                let naming = match word {
                    "container" => Some(Naming::Container),
                    "guest" => Some(Naming::Guest),
                    "instance" => Some(Naming::Instance),
                    _ => None,
                };
                naming.map(|naming| self.name(naming, false));
            }
        }
        word == "container"
    }

    /// Cards, or names of interfaces.
    pub fn cards(&mut self, naming: Naming) {
        self.list(&mut |walk| {
            let said = walk.name(naming, false);
            walk.must(said);
        });
    }

    pub fn address(&mut self) {
        let said = self.value("address", Role::Address);
        self.must(said);
    }

    /// An Ethernet address: it may begin with a letter.
    pub fn mac_address(&mut self) {
        self.could(Expected::Value("Ethernet address"));
        let said = self.is(TokenKind::Word);
        if said {
            self.eat(Role::Address);
        }
        self.must(said);
    }

    /// `[from who] [to who] [via cards]`; those out of order are known for what they are, too.
    pub fn clauses(&mut self) {
        let mut next = 0;
        loop {
            for (word, _) in CLAUSES.iter().skip(next) {
                self.could(Expected::Word(word));
            }
            let word = self.peek();
            let Some(at) = CLAUSES.iter().position(|(known, _)| *known == word) else { return };
            let Some((_, part)) = CLAUSES.get(at) else { return };
            self.eat(Role::Keyword);
            self.enter(*part);
            if *part == Part::Via {
                self.cards(Naming::Via)
            } else {
                self.who()
            }
            next = next.max(at + 1);
        }
    }

    /// The options of a rule, each once.
    pub fn options(&mut self) {
        let mut said: Vec<&str> = Vec::new();
        loop {
            for word in OPTIONS.iter().filter(|word| !said.contains(*word)) {
                self.could(Expected::Word(word));
            }
            let word = self.peek();
            if !OPTIONS.contains(&word) {
                return;
            }
            said.push(word);
            self.eat(Role::Keyword);
            self.enter(Part::Options);
            match word {
                "limit" => self.limit(),
                "log" => self.log(),
                "during" => self.during(),
                "source" => {
                    let said = self.keyword("port", Role::Keyword);
                    self.must(said);
                    let before = self.position();
                    self.ports();
                    self.must(self.position() > before);
                }
                "comment" => {
                    let said = self.quoted("text", Role::Text);
                    self.must(said);
                }
                _ => {}
            }
        }
    }

    fn limit(&mut self) {
        let said = self.value("rate", Role::Number);
        self.must(said);
        if !self.last_word().contains('/') {
            let said = self.one_of(&["connections", "connection"], Role::Keyword).is_some();
            self.must(said);
        }
        if self.keyword("per", Role::Keyword) {
            let said = self.keyword("source", Role::Keyword);
            self.must(said);
        }
        if self.keyword("burst", Role::Keyword) {
            let said = self.value("number", Role::Number);
            self.must(said);
        }
    }

    fn log(&mut self) {
        self.quoted("text", Role::Text);
        let mut told = (false, false);
        loop {
            if !told.0 && self.keyword("level", Role::Keyword) {
                let said = self.any_word(Naming::Level);
                self.must(said);
                told.0 = true;
            } else if !told.1 && self.keyword("rate", Role::Keyword) {
                let said = self.value("rate", Role::Number);
                self.must(said);
                told.1 = true;
            } else {
                return;
            }
        }
    }

    fn during(&mut self) {
        let before = self.position();
        while self.name(Naming::Day, false) {
            if !self.mark(TokenKind::Comma) {
                break;
            }
            self.could(Expected::Name(Naming::Day));
            self.must(false);
        }
        self.value("times", Role::Number);
        self.must(self.position() > before);
    }

    /// What is left over: the words of clauses and options are known wherever they stand.
    pub fn rest(&mut self) {
        while !self.done() {
            let before = self.position();
            self.clauses();
            self.options();
            if self.position() == before {
                self.unknown();
            }
        }
    }
}
