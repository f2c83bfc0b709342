//! What breaks, when, and for how long: from the seed.

use crate::{
    host::Power,
    world::{Event, World},
};

/// What ends a fault.
#[derive(Clone, Debug)]
pub(crate) enum Undo {
    /// These ways are mended.
    Cuts(Vec<(usize, usize)>),
    /// The machine's processes go on.
    Resume(usize),
    /// Somebody switches the machine on.
    SwitchOn(usize),
    /// The network loses as little as before.
    Loss,
    /// The way is as quick as before.
    Slow(usize, usize),
}

impl World<'_> {
    /// Plans all faults: at least three, over a minute or more.
    pub(crate) fn plan_faults(&mut self) {
        let span_ms = self.universe.faults_ms.saturating_sub(8_000);
        for _ in 0..self.universe.faults {
            let at_ms = self.rng.below(span_ms);
            self.after(at_ms, Event::Fault);
        }
    }

    /// Something breaks now.
    pub(crate) fn fault(&mut self) {
        if self.healed {
            return;
        }
        let victim = self.victim();
        let (kind, lasts_ms) = (self.rng.below(18), self.rng.range(1_500, 18_000));
        self.statistics.faults += 1;
        let running = self.hosts[victim].daemon.is_some() && !self.hosts[victim].paused;
        match kind {
            0 | 1 if running => {
                self.power_off(victim, "power loss");
                self.maybe_switch_on(victim, lasts_ms);
            }
            2 if running => {
                self.kill_all(victim, "fault");
                self.maybe_switch_on(victim, lasts_ms);
            }
            3 | 4 if running => self.crash_daemon(victim, "fault"),
            5 | 6 if running => {
                let commands = self.rng.below(40);
                let whole = self.rng.chance(400);
                self.note(
                    Some(victim),
                    format_args!("doomed after {commands} commands"),
                );
                self.hosts[victim].doom = Some((commands, whole));
            }
            7 | 8 if running => self.pause(victim, lasts_ms),
            9 => self.isolate(victim, lasts_ms),
            10 => self.one_way(victim, lasts_ms),
            11 => self.lossy(lasts_ms),
            12 => self.slow(victim, lasts_ms),
            13 if running => self.break_resource(victim),
            14 if running => self.ask_to_leave(victim),
            15 => self.ask_to_fence(victim),
            16 if self.rng.chance(400) => self.blackout(lasts_ms),
            _ => self.partition(lasts_ms),
        }
    }

    /// Whoever leads in nearly half of the cases, anybody otherwise.
    fn victim(&mut self) -> usize {
        let leads = |w: &Self, n: usize| w.hosts[n].daemon.as_ref().is_some_and(|d| d.raft.leads());
        let leader = (0..self.hosts.len()).find(|n| leads(self, *n));
        let any = self.rng.index(self.hosts.len());
        if self.rng.chance(400) {
            leader.unwrap_or(any)
        } else {
            any
        }
    }

    fn maybe_switch_on(&mut self, node: usize, after_ms: u64) {
        if self.rng.chance(500) {
            self.after(after_ms, Event::Undo(Undo::SwitchOn(node)));
        }
    }

    /// Everything loses power at once; most machines boot again, one after the other.
    fn blackout(&mut self, lasts_ms: u64) {
        for node in 0..self.hosts.len() {
            if self.hosts[node].power == Power::On {
                self.power_off(node, "blackout");
            }
            if self.rng.chance(850) {
                let after_ms = self.rng.below(lasts_ms);
                self.after(after_ms, Event::Undo(Undo::SwitchOn(node)));
            }
        }
    }

    fn pause(&mut self, node: usize, lasts_ms: u64) {
        self.note(
            Some(node),
            format_args!("all processes stop for {lasts_ms} ms"),
        );
        self.hosts[node].paused = true;
        self.after(lasts_ms, Event::Undo(Undo::Resume(node)));
    }

    fn isolate(&mut self, node: usize, lasts_ms: u64) {
        let others = (0..self.hosts.len()).filter(|n| *n != node);
        let ways = others.flat_map(|n| [(n, node), (node, n)]).collect();
        self.note(Some(node), format_args!("is cut off for {lasts_ms} ms"));
        // People there do not know it yet.
        for _ in 0..3 {
            let at_ms = self.rng.range(20, 2_000);
            self.after(at_ms, Event::Write { node });
        }
        self.cut_all(ways, lasts_ms);
    }

    fn one_way(&mut self, node: usize, lasts_ms: u64) {
        let other = (node + 1 + self.rng.index(self.hosts.len() - 1)) % self.hosts.len();
        let lasts_ms = if self.rng.chance(400) {
            lasts_ms / 8
        } else {
            lasts_ms
        };
        self.note(
            Some(node),
            format_args!("is not heard by node {} for {lasts_ms} ms", other + 1),
        );
        self.cut_all(vec![(node, other)], lasts_ms);
    }

    fn partition(&mut self, lasts_ms: u64) {
        let count = self.hosts.len();
        let sides: Vec<bool> = (0..count).map(|_| self.rng.chance(500)).collect();
        let pairs = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        let ways: Vec<_> = pairs.filter(|(a, b)| sides[*a] != sides[*b]).collect();
        self.note(None, format_args!("partition {sides:?} for {lasts_ms} ms"));
        self.cut_all(ways, lasts_ms);
    }

    fn cut_all(&mut self, ways: Vec<(usize, usize)>, lasts_ms: u64) {
        for (from, to) in &ways {
            self.set_cut(*from, *to, true);
        }
        self.after(lasts_ms, Event::Undo(Undo::Cuts(ways)));
    }

    fn lossy(&mut self, lasts_ms: u64) {
        let permille = self.rng.range(50, 300);
        self.note(
            None,
            format_args!("{permille} in 1000 packets are lost for {lasts_ms} ms"),
        );
        self.net.character.loss_permille = permille;
        self.after(lasts_ms, Event::Undo(Undo::Loss));
    }

    fn slow(&mut self, node: usize, lasts_ms: u64) {
        let by_ms = self.rng.range(100, 1_500);
        self.note(
            Some(node),
            format_args!("sends {by_ms} ms later for {lasts_ms} ms"),
        );
        for to in 0..self.hosts.len() {
            self.net.slow(node, to, by_ms);
            self.after(lasts_ms, Event::Undo(Undo::Slow(node, to)));
        }
    }

    fn break_resource(&mut self, node: usize) {
        let here: Vec<String> = self.hosts[node].active.keys().cloned().collect();
        if let Some(resource) = self.rng.pick(&here).cloned() {
            self.note(Some(node), format_args!("{resource} dies"));
            self.crash_resource(node, &resource);
        }
    }

    /// A fault ends.
    pub(crate) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Cuts(ways) => {
                for (from, to) in ways {
                    self.set_cut(from, to, false);
                }
            }
            Undo::Resume(node) => self.resume(node),
            Undo::SwitchOn(node) => self.switch_on(node),
            Undo::Loss => {
                self.net.character.loss_permille = self.universe.network.loss_permille;
            }
            Undo::Slow(from, to) => self.net.slow(from, to, 0),
        }
    }

    fn resume(&mut self, node: usize) {
        if !self.hosts[node].paused {
            return;
        }
        self.note(Some(node), format_args!("processes go on"));
        self.hosts[node].paused = false;
        for event in std::mem::take(&mut self.hosts[node].backlog) {
            self.after(0, event);
        }
    }

    /// A machine that is off, or whose processes are gone, boots.
    pub(crate) fn switch_on(&mut self, node: usize) {
        let host = &self.hosts[node];
        if host.power == Power::On && host.daemon.is_none() && !host.supervised {
            self.power_off(node, "switched off and on");
        }
        let host = &self.hosts[node];
        if host.power == Power::Off && host.boot == 0 {
            self.boot_soon(node);
        }
    }

    /// Everything is mended, and nothing fails any more.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        self.net.character.loss_permille = 0;
        for from in 0..self.hosts.len() {
            for to in 0..self.hosts.len() {
                self.net.slow(from, to, 0);
                while self.net.cuts(from, to) > 0 {
                    self.set_cut(from, to, false);
                }
            }
        }
        for node in 0..self.hosts.len() {
            self.hosts[node].doom = None;
            self.resume(node);
            self.switch_on(node);
        }
    }
}
