//! Which packets of connections a proof is about: the first ones, with the destination translated or not, and the answers to them.

use crate::hooks::{Tracking, rebuilt};
use crate::netfilter::Hook;
use crate::packet::Field;
use crate::program::Program;

/// Whether the destination was translated before the hook, and which way the packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum World {
    /// The header says what the client dialled.
    Plain,
    /// Conntrack alone knows it.
    Translated,
    /// An answer to a packet whose header says what the client dialled.
    Answer,
    /// An answer to a packet whose destination was translated.
    TranslatedAnswer,
}

impl World {
    /// The answers to packets of this world.
    pub(super) fn answered(self) -> Self {
        match self {
            Self::Plain | Self::Answer => Self::Answer,
            Self::Translated | Self::TranslatedAnswer => Self::TranslatedAnswer,
        }
    }

    pub(super) fn answers(self) -> bool {
        matches!(self, Self::Answer | Self::TranslatedAnswer)
    }

    fn tracking(self) -> Tracking {
        let base = match self {
            Self::Plain | Self::Answer => Tracking::NEW,
            Self::Translated | Self::TranslatedAnswer => Tracking::TRANSLATED,
        };
        Tracking { answers: self.answers(), routed: false, ..base }
    }

    /// A chain's program for packets of this world alone.
    pub(super) fn program(self, program: &Program, hook: Hook) -> Program {
        self.tracking().program(program, hook, false)
    }

    /// As [`World::program`], of a chain that is passed before the destination is translated, for packets as they are afterwards: what is in
    /// its header is what the client dialled.
    pub(super) fn program_before(self, program: &Program, hook: Hook) -> Program {
        rebuilt(program, |cube| {
            let mut before = cube.clone();
            for (header, dialled) in
                [(Field::DESTINATION, Field::ORIGINAL_DESTINATION), (Field::DESTINATION_PORT, Field::ORIGINAL_PORT)]
            {
                if let Some(values) = cube.get(header).filter(|_| self == Self::Translated) {
                    before = before.replaced(header, None).with(dialled, values.clone())?;
                }
            }
            // Nothing was translated yet, whatever becomes of it.
            if let Some(values) = before.get(Field::TRANSLATED) {
                if !values.contains(0) {
                    return None;
                }
                before = before.replaced(Field::TRANSLATED, None);
            }
            self.tracking().cube(&before, hook, false)
        })
    }
}
