//! What a node shows of itself to people and tests.

use crate::ids::{Index, NodeName, Term};
use serde::{Deserialize, Serialize};

/// The daemon's state at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// This node.
    pub node: String,
    /// Program version.
    pub version: String,
    /// Coordinator it obeys.
    pub coordinator: Option<NodeName>,
    /// Term.
    pub term: Term,
    /// Whether it holds a lease from a quorum.
    pub quorate: bool,
    /// Last applied index of the log.
    pub applied: Index,
    /// Digest of the configuration.
    pub digest: String,
    /// Coordinator only: the last transition is complete and nothing is to be done.
    pub idle: bool,
    /// Everybody.
    pub members: Vec<MemberView>,
}

/// One member as seen from a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Name.
    pub node: NodeName,
    /// `joining`, `online`, `daemon-down`, `lost`, `off`, `left`.
    pub state: String,
    /// Number of its present (or last) life.
    pub life: u64,
    /// Run of its daemon.
    pub incarnation: u64,
    /// Its disk takes nothing any more.
    #[serde(default)]
    pub storage_failing: bool,
    /// Milliseconds since it was last heard.
    pub silent_ms: u64,
    /// One address for each link.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Its ports.
    #[serde(default)]
    pub ports: crate::entry::Ports,
}
