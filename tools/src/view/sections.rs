//! The sections of a status, by the names that `--include` and `--exclude` take.

/// A section of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Messaging layer.
    Stack = 1,
    /// Designated controller and quorum.
    Dc = 1 << 1,
    /// When it was looked at and changed.
    Times = 1 << 2,
    /// How many nodes and resources.
    Counts = 1 << 3,
    /// Options that bear on everything.
    Options = 1 << 4,
    /// Nodes.
    Nodes = 1 << 5,
    /// Resources.
    Resources = 1 << 6,
    /// Attributes of nodes.
    Attributes = 1 << 7,
    /// Fail counts.
    FailCounts = 1 << 8,
    /// Histories of operations.
    Operations = 1 << 9,
    /// Failed operations.
    Failures = 1 << 10,
    /// Fencing that failed.
    FencingFailed = 1 << 11,
    /// Fencing under way.
    FencingPending = 1 << 12,
    /// Fencing that succeeded.
    FencingSucceeded = 1 << 13,
    /// Tickets.
    Tickets = 1 << 14,
    /// Location constraints that forbid.
    Bans = 1 << 15,
    /// Whether the cluster manages anything at all.
    MaintMode = 1 << 16,
}

use Section as S;

/// Name in `--include`, and what it stands for.
const NAMES: &[(&str, &[Section])] = &[
    ("attributes", &[S::Attributes]),
    ("bans", &[S::Bans]),
    ("counts", &[S::Counts]),
    ("dc", &[S::Dc]),
    ("failcounts", &[S::FailCounts]),
    ("failures", &[S::Failures]),
    (
        "fencing",
        &[S::FencingFailed, S::FencingPending, S::FencingSucceeded],
    ),
    ("fencing-failed", &[S::FencingFailed]),
    ("fencing-pending", &[S::FencingPending]),
    ("fencing-succeeded", &[S::FencingSucceeded]),
    ("maint-mode", &[S::MaintMode]),
    ("nodes", &[S::Nodes]),
    ("operations", &[S::Operations]),
    ("options", &[S::Options]),
    ("resources", &[S::Resources]),
    ("stack", &[S::Stack]),
    ("summary", SUMMARY),
    ("tickets", &[S::Tickets]),
    ("times", &[S::Times]),
];

const SUMMARY: &[Section] = &[S::Stack, S::Dc, S::Times, S::Counts, S::MaintMode];

/// Why a list of sections was not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SectionError {
    /// A word that names no section.
    #[error(
        "{option}: '{word}' is no section; there are: all, default, none, {}",
        known()
    )]
    Unknown {
        /// `--include` or `--exclude`.
        option: &'static str,
        /// The word.
        word: String,
    },
}

fn known() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// Who reads a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Text or a page.
    Person,
    /// XML.
    Program,
}

/// A set of sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sections(u32);

impl Sections {
    /// These.
    pub(crate) fn of(sections: &[Section]) -> Self {
        let bits = sections.iter().map(|s| *s as u32);
        Self(bits.fold(0, |all, bit| all | bit))
    }

    /// What a form of output shows unless told otherwise.
    /// Programs read everything, people what they need to act on.
    pub(crate) fn default_of(reader: Reader) -> Self {
        match reader {
            Reader::Program => Self::all(),
            Reader::Person => Self::of(&[
                S::Nodes,
                S::Resources,
                S::Failures,
                S::FencingFailed,
                S::FencingPending,
            ])
            .with(Self::of(SUMMARY)),
        }
    }

    fn all() -> Self {
        let each = NAMES.iter().map(|(_, sections)| Self::of(sections));
        each.fold(Self::default(), Self::with)
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a section is in it.
    pub(crate) fn has(self, section: Section) -> bool {
        self.0 & section as u32 != 0
    }

    /// Adds a section.
    pub(crate) fn add(&mut self, section: Section) {
        self.0 |= section as u32;
    }

    /// Adds a section that is not there, takes away one that is.
    pub(crate) fn toggle(&mut self, section: Section) {
        self.0 ^= section as u32;
    }

    /// Shows what summarizes, or hides it.
    pub(crate) fn toggle_summary(&mut self) {
        let summary = Self::of(SUMMARY);
        *self = match self.0 & summary.0 {
            0 => self.with(summary),
            _ => self.without(summary),
        };
    }

    /// How much fencing is shown: 0 none, 1 failed and pending, from 2 on all of it.
    pub(crate) fn set_fencing(&mut self, level: u8) {
        let all = Self::of(&[S::FencingFailed, S::FencingPending, S::FencingSucceeded]);
        let wanted = match level {
            0 => Self::default(),
            1 => Self::of(&[S::FencingFailed, S::FencingPending]),
            _ => all,
        };
        *self = self.without(all).with(wanted);
    }

    /// The names of all sections, for people.
    pub(crate) fn names() -> String {
        format!("Sections: all, default, none, {}", known())
    }

    /// Reads `--include` (a list with commas). Answers the prefix of `bans:PREFIX`.
    ///
    /// # Errors
    /// A word names no section.
    pub(crate) fn include(
        &mut self,
        list: &str,
        reader: Reader,
    ) -> Result<Option<String>, SectionError> {
        let mut prefix = None;
        for word in list.split(',') {
            match word {
                "all" => *self = Self::all(),
                "none" => *self = Self::default(),
                "default" | "defaults" => *self = self.with(Self::default_of(reader)),
                word => {
                    if let Some(of) = word.strip_prefix("bans:") {
                        self.add(S::Bans);
                        prefix = Some(of.to_owned());
                    } else {
                        *self = self.with(named("--include", word)?);
                    }
                }
            }
        }
        Ok(prefix)
    }

    /// Reads `--exclude`.
    ///
    /// # Errors
    /// A word names no section.
    pub(crate) fn exclude(&mut self, list: &str) -> Result<(), SectionError> {
        for word in list.split(',') {
            *self = match word {
                "all" => Self::default(),
                "none" => Self::all(),
                word => self.without(named("--exclude", word)?),
            };
        }
        Ok(())
    }
}

fn named(option: &'static str, word: &str) -> Result<Sections, SectionError> {
    let found = NAMES.iter().find(|(name, _)| *name == word);
    let unknown = || SectionError::Unknown {
        option,
        word: word.to_owned(),
    };
    found
        .map(|(_, sections)| Sections::of(sections))
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_add_and_take_away_in_their_order() {
        let mut sections = Sections::default_of(Reader::Person);
        assert!(sections.has(S::Nodes) && !sections.has(S::Bans));
        sections.include("none,nodes", Reader::Person).unwrap();
        assert_eq!(sections, Sections::of(&[S::Nodes]));
        sections.exclude("nodes").unwrap();
        assert_eq!(sections, Sections::default());
        let prefix = sections.include("bans:cli-", Reader::Person).unwrap();
        assert_eq!(prefix.as_deref(), Some("cli-"));
        let wrong = sections.include("nodez", Reader::Person).unwrap_err();
        assert!(wrong.to_string().contains("'nodez' is no section"));
    }
}
