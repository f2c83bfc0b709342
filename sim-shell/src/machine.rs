//! What a simulated machine gives its daemon: clocks, agents, fencing.

use crate::{
    determinism::EPOCH_S,
    network::{MachineId, SimulatedNetwork},
    world::{Order, Work, World},
};
use crmd::machine::{
    Clock, Disk, Machine, Now, Simulated, SimulatedAgents, SimulatedFencing, Work as Workers,
};
use crmd_core::{
    command::{AgentAction, ExecId, FenceOrder},
    entry::Grade,
    input::{AgentOutcome, ExecStatus, FenceOutcome},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};

/// OCF's exit codes.
const OK: i32 = 0;
const ERROR: i32 = 1;
const NOT_RUNNING: i32 = 7;

/// The machine as its daemon gets it.
#[must_use]
pub(crate) fn machine(world: &World, own: MachineId) -> Machine {
    let (disk, wires) = {
        let world = world.lock();
        let disk = world.machines.get(own).map(|m| m.disk.clone());
        (disk, world.wires.clone())
    };
    let disk = disk.map_or(Disk::Files, |d| Disk::Simulated(Arc::new(d)));
    let world = world.clone();
    Machine {
        clock: Arc::new(SimulatedClock {
            world: world.clone(),
            own,
        }),
        network: Arc::new(SimulatedNetwork::new(own, wires)),
        disk,
        work: Workers::Tasks,
        simulated: Some(Simulated {
            agents: Arc::new(Agents {
                world: world.clone(),
                own,
                kills: Arc::default(),
            }),
            fencing: Arc::new(Fencing { world, own }),
        }),
    }
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
        let may_fail = !self.world.lock().healed && action.class != "stonith";
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
        let mut world = self.world.lock();
        world.count("agents");
        let number = world.statistics["agents"];
        let elsewhere = world
            .active_elsewhere(self.own, &action.resource)
            .map(str::to_owned);
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
            let here = machine.name.clone();
            drop(world);
            self.started(action, &here, elsewhere);
        }
        number
    }

    fn started(&self, action: &AgentAction, here: &str, elsewhere: Option<String>) {
        let resource = &action.resource;
        tracing::info!("harness: {resource} is being started on {here}");
        if let Some(elsewhere) = elsewhere.filter(|_| action.class != "stonith") {
            self.world.violated(format!(
                "{resource} is started on {here} while it is active on {elsewhere}"
            ));
        }
    }

    /// The process has ended: what it did.
    fn end(&self, number: u64, action: &AgentAction, fate: Fate) -> (i32, ExecStatus) {
        let half_done = self.world.happens(500);
        let mut world = self.world.lock();
        let Some(machine) = world.machines.get_mut(self.own) else {
            return (ERROR, ExecStatus::Error);
        };
        machine.at_work.remove(&number);
        let well = fate == Fate::Well;
        match action.operation.as_str() {
            "start" if !well && half_done => drop(machine.active.remove(&action.resource)),
            "stop" if well || half_done => drop(machine.active.remove(&action.resource)),
            _ => {}
        }
        let active = machine.active.contains(&action.resource);
        match fate {
            Fate::Hangs => (ERROR, ExecStatus::TimedOut),
            Fate::Fails => (ERROR, ExecStatus::Done),
            Fate::Well if action.operation == "monitor" && !active => {
                (NOT_RUNNING, ExecStatus::Done)
            }
            Fate::Well => (OK, ExecStatus::Done),
        }
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
        let mut world = self.world.lock();
        let done = rand::Rng::random_bool(&mut world.random, 0.5);
        let Some(machine) = world.machines.get_mut(self.own) else {
            return;
        };
        for work in std::mem::take(&mut machine.at_work).into_values() {
            if work.operation == "stop" && done {
                machine.active.remove(&work.resource);
            }
        }
    }
}

/// A fencing daemon with a device that reaches every machine's power switch.
#[derive(Debug)]
struct Fencing {
    world: World,
    own: MachineId,
}

#[tonic::async_trait]
impl SimulatedFencing for Fencing {
    async fn execute(&self, order: FenceOrder) -> FenceOutcome {
        let took = Duration::from_millis(order.delay_ms + self.world.draw(50..=700));
        sleep(took).await;
        let (reply, answer) = oneshot::channel();
        let fails = self.world.happens(100) && !self.world.lock().healed;
        if fails {
            let reason = "the device did not answer".to_owned();
            return FenceOutcome::Failed { reason };
        }
        self.world
            .lock()
            .orders
            .push_back(Order::Fence { order, reply });
        let outcome = answer.await.unwrap_or_else(|_| Err("forgotten".to_owned()));
        sleep(Duration::from_millis(self.world.draw(10..=200))).await;
        match outcome {
            Err(reason) => FenceOutcome::Failed { reason },
            Ok(()) => FenceOutcome::Confirmed {
                grade: Grade::VerifiedOff,
                device: "fencing".to_owned(),
                by: format!("node{}", self.own + 1).as_str().into(),
            },
        }
    }
}
