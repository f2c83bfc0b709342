//! What the log says: facts that must not be lost, already evaluated (protocol.md, 11).

use crate::ids::{Life, NodeName, RaftId, RequestId};
use serde::{Deserialize, Serialize};

/// One committed fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// Nothing (a leader's first entry).
    Blank,
    /// Changes of the configuration, as one evaluated patch.
    Cib {
        /// Whose requests; a retry is answered without being done twice.
        requests: Vec<RequestId>,
        /// The patch in XML (Pacemaker's `<diff format="2">`).
        patch: String,
        /// Digest of the configuration after it; who computes another is quarantined.
        digest: String,
        /// Who, from where, for the log: user, program, node.
        origin: String,
    },
    /// A node was made a member (or its addresses changed).
    MemberAdded(Member),
    /// A node was removed for good.
    MemberRemoved {
        /// Whom.
        node: NodeName,
    },
    /// The node is admitted in this life: resources may be placed on it.
    Admitted {
        /// Whom.
        node: NodeName,
        /// Its present boot.
        life: Life,
    },
    /// The node left in order, everything stopped (or recorded as detached).
    Left {
        /// Whom.
        node: NodeName,
        /// In which life.
        life: Life,
        /// Resources left running there on purpose (maintenance); they start nowhere else.
        detached: Vec<String>,
    },
    /// Fencing is about to be tried (protocol.md, 23).
    FenceIntent {
        /// Unique.
        intent: String,
        /// Whom.
        target: NodeName,
        /// Last life to end.
        life_number: u64,
        /// `reboot`, `off`, `on`.
        action: String,
        /// When it counts as failed, seconds since the epoch.
        deadline_s: i64,
        /// Who asked.
        origin: String,
    },
    /// How it ended. With a confirmation that frees resources this is also the tombstone of the
    /// target's status up to `life_number` (protocol.md, 2 and 9).
    FenceResult {
        /// Which intent (or a fresh id for a human's word).
        intent: String,
        /// Whom.
        target: NodeName,
        /// Lives up to this one are proven over.
        life_number: u64,
        /// The grade, or what failed.
        result: Result<Grade, String>,
        /// Device that did it.
        device: String,
        /// Node whose fencing daemon ran it.
        by: Option<NodeName>,
        /// Seconds since the epoch.
        at_s: i64,
    },
    /// A join token was made: only its digest is kept.
    TokenMade {
        /// SHA-256 of the secret, hexadecimal.
        digest: String,
        /// Seconds since the epoch.
        expires_s: i64,
    },
    /// A join token was used up.
    TokenUsed {
        /// SHA-256 of the secret, hexadecimal.
        digest: String,
        /// By which node.
        node: NodeName,
    },
}

/// A member as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Name.
    pub node: NodeName,
    /// Identity in the log, never reused.
    pub raft_id: RaftId,
    /// One address for each link, without port.
    pub addresses: Vec<String>,
    /// Ports of crmd, stonithd, join and supervisor there.
    pub ports: Ports,
}

/// TCP ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// crmd, mutual TLS.
    pub crmd: u16,
    /// stonithd, mutual TLS.
    pub stonithd: u16,
    /// Joining nodes.
    pub join: u16,
    /// The supervisor's witness port.
    pub witness: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            crmd: 5560,
            stonithd: 5561,
            join: 5562,
            witness: 5563,
        }
    }
}

/// How sure it is that a node is down; what each may free is in protocol.md, 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Switched off, and the device said "off" when asked afterwards.
    VerifiedOff,
    /// The node came back with a new life.
    NewLife,
    /// The device accepted the command, no more; `Trusted` if it is declared trusted.
    Acknowledged,
    /// As before, by a device that the configuration declares trusted.
    AcknowledgedTrusted,
    /// The node's watchdog must have reset it.
    WatchdogElapsed,
    /// The node was asked to (ssh).
    Asked,
    /// A person said so.
    Human,
}

impl Grade {
    /// Whether resources may recover on it (protocol.md, 24). It was committed, so there is a quorum.
    pub fn frees_resources(self) -> bool {
        match self {
            Self::VerifiedOff
            | Self::NewLife
            | Self::AcknowledgedTrusted
            | Self::WatchdogElapsed
            | Self::Human => true,
            Self::Acknowledged | Self::Asked => false,
        }
    }
}
