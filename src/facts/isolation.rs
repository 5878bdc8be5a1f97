//! Podman's network option `isolate`: `true`, `false` or `strict`.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a network is kept apart from other networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// `false`: not.
    Off,
    /// `true`: from networks with `true` or `strict`.
    On,
    /// `strict`: from every network; netavark's default from 2.0.
    Strict,
}

/// The one value that is a text.
const STRICT: &str = "strict";

impl Serialize for Isolation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On => serializer.serialize_bool(true),
            Self::Strict => serializer.serialize_str(STRICT),
        }
    }
}

impl<'de> Deserialize<'de> for Isolation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = Isolation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`true`, `false` or `strict`")
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Isolation, E> {
                Ok(if value { Isolation::On } else { Isolation::Off })
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Isolation, E> {
                if value == STRICT { Ok(Isolation::Strict) } else { Err(E::unknown_variant(value, &[STRICT])) }
            }
        }
        deserializer.deserialize_any(Value)
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Isolation {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Isolation".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "How a network is kept apart from other networks.",
            "enum": [true, false, STRICT]
        })
    }
}
