//! Everything that can happen to the core, as plain data.

use serde::{Deserialize, Serialize};

/// Identifies a caller that waits for a reply.
pub type ClientId = u64;
/// Identifies a call of a device.
pub type RunId = u64;
/// Identifies a question to the other nodes.
pub type AskId = u64;
/// Identifies a request handed to another node.
pub type RelayId = u64;

/// The clocks, passed in with every input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a monotonic clock that counts through suspend.
    pub mono_ms: u64,
    /// Seconds since the epoch.
    pub wall_s: i64,
}

/// One event.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline given by [`crate::Fencer::poll_timeout`] has come (or any other wake-up).
    Tick,
    /// The configuration, at first and after every change: the whole `<cib>`.
    Configuration(cib::Element),
    /// Somebody asks for fencing.
    Request {
        /// Where the reply goes.
        client: ClientId,
        /// What.
        request: Request,
    },
    /// A device's call has ended.
    Called {
        /// Which.
        run: RunId,
        /// How.
        result: CallResult,
    },
    /// Another node says what it can do.
    Offered {
        /// Which question.
        ask: AskId,
        /// Its answer.
        offer: Offer,
    },
    /// No more answers will come.
    AskEnded {
        /// Which question.
        ask: AskId,
    },
    /// The other node's answer, or why there is none.
    Relayed {
        /// Which.
        relay: RelayId,
        /// What it says.
        result: Result<Reply, String>,
    },
    /// A coordinator acts in this term: orders of older ones are refused from now on.
    TermSeen(u64),
    /// A node was seen in this life (it has greeted, or its witness has answered).
    LifeSeen {
        /// Which node.
        node: String,
        /// Number of its boot.
        number: u64,
    },
}

/// A fencing request whose intent is committed (or journalled).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Intent.
    pub intent: String,
    /// Node to fence.
    pub target: String,
    /// Life to end; a newer one must not be shot. 0: whichever.
    pub life_number: u64,
    /// `reboot`, `off`, `on`.
    pub action: String,
    /// All in all, after the delay; 0: the default.
    pub timeout_ms: u64,
    /// Before the first shot.
    pub delay_ms: u64,
    /// Of the coordinator who orders it; older ones than seen are refused.
    pub term: u64,
    /// It came from another fencing daemon and is not handed on.
    pub relayed: bool,
    /// Only with this device; empty: any.
    pub device: String,
    /// Who asked.
    pub origin: String,
    /// A random number, for `pcmk_delay_max`.
    pub random: u64,
}

/// How a device's call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// It accepted an action.
    Done,
    /// It says how the target is.
    Status(Power),
    /// It says whom it can fence.
    Targets(Vec<String>),
    /// It has no such action.
    Unsupported,
    /// It failed.
    Failed(String),
}

/// Whether a node has power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It has.
    On,
    /// It has not: nothing of it runs.
    Off,
}

/// What another node can do about a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// That node.
    pub node: String,
    /// Devices it could use there.
    pub devices: Vec<String>,
}

/// How sure it is that the target is down (protocol.md, 24); the names are those of `crmd_core::entry::Grade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Switched off, and the device said "off" when asked afterwards.
    VerifiedOff,
    /// The device accepted the command, no more, and is declared trusted.
    AcknowledgedTrusted,
    /// The device accepted the command, no more.
    Acknowledged,
    /// The node was asked to (ssh).
    Asked,
}

impl Grade {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifiedOff => "verified-off",
            Self::AcknowledgedTrusted => "acknowledged-trusted",
            Self::Acknowledged => "acknowledged",
            Self::Asked => "asked",
        }
    }

    /// The grade of this name, as another fencing daemon says it.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::VerifiedOff,
            Self::AcknowledgedTrusted,
            Self::Acknowledged,
            Self::Asked,
        ]
        .into_iter()
        .find(|grade| grade.name() == name)
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The grade, or why nothing is proven and what to do next.
    pub result: Result<Grade, String>,
    /// Device(s) that did it.
    pub device: String,
    /// Node whose fencing daemon called the device.
    pub by_node: String,
    /// Since the request, in milliseconds.
    pub elapsed_ms: u64,
}
