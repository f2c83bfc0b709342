//! Messages, connections and probes between the machines.

use crate::{
    host::Power,
    network::Lane,
    truth::Truth,
    world::{Event, Parcel, World},
};
use crmd_core::{
    input::{HostFinding, Input},
    message::Message,
};

impl World<'_> {
    /// Sends to a peer, over the connection to the daemon that runs there.
    pub(crate) fn post(&mut self, from: usize, to: usize, parcel: Parcel) {
        if let Parcel::Core(Message::OrderTaken { term, .. }) = &parcel {
            let host = &self.hosts[from];
            let (by, incarnation) = ((host.name.clone(), host.life.clone()), host.incarnation);
            let (from, term) = (self.hosts[to].name.clone(), *term);
            self.tell(Truth::OrderTaken {
                by,
                incarnation,
                from,
                term,
            });
        }
        if self.hosts[to].power == Power::Off {
            return;
        }
        if !self.connect(from, to, matches!(parcel, Parcel::Raft(_))) {
            return;
        }
        let lane = match &parcel {
            Parcel::Core(Message::Beat(_)) => Lane::Beats,
            Parcel::Core(_) => Lane::Deliver,
            Parcel::Raft(_) => Lane::Raft,
        };
        self.transmit(from, to, lane, parcel);
    }

    fn transmit(&mut self, from: usize, to: usize, lane: Lane, parcel: Parcel) {
        let Some(epoch) = self.hosts[to].epoch() else {
            return;
        };
        let twice = lane == Lane::Deliver && self.rng.chance(self.universe.network.twice_permille);
        let again = twice.then(|| parcel.clone());
        let sent = self
            .net
            .send(self.now, &mut self.rng, (from, to), lane, parcel);
        if let Some((at_ms, parcel)) = sent {
            let delay_ms = at_ms - self.now;
            self.after(
                delay_ms,
                Event::Arrives {
                    from,
                    to,
                    epoch,
                    parcel,
                },
            );
            if let Some(parcel) = again {
                let later_ms = delay_ms + self.rng.range(5, 800);
                self.after(
                    later_ms,
                    Event::Arrives {
                        from,
                        to,
                        epoch,
                        parcel,
                    },
                );
            }
        }
    }

    /// Whether a connection to the peer's present daemon stands or can be made. A refusal or the end
    /// of a connection by the peer's side is told to the core, once.
    fn connect(&mut self, from: usize, to: usize, quietly: bool) -> bool {
        let there = self.hosts[to].epoch();
        let reachable = self.net.both_ways(from, to);
        let Some(daemon) = self.hosts[from].daemon.as_mut() else {
            return false;
        };
        let known = daemon.connected[to];
        if there.is_some() && (known == there || !reachable) {
            return true;
        }
        if quietly || !reachable {
            return there.is_some();
        }
        let epoch = daemon.epoch;
        daemon.connected[to] = there;
        match (known, there) {
            // Closed before, and the new daemon takes connections; or the first connection of all.
            (None | Some(0), Some(_)) => true,
            // Still refused.
            (None, None) => false,
            _ => {
                let delay_ms = 1 + self.net.delay(&mut self.rng);
                self.after(
                    delay_ms,
                    Event::Closed {
                        node: from,
                        epoch,
                        peer: to,
                    },
                );
                false
            }
        }
    }

    /// A daemon has ended: its kernel, if that lives, closes its connections.
    pub(crate) fn hang_up(&mut self, node: usize) {
        if self.hosts[node].power == Power::Off {
            return;
        }
        for peer in 0..self.hosts.len() {
            let open = self.net.is_open(node, peer);
            let delay_ms = 1 + self.net.delay(&mut self.rng);
            let Some(daemon) = self.hosts[peer].daemon.as_mut() else {
                continue;
            };
            if open && peer != node && daemon.connected[node].is_some() {
                daemon.connected[node] = None;
                let epoch = daemon.epoch;
                self.after(
                    delay_ms,
                    Event::Closed {
                        node: peer,
                        epoch,
                        peer: node,
                    },
                );
            }
        }
    }

    pub(crate) fn closed(&mut self, node: usize, epoch: u64, peer: usize) {
        if self.hosts[node].epoch() == Some(epoch) {
            let peer = self.hosts[peer].name.clone();
            self.input(node, Input::LinkClosed { peer });
        }
    }

    pub(crate) fn arrives(&mut self, from: usize, to: usize, epoch: u64, parcel: Parcel) {
        if self.hosts[to].epoch() != Some(epoch) {
            return;
        }
        match parcel {
            Parcel::Core(message) => {
                let from = self.hosts[from].name.clone();
                self.input(to, Input::Received { from, message });
            }
            Parcel::Raft(wire) => {
                let now = self.now;
                if let Some(daemon) = self.hosts[to].daemon.as_mut() {
                    daemon.raft.receive(now, from as u64 + 1, wire);
                }
                self.pump(to);
            }
        }
    }

    /// Asks a host what still answers there.
    pub(crate) fn probe(&mut self, node: usize, peer: usize, deadline_ms: u64) {
        let Some(epoch) = self.hosts[node].epoch() else {
            return;
        };
        let until_ms = self.now + deadline_ms;
        let delay_ms = 1 + self.net.delay(&mut self.rng);
        self.after(
            delay_ms,
            Event::Probe {
                node,
                epoch,
                peer,
                until_ms,
            },
        );
    }

    pub(crate) fn probed(&mut self, node: usize, epoch: u64, peer: usize, until_ms: u64) {
        let host = &self.hosts[peer];
        let answers = self.net.both_ways(node, peer) && host.power == Power::On && !host.paused;
        let finding = match (answers, host.daemon.is_some(), host.supervised) {
            (false, _, _) => HostFinding::Silent,
            (true, true, _) => HostFinding::DaemonBack,
            (true, false, true) => HostFinding::HostLives,
            (true, false, false) => HostFinding::AllRefused,
        };
        let peer = host.name.clone();
        let delay_ms = match finding {
            HostFinding::Silent => until_ms.saturating_sub(self.now),
            _ => self.net.delay(&mut self.rng),
        };
        let input = Input::HostProbed { peer, finding };
        self.after(delay_ms, Event::ForDaemon { node, epoch, input });
    }

    /// Cuts or mends one direction.
    pub(crate) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        if cut {
            self.net.cut(self.now, from, to);
            return;
        }
        let released = self.net.heal(self.now, from, to);
        let there = self.hosts[to].epoch();
        // What was meant for an earlier run of the peer's daemon is reset by its host.
        let daemon = self.hosts[from].daemon.as_ref();
        if there.is_some() && daemon.is_some_and(|d| d.connected[to] == there) {
            for (lane, parcel) in released {
                self.transmit(from, to, lane, parcel);
            }
        }
    }
}
