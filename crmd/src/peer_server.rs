//! What the other members call here. Who a caller is comes from its certificate, never from what it
//! says; nothing is taken from a connection before its greeting was accepted.

use crate::{
    driver::{Event, Events},
    links::Links,
    raft_control::RaftControl,
    raft_net::{MAX_MESSAGE_BYTES, SnapshotHead},
    raft_types::{Raft, Snapshot, TypeConfig},
};
use crmd_core::{ids::NodeName, input::Input};
use futures::{Stream, StreamExt};
use openraft::raft::{AppendEntriesResponse, VoteResponse};
use proto::peer::{
    Ack, Envelope, Hello, RaftMessage,
    peer_server::{Peer, PeerServer},
    raft_server::{Raft as RaftService, RaftServer},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming, service::Routes};
use transport::{
    hello,
    tls::{self, Ending, PeerInfo},
};

/// Connections whose greeting was accepted, by the caller's end.
#[derive(Clone, Debug, Default)]
struct Greeted(Arc<Mutex<BTreeSet<SocketAddr>>>);

impl Greeted {
    fn add(&self, peer: &PeerInfo) {
        self.set().insert(peer.remote);
        let (greeted, remote, mut ending) = (self.clone(), peer.remote, peer.ending.clone());
        tokio::spawn(async move {
            // An error: the connection has ended, too.
            let _ = ending.wait_for(|e| *e != Ending::Open).await;
            greeted.set().remove(&remote);
        });
    }

    /// The caller, if its greeting on this connection was accepted.
    fn caller<T>(&self, request: &Request<T>) -> Result<NodeName, Status> {
        let peer = tls::peer(request.extensions())?;
        if self.set().contains(&peer.remote) {
            return Ok(peer.node.as_str().into());
        }
        Err(Status::failed_precondition(
            "the first call on a connection is Greet",
        ))
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Both services.
pub(crate) fn routes(hello: Hello, events: Events, links: Links, raft: RaftControl) -> Routes {
    let greeted = Greeted::default();
    let raft = RaftCalls {
        raft,
        greeted: greeted.clone(),
    };
    let peer = PeerCalls {
        hello,
        events,
        links,
        greeted,
        raft: raft.clone(),
    };
    let peer = PeerServer::new(peer).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let raft = RaftServer::new(raft)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Routes::new(peer).add_service(raft)
}

#[derive(Debug)]
struct PeerCalls {
    hello: Hello,
    events: Events,
    links: Links,
    greeted: Greeted,
    raft: RaftCalls,
}

/// Heartbeats of one peer that Raft is asked about at a time, at most: on a stalled disk they take their time.
const HEARTBEATS: usize = 4;

/// What came with the beats.
enum Taken {
    Beat,
    Heartbeat(RaftMessage, u64),
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn take(events: &Events, from: &NodeName, envelope: &Envelope) -> Result<(), Status> {
    let message = serde_json::from_slice(&envelope.body).map_err(|error| {
        tracing::warn!(%from, %error, "a message cannot be read; the connection is closed");
        Status::invalid_argument(error.to_string())
    })?;
    let from = from.clone();
    events
        .send(Event::Input(Input::Received { from, message }))
        .map_err(|_| Status::unavailable("the daemon is ending"))
}

#[tonic::async_trait]
impl Peer for PeerCalls {
    async fn greet(&self, request: Request<Hello>) -> Result<Response<Hello>, Status> {
        let peer = tls::peer(request.extensions())?;
        if let Err(refusal) = hello::check(&self.hello, request.get_ref(), &peer.node, 0) {
            tracing::warn!(peer = peer.node, "refused: {refusal}");
            return Err(refusal.into());
        }
        // Refused until the log says that it is a member: a node that was removed still has its
        // certificate, one that joined in this moment tries again.
        if !self.links.welcomes(&peer.node) {
            return Err(Status::permission_denied(format!(
                "'{}' is not among the members of cluster '{}' that this node knows: it was removed, or has only just joined",
                peer.node, self.hello.cluster_name
            )));
        }
        self.greeted.add(peer);
        self.links.called_by(&peer.node);
        Ok(Response::new(self.hello.clone()))
    }

    type BeatsStream = Answers<Envelope>;

    async fn beats(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::BeatsStream>, Status> {
        let from = self.greeted.caller(&request)?;
        let (events, raft) = (self.events.clone(), self.raft.clone());
        let busy = Arc::new(Semaphore::new(HEARTBEATS));
        let answers = request.into_inner().map(move |envelope| {
            // Beats are taken here, in order: no heartbeat that waits for a disk holds them up.
            let answer = envelope.and_then(|envelope| match envelope.heartbeat {
                None => take(&events, &from, &envelope).map(|()| Taken::Beat),
                Some(heartbeat) => Ok(Taken::Heartbeat(heartbeat, envelope.call)),
            });
            let (raft, busy) = (raft.clone(), busy.clone());
            async move {
                match answer? {
                    // An empty answer: the sender sees that its link works.
                    Taken::Beat => Ok(Envelope::default()),
                    Taken::Heartbeat(heartbeat, call) => {
                        let _turn = busy.try_acquire();
                        let answer = match &_turn {
                            Ok(_) => raft.append(&heartbeat).await.ok(),
                            Err(_) => None,
                        };
                        Ok(Envelope {
                            heartbeat: answer,
                            call,
                            ..Envelope::default()
                        })
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(
            answers.buffer_unordered(2 * HEARTBEATS),
        )))
    }

    type DeliverStream = Answers<Ack>;

    async fn deliver(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let from = self.greeted.caller(&request)?;
        let events = self.events.clone();
        let acks = request.into_inner().scan(0, move |count, envelope| {
            let taken = envelope.and_then(|envelope| take(&events, &from, &envelope));
            *count += u64::from(taken.is_ok());
            let ack = Ack { count: *count };
            std::future::ready(Some(taken.map(|()| ack)))
        });
        Ok(Response::new(Box::pin(acks)))
    }
}

#[derive(Clone, Debug)]
struct RaftCalls {
    raft: RaftControl,
    greeted: Greeted,
}

impl RaftCalls {
    fn take<Q: DeserializeOwned>(
        &self,
        request: Request<RaftMessage>,
    ) -> Result<(&Raft, Q), Status> {
        self.greeted.caller(&request)?;
        self.read(&request.into_inner())
    }

    fn read<Q: DeserializeOwned>(&self, message: &RaftMessage) -> Result<(&Raft, Q), Status> {
        let raft = self.raft()?;
        check_generation(message)?;
        Ok((raft, decode(&message.body)?))
    }

    /// The leader's entries, or its heartbeat, from a caller whose greeting was accepted.
    async fn append(&self, message: &RaftMessage) -> Result<RaftMessage, Status> {
        let (raft, rpc) = self.read(message)?;
        let result = raft.append_entries(rpc).await;
        if !matches!(&result, Err(_) | Ok(AppendEntriesResponse::HigherVote(_))) {
            self.raft.pace().heard();
        }
        encode(result)
    }

    fn raft(&self) -> Result<&Raft, Status> {
        self.raft
            .raft()
            .ok_or_else(|| Status::unavailable("Raft is starting"))
    }

    /// Whoever promised its vote lets that candidate finish before it stands itself.
    fn note_promise<E>(&self, answer: &Result<VoteResponse<TypeConfig>, E>) {
        let granted = answer.as_ref().is_ok_and(|vote| vote.vote_granted);
        if granted {
            self.raft.pace().promised();
        }
        tracing::debug!(granted, "this node's vote is asked for");
    }
}

fn check_generation(message: &RaftMessage) -> Result<(), Status> {
    if message.generation.is_empty() {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "you follow generation '{}', this node the first one",
        message.generation
    )))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Status> {
    serde_json::from_slice(body).map_err(|e| Status::invalid_argument(e.to_string()))
}

fn answer<T: Serialize, E: std::fmt::Display>(
    result: Result<T, E>,
) -> Result<Response<RaftMessage>, Status> {
    encode(result).map(Response::new)
}

fn encode<T: Serialize, E: std::fmt::Display>(result: Result<T, E>) -> Result<RaftMessage, Status> {
    let value = result.map_err(|e| Status::internal(e.to_string()))?;
    let body = serde_json::to_vec(&value).map_err(|e| Status::internal(e.to_string()))?;
    Ok(RaftMessage {
        generation: String::new(),
        body,
    })
}

#[tonic::async_trait]
impl RaftService for RaftCalls {
    async fn append_entries(
        &self,
        request: Request<RaftMessage>,
    ) -> Result<Response<RaftMessage>, Status> {
        self.greeted.caller(&request)?;
        self.append(request.get_ref()).await.map(Response::new)
    }

    async fn vote(&self, request: Request<RaftMessage>) -> Result<Response<RaftMessage>, Status> {
        let (raft, rpc) = self.take(request)?;
        let result = raft.vote(rpc).await;
        self.note_promise(&result);
        answer(result)
    }

    async fn pre_vote(
        &self,
        request: Request<RaftMessage>,
    ) -> Result<Response<RaftMessage>, Status> {
        let (raft, rpc) = self.take(request)?;
        let result = raft.pre_vote(rpc).await;
        self.note_promise(&result);
        answer(result)
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<RaftMessage>>,
    ) -> Result<Response<RaftMessage>, Status> {
        self.greeted.caller(&request)?;
        let mut messages = request.into_inner();
        let first = messages
            .message()
            .await?
            .ok_or_else(|| Status::invalid_argument("a snapshot without a head"))?;
        check_generation(&first)?;
        let head: SnapshotHead = decode(&first.body)?;
        let mut data = Vec::new();
        while let Some(chunk) = messages.message().await? {
            data.extend_from_slice(&chunk.body);
        }
        let snapshot = Snapshot {
            meta: head.meta,
            snapshot: data,
        };
        answer(
            self.raft()?
                .install_full_snapshot(head.vote, snapshot)
                .await,
        )
    }

    async fn transfer_leader(
        &self,
        request: Request<RaftMessage>,
    ) -> Result<Response<RaftMessage>, Status> {
        let (raft, rpc) = self.take(request)?;
        answer(raft.handle_transfer_leader(rpc).await)
    }
}
