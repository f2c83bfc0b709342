//! The replicated state: what the log adds up to. A function of the entries, nothing else.
//!
//! Every member computes it alike; who computes another digest of the configuration says so and is
//! quarantined (protocol.md, 11). Nothing here looks at a clock or decides.

use crate::{
    entry::{Entry, Grade, Member},
    evaluate,
    ids::{Index, Life, NodeName, RaftId, RequestId},
    recent::Recent,
};
use cib::Element;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Fencing records kept.
const FENCE_RECORDS: usize = 500;
/// Requests whose retry is recognised.
const RECENT_REQUESTS: usize = 2_000;
/// Join tokens remembered.
const TOKENS: usize = 200;

/// One fencing operation, past or running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FenceRecord {
    /// Its intent.
    pub intent: String,
    /// Whom.
    pub target: NodeName,
    /// `reboot`, `off`, `on`.
    pub action: String,
    /// Who asked.
    pub origin: String,
    /// Nothing while under way.
    pub result: Option<Result<Grade, String>>,
    /// Device that did it.
    pub device: String,
    /// Node whose fencing daemon ran it.
    pub by: Option<NodeName>,
    /// Seconds since the epoch: of the end, or of the intent while under way.
    pub at_s: i64,
}

/// Committed fencing that is not known to have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Whom.
    pub target: NodeName,
    /// Last life to end.
    pub life_number: u64,
    /// `reboot`, `off`, `on`.
    pub action: String,
    /// When it counts as failed, seconds since the epoch.
    pub deadline_s: i64,
    /// Who asked.
    pub origin: String,
}

/// A member as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// Name, identity in the log, addresses.
    pub member: Member,
    /// The last life it was admitted in.
    pub admitted: Option<Life>,
    /// Its lives up to this number are proven over.
    pub ended: u64,
    /// It left in order, in the life it was admitted in.
    pub left: bool,
    /// Left running there on purpose; they start nowhere else.
    pub detached: Vec<String>,
}

impl MemberState {
    /// Whether it may be running resources: admitted in a life that is not proven over, and not left.
    pub fn is_active(&self) -> bool {
        !self.left
            && self
                .admitted
                .as_ref()
                .is_some_and(|l| l.number > self.ended)
    }

    /// Whether it is active in just this life.
    pub fn is_active_in(&self, life: &Life) -> bool {
        self.is_active() && self.admitted.as_ref() == Some(life)
    }
}

/// A join token, of which only the digest is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Seconds since the epoch.
    pub expires_s: i64,
    /// Who used it up.
    pub used_by: Option<NodeName>,
}

/// The state.
#[derive(Clone, Debug)]
pub struct Replicated {
    /// The configuration, with its version counters, without status.
    pub cib: Element,
    /// Digest of it.
    pub digest: String,
    /// Last applied index.
    pub applied: Index,
    /// Members by name.
    pub members: BTreeMap<NodeName, MemberState>,
    /// Greatest identity ever given (protocol.md, 17).
    pub last_raft_id: RaftId,
    /// Join tokens by digest.
    pub tokens: BTreeMap<String, Token>,
    /// Fencing under way by intent.
    pub intents: BTreeMap<String, Intent>,
    /// Fencing history, oldest first.
    pub fencing: VecDeque<FenceRecord>,
    /// Requests done, oldest first.
    recent: Recent<()>,
    /// Why this member's state cannot be trusted any more.
    pub quarantined: Option<String>,
}

/// [`Replicated`] as it is stored.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    cib: String,
    digest: String,
    applied: Index,
    members: Vec<MemberState>,
    last_raft_id: RaftId,
    tokens: BTreeMap<String, Token>,
    intents: BTreeMap<String, Intent>,
    fencing: VecDeque<FenceRecord>,
    recent: VecDeque<RequestId>,
    quarantined: Option<String>,
}

/// Why a snapshot was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not what [`Replicated::snapshot`] writes.
    #[error("the snapshot of the replicated state cannot be read: {0}")]
    Form(#[from] serde_json::Error),
    /// The configuration in it is not XML.
    #[error("the configuration in the snapshot cannot be read: {0}")]
    Xml(#[from] cib::ParseError),
}

impl Default for Replicated {
    fn default() -> Self {
        let cib = evaluate::empty_configuration();
        Self {
            digest: evaluate::digest(&cib),
            cib,
            applied: 0,
            members: BTreeMap::new(),
            last_raft_id: 0,
            tokens: BTreeMap::new(),
            intents: BTreeMap::new(),
            fencing: VecDeque::new(),
            recent: Recent::new(RECENT_REQUESTS),
            quarantined: None,
        }
    }
}

impl Replicated {
    /// Takes the next entry. Returns whether the configuration changed.
    pub fn apply(&mut self, index: Index, entry: &Entry) -> bool {
        self.applied = self.applied.max(index);
        match entry {
            Entry::Blank => {}
            Entry::Cib {
                requests,
                patch,
                digest,
                ..
            } => {
                return self.apply_cib(requests, patch, digest);
            }
            Entry::MemberAdded(member) => self.add_member(member),
            Entry::MemberRemoved { node } => {
                self.members.remove(node);
            }
            Entry::Admitted { node, life } => self.admit(node, life),
            Entry::Left {
                node,
                life,
                detached,
            } => {
                if let Some(state) = self.members.get_mut(node)
                    && state.admitted.as_ref() == Some(life)
                {
                    state.left = true;
                    state.detached = detached.clone();
                }
            }
            Entry::FenceIntent {
                intent,
                target,
                life_number,
                action,
                deadline_s,
                origin,
            } => {
                let new = Intent {
                    target: target.clone(),
                    life_number: *life_number,
                    action: action.clone(),
                    deadline_s: *deadline_s,
                    origin: origin.clone(),
                };
                self.remember(FenceRecord {
                    intent: intent.clone(),
                    target: target.clone(),
                    action: action.clone(),
                    origin: origin.clone(),
                    result: None,
                    device: String::new(),
                    by: None,
                    at_s: *deadline_s,
                });
                self.intents.insert(intent.clone(), new);
            }
            Entry::FenceResult { .. } => self.fenced(entry),
            Entry::TokenMade { digest, expires_s } => {
                let token = Token {
                    expires_s: *expires_s,
                    used_by: None,
                };
                self.tokens.insert(digest.clone(), token);
                while self.tokens.len() > TOKENS {
                    self.tokens.pop_first();
                }
            }
            Entry::TokenUsed { digest, node } => {
                if let Some(token) = self.tokens.get_mut(digest) {
                    token.used_by = Some(node.clone());
                }
            }
        }
        false
    }

    fn apply_cib(&mut self, requests: &[RequestId], patch: &str, digest: &str) -> bool {
        if requests.iter().all(|r| self.is_done(r)) {
            return false;
        }
        for request in requests {
            self.recent.note(request, ());
        }
        match evaluate::patched(&self.cib, patch) {
            Ok(cib) => {
                self.digest = evaluate::digest(&cib);
                self.cib = cib;
            }
            Err(reason) => {
                self.quarantined = Some(format!(
                    "patch at {} does not apply: {reason}",
                    self.applied
                ));
            }
        }
        if self.digest != digest && self.quarantined.is_none() {
            self.quarantined = Some(format!(
                "digest {} at {}, the leader computed {digest}",
                self.digest, self.applied
            ));
        }
        true
    }

    fn add_member(&mut self, member: &Member) {
        self.last_raft_id = self.last_raft_id.max(member.raft_id);
        match self.members.get_mut(&member.node) {
            Some(state) => state.member = member.clone(),
            None => {
                let state = MemberState {
                    member: member.clone(),
                    admitted: None,
                    ended: 0,
                    left: false,
                    detached: Vec::new(),
                };
                self.members.insert(member.node.clone(), state);
            }
        }
    }

    fn admit(&mut self, node: &NodeName, life: &Life) {
        if self.intent_against(node).is_some() {
            return;
        }
        if let Some(state) = self.members.get_mut(node)
            && life.number > state.ended
        {
            state.admitted = Some(life.clone());
            state.left = false;
            state.detached.clear();
        }
    }

    fn fenced(&mut self, entry: &Entry) {
        let Entry::FenceResult {
            intent,
            target,
            life_number,
            result,
            device,
            by,
            at_s,
        } = entry
        else {
            return;
        };
        let begun = self.intents.remove(intent);
        let (action, origin) = begun.map_or_else(
            || ("confirm".to_owned(), "operator".to_owned()),
            |i| (i.action, i.origin),
        );
        if action != "on"
            && result.as_ref().is_ok_and(|g| g.frees_resources())
            && let Some(state) = self.members.get_mut(target)
        {
            state.ended = state.ended.max(*life_number);
        }
        let record = FenceRecord {
            intent: intent.clone(),
            target: target.clone(),
            action,
            origin,
            result: Some(result.clone()),
            device: device.clone(),
            by: by.clone(),
            at_s: *at_s,
        };
        match self.fencing.iter_mut().rev().find(|r| r.intent == *intent) {
            Some(known) => *known = record,
            None => self.remember(record),
        }
    }

    fn remember(&mut self, record: FenceRecord) {
        self.fencing.push_back(record);
        if self.fencing.len() > FENCE_RECORDS {
            self.fencing.pop_front();
        }
    }

    /// Whether a change with this id was committed already.
    pub fn is_done(&self, request: &RequestId) -> bool {
        self.recent.get(request).is_some()
    }

    /// A committed operation against a node that is not known to have ended.
    pub fn intent_against(&self, node: &str) -> Option<(&String, &Intent)> {
        self.intents
            .iter()
            .find(|(_, i)| *i.target == *node && i.action != "on")
    }

    /// The name of a member by its identity in the log.
    pub fn name_of(&self, id: RaftId) -> Option<&NodeName> {
        let mut members = self.members.iter();
        members
            .find(|(_, s)| s.member.raft_id == id)
            .map(|(name, _)| name)
    }

    /// The value of a cluster property, in its old or new spelling.
    pub fn property(&self, name: &str) -> Option<&str> {
        evaluate::property(&self.cib, name)
    }

    /// Everything, to be stored.
    pub fn snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            cib: self.cib.to_xml_compact(),
            digest: self.digest.clone(),
            applied: self.applied,
            members: self.members.values().cloned().collect(),
            last_raft_id: self.last_raft_id,
            tokens: self.tokens.clone(),
            intents: self.intents.clone(),
            fencing: self.fencing.clone(),
            recent: self.recent.requests().cloned().collect(),
            quarantined: self.quarantined.clone(),
        };
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    /// The state a snapshot was made of.
    ///
    /// # Errors
    /// If it cannot be read; nothing is changed then.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let s: Snapshot = serde_json::from_slice(bytes)?;
        let members = s.members.into_iter();
        let mut recent = Recent::new(RECENT_REQUESTS);
        for request in &s.recent {
            recent.note(request, ());
        }
        Ok(Self {
            cib: Element::parse(&s.cib)?,
            digest: s.digest,
            applied: s.applied,
            members: members.map(|m| (m.member.node.clone(), m)).collect(),
            last_raft_id: s.last_raft_id,
            tokens: s.tokens,
            intents: s.intents,
            fencing: s.fencing,
            recent,
            quarantined: s.quarantined,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Ports;

    fn life(number: u64) -> Life {
        Life {
            number,
            id: format!("boot{number}"),
        }
    }

    fn with_member() -> Replicated {
        let mut state = Replicated::default();
        let member = Member {
            node: "b".into(),
            raft_id: 2,
            addresses: vec!["127.0.0.2".into()],
            ports: Ports::default(),
        };
        state.apply(1, &Entry::MemberAdded(member));
        state.apply(
            2,
            &Entry::Admitted {
                node: "b".into(),
                life: life(1),
            },
        );
        state
    }

    fn result(life_number: u64, result: Result<Grade, String>) -> Entry {
        Entry::FenceResult {
            intent: "i".into(),
            target: "b".into(),
            life_number,
            result,
            device: "lab".into(),
            by: None,
            at_s: 5,
        }
    }

    fn intent() -> Entry {
        Entry::FenceIntent {
            intent: "i".into(),
            target: "b".into(),
            life_number: 1,
            action: "reboot".into(),
            deadline_s: 60,
            origin: "test".into(),
        }
    }

    #[test]
    fn a_life_ends_only_by_a_confirmation_that_frees() {
        let mut state = with_member();
        assert!(state.members["b"].is_active());
        state.apply(3, &intent());
        state.apply(
            4,
            &Entry::Admitted {
                node: "b".into(),
                life: life(2),
            },
        );
        assert!(
            state.members["b"].is_active_in(&life(1)),
            "not while fencing is unresolved"
        );
        state.apply(5, &result(1, Ok(Grade::Asked)));
        assert!(state.members["b"].is_active(), "ssh proves nothing");
        state.apply(6, &intent());
        state.apply(7, &result(1, Ok(Grade::VerifiedOff)));
        assert!(!state.members["b"].is_active());
        state.apply(
            8,
            &Entry::Admitted {
                node: "b".into(),
                life: life(1),
            },
        );
        assert!(
            !state.members["b"].is_active(),
            "an ended life is not admitted again"
        );
        state.apply(
            9,
            &Entry::Admitted {
                node: "b".into(),
                life: life(2),
            },
        );
        assert!(state.members["b"].is_active());
        assert_eq!(state.fencing.len(), 2);
    }

    #[test]
    fn who_left_may_come_back_in_the_same_life() {
        let mut state = with_member();
        state.apply(
            3,
            &Entry::Left {
                node: "b".into(),
                life: life(1),
                detached: vec![],
            },
        );
        assert!(!state.members["b"].is_active());
        state.apply(
            4,
            &Entry::Admitted {
                node: "b".into(),
                life: life(1),
            },
        );
        assert!(state.members["b"].is_active());
    }

    #[test]
    fn a_snapshot_gives_everything_back() {
        let mut state = with_member();
        state.apply(3, &intent());
        state.apply(
            4,
            &Entry::TokenMade {
                digest: "t".into(),
                expires_s: 9,
            },
        );
        let again = Replicated::restore(&state.snapshot()).unwrap();
        assert_eq!(again.snapshot(), state.snapshot());
        assert_eq!(again.intents, state.intents);
        assert!(Replicated::restore(b"junk").is_err());
    }
}
