//! One run: turmoil's steps, and between them what nobody inside can do: power, links, disks.
//!
//! Must never: touch a daemon other than by killing it.

mod power;

use crate::{
    determinism,
    network::{MachineId, address, addresses, stonithd_address, supervisor_address},
    node, trace,
    users::{self, RESOURCES},
    world::{Order, Program, World},
};
use crmd_core::view::NodeView;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};
use transport::{
    config::Config,
    identity::{Authority, KeyRequest},
};

/// Tick of the simulation.
const TICK: Duration = Duration::from_millis(1);

/// For the cluster to be made.
const FORM_LIMIT: Duration = Duration::from_secs(60);

/// After the last fault, for everything to be well again.
const HEAL_LIMIT: Duration = Duration::from_secs(90);

/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(250);

/// For the last writes to be answered.
const QUIET: Duration = Duration::from_secs(9);

/// A connection that was silent for so long is given up (TCP's user time-out).
const TCP_PATIENCE: Duration = Duration::from_millis(1_500);

/// Why a run could not be done at all.
pub type Failure = Box<dyn std::error::Error>;

/// What a run was.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Broken promises.
    pub violations: Vec<String>,
    /// Simulated time.
    pub simulated: Duration,
    /// From the last fault to a cluster that is well, if it came to that.
    pub healed_after: Option<Duration>,
    /// Counts for people.
    pub statistics: BTreeMap<&'static str, u64>,
}

/// What happens later, from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A machine is switched on, if its switches let it have power.
    PowerOn(MachineId),
    /// A machine loses its power.
    PowerOff(MachineId),
    /// In the middle of a write of its disk, after so many operations.
    PowerOffInWrite(MachineId, u32),
    /// A daemon is killed; its supervisor starts it again.
    KillDaemon(MachineId, Program),
    /// Every process is killed; the kernel lives on.
    KillAll(MachineId),
    /// Nothing passes between two machines.
    Cut(MachineId, MachineId),
    /// It passes again.
    Mend(MachineId, MachineId),
    /// Whether nothing passes from one machine to another; the other direction is as it is.
    CutOneWay(MachineId, MachineId, bool),
    /// A cut has lasted for longer than TCP waits.
    TimeOut(MachineId, MachineId),
    /// Messages between two machines take up to so many milliseconds.
    Delay(MachineId, MachineId, u64),
    /// Writes of a disk take up to so many milliseconds.
    SlowDisk(MachineId, u64),
    /// Whether a disk has no room any more.
    FullDisk(MachineId, bool),
    /// A calendar jumps by so many seconds.
    Calendar(MachineId, i64),
    /// A power switch does what it was told.
    Switch {
        /// On which machine.
        machine: MachineId,
        /// Which switch.
        device: String,
        /// On, or off.
        on: bool,
    },
    /// Somebody looks after a machine that a switch has cut off, and switches it on.
    Found(MachineId),
    /// Whether a machine reaches no switch.
    CutDevices(MachineId, bool),
}

/// Drives one simulation.
pub struct Harness<'a> {
    sim: turmoil::Sim<'a>,
    pub(crate) world: World,
    pub(crate) random: StdRng,
    agenda: BTreeMap<(Duration, u64), Event>,
    planned: u64,
    cuts: BTreeSet<(MachineId, MachineId)>,
    pub(crate) count: usize,
}

impl<'a> Harness<'a> {
    /// A cluster that is not made yet, in the universe of `seed`, with its files under `base`.
    ///
    /// # Errors
    /// Files or keys could not be made.
    pub fn new(seed: u64, count: usize, base: &Path) -> Result<Self, Failure> {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new(random.random(), base, count);
        make_nodes(&world, base)?;
        let slowest = Duration::from_micros(random.random_range(1_000..12_000));
        let mut sim = turmoil::Builder::new()
            .rng_seed(random.random())
            .epoch(determinism::epoch())
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3_600))
            .min_message_latency(Duration::from_micros(200))
            .max_message_latency(slowest)
            .tcp_capacity(4_096)
            .enable_random_order()
            .build();
        for machine in 0..count {
            let of = world.clone();
            sim.host(address(machine), move || node::crmd(of.clone(), machine));
            let of = world.clone();
            sim.host(stonithd_address(machine), move || {
                node::stonithd(of.clone(), machine)
            });
            let of = world.clone();
            sim.host(supervisor_address(machine), move || {
                node::supervisor(of.clone(), machine)
            });
        }
        let of = world.clone();
        let here: IpAddr = Ipv4Addr::new(10, 0, 2, 1).into();
        sim.host(here, move || users::all(of.clone()));
        Ok(Self {
            sim,
            world,
            random,
            agenda: BTreeMap::new(),
            planned: 0,
            cuts: BTreeSet::new(),
            count,
        })
    }

    /// Breaks every disk's only promise: the checks must notice.
    pub fn let_disks_lie(&self) {
        for machine in &self.world.lock().machines {
            machine.disk.lie();
        }
    }

    /// What is outside the daemons.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Makes the cluster, breaks it for a while, lets it heal, and looks at what is left.
    ///
    /// # Errors
    /// turmoil's own.
    pub fn run(mut self, faults_for: Duration) -> Result<Outcome, Failure> {
        self.plan(Duration::ZERO, Event::PowerOn(0));
        let formed = self.until(FORM_LIMIT, |h| h.world.lock().formed)?;
        if !formed {
            let views = self.views();
            self.world.violated(format!(
                "the cluster was not made within {FORM_LIMIT:?}: {views:?}"
            ));
            return Ok(self.outcome(None));
        }
        let stop = self.now() + faults_for;
        while self.now() < stop && !self.is_violated() {
            let pause_ms = self.random.random_range(300..6_000);
            self.for_a_while(Duration::from_millis(pause_ms))?;
            self.fault();
        }
        if self.is_violated() {
            // Whether it would come to rest does not matter any more.
            return Ok(self.outcome(None));
        }
        self.heal();
        let begin = self.now();
        let well = self.until_well()?;
        let took = well.then(|| self.now() - begin);
        // Nobody writes any more: what is acknowledged reaches the slowest member.
        self.world.lock().quiet = true;
        self.for_a_while(QUIET)?;
        self.world.lock().views.fill(None);
        if !well || !self.until_well()? {
            self.say_why();
        }
        self.check_acknowledged();
        Ok(self.outcome(took))
    }

    fn is_violated(&self) -> bool {
        !self.world.lock().violations.is_empty()
    }

    pub(crate) fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    pub(crate) fn plan(&mut self, after: Duration, event: Event) {
        self.planned += 1;
        let at = self.now() + after;
        self.agenda.insert((at, self.planned), event);
    }

    fn for_a_while(&mut self, length: Duration) -> Result<(), Failure> {
        let end = self.now() + length;
        while self.now() < end {
            self.step()?;
        }
        Ok(())
    }

    fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        let end = self.now() + limit;
        while self.now() < end {
            self.step()?;
            if done(self) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn until_well(&mut self) -> Result<bool, Failure> {
        let end = self.now() + HEAL_LIMIT;
        while self.now() < end {
            self.for_a_while(LOOK)?;
            if self.trouble().is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn step(&mut self) -> Result<(), Failure> {
        let now = self.now();
        determinism::set_elapsed(now);
        trace::set_elapsed(now);
        self.sim.step()?;
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.sim.elapsed() {
                break;
            }
            let event = entry.remove();
            self.happen(event);
        }
        // Before a daemon's end is heard of: it has ended because its disk has.
        for machine in 0..self.count {
            let out = self.world.lock().machines[machine].disk.is_out();
            if out {
                self.happen(Event::PowerOff(machine));
            }
        }
        self.carry_out_orders();
        Ok(())
    }

    fn carry_out_orders(&mut self) {
        loop {
            let Some(order) = self.world.lock().orders.pop_front() else {
                return;
            };
            match order {
                Order::Boot(machine) => self.happen(Event::PowerOn(machine)),
                Order::Ended {
                    machine,
                    program,
                    reason,
                } => {
                    let node = machine + 1;
                    tracing::info!("harness: {program:?} of node{node} has ended: {reason}");
                    self.happen(Event::KillDaemon(machine, program));
                }
                Order::Switch {
                    machine,
                    device,
                    on,
                    after,
                } => self.told_to_switch(machine, device, on, after),
            }
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        tracing::info!("harness: {event:?}");
        match event {
            Event::PowerOn(machine) => self.power_on(machine),
            Event::PowerOff(machine) => self.power_off(machine),
            Event::PowerOffInWrite(machine, operations) => {
                let world = self.world.lock();
                let machine = &world.machines[machine];
                if machine.on {
                    machine.disk.power_goes_after(operations);
                }
            }
            Event::KillDaemon(machine, program) => self.kill_daemon(machine, program),
            Event::KillAll(machine) => self.kill_all(machine),
            Event::Cut(a, b) => {
                self.cuts.insert((a.min(b), a.max(b)));
                self.set_links(a);
                self.plan(TCP_PATIENCE, Event::TimeOut(a, b));
            }
            Event::Mend(a, b) => {
                self.cuts.remove(&(a.min(b), a.max(b)));
                self.set_links(a);
            }
            Event::TimeOut(a, b) => {
                let wires = self.world.lock().wires.clone();
                if self.silent(a, b) || !wires.both_ways(a, b) {
                    wires.time_out(a, b);
                }
            }
            Event::CutOneWay(from, to, cut) => {
                self.world.lock().wires.cut_one_way(from, to, cut);
                if cut {
                    self.plan(TCP_PATIENCE, Event::TimeOut(from, to));
                }
            }
            Event::FullDisk(machine, full) => {
                self.world.lock().machines[machine].disk.set_full(full);
            }
            Event::Calendar(machine, by_s) => {
                self.world.lock().machines[machine].calendar_ahead_s += by_s;
            }
            Event::Delay(a, b, most_ms) => {
                let most = Duration::from_millis(most_ms);
                for (a, b) in pairs(a, b) {
                    self.sim.set_link_max_message_latency(a, b, most);
                }
            }
            Event::Switch {
                machine,
                device,
                on,
            } => self.switch(machine, device, on),
            Event::Found(machine) => self.found(machine),
            Event::CutDevices(machine, cut) => {
                self.world.lock().machines[machine].devices_cut = cut;
            }
            Event::SlowDisk(machine, most_ms) => {
                let world = self.world.lock();
                world.machines[machine].disk.set_slow_ms(most_ms);
            }
        }
    }

    /// Whether nothing passes between two machines.
    fn silent(&self, a: MachineId, b: MachineId) -> bool {
        let world = self.world.lock();
        let off = |m: MachineId| !world.machines[m].on;
        off(a) || off(b) || self.cuts.contains(&(a.min(b), a.max(b)))
    }

    /// Brings turmoil's links of a machine to what its power and the cuts say.
    fn set_links(&self, machine: MachineId) {
        for other in (0..self.count).filter(|o| *o != machine) {
            let silent = self.silent(machine, other);
            for (a, b) in pairs(machine, other) {
                match silent {
                    true => self.sim.hold(a, b),
                    false => self.sim.release(a, b),
                }
            }
        }
    }

    /// Every fault ends.
    fn heal(&mut self) {
        tracing::info!("harness: the last fault");
        {
            let mut world = self.world.lock();
            world.healed = true;
            world.views.fill(None);
        }
        for (a, b) in std::mem::take(&mut self.cuts) {
            self.happen(Event::Mend(a, b));
        }
        let one_way = self.world.lock().wires.one_way_cuts();
        for (from, to) in one_way {
            self.happen(Event::CutOneWay(from, to, false));
        }
        self.agenda.retain(|_, event| {
            matches!(
                event,
                Event::PowerOn(_)
                    | Event::TimeOut(..)
                    | Event::Mend(..)
                    | Event::Switch { .. }
                    | Event::Found(_)
            )
        });
        for machine in 0..self.count {
            self.happen(Event::SlowDisk(machine, 3));
            self.happen(Event::CutDevices(machine, false));
            self.happen(Event::FullDisk(machine, false));
            let ahead_s = self.world.lock().machines[machine].calendar_ahead_s;
            self.happen(Event::Calendar(machine, -ahead_s));
            self.world.lock().machines[machine].disk.power_stays();
            for other in machine + 1..self.count {
                self.happen(Event::Delay(machine, other, 5));
            }
            let dead = {
                let world = self.world.lock();
                let m = &world.machines[machine];
                m.on && !m.alive
            };
            if dead {
                self.happen(Event::PowerOff(machine));
            }
            self.plan(Duration::from_millis(200), Event::Found(machine));
        }
    }

    fn views(&self) -> Vec<Option<NodeView>> {
        self.world.lock().views.clone()
    }

    /// What is not well; nothing if everything is.
    fn trouble(&self) -> Option<String> {
        let views = self.views();
        let Some(views) = views.into_iter().collect::<Option<Vec<_>>>() else {
            return Some("a node does not answer".to_owned());
        };
        let first = views.first()?;
        for view in &views {
            let up = users::online(view);
            if !view.quorate || up != self.count {
                return Some(format!("{} sees {up} online: {view:?}", view.node));
            }
            if view.coordinator.is_none() || view.coordinator != first.coordinator {
                return Some(format!("{} obeys {:?}", view.node, view.coordinator));
            }
            if view.digest != first.digest {
                return Some(format!("{} has another configuration", view.node));
            }
        }
        if !views.iter().any(|v| v.idle) {
            return Some("the coordinator has something to do".to_owned());
        }
        let world = self.world.lock();
        let idle = |resource: &&str| {
            let active = world
                .machines
                .iter()
                .filter(|m| m.active.contains(*resource));
            active.count() != 1
        };
        let missing: Vec<&&str> = RESOURCES.iter().filter(|r| idle(r)).collect();
        (!missing.is_empty()).then(|| format!("not active on one node: {missing:?}"))
    }

    fn say_why(&self) {
        let why = self.trouble().unwrap_or_default();
        self.world.violated(format!(
            "not well {HEAL_LIMIT:?} after the last fault: {why}"
        ));
    }

    /// Everything acknowledged is in every member's configuration.
    fn check_acknowledged(&self) {
        let (acknowledged, clients) = {
            let world = self.world.lock();
            let clients = world
                .machines
                .iter()
                .map(|m| (m.name.clone(), m.client.clone()));
            (world.acknowledged.clone(), clients.collect::<Vec<_>>())
        };
        for (node, client) in clients {
            let Some(client) = client else {
                continue;
            };
            let xml = client.document().to_xml();
            let lost = |id: &&String| !xml.contains(&format!("id=\"{id}\""));
            let lost: Vec<&String> = acknowledged.iter().filter(lost).collect();
            if !lost.is_empty() {
                self.world.violated(format!(
                    "{node} lacks what was acknowledged: {} of {}: {lost:?}",
                    lost.len(),
                    acknowledged.len()
                ));
            }
        }
    }

    fn outcome(&self, healed_after: Option<Duration>) -> Outcome {
        let mut world = self.world.lock();
        let disks: Vec<_> = world.machines.iter().map(|m| m.disk.counts()).collect();
        for disk in disks {
            *world.statistics.entry("unsynced writes lost").or_default() += disk.lost;
            *world.statistics.entry("unsynced writes torn").or_default() += disk.torn;
            *world.statistics.entry("unsynced writes kept").or_default() += disk.kept;
        }
        Outcome {
            violations: world.violations.clone(),
            simulated: self.now(),
            healed_after,
            statistics: world.statistics.clone(),
        }
    }
}

/// Every place of one machine with every place of another.
fn pairs(a: MachineId, b: MachineId) -> impl Iterator<Item = (IpAddr, IpAddr)> {
    let there = addresses(b);
    let pairs = addresses(a).map(|a| there.map(|b| (a, b)));
    pairs.into_iter().flatten()
}

/// Keys, certificates and configuration files; the first node is to make the cluster.
fn make_nodes(world: &World, base: &Path) -> Result<(), Failure> {
    let authority = Authority::create("sim", "c1")?;
    let mut world = world.lock();
    for (number, machine) in world.machines.iter_mut().enumerate() {
        let (name, base) = (&machine.name, base.join(&machine.name));
        let text = format!(
            "[cluster]\nname = \"sim\"\nid = \"c1\"\n\
             [node]\nname = \"{name}\"\nraft_id = {}\naddresses = [\"{}\"]\n\
             [paths]\nidentity_dir = \"{base}/etc\"\nstate_dir = \"{base}/lib\"\nrun_dir = \"{base}/run\"\n",
            number + 1,
            address(number),
            base = base.display()
        );
        let config = Config::parse(&text, Path::new("systole.toml"))?;
        let key = KeyRequest::new(name)?;
        let certificate = authority.sign(&key.csr_pem, name)?;
        let authority = authority.certificate_pem();
        key.save(&config.paths.identity_dir, &certificate, authority)?;
        std::fs::create_dir_all(&config.paths.state_dir)?;
        if number == 0 {
            std::fs::write(config.paths.cib(), "<cib/>")?;
        }
        machine.config = Some(config);
    }
    Ok(())
}
