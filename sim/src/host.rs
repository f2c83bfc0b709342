//! One machine: its power, its daemon, what survives the end of each.

use crate::{
    agents::{Activity, Exec},
    raft::{Raft, Store},
    world::Event,
};
use crmd_core::{
    Node,
    ids::{Incarnation, Life, NodeName, Now, Term},
    input::Input,
    journal::JournalRecord,
};
use std::collections::{BTreeMap, VecDeque};

/// What answers on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Nothing, also while it boots.
    Off,
    /// The kernel; it refuses what no process listens for.
    On,
}

/// A machine.
#[derive(Debug)]
pub(crate) struct Host {
    /// Its name.
    pub name: NodeName,
    /// Whether it has power and a kernel that answers.
    pub power: Power,
    /// Whether the supervisor runs: from the start of the services until the machine's processes end.
    pub supervised: bool,
    /// Present or last boot.
    pub life: Life,
    /// Changes whenever a planned boot becomes void.
    pub boot: u64,
    /// Runs of the daemon in this life.
    pub incarnation: Incarnation,
    /// The monotonic clock is this far ahead of the universe's.
    pub mono_ahead_ms: i64,
    /// The calendar is this far ahead.
    pub wall_ahead_s: i64,
    /// All processes are stopped; what comes for them waits.
    pub paused: bool,
    /// What waited.
    pub backlog: Vec<Event>,
    /// The running daemon.
    pub daemon: Option<Daemon>,
    /// Raft's disk while the daemon does not run.
    pub store: Store,
    /// The journal in the run directory.
    pub journal: Vec<JournalRecord>,
    /// Running agents.
    pub execs: BTreeMap<u64, Exec>,
    /// What is active here, whoever knows.
    pub active: BTreeMap<String, Activity>,
    /// Commands to carry out before everything ends; a fault that strikes between two commands.
    pub doom: Option<(u64, bool)>,
}

/// A daemon's run.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Unique over the universe.
    pub epoch: u64,
    /// The core.
    pub core: Node,
    /// Its Raft.
    pub raft: Raft,
    /// Term in which the core was told that it leads.
    pub leads_in: Term,
    /// What it has still to be told, in order.
    pub inbox: VecDeque<Input>,
    /// Wake-ups planned for core and Raft, in the universe's time.
    pub wake_core_ms: Option<u64>,
    /// See above.
    pub wake_raft_ms: Option<u64>,
    /// Second of the last ticks and how many came in it.
    pub ticks: (u64, u32),
    /// Entries applied since the last snapshot.
    pub since_snapshot: u64,
    /// For each peer the run of its daemon this one is connected to; nothing: closed by the peer.
    pub connected: Vec<Option<u64>>,
}

impl Host {
    /// The machine's clocks at a moment of the universe.
    pub(crate) fn now(&self, now_ms: u64) -> Now {
        Now {
            mono_ms: now_ms.saturating_add_signed(self.mono_ahead_ms),
            wall_s: 1_800_000_000 + (now_ms / 1000) as i64 + self.wall_ahead_s,
        }
    }

    /// The universe's time of a moment of the machine's clock.
    pub(crate) fn universe_ms(&self, mono_ms: u64) -> u64 {
        mono_ms.saturating_add_signed(-self.mono_ahead_ms)
    }

    /// The run of its daemon, if one runs.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.daemon.as_ref().map(|d| d.epoch)
    }

    /// Node and life, as a place where resources can be.
    pub(crate) fn place(&self) -> (NodeName, u64) {
        (self.name.clone(), self.life.number)
    }
}
