//! How devices are spoken to. A plugin does what it is asked and says what it knows, nothing more:
//! whether a node counts as fenced is for the core to decide.

mod agent;
mod lab;
mod ssh;

use futures::future::BoxFuture;
use std::{fmt::Debug, path::PathBuf};
use stonithd_core::{Call, CallResult};

/// What the compiled-in fencing over ssh says of itself (`stonith_admin --metadata --agent ssh`).
pub use ssh::METADATA as SSH_METADATA;

/// One way to speak to devices. A call ends within its `timeout_ms`.
pub trait Plugin: Debug + Send + Sync {
    /// Carries out one call.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult>;
}

/// All ways that are shipped.
#[derive(Debug)]
pub(crate) struct Plugins {
    lab: lab::Lab,
    ssh: ssh::Ssh,
    agents: agent::Agents,
}

impl Plugins {
    /// Fence agents are looked for in these directories, in this order.
    pub(crate) fn new(agent_dirs: Vec<PathBuf>) -> Self {
        Self {
            lab: lab::Lab,
            ssh: ssh::Ssh,
            agents: agent::Agents::new(agent_dirs),
        }
    }

    fn speaks(&self, kind: &str) -> &dyn Plugin {
        match kind {
            "lab" => &self.lab,
            "ssh" | "external/ssh" => &self.ssh,
            // Somebody's own agent of that name goes before ours.
            "fence_ssh" if !self.agents.has(kind) => &self.ssh,
            _ => &self.agents,
        }
    }
}

impl Plugin for Plugins {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult> {
        self.speaks(&call.kind).call(call)
    }
}

/// A failure in words.
fn failed(reason: impl std::fmt::Display) -> CallResult {
    CallResult::Failed(reason.to_string())
}
