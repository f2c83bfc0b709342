//! The core itself: takes inputs, keeps the operations going.

mod attempt;
mod calls;
mod relay;

use crate::{
    command::{Command, Severity},
    device::{Device, HostCheck, Verb},
    history::{Entry, History, State},
    input::{CallResult, ClientId, Input, Now, Reply, Request},
    operation::{Next, Operation, Step},
    registry::{Problem, Registry},
    settings::Settings,
};
use calls::Calls;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

type OperationId = u64;

/// The fencing decisions of one node.
#[derive(Debug)]
pub struct Fencer {
    node: String,
    settings: Settings,
    registry: Registry,
    problems: Vec<Problem>,
    /// What devices said about whom they can fence.
    lists: BTreeMap<String, Listed>,
    /// Highest term seen in an order.
    term: u64,
    /// Highest life seen of each node.
    lives: BTreeMap<String, u64>,
    operations: BTreeMap<OperationId, Operation>,
    /// Requests for targets that are being fenced otherwise.
    waiting: VecDeque<(ClientId, Request)>,
    calls: Calls,
    history: History,
    commands: VecDeque<Command>,
    next_id: u64,
}

/// A device's own answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    Targets(BTreeSet<String>),
    /// It cannot say: its answer for a target decides.
    Anybody,
}

impl Fencer {
    /// A core without devices: feed it the configuration.
    pub fn new(node: &str, settings: Settings) -> Self {
        Self {
            node: node.to_owned(),
            history: History::new(settings.history_entries),
            settings,
            registry: Registry::default(),
            problems: Vec::new(),
            lists: BTreeMap::new(),
            term: 0,
            lives: BTreeMap::new(),
            operations: BTreeMap::new(),
            waiting: VecDeque::new(),
            calls: Calls::default(),
            commands: VecDeque::new(),
            next_id: 0,
        }
    }

    /// Something has happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Tick => {}
            Input::Configuration(cib) => self.configure(&cib),
            Input::Request { client, request } => self.request(now, client, request),
            Input::Called { run, result } => self.called(now, run, result),
            Input::Offered { ask, offer } => self.offered(now, ask, offer),
            Input::AskEnded { ask } => self.ask_ended(now, ask),
            Input::Relayed { relay, result } => self.relayed(now, relay, result),
            Input::TermSeen(term) => self.term = self.term.max(term),
            Input::LifeSeen { node, number } => {
                let known = self.lives.entry(node).or_default();
                *known = number.max(*known);
            }
        }
        self.expire(now);
        self.commands.extend(
            self.calls
                .start(now, &self.registry, self.settings.slack_ms),
        );
    }

    /// The next thing to do, oldest first.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Input::Tick`] is due, in milliseconds of the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let operations = self.operations.values().map(Operation::wake_ms);
        operations.chain(self.calls.wake_ms()).min()
    }

    /// All devices of the configuration.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.registry.devices.values()
    }

    /// Whether a device may be used on this node.
    pub fn runs_here(&self, device: &Device) -> bool {
        !device.banned_on.contains(&self.node)
    }

    /// Whom a device can fence, as far as it is known.
    pub fn targets(&self, device: &Device) -> Vec<String> {
        match (device.host_check, self.lists.get(&device.id)) {
            (HostCheck::StaticList, _) => device.static_targets.iter().cloned().collect(),
            (_, Some(Listed::Targets(targets))) => targets.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Devices that this node could use against a target, best first. A node never offers to fence itself.
    pub fn can(&self, target: &str) -> Vec<&Device> {
        match target == self.node {
            true => Vec::new(),
            false => self.candidates(target),
        }
    }

    /// Past and running operations, newest first.
    pub fn history(&self) -> impl Iterator<Item = &Entry> {
        self.history.entries()
    }

    /// What is wrong in the configuration.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn configure(&mut self, cib: &cib::Element) {
        let (registry, problems) = Registry::read(cib);
        for p in problems.iter().filter(|p| !self.problems.contains(p)) {
            let text = format!("configuration, line {}, {}: {}", p.line, p.id, p.text);
            self.commands.push_back(Command::Log {
                severity: Severity::Warning,
                text,
            });
        }
        let old = std::mem::replace(&mut self.registry, registry);
        self.problems = problems;
        self.lists
            .retain(|id, _| self.registry.devices.contains_key(id));
        let changed: Vec<Device> = self
            .registry
            .devices
            .values()
            .filter(|d| old.devices.get(&d.id) != Some(*d))
            .cloned()
            .collect();
        for device in changed {
            self.registered(&device);
        }
    }

    /// A device is new or has changed: ask it whom it can fence, before that matters.
    fn registered(&mut self, device: &Device) {
        self.lists.remove(&device.id);
        if device.host_check == HostCheck::DynamicList && self.runs_here(device) {
            let call = device.call(Verb::List, "", self.list_timeout_ms(device));
            self.calls.queue(call);
        }
    }

    fn list_timeout_ms(&self, device: &Device) -> u64 {
        let own = device.timeout_ms(Verb::List);
        own.unwrap_or(self.settings.list_timeout_ms)
    }

    /// Devices usable here for a target: who knows it first, then by priority.
    fn candidates(&self, target: &str) -> Vec<&Device> {
        let mut found: Vec<(bool, &Device)> = self
            .devices()
            .filter(|d| self.runs_here(d))
            .filter_map(|d| Some((self.knows(d, target)?, d)))
            .collect();
        found.sort_by_key(|(known, d)| (!known, std::cmp::Reverse(d.priority)));
        found.into_iter().map(|(_, d)| d).collect()
    }

    /// Whether a device has the target (true), may have it (false), or has not (nothing).
    fn knows(&self, device: &Device, target: &str) -> Option<bool> {
        match (device.host_check, self.lists.get(&device.id)) {
            (HostCheck::StaticList, _) => device.static_targets.contains(target).then_some(true),
            (HostCheck::Any, _) | (_, None | Some(Listed::Anybody)) => Some(false),
            (_, Some(Listed::Targets(targets))) => targets.contains(target).then_some(true),
        }
    }

    fn request(&mut self, now: Now, client: ClientId, request: Request) {
        if let Err(reason) = self.check(&request) {
            self.refuse(client, &request, reason);
            return;
        }
        self.term = self.term.max(request.term);
        if let Some(reply) = self.answered_before(&request) {
            self.commands.push_back(Command::Reply { client, reply });
            return;
        }
        if let Some(op) = self.operations.values_mut().find(|o| o.is_same(&request)) {
            op.clients.push(client);
            return;
        }
        if self.is_busy(&request) {
            self.waiting.push_back((client, request));
            return;
        }
        self.begin(now, client, request);
    }

    fn check(&self, request: &Request) -> Result<(), String> {
        if !matches!(request.action.as_str(), "reboot" | "off" | "on") {
            return Err(format!(
                "'{}' is not a fencing action (reboot, off, on)",
                request.action
            ));
        }
        if request.term < self.term {
            return Err(format!(
                "ordered in term {}, but term {} has begun: the coordinator has changed and decides anew",
                request.term, self.term
            ));
        }
        match self.newer_life(request) {
            Some(number) => Err(format!(
                "{} lives already in life {number}; only life {} was to be ended",
                request.target, request.life_number
            )),
            None => Ok(()),
        }
    }

    /// A life of the target that must not be shot.
    fn newer_life(&self, request: &Request) -> Option<u64> {
        let seen = *self.lives.get(&request.target)?;
        let shoots = request.action != "on" && request.life_number > 0;
        (shoots && seen > request.life_number).then_some(seen)
    }

    fn refuse(&mut self, client: ClientId, request: &Request, reason: String) {
        self.log(
            Severity::Warning,
            format!(
                "refused to {} {} for {}: {reason}",
                request.action, request.target, request.origin
            ),
        );
        let reply = Reply {
            result: Err(reason),
            device: String::new(),
            by_node: self.node.clone(),
            elapsed_ms: 0,
        };
        self.commands.push_back(Command::Reply { client, reply });
    }

    /// The same intent again, after it succeeded.
    fn answered_before(&self, request: &Request) -> Option<Reply> {
        let entry = self.history.entries().find(|e| {
            !request.intent.is_empty()
                && e.intent == request.intent
                && e.target == request.target
                && e.action == request.action
        })?;
        match &entry.state {
            State::Done(grade) => Some(Reply {
                result: Ok(*grade),
                device: entry.device.clone(),
                by_node: entry.by_node.clone(),
                elapsed_ms: 0,
            }),
            _ => None,
        }
    }

    fn is_busy(&self, request: &Request) -> bool {
        self.operations.values().any(|o| o.holds_up(request))
    }

    fn begin(&mut self, now: Now, client: ClientId, request: Request) {
        let attempts = self.plan(&request);
        let delay_ms = request.delay_ms + self.device_delay_ms(&request, &attempts);
        let timeout_ms = match request.timeout_ms {
            0 => self.settings.call_timeout_ms,
            some => some,
        };
        let starts_ms = now.mono_ms + delay_ms;
        self.history.started(&request, now.wall_s);
        self.log(
            Severity::Info,
            format!(
                "to {} {} (life {}) for {}, within {timeout_ms} ms after a delay of {delay_ms} ms",
                request.action, request.target, request.life_number, request.origin
            ),
        );
        let operation = Operation {
            clients: vec![client],
            started_ms: now.mono_ms,
            deadline_ms: starts_ms + timeout_ms,
            attempts,
            level: None,
            relisting: None,
            unproven: None,
            failures: Vec::new(),
            answered: false,
            offers: VecDeque::new(),
            places: BTreeMap::new(),
            step: Step::Pause {
                until_ms: starts_ms,
                then: Next::Begin,
            },
            request,
        };
        let id = self.new_id();
        self.operations.insert(id, operation);
    }

    /// Carries on whatever is due, and starts what waited for an operation that has ended.
    fn expire(&mut self, now: Now) {
        loop {
            let due: Vec<OperationId> = self
                .operations
                .iter()
                .filter(|(_, o)| o.wake_ms() <= now.mono_ms || o.step == Step::Ended)
                .map(|(id, _)| *id)
                .collect();
            for id in &due {
                self.with(*id, |fencer, op| fencer.due(now, op));
            }
            let started = self.start_waiting(now);
            if due.is_empty() && !started {
                return;
            }
        }
    }

    fn start_waiting(&mut self, now: Now) -> bool {
        let ready = self.waiting.iter().position(|(_, r)| !self.is_busy(r));
        let Some((client, request)) = ready.and_then(|at| self.waiting.remove(at)) else {
            return false;
        };
        self.request(now, client, request);
        true
    }

    /// Works on an operation outside of the table, and drops it when it has ended.
    fn with(&mut self, id: OperationId, work: impl FnOnce(&mut Self, &mut Operation)) {
        if let Some(mut op) = self.operations.remove(&id) {
            work(self, &mut op);
            if op.step != Step::Ended {
                self.operations.insert(id, op);
            }
        }
    }

    fn find(&self, wanted: impl Fn(&Step) -> bool) -> Option<OperationId> {
        self.operations
            .iter()
            .find(|(_, o)| wanted(&o.step))
            .map(|(id, _)| *id)
    }

    fn called(&mut self, now: Now, run: u64, result: CallResult) {
        let Some(call) = self.calls.ended(run) else {
            return;
        };
        if call.verb == Verb::List {
            self.listed(&call.device, &result);
        }
        let waits = |step: &Step| matches!(step, Step::Calling { run: r, .. } if *r == run);
        if let Some(id) = self.find(waits) {
            self.with(id, |fencer, op| fencer.device_answered(now, op, result));
        }
    }

    fn listed(&mut self, device: &str, result: &CallResult) {
        let listed = match result {
            CallResult::Targets(targets) => Listed::Targets(targets.iter().cloned().collect()),
            CallResult::Unsupported => Listed::Anybody,
            CallResult::Failed(reason) => {
                self.log(
                    Severity::Warning,
                    format!("{device} did not say whom it can fence: {reason}; it is used as a last resort until it does"),
                );
                return;
            }
            CallResult::Done | CallResult::Status(_) => return,
        };
        self.lists.insert(device.to_owned(), listed);
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn log(&mut self, severity: Severity, text: String) {
        self.commands.push_back(Command::Log { severity, text });
    }
}
