//! What happens to the power of machines, and to their daemons.

use super::{Event, Harness, TCP_PATIENCE};
use crate::{
    network::{MachineId, address, addresses, stonithd_address},
    switches,
    world::{Program, World},
};
use rand::Rng;
use sim::truth::Truth;
use std::time::Duration;
use transport::life;

/// After this somebody has seen that a machine which a switch has cut off stays off.
const FOUND_AFTER: Duration = Duration::from_secs(25);

impl Harness<'_> {
    /// A switch does one thing after the other.
    pub(super) fn told_to_switch(
        &mut self,
        machine: MachineId,
        device: String,
        on: bool,
        after: Duration,
    ) {
        let now = self.now();
        let at = {
            let mut world = self.world.lock();
            let busy = world.machines[machine].switch_busy.entry(device.clone());
            let busy = busy.or_default();
            *busy = (now + after).max(*busy);
            *busy
        };
        let event = Event::Switch {
            machine,
            device,
            on,
        };
        match at <= now {
            true => self.happen(event),
            false => self.plan(at - now, event),
        }
    }

    /// A machine whose power comes back boots.
    pub(super) fn switch(&mut self, number: MachineId, device: String, on: bool) {
        let (supplied, running) = {
            let mut world = self.world.lock();
            let machine = &mut world.machines[number];
            match on {
                true => machine.off.remove(&device),
                false => machine.off.insert(device),
            };
            (switches::supplied(&machine.off), machine.on)
        };
        if running && !supplied {
            self.world.lock().count("fencings");
            self.happen(Event::PowerOff(number));
            self.plan(FOUND_AFTER, Event::Found(number));
        }
        if on && supplied && !running {
            let boot_ms = self.random.random_range(500..4_000);
            self.plan(Duration::from_millis(boot_ms), Event::PowerOn(number));
        }
    }

    /// Somebody who looks after it gives it its power back and switches it on.
    pub(super) fn found(&mut self, number: MachineId) {
        {
            let mut world = self.world.lock();
            let machine = &mut world.machines[number];
            if machine.on {
                return;
            }
            machine.off.clear();
        }
        self.power_on(number);
    }

    pub(super) fn power_on(&mut self, number: MachineId) {
        let now = self.now();
        let mut starts = || now + Duration::from_millis(self.random.random_range(50..1_500));
        let (crmd_starts, stonithd_starts) = (starts(), starts());
        {
            let mut world = self.world.lock();
            let machine = &mut world.machines[number];
            if machine.on || !switches::supplied(&machine.off) {
                return;
            }
            let run = machine.base.join("run");
            // A reboot empties it; there is none before the first.
            let _ = std::fs::remove_dir_all(&run);
            match life::begin(&machine.base.join("lib"), &run) {
                Ok(life) => machine.life = life.number,
                Err(error) => tracing::error!("harness: {error}"),
            }
            machine.on = true;
            machine.alive = true;
            machine.booted_at = now;
            machine.told_off.clear();
            machine.crmd_starts = Some(crmd_starts);
            machine.stonithd_starts = Some(stonithd_starts);
        }
        self.set_links(number);
    }

    pub(super) fn power_off(&mut self, number: MachineId) {
        let place = {
            let mut world = self.world.lock();
            let machine = &mut world.machines[number];
            if !machine.on {
                return;
            }
            machine.on = false;
            machine.disk.power_lost();
            let place = machine.place();
            world.count("power losses");
            place
        };
        // Silence first: the end of its connections must not be heard.
        self.set_links(number);
        self.end_all(number);
        self.world.tell(&Truth::Down(place));
        for other in (0..self.count).filter(|o| *o != number) {
            self.plan(TCP_PATIENCE, Event::TimeOut(number, other));
        }
    }

    /// Every process ends, and what they had started with them.
    fn end_all(&mut self, number: MachineId) {
        let forget = |world: &World| {
            let mut world = world.lock();
            let machine = &mut world.machines[number];
            machine.alive = false;
            machine.crmd_starts = None;
            machine.stonithd_starts = None;
            machine.forget();
        };
        forget(&self.world);
        for place in addresses(number) {
            self.sim.bounce(place);
        }
        // What the ending tasks have touched once more.
        forget(&self.world);
    }

    pub(super) fn kill_daemon(&mut self, number: MachineId, program: Program) {
        let pause_ms = self.random.random_range(20..1_200);
        {
            let again = Some(self.sim.elapsed() + Duration::from_millis(pause_ms));
            let mut world = self.world.lock();
            let machine = &mut world.machines[number];
            if !machine.alive {
                return;
            }
            match program {
                Program::Crmd => {
                    machine.crmd_starts = again;
                    machine.client = None;
                    machine.disk.process_killed();
                    world.count("crmd ends");
                }
                Program::Stonithd => {
                    machine.stonithd_starts = again;
                    world.count("stonithd ends");
                }
            }
        }
        match program {
            Program::Crmd => self.sim.bounce(address(number)),
            Program::Stonithd => self.sim.bounce(stonithd_address(number)),
        }
    }

    /// Nothing runs there any more until the machine boots again; the kernel refuses.
    pub(super) fn kill_all(&mut self, number: MachineId) {
        let place = {
            let mut world = self.world.lock();
            let machine = &mut world.machines[number];
            if !machine.on {
                return;
            }
            machine.disk.process_killed();
            let place = machine.place();
            world.count("machines killed");
            place
        };
        self.end_all(number);
        self.world.tell(&Truth::Down(place));
    }
}
