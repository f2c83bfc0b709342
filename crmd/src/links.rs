//! Connections to the other members. Each peer has one main connection (over the first address that
//! works) for messages in order and for Raft, and one for beats over every address.
//!
//! Tells the core when the peer's side closed the last of them; our own time-outs are never news
//! (protocol.md, 3).

use crate::{
    driver::{Event, Events},
    peer_link::{self, Answer, Latest, Patience, PeerLink},
    raft_types::PeerNode,
    wire::Wire,
    witness::Targets,
};
use crmd_core::{entry::Member, ids::NodeName, input::Input, message::Message};
use prost::bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;
use transport::tls::Connection;

/// All peers; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Links(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    own: NodeName,
    wire: Wire,
    patience: Patience,
    events: Events,
    peers: Mutex<BTreeMap<NodeName, PeerLink>>,
}

/// One link to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// The member.
    pub(crate) peer: String,
    /// Which of its addresses, from 0.
    pub(crate) link: usize,
    /// Whether beats over it are acknowledged.
    pub(crate) up: bool,
    /// How often it was lost.
    pub(crate) losses: u64,
}

impl Links {
    /// No peer yet.
    pub(crate) fn new(own: NodeName, wire: Wire, patience: Patience, events: Events) -> Self {
        Self(Arc::new(Inner {
            own,
            wire,
            patience,
            events,
            peers: Mutex::default(),
        }))
    }

    /// Keeps links to exactly these (and to none to ourselves).
    pub(crate) fn set_members(&self, members: &[Member]) {
        let nodes: Vec<PeerNode> = members.iter().map(PeerNode::from).collect();
        self.peers()
            .retain(|name, _| nodes.iter().any(|n| n.node == **name));
        for node in &nodes {
            self.ensure(node);
        }
    }

    /// Keeps a link to this one, at these addresses.
    pub(crate) fn ensure(&self, node: &PeerNode) {
        if node.node == *self.0.own || node.addresses.is_empty() {
            return;
        }
        let name = NodeName::from(node.node.as_str());
        let mut peers = self.peers();
        if peers.get(&name).is_some_and(|p| p.node == *node) {
            return;
        }
        let link = PeerLink::start(
            node.clone(),
            &self.0.wire,
            self.0.patience,
            self.reporter(&name),
        );
        peers.insert(name, link);
    }

    /// Whether this node may talk to us: it is a member, or we do not know any member yet.
    pub(crate) fn welcomes(&self, node: &str) -> bool {
        let peers = self.peers();
        peers.is_empty() || peers.contains_key(node)
    }

    /// This member greeted us.
    pub(crate) fn called_by(&self, node: &str) {
        if let Some(peer) = self.peers().get(node) {
            peer.called();
        }
    }

    /// Sends: a beat over every link (the newest only), anything else in order over the main connection.
    pub(crate) fn send(&self, to: &NodeName, message: Message) {
        let is_beat = matches!(message, Message::Beat(_));
        let body = match serde_json::to_vec(&message) {
            Ok(body) => Bytes::from(body),
            Err(error) => return tracing::error!(%to, %error, "a message cannot be encoded"),
        };
        match self.peers().get(to) {
            Some(peer) if is_beat => peer.beat(body),
            Some(peer) => peer.deliver(body),
            None => tracing::debug!(%to, "no link to this node: message dropped"),
        }
    }

    /// Sends Raft's heartbeat with the beats; nothing if no link to that member works.
    pub(crate) fn heartbeat(&self, to: &str, body: Vec<u8>) -> Option<Answer> {
        self.peers().get(to)?.heartbeat(body)
    }

    /// Every link to every member.
    pub(crate) fn states(&self) -> Vec<LinkState> {
        let mut states = Vec::new();
        for (peer, connections) in self.peers().iter() {
            for (link, (up, losses)) in connections.states().enumerate() {
                states.push(LinkState {
                    peer: peer.to_string(),
                    link,
                    up,
                    losses,
                });
            }
        }
        states
    }

    /// Where a host may answer a probe.
    pub(crate) fn targets(&self, peer: &NodeName) -> Targets {
        self.peers()
            .get(peer)
            .map_or_else(Targets::default, |p| Targets {
                addresses: p.node.addresses.clone(),
                ports: p.node.ports,
            })
    }

    /// The main connection to a member, as it comes and goes.
    pub(crate) fn main(&self, node: &PeerNode) -> Latest<Connection> {
        self.ensure(node);
        self.peers()
            .get(node.node.as_str())
            .map_or_else(|| watch::channel(None).1, PeerLink::main)
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<NodeName, PeerLink>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reporter(&self, name: &NodeName) -> peer_link::Reporter {
        let (events, peer) = (self.0.events.clone(), name.clone());
        peer_link::Reporter::new(move || {
            let peer = peer.clone();
            tracing::info!(%peer, "the peer's side closed the last connection");
            // A closed queue: the daemon is ending.
            let _ = events.send(Event::Input(Input::LinkClosed { peer }));
        })
    }
}
