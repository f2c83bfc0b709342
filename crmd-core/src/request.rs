//! What a local caller (tool, stonithd, shell of the daemon) can ask of a core, and the answers.

use crate::{
    entry::{Member, Ports},
    ids::NodeName,
};
use serde::{Deserialize, Serialize};

/// A request. It is carried to the coordinator if need be; the reply comes when it has taken effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Change the configuration.
    Cib(CibChange),
    /// Set or delete a transient attribute of a node (fail counts and promotion scores among them).
    Attribute {
        /// Whose.
        node: NodeName,
        /// Name.
        name: String,
        /// New value; `name++` and `name+=N` forms are understood as in the field; nothing deletes.
        value: Option<String>,
    },
    /// Erase the history (and fail counts) of a resource so that it is probed again.
    Cleanup {
        /// Resource id, or all.
        resource: Option<String>,
        /// Node, or all.
        node: Option<NodeName>,
        /// Only where something failed (`--cleanup`), or always (`--refresh`).
        failed_only: bool,
    },
    /// Fence (`reboot`, `off`) or switch on a node.
    Fence {
        /// Whom.
        target: NodeName,
        /// Action.
        action: String,
        /// All in all.
        timeout_ms: u64,
        /// Who asks.
        origin: String,
    },
    /// A person declares the node to be down.
    ConfirmDown {
        /// Whom.
        target: NodeName,
        /// Who says so.
        origin: String,
    },
    /// What is known of past and running fencing.
    FenceHistory {
        /// Of one node, or all.
        target: Option<NodeName>,
    },
    /// Stop everything here, tell the others, and end the daemon.
    Leave,
    /// Keep the digest of a new join token.
    MakeToken {
        /// SHA-256 of the secret, hexadecimal.
        digest: String,
        /// How long it is good for.
        valid_s: u64,
    },
    /// Use up a token and make the node a member (asked by the join service).
    Join {
        /// SHA-256 of the secret it showed, hexadecimal.
        digest: String,
        /// Its name.
        node: NodeName,
        /// One address for each link.
        addresses: Vec<String>,
        /// Its ports.
        #[serde(default)]
        ports: Ports,
    },
    /// Remove a node for good.
    RemoveMember {
        /// Whom.
        node: NodeName,
    },
    /// Answer when nothing is left to do: the coordinator's last transition is complete.
    WaitIdle,
}

/// A change of the configuration as `cibadmin` knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CibChange {
    /// `create`, `modify`, `replace`, `delete`, `delete-all`, `patch`, `bump`, `erase`, `upgrade`.
    pub action: String,
    /// Section (`resources`, `constraints`, …), or nothing.
    pub section: Option<String>,
    /// Instead of a section.
    pub xpath: Option<String>,
    /// The element in question, in XML.
    pub xml: String,
    /// `--allow-create` of modify.
    pub allow_create: bool,
    /// User, program and node, for the log.
    pub origin: String,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Response {
    /// It took effect.
    Done,
    /// Configuration change committed; the document's versions after it.
    Cib {
        /// `(admin_epoch, epoch, num_updates)`.
        version: (u32, u32, u32),
    },
    /// The node is (now) a member.
    Joined {
        /// It.
        member: Member,
        /// All of them.
        members: Vec<Member>,
    },
    /// Fencing went well.
    Fenced {
        /// How sure.
        grade: crate::entry::Grade,
        /// Device.
        device: String,
        /// Node that did it.
        by: Option<NodeName>,
    },
    /// Fencing history, newest first.
    FenceHistory(Vec<crate::state::FenceRecord>),
    /// Nothing changed.
    Refused(Refusal),
}

/// Why nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people: file, line, id where known, reason, what would be right.
    pub text: String,
}

/// Kinds of refusal, in the tools' exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// No such element, node or resource (`ENXIO`, CRM_EX_NOSUCH).
    NotFound,
    /// It is there already (`EEXIST`).
    Exists,
    /// The document would be invalid (CRM_EX_CONFIG, 78).
    Invalid,
    /// The patch does not fit the present version (CRM_EX_OLD).
    OldVersion,
    /// No quorum or no leader: try again (CRM_EX_QUORUM, `EAGAIN`).
    NoQuorum,
    /// It took too long; it may still happen (CRM_EX_TIMEOUT, 124).
    TimedOut,
    /// Fencing failed.
    Fencing,
    /// The token is wrong, used or expired.
    Token,
    /// The coordinator's disk takes nothing (`ENOSPC`, CRM_EX_CANTCREAT).
    Storage,
    /// Anything else.
    Other,
}
