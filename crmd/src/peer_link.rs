//! The connections to one member: made again whenever they end, after a short pause, and replaced when
//! their link falls silent; the old one is not closed before its replacement is authenticated
//! (protocol.md, 6).

mod health;
mod keeper;
mod lane;

use crate::{raft_types::PeerNode, wire::Wire};
use health::Health;
use keeper::Keeper;
pub(crate) use lane::Answer;
use lane::Lane;
use prost::bytes::Bytes;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
    calls: watch::Sender<()>,
    outbox: Arc<Outbox>,
    main: Latest<Connection>,
    health: Vec<Health>,
    lanes: Vec<Lane>,
    patience: Patience,
    tasks: Vec<JoinHandle<()>>,
}

/// Says that the peer's side closed the last connection.
#[derive(Clone)]
pub(crate) struct Reporter {
    report: Arc<dyn Fn() + Send + Sync>,
    open: Arc<AtomicUsize>,
}

/// Messages for the main connection.
#[derive(Debug, Default)]
struct Outbox {
    messages: Mutex<Messages>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Messages {
    waiting: VecDeque<Bytes>,
    /// Given to the present connection, not acknowledged yet.
    under_way: VecDeque<Bytes>,
    /// How many the present connection acknowledged.
    acked: u64,
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
        let (calls, called) = watch::channel(());
        let outbox = Arc::new(Outbox::default());
        let health: Vec<Health> = node.addresses.iter().map(|_| Health::default()).collect();
        let lanes: Vec<Lane> = node.addresses.iter().map(|_| Lane::default()).collect();
        let keeper = Keeper {
            node: node.clone(),
            wire: wire.clone(),
            patience,
            reporter,
            health: health.clone(),
            lanes: lanes.clone(),
            calls: called,
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
            calls,
            outbox,
            main,
            health,
            lanes,
            patience,
            tasks,
        }
    }

    /// The newest beat replaces one that was not sent yet.
    pub(crate) fn beat(&self, body: Bytes) {
        self.beat.send_replace(body);
    }

    /// The peer greeted this node, so that it can be reached: attempts to connect do not wait.
    pub(crate) fn called(&self) {
        self.calls.send_replace(());
    }

    /// Raft's heartbeat, over the first link whose beats are acknowledged; nothing without one.
    pub(crate) fn heartbeat(&self, body: Vec<u8>) -> Option<Answer> {
        let mut links = self.health.iter().zip(&self.lanes);
        let (_, lane) = links.find(|(health, _)| health.fresh(self.patience.stale))?;
        Some(lane.call(body))
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
        let mut messages = self.messages();
        if messages.waiting.len() == QUEUE {
            messages.waiting.pop_front();
        }
        messages.waiting.push_back(body);
        drop(messages);
        self.filled.notify_one();
    }

    async fn pop(&self) -> Bytes {
        loop {
            if let Some(body) = self.messages().next() {
                return body;
            }
            self.filled.notified().await;
        }
    }

    /// The present connection acknowledged so many.
    fn acked(&self, count: u64) {
        let mut messages = self.messages();
        while messages.acked < count && messages.under_way.pop_front().is_some() {
            messages.acked += 1;
        }
    }

    /// Another connection takes over from one whose link fell silent: what was not acknowledged goes over it
    /// once more. The cores bear a message that comes twice.
    fn moved(&self) {
        let mut messages = self.messages();
        let Messages {
            waiting, under_way, ..
        } = &mut *messages;
        while let Some(body) = under_way.pop_back() {
            waiting.push_front(body);
        }
        messages.acked = 0;
    }

    /// The connection ended: its end is news of the peer, whom the same messages may no longer concern.
    fn ended(&self) {
        let mut messages = self.messages();
        messages.under_way.clear();
        messages.acked = 0;
    }

    fn messages(&self) -> MutexGuard<'_, Messages> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Messages {
    fn next(&mut self) -> Option<Bytes> {
        let body = self.waiting.pop_front()?;
        self.under_way.push_back(body.clone());
        Some(body)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_silent_link_swallowed_goes_over_the_next_one() {
        let outbox = Outbox::default();
        for body in ["1", "2", "3", "4"] {
            outbox.push(Bytes::from(body));
        }
        for body in ["1", "2", "3"] {
            assert_eq!(outbox.pop().await, body);
        }
        outbox.acked(1);
        outbox.moved();
        for body in ["2", "3", "4"] {
            assert_eq!(outbox.pop().await, body);
        }
        outbox.acked(2);
        outbox.ended();
        outbox.push(Bytes::from("5"));
        assert_eq!(outbox.pop().await, "5");
    }
}
