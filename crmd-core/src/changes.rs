//! Changes of the configuration on their way into the log: evaluated one after another, each on what came of
//! the one before, and committed together with all that waited while the last ones were under way.
//!
//! Only one entry is under way at any time: what is evaluated never rests on something that may yet fail.

use crate::{
    command::Severity,
    coordinator::Purpose,
    entry::Entry,
    evaluate,
    ids::RequestId,
    node::Node,
    request::{CibChange, Refusal, Response},
    requests::Origin,
};
use cib::Element;
use std::collections::VecDeque;

/// Changes in an entry at most.
const MOST: usize = 128;
/// Elements of the configuration that may be gone through for an entry: with a large configuration fewer
/// changes go together, so that the daemon has time for everything else in between.
const ELEMENTS: usize = 20_000;

/// What waits, and what is in the log and not yet committed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    waiting: VecDeque<Change>,
    under_way: Vec<(Option<Origin>, RequestId)>,
}

#[derive(Debug)]
struct Change {
    origin: Option<Origin>,
    id: RequestId,
    change: CibChange,
}

/// What becomes one entry.
struct Batch {
    cib: Element,
    members: Vec<(Option<Origin>, RequestId)>,
    by: Vec<String>,
    refused: Vec<(Option<Origin>, Refusal)>,
}

impl Changes {
    /// One more; `origin` is answered when it is committed.
    pub(crate) fn queue(&mut self, origin: Option<Origin>, id: RequestId, change: CibChange) {
        self.waiting.push_back(Change { origin, id, change });
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    fn next(&mut self) -> Option<Change> {
        self.waiting.pop_front()
    }
}

impl Node {
    /// Evaluates what waits, unless something is under way.
    pub(crate) fn pump_changes(&mut self) {
        let idle = |n: &Self| {
            let changes = n.coordinator.as_ref().map(|c| &c.work.changes);
            changes.is_some_and(|c| c.under_way.is_empty() && !c.waiting.is_empty())
        };
        if !idle(self) {
            return;
        }
        let elements = self.state.cib.descendants().count().max(1);
        let most = (ELEMENTS / elements).clamp(1, MOST);
        while idle(self) {
            let batch = self.gather(most);
            self.commit(batch);
        }
    }

    fn gather(&mut self, most: usize) -> Batch {
        let mut batch = Batch {
            cib: self.state.cib.clone(),
            members: Vec::new(),
            by: Vec::new(),
            refused: Vec::new(),
        };
        while batch.members.len() < most
            && let Some(next) = self.next_change()
        {
            if self.state.is_done(&next.id) {
                self.reply_version(next.origin);
                continue;
            }
            match evaluate::changed(&batch.cib, &next.change) {
                Ok(new) => {
                    if new != batch.cib && !batch.by.contains(&next.change.origin) {
                        batch.by.push(next.change.origin);
                    }
                    batch.cib = new;
                    batch.members.push((next.origin, next.id));
                }
                Err(refusal) => {
                    let by = next.change.origin;
                    let text = format!("change by {by} refused: {}", refusal.text);
                    self.log(Severity::Warning, text);
                    batch.refused.push((next.origin, refusal));
                }
            }
        }
        batch
    }

    fn next_change(&mut self) -> Option<Change> {
        self.coordinator.as_mut()?.work.changes.next()
    }

    /// Refusals may rest on changes of the same batch: they are proposed after it.
    fn commit(&mut self, batch: Batch) {
        let refused = batch.refused.into_iter();
        let refused = refused.map(|(origin, refusal)| (origin, Response::Refused(refusal)));
        match evaluate::patch(&self.state.cib, &batch.cib) {
            None => {
                let version = evaluate::version(&self.state.cib);
                let unchanged = batch.members.into_iter();
                let unchanged = unchanged.map(|(origin, _)| (origin, Response::Cib { version }));
                for (origin, response) in unchanged.chain(refused) {
                    self.reply_if_still_leading(origin, response);
                }
            }
            Some(patch) => {
                self.propose_changes(batch.members, &batch.cib, patch, batch.by.join(", "));
                for (origin, response) in refused {
                    self.reply_if_still_leading(origin, response);
                }
            }
        }
    }

    fn propose_changes(
        &mut self,
        members: Vec<(Option<Origin>, RequestId)>,
        new: &Element,
        patch: String,
        origin: String,
    ) {
        let entry = Entry::Cib {
            requests: members.iter().map(|(_, id)| id.clone()).collect(),
            patch,
            digest: evaluate::digest(new),
            origin,
        };
        let proposal = self.propose(entry);
        #[cfg(feature = "break-forget-acknowledged")]
        let members: Vec<(Option<Origin>, RequestId)> = {
            let version = evaluate::version(new);
            for origin in members.iter().filter_map(|(origin, _)| origin.as_ref()) {
                self.reply(origin, Response::Cib { version });
            }
            members.into_iter().map(|(_, id)| (None, id)).collect()
        };
        if let Some(c) = &mut self.coordinator {
            c.work.changes.under_way = members;
            c.purposes.insert(proposal, Purpose::Changes);
        }
    }

    /// An answer that rests on this node's copy alone: another coordinator may have changed the
    /// configuration already, which an entry of its own that is committed rules out (protocol.md, 7).
    fn reply_if_still_leading(&mut self, origin: Option<Origin>, response: Response) {
        if let Some(origin) = origin {
            let proposal = self.propose(Entry::Blank);
            self.remember(proposal, Purpose::Reply(origin, response));
        }
    }

    fn reply_version(&mut self, origin: Option<Origin>) {
        let version = evaluate::version(&self.state.cib);
        if let Some(origin) = origin {
            self.reply(&origin, Response::Cib { version });
        }
    }

    /// An entry of changes is committed: those under way are answered if it is theirs.
    pub(crate) fn changes_applied(&mut self, requests: &[RequestId]) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let mine = c.work.changes.under_way.iter().map(|(_, id)| id);
        if !mine.eq(requests) {
            return;
        }
        for (origin, _) in std::mem::take(&mut c.work.changes.under_way) {
            self.reply_version(origin);
        }
        self.pump_changes();
    }

    /// What is under way will not be committed by this node. Those who asked are told, unless somebody
    /// else leads now: they ask there again.
    pub(crate) fn changes_failed(&mut self, refusal: Option<Response>) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        for (origin, id) in std::mem::take(&mut c.work.changes.under_way) {
            self.forget_accepted(&id);
            if let (Some(origin), Some(response)) = (origin, &refusal) {
                self.reply(&origin, response.clone());
            }
        }
    }
}
