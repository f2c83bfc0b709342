//! Names, lives, terms: what identifies a thing in messages, orders and the log.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// A member's name: the `uname` of its `<node>` and the name in its certificate.
pub type NodeName = Arc<str>;

/// Identity of a member in the Raft log. Never used twice (protocol.md, 17).
pub type RaftId = u64;

/// Raft term of a coordinator; its orders carry it and executors refuse older ones.
pub type Term = u64;

/// Index in the Raft log.
pub type Index = u64;

/// One boot of a host's kernel. Ordered: a later boot of the same node has the greater number.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Life {
    /// Durable counter of the node, one more at each boot.
    pub number: u64,
    /// Kernel boot id and a random value kept under the run directory: tells a clone from the original.
    pub id: String,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// One run of a daemon within a life; counts up from 1.
pub type Incarnation = u64;

/// Orders the statuses that one node publishes (protocol.md, 2).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Life of the owner.
    pub life: Life,
    /// Run of its daemon.
    pub incarnation: Incarnation,
    /// Number of changes published in this incarnation.
    pub sequence: u64,
}

/// Makes a retry of the same request recognisable (protocol.md, 11).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// Where the request entered the cluster.
    pub node: String,
    /// Life and incarnation of that daemon and its counter, or a caller's own unique text.
    pub unique: String,
}

/// A monotonic clock that counts through suspend (`CLOCK_BOOTTIME`) and the calendar, passed in with every input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds of the monotonic clock.
    pub mono_ms: u64,
    /// Seconds since the epoch.
    pub wall_s: i64,
}
