//! Runs what the coordinator orders on this node: one operation at a time for a resource, many
//! resources at once, recurring operations for ever.
//!
//! Nothing is executed before the journal knows of it (protocol.md, 12); orders of an older term or
//! for another life are refused (7, 13); nothing is brought up without a lease (27). It never
//! decides what should run.

mod told;

use crate::{
    command::{AgentAction, Command, ExecId, Severity},
    history::{self, Execution},
    ids::{Incarnation, Life, NodeName, Now, Term},
    input::{AgentOutcome, ExecStatus},
    journal::JournalRecord,
    message::{Message, Order, OrderKind},
    status::Own,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use told::Told;

/// Key in an order's `record` that says how a failure raises the fail count: `INFINITY`, or a
/// number to add. It is not written to the history.
pub(crate) const FAIL_OFFSET: &str = "#fail-offset";

/// The operations of this node.
#[derive(Debug)]
pub(crate) struct Executor {
    me: NodeName,
    life: Life,
    term: Term,
    taken: BTreeSet<u64>,
    /// Orders of this term below it are void unless they were taken before.
    void_below: u64,
    slots: BTreeMap<String, Slot>,
    running: BTreeMap<ExecId, String>,
    next_exec: ExecId,
    next_call: i64,
    lease: bool,
    outbox: Vec<(NodeName, Message)>,
    told: Told,
}

/// One resource.
#[derive(Debug, Default)]
struct Slot {
    queue: VecDeque<Job>,
    current: Option<Current>,
    recurring: BTreeMap<(String, u64), Recurring>,
}

#[derive(Clone, Debug)]
struct Job {
    action: AgentAction,
    transition_key: String,
    target_rc: i32,
    record: BTreeMap<String, String>,
    /// Who ordered it and how, for the answer; nothing: our own.
    order: Option<(NodeName, Term, u64)>,
    queued_ms: u64,
}

#[derive(Debug)]
struct Current {
    exec: ExecId,
    call_id: i64,
    job: Job,
    /// A recurring operation that was cancelled while it ran: its result is not wanted.
    unwanted: bool,
}

#[derive(Debug)]
struct Recurring {
    job: Job,
    /// When it runs next; nothing while it is queued or runs.
    due_ms: Option<u64>,
    /// What was recorded last.
    last: Option<(i32, ExecStatus)>,
    call_id: i64,
}

impl Executor {
    /// Nothing runs yet.
    pub(crate) fn new(me: NodeName, life: Life, incarnation: Incarnation) -> Self {
        Self {
            me,
            life,
            term: 0,
            taken: BTreeSet::new(),
            void_below: 0,
            slots: BTreeMap::new(),
            running: BTreeMap::new(),
            next_exec: incarnation << 32,
            next_call: 1,
            lease: false,
            outbox: Vec::new(),
            told: Told::default(),
        }
    }

    /// Takes up what an earlier incarnation of this life was doing: recurring operations go on, and
    /// what began and is not known to have ended is probed (protocol.md, 12). `own` has its
    /// status already.
    pub(crate) fn recover(&mut self, now: Now, records: &[JournalRecord], own: &Own) {
        let mut open: BTreeMap<ExecId, Job> = BTreeMap::new();
        let mut recurring: BTreeMap<(String, String, u64), Job> = BTreeMap::new();
        for record in records {
            match record {
                JournalRecord::Term(term) => self.term = self.term.max(*term),
                JournalRecord::Began {
                    exec,
                    action,
                    transition_key,
                    target_rc,
                    record,
                } => {
                    let job = Job {
                        action: action.clone(),
                        transition_key: transition_key.clone(),
                        target_rc: *target_rc,
                        record: record.clone(),
                        order: None,
                        queued_ms: now.mono_ms,
                    };
                    if action.interval_ms > 0 {
                        let key = (
                            action.resource.clone(),
                            action.operation.clone(),
                            action.interval_ms,
                        );
                        recurring.insert(key, job);
                    } else {
                        open.insert(*exec, job);
                    }
                }
                JournalRecord::Ended { exec } => {
                    open.remove(exec);
                }
                _ => {}
            }
        }
        let known = own.known();
        for (name, element) in &known.resources {
            self.next_call = self.next_call.max(history::last_call_id(element) + 1);
            self.slots.entry(name.clone()).or_default();
        }
        for ((resource, operation, interval_ms), job) in recurring {
            self.resume(now, own, &resource, &operation, interval_ms, job);
        }
        for (_, job) in open {
            self.probe_again(job);
        }
    }

    fn resume(
        &mut self,
        now: Now,
        own: &Own,
        resource: &str,
        operation: &str,
        interval_ms: u64,
        job: Job,
    ) {
        let id = history::entry_id(&job.action);
        let Some(element) = own.known().resources.get(resource) else {
            return;
        };
        let Some(entry) = element.children().find(|c| c.id() == Some(&id)) else {
            return;
        };
        let number = |name: &str| entry.attr(name).and_then(|v| v.parse::<i64>().ok());
        let slot = self.slots.entry(resource.to_owned()).or_default();
        slot.recurring.insert(
            (operation.to_owned(), interval_ms),
            Recurring {
                job,
                due_ms: Some(now.mono_ms),
                last: number("rc-code").and_then(|rc| {
                    let rc = i32::try_from(rc).ok()?;
                    (number("op-status") == Some(0)).then_some((rc, ExecStatus::Done))
                }),
                call_id: number("call-id").unwrap_or(0),
            },
        );
    }

    /// What became of an interrupted operation is found out by looking.
    fn probe_again(&mut self, mut job: Job) {
        if job.action.operation == "notify" {
            return;
        }
        job.action.operation = "monitor".to_owned();
        job.target_rc = 7;
        job.record.remove(FAIL_OFFSET);
        let slot = self.slots.entry(job.action.resource.clone()).or_default();
        slot.queue.push_back(job);
    }

    /// Highest term obeyed.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Obeys a coordinator of this term from now on: what an older one ordered and has not begun is
    /// dropped. Returns false for a term already superseded.
    pub(crate) fn adopt(&mut self, term: Term, out: &mut Vec<Command>) -> bool {
        if term < self.term {
            return false;
        }
        if term > self.term {
            self.term = term;
            self.taken.clear();
            self.void_below = 0;
            self.drop_queued("a new coordinator decides");
            out.push(Command::Journal(JournalRecord::Term(term)));
        }
        true
    }

    /// The coordinator of this term decides anew without the orders below `number`: those that have
    /// not begun never will, also if they come later.
    pub(crate) fn void(&mut self, term: Term, number: u64) {
        if term == self.term && number > self.void_below {
            self.void_below = number;
            self.drop_orders("the coordinator decides anew", |order| order < number);
        }
    }

    /// Forgets orders that have not begun (protocol.md, 8 and 10), and says so to who gave them.
    pub(crate) fn drop_queued(&mut self, reason: &str) {
        self.drop_orders(reason, |_| true);
    }

    fn drop_orders(&mut self, reason: &str, which: impl Fn(u64) -> bool) {
        for slot in self.slots.values_mut() {
            let stays = |job: &Job| job.order.as_ref().is_none_or(|(_, _, n)| !which(*n));
            let (kept, dropped): (VecDeque<Job>, VecDeque<Job>) =
                slot.queue.drain(..).partition(stays);
            slot.queue = kept;
            for job in dropped {
                if let Some((to, term, number)) = job.order {
                    let reason = reason.to_owned();
                    self.outbox.push((
                        to,
                        Message::OrderRefused {
                            term,
                            number,
                            reason,
                        },
                    ));
                }
            }
        }
    }

    /// Whether this node holds a lease: without one nothing is brought up.
    pub(crate) fn set_lease(
        &mut self,
        now: Now,
        lease: bool,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        let gained = lease && !self.lease;
        self.lease = lease;
        if gained {
            self.begin_all(now, own, out);
        }
    }

    /// An order has come.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn order(
        &mut self,
        now: Now,
        from: &NodeName,
        term: Term,
        life: &Life,
        order: Order,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        let number = order.number;
        if let Some(reason) = self.reason_to_refuse(term, life, number) {
            let text = format!("order {number} of {from} in term {term} refused: {reason}");
            out.push(Command::Log {
                severity: Severity::Warning,
                text,
            });
            self.outbox.push((
                from.clone(),
                Message::OrderRefused {
                    term,
                    number,
                    reason,
                },
            ));
            return;
        }
        self.adopt(term, out);
        self.outbox
            .push((from.clone(), Message::OrderTaken { term, number }));
        if !self.taken.insert(number) {
            if !matches!(order.kind, OrderKind::Run { .. }) {
                self.say_done(from, term, number, own);
            }
            return;
        }
        let done = match order.kind {
            OrderKind::Run {
                action,
                target_rc,
                record,
            } => {
                self.enqueue(Job {
                    action,
                    transition_key: order.transition_key,
                    target_rc,
                    record,
                    order: Some((from.clone(), term, number)),
                    queued_ms: now.mono_ms,
                });
                false
            }
            OrderKind::CancelRecurring {
                resource,
                operation,
                interval_ms,
            } => {
                self.cancel(&resource, &operation, interval_ms, own, out);
                true
            }
            OrderKind::Forget { resource } => {
                self.forget(&resource, own, out);
                true
            }
            OrderKind::SetAttribute { name, value } => {
                let value = evaluated(own.known().attributes.get(&name), value);
                own.set_attribute(&name, value, out);
                true
            }
            OrderKind::Leave => true,
        };
        if done {
            self.say_done(from, term, number, own);
        }
        self.begin_all(now, own, out);
    }

    fn say_done(&mut self, to: &NodeName, term: Term, number: u64, own: &Own) {
        let stamp = own.stamp().clone();
        let done = Message::OrderDone {
            term,
            number,
            stamp,
        };
        self.outbox.push((to.clone(), done));
    }

    fn reason_to_refuse(&self, term: Term, life: &Life, number: u64) -> Option<String> {
        if term < self.term {
            return Some(format!("{} obeys term {}", self.me, self.term));
        }
        if *life != self.life {
            return Some(format!("meant for life {life}, this is {}", self.life));
        }
        if term == self.term && number < self.void_below && !self.taken.contains(&number) {
            return Some("given before the coordinator decided anew".to_owned());
        }
        None
    }

    /// Runs an operation of this node's own accord (following `no-quorum-policy`).
    pub(crate) fn run_own(
        &mut self,
        now: Now,
        action: AgentAction,
        transition_key: String,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        self.enqueue(Job {
            action,
            transition_key,
            target_rc: 0,
            record: BTreeMap::new(),
            order: None,
            queued_ms: now.mono_ms,
        });
        self.begin_all(now, own, out);
    }

    fn enqueue(&mut self, job: Job) {
        let slot = self.slots.entry(job.action.resource.clone()).or_default();
        if job.action.interval_ms > 0 {
            let key = (job.action.operation.clone(), job.action.interval_ms);
            let recurring = Recurring {
                job: job.clone(),
                due_ms: None,
                last: None,
                call_id: 0,
            };
            slot.recurring.insert(key, recurring);
        }
        slot.queue.push_back(job);
    }

    /// What must be said to coordinators.
    pub(crate) fn take_messages(&mut self) -> Vec<(NodeName, Message)> {
        std::mem::take(&mut self.outbox)
    }

    /// Starts whatever may start.
    pub(crate) fn begin_all(&mut self, now: Now, own: &mut Own, out: &mut Vec<Command>) {
        let idle = self
            .slots
            .iter()
            .filter(|(_, s)| s.current.is_none() && !s.queue.is_empty());
        let names: Vec<String> = idle.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.begin(now, &name, own, out);
        }
    }

    fn begin(&mut self, now: Now, resource: &str, own: &mut Own, out: &mut Vec<Command>) {
        let lease = self.lease;
        let Some(slot) = self.slots.get_mut(resource) else {
            return;
        };
        if slot.current.is_some() || slot.queue.front().is_none_or(|j| j.brings_up() && !lease) {
            return;
        }
        let Some(job) = slot.queue.pop_front() else {
            return;
        };
        let exec = self.next_exec;
        self.next_exec += 1;
        let mut call_id = self.next_call;
        let key = (job.action.operation.clone(), job.action.interval_ms);
        match slot.recurring.get_mut(&key) {
            Some(recurring) if recurring.call_id > 0 => call_id = recurring.call_id,
            other => {
                self.next_call += 1;
                if let Some(recurring) = other {
                    recurring.call_id = call_id;
                }
            }
        }
        if job.changes_state() {
            slot.recurring.clear();
            slot.queue.retain(|j| j.action.interval_ms == 0);
            self.record_pending(now, &job, call_id, own, out);
        }
        out.push(Command::RunAgent {
            exec,
            record: job.began(exec),
            action: job.action.clone(),
        });
        self.running.insert(exec, resource.to_owned());
        if let Some(slot) = self.slots.get_mut(resource) {
            slot.current = Some(Current {
                exec,
                call_id,
                job,
                unwanted: false,
            });
        }
    }

    /// The history says that the operation is under way, and forgets the recurring ones it ended.
    fn record_pending(
        &self,
        now: Now,
        job: &Job,
        call_id: i64,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        let mut record = job.record.clone();
        record.remove(FAIL_OFFSET);
        let run = Execution {
            action: &job.action,
            transition_key: &job.transition_key,
            call_id,
            node: &self.me,
            outcome: None,
            record: &record,
            now_s: now.wall_s,
        };
        let old = own.known().resources.get(&job.action.resource);
        let mut element = history::recorded(old, &run, false);
        element.retain_children(|c| {
            c.attr("interval").is_none_or(|i| i == "0")
                || c.id().is_some_and(|id| id.ends_with("_last_failure_0"))
        });
        own.set_resource(&job.action.resource, Some(element), out);
    }

    /// An execution has ended.
    pub(crate) fn agent_done(
        &mut self,
        now: Now,
        exec: ExecId,
        outcome: &AgentOutcome,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        let Some(resource) = self.running.remove(&exec) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&resource) else {
            return;
        };
        let Some(current) = slot.current.take_if(|c| c.exec == exec) else {
            return;
        };
        self.told.count(&current.job, outcome);
        if !current.unwanted && self.is_news(now, &current, outcome) {
            self.record(now, &current, outcome, own, out);
            self.told.news(&self.me, &current.job, outcome);
        }
        out.push(Command::Journal(JournalRecord::Ended { exec }));
        if current.job.action.operation == "notify"
            && let Some((to, term, number)) = current.job.order
        {
            let stamp = own.stamp().clone();
            self.outbox.push((
                to,
                Message::OrderDone {
                    term,
                    number,
                    stamp,
                },
            ));
        }
        self.begin(now, &resource, own, out);
    }

    /// Plans the next run of a recurring operation; its result is news only if it differs from the last.
    fn is_news(&mut self, now: Now, current: &Current, outcome: &AgentOutcome) -> bool {
        let action = &current.job.action;
        if action.operation == "notify" {
            return false;
        }
        if action.interval_ms == 0 {
            return true;
        }
        let key = (action.operation.clone(), action.interval_ms);
        let Some(slot) = self.slots.get_mut(&action.resource) else {
            return false;
        };
        let Some(recurring) = slot.recurring.get_mut(&key) else {
            return false;
        };
        recurring.due_ms = Some(now.mono_ms + action.interval_ms);
        let result = Some((outcome.rc, outcome.status));
        let news = recurring.last != result;
        recurring.last = result;
        news
    }

    fn record(
        &mut self,
        now: Now,
        current: &Current,
        outcome: &AgentOutcome,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        let job = &current.job;
        let failed = job.has_failed(outcome);
        let mut record = job.record.clone();
        let offset = record.remove(FAIL_OFFSET);
        let run = Execution {
            action: &job.action,
            transition_key: &job.transition_key,
            call_id: current.call_id,
            node: &self.me,
            outcome: Some(outcome),
            record: &record,
            now_s: now.wall_s,
        };
        let name = &job.action.resource;
        let element = history::recorded(own.known().resources.get(name), &run, failed);
        own.set_resource(name, Some(element), out);
        if failed {
            count_failure(now, job, offset.as_deref(), own, out);
            let text = format!(
                "{name}: {} on {} failed: rc {} ({:?}), expected {}{}{}",
                history::key(&job.action),
                self.me,
                outcome.rc,
                outcome.status,
                job.target_rc,
                if outcome.reason.is_empty() { "" } else { ": " },
                outcome.reason,
            );
            out.push(Command::Log {
                severity: Severity::Warning,
                text,
            });
        }
    }

    fn cancel(
        &mut self,
        resource: &str,
        operation: &str,
        interval_ms: u64,
        own: &mut Own,
        out: &mut Vec<Command>,
    ) {
        let same = |a: &AgentAction| a.operation == operation && a.interval_ms == interval_ms;
        if let Some(slot) = self.slots.get_mut(resource) {
            slot.recurring.remove(&(operation.to_owned(), interval_ms));
            slot.queue.retain(|j| !same(&j.action));
            if let Some(current) = slot.current.as_mut().filter(|c| same(&c.job.action)) {
                current.unwanted = true;
            }
        }
        if let Some(old) = own.known().resources.get(resource) {
            let new = history::without_recurring(old, resource, operation, interval_ms);
            own.set_resource(resource, Some(new), out);
        }
    }

    fn forget(&mut self, resource: &str, own: &mut Own, out: &mut Vec<Command>) {
        if let Some(slot) = self.slots.get_mut(resource) {
            slot.recurring.clear();
            slot.queue.retain(|j| j.action.interval_ms == 0);
            if slot.current.is_none() && slot.queue.is_empty() {
                self.slots.remove(resource);
            }
        }
        own.set_resource(resource, None, out);
    }

    /// Queues the recurring operations that are due.
    pub(crate) fn tick(&mut self, now: Now, own: &mut Own, out: &mut Vec<Command>) {
        for slot in self.slots.values_mut() {
            for recurring in slot.recurring.values_mut() {
                if recurring.due_ms.is_some_and(|due| due <= now.mono_ms) {
                    recurring.due_ms = None;
                    let mut job = recurring.job.clone();
                    job.order = None;
                    job.queued_ms = now.mono_ms;
                    slot.queue.push_back(job);
                }
            }
        }
        self.begin_all(now, own, out);
    }

    /// When the next recurring operation is due.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let recurring = self.slots.values().flat_map(|s| s.recurring.values());
        recurring.filter_map(|r| r.due_ms).min()
    }

    /// Whether something that changes a resource's state runs or waits.
    pub(crate) fn is_changing(&self) -> bool {
        let changing = |s: &Slot| {
            s.current.as_ref().is_some_and(|c| c.job.changes_state())
                || s.queue.iter().any(Job::changes_state)
        };
        self.slots.values().any(changing)
    }

    /// What a rewritten journal must say about executions.
    pub(crate) fn records(&self) -> Vec<JournalRecord> {
        let mut records = vec![JournalRecord::Term(self.term)];
        for slot in self.slots.values() {
            for (nth, recurring) in slot.recurring.values().enumerate() {
                let exec = nth as ExecId;
                records.push(recurring.job.began(exec));
                records.push(JournalRecord::Ended { exec });
            }
        }
        // Last: the numbers above are not those of executions.
        for slot in self.slots.values() {
            if let Some(current) = &slot.current {
                records.push(current.job.began(current.exec));
            }
        }
        records
    }
}

impl Job {
    fn began(&self, exec: ExecId) -> JournalRecord {
        JournalRecord::Began {
            exec,
            action: self.action.clone(),
            transition_key: self.transition_key.clone(),
            target_rc: self.target_rc,
            record: self.record.clone(),
        }
    }

    fn is_probe(&self) -> bool {
        self.action.operation == "monitor" && self.action.interval_ms == 0
    }

    fn changes_state(&self) -> bool {
        let harmless = ["monitor", "notify", "meta-data", "validate-all"];
        self.action.interval_ms == 0 && !harmless.contains(&self.action.operation.as_str())
    }

    fn brings_up(&self) -> bool {
        let bringing = ["start", "promote", "migrate_from", "migrate_to"];
        bringing.contains(&self.action.operation.as_str())
    }

    fn has_failed(&self, outcome: &AgentOutcome) -> bool {
        match outcome.status {
            ExecStatus::Cancelled | ExecStatus::Pending => false,
            _ if self.is_probe() => outcome.status != ExecStatus::Done,
            ExecStatus::Done => outcome.rc != self.target_rc,
            _ => true,
        }
    }
}

/// Raises the fail count beside the history, in the same change of status.
fn count_failure(now: Now, job: &Job, offset: Option<&str>, own: &mut Own, out: &mut Vec<Command>) {
    if job.is_probe() || job.action.operation == "notify" {
        return;
    }
    let action = &job.action;
    let suffix = format!(
        "{}#{}_{}",
        action.resource, action.operation, action.interval_ms
    );
    let count = format!("fail-count-{suffix}");
    let change = match offset {
        Some("INFINITY") => "INFINITY".to_owned(),
        _ => format!("{count}++"),
    };
    let value = evaluated(own.known().attributes.get(&count), Some(change));
    own.set_attribute(&count, value, out);
    own.set_attribute(
        &format!("last-failure-{suffix}"),
        Some(now.wall_s.to_string()),
        out,
    );
}

/// A new value, with `name++` and `name+=N` reckoned from the old one (1,000,000 is INFINITY).
pub(crate) fn evaluated(old: Option<&String>, new: Option<String>) -> Option<String> {
    const INFINITY: i64 = 1_000_000;
    let text = new?;
    let add = if text.ends_with("++") {
        Some(1)
    } else {
        text.split_once("+=")
            .and_then(|(_, n)| n.parse::<i64>().ok())
    };
    let Some(add) = add else {
        return Some(text);
    };
    let before = match old.map(String::as_str) {
        Some("INFINITY" | "+INFINITY") => INFINITY,
        Some("-INFINITY") => -INFINITY,
        Some(number) => number.parse().unwrap_or(0),
        None => 0,
    };
    let sum = before.saturating_add(add);
    Some(match sum {
        INFINITY.. => "INFINITY".to_owned(),
        ..=-1_000_000 => "-INFINITY".to_owned(),
        _ => sum.to_string(),
    })
}

#[cfg(test)]
mod tests;
