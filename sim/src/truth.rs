//! What really happens, whatever the nodes believe: fed to every checker.

use crmd_core::ids::{Life, NodeName, Term};

/// A place where a resource can be: a node in one of its lives.
pub type Place = (NodeName, u64);

/// One fact.
#[derive(Clone, Debug)]
pub enum Truth {
    /// An agent has begun.
    Began {
        /// Where.
        place: Place,
        /// Which resource.
        resource: String,
        /// `start`, `stop`, …
        operation: String,
    },
    /// An agent has ended, and its node's daemon was there to hear it.
    Ended {
        /// Where.
        place: Place,
        /// Which resource.
        resource: String,
        /// `start`, `stop`, …
        operation: String,
        /// OCF exit code; nothing if it did not run to its end or no daemon was there to hear it.
        rc: Option<i32>,
    },
    /// The resource is now active there.
    Active {
        /// Where.
        place: Place,
        /// Which.
        resource: String,
    },
    /// The resource is not active there any more.
    Inactive {
        /// Where.
        place: Place,
        /// Which.
        resource: String,
    },
    /// Every process of this life is gone.
    Down(Place),
    /// A fencing device has cut a living node off.
    Shot(Place),
    /// The coordinator was told that lives of the node up to this one are over, by a device that made sure.
    ProvenDown(Place),
    /// A daemon of this life runs: earlier lives are over for everybody to see.
    Lives(Place),
    /// An executor took an order.
    OrderTaken {
        /// The executor and its life.
        by: (NodeName, Life),
        /// Run of its daemon.
        incarnation: u64,
        /// Who gave it.
        from: NodeName,
        /// Term of it.
        term: Term,
    },
    /// A client asked for a value (or its removal) to be written.
    Write {
        /// Number of the write.
        write: u64,
        /// What is written.
        key: String,
        /// The value.
        value: Option<String>,
    },
    /// It was acknowledged.
    Acknowledged {
        /// Number of the write.
        write: u64,
    },
    /// It was refused in a way that says that it has not happened.
    Refused {
        /// Number of the write.
        write: u64,
    },
    /// Everything is mended, nothing will fail any more.
    Healed,
    /// Faults begin: no rest is expected any more.
    Disturbed,
    /// Convergence was reached.
    Converged,
    /// Something still lacks for convergence at this moment.
    Lacking(String),
    /// What a member shows at the end.
    Final {
        /// Who.
        node: NodeName,
        /// Digest of its configuration.
        digest: String,
        /// Values of the clients' keys in its document.
        values: Vec<(String, String)>,
    },
    /// The core of a node panicked.
    Panicked {
        /// Which.
        node: NodeName,
        /// Input and message.
        what: String,
    },
    /// A core asks to be woken at once, again and again, or never again.
    Spins {
        /// Which.
        node: NodeName,
    },
}
