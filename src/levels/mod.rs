//! What a finding weighs after all: its code's own level, and what a configuration and the command line say of it. What is said later
//! outweighs what was said before.

pub mod codes;

use crate::diagnostic::{Code, Diagnostic, Level};

/// What is said of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// It is not told.
    Allow,
    /// It is a warning.
    Warn,
    /// It is an error.
    Deny,
}

/// Errors that are judgements: the policy has a meaning, and it is hardly what was meant. They can be lowered and expected. Every other
/// error is a fault: there is no meaning that output could have, or nothing can be written that the kernel takes.
static JUDGEMENTS: [&str; 16] = [
    "FW0301", "FW0307", "FW0352", "FW0710", "FW0711", "FW0714", "FW0800", "FW0801", "FW0806", "FW0822", "FW0826",
    "FW0840", "FW0842", "FW0843", "FW0844", "FW0848",
];

/// What a statement's words cannot silence, whatever its level: it is about those words, or about fwc's own work.
static UNSILENCED: [&str; 3] = ["FW0030", "FW0034", "FW0606"];

/// Whether output may be made in spite of it.
#[must_use]
pub fn can_be_lowered(code: &Code) -> bool {
    code.level != Level::Error || JUDGEMENTS.contains(&code.number)
}

/// Whether a comment can say that it is known: `# fwc: expect(…) -- …`.
#[must_use]
pub fn can_be_expected(code: &Code) -> bool {
    can_be_lowered(code) && !UNSILENCED.contains(&code.number)
}

/// Levels of codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    said: Vec<(Option<&'static Code>, Setting)>,
}

impl Levels {
    /// Says something of every code that is a warning.
    pub fn set_warnings(&mut self, setting: Setting) {
        self.said.push((None, setting));
    }

    /// Says something of one code; a fault stays an error.
    ///
    /// # Errors
    /// If it is a fault and would be lowered.
    pub fn set(&mut self, code: &'static Code, setting: Setting) -> Result<(), Fault> {
        if setting != Setting::Deny && !can_be_lowered(code) {
            return Err(Fault(code));
        }
        self.said.push((Some(code), setting));
        Ok(())
    }

    /// What `later` says outweighs what is said here.
    pub fn extend(&mut self, later: Self) {
        self.said.extend(later.said);
    }

    /// The level of a code, after all; `None`: it is not told.
    #[must_use]
    pub fn of(&self, code: &'static Code) -> Option<Level> {
        let mut level = Some(code.level);
        for &(subject, setting) in &self.said {
            let meant = match subject {
                None => code.level == Level::Warning || level == Some(Level::Warning),
                Some(other) => other == code,
            };
            if meant {
                level = match setting {
                    Setting::Allow => None,
                    Setting::Warn => Some(Level::Warning),
                    Setting::Deny => Some(Level::Error),
                };
            }
        }
        level
    }

    /// Whether a diagnostic keeps output from being made. What was raised to an error keeps it from being written, and is told first.
    #[must_use]
    pub fn stops(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.is_error() && self.of(diagnostic.code) == Some(Level::Error)
    }
}

/// A code that is always an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static Code);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is always an error: with it there is no meaning that the output could have", self.0.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::find;

    fn code(name: &str) -> &'static Code {
        find(name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn the_last_word_counts() {
        let mut levels = Levels::default();
        let unused = code("unused-name");
        assert_eq!(levels.of(unused), Some(Level::Warning));
        levels.set_warnings(Setting::Deny);
        assert_eq!(levels.of(unused), Some(Level::Error));
        levels.set(unused, Setting::Allow).expect("no fault");
        assert_eq!(levels.of(unused), None);
        levels.set_warnings(Setting::Warn);
        assert_eq!(levels.of(unused), Some(Level::Warning));
        // Errors and notes are no warnings.
        assert_eq!(levels.of(code("unknown-service")), Some(Level::Error));
        assert_eq!(levels.of(code("opposite-overlap")), Some(Level::Note));
    }

    #[test]
    fn a_fault_is_not_lowered() {
        let mut levels = Levels::default();
        let fault = code("unknown-service");
        assert_eq!(levels.set(fault, Setting::Warn), Err(Fault(fault)));
        assert_eq!(levels.set(fault, Setting::Deny), Ok(()));
        assert!(can_be_lowered(code("published-port-bypasses-input")) && !can_be_expected(fault));
    }

    #[test]
    fn the_lists_name_codes_that_there_are() {
        for number in JUDGEMENTS {
            assert_eq!(code(number).level, Level::Error, "{number} is no error: its place in the list says nothing");
        }
        for number in UNSILENCED {
            code(number);
        }
    }
}
