//! Machines and daemons that start and end.

use crate::{
    host::{Daemon, Power},
    raft::Raft,
    rng::Rng,
    truth::Truth,
    world::{Event, World, member},
};
use crmd_core::{Identity, Node, ids::Life, journal::JournalRecord};
use std::collections::VecDeque;

impl World<'_> {
    /// Switches a machine on; its kernel answers after a while.
    pub(crate) fn boot_soon(&mut self, node: usize) {
        let boot = self.fresh();
        self.hosts[node].boot = boot;
        let took_ms = self
            .rng
            .range(self.universe.boot_ms / 2, self.universe.boot_ms);
        self.after(took_ms, Event::Boot { node, boot });
    }

    /// The kernel answers: a new life.
    pub(crate) fn booted(&mut self, node: usize, boot: u64) {
        if self.hosts[node].boot != boot || self.hosts[node].power == Power::On {
            return;
        }
        let random = self.rng.next();
        let ahead_ms = self.rng.range(2_000, 20_000) as i64 - self.now as i64;
        let host = &mut self.hosts[node];
        let number = host.life.number + 1;
        host.life = Life {
            number,
            id: format!("{}-{number}-{random:016x}", host.name),
        };
        host.power = Power::On;
        host.mono_ahead_ms = ahead_ms;
        host.incarnation = 0;
        host.journal = vec![JournalRecord::Life(host.life.clone())];
        self.note(Some(node), format_args!("boots into life {number}"));
        let services_ms = self.rng.range(50, 1_500);
        self.after(services_ms, Event::Start { node, life: number });
    }

    /// The supervisor starts the daemon, once every agent of the run before has ended.
    pub(crate) fn start_daemon(&mut self, node: usize, life: u64) {
        let host = &self.hosts[node];
        if host.power == Power::Off || host.life.number != life || host.daemon.is_some() {
            return;
        }
        if !host.execs.is_empty() {
            self.after(40, Event::Start { node, life });
            return;
        }
        let epoch = self.fresh();
        let rng = Rng::new(self.rng.next());
        let settings = self.universe.settings();
        let (now, count) = (self.now, self.hosts.len());
        let host = &mut self.hosts[node];
        host.supervised = true;
        host.incarnation += 1;
        let identity = Identity {
            node: host.name.clone(),
            life: host.life.clone(),
            incarnation: host.incarnation,
            version: "sim".to_owned(),
            member: member(node),
        };
        let core = Node::new(identity, settings, host.now(now));
        let store = std::mem::take(&mut host.store);
        host.daemon = Some(Daemon {
            epoch,
            core,
            raft: Raft::new(now, node as u64 + 1, store, rng),
            leads_in: 0,
            inbox: VecDeque::new(),
            wake_core_ms: None,
            wake_raft_ms: None,
            ticks: (0, 0),
            since_snapshot: 0,
            connected: vec![Some(0); count],
        });
        let incarnation = host.incarnation;
        let journal = host.journal.clone();
        self.note(
            Some(node),
            format_args!("daemon starts, incarnation {incarnation} of life {life}"),
        );
        let place = self.hosts[node].place();
        self.tell(Truth::Lives(place));
        self.guarded(node, "recover", |core, _| core.recover(journal));
        self.pump(node);
    }

    /// The daemon's process ends; agents run on.
    pub(crate) fn end_daemon(&mut self, node: usize, restarts: bool) {
        let Some(daemon) = self.hosts[node].daemon.take() else {
            return;
        };
        self.hosts[node].store = daemon.raft.into_store();
        self.hosts[node].doom = None;
        self.forget_clients(node);
        self.net.forget(node);
        self.hang_up(node);
        if restarts {
            self.end_orphans(node);
            let life = self.hosts[node].life.number;
            let wait_ms = self.rng.range(50, self.universe.restart_ms);
            self.after(wait_ms, Event::Start { node, life });
        }
    }

    /// A node that has left is started again by its administrator, sooner or later.
    pub(crate) fn come_back(&mut self, node: usize) {
        self.note(Some(node), format_args!("daemon has left"));
        let life = self.hosts[node].life.number;
        let wait_ms = self.rng.range(500, 15_000);
        self.after(wait_ms, Event::Start { node, life });
    }

    /// The daemon is killed; the supervisor starts it again.
    pub(crate) fn crash_daemon(&mut self, node: usize, why: &str) {
        self.note(Some(node), format_args!("daemon is killed ({why})"));
        self.end_daemon(node, true);
    }

    /// Every process of the machine is killed; its kernel refuses connections.
    pub(crate) fn kill_all(&mut self, node: usize, why: &str) {
        self.note(Some(node), format_args!("all processes are killed ({why})"));
        self.end_processes(node);
        self.end_daemon(node, false);
    }

    /// The machine loses power: nothing answers any more.
    pub(crate) fn power_off(&mut self, node: usize, why: &str) {
        self.note(Some(node), format_args!("power is off ({why})"));
        self.hosts[node].power = Power::Off;
        self.hosts[node].boot = 0;
        self.end_processes(node);
        self.end_daemon(node, false);
    }

    fn end_processes(&mut self, node: usize) {
        let place = self.hosts[node].place();
        self.forget_shots(node);
        let host = &mut self.hosts[node];
        host.supervised = false;
        host.paused = false;
        host.backlog.clear();
        host.execs.clear();
        host.active.clear();
        host.journal.clear();
        self.tell(Truth::Down(place));
    }
}
