//! The node daemon's decisions: membership, coordination, transition execution, executor.
//!
//! A [`Node`] is a state machine without clock, randomness or I/O: its shell gives it an
//! [`input::Input`] with the time it happened, carries out the [`command::Command`]s it then has, in
//! their order, and wakes it at [`Node::poll_timeout`]. The same core runs in the daemon (`crmd`)
//! and in the simulator (`sim`).
//!
//! The log is seen only through `Propose`, `Applied`, `Leader` and `LeaderReady`; who keeps it is
//! the shell's business.

pub mod command;
pub mod entry;
pub mod ids;
pub mod input;
pub mod journal;
pub mod message;
pub mod request;
pub mod settings;
pub mod state;
pub mod view;

use crate::{
    command::Command,
    entry::Member,
    ids::{Incarnation, Life, NodeName, Now},
    input::Input,
    journal::JournalRecord,
    settings::Settings,
    view::NodeView,
};
use cib::Element;

/// Who this node is at the start of its daemon.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub node: NodeName,
    /// This boot.
    pub life: Life,
    /// This run of the daemon.
    pub incarnation: Incarnation,
    /// Program version, for people.
    pub version: String,
    /// This node as a member: the first leader of a new cluster puts itself into the empty log with it.
    pub member: Member,
}

/// The core of one node's daemon.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// A core that knows nothing yet: feed it the journal ([`Node::recover`]) and the log (`Applied`).
    pub fn new(_identity: Identity, _settings: Settings, _now: Now) -> Self {
        Self {}
    }

    /// Takes up what an earlier incarnation of the same life was doing. Call once, before any input.
    pub fn recover(&mut self, _records: Vec<JournalRecord>) {}

    /// Something has happened.
    pub fn handle(&mut self, _now: Now, _input: Input) {}

    /// The next thing to do, oldest first; nothing: wait for an input or the deadline.
    pub fn poll_command(&mut self) -> Option<Command> {
        None
    }

    /// When [`Input::Tick`] is due, in milliseconds of the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }

    /// Configuration and status in one document, as tools see it.
    pub fn document(&self) -> Element {
        Element::new("cib")
    }

    /// The replicated state in a form to store in a snapshot.
    pub fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Every member the log knows, with addresses: whom the shell keeps connections to, and what it
    /// needs to carry out `ChangeVoters`.
    pub fn members(&self) -> Vec<Member> {
        Vec::new()
    }

    /// What people and tests see of this node.
    pub fn view(&self, _now: Now) -> NodeView {
        NodeView::default()
    }
}
