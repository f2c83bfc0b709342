//! What the daemon takes from the machine it runs on, in one place: clocks, network, disk, threads,
//! agents, the way to the fencing daemon. A real machine has its own ([`Machine::real`]); `sim-shell` gives
//! simulated ones, so that everything above them is the product itself.
//!
//! Must never: be more than a way to these things, or let the daemon know which kind it has.

pub use crate::log_store::{Disk, SimulatedDisk};
pub use crmd_core::ids::Now;

use crate::clock::HostClock;
use crmd_core::{
    command::{AgentAction, ExecId},
    input::AgentOutcome,
};
use std::{fmt::Debug, sync::Arc};
use tokio::task::JoinHandle;
use transport::{
    local::{self, Doors},
    net::{self, Network},
};

/// See the module. Clones share everything.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the core calls now.
    pub clock: Arc<dyn Clock>,
    /// The way to other nodes.
    pub network: Arc<dyn Network>,
    /// The sockets of its programs.
    pub doors: Arc<dyn Doors>,
    /// Where the Raft log lies.
    pub disk: Disk,
    /// Who does what takes long.
    pub work: Work,
    /// What a simulation has instead of processes of agents.
    pub agents: Option<Arc<dyn SimulatedAgents>>,
}

impl Machine {
    /// The machine this process runs on.
    #[must_use]
    pub fn real() -> Self {
        Self {
            clock: Arc::new(HostClock),
            network: net::kernel(),
            doors: local::kernel(),
            disk: Disk::Files,
            work: Work::Threads,
            agents: None,
        }
    }
}

/// The two clocks of a machine.
pub trait Clock: Debug + Send + Sync {
    /// This moment: counted through suspend, and the calendar.
    fn now(&self) -> Now;
}

/// Who does what takes long, so that heartbeats go on meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Threads that may block.
    Threads,
    /// A task beside the others: in a simulation no time passes while it works.
    Tasks,
}

impl Work {
    /// Begins `work`; it is done even if nobody waits for it.
    pub(crate) fn start<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work),
            Self::Tasks => tokio::spawn(async move { work() }),
        }
    }
}

/// Carries out what agents would do.
#[tonic::async_trait]
pub trait SimulatedAgents: Debug + Send + Sync {
    /// To its end or its deadline.
    async fn run(&self, exec: ExecId, action: AgentAction) -> AgentOutcome;

    /// Ends an action that runs; its outcome comes as always.
    fn kill(&self, exec: ExecId);

    /// Waits for or ends what an earlier incarnation left at work; afterwards none of it changes
    /// anything any more.
    async fn settle(&self);
}
