//! Everything the core asks its shell to do, as plain data.

use crate::{
    device::Verb,
    input::{AskId, ClientId, RelayId, Reply, Request, RunId},
};
use std::collections::BTreeMap;

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Call a device; [`crate::Input::Called`] follows.
    Call {
        /// For the answer.
        run: RunId,
        /// What to call.
        call: Call,
    },
    /// Ask every other fencing daemon that can be reached which of its devices could act on the
    /// target; [`crate::Input::Offered`] for each answer, then [`crate::Input::AskEnded`].
    Ask {
        /// For the answers.
        ask: AskId,
        /// Whom to fence.
        target: String,
        /// How.
        action: String,
        /// How long at most.
        timeout_ms: u64,
    },
    /// Have another node do it; [`crate::Input::Relayed`] follows.
    Relay {
        /// For the answer.
        relay: RelayId,
        /// What, and by whom.
        order: Order,
    },
    /// Answer a caller.
    Reply {
        /// Whom.
        client: ClientId,
        /// What.
        reply: Reply,
    },
    /// Tell the operator, one line.
    Log {
        /// How urgent.
        severity: Severity,
        /// Who, what, why and what next.
        text: String,
    },
}

/// A request for another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which node.
    pub to: String,
    /// What; `relayed` is set.
    pub request: Request,
}

/// One call of one device, self-contained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Id of the device.
    pub device: String,
    /// Its type: the plugin, or the fence agent's name.
    pub kind: String,
    /// What it shall do.
    pub verb: Verb,
    /// The word for it (`pcmk_off_action` and its kin).
    pub action: String,
    /// Whom, by node name; empty for `List` and `Monitor`.
    pub target: String,
    /// Whom, as the device calls it.
    pub port: String,
    /// Name of the parameter that takes `port` (`pcmk_host_argument`); empty: the agent's own, `none`: not given.
    pub host_argument: String,
    /// The device's own parameters.
    pub parameters: BTreeMap<String, String>,
    /// Every target that the configuration names, with the device's name for it: a monitor can look
    /// whether the device knows them.
    pub known: BTreeMap<String, String>,
    /// How long at most.
    pub timeout_ms: u64,
}

/// Urgency of a line for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// A decision.
    Info,
    /// Something to look at.
    Warning,
    /// Something is wrong.
    Error,
}
