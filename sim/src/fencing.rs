//! Fencing devices: they take time, fail now and then, and really cut the power.

use crate::{
    host::Power,
    truth::Truth,
    world::{Event, World},
};
use crmd_core::{
    command::FenceOrder,
    entry::Grade,
    input::{FenceOutcome, Input},
};

/// A fencing operation under way.
#[derive(Clone, Debug)]
pub(crate) struct Shot {
    order: FenceOrder,
    target: usize,
    /// Who carries it out, and the run of the daemon that waits for the outcome.
    by: usize,
    epoch: u64,
    life: u64,
    fired: bool,
    fails: bool,
}

impl World<'_> {
    /// Takes an order to fence.
    pub(crate) fn fence(&mut self, by: usize, order: FenceOrder) {
        let (Some(target), Some(epoch)) = (self.index(&order.target), self.hosts[by].epoch())
        else {
            return;
        };
        self.statistics.fencings += 1;
        let fails = !self.healed && self.rng.chance(self.universe.fencing_fails_permille);
        let took_ms = self.rng.range(50, self.universe.fencing_ms);
        let fires_ms = order.delay_ms + took_ms;
        let life = self.hosts[by].life.number;
        let id = self.fresh();
        let fired = false;
        let shot = Shot {
            order,
            target,
            by,
            epoch,
            life,
            fired,
            fails,
        };
        self.shots.insert(id, shot);
        self.after(fires_ms, Event::FenceFires(id));
    }

    /// The device acts.
    pub(crate) fn fence_fires(&mut self, id: u64) {
        let Some(mut shot) = self.shots.remove(&id) else {
            return;
        };
        let (target, ends) = (shot.target, shot.order.action != "on");
        let life = self.hosts[target].life.number;
        if life > shot.order.life_number && ends {
            let reason = format!("{} is in life {life} already", self.hosts[target].name);
            self.fence_failed(&shot, reason);
            return;
        }
        let half_done = self.rng.chance(300);
        let works = !shot.fails || half_done;
        shot.fired = true;
        self.shots.insert(id, shot);
        if ends && works && self.hosts[target].power == Power::On {
            let place = self.hosts[target].place();
            self.tell(Truth::Shot(place));
            self.power_off(target, "fenced");
        }
        let verify_ms = self.rng.range(10, 400);
        self.after(verify_ms, Event::FenceVerified(id));
    }

    /// The device was asked whether it is off, and switched on again what shall boot.
    pub(crate) fn fence_verified(&mut self, id: u64) {
        let Some(shot) = self.shots.remove(&id) else {
            return;
        };
        let target = shot.target;
        let life = self.hosts[target].life.number;
        let off = self.hosts[target].power == Power::Off && life <= shot.order.life_number;
        if shot.fails || !(off || shot.order.action == "on") {
            self.fence_failed(&shot, "the device did not answer".to_owned());
            // A device that cut the power and then failed leaves the node off: somebody finds it later.
            return;
        }
        if shot.order.action != "off" && self.hosts[target].power == Power::Off {
            self.boot_soon(target);
        }
        if shot.order.action != "on" && self.hosts[shot.by].epoch() == Some(shot.epoch) {
            let place = (shot.order.target.clone(), shot.order.life_number);
            self.tell(Truth::ProvenDown(place));
        }
        let outcome = FenceOutcome::Confirmed {
            grade: Grade::VerifiedOff,
            device: "fencing".to_owned(),
            by: self.hosts[shot.by].name.clone(),
        };
        self.fence_report(&shot, outcome);
    }

    fn fence_failed(&mut self, shot: &Shot, reason: String) {
        self.fence_report(shot, FenceOutcome::Failed { reason });
    }

    /// A coordinator that is gone meanwhile never hears of it.
    fn fence_report(&mut self, shot: &Shot, outcome: FenceOutcome) {
        let intent = shot.order.intent.clone();
        let (node, epoch) = (shot.by, shot.epoch);
        let input = Input::FenceDone { intent, outcome };
        self.after(1, Event::ForDaemon { node, epoch, input });
    }

    /// A machine has lost its memory: what its fencing daemon had not fired yet never happens.
    pub(crate) fn forget_shots(&mut self, by: usize) {
        let life = self.hosts[by].life.number;
        self.shots
            .retain(|_, s| s.by != by || s.life != life || s.fired);
    }
}
