//! What a simulated machine gives its daemons: clocks, network, sockets, disk, agents, power switches.

use crate::{
    determinism::EPOCH_S,
    network::{MachineId, SimulatedNetwork},
    switches::Switches,
    world::{Work, World},
};
use crmd::machine::{Clock, Disk, Machine, Now, SimulatedAgents, Work as Workers};
use crmd_core::{
    command::{AgentAction, ExecId},
    input::{AgentOutcome, ExecStatus},
};
use sim::truth::Truth;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};
use transport::local::Doors;

/// OCF's exit codes.
const OK: i32 = 0;
const ERROR: i32 = 1;
const NOT_RUNNING: i32 = 7;

/// The machine as crmd gets it.
#[must_use]
pub(crate) fn for_crmd(world: &World, own: MachineId) -> Machine {
    let disk = world.lock().machines.get(own).map(|m| m.disk.clone());
    Machine {
        clock: Arc::new(clock(world, own)),
        network: Arc::new(network(world, own)),
        doors: doors(world, own),
        disk: disk.map_or(Disk::Files, |d| Disk::Simulated(Arc::new(d))),
        work: Workers::Tasks,
        agents: Some(Arc::new(Agents {
            world: world.clone(),
            own,
            kills: Arc::default(),
        })),
    }
}

/// The machine as stonithd gets it.
#[must_use]
pub(crate) fn for_stonithd(world: &World, own: MachineId) -> stonithd::machine::Machine {
    stonithd::machine::Machine {
        clock: Arc::new(clock(world, own)),
        network: Arc::new(network(world, own)),
        doors: doors(world, own),
        plugin: Arc::new(Switches {
            world: world.clone(),
            own,
        }),
    }
}

fn network(world: &World, own: MachineId) -> SimulatedNetwork {
    SimulatedNetwork::new(own, world.lock().wires.clone())
}

fn doors(world: &World, own: MachineId) -> Arc<dyn Doors> {
    let world = world.lock();
    let sockets = world.machines.get(own).map(|m| m.sockets.clone());
    Arc::new(sockets.unwrap_or_default())
}

fn clock(world: &World, own: MachineId) -> SimulatedClock {
    let world = world.clone();
    SimulatedClock { world, own }
}

/// Counts from the machine's boot.
#[derive(Debug)]
struct SimulatedClock {
    world: World,
    own: MachineId,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Now {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default();
        let world = self.world.lock();
        let machine = world.machines.get(self.own);
        let booted_at = machine.map_or(Duration::ZERO, |m| m.booted_at);
        let ahead_s = machine.map_or(0, |m| m.calendar_ahead_s);
        let up = elapsed.saturating_sub(booted_at) + Duration::from_secs(5);
        Now {
            mono_ms: up.as_millis() as u64,
            wall_s: (EPOCH_S + elapsed.as_secs()) as i64 + ahead_s,
        }
    }
}

impl stonithd::machine::Clock for SimulatedClock {
    fn now(&self) -> stonithd::machine::Now {
        let Now { mono_ms, wall_s } = Clock::now(self);
        stonithd::machine::Now { mono_ms, wall_s }
    }
}

/// Agents that do to the world's machines what real ones do to theirs.
#[derive(Debug)]
struct Agents {
    world: World,
    own: MachineId,
    kills: Arc<Mutex<BTreeMap<ExecId, Arc<Notify>>>>,
}

/// How an action ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Fails,
    Hangs,
}

/// Marks an action as orphaned when the daemon that waits for it is killed.
struct Waiting {
    world: World,
    own: MachineId,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut world = self.world.lock();
        let machine = world.machines.get_mut(self.own);
        if let Some(work) = machine.and_then(|m| m.at_work.get_mut(&self.number)) {
            work.orphaned = true;
        }
    }
}

impl Agents {
    fn fate(&self, action: &AgentAction) -> (Fate, Duration) {
        let took_ms = match action.operation.as_str() {
            "monitor" => self.world.draw(2..=40),
            "stop" => self.world.draw(10..=300),
            _ => self.world.draw(10..=500),
        };
        let took = Duration::from_millis(took_ms);
        let may_fail = !self.world.lock().healed;
        if may_fail && self.world.happens(6) {
            return (Fate::Hangs, Duration::from_millis(action.timeout_ms));
        }
        if may_fail && self.world.happens(12) {
            return (Fate::Fails, took);
        }
        (Fate::Well, took)
    }

    /// The process begins: from a start's begin on the resource may be active.
    fn begin(&self, action: &AgentAction) -> u64 {
        let (number, place) = {
            let mut world = self.world.lock();
            world.count("agents");
            let number = world.statistics["agents"];
            let Some(machine) = world.machines.get_mut(self.own) else {
                return number;
            };
            let work = Work {
                resource: action.resource.clone(),
                operation: action.operation.clone(),
                orphaned: false,
            };
            machine.at_work.insert(number, work);
            if action.operation == "start" {
                machine.active.insert(action.resource.clone());
            }
            (number, machine.place())
        };
        let resource = action.resource.clone();
        if action.operation == "start" {
            tracing::info!("harness: {resource} is being started on {}", place.0);
        }
        let operation = action.operation.clone();
        self.world.tell(&Truth::Began {
            place: place.clone(),
            resource: resource.clone(),
            operation,
        });
        if action.operation == "start" {
            self.world.tell(&Truth::Active { place, resource });
        }
        number
    }

    /// The process has ended: what it did.
    fn end(&self, number: u64, action: &AgentAction, fate: Fate) -> (i32, ExecStatus) {
        let half_done = self.world.happens(500);
        let resource = &action.resource;
        let well = fate == Fate::Well;
        let gone = match action.operation.as_str() {
            "start" => !well && half_done,
            "stop" => well || half_done,
            _ => false,
        };
        if gone {
            inactive(&self.world, self.own, resource);
        }
        let (active, place) = {
            let mut world = self.world.lock();
            let Some(machine) = world.machines.get_mut(self.own) else {
                return (ERROR, ExecStatus::Error);
            };
            machine.at_work.remove(&number);
            (machine.active.contains(resource), machine.place())
        };
        let (rc, status) = match fate {
            Fate::Hangs => (ERROR, ExecStatus::TimedOut),
            Fate::Fails => (ERROR, ExecStatus::Done),
            Fate::Well if action.operation == "monitor" && !active => {
                (NOT_RUNNING, ExecStatus::Done)
            }
            Fate::Well => (OK, ExecStatus::Done),
        };
        self.world.tell(&Truth::Ended {
            place,
            resource: resource.clone(),
            operation: action.operation.clone(),
            rc: (status == ExecStatus::Done).then_some(rc),
        });
        (rc, status)
    }
}

/// A resource is not active there any more, if it was.
fn inactive(world: &World, own: MachineId, resource: &str) {
    let place = {
        let mut world = world.lock();
        let machine = world.machines.get_mut(own);
        let active = machine.filter(|m| m.active.contains(resource));
        active.map(|m| {
            m.active.remove(resource);
            m.place()
        })
    };
    if let Some(place) = place {
        let resource = resource.to_owned();
        world.tell(&Truth::Inactive { place, resource });
    }
}

#[tonic::async_trait]
impl SimulatedAgents for Agents {
    async fn run(&self, exec: ExecId, action: AgentAction) -> AgentOutcome {
        let began = turmoil::sim_elapsed().unwrap_or_default();
        let (fate, took) = self.fate(&action);
        let number = self.begin(&action);
        let _waiting = Waiting {
            world: self.world.clone(),
            own: self.own,
            number,
        };
        let kill = Arc::new(Notify::new());
        let kills = || self.kills.lock().unwrap_or_else(PoisonError::into_inner);
        kills().insert(exec, kill.clone());
        let killed = tokio::select! {
            biased;
            () = kill.notified() => true,
            () = sleep(took) => false,
        };
        kills().remove(&exec);
        let (rc, status) = match killed {
            true => (
                self.end(number, &action, Fate::Fails).0,
                ExecStatus::Cancelled,
            ),
            false => self.end(number, &action, fate),
        };
        let ended = turmoil::sim_elapsed().unwrap_or_default();
        AgentOutcome {
            rc,
            status,
            reason: String::new(),
            started_wall_s: (EPOCH_S + began.as_secs()) as i64,
            exec_ms: ended.saturating_sub(began).as_millis() as u64,
            queue_ms: 0,
        }
    }

    fn kill(&self, exec: ExecId) {
        let kills = self.kills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kill) = kills.get(&exec) {
            kill.notify_one();
        }
    }

    /// Some were quicker than the daemon's return, some are ended half done.
    async fn settle(&self) {
        sleep(Duration::from_millis(self.world.draw(0..=300))).await;
        let done = self.world.happens(500);
        let (left, place) = {
            let mut world = self.world.lock();
            let Some(machine) = world.machines.get_mut(self.own) else {
                return;
            };
            (std::mem::take(&mut machine.at_work), machine.place())
        };
        for Work {
            resource,
            operation,
            ..
        } in left.into_values()
        {
            if operation == "stop" && done {
                inactive(&self.world, self.own, &resource);
            }
            // No daemon was there to hear it.
            self.world.tell(&Truth::Ended {
                place: place.clone(),
                resource,
                operation,
                rc: None,
            });
        }
    }
}
