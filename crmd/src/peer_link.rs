//! The connections to one member: made again whenever they end, after a short pause, and replaced when
//! their link falls silent; the old one is not closed before its replacement is authenticated
//! (protocol.md, 6).

mod health;
mod keeper;

use crate::{raft_types::PeerNode, wire::Wire};
use health::Health;
use keeper::Keeper;
use prost::bytes::Bytes;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use transport::tls::{Connection, Ending};

/// The newest value of something that comes and goes.
pub(crate) type Latest<T> = watch::Receiver<Option<T>>;

/// Most messages that wait for a connection; older ones are dropped first, the cores ask again.
const QUEUE: usize = 4_096;

/// How patient links are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Between two attempts to connect.
    pub(crate) pause: Duration,
    /// Beats not acknowledged for so long: the connection is replaced, other traffic takes another link.
    pub(crate) stale: Duration,
    /// For so long: the administrator is told.
    pub(crate) lost: Duration,
}

/// One member's connections; dropped with it.
#[derive(Debug)]
pub(crate) struct PeerLink {
    /// Whom they go to.
    pub(crate) node: PeerNode,
    beat: watch::Sender<Bytes>,
    outbox: Arc<Outbox>,
    main: Latest<Connection>,
    health: Vec<Health>,
    patience: Patience,
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
    pub(crate) fn start(
        node: PeerNode,
        wire: &Wire,
        patience: Patience,
        reporter: Reporter,
    ) -> Self {
        let (beat, beats) = watch::channel(Bytes::new());
        let (main_sender, main) = watch::channel(None);
        let outbox = Arc::new(Outbox::default());
        let health: Vec<Health> = node.addresses.iter().map(|_| Health::default()).collect();
        let keeper = Keeper {
            node: node.clone(),
            wire: wire.clone(),
            patience,
            reporter,
            health: health.clone(),
        };
        let mut tasks = vec![tokio::spawn(
            keeper.clone().keep_main(main_sender, outbox.clone()),
        )];
        for link in 0..node.addresses.len() {
            tasks.push(tokio::spawn(keeper.clone().keep_beats(link, beats.clone())));
            tasks.push(tokio::spawn(keeper.clone().watch(link)));
        }
        Self {
            node,
            beat,
            outbox,
            main,
            health,
            patience,
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

    /// For each link: whether beats over it are acknowledged, and how often it was lost.
    pub(crate) fn states(&self) -> impl Iterator<Item = (bool, u64)> {
        let lost = self.patience.lost;
        self.health.iter().map(move |h| (h.fresh(lost), h.losses()))
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
