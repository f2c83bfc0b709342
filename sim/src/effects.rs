//! The shell of a node's core: gives it its inputs and carries out its commands, in their order.

use crate::{
    raft::{Output, Payload},
    truth::Truth,
    world::{Event, Parcel, World, describe},
};
use crmd_core::{
    Node,
    command::{Command, Severity},
    entry::Entry,
    ids::Now,
    input::{Input, ProposeError},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// More wake-ups than this in a second bring nothing new.
const MOST_TICKS: u32 = 300;

impl World<'_> {
    /// Gives a core an input, and does everything that follows from it at this moment.
    pub(crate) fn input(&mut self, node: usize, input: Input) {
        if let Some(daemon) = self.hosts[node].daemon.as_mut() {
            daemon.inbox.push_back(input);
        }
        self.pump(node);
    }

    /// Works until the core and its Raft have nothing more to do now.
    pub(crate) fn pump(&mut self, node: usize) {
        loop {
            self.raft_outputs(node);
            self.snapshot(node);
            let Some(daemon) = self.hosts[node].daemon.as_mut() else {
                return;
            };
            let input = daemon.inbox.pop_front();
            if let Some(input) = input {
                self.handle(node, input);
            }
            let more = self.carry_out_all(node);
            let quiet = |d: &crate::host::Daemon| d.inbox.is_empty();
            if !more && self.hosts[node].daemon.as_ref().is_none_or(quiet) {
                break;
            }
        }
        self.plan_wakes(node);
    }

    fn handle(&mut self, node: usize, input: Input) {
        self.statistics.inputs += 1;
        if self.trace.is_on() && !is_beat(&input) {
            self.note(Some(node), format_args!("< {}", show_input(&input)));
        }
        if let Input::LeaderReady { term } = &input
            && let Some(daemon) = self.hosts[node].daemon.as_mut()
        {
            daemon.leads_in = *term;
        }
        self.guarded(node, "handle", |core, now| core.handle(now, input));
    }

    /// Calls the core; a panic in it is a violation, not the end of the simulator.
    pub(crate) fn guarded(&mut self, node: usize, what: &str, call: impl FnOnce(&mut Node, Now)) {
        let host = &mut self.hosts[node];
        let now = host.now(self.now);
        let Some(daemon) = host.daemon.as_mut() else {
            return;
        };
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut daemon.core, now)));
        if let Err(panic) = result {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            let node = host.name.clone();
            let what = format!("{what}: {}", text.unwrap_or_default());
            self.tell(Truth::Panicked { node, what });
        }
    }

    /// Carries out what the core wants; whether there was anything.
    fn carry_out_all(&mut self, node: usize) -> bool {
        let mut any = false;
        loop {
            let Some(daemon) = self.hosts[node].daemon.as_mut() else {
                return any;
            };
            let epoch = daemon.epoch;
            let Some(command) = daemon.core.poll_command() else {
                return any;
            };
            any = true;
            if self.trace.is_on() {
                self.show_command(node, &command);
            }
            self.carry_out(node, epoch, command);
            self.strike(node);
        }
    }

    fn carry_out(&mut self, node: usize, epoch: u64, command: Command) {
        let now = self.now;
        let host = &mut self.hosts[node];
        let Some(daemon) = host.daemon.as_mut() else {
            return;
        };
        match command {
            Command::Send { to, message } => match self.index(&to) {
                Some(to) if to != node => self.post(node, to, Parcel::Core(message)),
                Some(_) => {
                    let from = to;
                    let input = Input::Received { from, message };
                    self.after(0, Event::ForDaemon { node, epoch, input });
                }
                None => {}
            },
            Command::ProbeHost { peer, deadline_ms } => {
                if let Some(peer) = self.index(&peer) {
                    self.probe(node, peer, deadline_ms);
                }
            }
            Command::Propose { proposal, entry } => {
                let term = daemon.leads_in;
                daemon.raft.propose(now, proposal, term, entry);
            }
            Command::Campaign => daemon.raft.campaign(now),
            Command::TransferLeadership { to } => daemon.raft.transfer(to),
            Command::ChangeVoters { voters, learners } => {
                daemon.raft.change(now, voters, learners);
            }
            Command::Journal(record) => host.journal.push(record),
            Command::JournalRewrite(records) => host.journal = records,
            Command::RunAgent {
                exec,
                record,
                action,
            } => {
                host.journal.push(record);
                self.run_agent(node, exec, action);
            }
            Command::KillAgent { exec } => self.kill_agent(node, exec),
            Command::Schedule { run, cib, now_s } => {
                self.statistics.schedules += 1;
                let decision = Box::new((self.schedule)(&cib, now_s));
                let input = Input::Scheduled { run, decision };
                let took_ms = self.rng.range(1, 15);
                self.after(took_ms, Event::ForDaemon { node, epoch, input });
            }
            Command::Fence(order) => self.fence(node, order),
            Command::Reply { client, response } => self.replied(client, &response),
            Command::Exit { .. } => {
                self.end_daemon(node, false);
                self.come_back(node);
            }
            Command::Changed { .. } | Command::Log { .. } | Command::Alert(_) => {}
        }
    }

    /// A fault that was to strike between two commands.
    fn strike(&mut self, node: usize) {
        let Some((commands, whole)) = self.hosts[node].doom else {
            return;
        };
        if commands > 0 {
            self.hosts[node].doom = Some((commands - 1, whole));
            return;
        }
        self.hosts[node].doom = None;
        if whole {
            self.power_off(node, "between two commands");
            self.boot_soon(node);
        } else {
            self.crash_daemon(node, "between two commands");
        }
    }

    fn raft_outputs(&mut self, node: usize) {
        let Some(daemon) = self.hosts[node].daemon.as_mut() else {
            return;
        };
        for output in daemon.raft.take_outputs() {
            self.raft_output(node, output);
        }
    }

    fn raft_output(&mut self, node: usize, output: Output) {
        let name = |w: &Self, id: u64| Some(w.hosts.get(id.checked_sub(1)? as usize)?.name.clone());
        let inputs = match output {
            Output::Send(to, wire) => {
                self.post(node, to as usize - 1, Parcel::Raft(wire));
                return;
            }
            Output::Leader(term, leader) => {
                let leader = leader.and_then(|l| name(self, l));
                vec![Input::Leader { term, leader }]
            }
            Output::Ready(term) => vec![Input::LeaderReady { term }],
            Output::Apply(index, payload) => applied(index, payload),
            Output::Installed(snapshot) => vec![
                Input::SnapshotInstalled {
                    snapshot: snapshot.data.clone(),
                    index: snapshot.index,
                },
                members(&snapshot.config),
            ],
            Output::Proposed(proposal, result) => {
                let result =
                    result.map_err(|l| ProposeError::NotLeader(l.and_then(|l| name(self, l))));
                vec![Input::Proposed { proposal, result }]
            }
        };
        if let Some(daemon) = self.hosts[node].daemon.as_mut() {
            let entries = inputs.iter().filter(|i| matches!(i, Input::Applied { .. }));
            daemon.since_snapshot += entries.count() as u64;
            daemon.inbox.extend(inputs);
        }
    }

    /// Makes a snapshot now and then, when the core has been told everything that Raft has applied.
    fn snapshot(&mut self, node: usize) {
        let every = self.universe.snapshot_every;
        let Some(daemon) = self.hosts[node].daemon.as_mut() else {
            return;
        };
        if daemon.since_snapshot >= every && daemon.inbox.is_empty() {
            daemon.since_snapshot = 0;
            let data = daemon.core.snapshot();
            let keep = self.rng.below(6);
            daemon.raft.compact(data, keep);
            let index = daemon.raft.applied();
            self.note(Some(node), format_args!("snapshot up to {index}"));
        }
    }

    pub(crate) fn core_due(&mut self, node: usize, epoch: u64) {
        let now = self.now;
        let host = &mut self.hosts[node];
        let mono_ms = host.now(now).mono_ms;
        let Some(daemon) = host.daemon.as_mut().filter(|d| d.epoch == epoch) else {
            return;
        };
        daemon.wake_core_ms = None;
        let due = daemon.core.poll_timeout().is_some_and(|at| at <= mono_ms);
        if due {
            let (second, count) = daemon.ticks;
            let again = second == now / 1_000;
            daemon.ticks = (now / 1_000, if again { count + 1 } else { 1 });
            if daemon.ticks.1 > MOST_TICKS {
                let node = host.name.clone();
                self.tell(Truth::Spins { node });
            }
            self.input(node, Input::Tick);
        } else {
            self.plan_wakes(node);
        }
    }

    pub(crate) fn raft_due(&mut self, node: usize, epoch: u64) {
        let now = self.now;
        let daemon = self.hosts[node].daemon.as_mut();
        if let Some(daemon) = daemon.filter(|d| d.epoch == epoch) {
            daemon.wake_raft_ms = None;
            daemon.raft.tick(now);
            self.pump(node);
        }
    }

    /// Wakes come at the deadlines that core and Raft give, and at no other time.
    fn plan_wakes(&mut self, node: usize) {
        let now = self.now;
        let host = &mut self.hosts[node];
        let Some(core_ms) = host.daemon.as_ref().map(|d| d.core.poll_timeout()) else {
            return;
        };
        let core_ms = core_ms.map(|at| host.universe_ms(at).max(now));
        let Some(daemon) = host.daemon.as_mut() else {
            return;
        };
        let epoch = daemon.epoch;
        let raft_ms = daemon.raft.deadline_ms().max(now);
        let mut plans = Vec::new();
        if let Some(at) = core_ms
            && daemon.wake_core_ms.is_none_or(|planned| at < planned)
        {
            daemon.wake_core_ms = Some(at);
            plans.push((at - now, Event::CoreDue { node, epoch }));
        }
        if daemon.wake_raft_ms.is_none_or(|planned| raft_ms < planned) {
            daemon.wake_raft_ms = Some(raft_ms);
            plans.push((raft_ms - now, Event::RaftDue { node, epoch }));
        }
        for (delay_ms, event) in plans {
            self.after(delay_ms, event);
        }
    }

    fn show_command(&mut self, node: usize, command: &Command) {
        match command {
            Command::Send {
                message: crmd_core::message::Message::Beat(_),
                ..
            } => {}
            Command::Log {
                severity: Severity::Debug,
                ..
            }
            | Command::Changed { .. } => {}
            Command::Log { severity, text } => {
                self.note(Some(node), format_args!("{severity:?}: {text}"));
            }
            Command::Schedule { run, .. } => {
                self.note(Some(node), format_args!("> Schedule {run}"));
            }
            Command::Fence(order) => {
                self.note(Some(node), format_args!("> Fence {}", describe(order)));
            }
            other => self.note(Some(node), format_args!("> {other:?}")),
        }
    }
}

fn applied(index: u64, payload: Payload) -> Vec<Input> {
    let entry = |entry| Input::Applied { index, entry };
    match payload {
        Payload::Blank => vec![entry(Entry::Blank)],
        Payload::Fact(fact) => vec![entry((*fact).clone())],
        Payload::Config(config) => vec![members(&config), entry(Entry::Blank)],
    }
}

fn members(config: &crate::raft::Config) -> Input {
    Input::RaftMembers {
        voters: config.voters.clone(),
        learners: config.learners.clone(),
    }
}

fn is_beat(input: &Input) -> bool {
    use crmd_core::message::Message;
    matches!(
        input,
        Input::Tick
            | Input::Received {
                message: Message::Beat(_),
                ..
            }
    )
}

fn show_input(input: &Input) -> String {
    match input {
        Input::Scheduled { run, decision } => {
            let steps = &decision.graph.synapses;
            let actions: Vec<String> = steps
                .iter()
                .flat_map(|s| &s.actions)
                .map(|a| format!("{}@{}", a.key, a.node.as_deref().unwrap_or("-")))
                .collect();
            format!("Scheduled {run}: {}", actions.join(" "))
        }
        other => format!("{other:?}"),
    }
}
