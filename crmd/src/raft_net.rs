//! Raft's messages to the other members, over their main connections: openraft's own types in JSON. Heartbeats
//! go with the beats, as long as these are acknowledged.
//!
//! Reconnecting is the links' business; without a connection a call fails at once and openraft tries
//! again after its back-off.

use crate::{
    links::Links,
    peer_link::Latest,
    raft_pace::Pace,
    raft_types::{PeerNode, Snapshot, SnapshotMeta, TypeConfig, Vote},
};
use crmd_core::ids::RaftId;
use openraft::{
    OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use proto::peer::{RaftMessage, raft_client::RaftClient};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{future::Future, time::Duration};
use tokio::time::timeout;
use tonic::{Response, Status, transport::Channel};
use tracing::debug;
use transport::tls::Connection;

/// Bytes of a snapshot in one message.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// Largest message between members: an entry may carry a whole configuration.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// What precedes the bytes of a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    /// The sender's vote.
    pub(crate) vote: Vote,
    /// What the snapshot covers.
    pub(crate) meta: SnapshotMeta,
}

/// Makes [`RaftNet`]s.
#[derive(Clone, Debug)]
pub(crate) struct RaftNets {
    links: Links,
    pace: Pace,
}

impl RaftNets {
    /// Over these links.
    pub(crate) fn new(links: Links, pace: Pace) -> Self {
        Self { links, pace }
    }
}

impl RaftNetworkFactory<TypeConfig> for RaftNets {
    type Network = RaftNet;

    async fn new_client(&mut self, _target: RaftId, node: &PeerNode) -> RaftNet {
        RaftNet {
            main: self.links.main(node),
            links: self.links.clone(),
            node: node.node.clone(),
            pace: self.pace.clone(),
        }
    }
}

/// Raft's way to one member.
#[derive(Debug)]
pub(crate) struct RaftNet {
    main: Latest<Connection>,
    links: Links,
    node: String,
    pace: Pace,
}

type CallError = Unreachable<TypeConfig>;
type Client = RaftClient<Channel>;

impl RaftNet {
    /// Waits for a connection, within `limit`.
    async fn client(&mut self, limit: Duration) -> Result<Client, CallError> {
        let connection = match timeout(limit, self.main.wait_for(Option::is_some)).await {
            Ok(Ok(connection)) => connection.clone(),
            _ => None,
        };
        let connection = connection
            .ok_or_else(|| Unreachable::from_string(format!("no connection to {}", self.node)))?;
        Ok(RaftClient::new(connection.channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Waits until the links have given up the connection they gave last: what is under way on it would
    /// wait for an answer until its time is over.
    fn given_up(&self) -> impl Future<Output = CallError> + use<> {
        let (mut main, node, pace) = (self.main.clone(), self.node.clone(), self.pace.clone());
        main.mark_unchanged();
        async move {
            // An error: the link is gone, with its connection.
            if main.changed().await.is_ok() {
                pace.hurry();
            }
            Unreachable::from_string(format!("the connection to {node} was given up"))
        }
    }

    async fn call<Q, A, F>(
        &mut self,
        request: &Q,
        option: &RPCOption,
        send: impl FnOnce(Client, RaftMessage) -> F,
    ) -> Result<A, RPCError<TypeConfig>>
    where
        Q: Serialize,
        A: DeserializeOwned,
        F: Future<Output = Result<Response<RaftMessage>, Status>>,
    {
        let limit = option.hard_ttl();
        let body = encode(request)?;
        let whole = async {
            let client = self.client(limit).await?;
            let given_up = self.given_up();
            tokio::select! {
                answer = send(client, message(body)) => decode(answer),
                error = given_up => Err(error),
            }
        };
        match timeout(limit, whole).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(self.late(limit)),
        }
    }

    /// A heartbeat with the beats; nothing if it has to be a call of its own.
    async fn heartbeat(
        &mut self,
        rpc: &AppendEntriesRequest<TypeConfig>,
        limit: Duration,
    ) -> Option<Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>>> {
        if !rpc.entries.is_empty() {
            return None;
        }
        let answer = self.links.heartbeat(&self.node, encode(rpc).ok()?)?;
        let given_up = self.given_up();
        let whole = async {
            tokio::select! {
                answer = answer => match answer {
                    Ok(body) => read(&body),
                    Err(_) => Err(Unreachable::from_string(format!("{} gave no answer", self.node))),
                },
                error = given_up => Err(error),
            }
        };
        Some(match timeout(limit, whole).await {
            Ok(answer) => answer.map_err(RPCError::from),
            Err(_) => Err(self.late(limit)),
        })
    }

    /// What became of a question for a vote.
    fn tell(
        &self,
        question: &str,
        answer: &Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>>,
    ) {
        let node = &self.node;
        match answer {
            Ok(answer) if answer.vote_granted => debug!("{question} of {node}: granted"),
            Ok(answer) => debug!("{question} of {node}: refused, {answer}"),
            Err(e) => debug!("{question} of {node}: {e}"),
        }
    }

    fn late(&self, limit: Duration) -> RPCError<TypeConfig> {
        let (node, ms) = (&self.node, limit.as_millis());
        Unreachable::from_string(format!("{node} did not answer within {ms} ms")).into()
    }
}

impl RaftNetworkV2<TypeConfig> for RaftNet {
    type SnapshotData = Vec<u8>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        if let Some(answer) = self.heartbeat(&rpc, option.hard_ttl()).await {
            return answer;
        }
        self.call(&rpc, &option, |mut c, m| async move {
            c.append_entries(m).await
        })
        .await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let asked = self.call(&rpc, &option, |mut c, m| async move { c.vote(m).await });
        let answer = asked.await;
        self.tell("vote", &answer);
        answer
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let asked = self.call(&rpc, &option, |mut c, m| async move { c.pre_vote(m).await });
        let answer = asked.await;
        self.tell("pre-vote", &answer);
        answer
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(&request, &option, |mut c, m| async move {
            c.transfer_leader(m).await
        })
        .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let messages = snapshot_messages(vote, snapshot)?;
        let send = async {
            let mut client = self.client(option.hard_ttl()).await?;
            let stream = tokio_stream::iter(messages);
            let given_up = self.given_up();
            tokio::select! {
                answer = client.snapshot(stream) => decode(answer),
                error = given_up => Err(error),
            }
        };
        tokio::select! {
            closed = cancel => Err(closed.into()),
            answer = send => Ok(answer?),
        }
    }
}

fn snapshot_messages(vote: Vote, snapshot: Snapshot) -> Result<Vec<RaftMessage>, CallError> {
    let head = SnapshotHead {
        vote,
        meta: snapshot.meta,
    };
    let mut messages = vec![message(encode(&head)?)];
    let chunks = snapshot.snapshot.chunks(CHUNK_BYTES);
    messages.extend(chunks.map(|c| message(c.to_vec())));
    Ok(messages)
}

fn message(body: Vec<u8>) -> RaftMessage {
    RaftMessage {
        // The first generation; a forced membership begins another (protocol.md, 18).
        generation: String::new(),
        body,
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(value).map_err(|e| Unreachable::from_string(e.to_string()))
}

fn decode<T: DeserializeOwned>(
    answer: Result<Response<RaftMessage>, Status>,
) -> Result<T, CallError> {
    let answer = answer.map_err(|s| Unreachable::from_string(s.to_string()))?;
    read(&answer.into_inner().body)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|e| Unreachable::from_string(e.to_string()))
}
