//! What the core's commands ask of Raft, and what Raft's own view becomes for the core.

use crate::{
    driver::{Ending, Event, Events},
    metrics::Histogram,
    raft_pace::{Pace, Rhythm},
    raft_types::{Fact, Raft, TypeConfig},
};
use crmd_core::{
    command::ProposalId,
    entry::Entry,
    ids::{Index, NodeName, RaftId, Term},
    input::{Input, ProposeError},
};
use openraft::{
    RaftMetrics, ServerState,
    async_runtime::watch::WatchReceiver,
    errors::{ClientWriteError, ForwardToLeader},
    impls::ProgressResponder,
    raft::TransferLeaderRequest,
    vote::RaftLeaderId,
};
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::mpsc;

/// A handle on Raft for the driver; it exists a moment before Raft does, because Raft's recovery
/// needs the driver.
#[derive(Clone, Debug)]
pub(crate) struct RaftControl {
    raft: Arc<OnceLock<Raft>>,
    events: Events,
    proposals: mpsc::UnboundedSender<Proposal>,
    leading: Term,
    pace: Pace,
    latency: Arc<Histogram>,
}

/// Raft's own view in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RaftFigures {
    /// Its term.
    pub(crate) term: Term,
    /// Last index in the log.
    pub(crate) last_index: Index,
    /// Last index applied.
    pub(crate) applied_index: Index,
    /// Last index in the newest snapshot.
    pub(crate) snapshot_index: Index,
}

/// A proposal on its way; they enter the log in the order of the commands.
#[derive(Debug)]
struct Proposal {
    id: ProposalId,
    entry: Entry,
    /// Only as leader of this term: in a later one the entry might not fit the state any more.
    term: Term,
    since: Instant,
}

impl RaftControl {
    /// Not connected yet.
    pub(crate) fn new(events: Events, rhythm: Rhythm) -> Self {
        let raft = Arc::<OnceLock<Raft>>::default();
        let (proposals, queue) = mpsc::unbounded_channel();
        let latency = Arc::<Histogram>::default();
        let observer = latency.clone();
        tokio::spawn(propose_all(raft.clone(), events.clone(), queue, observer));
        Self {
            raft,
            events,
            proposals,
            leading: 0,
            pace: Pace::new(rhythm),
            latency,
        }
    }

    /// Raft has started; from now on its view becomes events.
    pub(crate) fn connect(&self, raft: Raft) {
        tokio::spawn(watch(raft.clone(), self.events.clone()));
        tokio::spawn(self.pace.clone().keep(raft.clone()));
        // Called once, by the daemon's start.
        let _ = self.raft.set(raft);
    }

    /// The instance, once connected.
    pub(crate) fn raft(&self) -> Option<&Raft> {
        self.raft.get()
    }

    /// What is known of the leader's heartbeats.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Its view in numbers, once connected.
    pub(crate) fn figures(&self) -> Option<RaftFigures> {
        let metrics = self.raft.get()?.metrics();
        let now = metrics.borrow_watched();
        Some(RaftFigures {
            term: now.current_term,
            last_index: now.last_log_index.unwrap_or(0),
            applied_index: now.last_applied.map_or(0, |id| id.index),
            snapshot_index: now.snapshot.map_or(0, |id| id.index),
        })
    }

    /// How long proposals of this node took to be committed.
    pub(crate) fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// The core has been told that it leads in this term: what it proposes from now on is meant for it.
    pub(crate) fn leads_in(&mut self, term: Term) {
        self.leading = term;
    }

    /// Appends to the log; the outcome comes as an event.
    pub(crate) fn propose(&self, id: ProposalId, entry: Entry) {
        let proposal = Proposal {
            id,
            entry,
            term: self.leading,
            since: Instant::now(),
        };
        // The queue is closed only when the runtime ends.
        let _ = self.proposals.send(proposal);
    }

    /// Stands for election at once. The followers would refuse a vote while the lost leader's lease
    /// runs; the request therefore goes the way of a leadership transfer, which overrules the lease.
    /// (The lease serves no reads here, so this costs no safety: protocol.md, 7.)
    pub(crate) fn campaign(&self) {
        let Some(raft) = self.raft.get().cloned() else {
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = stand(&raft).await {
                tracing::warn!(%error, "cannot stand for election");
            }
        });
    }

    /// Hands the leadership over.
    pub(crate) fn transfer(&self, to: RaftId) {
        let Some(raft) = self.raft.get().cloned() else {
            return;
        };
        tokio::spawn(async move {
            if let Err(error) = raft.trigger().transfer_leader(to).await {
                tracing::warn!(%error, to, "cannot hand the leadership over");
            }
        });
    }
}

async fn stand(raft: &Raft) -> Result<(), openraft::errors::Fatal<TypeConfig>> {
    let vote = raft.metrics().borrow_watched().vote;
    let own = *raft.node_id();
    if vote.is_committed() && vote.leader_id().node_id() != &own {
        let request = TransferLeaderRequest::new(vote, own, None);
        if let Err(error) = raft.handle_transfer_leader(request).await? {
            tracing::info!(%error, "the vote changed while standing for election");
        }
        return Ok(());
    }
    raft.trigger().elect(false).await
}

async fn propose_all(
    raft: Arc<OnceLock<Raft>>,
    events: Events,
    mut queue: mpsc::UnboundedReceiver<Proposal>,
    latency: Arc<Histogram>,
) {
    while let Some(proposal) = queue.recv().await {
        let (id, since) = (proposal.id, proposal.since);
        let outcome = match raft.get() {
            Some(raft) => submit(raft, proposal).await,
            None => Err(ProposeError::NotLeader(None)),
        };
        match outcome {
            Ok(answer) => {
                let (events, latency) = (events.clone(), latency.clone());
                tokio::spawn(async move {
                    if report(events, id, answer).await {
                        latency.observe(since.elapsed());
                    }
                });
            }
            Err(error) => send_outcome(&events, id, Err(error)),
        }
    }
}

type Answer = openraft::type_config::alias::OneshotReceiverOf<
    TypeConfig,
    Result<openraft::raft::ClientWriteResponse<TypeConfig>, ClientWriteError<TypeConfig>>,
>;

async fn submit(raft: &Raft, proposal: Proposal) -> Result<Answer, ProposeError> {
    let (responder, answer) = ProgressResponder::complete_only();
    raft.write(Fact(proposal.entry))
        .with_leader(proposal.term)
        .responder(responder)
        .await
        .map_err(|e| ProposeError::Failed(e.to_string()))?;
    Ok(answer)
}

/// Whether it was committed.
async fn report(events: Events, id: ProposalId, answer: Answer) -> bool {
    let result = match answer.await {
        Ok(Ok(response)) => Ok(response.log_id.index),
        Ok(Err(error)) => Err(explain(error)),
        Err(_) => Err(ProposeError::Failed("Raft has ended".to_owned())),
    };
    let committed = result.is_ok();
    send_outcome(&events, id, result);
    committed
}

fn explain(error: ClientWriteError<TypeConfig>) -> ProposeError {
    let leader = |f: ForwardToLeader<TypeConfig>| f.leader_node.map(|n| NodeName::from(n.node));
    match error {
        ClientWriteError::ForwardToLeader(forward) => ProposeError::NotLeader(leader(forward)),
        other => ProposeError::Failed(other.to_string()),
    }
}

fn send_outcome(events: &Events, proposal: ProposalId, result: Result<Index, ProposeError>) {
    // A closed queue: the daemon is ending.
    let _ = events.send(Event::Input(Input::Proposed { proposal, result }));
}

/// What the core was told last.
#[derive(Debug, Default, PartialEq)]
struct Told {
    term: Term,
    leader: Option<NodeName>,
    ready: Term,
}

/// Turns Raft's metrics into events until Raft ends.
async fn watch(raft: Raft, events: Events) {
    let mut metrics = raft.metrics();
    let mut told = Told::default();
    loop {
        {
            let now = metrics.borrow_and_update();
            if let Err(fatal) = &now.running_state {
                let ending = Ending::Broken(format!("Raft has stopped: {fatal}"));
                let _ = events.send(Event::Stop(ending));
                return;
            }
            for input in news(&mut told, &now) {
                let _ = events.send(Event::Input(input));
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

fn news(told: &mut Told, now: &RaftMetrics<TypeConfig>) -> Vec<Input> {
    let mut inputs = Vec::new();
    let (term, leader) = (now.current_term, leader_name(now));
    if (term, &leader) != (told.term, &told.leader) {
        told.term = term;
        told.leader = leader.clone();
        inputs.push(Input::Leader { term, leader });
    }
    // A new leader's first entry carries its term: once that is applied, so is all before it.
    let applied_own = now
        .last_applied
        .is_some_and(|id| id.committed_leader_id().term == term);
    let leads = now.state == ServerState::Leader && now.current_leader == Some(now.id);
    if leads && applied_own && told.ready != term {
        told.ready = term;
        inputs.push(Input::LeaderReady { term });
    }
    inputs
}

fn leader_name(metrics: &RaftMetrics<TypeConfig>) -> Option<NodeName> {
    let leader = metrics.current_leader?;
    let node = metrics.membership_config.get_node(&leader)?;
    Some(NodeName::from(node.node.as_str()))
}
