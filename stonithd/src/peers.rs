//! The fencing daemons of the other nodes: where they are, what they can, what they are asked to do.

use crate::driver::{Event, Events};
use futures::{StreamExt, stream::FuturesUnordered};
use proto::fencing::{CanRequest, FenceReply, FenceRequest, fencing_client::FencingClient};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use stonithd_core::{AskId, Grade, Input, Offer, Order, Reply};
use tokio::time::timeout;
use tonic::transport::Channel;
use transport::tls::{Connection, Connector, Ending, Target};

/// Beyond a request's own time: for the answer to arrive.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// See the module. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Peers {
    connector: Connector,
    addresses: Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>,
    open: Arc<Mutex<BTreeMap<String, Connection>>>,
}

impl Peers {
    pub(crate) fn new(connector: Connector) -> Self {
        Self {
            connector,
            addresses: Arc::default(),
            open: Arc::default(),
        }
    }

    /// Where the others are, by node; what is known already and not named stays.
    pub(crate) fn learn(&self, members: BTreeMap<String, Vec<SocketAddr>>) {
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        addresses.extend(members.into_iter().filter(|(_, a)| !a.is_empty()));
    }

    /// Asks everybody but the target at once; each answer is an event.
    pub(crate) async fn ask(
        &self,
        ask: AskId,
        target: &str,
        action: &str,
        limit: Duration,
        events: &Events,
    ) {
        let nodes = self.nodes();
        let mut answers: FuturesUnordered<_> = nodes
            .iter()
            .filter(|node| *node != target)
            .map(|node| async move { (node, timeout(limit, self.can(node, target, action)).await) })
            .collect();
        while let Some((node, answer)) = answers.next().await {
            match answer {
                Ok(Ok(devices)) => {
                    let node = node.clone();
                    let offer = Offer { node, devices };
                    let _ = events.send(Event::Input(Input::Offered { ask, offer }));
                }
                Ok(Err(reason)) => {
                    tracing::info!(node, "not asked whether it can fence {target}: {reason}");
                }
                Err(_) => {
                    tracing::info!(node, "did not say in time whether it can fence {target}");
                }
            }
        }
    }

    async fn can(&self, node: &str, target: &str, action: &str) -> Result<Vec<String>, String> {
        let request = CanRequest {
            target: target.to_owned(),
            action: action.to_owned(),
        };
        let mut client = FencingClient::new(self.channel(node).await?);
        let reply = client
            .can(request)
            .await
            .map_err(|e| e.message().to_owned())?;
        Ok(reply
            .into_inner()
            .devices
            .into_iter()
            .map(|d| d.id)
            .collect())
    }

    /// Has another node do it.
    pub(crate) async fn relay(&self, order: &Order) -> Result<Reply, String> {
        let limit = Duration::from_millis(order.request.timeout_ms) + ANSWER_MARGIN;
        let request = to_wire(order);
        let asked = async {
            let mut client = FencingClient::new(self.channel(&order.to).await?);
            let reply = client.execute(request).await;
            reply.map_err(|e| e.message().to_owned())
        };
        match timeout(limit, asked).await {
            Ok(Ok(reply)) => from_wire(reply.into_inner()),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
        }
    }

    fn nodes(&self) -> Vec<String> {
        let addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        addresses.keys().cloned().collect()
    }

    /// The open connection, or a new one over the first address that answers.
    async fn channel(&self, node: &str) -> Result<Channel, String> {
        if let Some(channel) = self.open_channel(node) {
            return Ok(channel);
        }
        let connection = self.connect(node).await?;
        let channel = connection.channel.clone();
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.to_owned(), connection);
        Ok(channel)
    }

    fn open_channel(&self, node: &str) -> Option<Channel> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = open.get(node).filter(|c| c.ending() == Ending::Open)?;
        Some(connection.channel.clone())
    }

    async fn connect(&self, node: &str) -> Result<Connection, String> {
        let addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(node)
            .cloned()
            .unwrap_or_default();
        let mut reasons = Vec::new();
        for address in addresses {
            let target = Target {
                address,
                node,
                from: None,
            };
            match self.connector.connect(&target).await {
                Ok(connection) => return Ok(connection),
                Err(e) => reasons.push(e.to_string()),
            }
        }
        match reasons.is_empty() {
            true => Err(format!("no address of {node} is known")),
            false => Err(reasons.join("; ")),
        }
    }
}

fn to_wire(order: &Order) -> FenceRequest {
    let request = order.request.clone();
    FenceRequest {
        intent: request.intent,
        target: request.target,
        life_number: request.life_number,
        action: request.action,
        timeout_ms: request.timeout_ms,
        delay_ms: request.delay_ms,
        term: request.term,
        relayed: true,
        origin: request.origin,
        device: request.device,
    }
}

fn from_wire(reply: FenceReply) -> Result<Reply, String> {
    if !reply.done {
        return Err(reply.reason);
    }
    let grade = Grade::from_name(&reply.grade)
        .ok_or_else(|| format!("it confirmed with the unknown grade '{}'", reply.grade))?;
    Ok(Reply {
        result: Ok(grade),
        device: reply.device,
        by_node: reply.by_node,
        elapsed_ms: reply.elapsed_ms,
    })
}
