//! What is outside the daemons: the machines, what really runs on them, and every promise that was
//! broken. One for each run, shared by everything that is simulated; all of it lives on one thread.

use crate::{
    disk::Disk,
    doors::Sockets,
    network::{MachineId, Wires},
};
use crmd::Client;
use crmd_core::view::NodeView;
use rand::{Rng, SeedableRng, rngs::StdRng};
use sim::{
    checkers::{self, Checker},
    truth::{Place, Truth},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
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
    /// Those of places, told of everything that really happens.
    pub checkers: Vec<Box<dyn Checker>>,
    /// Broken on purpose: switches say "off" before they have acted.
    pub switches_lie: bool,
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
    /// A power switch was told to act.
    Switch {
        /// On which machine.
        machine: MachineId,
        /// Which switch.
        device: String,
        /// On, or off.
        on: bool,
        /// When it will.
        after: Duration,
    },
    /// A daemon has ended; its supervisor starts it again.
    Ended {
        /// Where.
        machine: MachineId,
        /// Which.
        program: Program,
        /// Why.
        reason: String,
    },
    /// Switch a machine on for the first time.
    Boot(MachineId),
}

/// A daemon of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The node daemon.
    Crmd,
    /// The fencing daemon.
    Stonithd,
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
    /// crmd may start from this moment on; nothing while it must not.
    pub crmd_starts: Option<Duration>,
    /// The same of stonithd.
    pub stonithd_starts: Option<Duration>,
    /// Switches that have cut its power.
    pub off: BTreeSet<String>,
    /// Switches that were told to since it was switched on.
    pub told_off: BTreeSet<String>,
    /// Until when each switch has something to do.
    pub switch_busy: BTreeMap<String, Duration>,
    /// It reaches no switch.
    pub devices_cut: bool,
    /// Its programs' sockets.
    pub sockets: Sockets,
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
            checkers: checkers::of_places(),
            switches_lie: false,
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

    /// Tells the checkers what really happened.
    pub fn tell(&self, truth: &Truth) {
        let now_ms = turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64;
        let mut world = self.lock();
        let mut all = std::mem::take(&mut world.checkers);
        drop(world);
        for checker in &mut all {
            if let Err(saw) = checker.see(now_ms, truth) {
                self.violated(format!("{}: {saw}", checker.name()));
            }
        }
        self.lock().checkers = all;
    }

    /// Breaks the switches' only promise from now on: a checker must notice.
    pub fn let_switches_lie(&self) {
        self.lock().switches_lie = true;
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

    /// A switch was told to cut a machine's power.
    pub fn told_off(&mut self, machine: MachineId, device: &str) {
        if let Some(machine) = self.machines.get_mut(machine) {
            machine.told_off.insert(device.to_owned());
        }
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
            crmd_starts: None,
            stonithd_starts: None,
            off: BTreeSet::new(),
            told_off: BTreeSet::new(),
            switch_busy: BTreeMap::new(),
            devices_cut: false,
            sockets: Sockets::default(),
            life: 0,
            booted_at: Duration::ZERO,
            calendar_ahead_s: random.random_range(-2..=2),
            client: None,
            active: BTreeSet::new(),
            at_work: BTreeMap::new(),
        }
    }

    /// It in its present boot.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.name.as_str().into(), self.life)
    }

    /// Its memory is gone, and with it everything that ran.
    pub fn forget(&mut self) {
        self.client = None;
        self.active.clear();
        self.at_work.clear();
    }
}
