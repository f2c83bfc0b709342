//! What the cores of two members say to one another.

use crate::{
    command::AgentAction,
    ids::{Incarnation, Life, NodeName, RequestId, Stamp, Term},
    journal::JournalRecord,
    request::{Request, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// "I live": every heartbeat interval, over every link.
    Beat(Beat),
    /// What changed in the sender's own status.
    StatusDelta {
        /// Stamp before the changes; a receiver that holds another asks with `StatusPull`.
        from: Stamp,
        /// Stamp after them.
        to: Stamp,
        /// The changes (`Resource` and `Attribute` records).
        changes: Vec<JournalRecord>,
    },
    /// The sender's own status, whole.
    StatusFull(NodeStatus),
    /// Send me your whole status.
    StatusPull,
    /// A coordinator presents itself (protocol.md, 8), or gave orders up: adopt the term, drop orders
    /// not begun, answer.
    Ask {
        /// Its term.
        term: Term,
        /// Its next order's number: of the earlier ones, those that come after this are void.
        next_order: u64,
    },
    /// Answer to `Ask`.
    Answer {
        /// The term asked with.
        term: Term,
        /// The whole status; operations under way are in it as pending.
        status: NodeStatus,
    },
    /// The coordinator orders something.
    Order {
        /// Its term; older ones than the highest seen are refused.
        term: Term,
        /// Life of the node it is meant for.
        life: Life,
        /// What.
        order: Order,
    },
    /// An order was not taken.
    OrderRefused {
        /// Term of the refused order.
        term: Term,
        /// Its number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// An order has arrived and will be carried out (or already was); until then it is sent again.
    OrderTaken {
        /// Its term.
        term: Term,
        /// Its number.
        number: u64,
    },
    /// An order other than `Run` has been carried out; `Run` reports through the history.
    OrderDone {
        /// Its term.
        term: Term,
        /// Its number.
        number: u64,
        /// The executor's status then: it counts once the coordinator holds this or a later one.
        stamp: Stamp,
    },
    /// A request carried to the coordinator; the same one is sent again to a new coordinator.
    Forward {
        /// For the answer, chosen by the sender.
        id: u64,
        /// Makes the retry recognisable.
        request_id: RequestId,
        /// It.
        request: Request,
    },
    /// Answer to `Forward`.
    ForwardReply {
        /// As in the question.
        id: u64,
        /// It.
        response: Response,
    },
    /// The sender's daemon goes and comes back (planned restart) within this many milliseconds.
    Restarting {
        /// Deadline.
        back_in_ms: u64,
    },
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Highest term the sender obeys.
    pub term: Term,
    /// Whom it takes for the coordinator.
    pub coordinator: Option<NodeName>,
    /// Its life and incarnation and the sequence of its status.
    pub stamp: Stamp,
    /// Whom it hears (protocol.md, 4).
    pub heard: BTreeSet<NodeName>,
    /// Sender's monotonic clock at sending.
    pub sent_ms: u64,
    /// The `sent_ms` of the receiver's last beat that the sender has got.
    pub echo_ms: Option<u64>,
    /// From a coordinator: for how long from now its quorum is assured; a member's lease lasts
    /// from the *sending* of the beat that `echo_ms` names (protocol.md, 25).
    pub lease_ms: u64,
    /// Load of the host, as a share of its cores.
    pub load: f64,
    /// Its disk takes nothing any more: it should not lead (protocol.md, 5).
    #[serde(default)]
    pub storage_failing: bool,
}

/// What a node publishes of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Order among the statuses of this node.
    pub stamp: Stamp,
    /// `<lrm_resource>` elements in XML, by resource name.
    pub resources: BTreeMap<String, String>,
    /// Transient attributes.
    pub attributes: BTreeMap<String, String>,
}

/// What an executor is told to do (protocol.md, 13: self-contained).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Counts up within a term.
    pub number: u64,
    /// `action:transition:target-rc:uuid`.
    pub transition_key: String,
    /// What.
    pub kind: OrderKind,
}

/// Kinds of orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OrderKind {
    /// Run an operation and record it; a recurring one goes on until cancelled.
    Run {
        /// What, with parameters and deadline.
        action: AgentAction,
        /// The exit code that is no failure.
        target_rc: i32,
        /// Attributes of the history entry that only the coordinator knows (digests and the like).
        record: BTreeMap<String, String>,
    },
    /// Stop a recurring operation.
    CancelRecurring {
        /// Resource.
        resource: String,
        /// Operation.
        operation: String,
        /// Its interval.
        interval_ms: u64,
    },
    /// Forget the history of a resource.
    Forget {
        /// Resource.
        resource: String,
    },
    /// Set or delete a transient attribute of this node.
    SetAttribute {
        /// Name.
        name: String,
        /// New value; nothing deletes.
        value: Option<String>,
    },
    /// Stop everything, then leave (the coordinator has moved what can be moved).
    Leave,
}

/// Who a peer is at present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerIdentity {
    /// Boot.
    pub life: Life,
    /// Daemon run.
    pub incarnation: Incarnation,
}
