//! Values of attributes.

use super::SchemaVersion;
use crate::Element;

/// References found: element, attribute, id named.
pub(super) type IdRefs<'a> = Vec<(&'a Element, &'static str, &'a str)>;

/// What a value looks like.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Any,
    /// An id of its own.
    Id,
    /// The id of an element.
    IdRef,
    Boolean,
    /// A whole number, not negative.
    Count,
    /// A whole number or INFINITY with or without sign.
    Score,
    /// A fencing level.
    Level,
    /// A role of an instance; the newer names since the given version.
    Role,
    OneOf(&'static [&'static str]),
    /// Words of which some came or went with a version.
    Versioned(fn(SchemaVersion) -> Vec<&'static str>),
}

impl Kind {
    pub(super) fn is_id(self) -> bool {
        matches!(self, Self::Id)
    }

    pub(super) fn is_reference(self) -> bool {
        matches!(self, Self::IdRef)
    }

    /// Says what would be right if the value is not.
    pub(super) fn check(self, value: &str, version: SchemaVersion) -> Result<(), String> {
        let trimmed = value.trim();
        let is_right = match self {
            Self::Any => true,
            Self::Id | Self::IdRef => is_id(trimmed),
            Self::Boolean => matches!(trimmed, "true" | "false" | "1" | "0"),
            Self::Count => is_digits(trimmed.strip_prefix('+').unwrap_or(trimmed)),
            Self::Score => is_score(trimmed),
            Self::Level => trimmed.parse().is_ok_and(|n: u8| (1..=9).contains(&n)),
            Self::Role => roles(version).contains(&trimmed),
            Self::OneOf(words) => words.contains(&trimmed),
            Self::Versioned(words) => words(version).contains(&trimmed),
        };
        if is_right {
            Ok(())
        } else {
            Err(self.example(version))
        }
    }

    /// What is allowed, in words.
    pub(super) fn example(self, version: SchemaVersion) -> String {
        let list = |words: &[&str]| format!("one of {}", words.join(", "));
        match self {
            Self::Any => "any text".to_owned(),
            Self::Id => "a word that begins with a letter or '_', followed by letters, digits, \
                         '.', '-' and '_'"
                .to_owned(),
            Self::IdRef => "the id of an element".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Count => "a whole number from 0 on".to_owned(),
            Self::Score => "a whole number, INFINITY or -INFINITY".to_owned(),
            Self::Level => "a number from 1 to 9".to_owned(),
            Self::Role => list(&roles(version)),
            Self::OneOf(words) => list(words),
            Self::Versioned(words) => list(&words(version)),
        }
    }
}

fn roles(version: SchemaVersion) -> Vec<&'static str> {
    let mut roles = vec!["Stopped", "Started"];
    if version >= SchemaVersion(3, 7) {
        roles.extend(["Promoted", "Unpromoted"]);
    }
    if version < SchemaVersion(4, 0) {
        roles.extend(["Master", "Slave"]);
    }
    roles
}

/// XML names without colon.
fn is_id(text: &str) -> bool {
    let mut chars = text.chars();
    let starts = |c: char| c.is_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}');
    chars.next().is_some_and(starts) && chars.all(goes_on)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_integer(text: &str) -> bool {
    is_digits(text.strip_prefix(['+', '-']).unwrap_or(text))
}

fn is_score(text: &str) -> bool {
    is_integer(text) || matches!(text, "INFINITY" | "+INFINITY" | "-INFINITY")
}
