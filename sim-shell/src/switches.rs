//! The power switches of the simulated machines, as the fencing daemon's plugin reaches them: each
//! machine has two supplies with an outlet each (`pdu-a`, `pdu-b`), and a management controller (`bmc`)
//! that switches the whole machine. They take time, fail, fail after they have acted, accept an order
//! and act later, and are out of reach of a machine whose way to them is cut.
//!
//! What they say of a machine is true. Only broken on purpose ([`World::let_switches_lie`]) they say
//! "off" before they have acted.

use crate::{
    network::MachineId,
    world::{Order, World},
};
use sim::truth::Truth;
use std::{collections::BTreeSet, time::Duration};
use stonithd::machine::{BoxFuture, Call, CallResult, Plugin, Power, Verb};
use tokio::time::{sleep, timeout};

/// The management controller.
pub const BMC: &str = "bmc";

/// The outlets; a machine needs one of them.
pub const OUTLETS: [&str; 2] = ["pdu-a", "pdu-b"];

/// Their type in the configuration.
pub const KIND: &str = "fence_sim";

/// Whether a machine has power while these devices have switched it off.
#[must_use]
pub fn supplied(off: &BTreeSet<String>) -> bool {
    !off.contains(BMC) && !OUTLETS.iter().all(|o| off.contains(*o))
}

/// The way from one machine to all switches.
#[derive(Debug)]
pub(crate) struct Switches {
    pub(crate) world: World,
    pub(crate) own: MachineId,
}

impl Plugin for Switches {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult> {
        Box::pin(async move {
            let limit = Duration::from_millis(call.timeout_ms);
            match timeout(limit, self.ask(call)).await {
                Ok(result) => result,
                Err(_) => failed(format!("no answer within {} ms", call.timeout_ms)),
            }
        })
    }
}

impl Switches {
    async fn ask(&self, call: &Call) -> CallResult {
        let healed = self.world.lock().healed;
        let slow = !healed && self.world.happens(50);
        let took_ms = match slow {
            true => self.world.draw(1_500..=9_000),
            false => self.world.draw(10..=350),
        };
        sleep(Duration::from_millis(took_ms)).await;
        if self.is_cut_off() {
            // Silence: the deadline of the call ends it.
            std::future::pending::<()>().await;
        }
        let fails = !healed && self.world.happens(80);
        if fails && !(acts(call.verb) && self.world.happens(400)) {
            return failed("the device did not answer");
        }
        let result = self.answer(call);
        match fails {
            // It has done what it was told all the same.
            true => failed("the device has closed the connection"),
            false => result,
        }
    }

    fn is_cut_off(&self) -> bool {
        let world = self.world.lock();
        let machine = world.machines.get(self.own);
        machine.is_none_or(|m| m.devices_cut)
    }

    fn answer(&self, call: &Call) -> CallResult {
        let all = || {
            let world = self.world.lock();
            world.machines.iter().map(|m| m.name.clone()).collect()
        };
        match call.verb {
            Verb::List => return CallResult::Targets(all()),
            Verb::Monitor => return CallResult::Done,
            Verb::Reboot => return CallResult::Unsupported,
            Verb::Off | Verb::On | Verb::Status => {}
        }
        let Some(target) = self.world.lock().find(&call.port) else {
            return failed(format!("no machine {}", call.port));
        };
        match call.verb {
            Verb::Status => CallResult::Status(self.status(target, &call.device)),
            verb => {
                self.switch(target, &call.device, verb == Verb::On);
                CallResult::Done
            }
        }
    }

    /// Some devices accept an order at once and carry it out later; those that lie always do.
    fn switch(&self, machine: MachineId, device: &str, on: bool) {
        let queues = self.world.happens(250) || self.world.lock().switches_lie;
        let later_ms = if queues {
            self.world.draw(100..=2_500)
        } else {
            0
        };
        let mut world = self.world.lock();
        if !on {
            world.told_off(machine, device);
        }
        world.orders.push_back(Order::Switch {
            machine,
            device: device.to_owned(),
            on,
            after: Duration::from_millis(later_ms),
        });
    }

    fn status(&self, target: MachineId, device: &str) -> Power {
        let (power, proof) = {
            let world = self.world.lock();
            let Some(machine) = world.machines.get(target) else {
                return Power::On;
            };
            let off = match device {
                BMC => !machine.on,
                outlet => machine.off.contains(outlet),
            };
            let lies = world.switches_lie && machine.told_off.contains(device);
            let proof = (!machine.on).then(|| machine.place());
            let power = if off || lies { Power::Off } else { Power::On };
            (power, proof.filter(|_| power == Power::Off))
        };
        if let Some(place) = proof {
            self.world.tell(&Truth::ProvenDown(place));
        }
        power
    }
}

fn acts(verb: Verb) -> bool {
    matches!(verb, Verb::Off | Verb::On)
}

fn failed(reason: impl Into<String>) -> CallResult {
    CallResult::Failed(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_supply_is_enough_and_the_controller_cuts_both() {
        let off = |names: &[&str]| supplied(&names.iter().map(|n| (*n).to_owned()).collect());
        assert!(off(&[]));
        assert!(off(&["pdu-a"]));
        assert!(!off(&["pdu-a", "pdu-b"]));
        assert!(!off(&["bmc"]));
    }
}
