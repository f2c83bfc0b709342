//! Names of elements and attributes: those known from the CIB are two bytes, others are shared text.
//!
//! A document of a large cluster holds millions of names from a vocabulary of a few hundred words.

use std::{fmt, sync::Arc, sync::LazyLock};

/// A name, cheap to clone and to compare.
#[derive(Clone)]
pub(crate) enum Name {
    /// Position in [`KNOWN`].
    Known(u16),
    /// Anything else.
    Other(Arc<str>),
}

impl Name {
    pub(crate) fn new(text: &str) -> Self {
        match TABLE.find(text) {
            Some(at) => Self::Known(at),
            None => Self::Other(text.into()),
        }
    }

    /// The word it is, if it is one.
    #[inline]
    pub(crate) fn word(&self) -> Option<Word> {
        match self {
            Self::Known(at) => Some(Word(*at)),
            Self::Other(_) => None,
        }
    }

    #[inline]
    pub(crate) fn is(&self, word: Word) -> bool {
        matches!(self, Self::Known(at) if *at == word.0)
    }

    #[inline]
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(at) => KNOWN.get(usize::from(*at)).copied().unwrap_or_default(),
            Self::Other(text) => text,
        }
    }
}

/// A word of the CIB's vocabulary, found when the program is compiled: elements and attributes are sought by it
/// without comparing text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u16);

impl Word {
    /// The word `text`. Meant for constants.
    ///
    /// # Panics
    /// It is not in the vocabulary; of a constant the compiler says so.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        let mut at = 0;
        while at < KNOWN.len() && !same(KNOWN[at], text) {
            at += 1;
        }
        assert!(at < KNOWN.len(), "not a word of the CIB's vocabulary");
        Self(at as u16)
    }
}

/// A set of words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Words([u64; KNOWN.len().div_ceil(64)]);

impl Words {
    /// Whether it was not in the set yet.
    pub(crate) fn insert(&mut self, word: Word) -> bool {
        let bit = 1 << (word.0 % 64);
        let Some(part) = self.0.get_mut(usize::from(word.0 / 64)) else {
            return true;
        };
        let is_new = *part & bit == 0;
        *part |= bit;
        is_new
    }
}

/// Equality of texts for constants.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a == b,
            (Self::Other(a), Self::Other(b)) => Arc::ptr_eq(a, b) || a == b,
            // A known word is never stored as another one.
            _ => false,
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Slots of the hash table; far more than words, so that a search ends at once.
const SLOTS: usize = 2048;
const FREE: u16 = u16::MAX;

/// Open addressing over [`KNOWN`].
struct Table {
    slots: [u16; SLOTS],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut slots = [FREE; SLOTS];
    for (at, word) in (0u16..).zip(KNOWN) {
        let mut slot = hash(word);
        while slots[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = at;
    }
    Table { slots }
});

impl Table {
    #[inline]
    fn find(&self, text: &str) -> Option<u16> {
        let mut slot = hash(text);
        loop {
            let at = *self.slots.get(slot)?;
            match KNOWN.get(usize::from(at)) {
                Some(word) if *word == text => return Some(at),
                Some(_) => slot = (slot + 1) % SLOTS,
                None => return None,
            }
        }
    }
}

/// Of the length and a few places only: it is asked for every name of a document, and words seldom agree in these.
#[inline]
fn hash(text: &str) -> usize {
    let bytes = text.as_bytes();
    let len = bytes.len();
    let at = |place: usize| u32::from(bytes.get(place).copied().unwrap_or_default());
    let ends = at(0) | at(len / 2) << 8 | at(len.wrapping_sub(1)) << 16 | at(len / 4) << 24;
    let mixed = (ends ^ (len as u32).wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
    (mixed ^ (mixed >> 15)) as usize % SLOTS
}

/// Words of the CIB, of patches and of tool output; each once.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "acl_group", "acl_permission", "acl_role", "acl_target", "acls", "action", "add-host",
    "admin_epoch", "alert", "alerts", "attribute", "boolean-op", "bundle", "call-id", "change",
    "change-attr", "change-list", "change-result", "cib", "cib-last-written", "class",
    "clear_shutdown", "clone", "cluster_property_set", "configuration", "constraints", "container",
    "control-port", "crm-debug-origin", "crm_config", "crm_feature_set", "crmd", "crmd-state",
    "date_expression", "date_spec", "dc-uuid", "days", "description", "devices", "diff", "docker",
    "duration", "enabled", "end", "epoch", "exec-time", "execution-date", "exit-reason",
    "expected", "expected-votes", "expression", "fencing-level", "fencing-topology", "first",
    "first-action", "format", "granted", "group", "have-quorum", "host-interface", "host-netmask",
    "hours", "id", "id-ref", "image", "in_ccm", "index", "influence", "instance_attributes",
    "internal-port", "interval", "ip-range-start", "join", "kind", "last-granted",
    "last-rc-change", "last-run", "loss-policy", "lrm", "lrm_resource", "lrm_resources",
    "lrm_rsc_op", "master", "master-max", "masters", "meta_attributes", "migrate_source",
    "migrate_target", "minutes", "months", "monthdays", "move", "name", "network", "no-quorum-panic",
    "node", "node-attribute", "node_fenced", "node_state", "nodes", "num_updates", "nvpair",
    "obj_ref", "object-type", "on-fail", "on_node", "op", "op-digest", "op-force-restart",
    "op-restart-digest", "op-secure-digest", "op-secure-params", "op-status", "op_defaults",
    "op_expression", "operation", "operation_key", "operations", "options", "original-value",
    "path", "podman", "port", "port-mapping", "position", "primitive", "priority", "promoted-max",
    "provider", "queue-time", "range", "rc-code", "recipient", "record-pending", "reference",
    "remote-clear-port", "remote-tls-port", "remote_node", "replicas", "replicas-per-host",
    "require-all", "resource-discovery", "resource_ref", "resource_set", "resources", "rkt",
    "role", "rsc", "rsc-pattern", "rsc-role", "rsc_colocation", "rsc_defaults", "rsc_expression",
    "rsc_location", "rsc_order", "rsc_ticket", "rule", "run-command", "schedule", "scope", "score",
    "score-attribute", "score-attribute-mangle", "seconds", "select", "select_attributes",
    "select_fencing", "select_nodes", "select_resources", "sequential", "shutdown", "source",
    "source-dir", "source-dir-root", "standby", "start", "start-delay", "status", "storage",
    "storage-mapping", "symmetrical", "tag", "tags", "target", "target-attribute", "target-dir",
    "target-pattern", "target-value", "template", "then", "then-action", "ticket", "ticket_state",
    "tickets", "timeout", "transient_attributes", "transition-key", "transition-magic", "type",
    "uname", "update-client", "update-origin", "update-user", "utilization", "validate-with",
    "value", "value-source", "version", "weekdays", "weeks", "weekyears", "with-rsc",
    "with-rsc-role", "xpath", "years", "yearsdays",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_word_is_found_and_there_only_once() {
        for (at, word) in (0u16..).zip(KNOWN) {
            assert_eq!(TABLE.find(word), Some(at), "{word}");
        }
    }

    #[test]
    fn words_are_found_in_constants() {
        const RC_CODE: Word = Word::new("rc-code");
        assert!(Name::new("rc-code").is(RC_CODE));
        assert!(!Name::new("rc").is(RC_CODE));
        assert_eq!(Name::new("rc-code").word(), Some(RC_CODE));
        assert_eq!(Name::new("x").word(), None);
    }

    #[test]
    fn others_keep_their_text() {
        for word in ["", "x", "Primitive", "primitive ", "ääh"] {
            assert!(matches!(Name::new(word), Name::Other(_)));
            assert_eq!(Name::new(word).as_str(), word);
            assert_eq!(Name::new(word), Name::new(word));
        }
        assert_ne!(Name::new("primitive"), Name::new("Primitive"));
    }

    #[test]
    fn a_name_is_two_words() {
        assert_eq!(size_of::<Name>(), 16);
    }
}
