//! A universe: its machines, what lies between them, and everything that is yet to happen, in order
//! of time. Nothing in it depends on anything but its seed.

use crate::{
    character::{Universe, node_name},
    checkers::{self, Checker, Violation},
    clients::Asked,
    configuration,
    faults::Undo,
    fencing::Shot,
    host::{Host, Power},
    network::Network,
    raft::{Config, Store, Wire},
    rng::Rng,
    trace::Trace,
    truth::Truth,
};
use cib::Element;
use crmd_core::{
    command::FenceOrder,
    entry::{Entry, Member, Ports},
    ids::{Life, NodeName},
    input::{ClientId, Input},
    message::Message,
    request::Request,
};
use scheduler::Decision;
use std::collections::{BTreeMap, VecDeque};

/// Decides for a document and a moment; the real one, or a stand-in in tests.
pub type Schedule<'a> = &'a (dyn Fn(&Element, i64) -> Decision + Sync);

/// What goes over the wires.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// Between two cores.
    Core(Message),
    /// Between two Rafts.
    Raft(Wire),
}

/// Something that is yet to happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A message arrives, if the daemon it was sent to still runs.
    Arrives {
        /// Sender.
        from: usize,
        /// Receiver.
        to: usize,
        /// Run of the receiver's daemon.
        epoch: u64,
        /// It.
        parcel: Parcel,
    },
    /// An input for a run of a daemon.
    ForDaemon {
        /// Where.
        node: usize,
        /// Which run.
        epoch: u64,
        /// It.
        input: Input,
    },
    /// The peer's side has ended the connections.
    Closed {
        /// Who learns of it.
        node: usize,
        /// Which run of its daemon.
        epoch: u64,
        /// Whose end it is.
        peer: usize,
    },
    /// A probe arrives at a host.
    Probe {
        /// Who asks.
        node: usize,
        /// Which run of its daemon.
        epoch: u64,
        /// Who is asked.
        peer: usize,
        /// When the asker gives up.
        until_ms: u64,
    },
    /// A core's deadline.
    CoreDue {
        /// Whose.
        node: usize,
        /// Which run.
        epoch: u64,
    },
    /// A Raft's deadline.
    RaftDue {
        /// Whose.
        node: usize,
        /// Which run.
        epoch: u64,
    },
    /// An agent ends.
    AgentEnds {
        /// Where.
        node: usize,
        /// In which life.
        life: u64,
        /// Which.
        run: u64,
    },
    /// A machine's kernel begins to answer.
    Boot {
        /// Which.
        node: usize,
        /// Void if the machine has another by now.
        boot: u64,
    },
    /// The supervisor starts the daemon.
    Start {
        /// Where.
        node: usize,
        /// In which life.
        life: u64,
    },
    /// A fencing device acts.
    FenceFires(u64),
    /// A fencing device has made sure.
    FenceVerified(u64),
    /// Something breaks.
    Fault,
    /// And is mended.
    Undo(Undo),
    /// A client asks for something.
    Client,
    /// A client of this node writes.
    Write {
        /// Which.
        node: usize,
    },
    /// A client waits no longer.
    Patience {
        /// Which.
        client: ClientId,
        /// Run of the daemon it asked.
        epoch: u64,
    },
    /// The administrator looks at his list, and the harness at the cluster.
    Look,
}

/// What a run amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Faults that struck.
    pub faults: u64,
    /// Fencing operations ordered.
    pub fencings: u64,
    /// Starts of a resource elsewhere than last time.
    pub failovers: u64,
    /// Simulated time.
    pub simulated_ms: u64,
    /// From healing to rest.
    pub converged_ms: u64,
    /// Inputs given to cores.
    pub inputs: u64,
    /// Runs of the scheduler.
    pub schedules: u64,
}

/// A universe.
pub(crate) struct World<'a> {
    pub(crate) universe: Universe,
    pub(crate) now: u64,
    counter: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pub(crate) rng: Rng,
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Network<Parcel>,
    pub(crate) shots: BTreeMap<u64, Shot>,
    pub(crate) asked: BTreeMap<ClientId, Asked>,
    pub(crate) tasks: VecDeque<Request>,
    /// The administrator has yet to list what must be put right after the faults.
    pub(crate) repairs_due: bool,
    pub(crate) resources: Vec<String>,
    pub(crate) healed: bool,
    pub(crate) schedule: Schedule<'a>,
    pub(crate) trace: Trace,
    pub(crate) statistics: Statistics,
    checkers: Vec<Box<dyn Checker>>,
    pub(crate) violation: Option<Violation>,
    last_place: BTreeMap<String, NodeName>,
}

impl<'a> World<'a> {
    /// A universe before its beginning: machines that are about to start their daemons, with a log
    /// in which all of them are members.
    pub(crate) fn new(
        universe: Universe,
        mut rng: Rng,
        schedule: Schedule<'a>,
        trace: Trace,
    ) -> Self {
        let count = universe.nodes;
        let hosts = (0..count).map(|i| machine(i, count, &mut rng)).collect();
        let mut world = Self {
            now: 0,
            counter: 0,
            queue: BTreeMap::new(),
            hosts,
            net: Network::new(count, universe.network.clone()),
            shots: BTreeMap::new(),
            asked: BTreeMap::new(),
            tasks: configuration::first_requests(&universe).into(),
            repairs_due: false,
            resources: configuration::resources(&universe),
            healed: true,
            schedule,
            trace,
            statistics: Statistics::default(),
            checkers: checkers::all(),
            violation: None,
            last_place: BTreeMap::new(),
            universe,
            rng,
        };
        for node in 0..count {
            world.boot_soon(node);
        }
        world
    }

    /// Dismisses all other checkers.
    pub(crate) fn watch_only(&mut self, names: &[&str]) {
        self.checkers.retain(|c| names.contains(&c.name()));
    }

    /// A number never given before.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Plans something.
    pub(crate) fn after(&mut self, delay_ms: u64, event: Event) {
        let key = (self.now + delay_ms, self.fresh());
        self.queue.insert(key, event);
    }

    /// Takes the next event and moves time to it; nothing if none is left.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let ((at_ms, _), event) = self.queue.pop_first()?;
        self.now = self.now.max(at_ms);
        Some(event)
    }

    /// Number of a node.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|h| *h.name == *name)
    }

    /// Writes a line of the trace.
    pub(crate) fn note(&mut self, node: Option<usize>, what: std::fmt::Arguments<'_>) {
        if self.trace.is_on() {
            let who = node.map_or("", |n| &self.hosts[n].name);
            self.trace.line(self.now, who, what);
        }
    }

    /// Gives a fact to every checker.
    pub(crate) fn tell(&mut self, truth: Truth) {
        if !matches!(truth, Truth::Lacking(_)) {
            self.note(None, format_args!("* {truth:?}"));
        }
        if let Truth::Active { place, resource } = &truth {
            let before = self.last_place.insert(resource.clone(), place.0.clone());
            self.statistics.failovers += u64::from(before.is_some_and(|b| b != place.0));
        }
        for checker in &mut self.checkers {
            if let Err(saw) = checker.see(self.now, &truth)
                && self.violation.is_none()
            {
                self.violation = Some(Violation {
                    checker: checker.name(),
                    at_ms: self.now,
                    saw,
                });
            }
        }
    }

    /// Does what the moment brings.
    pub(crate) fn happen(&mut self, event: Event) {
        if let Some(node) = lives_on(&event)
            && self.hosts[node].paused
        {
            self.hosts[node].backlog.push(event);
            return;
        }
        match event {
            Event::Arrives {
                from,
                to,
                epoch,
                parcel,
            } => self.arrives(from, to, epoch, parcel),
            Event::ForDaemon { node, epoch, input } => {
                if self.hosts[node].epoch() == Some(epoch) {
                    self.input(node, input);
                }
            }
            Event::Closed { node, epoch, peer } => self.closed(node, epoch, peer),
            Event::Probe {
                node,
                epoch,
                peer,
                until_ms,
            } => self.probed(node, epoch, peer, until_ms),
            Event::CoreDue { node, epoch } => self.core_due(node, epoch),
            Event::RaftDue { node, epoch } => self.raft_due(node, epoch),
            Event::AgentEnds { node, life, run } => {
                if self.hosts[node].life.number == life {
                    self.agent_ends(node, run);
                }
            }
            Event::Boot { node, boot } => self.booted(node, boot),
            Event::Start { node, life } => self.start_daemon(node, life),
            Event::FenceFires(id) => self.fence_fires(id),
            Event::FenceVerified(id) => self.fence_verified(id),
            Event::Fault => self.fault(),
            Event::Undo(undo) => self.undo(undo),
            Event::Client => self.next_client(),
            Event::Write { node } => self.write(Some(node)),
            Event::Patience { client, epoch } => self.impatient(client, epoch),
            Event::Look => {}
        }
    }
}

/// The machine whose processes must run for this to happen.
fn lives_on(event: &Event) -> Option<usize> {
    match event {
        Event::Arrives { to, .. } => Some(*to),
        Event::ForDaemon { node, .. }
        | Event::Closed { node, .. }
        | Event::CoreDue { node, .. }
        | Event::RaftDue { node, .. }
        | Event::AgentEnds { node, .. }
        | Event::Start { node, .. } => Some(*node),
        _ => None,
    }
}

fn machine(index: usize, count: usize, rng: &mut Rng) -> Host {
    let config = Config {
        voters: vec![(1..=count as u64).collect()],
        learners: Default::default(),
    };
    let members = (0..count).map(|i| Entry::MemberAdded(member(i)));
    let ahead_ms = rng.range(60_000, 600_000) as i64;
    Host {
        name: node_name(index).as_str().into(),
        power: Power::Off,
        supervised: false,
        life: Life::default(),
        boot: 0,
        incarnation: 0,
        mono_ahead_ms: ahead_ms,
        wall_ahead_s: rng.range(0, 4) as i64 - 2,
        paused: false,
        backlog: Vec::new(),
        daemon: None,
        store: Store::with(config, members),
        journal: Vec::new(),
        execs: BTreeMap::new(),
        active: BTreeMap::new(),
        doom: None,
    }
}

/// The member that a node is.
pub(crate) fn member(index: usize) -> Member {
    Member {
        node: node_name(index).as_str().into(),
        raft_id: index as u64 + 1,
        addresses: vec![format!("192.0.2.{}", index + 1)],
        ports: Ports::default(),
    }
}

/// An order to fence, for the trace.
pub(crate) fn describe(order: &FenceOrder) -> String {
    format!(
        "{} {} up to life {} (intent {})",
        order.action, order.target, order.life_number, order.intent
    )
}
