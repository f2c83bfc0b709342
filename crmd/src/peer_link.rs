//! The connections to one member: made again whenever they end, after a short pause.

use crate::{raft_types::PeerNode, wire::Wire};
use futures::StreamExt;
use prost::bytes::Bytes;
use proto::peer::{Envelope, peer_client::PeerClient};
use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use transport::tls::{Connection, Ending};

/// The newest value of something that comes and goes.
pub(crate) type Latest<T> = watch::Receiver<Option<T>>;

/// Most messages that wait for a connection; older ones are dropped first, the cores ask again.
const QUEUE: usize = 4_096;

/// Messages on their way through one stream.
const WINDOW: usize = 64;

/// Between the end of a stream and the end of its connection.
const SETTLE: Duration = Duration::from_millis(20);

/// One member's connections; dropped with it.
#[derive(Debug)]
pub(crate) struct PeerLink {
    /// Whom they go to.
    pub(crate) node: PeerNode,
    beat: watch::Sender<Bytes>,
    outbox: Arc<Outbox>,
    main: Latest<Connection>,
    tasks: Vec<JoinHandle<()>>,
}

/// Says that the peer's side closed the last connection.
#[derive(Clone)]
pub(crate) struct Reporter {
    report: Arc<dyn Fn() + Send + Sync>,
    open: Arc<AtomicUsize>,
}

/// Messages waiting for the main connection.
#[derive(Debug, Default)]
struct Outbox {
    waiting: Mutex<VecDeque<Bytes>>,
    filled: Notify,
}

impl PeerLink {
    /// Starts connecting.
    pub(crate) fn start(node: PeerNode, wire: &Wire, pause: Duration, reporter: Reporter) -> Self {
        let (beat, beats) = watch::channel(Bytes::new());
        let (main_sender, main) = watch::channel(None);
        let outbox = Arc::new(Outbox::default());
        let keeper = Keeper {
            node: node.clone(),
            wire: wire.clone(),
            pause,
            reporter,
        };
        let mut tasks = vec![tokio::spawn(
            keeper.clone().keep_main(main_sender, outbox.clone()),
        )];
        for address in node.addresses.clone() {
            tasks.push(tokio::spawn(
                keeper.clone().keep_beats(address, beats.clone()),
            ));
        }
        Self {
            node,
            beat,
            outbox,
            main,
            tasks,
        }
    }

    /// The newest beat replaces one that was not sent yet.
    pub(crate) fn beat(&self, body: Bytes) {
        self.beat.send_replace(body);
    }

    /// In order, over the main connection.
    pub(crate) fn deliver(&self, body: Bytes) {
        self.outbox.push(body);
    }

    /// The main connection, as it comes and goes.
    pub(crate) fn main(&self) -> Latest<Connection> {
        self.main.clone()
    }
}

impl Drop for PeerLink {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Outbox {
    fn push(&self, body: Bytes) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == QUEUE {
            waiting.pop_front();
        }
        waiting.push_back(body);
        drop(waiting);
        self.filled.notify_one();
    }

    async fn pop(&self) -> Bytes {
        loop {
            let first = self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            match first {
                Some(body) => return body,
                None => self.filled.notified().await,
            }
        }
    }
}

impl Reporter {
    /// Calls `report` when it happens.
    pub(crate) fn new(report: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            report: Arc::new(report),
            open: Arc::default(),
        }
    }

    fn opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn ended(&self, how: &Ending) {
        let last = self.open.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && matches!(how, Ending::ByPeer(_)) {
            (self.report)();
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter")
            .field("open", &self.open)
            .finish()
    }
}

/// What a task that keeps a connection needs.
#[derive(Clone, Debug)]
struct Keeper {
    node: PeerNode,
    wire: Wire,
    pause: Duration,
    reporter: Reporter,
}

impl Keeper {
    async fn keep_main(self, main: watch::Sender<Option<Connection>>, outbox: Arc<Outbox>) {
        let mut log = ChangeLog::default();
        for address in self.node.addresses.iter().cycle() {
            match self.open(address).await {
                Ok(connection) => {
                    log.connected(&self.node.node, address);
                    main.send_replace(Some(connection.clone()));
                    let how = deliver_until_end(connection, &outbox).await;
                    main.send_replace(None);
                    self.reporter.ended(&how);
                    tracing::info!(peer = %self.node.node, address, ?how, "connection ended; connecting again");
                }
                Err(error) => {
                    log.failed(&self.node.node, address, &error);
                    tokio::time::sleep(self.pause).await;
                }
            }
        }
    }

    async fn keep_beats(self, address: String, beats: watch::Receiver<Bytes>) {
        loop {
            if let Ok(connection) = self.open(&address).await {
                let how = beat_until_end(connection, beats.clone()).await;
                self.reporter.ended(&how);
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn open(&self, address: &str) -> Result<Connection, String> {
        let opened = self
            .wire
            .open(&self.node.node, address, self.node.ports.crmd)
            .await;
        match opened {
            Ok(connection) => {
                self.reporter.opened();
                Ok(connection)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

async fn deliver_until_end(mut connection: Connection, outbox: &Outbox) -> Ending {
    let (sender, receiver) = mpsc::channel(WINDOW);
    let mut client = PeerClient::new(connection.channel.clone());
    let stream = async {
        let acks = client.deliver(ReceiverStream::new(receiver)).await;
        drain(acks.map(tonic::Response::into_inner)).await;
    };
    let feed = async {
        loop {
            let body = outbox.pop().await.to_vec();
            if sender.send(Envelope { body }).await.is_err() {
                return;
            }
        }
    };
    until_end(&mut connection, stream, feed).await
}

async fn beat_until_end(mut connection: Connection, mut beats: watch::Receiver<Bytes>) -> Ending {
    let (sender, receiver) = mpsc::channel(1);
    let mut client = PeerClient::new(connection.channel.clone());
    let stream = async {
        let answers = client.beats(ReceiverStream::new(receiver)).await;
        drain(answers.map(tonic::Response::into_inner)).await;
    };
    let feed = async {
        // What was left from before this connection is old by now.
        beats.borrow_and_update();
        while beats.changed().await.is_ok() {
            let body = beats.borrow_and_update().to_vec();
            if sender.send(Envelope { body }).await.is_err() {
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

async fn drain<T>(stream: Result<tonic::Streaming<T>, tonic::Status>) {
    match stream {
        Ok(mut items) => while let Some(Ok(_)) = items.next().await {},
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

    fn failed(&mut self, peer: &str, address: &str, error: &str) {
        let text = format!("{address}: {error}");
        if text != self.last {
            tracing::info!(peer, address, error, "cannot connect; trying on");
            self.last = text;
        }
    }
}
