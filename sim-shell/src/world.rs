//! What is outside the daemons: the machines, what really runs on them, and every promise that was
//! broken. One for each run, shared by everything that is simulated; all of it lives on one thread.

use crate::{
    disk::Disk,
    network::{MachineId, Wires},
};
use crmd::Client;
use crmd_core::{command::FenceOrder, view::NodeView};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;
use transport::config::Config;

/// The shared world; clones are the same.
#[derive(Clone, Debug)]
pub struct World(Arc<Mutex<Inner>>);

/// Its contents.
#[derive(Debug)]
pub struct Inner {
    /// The machines.
    pub machines: Vec<Machine>,
    /// Every connection.
    pub wires: Wires,
    /// For agents, fencing and users.
    pub random: StdRng,
    /// What the harness is asked to do after this tick.
    pub orders: VecDeque<Order>,
    /// Broken promises.
    pub violations: Vec<String>,
    /// Faults have ended: from now on everything works.
    pub healed: bool,
    /// Nobody writes any more.
    pub quiet: bool,
    /// The cluster has its members and its configuration.
    pub formed: bool,
    /// Changes that were acknowledged: ids of nvpairs.
    pub acknowledged: BTreeSet<String>,
    /// What each node showed at the last look.
    pub views: Vec<Option<NodeView>>,
    /// Counts for people.
    pub statistics: BTreeMap<&'static str, u64>,
}

/// Something that only the harness can do, from outside of turmoil's step.
#[derive(Debug)]
pub enum Order {
    /// A fencing device acts.
    Fence {
        /// What it was told.
        order: FenceOrder,
        /// Whether it worked, or why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A daemon has ended; its supervisor starts it again.
    Ended {
        /// Where.
        machine: MachineId,
        /// Why.
        reason: String,
    },
    /// Switch a machine on for the first time.
    Boot(MachineId),
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// Its node's name.
    pub name: String,
    /// The daemon's configuration, once it is a member.
    pub config: Option<Config>,
    /// State and run directories.
    pub base: PathBuf,
    /// Under the Raft log.
    pub disk: Disk,
    /// It has power.
    pub on: bool,
    /// Its processes run, or its supervisor starts them; not so once all of them were killed.
    pub alive: bool,
    /// The daemon may start from this moment on; nothing while it must not.
    pub starts_at: Option<Duration>,
    /// Number of its present boot, from 1.
    pub life: u64,
    /// When it booted.
    pub booted_at: Duration,
    /// How much its calendar is ahead, in seconds.
    pub calendar_ahead_s: i64,
    /// Its running daemon.
    pub client: Option<Client>,
    /// Resources that are active there.
    pub active: BTreeSet<String>,
    /// Agents at work, by their number.
    pub at_work: BTreeMap<u64, Work>,
}

/// An agent at work.
#[derive(Clone, Debug)]
pub struct Work {
    /// On what.
    pub resource: String,
    /// `start`, `stop`, …
    pub operation: String,
    /// Whether somebody still waits for it.
    pub orphaned: bool,
}

impl World {
    /// Machines that are off.
    #[must_use]
    pub fn new(seed: u64, base: &std::path::Path, machines: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let views = vec![None; machines];
        let machines = (0..machines)
            .map(|number| Machine::new(number, base, &mut random))
            .collect();
        Self(Arc::new(Mutex::new(Inner {
            machines,
            wires: Wires::default(),
            random,
            orders: VecDeque::new(),
            violations: Vec::new(),
            healed: false,
            quiet: false,
            formed: false,
            acknowledged: BTreeSet::new(),
            views,
            statistics: BTreeMap::new(),
        })))
    }

    /// Its contents, for a moment that waits for nothing.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number from this range, from the seed.
    #[must_use]
    pub fn draw(&self, range: std::ops::RangeInclusive<u64>) -> u64 {
        self.lock().random.random_range(range)
    }

    /// Whether something that happens so often in a thousand happens now.
    #[must_use]
    pub fn happens(&self, permille: u32) -> bool {
        self.lock().random.random_ratio(permille, 1_000)
    }

    /// A promise is broken; the same words are kept once.
    pub fn violated(&self, what: String) {
        tracing::error!("VIOLATION: {what}");
        let mut world = self.lock();
        if !world.violations.contains(&what) {
            world.violations.push(what);
        }
    }
}

impl Inner {
    /// Counts one more.
    pub fn count(&mut self, what: &'static str) {
        *self.statistics.entry(what).or_default() += 1;
    }

    /// The machine of a node.
    #[must_use]
    pub fn find(&self, node: &str) -> Option<MachineId> {
        self.machines.iter().position(|m| m.name == node)
    }

    /// Where else than on `here` a resource is active.
    #[must_use]
    pub fn active_elsewhere(&self, here: MachineId, resource: &str) -> Option<&str> {
        let mut others = self.machines.iter().enumerate();
        let found = others.find(|(number, m)| *number != here && m.active.contains(resource));
        found.map(|(_, m)| m.name.as_str())
    }
}

impl Machine {
    fn new(number: MachineId, base: &std::path::Path, random: &mut StdRng) -> Self {
        let name = format!("node{}", number + 1);
        Self {
            base: base.join(&name),
            name,
            config: None,
            disk: Disk::new(random.random()),
            on: false,
            alive: false,
            starts_at: None,
            life: 0,
            booted_at: Duration::ZERO,
            calendar_ahead_s: random.random_range(-2..=2),
            client: None,
            active: BTreeSet::new(),
            at_work: BTreeMap::new(),
        }
    }

    /// Its memory is gone, and with it everything that ran.
    pub fn forget(&mut self) {
        self.client = None;
        self.active.clear();
        self.at_work.clear();
    }
}
