//! Resource agents: how long they take, whether they fail, and what is really active.

use crate::{
    truth::Truth,
    world::{Event, World},
};
use crmd_core::{
    command::{AgentAction, ExecId},
    input::{AgentOutcome, ExecStatus, Input},
};

/// What is active on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// Promoted, too.
    pub promoted: bool,
}

/// A running agent.
#[derive(Clone, Debug)]
pub(crate) struct Exec {
    exec: ExecId,
    /// Run of the daemon that waits for it.
    epoch: u64,
    action: AgentAction,
    began_ms: u64,
    end: End,
}

/// How it will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    Failing,
    AtDeadline,
    Killed,
}

const OCF_NOT_RUNNING: i32 = 7;
const OCF_RUNNING_PROMOTED: i32 = 8;

impl World<'_> {
    /// Begins an agent's action.
    pub(crate) fn run_agent(&mut self, node: usize, exec: ExecId, action: AgentAction) {
        let Some(epoch) = self.hosts[node].epoch() else {
            return;
        };
        let (end, took_ms) = self.fate(&action);
        let place = self.hosts[node].place();
        if exclusive(&action) {
            self.tell(Truth::Began {
                place,
                resource: action.resource.clone(),
                operation: action.operation.clone(),
            });
        }
        if action.operation == "start" {
            self.set_active(node, &action, true);
        }
        let run = self.fresh();
        let began_ms = self.now;
        let running = Exec {
            exec,
            epoch,
            action,
            began_ms,
            end,
        };
        self.hosts[node].execs.insert(run, running);
        let life = self.hosts[node].life.number;
        self.after(took_ms, Event::AgentEnds { node, life, run });
    }

    fn fate(&mut self, action: &AgentAction) -> (End, u64) {
        let usual_ms = match action.operation.as_str() {
            "monitor" => self.rng.range(5, 60),
            "stop" => self.rng.range(20, 400),
            _ => self.rng.range(20, 700),
        };
        let may_fail = exclusive(action) && !self.healed;
        let hangs = self.rng.chance(self.universe.agent_hangs_permille);
        let fails = self.rng.chance(self.universe.agent_fails_permille);
        if may_fail && hangs {
            return (End::AtDeadline, action.timeout_ms);
        }
        if may_fail && fails {
            return (End::Failing, usual_ms);
        }
        if usual_ms > action.timeout_ms {
            return (End::AtDeadline, action.timeout_ms);
        }
        (End::Well, usual_ms)
    }

    /// Ends a running action with its process group.
    pub(crate) fn kill_agent(&mut self, node: usize, exec: ExecId) {
        let host = &mut self.hosts[node];
        let epoch = host.epoch();
        let mut running = host.execs.iter_mut();
        let found = running.find(|(_, e)| e.exec == exec && Some(e.epoch) == epoch);
        if let Some((run, running)) = found {
            running.end = End::Killed;
            let (run, life) = (*run, host.life.number);
            self.after(2, Event::AgentEnds { node, life, run });
        }
    }

    /// What the shell does with agents of an earlier run before it starts the core: some are ended,
    /// for the others it waits.
    pub(crate) fn end_orphans(&mut self, node: usize) {
        let runs: Vec<u64> = self.hosts[node].execs.keys().copied().collect();
        for run in runs {
            if self.rng.chance(500) {
                if let Some(exec) = self.hosts[node].execs.get_mut(&run) {
                    exec.end = End::Killed;
                }
                self.agent_ends(node, run);
            }
        }
    }

    /// An agent has ended.
    pub(crate) fn agent_ends(&mut self, node: usize, run: u64) {
        let Some(running) = self.hosts[node].execs.remove(&run) else {
            return;
        };
        let (rc, status) = self.effect(node, &running);
        let Exec {
            exec,
            epoch,
            action,
            began_ms,
            ..
        } = running;
        let heard = self.hosts[node].epoch() == Some(epoch);
        if exclusive(&action) {
            let place = self.hosts[node].place();
            self.tell(Truth::Ended {
                place,
                resource: action.resource,
                operation: action.operation,
                rc: (heard && status == ExecStatus::Done).then_some(rc),
            });
        }
        if !heard {
            return;
        }
        let outcome = AgentOutcome {
            rc,
            status,
            reason: String::new(),
            started_wall_s: self.hosts[node].now(began_ms).wall_s,
            exec_ms: self.now - began_ms,
            queue_ms: 0,
        };
        self.input(node, Input::AgentDone { exec, outcome });
    }

    /// What the action has done to the resource, and what it says.
    fn effect(&mut self, node: usize, running: &Exec) -> (i32, ExecStatus) {
        let action = &running.action;
        let well = running.end == End::Well;
        let half = self.rng.chance(500);
        match action.operation.as_str() {
            "start" if !well && half => self.set_active(node, action, false),
            "stop" if well || half => self.set_active(node, action, false),
            "promote" | "demote" if well => {
                let promoted = action.operation == "promote";
                if let Some(a) = self.hosts[node].active.get_mut(&action.resource) {
                    a.promoted = promoted;
                }
            }
            _ => {}
        }
        match running.end {
            End::Well if action.operation == "monitor" => {
                (self.monitor(node, &action.resource), ExecStatus::Done)
            }
            End::Well => (0, ExecStatus::Done),
            End::Failing => (1, ExecStatus::Done),
            End::AtDeadline => (1, ExecStatus::TimedOut),
            End::Killed => (1, ExecStatus::Cancelled),
        }
    }

    fn monitor(&self, node: usize, resource: &str) -> i32 {
        match self.hosts[node].active.get(resource) {
            None => OCF_NOT_RUNNING,
            Some(a) if a.promoted => OCF_RUNNING_PROMOTED,
            Some(_) => 0,
        }
    }

    fn set_active(&mut self, node: usize, action: &AgentAction, active: bool) {
        let resource = action.resource.clone();
        let place = self.hosts[node].place();
        let was = self.hosts[node].active.contains_key(&resource);
        if active {
            self.hosts[node].active.entry(resource.clone()).or_default();
        } else {
            self.hosts[node].active.remove(&resource);
        }
        if active == was || !exclusive(action) {
            return;
        }
        self.tell(if active {
            Truth::Active { place, resource }
        } else {
            Truth::Inactive { place, resource }
        });
    }

    /// A resource dies by itself.
    pub(crate) fn crash_resource(&mut self, node: usize, resource: &str) {
        if self.hosts[node].active.remove(resource).is_some() {
            let place = self.hosts[node].place();
            let resource = resource.to_owned();
            self.tell(Truth::Inactive { place, resource });
        }
    }
}

/// Whether it may be in one place only. A fence device's "start" only registers it.
fn exclusive(action: &AgentAction) -> bool {
    action.class != "stonith"
}
