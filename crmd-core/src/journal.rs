//! What a daemon must find again after `kill -9`: kept in the run directory, which a reboot empties.

use crate::{
    command::{AgentAction, ExecId},
    ids::{Life, Term},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the journal. A restarted daemon hands all of them to [`crate::Node::recover`], in order,
/// after its shell has waited for or ended every execution that began and did not finish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum JournalRecord {
    /// Heads a journal; one of another life is ignored.
    Life(Life),
    /// An execution is about to begin.
    Began {
        /// Which.
        exec: ExecId,
        /// What.
        action: AgentAction,
        /// The coordinator's transition key (`action:transition:target-rc:uuid`).
        transition_key: String,
        /// The exit code that is no failure.
        target_rc: i32,
        /// Attributes of the history entry that only the coordinator knew.
        record: BTreeMap<String, String>,
    },
    /// An execution ended, and this is what it changed in the node's status.
    Ended {
        /// Which.
        exec: ExecId,
    },
    /// The node's own status changed: one `<lrm_resource>` (whole) or none left, in XML.
    Resource {
        /// Resource (instance) name.
        resource: String,
        /// The element, or nothing where its history was erased.
        xml: Option<String>,
    },
    /// A transient attribute changed.
    Attribute {
        /// Its name.
        name: String,
        /// New value; nothing: removed.
        value: Option<String>,
    },
    /// Highest coordinator's term obeyed.
    Term(Term),
}
