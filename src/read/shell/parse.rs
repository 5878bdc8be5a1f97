//! The statements of a shell script, as far as plain scripts have them.

use super::lex::{Part, Token, Word};
use crate::span::Span;

/// A command.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Simple(Simple),
    /// Commands with `|` between.
    Pipeline(Vec<Command>),
    For {
        name: String,
        words: Vec<Word>,
        body: Vec<Statement>,
    },
    Function {
        name: String,
        body: Vec<Statement>,
    },
    Group(Vec<Statement>),
    /// What is run if some condition holds, with the condition's text: the branches of `if` and `case`, the body of a loop.
    Branches {
        conditions: Vec<Statement>,
        bodies: Vec<Vec<Statement>>,
        span: Span,
    },
    /// What is not understood.
    Opaque(Span),
}

/// A command of words.
#[derive(Clone, Debug, Default)]
pub(super) struct Simple {
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
    /// A here-document.
    pub document: Option<Vec<Part>>,
    /// Whether its input is a file.
    pub input: bool,
    pub span: Span,
}

/// Commands with `&&` and `||` between.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub first: Command,
    /// Whether each is run if the one before succeeds.
    pub rest: Vec<(bool, Command)>,
}

/// How deep statements may lie in one another.
const DEEPEST: usize = 60;

/// Reads the statements of a script.
pub(super) fn statements(tokens: &[Token]) -> Vec<Statement> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let mut all = Vec::new();
    loop {
        all.extend(parser.list(&[]));
        let Some(token) = parser.next() else { return all };
        // A word that closes nothing.
        all.push(Statement { first: Command::Opaque(span(token)), rest: Vec::new() });
    }
}

fn span(token: &Token) -> Span {
    match token {
        Token::Word(word) => word.span,
        Token::Operator(_, span) | Token::Redirection { span, .. } | Token::Document { span, .. } => *span,
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'t Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    fn operator(&self) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Operator(sign, _)) => Some(sign),
            _ => None,
        }
    }

    /// The next word, if it is one of the language's own.
    fn keyword(&self) -> Option<&'t str> {
        match self.peek() {
            Some(Token::Word(word)) => word.bare(),
            _ => None,
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.keyword() == Some(word);
        self.at += usize::from(there);
        there
    }

    fn skip_ends(&mut self) {
        while matches!(self.operator(), Some("\n" | ";" | "&")) {
            self.at += 1;
        }
    }

    /// Statements up to one of some words, or to what closes no statement of theirs.
    fn list(&mut self, ends: &[&str]) -> Vec<Statement> {
        let mut all = Vec::new();
        loop {
            self.skip_ends();
            let closes = ["done", "fi", "esac", "then", "do", "elif", "else", "}"];
            match self.peek() {
                None => return all,
                Some(Token::Operator(";;" | ")", _)) => return all,
                Some(Token::Word(word))
                    if word.bare().is_some_and(|word| ends.contains(&word) || closes.contains(&word)) =>
                {
                    return all;
                }
                _ => {}
            }
            let before = self.at;
            if let Some(statement) = self.statement() {
                all.push(statement);
            }
            if self.at == before {
                self.at += 1;
            }
        }
    }

    fn statement(&mut self) -> Option<Statement> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        while let Some(sign @ ("&&" | "||")) = self.operator() {
            self.at += 1;
            while self.operator() == Some("\n") {
                self.at += 1;
            }
            rest.push((sign == "&&", self.pipeline()?));
        }
        Some(Statement { first, rest })
    }

    fn pipeline(&mut self) -> Option<Command> {
        self.take("!");
        let first = self.command()?;
        let mut all = vec![first];
        while self.operator() == Some("|") {
            self.at += 1;
            while self.operator() == Some("\n") {
                self.at += 1;
            }
            all.extend(self.command());
        }
        if all.len() == 1 { all.pop() } else { Some(Command::Pipeline(all)) }
    }

    fn command(&mut self) -> Option<Command> {
        if self.depth >= DEEPEST {
            let token = self.next()?;
            return Some(Command::Opaque(span(token)));
        }
        self.depth += 1;
        let command = self.compound();
        self.depth -= 1;
        // Where its input and output go.
        if !matches!(command, Some(Command::Simple(_))) {
            while matches!(self.peek(), Some(Token::Redirection { .. } | Token::Document { .. })) {
                self.at += 1;
            }
        }
        command
    }

    fn compound(&mut self) -> Option<Command> {
        let start = span(self.peek()?);
        if self.operator() == Some("(") {
            self.at += 1;
            let body = self.list(&[]);
            self.at += usize::from(self.operator() == Some(")"));
            return Some(Command::Group(body));
        }
        match self.keyword() {
            Some("for") => self.for_loop(start),
            Some("while" | "until") => {
                self.at += 1;
                let condition = self.list(&["do"]);
                self.take("do");
                let body = self.list(&["done"]);
                self.take("done");
                Some(Command::Branches { conditions: condition, bodies: vec![body], span: start })
            }
            Some("if") => Some(self.branches(start)),
            Some("case") => Some(self.case(start)),
            Some("{") => {
                self.at += 1;
                let body = self.list(&["}"]);
                self.take("}");
                Some(Command::Group(body))
            }
            Some("function") => {
                self.at += 1;
                let Some(Token::Word(name)) = self.next() else { return Some(Command::Opaque(start)) };
                if self.operator() == Some("(") {
                    self.at += 2;
                }
                self.function(name)
            }
            Some(_) if self.is_function() => {
                let Some(Token::Word(name)) = self.next() else { return Some(Command::Opaque(start)) };
                self.at += 2;
                self.function(name)
            }
            _ => self.simple(),
        }
    }

    /// `NAME ( )`.
    fn is_function(&self) -> bool {
        let sign = |ahead: usize| match self.tokens.get(self.at + ahead) {
            Some(Token::Operator(sign, _)) => *sign,
            _ => "",
        };
        sign(1) == "(" && sign(2) == ")"
    }

    fn function(&mut self, name: &Word) -> Option<Command> {
        self.skip_ends();
        let body = match self.command()? {
            Command::Group(body) => body,
            other => vec![Statement { first: other, rest: Vec::new() }],
        };
        Some(Command::Function { name: name.plain().unwrap_or_default().to_owned(), body })
    }

    fn for_loop(&mut self, start: Span) -> Option<Command> {
        self.at += 1;
        let Some(Token::Word(name)) = self.next() else {
            // `for ((…))`.
            let _ = self.list(&["do"]);
            while !matches!(self.keyword(), Some("do")) && self.peek().is_some() {
                self.at += 1;
            }
            self.take("do");
            let body = self.list(&["done"]);
            self.take("done");
            return Some(Command::Branches { conditions: Vec::new(), bodies: vec![body], span: start });
        };
        let mut words = Vec::new();
        self.skip_ends();
        if self.take("in") {
            while let Some(Token::Word(word)) = self.peek() {
                words.push(word.clone());
                self.at += 1;
            }
        }
        self.skip_ends();
        self.take("do");
        let body = self.list(&["done"]);
        self.take("done");
        Some(Command::For { name: name.plain().unwrap_or_default().to_owned(), words, body })
    }

    fn branches(&mut self, start: Span) -> Command {
        let (mut conditions, mut bodies) = (Vec::new(), Vec::new());
        self.at += 1;
        loop {
            conditions.extend(self.list(&["then"]));
            self.take("then");
            bodies.push(self.list(&["fi", "elif", "else"]));
            if self.take("elif") {
                continue;
            }
            if self.take("else") {
                bodies.push(self.list(&["fi"]));
            }
            self.take("fi");
            return Command::Branches { conditions, bodies, span: start };
        }
    }

    fn case(&mut self, start: Span) -> Command {
        let mut bodies = Vec::new();
        while self.peek().is_some() && !self.take("in") {
            self.at += 1;
        }
        loop {
            self.skip_ends();
            if self.peek().is_none() || self.take("esac") {
                return Command::Branches { conditions: Vec::new(), bodies, span: start };
            }
            // The patterns.
            while self.peek().is_some() && self.operator() != Some(")") {
                self.at += 1;
            }
            self.at += usize::from(self.peek().is_some());
            bodies.push(self.list(&["esac"]));
            self.at += usize::from(self.operator() == Some(";;"));
        }
    }

    fn simple(&mut self) -> Option<Command> {
        let mut simple = Simple { span: span(self.peek()?), ..Simple::default() };
        let before = self.at;
        while let Some(token) = self.peek() {
            match token {
                Token::Word(word) => match assignment(word).filter(|_| simple.words.is_empty()) {
                    Some(pair) => simple.assignments.push(pair),
                    None => simple.words.push(word.clone()),
                },
                Token::Redirection { input, .. } => simple.input |= input,
                Token::Document { parts, .. } => simple.document = Some(parts.clone()),
                Token::Operator(..) => break,
            }
            if !matches!(token, Token::Document { .. }) {
                simple.span = Span::new(simple.span.start as usize, span(token).end.max(simple.span.end) as usize);
            }
            self.at += 1;
        }
        if self.at == before {
            return Some(Command::Opaque(span(self.next()?)));
        }
        Some(Command::Simple(simple))
    }
}

/// `NAME=VALUE`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Part::Text(text) = word.parts.first()? else { return None };
    let (name, value) = text.split_once('=')?;
    let good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !good || !name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
        return None;
    }
    let mut parts = word.parts.clone();
    if let Some(first) = parts.first_mut() {
        *first = Part::Text(value.to_owned());
    }
    Some((name.to_owned(), Word { parts, ..word.clone() }))
}
