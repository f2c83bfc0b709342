//! Past and running operations, newest first, bounded.

use crate::input::{Grade, Reply, Request};
use std::collections::VecDeque;

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Under way.
    Pending,
    /// The target is proven down (or switched on) to this degree.
    Done(Grade),
    /// Nothing is proven.
    Failed,
}

impl State {
    /// Its word on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done(_) => "done",
            Self::Failed => "failed",
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Intent.
    pub intent: String,
    /// Whom.
    pub target: String,
    /// `reboot`, `off`, `on`.
    pub action: String,
    /// Who asked.
    pub origin: String,
    /// How it stands.
    pub state: State,
    /// Device(s) that did it.
    pub device: String,
    /// Node whose fencing daemon called them.
    pub by_node: String,
    /// Seconds since the epoch: of the end, or of the start while under way.
    pub at_s: i64,
    /// Why it failed, or what failed afterwards (switching on).
    pub reason: String,
}

/// The list.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    most: usize,
}

impl History {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            most: most.max(1),
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn started(&mut self, request: &Request, at_s: i64) {
        self.entries.push_front(Entry {
            intent: request.intent.clone(),
            target: request.target.clone(),
            action: request.action.clone(),
            origin: request.origin.clone(),
            state: State::Pending,
            device: String::new(),
            by_node: String::new(),
            at_s,
            reason: String::new(),
        });
        self.entries.truncate(self.most);
    }

    pub(crate) fn ended(&mut self, intent: &str, target: &str, reply: &Reply, at_s: i64) {
        let Some(entry) = self.find(intent, target) else {
            return;
        };
        entry.at_s = at_s;
        entry.device.clone_from(&reply.device);
        entry.by_node.clone_from(&reply.by_node);
        match &reply.result {
            Ok(grade) => entry.state = State::Done(*grade),
            Err(reason) => {
                entry.state = State::Failed;
                entry.reason.clone_from(reason);
            }
        }
    }

    /// Something to remember about an operation that has been answered.
    pub(crate) fn note(&mut self, intent: &str, target: &str, text: &str) {
        if let Some(entry) = self.find(intent, target) {
            text.clone_into(&mut entry.reason);
        }
    }

    fn find(&mut self, intent: &str, target: &str) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .find(|e| e.intent == intent && e.target == target)
    }
}
