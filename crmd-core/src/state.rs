//! The replicated state: what the log adds up to. A function of the entries, nothing else.

use crate::{entry::Grade, ids::NodeName};
use serde::{Deserialize, Serialize};

/// One fencing operation, past or running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FenceRecord {
    /// Its intent.
    pub intent: String,
    /// Whom.
    pub target: NodeName,
    /// `reboot`, `off`, `on`.
    pub action: String,
    /// Who asked.
    pub origin: String,
    /// Nothing while under way.
    pub result: Option<Result<Grade, String>>,
    /// Device that did it.
    pub device: String,
    /// Node whose fencing daemon ran it.
    pub by: Option<NodeName>,
    /// Seconds since the epoch: of the end, or of the intent while under way.
    pub at_s: i64,
}
