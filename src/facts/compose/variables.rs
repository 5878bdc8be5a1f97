//! Compose's interpolation (`${NAME:-default}`) and the `.env` file that gives the values. The environment of the shell that
//! runs `docker compose` would come first; a build that must be the same everywhere cannot know it.

use std::collections::HashMap;

/// How deep defaults may lie in each other.
const DEPTH: usize = 16;
/// How long a text may become: variables that name variables could double it at each step.
const LENGTH: usize = 64 * 1024;

/// Variables by name.
pub type Variables = HashMap<String, String>;

/// A text with its variables filled in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text; a variable without a value leaves nothing.
    pub text: String,
    /// Variables that have neither a value nor a default.
    pub missing: Vec<String>,
    /// What compose would refuse.
    pub faults: Vec<String>,
}

/// Fills variables in.
#[must_use]
pub fn interpolate(text: &str, variables: &Variables) -> Filled {
    let mut filled = Filled::default();
    let text = fill(text, variables, &mut filled, 0);
    filled.text = text;
    filled
}

fn fill(text: &str, variables: &Variables, filled: &mut Filled, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if out.len() > LENGTH {
            filled.faults.push(format!("becomes longer than {LENGTH} bytes"));
            return String::new();
        }
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let Some(end) = closing(inner) else {
                filled.faults.push("`${` has no closing brace".to_owned());
                return String::new();
            };
            let (expression, after) = inner.split_at(end);
            out.push_str(&value(expression, variables, filled, depth));
            rest = after.strip_prefix('}').unwrap_or(after);
        } else {
            let name = name(after);
            if name.is_empty() {
                filled.faults.push("`$` before no name (`$$` writes a dollar sign)".to_owned());
                return String::new();
            }
            out.push_str(&plain(name, variables, filled));
            rest = after.get(name.len()..).unwrap_or("");
        }
    }
    out.push_str(rest);
    if out.len() > LENGTH {
        filled.faults.push(format!("becomes longer than {LENGTH} bytes"));
        return String::new();
    }
    out
}

/// Where the brace that closes an expression stands; defaults may hold expressions of their own.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut before = 0u8;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if before == b'$' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        before = byte;
    }
    None
}

fn name(text: &str) -> &str {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let length = match text.as_bytes() {
        [first, rest @ ..] if letter(*first) => {
            1 + rest.iter().take_while(|&&byte| letter(byte) || byte.is_ascii_digit()).count()
        }
        _ => 0,
    };
    text.get(..length).unwrap_or("")
}

fn plain(name: &str, variables: &Variables, filled: &mut Filled) -> String {
    variables.get(name).cloned().unwrap_or_else(|| {
        if !filled.missing.iter().any(|known| known == name) {
            filled.missing.push(name.to_owned());
        }
        String::new()
    })
}

/// `NAME`, `NAME:-default`, `NAME-default`, `NAME:?message`, `NAME?message`, `NAME:+other`, `NAME+other`. With a colon an empty
/// value counts as none.
fn value(expression: &str, variables: &Variables, filled: &mut Filled, depth: usize) -> String {
    let name = name(expression);
    let rest = expression.get(name.len()..).unwrap_or("");
    if name.is_empty() {
        filled.faults.push(format!("`${{{}}}` names no variable", super::super::brief(expression)));
        return String::new();
    }
    if rest.is_empty() {
        return plain(name, variables, filled);
    }
    if depth >= DEPTH {
        filled.faults.push(format!("more than {DEPTH} defaults in each other"));
        return String::new();
    }
    let (colon, operator) = match rest.strip_prefix(':') {
        Some(operator) => (true, operator),
        None => (false, rest),
    };
    let known = variables.get(name).filter(|value| !colon || !value.is_empty()).cloned();
    if let Some(default) = operator.strip_prefix('-') {
        known.unwrap_or_else(|| fill(default, variables, filled, depth + 1))
    } else if let Some(message) = operator.strip_prefix('?') {
        known.unwrap_or_else(|| {
            let message = fill(message, variables, filled, depth + 1);
            let colon = if message.is_empty() { "" } else { ": " };
            filled.faults.push(format!("`{name}` must have a value{colon}{}", super::super::brief(&message)));
            String::new()
        })
    } else if let Some(other) = operator.strip_prefix('+') {
        known.map(|_| fill(other, variables, filled, depth + 1)).unwrap_or_default()
    } else {
        filled.faults.push(format!("`${{{}}}` is no form that compose knows", super::super::brief(expression)));
        String::new()
    }
}

/// Reads a `.env` file: the variables, and the lines (from 1) that cannot be read. Values may be in single quotes (as they
/// stand), in double quotes (with escapes and variables, over several lines) or bare (with variables, up to ` #`).
#[must_use]
pub fn read(text: &str) -> (Variables, Vec<(usize, String)>) {
    let mut variables = Variables::new();
    let mut faults = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line_number = 0;
    while !rest.is_empty() {
        line_number += 1;
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let statement = line.trim();
        let statement = statement.strip_prefix("export ").unwrap_or(statement).trim_start();
        if statement.is_empty() || statement.starts_with('#') {
            continue;
        }
        let Some(at) = statement.find(['=', ':']) else {
            // A name alone takes its value from the shell, which is not known here.
            if name(statement).len() != statement.len() {
                faults.push((line_number, format!("`{}` is not `NAME=value`", super::super::brief(statement))));
            }
            continue;
        };
        let (key, written) = statement.split_at(at);
        let (key, written) = (key.trim(), written.get(1..).unwrap_or("").trim());
        if key.is_empty() || key.contains(char::is_whitespace) {
            faults.push((line_number, format!("`{}` is no name of a variable", super::super::brief(key))));
            continue;
        }
        let value = match written.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                // A quoted value may go on over the next lines.
                let mut body = written.get(1..).unwrap_or("").to_owned();
                let first = line_number;
                while end_of_quote(&body, quote).is_none() && !rest.is_empty() {
                    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
                    line_number += 1;
                    rest = after;
                    body.push('\n');
                    body.push_str(line.trim_end_matches('\r'));
                    if body.len() > LENGTH {
                        break;
                    }
                }
                let Some(end) = end_of_quote(&body, quote) else {
                    faults.push((first, format!("the value of `{}` has no closing quote", super::super::brief(key))));
                    continue;
                };
                let body = body.get(..end).unwrap_or("");
                if quote == '\'' { Ok(body.to_owned()) } else { Err(unescape(body)) }
            }
            _ => {
                let bare = written.find(" #").and_then(|at| written.get(..at)).unwrap_or(written);
                Err(bare.trim_end().to_owned())
            }
        };
        let value = match value {
            Ok(literal) => literal,
            Err(template) => {
                let filled = interpolate(&template, &variables);
                faults.extend(filled.faults.into_iter().map(|fault| (line_number, fault)));
                filled.text
            }
        };
        variables.insert(key.to_owned(), value);
    }
    (variables, faults)
}

/// Where the closing quote stands; in double quotes a backslash protects one.
fn end_of_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        if escaped {
            escaped = false;
        } else if letter == '\\' && quote == '"' {
            escaped = true;
        } else if letter == quote {
            return Some(at);
        }
        None
    })
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            // The dollar sign stays one when variables are filled in.
            Some('$') => out.push_str("$$"),
            Some(other @ ('\\' | '"' | '\'')) => out.push(other),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        [("A", "1"), ("EMPTY", ""), ("HOST", "127.0.0.1")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn every_form_of_composes_interpolation() {
        for (text, expected) in [
            ("$A:80", "1:80"),
            ("${A}", "1"),
            ("${NO:-8080}:80", "8080:80"),
            ("${NO-8080}", "8080"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${A:?needed}", "1"),
            ("${A:+yes}", "yes"),
            ("${EMPTY:+yes}", ""),
            ("${EMPTY+yes}", "yes"),
            ("${NO:+yes}", ""),
            ("${NO:-${ALSO:-${HOST}}}:1", "127.0.0.1:1"),
            ("$$A and $${A}", "$A and ${A}"),
        ] {
            let filled = interpolate(text, &variables());
            assert_eq!((filled.text.as_str(), filled.missing.len(), filled.faults.len()), (expected, 0, 0), "{text}");
        }
    }

    #[test]
    fn what_compose_would_refuse_is_told() {
        assert_eq!(interpolate("$NO:80", &variables()).missing, ["NO"]);
        assert_eq!(interpolate("${NO}${NO}", &variables()).missing, ["NO"]);
        let fault = interpolate("${NO:?set it}", &variables()).faults;
        assert_eq!(fault, ["`NO` must have a value: set it"]);
        for text in ["${", "${}", "$ 1", "${A", "${A!x}", "$"] {
            assert!(!interpolate(text, &variables()).faults.is_empty(), "{text}");
        }
    }

    #[test]
    fn hostile_texts_stay_small() {
        let nested = format!("{}x{}", "${NO:-".repeat(50_000), "}".repeat(50_000));
        assert!(!interpolate(&nested, &variables()).faults.is_empty());
        let mut env = "V0=xxxxxxxxxx\n".to_owned();
        for level in 1..60 {
            env.push_str(&format!("V{level}=$V{0}$V{0}$V{0}$V{0}\n", level - 1));
        }
        let (variables, faults) = read(&env);
        assert!(!faults.is_empty());
        assert!(variables.values().all(|value| value.len() <= LENGTH));
    }

    #[test]
    fn env_files_are_read_as_compose_reads_them() {
        let text = "\u{feff}# ports\nA=1\nexport B = two \nC='$A'\nD=\"$A\\n\\$A\"\nE=x # remark\nF=a#b\nG: yaml\nH=\nI\n\
                    J=\"two\nlines\"\nK=${A}${B}\nbroken line\nL='open\n";
        let (variables, faults) = read(text);
        for (name, value) in [
            ("A", "1"),
            ("B", "two"),
            ("C", "$A"),
            ("D", "1\n$A"),
            ("E", "x"),
            ("F", "a#b"),
            ("G", "yaml"),
            ("H", ""),
            ("J", "two\nlines"),
            ("K", "1two"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!variables.contains_key("I"));
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [14, 15]);
    }
}
