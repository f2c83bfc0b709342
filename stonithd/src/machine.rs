//! What the fencing daemon takes from the machine it runs on, in one place: clocks, network, local
//! sockets, the way to devices. A real machine has its own ([`Machine::real`]); `sim-shell` gives
//! simulated ones, so that everything above them is the product itself.
//!
//! Must never: be more than a way to these things, or let the daemon know which kind it has.

pub use crate::plugin::Plugin;
pub use futures::future::BoxFuture;
pub use stonithd_core::{Call, CallResult, Now, Power, Verb};

use crate::plugin::Plugins;
use rustix::time::{ClockId, clock_gettime};
use std::{
    fmt::Debug,
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use transport::{
    local::{self, Doors},
    net::{self, Network},
};

/// Where fence agents are.
const AGENT_DIRS: &[&str] = &["/usr/sbin", "/usr/local/sbin"];

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the core calls now.
    pub clock: Arc<dyn Clock>,
    /// The way to other nodes.
    pub network: Arc<dyn Network>,
    /// The sockets of its programs.
    pub doors: Arc<dyn Doors>,
    /// Speaks to every device.
    pub plugin: Arc<dyn Plugin>,
}

impl Machine {
    /// The machine this process runs on.
    #[must_use]
    pub fn real() -> Self {
        let agent_dirs = AGENT_DIRS.iter().map(PathBuf::from).collect();
        Self {
            clock: Arc::new(HostClock),
            network: net::kernel(),
            doors: local::kernel(),
            plugin: Arc::new(Plugins::new(agent_dirs)),
        }
    }
}

/// The two clocks of a machine.
pub trait Clock: Debug + Send + Sync {
    /// This moment: counted through suspend, and the calendar.
    fn now(&self) -> Now;
}

#[derive(Debug)]
struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> Now {
        let mono = clock_gettime(ClockId::Boottime);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Now {
            mono_ms: mono.tv_sec as u64 * 1_000 + mono.tv_nsec as u64 / 1_000_000,
            wall_s: wall.map_or(0, |d| d.as_secs() as i64),
        }
    }
}
