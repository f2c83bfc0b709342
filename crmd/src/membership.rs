//! Brings the Raft membership to what the core wants, one change at a time; the latest wish counts.

use crate::raft_types::{PeerNode, Raft, StoredMembership};
use crmd_core::{entry::Member, ids::RaftId};
use openraft::{ChangeMembers, async_runtime::watch::WatchReceiver};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Pause before a change that failed is tried again, while this node leads and still wants it.
const RETRY: Duration = Duration::from_millis(200);

/// Where the driver leaves its wishes.
#[derive(Debug)]
pub(crate) struct VoterChanges {
    wish: watch::Sender<Option<Wish>>,
    members: Arc<Mutex<BTreeMap<RaftId, PeerNode>>>,
}

/// Who shall vote and who shall only follow.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    voters: BTreeSet<RaftId>,
    learners: BTreeSet<RaftId>,
}

impl VoterChanges {
    /// Nothing wanted yet.
    pub(crate) fn new() -> Self {
        Self {
            wish: watch::channel(None).0,
            members: Arc::default(),
        }
    }

    /// Starts carrying wishes out.
    pub(crate) fn connect(&self, raft: Raft) {
        tokio::spawn(change_all(
            raft,
            self.wish.subscribe(),
            self.members.clone(),
        ));
    }

    /// The core wants this membership.
    pub(crate) fn want(&self, voters: BTreeSet<RaftId>, learners: BTreeSet<RaftId>) {
        self.wish.send_replace(Some(Wish { voters, learners }));
    }

    /// How to reach those that may be added.
    pub(crate) fn set_members(&self, members: &[Member]) {
        let by_id = members.iter().map(|m| (m.raft_id, PeerNode::from(m)));
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = by_id.collect();
    }
}

impl Default for VoterChanges {
    fn default() -> Self {
        Self::new()
    }
}

async fn change_all(
    raft: Raft,
    mut wishes: watch::Receiver<Option<Wish>>,
    members: Arc<Mutex<BTreeMap<RaftId, PeerNode>>>,
) {
    while wishes.changed().await.is_ok() {
        loop {
            let Some(wish) = wishes.borrow_and_update().clone() else {
                break;
            };
            let nodes = members
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            // A newcomer that does not catch up must not hold up a newer wish; a change once begun is
            // brought to its end, for half done it needs the majorities of both sets.
            let ready = tokio::select! {
                ready = gather(&raft, &wish, &nodes) => ready,
                _ = wishes.changed() => { wishes.mark_changed(); break }
            };
            let step = match ready {
                Ok(()) => set(&raft, &wish).await,
                Err(error) => Err(error),
            };
            match step {
                Ok(()) => break,
                Err(_) if !raft.is_leader() => break,
                Err(error) => {
                    tracing::warn!(%error, ?wish, "the Raft membership could not be changed; trying again");
                    if tokio::time::timeout(RETRY, wishes.changed()).await.is_ok() {
                        wishes.mark_changed();
                        break;
                    }
                }
            }
        }
    }
}

/// Adds who is missing as learners and waits until new voters have caught up.
async fn gather(
    raft: &Raft,
    wish: &Wish,
    nodes: &BTreeMap<RaftId, PeerNode>,
) -> Result<(), String> {
    let present = raft.metrics().borrow_watched().membership_config.clone();
    for id in wish.voters.union(&wish.learners) {
        let Some(node) = nodes.get(id) else {
            return Err(format!("no address is known for Raft id {id}"));
        };
        add(raft, &present, *id, node, wish.voters.contains(id)).await?;
    }
    Ok(())
}

/// Sets the voters, and removes who is in neither set.
async fn set(raft: &Raft, wish: &Wish) -> Result<(), String> {
    let present = raft.metrics().borrow_watched().membership_config.clone();
    if present.voter_ids().collect::<BTreeSet<_>>() != wish.voters
        || present.get_joint_config().len() > 1
    {
        let voters = ChangeMembers::ReplaceAllVoters(wish.voters.clone());
        raft.change_membership(voters, true)
            .await
            .map_err(|e| e.to_string())?;
    }
    let stays = |id: &RaftId| wish.voters.contains(id) || wish.learners.contains(id);
    let gone: BTreeSet<RaftId> = raft
        .metrics()
        .borrow_watched()
        .membership_config
        .nodes()
        .map(|(id, _)| *id)
        .filter(|id| !stays(id))
        .collect();
    if !gone.is_empty() {
        raft.change_membership(ChangeMembers::RemoveNodes(gone), true)
            .await
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Makes `id` known under its present addresses; a future voter is waited for until it has caught up.
async fn add(
    raft: &Raft,
    present: &StoredMembership,
    id: RaftId,
    node: &PeerNode,
    shall_vote: bool,
) -> Result<(), String> {
    let votes = present.voter_ids().any(|v| v == id);
    match present.get_node(&id) {
        Some(known) if known != node => {
            let set = ChangeMembers::SetNodes(BTreeMap::from([(id, node.clone())]));
            raft.change_membership(set, true).await.map(drop)
        }
        Some(_) if votes || !shall_vote => Ok(()),
        _ => raft
            .add_learner(id, node.clone(), shall_vote)
            .await
            .map(drop),
    }
    .map_err(|e| e.to_string())
}
