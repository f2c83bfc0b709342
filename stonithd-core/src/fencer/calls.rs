//! Calls of devices: queued until the device is free, forgotten when no answer came.

use crate::{
    command::{Call, Command},
    input::{Now, RunId},
    registry::Registry,
};
use std::collections::{BTreeMap, VecDeque};

/// Calls under way and waiting.
#[derive(Debug, Default)]
pub(super) struct Calls {
    queue: VecDeque<(RunId, Call)>,
    running: BTreeMap<RunId, Running>,
    last: RunId,
}

#[derive(Debug)]
struct Running {
    call: Call,
    /// An answer after this is not waited for.
    until_ms: u64,
}

impl Calls {
    /// Calls a device as soon as it is free.
    pub(super) fn queue(&mut self, call: Call) -> RunId {
        self.last += 1;
        self.queue.push_back((self.last, call));
        self.last
    }

    /// The call that has been answered.
    pub(super) fn ended(&mut self, run: RunId) -> Option<Call> {
        self.running.remove(&run).map(|r| r.call)
    }

    /// Nobody waits for it any more: a queued call is dropped, one under way runs to its end.
    pub(super) fn forget(&mut self, run: RunId) {
        self.queue.retain(|(id, _)| *id != run);
    }

    /// Starts what can be started.
    pub(super) fn start(&mut self, now: Now, registry: &Registry, slack_ms: u64) -> Vec<Command> {
        self.running.retain(|_, r| r.until_ms > now.mono_ms);
        let mut commands = Vec::new();
        let mut still_waiting = VecDeque::new();
        while let Some((run, call)) = self.queue.pop_front() {
            if !self.is_free(&call.device, registry) {
                still_waiting.push_back((run, call));
                continue;
            }
            let running = Running {
                until_ms: now.mono_ms + call.timeout_ms + slack_ms,
                call: call.clone(),
            };
            self.running.insert(run, running);
            commands.push(Command::Call { run, call });
        }
        self.queue = still_waiting;
        commands
    }

    pub(super) fn wake_ms(&self) -> impl Iterator<Item = u64> {
        self.running.values().map(|r| r.until_ms)
    }

    fn is_free(&self, device: &str, registry: &Registry) -> bool {
        let busy = || {
            self.running
                .values()
                .filter(|r| r.call.device == device)
                .count()
        };
        match registry.devices.get(device).map(|d| d.limit()) {
            Some(Some(limit)) => busy() < limit,
            _ => true,
        }
    }
}
