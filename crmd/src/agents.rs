//! Running agents for the executor, and settling what an earlier incarnation left running.

use crate::{
    driver::{Event, Events},
    fence_devices::{self, FenceDevices},
    journal::{ExecGroup, Journal, Unfinished},
    machine::SimulatedAgents,
};
use crmd_core::{
    command::{AgentAction, ExecId},
    ids::Life,
    input::{AgentOutcome, ExecStatus, Input},
};
use ocf_runner::{Action, Outcome, Runner, Status};
use process::{Canceller, leftover};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Runs agents; the outcomes come as events.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    runner: Runner,
    devices: FenceDevices,
    events: Events,
    life: Arc<str>,
    simulated: Option<Arc<dyn SimulatedAgents>>,
    running: Arc<Mutex<BTreeMap<ExecId, Handle>>>,
}

/// What ends an execution, from the command on.
#[derive(Debug, Default)]
struct Handle {
    canceller: Option<Canceller>,
    kill: bool,
}

impl Agents {
    /// Nothing runs yet.
    pub(crate) fn new(
        runner: Runner,
        devices: FenceDevices,
        events: Events,
        life: &Life,
        simulated: Option<Arc<dyn SimulatedAgents>>,
    ) -> Self {
        Self {
            runner,
            devices,
            events,
            life: life.id.as_str().into(),
            simulated,
            running: Arc::default(),
        }
    }

    /// Runs an action; its process group goes into the journal as soon as it exists.
    pub(crate) fn run(&self, exec: ExecId, action: AgentAction, journal: Journal) {
        self.running().insert(exec, Handle::default());
        let agents = self.clone();
        tokio::spawn(async move {
            let outcome = match (&agents.simulated, action.class.as_str()) {
                (_, fence_devices::CLASS) => agents.devices.run(&action).await,
                (Some(simulated), _) => simulated.run(exec, action).await,
                (None, _) => agents.run_agent(exec, action, &journal).await,
            };
            agents.running().remove(&exec);
            // A closed queue: the daemon is ending.
            let _ = agents
                .events
                .send(Event::Input(Input::AgentDone { exec, outcome }));
        });
    }

    async fn run_agent(
        &self,
        exec: ExecId,
        action: AgentAction,
        journal: &Journal,
    ) -> AgentOutcome {
        let action = to_runner(action, mark(&self.life, exec));
        let spawned = |group: &process::Group, canceller: Canceller| {
            self.spawned(exec, group.clone(), canceller, journal);
        };
        let outcome = self.runner.run(&action, spawned).await;
        to_core(&action, outcome)
    }

    /// Ends a running action with its whole group; its outcome comes as always.
    pub(crate) fn kill(&self, exec: ExecId) {
        if let Some(simulated) = &self.simulated {
            return simulated.kill(exec);
        }
        if let Some(handle) = self.running().get_mut(&exec) {
            handle.kill = true;
            if let Some(canceller) = &handle.canceller {
                canceller.cancel();
            }
        }
    }

    fn spawned(
        &self,
        exec: ExecId,
        group: process::Group,
        canceller: Canceller,
        journal: &Journal,
    ) {
        if let Err(error) = journal.append_group(ExecGroup { exec, group }) {
            tracing::warn!(exec, %error, "after a crash of this daemon the agent will be looked for by its mark");
        }
        if let Some(handle) = self.running().get_mut(&exec) {
            if handle.kill {
                canceller.cancel();
            }
            handle.canceller = Some(canceller);
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<ExecId, Handle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for or ends every process of executions that an earlier incarnation did not see end, all at
/// once; afterwards none of them changes anything any more (protocol.md, 12).
pub(crate) async fn settle(
    unfinished: &[Unfinished],
    life: &Life,
    patience: Duration,
    grace: Duration,
) {
    let each = unfinished
        .iter()
        .map(|left| settle_one(left, life, patience, grace));
    futures::future::join_all(each).await;
}

async fn settle_one(left: &Unfinished, life: &Life, patience: Duration, grace: Duration) {
    let groups = match &left.group {
        Some(group) => vec![group.clone()],
        None => leftover::find(&mark(&life.id, left.exec)),
    };
    for group in groups {
        let fate = leftover::settle(&group, patience, grace).await;
        tracing::info!(
            resource = left.resource,
            exec = left.exec,
            group = group.pgid,
            ?fate,
            "an agent was at work when the daemon ended; the resource will be probed"
        );
    }
}

fn mark(life: &str, exec: ExecId) -> String {
    format!("{life}/{exec}")
}

fn to_runner(action: AgentAction, mark: String) -> Action {
    Action {
        resource: action.resource,
        class: action.class,
        provider: action.provider,
        kind: action.kind,
        operation: action.operation,
        interval_ms: action.interval_ms,
        timeout_ms: action.timeout_ms,
        parameters: action.parameters,
        mark,
    }
}

fn to_core(action: &Action, outcome: Outcome) -> AgentOutcome {
    if !outcome.survivors.is_empty() {
        tracing::error!(
            resource = action.resource, operation = action.operation, processes = ?outcome.survivors,
            "processes of the agent cannot be ended; what they work on is unknown"
        );
    }
    AgentOutcome {
        rc: outcome.rc,
        status: match outcome.status {
            Status::Done => ExecStatus::Done,
            Status::Cancelled => ExecStatus::Cancelled,
            Status::TimedOut => ExecStatus::TimedOut,
            Status::NotSupported => ExecStatus::NotSupported,
            Status::Error => ExecStatus::Error,
            Status::NotInstalled => ExecStatus::NotInstalled,
        },
        reason: outcome.reason,
        started_wall_s: outcome.started_wall_s,
        exec_ms: outcome.exec_ms,
        queue_ms: 0,
    }
}
