//! The model itself keeps Raft's promises: what one node has applied, no other ever has differently,
//! and a proposal that was acknowledged stays.

use super::{Config, Output, Payload, Raft, Store, Wire};
use crate::rng::Rng;
use crmd_core::{
    entry::Entry,
    ids::{Index, RaftId},
};
use std::collections::BTreeMap;

struct Cluster {
    rng: Rng,
    now_ms: u64,
    rafts: Vec<Raft>,
    wires: Vec<(RaftId, RaftId, Wire)>,
    applied: BTreeMap<Index, Payload>,
    acknowledged: Vec<(Index, u64)>,
    proposed: u64,
    ready: u64,
    installed: u64,
}

impl Cluster {
    fn new(seed: u64, count: u64) -> Self {
        let mut rng = Rng::new(seed);
        let config = Config {
            voters: vec![(1..=count).collect()],
            learners: Default::default(),
        };
        let mut raft = |id| {
            let store = Store::with(config.clone(), [Entry::Blank]);
            Raft::new(0, id, store, Rng::new(rng.next()))
        };
        let rafts = (1..=count).map(&mut raft).collect();
        Self {
            rng,
            now_ms: 0,
            rafts,
            wires: Vec::new(),
            applied: BTreeMap::new(),
            acknowledged: Vec::new(),
            proposed: 0,
            ready: 0,
            installed: 0,
        }
    }

    fn step(&mut self) {
        self.now_ms += self.rng.below(60);
        let one = self.rng.index(self.rafts.len());
        let now_ms = self.now_ms;
        match self.rng.below(1000) {
            0..600 => self.deliver(),
            600..900 => self.rafts[one].tick(now_ms),
            900..970 => {
                let term = self.rafts[one].store.term;
                self.proposed += 1;
                let entry = named(self.proposed);
                self.rafts[one].propose(now_ms, self.proposed, term, entry);
            }
            970..975 => self.rafts[one].campaign(now_ms),
            975..980 => {
                let to = self.rng.range(1, self.rafts.len() as u64);
                self.rafts[one].transfer(to);
            }
            980..985 => self.change(one),
            985..990 => self.rafts[one].compact(vec![1], 2),
            990..995 => self.restart(one),
            _ => self.wires.clear(),
        }
        self.collect();
    }

    fn deliver(&mut self) {
        if self.wires.is_empty() {
            return;
        }
        let which = self.rng.index(self.wires.len());
        let (from, to, wire) = self.wires.swap_remove(which);
        if !self.rng.chance(50) {
            self.rafts[to as usize - 1].receive(self.now_ms, from, wire);
        }
    }

    fn change(&mut self, one: usize) {
        let count = self.rafts.len() as u64;
        let mut voters: std::collections::BTreeSet<RaftId> = (1..=count).collect();
        let mut learners = std::collections::BTreeSet::new();
        for _ in 0..self.rng.below(count / 2 + 1) {
            let out = self.rng.range(1, count);
            if voters.remove(&out) && self.rng.chance(500) {
                learners.insert(out);
            }
        }
        let now_ms = self.now_ms;
        self.rafts[one].change(now_ms, voters, learners);
    }

    fn restart(&mut self, one: usize) {
        let id = one as u64 + 1;
        let rng = Rng::new(self.rng.next());
        let empty = Raft::new(0, id, Store::default(), rng.clone());
        let store = std::mem::replace(&mut self.rafts[one], empty).into_store();
        self.rafts[one] = Raft::new(self.now_ms, id, store, rng);
    }

    fn collect(&mut self) {
        for (raft, from) in self.rafts.iter_mut().zip(1..) {
            for output in raft.take_outputs() {
                match output {
                    Output::Send(to, wire) => self.wires.push((from, to, wire)),
                    Output::Apply(index, payload) => {
                        let known = self.applied.entry(index).or_insert_with(|| payload.clone());
                        assert_eq!(*known, payload, "entry {index} on {from}");
                    }
                    Output::Proposed(id, Ok(index)) => self.acknowledged.push((index, id)),
                    Output::Ready(_) => self.ready += 1,
                    Output::Installed(_) => self.installed += 1,
                    _ => {}
                }
            }
        }
    }
}

fn named(id: u64) -> Entry {
    let node = id.to_string().as_str().into();
    Entry::MemberRemoved { node }
}

#[test]
fn no_two_nodes_apply_different_entries() {
    let (mut ready, mut acknowledged, mut installed) = (0, 0, 0);
    for seed in 0..60 {
        let mut cluster = Cluster::new(seed, if seed % 2 == 0 { 3 } else { 5 });
        for _ in 0..6_000 {
            cluster.step();
        }
        for (index, id) in &cluster.acknowledged {
            let expected = Payload::Fact(named(*id).into());
            assert_eq!(cluster.applied.get(index), Some(&expected));
        }
        ready += cluster.ready;
        acknowledged += cluster.acknowledged.len();
        installed += cluster.installed;
    }
    assert!(ready > 100, "{ready} leaders");
    assert!(acknowledged > 1_000, "{acknowledged} acknowledged");
    assert!(installed > 50, "{installed} snapshots");
}
