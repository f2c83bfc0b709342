//! Which call may start: for each alert in order, the alerts in turn, so that a hung agent holds up no other.

use crmd_core::alerts::Call;
use std::collections::{BTreeMap, VecDeque};

/// How much may run and wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Agents at work at once.
    pub(crate) parallel: usize,
    /// Of one alert.
    pub(crate) parallel_per_alert: usize,
    /// Calls of one alert that wait.
    pub(crate) queue_per_alert: usize,
}

/// What became of an alert's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Begun.
    pub(crate) called: u64,
    /// Of those: could not be run, or gave an exit code other than 0.
    pub(crate) failed: u64,
    /// Of those: ended at their deadline.
    pub(crate) timed_out: u64,
    /// Not begun: too many were waiting.
    pub(crate) dropped: u64,
}

/// One alert.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Call>,
    running: usize,
}

/// Calls that wait and those at work.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: Limits,
    lanes: BTreeMap<String, Lane>,
    running: usize,
    /// The alert served last.
    last: String,
    counts: BTreeMap<String, Count>,
}

impl Queue {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: BTreeMap::new(),
            running: 0,
            last: String::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Takes a call; false: it is dropped, for too many of its alert wait.
    pub(crate) fn push(&mut self, call: Call) -> bool {
        let lane = self.lanes.entry(call.alert.clone()).or_default();
        if lane.waiting.len() >= self.limits.queue_per_alert {
            self.counts.entry(call.alert).or_default().dropped += 1;
            return false;
        }
        lane.waiting.push_back(call);
        true
    }

    /// The next to begin now; it counts as running until [`Queue::done`].
    pub(crate) fn next(&mut self) -> Option<Call> {
        if self.running >= self.limits.parallel {
            return None;
        }
        let limit = self.limits.parallel_per_alert;
        let may = |lane: &Lane| !lane.waiting.is_empty() && lane.running < limit;
        let all = self.lanes.iter().filter(|(_, lane)| may(lane));
        let mut names = all.map(|(name, _)| name);
        let first = names.clone().next();
        let name = names.find(|n| **n > self.last).or(first)?.clone();
        let lane = self.lanes.get_mut(&name)?;
        let call = lane.waiting.pop_front()?;
        lane.running += 1;
        self.running += 1;
        self.counts.entry(name.clone()).or_default().called += 1;
        self.last = name;
        Some(call)
    }

    /// A call of this alert is over.
    pub(crate) fn done(&mut self, alert: &str, count: impl FnOnce(&mut Count)) {
        self.running = self.running.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(alert) {
            lane.running = lane.running.saturating_sub(1);
            if lane.running == 0 && lane.waiting.is_empty() {
                self.lanes.remove(alert);
            }
        }
        count(self.counts.entry(alert.to_owned()).or_default());
    }

    /// Forgets what waits; how much that was.
    pub(crate) fn clear(&mut self) -> usize {
        let lanes = self.lanes.values_mut();
        lanes.map(|lane| lane.waiting.drain(..).count()).sum()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.running == 0 && self.lanes.values().all(|l| l.waiting.is_empty())
    }

    /// Whether every queue is half empty at least.
    pub(crate) fn has_room(&self) -> bool {
        let half = self.limits.queue_per_alert / 2;
        self.lanes.values().all(|lane| lane.waiting.len() <= half)
    }

    pub(crate) fn counts(&self) -> &BTreeMap<String, Count> {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(alert: &str, number: u64) -> Call {
        Call {
            alert: alert.to_owned(),
            path: "/a".to_owned(),
            timeout_ms: number,
            timestamp_format: String::new(),
            environment: BTreeMap::new(),
        }
    }

    fn queue() -> Queue {
        Queue::new(Limits {
            parallel: 3,
            parallel_per_alert: 2,
            queue_per_alert: 4,
        })
    }

    fn begun(queue: &mut Queue) -> String {
        let mut names = Vec::new();
        while let Some(call) = queue.next() {
            names.push(format!("{}{}", call.alert, call.timeout_ms));
        }
        names.join(" ")
    }

    #[test]
    fn a_hung_agent_leaves_room_for_the_others() {
        let mut queue = queue();
        (1..=4).for_each(|n| assert!(queue.push(call("hangs", n))));
        assert_eq!(begun(&mut queue), "hangs1 hangs2");
        (1..=2).for_each(|n| assert!(queue.push(call("works", n))));
        assert_eq!(begun(&mut queue), "works1");
        queue.done("works", |_| {});
        assert_eq!(begun(&mut queue), "works2", "in order, beside the hung one");
        queue.done("works", |_| {});
        queue.done("hangs", |count| count.timed_out += 1);
        assert_eq!(begun(&mut queue), "hangs3");
        let expected = Count {
            called: 3,
            timed_out: 1,
            ..Count::default()
        };
        assert_eq!(queue.counts()["hangs"], expected);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut queue = queue();
        let taken = (0..10).filter(|n| queue.push(call("a", *n))).count();
        assert_eq!(taken, 4);
        assert_eq!(queue.counts()["a"].dropped, 6);
        assert!(!queue.has_room());
        assert_eq!(begun(&mut queue), "a0 a1");
        assert!(queue.has_room());
        assert_eq!(queue.clear(), 2);
        queue.done("a", |_| {});
        queue.done("a", |_| {});
        assert!(queue.is_idle());
    }

    #[test]
    fn alerts_take_turns() {
        let mut queue = queue();
        for n in 1..=2 {
            for alert in ["a", "b", "c"] {
                assert!(queue.push(call(alert, n)));
            }
        }
        assert_eq!(begun(&mut queue), "a1 b1 c1");
        queue.done("b", |_| {});
        assert_eq!(begun(&mut queue), "a2");
        queue.done("c", |_| {});
        assert_eq!(begun(&mut queue), "b2");
    }
}
