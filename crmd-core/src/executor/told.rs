//! What is told of an execution that has ended: to alert agents, and in numbers. Nothing follows from it.

use super::{Executor, Job};
use crate::{
    alerts::Event,
    figures::Operations,
    ids::NodeName,
    input::{AgentOutcome, ExecStatus},
};

/// What was not taken yet, and what has run so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    events: Vec<Event>,
    operations: Operations,
}

impl Told {
    /// One more execution.
    pub(super) fn count(&mut self, job: &Job, outcome: &AgentOutcome) {
        let result = match outcome.status {
            ExecStatus::Cancelled => "cancelled",
            ExecStatus::TimedOut => "timed-out",
            _ if job.has_failed(outcome) => "failed",
            _ => "ok",
        };
        let key = (job.action.operation.clone(), result);
        let executions = self.operations.entry(key).or_default();
        executions.count += 1;
        executions.total_ms += outcome.exec_ms;
    }

    /// Its result is news; what was ended on request is nobody's concern.
    pub(super) fn news(&mut self, me: &NodeName, job: &Job, outcome: &AgentOutcome) {
        if outcome.status == ExecStatus::Cancelled {
            return;
        }
        self.events.push(Event::Resource {
            node: me.clone(),
            resource: job.action.resource.clone(),
            operation: job.action.operation.clone(),
            interval_ms: job.action.interval_ms,
            target_rc: job.target_rc,
            outcome: outcome.clone(),
        });
    }
}

impl Executor {
    /// Operations with news that have ended since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.told.events)
    }

    /// What has run here so far.
    pub(crate) fn operations(&self) -> &Operations {
        &self.told.operations
    }
}
