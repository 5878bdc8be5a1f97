//! `fwc.toml`: what a repository says about the levels of codes. It is read strictly: what is not known is a fault, with its place.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::codes;
use crate::levels::{Levels, Setting};
use crate::project::{MAX_FILE_BYTES, ReadError, System};

/// What a configuration is called. It holds for everything below its directory.
pub const FILE: &str = "fwc.toml";

/// What a configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The levels.
    pub levels: Levels,
}

/// What is wrong with a configuration. The message is lower case, without final full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub message: String,
    /// Its bytes.
    pub span: Range<usize>,
}

/// A configuration that is there and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its path.
    pub path: PathBuf,
    /// What it says, as far as that could be read.
    pub text: String,
    /// Why.
    pub reason: Reason,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It cannot be read, in words that follow on "cannot read the file:".
    Unread(String),
    /// It is wrong.
    Faulty(Fault),
}

/// What holds in a directory, given by a name under which its parents are found: what the nearest configuration says, in it or above
/// it. Where there is none, nothing is said.
///
/// # Errors
/// If the nearest cannot be used; those above it do not stand in for it.
pub fn nearest(system: &dyn System, directory: &Path) -> Result<Configuration, Unusable> {
    for above in directory.ancestors() {
        let path = above.join(FILE);
        return match system.read(&path, MAX_FILE_BYTES) {
            Err(ReadError::NotFound) => continue,
            Err(error) => Err(Unusable { path, text: String::new(), reason: Reason::Unread(error.to_string()) }),
            Ok(bytes) => from_bytes(path, bytes),
        };
    }
    Ok(Configuration::default())
}

/// Reads a configuration of that path.
///
/// # Errors
/// Says what is wrong first.
pub fn from_bytes(path: PathBuf, bytes: Vec<u8>) -> Result<Configuration, Unusable> {
    let Ok(text) = String::from_utf8(bytes) else {
        let reason = Reason::Unread("it is not UTF-8 text".to_owned());
        return Err(Unusable { path, text: String::new(), reason });
    };
    read(&text).map_err(|fault| Unusable { path, text, reason: Reason::Faulty(fault) })
}

const SETTINGS: [(&str, Setting); 3] = [("allow", Setting::Allow), ("warn", Setting::Warn), ("deny", Setting::Deny)];
const WARNINGS: &str = "warnings";

/// Reads a configuration.
///
/// # Errors
/// Says what is wrong first.
pub fn read(text: &str) -> Result<Configuration, Fault> {
    let document = DeTable::parse(text).map_err(|error| Fault {
        message: error.message().trim_end_matches('.').to_owned(),
        span: error.span().unwrap_or_default(),
    })?;
    let mut configuration = Configuration::default();
    for (key, value) in document.get_ref() {
        let name: &str = key.get_ref();
        if name != "levels" {
            return Err(Fault {
                message: format!("`{name}` is no part of a configuration: `[levels]` is"),
                span: key.span(),
            });
        }
        let DeValue::Table(levels) = value.get_ref() else {
            return Err(Fault { message: "`levels` is a table: `[levels]`".to_owned(), span: value.span() });
        };
        configuration.levels = read_levels(levels)?;
    }
    Ok(configuration)
}

/// `warnings` counts before the codes, wherever it stands: a table has no order.
fn read_levels(table: &DeTable<'_>) -> Result<Levels, Fault> {
    let (mut warnings, mut levels) = (Levels::default(), Levels::default());
    let mut told: Vec<&str> = Vec::new();
    for (key, value) in table {
        let name: &str = key.get_ref();
        let fault = |message: String| Fault { message, span: key.span() };
        let setting = value.get_ref().as_str().and_then(|word| SETTINGS.iter().find(|(known, _)| *known == word));
        let Some(&(_, setting)) = setting else {
            let message = format!("`{name}` is \"allow\", \"warn\" or \"deny\"");
            return Err(Fault { message, span: value.span() });
        };
        if name == WARNINGS {
            warnings.set_warnings(setting);
            continue;
        }
        let Some(code) = codes::find(name) else {
            return Err(fault(codes::unknown(name)));
        };
        if told.contains(&code.number) {
            return Err(fault(format!("{} is set twice, by number and by name", code.number)));
        }
        told.push(code.number);
        levels.set(code, setting).map_err(|refused| fault(refused.to_string()))?;
    }
    warnings.extend(levels);
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Level;

    fn fault(text: &str) -> (String, String) {
        let fault = read(text).expect_err("a fault");
        (text.get(fault.span).unwrap_or_default().to_owned(), fault.message)
    }

    #[test]
    fn levels_are_read() {
        let read = read("[levels]\nunused-name = \"allow\"\nwarnings = \"deny\"\nFW0803 = \"warn\"\n").expect("levels");
        let of = |name: &str| read.levels.of(codes::find(name).expect("the code"));
        assert_eq!(of("unused-name"), None);
        assert_eq!(of("undeclared-card"), Some(Level::Error));
        assert_eq!(of("repeated-behind"), Some(Level::Warning));
        assert_eq!(super::read(""), Ok(Configuration::default()));
    }

    #[test]
    fn what_is_not_known_is_a_fault_at_its_place() {
        assert_eq!(
            fault("levles = 1\n"),
            ("levles".into(), "`levles` is no part of a configuration: `[levels]` is".into())
        );
        let (place, message) = fault("[levels]\nshadowd-rule = \"deny\"\n");
        assert_eq!(
            (place.as_str(), message.contains("did you mean `shadowed-rule`?")),
            ("shadowd-rule", true),
            "{message}"
        );
        let (place, message) = fault("[levels]\nshadowed-rule = \"error\"\n");
        assert_eq!(
            (place.as_str(), message.as_str()),
            ("\"error\"", "`shadowed-rule` is \"allow\", \"warn\" or \"deny\"")
        );
        assert!(fault("[levels]\nFW0801 = \"warn\"\nshadowed-rule = \"deny\"\n").1.contains("set twice"));
        assert!(fault("[levels]\nunknown-service = \"warn\"\n").1.contains("always an error"));
        assert!(!fault("[levels\n").1.is_empty());
    }
}
