//! The types openraft is told to use. Leader ids follow standard Raft (`leader_id_std`): at most one
//! leader in a term, so that a term alone tells which coordinator is the newer one (protocol.md, 7).

use crate::state_machine::StateMachine;
use crmd_core::{
    entry::{Entry as FactEntry, Member, Ports},
    ids::RaftId,
};
use openraft::{impls::leader_id_std, type_config::alias};
use serde::{Deserialize, Serialize};
use std::fmt;

openraft::declare_raft_types!(
    /// How openraft is used here.
    pub(crate) TypeConfig:
        D = Fact,
        R = (),
        NodeId = RaftId,
        Node = PeerNode,
        LeaderId = leader_id_std::LeaderId<Self::Term, Self::NodeId>,
);

/// One fact of the log, for openraft's sake (which wants it printable).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Fact(pub FactEntry);

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What the Raft membership says of a member: how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerNode {
    /// Its name, as in its certificate.
    pub(crate) node: String,
    /// One address for each link, without port.
    pub(crate) addresses: Vec<String>,
    /// Its ports.
    pub(crate) ports: Ports,
}

impl From<&Member> for PeerNode {
    fn from(member: &Member) -> Self {
        Self {
            node: member.node.to_string(),
            addresses: member.addresses.clone(),
            ports: member.ports,
        }
    }
}

/// The Raft instance of this daemon.
pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
/// An entry of the log.
pub(crate) type LogEntry = alias::EntryOf<TypeConfig>;
/// Position in the log.
pub(crate) type LogId = alias::LogIdOf<TypeConfig>;
/// A vote.
pub(crate) type Vote = alias::VoteOf<TypeConfig>;
/// Members of Raft, with the position in the log where they were set.
pub(crate) type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub(crate) type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
/// A snapshot: the bytes are [`crmd_core::Node::snapshot`]'s.
pub(crate) type Snapshot = alias::SnapshotOf<TypeConfig, Vec<u8>>;
