//! What lies between the nodes: delays, losses, cuts, and connections that behave as TCP's do.
//!
//! A message that is lost on the wire comes later (it is sent again), and everything behind it on
//! the same connection too; what waits behind a cut comes in order when the cut heals in time, and
//! is gone with its connection when it does not. A cut in one direction ends both after a while,
//! because nothing is acknowledged any more.

use crate::rng::Rng;

/// A connection's use; each has its own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Heartbeats.
    Beats,
    /// Everything else between two cores.
    Deliver,
    /// Raft's calls, each on its own: not in order.
    Raft,
}

/// The character of this universe's network.
#[derive(Clone, Debug)]
pub(crate) struct Character {
    /// Least time on the way.
    pub base_ms: u64,
    /// Up to this much more, each time anew.
    pub jitter_ms: u64,
    /// Packets lost, in a thousand.
    pub loss_permille: u64,
    /// Messages that come twice because a connection was made anew, in a thousand.
    pub twice_permille: u64,
    /// Unacknowledged data ends a connection after this time.
    pub user_timeout_ms: u64,
}

/// One direction between two nodes.
#[derive(Clone, Debug)]
struct Way<T> {
    cuts: u32,
    cut_since_ms: u64,
    slow_ms: u64,
    beats: Line<T>,
    deliver: Line<T>,
}

#[derive(Clone, Debug)]
struct Line<T> {
    last_ms: u64,
    waiting: Vec<(u64, T)>,
}

/// All ways.
#[derive(Debug)]
pub(crate) struct Network<T> {
    nodes: usize,
    ways: Vec<Way<T>>,
    /// How it behaves now.
    pub character: Character,
}

impl<T> Network<T> {
    /// Everything connected.
    pub(crate) fn new(nodes: usize, character: Character) -> Self {
        let line = || Line {
            last_ms: 0,
            waiting: Vec::new(),
        };
        let way = || Way {
            cuts: 0,
            cut_since_ms: 0,
            slow_ms: 0,
            beats: line(),
            deliver: line(),
        };
        Self {
            nodes,
            ways: (0..nodes * nodes).map(|_| way()).collect(),
            character,
        }
    }

    fn way(&self, from: usize, to: usize) -> &Way<T> {
        &self.ways[from * self.nodes + to]
    }

    fn way_mut(&mut self, from: usize, to: usize) -> &mut Way<T> {
        &mut self.ways[from * self.nodes + to]
    }

    /// Cuts one direction (once more).
    pub(crate) fn cut(&mut self, now_ms: u64, from: usize, to: usize) {
        let way = self.way_mut(from, to);
        if way.cuts == 0 {
            way.cut_since_ms = now_ms;
        }
        way.cuts += 1;
    }

    /// Takes back one cut of a direction. Returns what had waited, to be sent now, in order.
    pub(crate) fn heal(&mut self, now_ms: u64, from: usize, to: usize) -> Vec<(Lane, T)> {
        let limit = self.character.user_timeout_ms;
        let way = self.way_mut(from, to);
        way.cuts = way.cuts.saturating_sub(1);
        if way.cuts > 0 {
            return Vec::new();
        }
        let mut released = Vec::new();
        for (lane, line) in [
            (Lane::Beats, &mut way.beats),
            (Lane::Deliver, &mut way.deliver),
        ] {
            let waiting = std::mem::take(&mut line.waiting);
            let first = waiting.first().map_or(now_ms, |(at, _)| *at);
            if now_ms <= first + limit {
                released.extend(waiting.into_iter().map(|(_, t)| (lane, t)));
            }
        }
        released
    }

    /// Whether a packet can go this way now.
    pub(crate) fn is_open(&self, from: usize, to: usize) -> bool {
        self.way(from, to).cuts == 0
    }

    /// Whether a question and its answer get through.
    pub(crate) fn both_ways(&self, a: usize, b: usize) -> bool {
        self.is_open(a, b) && self.is_open(b, a)
    }

    /// How many cuts of this way are in force.
    pub(crate) fn cuts(&self, from: usize, to: usize) -> u32 {
        self.way(from, to).cuts
    }

    /// Makes a way slower by this much.
    pub(crate) fn slow(&mut self, from: usize, to: usize, by_ms: u64) {
        self.way_mut(from, to).slow_ms = by_ms;
    }

    /// Forgets what waits at a node that has lost its memory.
    pub(crate) fn forget(&mut self, node: usize) {
        for to in 0..self.nodes {
            let way = self.way_mut(node, to);
            way.beats.waiting.clear();
            way.deliver.waiting.clear();
        }
    }

    /// When a message sent now arrives; nothing if it does not (it may wait behind a cut).
    pub(crate) fn send(
        &mut self,
        now_ms: u64,
        rng: &mut Rng,
        (from, to): (usize, usize),
        lane: Lane,
        message: T,
    ) -> Option<(u64, T)> {
        let limit = self.character.user_timeout_ms;
        let back = self.way(to, from);
        let mute = back.cuts > 0 && now_ms > back.cut_since_ms + limit;
        let cut = self.way(from, to).cuts > 0 || mute;
        let mut delay_ms = self.delay(rng) + self.way(from, to).slow_ms;
        if lane == Lane::Raft {
            let lost = cut || rng.chance(self.character.loss_permille);
            return (!lost).then(|| (now_ms + delay_ms, message));
        }
        let mut again_ms = 200;
        while rng.chance(self.character.loss_permille) && again_ms < 2_000 {
            delay_ms += again_ms;
            again_ms *= 2;
        }
        let way = self.way_mut(from, to);
        let line = match lane {
            Lane::Beats => &mut way.beats,
            _ => &mut way.deliver,
        };
        if cut {
            line.waiting.push((now_ms, message));
            return None;
        }
        line.last_ms = line.last_ms.max(now_ms + delay_ms);
        Some((line.last_ms, message))
    }

    /// Time of one packet.
    pub(crate) fn delay(&self, rng: &mut Rng) -> u64 {
        self.character.base_ms + rng.below(self.character.jitter_ms + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network<u32> {
        let character = Character {
            base_ms: 1,
            jitter_ms: 20,
            loss_permille: 200,
            twice_permille: 0,
            user_timeout_ms: 1_000,
        };
        Network::new(2, character)
    }

    #[test]
    fn a_connection_keeps_its_order_whatever_is_lost() {
        let (mut net, mut rng) = (network(), Rng::new(7));
        let mut last = 0;
        for at in 0..500 {
            let (arrives, _) = net.send(at, &mut rng, (0, 1), Lane::Deliver, 0).unwrap();
            assert!(arrives >= last);
            last = arrives;
        }
        assert!(last > 500, "some were sent again");
    }

    #[test]
    fn a_short_cut_delays_and_a_long_one_loses() {
        let (mut net, mut rng) = (network(), Rng::new(7));
        net.cut(0, 0, 1);
        assert!(net.send(10, &mut rng, (0, 1), Lane::Beats, 5).is_none());
        assert_eq!(net.heal(900, 0, 1), [(Lane::Beats, 5)]);
        net.cut(1_000, 0, 1);
        assert!(net.send(1_010, &mut rng, (0, 1), Lane::Beats, 6).is_none());
        assert!(net.heal(2_500, 0, 1).is_empty());
    }

    #[test]
    fn one_way_ends_both() {
        let (mut net, mut rng) = (network(), Rng::new(7));
        net.cut(0, 0, 1);
        assert!(net.send(900, &mut rng, (1, 0), Lane::Beats, 1).is_some());
        assert!(net.send(1_100, &mut rng, (1, 0), Lane::Beats, 1).is_none());
    }
}
