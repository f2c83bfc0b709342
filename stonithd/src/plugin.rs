//! How devices are spoken to. A plugin does what it is asked and says what it knows, nothing more:
//! whether a node counts as fenced is for the core to decide.

mod agent;
mod lab;
mod ssh;

use futures::future::BoxFuture;
use std::{path::PathBuf, sync::Arc};
use stonithd_core::{Call, CallResult};

/// What the compiled-in fencing over ssh says of itself (`stonith_admin --metadata --agent ssh`).
pub use ssh::METADATA as SSH_METADATA;

/// One way to speak to devices. A call ends within its `timeout_ms`.
pub(crate) trait Plugin: Send + Sync {
    /// Carries out one call.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult>;
}

/// All ways there are.
#[derive(Clone)]
pub(crate) struct Plugins {
    lab: Arc<lab::Lab>,
    ssh: Arc<ssh::Ssh>,
    agents: Arc<agent::Agents>,
}

impl Plugins {
    /// Fence agents are looked for in these directories, in this order.
    pub(crate) fn new(agent_dirs: Vec<PathBuf>) -> Self {
        Self {
            lab: Arc::new(lab::Lab),
            ssh: Arc::new(ssh::Ssh),
            agents: Arc::new(agent::Agents::new(agent_dirs)),
        }
    }

    /// Carries out one call of a device.
    pub(crate) async fn call(&self, call: &Call) -> CallResult {
        match call.kind.as_str() {
            "lab" => self.lab.call(call).await,
            "ssh" | "external/ssh" => self.ssh.call(call).await,
            // Somebody's own agent of that name goes before ours.
            "fence_ssh" if !self.agents.has(&call.kind) => self.ssh.call(call).await,
            _ => self.agents.call(call).await,
        }
    }
}

/// A failure in words.
fn failed(reason: impl std::fmt::Display) -> CallResult {
    CallResult::Failed(reason.to_string())
}
