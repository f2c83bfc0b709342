//! The one task that owns the node's core: takes events from a queue, gives them to the core with
//! the time, and carries out its commands in their order.
//!
//! Must never: decide anything, or wait for something slow; slow work goes to tasks of its own, which
//! answer through the queue.

use crate::{
    agents::Agents,
    alerts::Alerts,
    cib_file::CibFile,
    clock,
    fencing::Fencing,
    journal::{Journal, JournalError},
    links::Links,
    machine::{Clock, Now, Work},
    membership::VoterChanges,
    raft_control::RaftControl,
    schedule, witness,
};
use cib::Element;
use crmd_core::{
    Node,
    command::{Command, Severity},
    entry::Entry,
    figures::Figures,
    input::{ClientId, Input},
    message::Message,
    request::{Request, Response},
    view::NodeView,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{mpsc, oneshot, watch};
use transport::net::Network;

/// Something for the driver.
#[derive(Debug)]
pub(crate) enum Event {
    /// For the core as it is.
    Input(Input),
    /// A local caller's request and the way back.
    Client {
        /// Who, from [`EventsExt::client_id`]'s counter.
        client: ClientId,
        /// What.
        request: Request,
        /// Where the answer goes.
        reply: oneshot::Sender<Response>,
    },
    /// The caller stopped waiting.
    ClientGone {
        /// Who.
        client: ClientId,
    },
    /// The replicated state at this point of the queue.
    Snapshot {
        /// Where it goes.
        reply: oneshot::Sender<Vec<u8>>,
    },
    /// What people and tests see.
    View {
        /// Where it goes.
        reply: oneshot::Sender<NodeView>,
    },
    /// What metrics show.
    Figures {
        /// Where it goes.
        reply: oneshot::Sender<Figures>,
    },
    /// End the daemon; resources run on.
    Stop(Ending),
}

/// Why the daemon ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Asked to (SIGTERM): resources run on, a later start takes them up.
    Asked,
    /// The core said so: everything is stopped, the node has left.
    Left(String),
    /// It cannot go on; the supervisor starts it anew.
    Broken(String),
}

/// The queue's entrance.
pub(crate) type Events = mpsc::UnboundedSender<Event>;
/// The queue's exit.
pub(crate) type EventQueue = mpsc::UnboundedReceiver<Event>;

/// Where tools read the document.
pub(crate) type Published = watch::Receiver<Snapshot>;

/// The document after a change.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// Configuration and status.
    pub(crate) document: Element,
    /// Counts changes of the configuration.
    pub(crate) configuration: u64,
    /// Counts all changes.
    pub(crate) change: u64,
}

/// Everything a command may need.
#[derive(Debug)]
pub(crate) struct Effects {
    /// The entrance of the driver's own queue, for outcomes.
    pub(crate) events: Events,
    /// To the other members.
    pub(crate) links: Links,
    /// To Raft.
    pub(crate) raft: RaftControl,
    /// Changes of who votes.
    pub(crate) voters: Arc<VoterChanges>,
    /// What survives `kill -9`.
    pub(crate) journal: Journal,
    /// Running agents.
    pub(crate) agents: Agents,
    /// Alert agents.
    pub(crate) alerts: Alerts,
    /// The fencing daemon.
    pub(crate) fencing: Fencing,
    /// `cib.xml`.
    pub(crate) cib_file: CibFile,
    /// Where tools read the document.
    pub(crate) published: watch::Sender<Snapshot>,
    /// What the core calls now.
    pub(crate) clock: Arc<dyn Clock>,
    /// The way to other hosts.
    pub(crate) network: Arc<dyn Network>,
    /// Who decides, beside us.
    pub(crate) work: Work,
    /// What the decision before left.
    pub(crate) remembered: schedule::Remembered,
}

/// Owns the core.
#[derive(Debug)]
pub(crate) struct Driver {
    node: Node,
    effects: Effects,
    clients: BTreeMap<ClientId, oneshot::Sender<Response>>,
    ending: Option<Ending>,
}

impl Driver {
    /// A driver for a core that was given its journal already.
    pub(crate) fn new(node: Node, effects: Effects) -> Self {
        Self {
            node,
            effects,
            clients: BTreeMap::new(),
            ending: None,
        }
    }

    /// Works until the daemon shall end.
    pub(crate) async fn run(mut self, mut queue: EventQueue) -> Ending {
        self.carry_out_all();
        loop {
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            let wait = clock::until(self.now().mono_ms, self.node.poll_timeout());
            match tokio::time::timeout(wait, queue.recv()).await {
                Ok(Some(event)) => self.take(event),
                Ok(None) => return Ending::Broken("nobody sends events any more".to_owned()),
                Err(_) if self.is_due() => self.handle(Input::Tick),
                Err(_) => {}
            }
            self.carry_out_all();
        }
    }

    fn is_due(&self) -> bool {
        self.node
            .poll_timeout()
            .is_some_and(|due| due <= self.now().mono_ms)
    }

    fn now(&self) -> Now {
        self.effects.clock.now()
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.node.handle(now, input);
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Input(input) => self.take_input(input),
            Event::Client {
                client,
                request,
                reply,
            } => {
                self.clients.insert(client, reply);
                let input = Input::Client { client, request };
                self.handle(input);
            }
            Event::ClientGone { client } => {
                if self.clients.remove(&client).is_some() {
                    self.handle(Input::ClientGone { client });
                }
            }
            Event::Snapshot { reply } => answer(reply, self.node.snapshot()),
            Event::View { reply } => answer(reply, self.node.view(self.now())),
            Event::Figures { reply } => answer(reply, self.node.figures(self.now())),
            Event::Stop(ending) => self.ending = Some(ending),
        }
    }

    /// The members' addresses are brought up to date before commands that need them.
    fn take_input(&mut self, input: Input) {
        let members_change = match &input {
            Input::SnapshotInstalled { .. } => true,
            Input::Applied { entry, .. } => {
                matches!(entry, Entry::MemberAdded(_) | Entry::MemberRemoved { .. })
            }
            _ => false,
        };
        if let Input::LeaderReady { term } = input {
            self.effects.raft.leads_in(term);
        }
        self.handle(input);
        if members_change {
            self.publish_members();
        }
    }

    fn carry_out_all(&mut self) {
        while let Some(command) = self.node.poll_command() {
            self.carry_out(command);
        }
    }

    fn carry_out(&mut self, command: Command) {
        let effects = &mut self.effects;
        match command {
            Command::Send { to, message } => {
                if matches!(message, Message::Beat(_)) {
                    effects.raft.pace().beaten();
                }
                effects.links.send(&to, message);
            }
            Command::ProbeHost { peer, deadline_ms } => {
                let targets = effects.links.targets(&peer);
                let network = effects.network.clone();
                witness::probe(network, effects.events.clone(), peer, targets, deadline_ms);
            }
            Command::Propose { proposal, entry } => effects.raft.propose(proposal, entry),
            Command::Campaign => effects.raft.campaign(),
            Command::TransferLeadership { to } => effects.raft.transfer(to),
            Command::ChangeVoters { voters, learners } => effects.voters.want(voters, learners),
            Command::Journal(record) => self.journal(|j| j.append(&record)),
            Command::JournalRewrite(records) => self.journal(|j| j.rewrite(&records)),
            Command::RunAgent {
                exec,
                record,
                action,
            } => {
                self.journal(|j| j.append(&record));
                let journal = self.effects.journal.clone();
                self.effects.agents.run(exec, action, journal);
            }
            Command::KillAgent { exec } => effects.agents.kill(exec),
            Command::Schedule { run, cib, now_s } => {
                let (events, known) = (effects.events.clone(), effects.remembered.clone());
                schedule::run(effects.work, events, known, run, cib, now_s);
            }
            Command::Fence(order) => effects.fencing.execute(order),
            Command::Reply { client, response } => {
                if let Some(reply) = self.clients.remove(&client) {
                    answer(reply, response);
                }
            }
            Command::Changed { configuration } => self.publish(configuration),
            Command::Alert(calls) => effects.alerts.tell(calls),
            Command::Exit { reason } => self.ending = Some(Ending::Left(reason)),
            Command::Log { severity, text } => log(severity, &text),
        }
    }

    /// A journal that cannot be written makes a later restart forget what runs here: the daemon
    /// must not begin anything more.
    fn journal(&mut self, write: impl FnOnce(&Journal) -> Result<(), JournalError>) {
        if let Err(error) = write(&self.effects.journal) {
            self.ending = Some(Ending::Broken(error.to_string()));
        }
    }

    fn publish(&mut self, configuration: bool) {
        let document = self.node.document();
        if configuration {
            self.effects.cib_file.changed(document.clone());
        }
        self.effects.published.send_modify(|s| {
            s.document = document;
            s.change += 1;
            s.configuration += u64::from(configuration);
        });
    }

    fn publish_members(&mut self) {
        let members = self.node.members();
        self.effects.voters.set_members(&members);
        self.effects.links.set_members(&members);
    }
}

/// The asker may have gone; then nobody needs the answer.
fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    let _ = reply.send(value);
}

fn log(severity: Severity, text: &str) {
    match severity {
        Severity::Debug => tracing::debug!("{text}"),
        Severity::Info => tracing::info!("{text}"),
        Severity::Warning => tracing::warn!("{text}"),
        Severity::Error => tracing::error!("{text}"),
    }
}
