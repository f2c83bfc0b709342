//! Fencing over ssh with the system's OpenSSH client, in two ways.
//!
//! *Through its hypervisor*: commands there switch the node's virtual machine off and on and say how it
//! is; what they say can be verified. *On the node*: the node itself is asked to go. Whether it went is
//! looked at as far as that is possible from outside, but silence is no proof, and this module never
//! says "off" of such a node (protocol.md, 24).

mod hypervisor;
mod metadata;
mod node;
mod session;
mod settings;
mod template;

use super::{Plugin, failed};
use futures::future::BoxFuture;
pub use metadata::METADATA;
use settings::Settings;
use std::time::{Duration, Instant};
use stonithd_core::{Call, CallResult, Verb};

/// Action word that looks at the parameters only (`pcmk_monitor_action=validate-all`).
const VALIDATE: &str = "validate-all";

/// See the module.
#[derive(Debug)]
pub(super) struct Ssh;

impl Plugin for Ssh {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult> {
        Box::pin(async move { run(call).await.unwrap_or_else(failed) })
    }
}

async fn run(call: &Call) -> Result<CallResult, String> {
    let until = Until::after(call.timeout_ms);
    let settings = Settings::read(&call.parameters).map_err(|e| of(call, &e))?;
    if call.verb == Verb::Monitor {
        settings.all_known().map_err(|e| of(call, &e))?;
        if call.action == VALIDATE {
            return Ok(CallResult::Done);
        }
    }
    // Who is configured need not be asked for.
    if call.verb == Verb::List && !settings.hosts.is_empty() {
        return Ok(CallResult::Targets(
            settings.hosts.keys().cloned().collect(),
        ));
    }
    match &settings.hypervisor {
        Some(host) => hypervisor::call(call, &settings, host, until).await,
        None => node::call(call, &settings, until).await,
    }
}

fn of(call: &Call, problem: &str) -> String {
    format!("device {}: {problem}", call.device)
}

/// When a call must have ended.
#[derive(Clone, Copy, Debug)]
struct Until(Instant);

impl Until {
    fn after(ms: u64) -> Self {
        Self(Instant::now() + Duration::from_millis(ms))
    }

    /// The earlier of this and `ms` from now.
    fn within(self, ms: u64) -> Self {
        Self(self.0.min(Self::after(ms).0))
    }

    fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
