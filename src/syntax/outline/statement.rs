//! Each kind of statement.

use super::clauses::CLAUSES;
use super::token::TokenKind;
use super::walk::Walk;
use super::{Around, Expected, Naming, Part, Role};
use crate::syntax::blocks::{gate_rule, inside_rules};
use crate::syntax::grammar::STATEMENTS;

impl Walk<'_, '_> {
    /// A whole statement.
    pub fn statement(&mut self, around: Around) {
        if self.done() {
            return self.beginnings(around);
        }
        if matches!(self.peek(), "in" | "out") {
            self.eat(Role::Keyword);
            if self.done() {
                return self.heads(&|rule| gate_rule(rule));
            }
        }
        match self.peek() {
            "allow" | "deny" | "reject" | "log" => self.rule(),
            "default" => {
                self.eat(Role::Keyword);
                self.rule();
            }
            "assert" => {
                self.eat(Role::Keyword);
                self.action(&["allow", "deny", "reject"]);
                self.enter(Part::What);
                self.traffic();
                self.clauses();
            }
            "mark" | "dscp" | "clamp" | "notrack" | "helper" => self.change(),
            "masquerade" | "forward" | "redirect" => self.translation(),
            "use" | "target" | "include" | "compose" | "fact" => self.file(),
            "apply" => {
                self.eat(Role::Keyword);
                self.enter(Part::Name);
                self.name(Naming::Group, false);
            }
            "chain" => {
                self.eat(Role::Keyword);
                self.enter(Part::Name);
                let said = self.any_word(Naming::Table);
                self.must(said);
                self.enter(Part::Value);
                self.any_word(Naming::Hook);
            }
            word if CLAUSES.iter().any(|(known, _)| *known == word) => self.clauses(),
            _ => self.declaration(),
        }
        self.rest();
    }

    fn beginnings(&mut self, around: Around) {
        match around {
            Around::Top => self.heads(&|_| true),
            Around::Rules => self.heads(&|rule| inside_rules(rule)),
            Around::Gates => {
                self.could(Expected::Word("in"));
                self.could(Expected::Word("out"));
            }
            Around::Unknown => {}
        }
    }

    fn heads(&mut self, fits: &dyn Fn(crate::syntax::grammar::Rule) -> bool) {
        for (word, _) in STATEMENTS.iter().filter(|(_, rule)| fits(*rule)) {
            self.could(Expected::Word(word));
        }
    }

    fn action(&mut self, words: &[&'static str]) {
        let said = words.iter().any(|word| {
            let role = match *word {
                "allow" => Role::Allow,
                "log" => Role::Keyword,
                _ => Role::Deny,
            };
            self.keyword(word, role)
        });
        self.must(said);
    }

    fn rule(&mut self) {
        let reject = self.peek() == "reject";
        self.action(&["allow", "deny", "reject", "log"]);
        if reject && self.keyword("with", Role::Keyword) {
            let said = self.any_word(Naming::Answer);
            self.must(said);
        }
        self.enter(Part::What);
        self.traffic();
        self.clauses();
        self.options();
    }

    fn change(&mut self) {
        let word = self.peek();
        self.eat(Role::Keyword);
        self.enter(Part::Value);
        let said = match word {
            "mark" => self.value("mark", Role::Number),
            "dscp" => self.any_word(Naming::Dscp),
            "clamp" => self.keyword("mss", Role::Keyword),
            "helper" => self.name(Naming::Helper, false),
            _ => true,
        };
        self.must(said);
        self.enter(Part::What);
        self.traffic();
        self.clauses();
    }

    fn translation(&mut self) {
        let word = self.peek();
        self.eat(Role::Keyword);
        self.enter(Part::What);
        self.traffic();
        match word {
            "masquerade" => {
                self.clauses();
                if self.keyword("as", Role::Keyword) {
                    self.enter(Part::As);
                    self.address();
                }
            }
            "forward" => {
                if self.keyword("at", Role::Keyword) {
                    self.enter(Part::At);
                    self.address();
                }
                self.clauses();
                self.port();
                self.options();
            }
            _ => {
                if self.keyword("from", Role::Keyword) {
                    self.enter(Part::From);
                    self.who();
                }
                if self.keyword("to", Role::Keyword) {
                    self.enter(Part::Port);
                }
                self.port();
            }
        }
    }

    /// `port NUM`.
    fn port(&mut self) {
        if self.keyword("port", Role::Keyword) {
            self.enter(Part::Port);
            let said = self.value("port", Role::Number);
            self.must(said);
        }
    }

    /// Statements about files and facts.
    fn file(&mut self) {
        let word = self.peek();
        self.eat(Role::Keyword);
        self.enter(Part::Name);
        match word {
            "use" => {
                if self.keyword("target", Role::Keyword) {
                    return self.target();
                }
                let said = self.name(Naming::Platform, false);
                self.must(said);
                if self.last_word() == "prelude" && self.keyword("except", Role::Keyword) {
                    self.enter(Part::Except);
                    self.parts();
                } else if self.peek() == "except" {
                    self.eat(Role::Keyword);
                    self.parts();
                }
            }
            "target" => self.target(),
            "include" | "compose" => {
                let said = self.quoted("path", Role::Path);
                self.must(said);
            }
            _ => {
                let said = self.any_word(Naming::Fact);
                self.must(said);
                self.equals();
                if self.is_value() {
                    self.eat(Role::Number);
                } else if self.is(TokenKind::Word) {
                    self.eat(Role::Keyword);
                } else {
                    self.quoted("value", Role::Text);
                }
            }
        }
    }

    fn target(&mut self) {
        self.one_of(&["iptables", "nft"], Role::Keyword);
    }

    /// Parts of the prelude: in braces, or with commas between them alone.
    fn parts(&mut self) {
        self.list(&mut |walk| {
            while walk.name(Naming::Part, false) && walk.mark(TokenKind::Comma) {}
        });
    }

    fn equals(&mut self) {
        if self.mark(TokenKind::Equals) {
            self.enter(Part::Value);
        } else {
            self.must(false);
        }
    }

    fn declaration(&mut self) {
        let word = self.peek();
        let naming = match word {
            "interface" => Naming::Interface,
            "set" => Naming::Set,
            "service" => Naming::Service,
            "network" => Naming::Network,
            "container" => Naming::Container,
            "group" => Naming::Group,
            "guest" => Naming::Guest,
            "instance" => Naming::Instance,
            _ => return self.unknown(),
        };
        self.eat(Role::Keyword);
        self.enter(Part::Name);
        let said = self.name(naming, true);
        self.must(said);
        match word {
            "interface" => {
                if self.mark(TokenKind::Equals) {
                    self.enter(Part::Value);
                    if !self.keyword("default-route", Role::Keyword) {
                        self.cards(Naming::Card);
                    }
                }
            }
            "set" => self.set(),
            "service" => {
                self.equals();
                self.what();
            }
            "group" => {}
            _ => self.machine(word),
        }
    }

    fn set(&mut self) {
        if self.mark(TokenKind::Equals) {
            self.enter(Part::Value);
            return self.who();
        }
        if self.keyword("from", Role::Keyword) {
            self.enter(Part::Value);
            let said = self.keyword("file", Role::Keyword);
            self.must(said);
            let said = self.quoted("path", Role::Path);
            self.must(said);
            return;
        }
        self.keyword("live", Role::Keyword);
    }

    /// A network, container, guest or instance, behind its name.
    fn machine(&mut self, word: &str) {
        if !self.keyword("on", Role::Keyword) {
            return self.must(false);
        }
        self.enter(Part::On);
        if word == "container" {
            let said = self.name(Naming::Network, false);
            self.must(said);
        } else {
            self.cards(Naming::Card);
        }
        let guest = matches!(word, "guest" | "instance");
        let mut said = (false, !guest);
        loop {
            if !said.0 && self.keyword("address", Role::Keyword) {
                self.enter(Part::Address);
                self.who();
                said.0 = true;
            } else if !said.1 && self.keyword("mac", Role::Keyword) {
                self.enter(Part::Mac);
                self.mac_address();
                said.1 = true;
            } else {
                break;
            }
        }
        while word == "container" && self.keyword("publish", Role::Keyword) {
            self.enter(Part::Publish);
            let before = self.position();
            self.item();
            self.must(self.position() > before);
            if self.keyword("at", Role::Keyword) {
                self.address();
            }
            if self.keyword("to", Role::Keyword) {
                let said = self.value("port", Role::Number);
                self.must(said);
            }
        }
    }
}
