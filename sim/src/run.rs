//! One run: the cluster comes up, a minute of faults, healing, rest, judgement.

use crate::{
    character::Universe,
    checkers::Violation,
    clients::{TASK_EVERY_MS, values},
    rng::Rng,
    trace::{Keep, Trace},
    truth::Truth,
    world::{Event, Schedule, Statistics, World},
};

/// How long rest must last before it is believed.
const QUIET_MS: u64 = 15_000;

/// Looks in a row at which nothing lacks, before the cluster counts as at rest.
const REST_LOOKS: u32 = 5;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// How many nodes it had.
    pub nodes: usize,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// Figures.
    pub statistics: Statistics,
    /// Hash of the trace, if one was kept.
    pub hash: u64,
    /// Its last lines, if they were kept.
    pub tail: Vec<String>,
}

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How many nodes: three and five in turn if not given.
    pub nodes: Option<usize>,
    /// What of the trace is kept.
    pub keep: Keep,
    /// Only these checkers watch; all if not given.
    pub only: Option<Vec<&'static str>>,
}

/// Runs the universe of a seed.
pub fn run(seed: u64, schedule: Schedule<'_>, manner: &Manner) -> Outcome {
    let mut rng = Rng::new(seed);
    let universe = Universe::new(seed, manner.nodes, &mut rng);
    let nodes = universe.nodes;
    let mut world = World::new(universe, rng, schedule, Trace::new(manner.keep));
    if let Some(names) = &manner.only {
        world.watch_only(names);
    }
    let converged_ms = world.live();
    let statistics = Statistics {
        simulated_ms: world.now,
        converged_ms,
        ..world.statistics
    };
    Outcome {
        seed,
        nodes,
        violation: world.violation,
        statistics,
        hash: world.trace.hash(),
        tail: world.trace.into_tail(),
    }
}

impl World<'_> {
    /// From beginning to end; how long it took to find rest after the faults.
    fn live(&mut self) -> u64 {
        self.tell(Truth::Healed);
        self.after(TASK_EVERY_MS, Event::Look);
        self.until_rest();
        if self.violation.is_some() {
            return 0;
        }
        self.tell(Truth::Disturbed);
        self.healed = false;
        self.plan_faults();
        self.after(0, Event::Client);
        self.pass(self.universe.faults_ms);
        self.heal();
        self.tell(Truth::Healed);
        self.repairs_due = true;
        let healed_ms = self.now;
        self.until_rest();
        let converged_ms = self.now - healed_ms;
        if self.violation.is_some() {
            return converged_ms;
        }
        self.tell(Truth::Converged);
        self.pass(QUIET_MS);
        self.judge();
        converged_ms
    }

    /// Lets time pass.
    fn pass(&mut self, for_ms: u64) {
        let end_ms = self.now + for_ms;
        while self.now < end_ms && self.violation.is_none() {
            self.step();
        }
    }

    /// Until the cluster is at rest, or a checker has had enough of waiting.
    fn until_rest(&mut self) {
        let mut restful = 0;
        while restful < REST_LOOKS && self.violation.is_none() {
            if self.step() {
                let lacks = self.lacking(true);
                let rests = self.tasks.is_empty() && !self.repairs_due && lacks.is_none();
                restful = if rests { restful + 1 } else { 0 };
                if let Some(what) = lacks {
                    self.tell(Truth::Lacking(what));
                }
            }
        }
    }

    /// The next event; whether it was the regular look at the cluster.
    fn step(&mut self) -> bool {
        let Some(event) = self.next_event() else {
            return false;
        };
        if !matches!(event, Event::Look) {
            self.happen(event);
            return false;
        }
        self.after(TASK_EVERY_MS, Event::Look);
        self.next_task();
        if self.healed {
            let lacks = self.lacking(false).or_else(|| self.task_lacks());
            if let Some(what) = lacks {
                self.tell(Truth::Lacking(what));
            }
        }
        true
    }

    fn task_lacks(&self) -> Option<String> {
        let task = self.tasks.front()?;
        Some(format!("the administrator's request is not done: {task:?}"))
    }

    fn judge(&mut self) {
        for node in 0..self.hosts.len() {
            let host = &self.hosts[node];
            let Some(daemon) = &host.daemon else {
                continue;
            };
            let digest = daemon.core.view(host.now(self.now)).digest;
            let values = values(&daemon.core.document());
            let node = host.name.clone();
            self.tell(Truth::Final {
                node,
                digest,
                values,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standin;

    fn tried(seed: u64) -> Outcome {
        let manner = Manner {
            nodes: None,
            keep: Keep::Tail(60),
            only: None,
        };
        run(seed, &standin::schedule, &manner)
    }

    #[test]
    fn a_seed_is_one_run_to_the_last_line_of_its_trace() {
        let (first, second, other) = (tried(3), tried(3), tried(5));
        assert_eq!(first.hash, second.hash);
        assert_eq!(first.statistics, second.statistics);
        assert_ne!(first.hash, other.hash);
    }

    #[test]
    fn a_run_is_a_minute_of_faults_and_ends_at_rest() {
        for seed in 1..7 {
            let outcome = tried(seed);
            let broken = outcome.violation;
            assert_eq!(broken, None, "seed {seed}: {:#?}", outcome.tail);
            assert!(outcome.statistics.faults >= 3);
            assert!(outcome.statistics.simulated_ms > 60_000);
            assert!(outcome.statistics.schedules > 0);
        }
    }
}
