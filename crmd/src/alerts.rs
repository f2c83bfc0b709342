//! Calls alert agents: in a thread of its own, a few at a time, each with its deadline.
//!
//! Must never: make the driver wait, or let an agent's result mean anything to the cluster. What cannot be
//! queued is dropped, counted and said. The thread is there from the first call on; before, alerts cost
//! nothing. An agent on a file system that hangs holds up alerts and nothing else.

mod queue;
mod timestamp;
mod user;

use crmd_core::alerts::Call;
use jiff::Zoned;
use process::{Canceller, End, Finished, Group, Program, SpawnError, leftover};
use queue::Queue;
pub(crate) use queue::{Count, Limits};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};
use user::RunAs;

/// Output kept of an agent, for the log.
const CAPTURE_BYTES: usize = 2048;

/// What an agent left by an earlier run of the daemon may still take.
const LEFTOVER_PATIENCE: Duration = Duration::from_millis(crmd_core::alerts::DEFAULT_TIMEOUT_MS);

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = process::DEFAULT_GRACE;

/// Calls agents; clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Alerts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// In the environment of every agent, the same in every run of the daemon within a life.
    mark: String,
    /// What an earlier run left at work, looked for before anything is called.
    leftovers: OnceLock<Vec<Group>>,
    /// Name of the user that agents run as.
    user: String,
    run_as: OnceLock<RunAs>,
    state: Mutex<State>,
    /// Something to start, or the daemon ends.
    wake: Notify,
    /// One has ended.
    ended: Notify,
    thread: Once,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    running: BTreeMap<u64, Canceller>,
    next: u64,
    /// Alerts whose last call could not be made or failed: said once.
    failing: BTreeSet<String>,
    /// Calls dropped since it was said last.
    dropped: u64,
}

impl Alerts {
    /// Nothing runs yet. `user`: who agents run as; `life`: this boot; `again`: an earlier run of the daemon in
    /// this boot may have left agents at work, which get their usual time from now on.
    pub(crate) fn new(limits: Limits, user: &str, life: &str, again: bool) -> Self {
        let alerts = Self(Arc::new(Inner {
            mark: format!("{life}/alert"),
            leftovers: OnceLock::new(),
            user: user.to_owned(),
            run_as: OnceLock::new(),
            state: Mutex::new(State {
                queue: Queue::new(limits),
                running: BTreeMap::new(),
                next: 0,
                failing: BTreeSet::new(),
                dropped: 0,
            }),
            wake: Notify::new(),
            ended: Notify::new(),
            thread: Once::new(),
        }));
        if again {
            alerts.look_for_leftovers();
        } else {
            alerts.0.leftovers.get_or_init(Vec::new);
        }
        alerts
    }

    /// Without holding up the daemon's start, and without a thread that stays if there are none.
    fn look_for_leftovers(&self) {
        let alerts = self.clone();
        let thread = std::thread::Builder::new().name("alerts-before".to_owned());
        let started = thread.spawn(move || {
            if !alerts.leftovers().is_empty() {
                alerts.start_thread();
            }
        });
        if let Err(error) = started {
            tracing::warn!(%error, "nobody looks for alert agents of an earlier run before the first alert");
        }
    }

    fn leftovers(&self) -> &[Group] {
        let mark = &self.0.mark;
        self.0.leftovers.get_or_init(|| leftover::find(mark))
    }

    /// Has agents called, as soon as may be; returns at once.
    pub(crate) fn tell(&self, calls: Vec<Call>) {
        self.start_thread();
        let now = Zoned::now();
        let mut state = self.state();
        for mut call in calls {
            timestamp::stamp(&mut call, &now);
            let alert = call.alert.clone();
            if !state.queue.push(call) {
                state.dropped += 1;
                if state.dropped == 1 {
                    tracing::warn!(
                        alert,
                        "its agent is slower than the events come and its queue is full: events are dropped"
                    );
                }
            }
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// What was called so far, by alert.
    pub(crate) fn counts(&self) -> BTreeMap<String, Count> {
        self.state().queue.counts().clone()
    }

    /// Gives what is under way or waits `limit` to end by itself, then ends it.
    pub(crate) async fn finish(&self, limit: Duration) {
        if timeout(limit, self.all_ended()).await.is_ok() {
            return;
        }
        self.end_all();
        // SIGKILL follows the grace; more cannot be done.
        let _ = timeout(2 * GRACE, self.all_ended()).await;
    }

    fn end_all(&self) {
        let mut state = self.state();
        let left = state.queue.clear();
        tracing::warn!(
            running = state.running.len(),
            waiting = left,
            "the daemon ends: alert agents that run are ended, waiting ones are not called"
        );
        state.running.values().for_each(Canceller::cancel);
    }

    async fn all_ended(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.state().queue.is_idle() {
                return;
            }
            ended.await;
        }
    }

    fn start_thread(&self) {
        self.0.thread.call_once(|| {
            let alerts = self.clone();
            let thread = std::thread::Builder::new().name("alerts".to_owned());
            if let Err(error) = thread.spawn(move || alerts.work()) {
                tracing::error!(%error, "no thread for alerts: nobody will be told of anything");
            }
        });
    }

    fn work(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.start_all()),
            Err(error) => {
                tracing::error!(%error, "alerts cannot run: nobody will be told of anything");
            }
        }
    }

    async fn start_all(&self) {
        for group in self.leftovers().to_vec() {
            tokio::spawn(async move {
                let fate = leftover::settle(&group, LEFTOVER_PATIENCE, GRACE).await;
                tracing::info!(
                    group = group.pgid,
                    ?fate,
                    "an alert agent was at work when the daemon ended"
                );
            });
        }
        loop {
            self.0.wake.notified().await;
            loop {
                let Some(call) = self.state().queue.next() else {
                    break;
                };
                self.start(call);
            }
            self.say_dropped();
        }
    }

    fn start(&self, call: Call) {
        let run_as = self.0.run_as.get_or_init(|| RunAs::find(&self.0.user));
        let running = run_as
            .program(&call.path)
            .and_then(|program| self.equipped(program, &call).spawn());
        let running = match running {
            Ok(running) => running,
            Err(error) => return self.not_started(&call, &error),
        };
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.running.insert(number, running.canceller());
        drop(state);
        let alerts = self.clone();
        tokio::spawn(async move {
            let finished = running.wait().await;
            alerts.state().running.remove(&number);
            if let Ok(finished) = finished {
                alerts.finished(&call, &finished);
            }
        });
    }

    fn equipped(&self, program: Program, call: &Call) -> Program {
        let program = program
            .capture_bytes(CAPTURE_BYTES)
            .deadline(Duration::from_millis(call.timeout_ms))
            .grace(GRACE)
            .mark(&self.0.mark);
        let variables = call.environment.iter();
        variables.fold(program, |p, (name, value)| p.env(name, value))
    }

    fn not_started(&self, call: &Call, error: &SpawnError) {
        let advice = if error.is_not_installed() {
            "its path must name an executable file on this node"
        } else {
            "this host may be out of processes or descriptors"
        };
        if self.done(call, |count| count.failed += 1, true) {
            let alert = &call.alert;
            tracing::error!(
                "alert {alert}: {error}; {advice}; it is said once, until a call succeeds"
            );
        }
    }

    fn finished(&self, call: &Call, finished: &Finished) {
        let alert = &call.alert;
        let output = [finished.stderr.text(), finished.stdout.text()].join(" ");
        let output = output.trim().replace('\n', " | ");
        match finished.end {
            End::Exited(0) => {
                self.done(call, |_| {}, false);
            }
            End::TimedOut => {
                self.done(call, |count| count.timed_out += 1, true);
                let left = match finished.survivors.as_slice() {
                    [] => String::new(),
                    pids => format!("; processes {pids:?} outlive even SIGKILL"),
                };
                tracing::warn!(
                    "alert {alert}: {} did not end within {} ms and was ended with all it started{left}; last \
                     words: {output}",
                    call.path,
                    call.timeout_ms
                );
            }
            // The daemon ends, and has said so.
            End::Cancelled => {
                self.done(call, |count| count.failed += 1, false);
            }
            End::Exited(_) | End::Signalled(_) => {
                if self.done(call, |count| count.failed += 1, true) {
                    let end = finished.end;
                    tracing::warn!(
                        "alert {alert}: {} failed ({end:?}): {output}; it is said once, until a call succeeds",
                        call.path
                    );
                }
            }
        }
    }

    /// A call is over. Returns whether it is the first that failed after one that did not.
    fn done(&self, call: &Call, count: impl FnOnce(&mut Count), failed: bool) -> bool {
        let mut state = self.state();
        state.queue.done(&call.alert, count);
        let news = if failed {
            state.failing.insert(call.alert.clone())
        } else {
            state.failing.remove(&call.alert);
            false
        };
        drop(state);
        self.0.wake.notify_one();
        self.0.ended.notify_waiters();
        news
    }

    fn say_dropped(&self) {
        let mut state = self.state();
        if state.dropped > 0 && state.queue.has_room() {
            let dropped = std::mem::take(&mut state.dropped);
            tracing::warn!("{dropped} calls of alert agents were dropped; events are told again");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
