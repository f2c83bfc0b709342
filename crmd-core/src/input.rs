//! Everything that can happen to a node's core, as plain data.

use crate::{
    command::{ExecId, ProposalId, RunId},
    entry::{Entry, Grade},
    ids::{Index, NodeName, RaftId, Term},
    message::Message,
    request::Request,
};
use scheduler::Decision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Identifies a local caller that waits for a reply.
pub type ClientId = u64;

/// One event, given to [`crate::Node::handle`] with the time it happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A deadline given by [`crate::Node::poll_timeout`] has come (or any other wake-up).
    Tick,
    /// A message of another member, whose identity its certificate proved.
    Received {
        /// Sender.
        from: NodeName,
        /// What it says.
        message: Message,
    },
    /// Every connection to the peer was closed or refused *by the peer's side* (FIN, reset, refusal).
    /// A local time-out is never reported this way (protocol.md, 3).
    LinkClosed {
        /// Whose connections ended.
        peer: NodeName,
    },
    /// Answer to [`crate::command::Command::ProbeHost`].
    HostProbed {
        /// Who was asked.
        peer: NodeName,
        /// What its ports answered.
        finding: HostFinding,
    },
    /// Raft's view changed: who leads, in which term.
    Leader {
        /// Current term.
        term: Term,
        /// Leader, if known.
        leader: Option<NodeName>,
    },
    /// This node leads in `term` and has applied everything up to the first entry of its own term.
    LeaderReady {
        /// Its term.
        term: Term,
    },
    /// The Raft membership changed (already committed).
    RaftMembers {
        /// Who votes: one set, or the old and the new one while the change is under way, when a
        /// majority of each is needed.
        voters: Vec<BTreeSet<RaftId>>,
        /// Who only follows.
        learners: BTreeSet<RaftId>,
    },
    /// The disk under the log: what is wrong with it, or that it is in order again.
    Storage {
        /// For people; nothing: in order.
        trouble: Option<String>,
    },
    /// A committed entry, in log order, each exactly once for a given store.
    Applied {
        /// Its index.
        index: Index,
        /// What it says.
        entry: Entry,
    },
    /// A snapshot of the replicated state was installed from the leader; it replaces what was applied so far.
    SnapshotInstalled {
        /// What [`crate::Node::snapshot`] gave on the leader.
        snapshot: Vec<u8>,
        /// Index of the last entry in it.
        index: Index,
    },
    /// Outcome of [`crate::command::Command::Propose`]; after `Applied` of the same entry if it was committed.
    Proposed {
        /// Which proposal.
        proposal: ProposalId,
        /// Where it stands in the log, or why it may not be there. After an error it may still commit later.
        result: Result<Index, ProposeError>,
    },
    /// Outcome of [`crate::command::Command::Schedule`].
    Scheduled {
        /// Which run.
        run: RunId,
        /// What was decided.
        decision: Box<Decision>,
    },
    /// An agent's action has ended.
    AgentDone {
        /// Which execution.
        exec: ExecId,
        /// How.
        outcome: AgentOutcome,
    },
    /// Outcome of [`crate::command::Command::Fence`].
    FenceDone {
        /// The committed intent.
        intent: String,
        /// How it went.
        outcome: FenceOutcome,
    },
    /// A local caller asks for something.
    Client {
        /// Where the reply goes.
        client: ClientId,
        /// What it asks.
        request: Request,
    },
    /// The local caller went away; nothing it asked for is undone.
    ClientGone {
        /// Who.
        client: ClientId,
    },
    /// Result of the load measurement of this host, as a share of its cores (1.0: all busy).
    Load(f64),
}

/// What the other processes of a host answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostFinding {
    /// crmd itself accepts connections again.
    DaemonBack,
    /// stonithd or the supervisor answers: the host lives, only crmd is gone.
    HostLives,
    /// The kernel refuses on every port: nothing of Systole runs there any more.
    AllRefused,
    /// No answer at all within the probe's deadline.
    Silent,
}

/// Why a proposal was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposeError {
    /// This node does not lead; the leader if known.
    NotLeader(Option<NodeName>),
    /// Storage or consensus trouble, in words.
    Failed(String),
}

/// How an agent's action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentOutcome {
    /// OCF exit code as the agent gave it; meaningless unless `status` is `Done`.
    pub rc: i32,
    /// Whether it ran to its end.
    pub status: ExecStatus,
    /// What to tell people: the agent's `ocf_exit_reason`, or what went wrong running it.
    pub reason: String,
    /// When it started, seconds since the epoch.
    pub started_wall_s: i64,
    /// How long it ran, in milliseconds.
    pub exec_ms: u64,
    /// How long it waited before it could start, in milliseconds.
    pub queue_ms: u64,
}

/// The field's execution states (`op-status` of an `lrm_rsc_op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExecStatus {
    /// Under way (-1).
    Pending,
    /// Ran to its end (0).
    Done,
    /// Ended on request (1).
    Cancelled,
    /// Ended at its deadline (2).
    TimedOut,
    /// The action is not supported (3).
    NotSupported,
    /// Could not be run (4).
    Error,
    /// The agent is not installed (7).
    NotInstalled,
}

/// How a fencing operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FenceOutcome {
    /// The target is proven to be down to the grade's degree.
    Confirmed {
        /// How sure.
        grade: Grade,
        /// Device that did it.
        device: String,
        /// Node whose fencing daemon ran the device.
        by: NodeName,
    },
    /// Nothing is proven.
    Failed {
        /// In words, with what to do next.
        reason: String,
    },
}
