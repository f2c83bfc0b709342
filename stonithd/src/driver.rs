//! The core with its clock: takes events in, carries commands out. Dull on purpose.

use crate::{
    machine::{Clock, Machine, Plugin},
    peers::Peers,
};
use proto::fencing::{Device, HistoryEntry};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use stonithd_core::{
    Call, CallResult, ClientId, Command, Fencer, HistoryState, Input, Reply, Request, Severity,
    Verb,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

/// How an event reaches the driver.
pub(crate) type Events = mpsc::UnboundedSender<Event>;

/// Something for the driver.
#[derive(Debug)]
pub(crate) enum Event {
    /// For the core.
    Input(Input),
    /// A fencing request and where its answer goes.
    Request {
        request: Request,
        reply: oneshot::Sender<Reply>,
    },
    /// Which devices there are.
    Devices(oneshot::Sender<Vec<Device>>),
    /// Which devices here could fence a target.
    Can {
        target: String,
        reply: oneshot::Sender<Vec<Device>>,
    },
    /// What happened, newest first.
    History(oneshot::Sender<Vec<HistoryEntry>>),
    /// The call that would monitor a device; nothing if there is none of that name here.
    MonitorCall {
        device: String,
        timeout_ms: u64,
        reply: oneshot::Sender<Option<Call>>,
    },
}

/// See the module.
pub(crate) struct Driver {
    fencer: Fencer,
    clock: Arc<dyn Clock>,
    plugin: Arc<dyn Plugin>,
    peers: Peers,
    events: Events,
    waiting: BTreeMap<ClientId, oneshot::Sender<Reply>>,
    last_client: ClientId,
}

impl Driver {
    pub(crate) fn new(fencer: Fencer, machine: &Machine, peers: Peers, events: Events) -> Self {
        Self {
            fencer,
            clock: machine.clock.clone(),
            plugin: machine.plugin.clone(),
            peers,
            events,
            waiting: BTreeMap::new(),
            last_client: 0,
        }
    }

    /// Runs until every sender of events is gone.
    pub(crate) async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        loop {
            let due = self.fencer.poll_timeout();
            let event = tokio::select! {
                event = events.recv() => match event {
                    Some(event) => event,
                    None => return,
                },
                () = until(&*self.clock, due) => Event::Input(Input::Tick),
            };
            self.event(event);
            while let Some(command) = self.fencer.poll_command() {
                self.carry_out(command);
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Input(input) => self.fencer.handle(self.clock.now(), input),
            Event::Request { request, reply } => {
                self.last_client += 1;
                let client = self.last_client;
                self.waiting.insert(client, reply);
                self.fencer
                    .handle(self.clock.now(), Input::Request { client, request });
            }
            // Whoever does not wait for an answer any more does not get one.
            Event::Devices(reply) => {
                let devices = self.fencer.devices().map(|d| self.describe(d)).collect();
                let _ = reply.send(devices);
            }
            Event::Can { target, reply } => {
                let devices = self.fencer.can(&target);
                let _ = reply.send(devices.into_iter().map(|d| self.describe(d)).collect());
            }
            Event::History(reply) => {
                let _ = reply.send(self.fencer.history().map(entry).collect());
            }
            Event::MonitorCall {
                device,
                timeout_ms,
                reply,
            } => {
                let found = self.fencer.devices().find(|d| d.id == device);
                let call = found.filter(|d| self.fencer.runs_here(d));
                let _ = reply.send(call.map(|d| d.call(Verb::Monitor, "", timeout_ms)));
            }
        }
    }

    fn describe(&self, device: &stonithd_core::Device) -> Device {
        Device {
            id: device.id.clone(),
            plugin: device.kind.clone(),
            targets: self.fencer.targets(device),
            runs_here: self.fencer.runs_here(device),
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Call { run, call } => self.call(run, call),
            Command::Ask {
                ask,
                target,
                action,
                timeout_ms,
            } => {
                let (peers, events) = (self.peers.clone(), self.events.clone());
                let limit = Duration::from_millis(timeout_ms);
                tokio::spawn(async move {
                    peers.ask(ask, &target, &action, limit, &events).await;
                    let _ = events.send(Event::Input(Input::AskEnded { ask }));
                });
            }
            Command::Relay { relay, order } => {
                let (peers, events) = (self.peers.clone(), self.events.clone());
                tokio::spawn(async move {
                    let result = peers.relay(&order).await;
                    let _ = events.send(Event::Input(Input::Relayed { relay, result }));
                });
            }
            Command::Reply { client, reply } => {
                if let Some(waiting) = self.waiting.remove(&client) {
                    let _ = waiting.send(reply);
                }
            }
            Command::Log { severity, text } => match severity {
                Severity::Info => tracing::info!("{text}"),
                Severity::Warning => tracing::warn!("{text}"),
                Severity::Error => tracing::error!("{text}"),
            },
        }
    }

    fn call(&self, run: u64, call: Call) {
        let (plugin, events) = (self.plugin.clone(), self.events.clone());
        let clock = self.clock.clone();
        tokio::spawn(async move {
            let before = clock.now().mono_ms;
            let result = plugin.call(&call).await;
            tracing::debug!(
                device = call.device,
                action = call.action,
                target = call.target,
                took_ms = clock.now().mono_ms - before,
                ?result,
                "device called"
            );
            let _ = events.send(Event::Input(Input::Called { run, result }));
        });
    }
}

/// What a monitor of a device says.
pub(crate) async fn monitor(plugin: &dyn Plugin, call: &Call) -> Result<(), String> {
    let mut call = call.clone();
    let mut result = plugin.call(&call).await;
    if result == CallResult::Unsupported {
        // Without a monitor of its own a device shows that it works by its list.
        call.verb = Verb::List;
        Verb::List.word().clone_into(&mut call.action);
        result = plugin.call(&call).await;
    }
    match result {
        CallResult::Failed(reason) => Err(reason),
        _ => Ok(()),
    }
}

fn entry(e: &stonithd_core::HistoryEntry) -> HistoryEntry {
    HistoryEntry {
        intent: e.intent.clone(),
        target: e.target.clone(),
        action: e.action.clone(),
        state: e.state.name().to_owned(),
        grade: match &e.state {
            HistoryState::Done(grade) => grade.name().to_owned(),
            _ => String::new(),
        },
        origin: e.origin.clone(),
        by_node: e.by_node.clone(),
        device: e.device.clone(),
        at: e.at_s,
        reason: e.reason.clone(),
    }
}

/// Waits for a moment of the core's clock; for ever, if there is none.
async fn until(clock: &dyn Clock, due_ms: Option<u64>) {
    match due_ms {
        Some(due) => {
            sleep(Duration::from_millis(
                due.saturating_sub(clock.now().mono_ms),
            ))
            .await
        }
        None => std::future::pending().await,
    }
}
