//! The tasks that keep a peer's connections: one for messages in order, over the first link that works;
//! one for the beats of each link; one that says when a link is lost.

use super::{Outbox, Patience, Reporter, health::Health, lane::Lane};
use crate::{
    raft_types::PeerNode,
    wire::{Wire, WireError},
};
use futures::StreamExt;
use prost::bytes::Bytes;
use proto::peer::{Ack, Envelope, RaftMessage, peer_client::PeerClient};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use transport::tls::{Connection, Ending};

/// Messages on their way through one stream.
const WINDOW: usize = 64;

/// Between the end of a stream and the end of its connection.
const SETTLE: Duration = Duration::from_millis(20);

/// What a task that keeps a connection needs.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    pub(super) node: PeerNode,
    pub(super) wire: Wire,
    pub(super) patience: Patience,
    pub(super) reporter: Reporter,
    /// One for each link.
    pub(super) health: Vec<Health>,
    /// One for each link, too.
    pub(super) lanes: Vec<Lane>,
    /// Changes when the peer greets this node.
    pub(super) calls: watch::Receiver<()>,
}

/// How a task's connection came to its end.
enum End {
    Ended(Ending),
    Replaced(usize, Connection),
}

impl Keeper {
    pub(super) async fn keep_main(
        self,
        main: watch::Sender<Option<Connection>>,
        outbox: Arc<Outbox>,
    ) {
        let mut log = ChangeLog::default();
        let mut calls = self.calls.clone();
        for (first, address) in self.node.addresses.iter().enumerate().cycle() {
            let mut link = first;
            let mut connection = match self.open_while_called(address, &mut calls).await {
                Ok(connection) => connection,
                Err(error) => {
                    log.failed(&self.node.node, address, &error);
                    self.pause(&mut calls).await;
                    continue;
                }
            };
            log.connected(&self.node.node, address);
            loop {
                main.send_replace(Some(connection.clone()));
                let end = tokio::select! {
                    how = deliver_until_end(connection, &outbox) => End::Ended(how),
                    (link, connection) = self.better(link) => End::Replaced(link, connection),
                };
                match end {
                    End::Ended(how) => {
                        outbox.ended();
                        main.send_replace(None);
                        self.reporter.ended(&how);
                        tracing::info!(peer = %self.node.node, ?how, "connection ended; connecting again");
                        break;
                    }
                    End::Replaced(other, new) => {
                        outbox.moved();
                        self.reporter.ended(&Ending::Here);
                        tracing::info!(peer = %self.node.node, from = link, to = other, "messages take another connection: their link had fallen silent");
                        (link, connection) = (other, new);
                    }
                }
            }
        }
    }

    /// Waits until `link` is not to be trusted any more, then for a connection over one that works.
    async fn better(&self, link: usize) -> (usize, Connection) {
        if let Some(health) = self.health.get(link) {
            // Beats may connect a moment later than the messages.
            health.until_fresh(self.patience.stale).await;
            let epoch = health.epoch();
            tokio::select! {
                () = health.until_stale(self.patience.stale) => {}
                () = health.until_replaced(epoch) => {}
            }
        }
        loop {
            let fresh = |other: &usize| {
                let health = self.health.get(*other);
                health.is_some_and(|h| h.fresh(self.patience.stale))
            };
            let working = (0..self.health.len()).find(fresh);
            if let Some(other) = working
                && let Some(address) = self.node.addresses.get(other)
                && let Ok(connection) = self.open(address).await
            {
                return (other, connection);
            }
            tokio::time::sleep(self.patience.pause / 4).await;
        }
    }

    pub(super) async fn keep_beats(self, link: usize, beats: watch::Receiver<Bytes>) {
        let (Some(address), Some(health), Some(lane)) = (
            self.node.addresses.get(link),
            self.health.get(link),
            self.lanes.get(link),
        ) else {
            return;
        };
        let mut log = ChangeLog::default();
        let mut calls = self.calls.clone();
        loop {
            let mut connection = match self.open_while_called(address, &mut calls).await {
                Ok(connection) => connection,
                Err(error) => {
                    if self.works_otherwise(link) {
                        log.failed(&self.node.node, address, &error);
                    }
                    self.pause(&mut calls).await;
                    continue;
                }
            };
            log = ChangeLog::default();
            loop {
                health.opened();
                let end = tokio::select! {
                    how = beat_until_end(connection, beats.clone(), health, lane) => End::Ended(how),
                    new = self.replacement(address, health) => End::Replaced(link, new),
                };
                match end {
                    End::Ended(how) => {
                        health.closed();
                        lane.begin();
                        self.reporter.ended(&how);
                        break;
                    }
                    End::Replaced(_, new) => {
                        self.reporter.ended(&Ending::Here);
                        connection = new;
                    }
                }
            }
            self.pause(&mut calls).await;
        }
    }

    /// Whether another link is in order.
    fn works_otherwise(&self, link: usize) -> bool {
        let mut others = self.health.iter().enumerate().filter(|(i, _)| *i != link);
        others.any(|(_, h)| h.fresh(self.patience.stale))
    }

    /// Waits until the link falls silent, then for a new connection over it.
    async fn replacement(&self, address: &str, health: &Health) -> Connection {
        health.until_stale(self.patience.stale).await;
        loop {
            if let Ok(connection) = self.open(address).await {
                return connection;
            }
            tokio::time::sleep(self.patience.pause).await;
        }
    }

    /// Says when a link is lost and when it is back.
    pub(super) async fn watch(self, link: usize) {
        let (Some(address), Some(health)) = (self.node.addresses.get(link), self.health.get(link))
        else {
            return;
        };
        let (peer, patience) = (&self.node.node, self.patience);
        loop {
            health.until_fresh(patience.stale).await;
            health.until_lost(patience.lost).await;
            let rest = if self.works_otherwise(link) {
                "another link carries everything"
            } else {
                "no other link works"
            };
            health.lost();
            let lost_ms = patience.lost.as_millis();
            tracing::warn!(
                "link {link} to {peer} ({address}) is lost: no beat was acknowledged for {lost_ms} ms; {rest}"
            );
            health.until_fresh(patience.stale).await;
            tracing::info!("link {link} to {peer} ({address}) works again");
        }
    }

    async fn open_while_called(
        &self,
        address: &str,
        calls: &mut watch::Receiver<()>,
    ) -> Result<Connection, WireError> {
        anew_when_called(calls, || self.open(address)).await
    }

    /// Between two attempts, unless the peer says that it is there.
    async fn pause(&self, calls: &mut watch::Receiver<()>) {
        tokio::select! {
            () = tokio::time::sleep(self.patience.pause) => {}
            Ok(()) = calls.changed() => {}
        }
    }

    async fn open(&self, address: &str) -> Result<Connection, WireError> {
        let connection = self
            .wire
            .open(&self.node.node, address, self.node.ports.crmd)
            .await?;
        self.reporter.opened();
        Ok(connection)
    }
}

/// An attempt at a peer that greets this node meanwhile is begun anew: it went to a machine that was switched
/// off or out of reach then, and would wait for its time-out.
async fn anew_when_called<F: Future>(
    calls: &mut watch::Receiver<()>,
    attempt: impl Fn() -> F,
) -> F::Output {
    loop {
        calls.mark_unchanged();
        tokio::select! {
            done = attempt() => return done,
            Ok(()) = calls.changed() => {}
        }
    }
}

async fn deliver_until_end(mut connection: Connection, outbox: &Outbox) -> Ending {
    let (sender, receiver) = mpsc::channel(WINDOW);
    let mut client = PeerClient::new(connection.channel.clone());
    let stream = async {
        let acks = client.deliver(ReceiverStream::new(receiver)).await;
        let each = |ack: Ack| outbox.acked(ack.count);
        drain(acks.map(tonic::Response::into_inner), each).await;
    };
    let feed = async {
        loop {
            let body = outbox.pop().await.to_vec();
            let envelope = Envelope {
                body,
                ..Envelope::default()
            };
            if sender.send(envelope).await.is_err() {
                return;
            }
        }
    };
    until_end(&mut connection, stream, feed).await
}

async fn beat_until_end(
    mut connection: Connection,
    mut beats: watch::Receiver<Bytes>,
    health: &Health,
    lane: &Lane,
) -> Ending {
    lane.begin();
    let (sender, receiver) = mpsc::channel(1);
    let mut client = PeerClient::new(connection.channel.clone());
    let stream = async {
        let answers = client.beats(ReceiverStream::new(receiver)).await;
        let each = |answer: Envelope| match answer.heartbeat {
            Some(heartbeat) => lane.answered(answer.call, heartbeat.body),
            None if answer.call == 0 => health.acked(),
            None => lane.refused(answer.call),
        };
        drain(answers.map(tonic::Response::into_inner), each).await;
    };
    let feed = async {
        // What was left from before this connection is old by now.
        beats.borrow_and_update();
        loop {
            let envelope = tokio::select! {
                changed = beats.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    health.sent();
                    let body = beats.borrow_and_update().to_vec();
                    Envelope { body, ..Envelope::default() }
                }
                (call, body) = lane.next() => Envelope {
                    heartbeat: Some(RaftMessage { body, ..RaftMessage::default() }),
                    call,
                    ..Envelope::default()
                },
            };
            if sender.send(envelope).await.is_err() {
                return;
            }
        }
    };
    until_end(&mut connection, stream, feed).await
}

/// A stream's end is seen a moment before its connection's: how that ended is what counts. If the
/// connection is still open then (the peer refused the stream), it is we who give it up.
async fn until_end(
    connection: &mut Connection,
    stream: impl Future<Output = ()>,
    feed: impl Future<Output = ()>,
) -> Ending {
    tokio::select! {
        how = connection.ended() => return how,
        () = stream => {}
        () = feed => {}
    }
    tokio::time::timeout(SETTLE, connection.ended())
        .await
        .unwrap_or(Ending::Here)
}

async fn drain<T>(stream: Result<tonic::Streaming<T>, tonic::Status>, each: impl Fn(T)) {
    match stream {
        Ok(mut items) => {
            while let Some(Ok(item)) = items.next().await {
                each(item);
            }
        }
        Err(status) => tracing::debug!(%status, "the peer refused the stream"),
    }
}

/// Logs a peer's reachability when it changes, not at every attempt.
#[derive(Debug, Default)]
struct ChangeLog {
    last: String,
}

impl ChangeLog {
    fn connected(&mut self, peer: &str, address: &str) {
        self.last.clear();
        tracing::info!(peer, address, "connected");
    }

    fn failed(&mut self, peer: &str, address: &str, error: &WireError) {
        let text = format!("{address}: {error}");
        if text == self.last {
            return;
        }
        if error.is_refusal() {
            tracing::warn!(peer, address, %error, "cannot connect; trying on");
        } else {
            tracing::info!(peer, address, %error, "cannot connect; trying on");
        }
        self.last = text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test(start_paused = true)]
    async fn an_attempt_at_a_dead_machine_is_begun_anew_when_it_greets() {
        let (caller, mut calls) = watch::channel(());
        caller.send_replace(());
        let attempts = AtomicU32::new(0);
        let attempt = || async {
            if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
        };
        let greet = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            caller.send_replace(());
        };
        tokio::join!(anew_when_called(&mut calls, attempt), greet);
        assert_eq!(
            attempts.into_inner(),
            2,
            "the greeting of before counts for nothing"
        );
    }
}
