//! Everything a core asks its shell to do, as plain data, in the order in which it must happen.

use crate::{
    alerts::Call,
    entry::Entry,
    ids::{NodeName, RaftId, Term},
    input::ClientId,
    journal::JournalRecord,
    message::Message,
    request::Response,
};
use cib::Element;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Identifies one execution of an agent's action on this node, unique within its life.
pub type ExecId = u64;
/// Identifies a proposal of this incarnation.
pub type ProposalId = u64;
/// Identifies a run of the scheduler.
pub type RunId = u64;

/// One effect. The shell carries them out in the order given; it may work on several at once only where
/// the order cannot be seen (sending, running agents).
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Send to a member. Beats go over every link, the rest over one that works, in order.
    Send {
        /// Receiver.
        to: NodeName,
        /// What.
        message: Message,
    },
    /// Find out what still answers on the peer's host (crmd, stonithd, supervisor), within `deadline_ms`.
    ProbeHost {
        /// Whom.
        peer: NodeName,
        /// How long at most.
        deadline_ms: u64,
    },
    /// Append to the Raft log (only sent while leading).
    Propose {
        /// For the answer.
        proposal: ProposalId,
        /// What.
        entry: Entry,
    },
    /// Ask Raft for an election now: the leader is known to be gone.
    Campaign,
    /// Hand the leadership over.
    TransferLeadership {
        /// To whom.
        to: RaftId,
    },
    /// Bring the Raft membership to this, adding learners first. The members' addresses are in the state.
    ChangeVoters {
        /// Who shall vote.
        voters: BTreeSet<RaftId>,
        /// Who shall only follow.
        learners: BTreeSet<RaftId>,
    },
    /// Append to the journal in the run directory *before* the next command.
    Journal(JournalRecord),
    /// Replace the whole journal by these records (it had grown long): written beside, fsynced, renamed.
    JournalRewrite(Vec<JournalRecord>),
    /// Run an agent's action. `record` is appended to the journal before anything is executed.
    RunAgent {
        /// For the answer.
        exec: ExecId,
        /// Journal record that makes the execution known to a later incarnation.
        record: JournalRecord,
        /// What to run.
        action: AgentAction,
    },
    /// End a running action with its whole process group; `AgentDone` follows.
    KillAgent {
        /// Which.
        exec: ExecId,
    },
    /// Run the scheduler on this document.
    Schedule {
        /// For the answer.
        run: RunId,
        /// Configuration and status.
        cib: Element,
        /// The moment it shall decide for, seconds since the epoch.
        now_s: i64,
    },
    /// Carry out fencing whose intent is committed.
    Fence(FenceOrder),
    /// Answer a local caller.
    Reply {
        /// Whom.
        client: ClientId,
        /// What.
        response: Response,
    },
    /// The document has changed: wake watchers, write `cib.xml` when the configuration did.
    Changed {
        /// Configuration (and not only status).
        configuration: bool,
    },
    /// Tell alert agents; nobody waits for them.
    Alert(Vec<Call>),
    /// Leave the daemon: everything is stopped and committed.
    Exit {
        /// Why, for the log.
        reason: String,
    },
    /// Tell the operator, one line.
    Log {
        /// How urgent.
        severity: Severity,
        /// Who, what, why and what next.
        text: String,
    },
}

/// What to run, self-contained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAction {
    /// Resource (instance) name, as in `OCF_RESOURCE_INSTANCE`.
    pub resource: String,
    /// `ocf`, `systemd`, `lsb`, `service`.
    pub class: String,
    /// OCF provider.
    pub provider: Option<String>,
    /// Agent.
    pub kind: String,
    /// `start`, `stop`, `monitor`, `promote`, `demote`, `notify`, `migrate_to`, `migrate_from`, `reload-agent`, …
    pub operation: String,
    /// 0 for one-off actions.
    pub interval_ms: u64,
    /// Deadline.
    pub timeout_ms: u64,
    /// Instance parameters and the `CRM_meta_*` attributes, as in the transition graph.
    pub parameters: BTreeMap<String, String>,
}

/// Fencing to carry out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceOrder {
    /// Committed intent.
    pub intent: String,
    /// Whom.
    pub target: NodeName,
    /// Last life to end; a newer one must not be shot.
    pub life_number: u64,
    /// `reboot`, `off`, `on`.
    pub action: String,
    /// All in all.
    pub timeout_ms: u64,
    /// Before the first shot (`priority-fencing-delay` and the like).
    pub delay_ms: u64,
    /// Coordinator's term.
    pub term: Term,
    /// Who asked, for the history.
    pub origin: String,
}

/// Urgency of a line for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// For developers.
    Debug,
    /// A decision.
    Info,
    /// Something to look at.
    Warning,
    /// Something is wrong.
    Error,
}
