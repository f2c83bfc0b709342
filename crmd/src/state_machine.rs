//! What openraft calls the state machine: it hands committed entries, in log order, to the driver's
//! queue, where the core applies them. The state itself lives in the core's replicated state; a
//! restarted daemon gets it back from the last snapshot and the log after it.
//!
//! The queue keeps order, so what follows an entry there (the outcome of its proposal, a snapshot
//! request, `LeaderReady`) sees it applied.

use crate::{
    driver::{Event, Events},
    log_store::LogStore,
    raft_types::{LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig},
};
use crmd_core::{entry::Entry, input::Input};
use futures::{Stream, StreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};
use std::io;
use tokio::sync::oneshot;

/// Forwards committed entries to the core.
#[derive(Debug)]
pub(crate) struct StateMachine {
    events: Events,
    store: LogStore,
    applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    /// One that has applied nothing yet.
    pub(crate) fn new(events: Events, store: LogStore) -> Self {
        Self {
            events,
            store,
            applied: None,
            membership: StoredMembership::default(),
        }
    }

    fn forward(&self, event: Event) -> io::Result<()> {
        self.events
            .send(event)
            .map_err(|_| io::Error::other("the driver of the node has ended"))
    }

    fn forward_membership(&self) -> io::Result<()> {
        self.forward(Event::Input(Input::RaftMembers {
            voters: self.membership.membership().get_joint_config().clone(),
            learners: self.membership.membership().learner_ids().collect(),
        }))
    }

    fn apply_one(&mut self, id: LogId, payload: Payload) -> io::Result<()> {
        self.applied = Some(id);
        let entry = match payload {
            EntryPayload::Normal(fact) => fact.0,
            EntryPayload::Blank => Entry::Blank,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(id), membership);
                self.forward_membership()?;
                Entry::Blank
            }
        };
        self.forward(Event::Input(Input::Applied {
            index: id.index,
            entry,
        }))
    }
}

type Payload = openraft::type_config::alias::PayloadOf<TypeConfig>;

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            self.apply_one(entry.log_id, entry.payload)?;
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        let (reply, state) = oneshot::channel();
        // If the driver has ended the receiver says so when it is read.
        let _ = self.forward(Event::Snapshot { reply });
        SnapshotBuilder {
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
            },
            state: Some(state),
            store: self.store.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Vec<u8>) -> io::Result<()> {
        self.forward(Event::Input(Input::SnapshotInstalled {
            snapshot: data.clone(),
            index: meta.last_log_id.map_or(0, |id| id.index),
        }))?;
        let snapshot = Snapshot {
            meta: meta.clone(),
            snapshot: data,
        };
        if self.store.snapshot().map(|s| s.meta) != Some(meta.clone()) {
            self.store.save_snapshot(snapshot).await?;
        }
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.forward_membership()
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.store.snapshot())
    }
}

/// Waits for the core's state as it was when the snapshot was asked for, and keeps it.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    meta: SnapshotMeta,
    state: Option<oneshot::Receiver<Vec<u8>>>,
    store: LogStore,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let state = self
            .state
            .take()
            .ok_or_else(|| io::Error::other("this snapshot was built already"))?;
        let snapshot = Snapshot {
            meta: self.meta.clone(),
            snapshot: state
                .await
                .map_err(|_| io::Error::other("the driver of the node has ended"))?,
        };
        self.store.save_snapshot(snapshot.clone()).await?;
        Ok(snapshot)
    }
}
