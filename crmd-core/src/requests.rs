//! What local callers ask: carried to the coordinator, recognised when sent again, answered when it
//! has taken effect.

use crate::{
    changes::Changes,
    command::{Command, ProposalId, Severity},
    coordinator::Purpose,
    entry::{Entry, Grade, Member},
    ids::{NodeName, RequestId, Term},
    input::{ClientId, ProposeError},
    message::{Message, OrderKind},
    node::{Identity, Node},
    recent::Recent,
    request::{Refusal, RefusalKind, Request, Response},
};
use std::collections::{BTreeMap, BTreeSet};

/// Before a request that was not answered is sent again: at first, and at most, doubling in between.
const RESEND_MS: [u64; 2] = [200, 1_600];
/// Answers kept for callers whose first answer was lost.
const ANSWERS: usize = 500;

/// Requests that entered the cluster at this node.
#[derive(Debug)]
pub(crate) struct Requests {
    prefix: String,
    node: NodeName,
    next: u64,
    open: BTreeMap<u64, Open>,
    leaving: Vec<ClientId>,
}

#[derive(Debug)]
struct Open {
    client: Option<ClientId>,
    request: Request,
    deadline_ms: u64,
    sent: Option<(Term, NodeName)>,
    again_ms: u64,
    /// From the next sending to the one after it.
    pause_ms: u64,
}

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    node: NodeName,
    id: u64,
    request_id: RequestId,
}

/// Requests a coordinator works on.
#[derive(Debug)]
pub(crate) struct Work {
    /// Changes of the configuration.
    pub(crate) changes: Changes,
    pieces: BTreeMap<u64, Piece>,
    next_piece: u64,
    waiting: Vec<Origin>,
    answers: Recent<Response>,
    accepted: BTreeSet<RequestId>,
    joining: BTreeMap<NodeName, Origin>,
}

/// Orders that together are one request.
#[derive(Debug)]
struct Piece {
    origin: Origin,
    remaining: usize,
    failed: Option<String>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            changes: Changes::default(),
            pieces: BTreeMap::new(),
            next_piece: 0,
            waiting: Vec::new(),
            answers: Recent::new(ANSWERS),
            accepted: BTreeSet::new(),
            joining: BTreeMap::new(),
        }
    }
}

impl Work {
    pub(crate) fn is_idle(&self) -> bool {
        self.changes.is_idle() && self.pieces.is_empty()
    }
}

impl Requests {
    pub(crate) fn new(identity: &Identity) -> Self {
        Self {
            prefix: format!("{}.{}", identity.life, identity.incarnation),
            node: identity.node.clone(),
            next: 1,
            open: BTreeMap::new(),
            leaving: Vec::new(),
        }
    }

    pub(crate) fn gone(&mut self, client: ClientId) {
        for open in self.open.values_mut().filter(|o| o.client == Some(client)) {
            open.client = None;
        }
        self.leaving.retain(|c| *c != client);
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.open
            .values()
            .map(|o| o.deadline_ms.min(o.again_ms))
            .min()
    }

    fn request_id(&self, id: u64) -> RequestId {
        RequestId {
            node: self.node.to_string(),
            unique: format!("{}.{id}", self.prefix),
        }
    }
}

fn refused(kind: RefusalKind, text: impl Into<String>) -> Response {
    Response::Refused(Refusal {
        kind,
        text: text.into(),
    })
}

// At the node where the request entered.
impl Node {
    pub(crate) fn client(&mut self, client: ClientId, request: Request) {
        match request {
            Request::FenceHistory { target } => {
                let records = self.state.fencing.iter().rev();
                let wanted = records.filter(|r| target.as_ref().is_none_or(|t| r.target == *t));
                let response = Response::FenceHistory(wanted.cloned().collect());
                self.out.push(Command::Reply { client, response });
            }
            Request::Leave => self.wants_to_leave(client),
            request => {
                let id = self.requests.next;
                self.requests.next += 1;
                let open = Open {
                    client: Some(client),
                    request,
                    deadline_ms: self.ms() + self.settings.request_timeout_ms,
                    sent: None,
                    again_ms: self.ms(),
                    pause_ms: RESEND_MS[0],
                };
                self.requests.open.insert(id, open);
                self.carry(id);
            }
        }
    }

    fn wants_to_leave(&mut self, client: ClientId) {
        self.requests.leaving.push(client);
        let member = self.state.members.get(self.me());
        if member.is_none_or(|m| !m.is_active_in(&self.identity.life))
            && !self
                .own
                .known()
                .resources
                .values()
                .any(crate::history::is_active)
        {
            self.exiting = true;
            return;
        }
        let since = self.now.wall_s.max(1).to_string();
        self.own
            .set_attribute("shutdown", Some(since), &mut self.out);
        self.mark_dirty("this node wants to leave");
    }

    pub(crate) fn leave_if_done(&mut self) {
        if !self.exiting || self.requests.leaving.contains(&ClientId::MAX) {
            return;
        }
        for client in std::mem::take(&mut self.requests.leaving) {
            self.out.push(Command::Reply {
                client,
                response: Response::Done,
            });
        }
        self.requests.leaving.push(ClientId::MAX);
        let reason = format!("{} has left the cluster", self.me());
        self.out.push(Command::Exit { reason });
    }

    /// The coordinator to ask at present.
    fn whom_to_ask(&self) -> Option<(Term, NodeName)> {
        if let Some(c) = &self.coordinator {
            return Some((c.term, self.me().clone()));
        }
        let obeyed = self
            .obeyed
            .clone()
            .filter(|(term, _)| *term >= self.raft.term);
        let led = self.raft.leader.clone().map(|l| (self.raft.term, l));
        obeyed.or(led).filter(|(_, name)| name != self.me())
    }

    /// Sends an open request (again).
    fn carry(&mut self, id: u64) {
        let target = self.whom_to_ask();
        let ms = self.ms();
        let request_id = self.requests.request_id(id);
        let me = self.me().clone();
        let Some(open) = self.requests.open.get_mut(&id) else {
            return;
        };
        open.again_ms = ms + open.pause_ms;
        open.pause_ms = (2 * open.pause_ms).min(RESEND_MS[1]);
        let Some((term, name)) = target else {
            return;
        };
        open.sent = Some((term, name.clone()));
        let request = open.request.clone();
        if name == me {
            self.work_on(
                Origin {
                    node: me,
                    id,
                    request_id,
                },
                request,
            );
        } else {
            self.send(
                &name,
                Message::Forward {
                    id,
                    request_id,
                    request,
                },
            );
        }
    }

    pub(crate) fn requests_tick(&mut self) {
        let ms = self.ms();
        let target = self.whom_to_ask();
        let moved = |o: &Open| target.is_some() && o.sent != target;
        let open = self.requests.open.iter();
        let due: Vec<u64> = open
            .filter(|(_, o)| o.again_ms <= ms || o.deadline_ms <= ms || moved(o))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if self
                .requests
                .open
                .get(&id)
                .is_some_and(|o| o.deadline_ms <= ms)
            {
                let text =
                    "no answer from a coordinator in time; the request may still take effect";
                let kind = if target.is_some() {
                    RefusalKind::TimedOut
                } else {
                    RefusalKind::NoQuorum
                };
                self.finish(id, refused(kind, text));
            } else {
                self.carry(id);
            }
        }
    }

    /// An open request has its answer.
    pub(crate) fn finish(&mut self, id: u64, response: Response) {
        let open = self.requests.open.remove(&id);
        if let Some(client) = open.and_then(|o| o.client) {
            self.out.push(Command::Reply { client, response });
        }
    }
}

// At the coordinator.
impl Node {
    pub(crate) fn forwarded(
        &mut self,
        from: &NodeName,
        id: u64,
        request_id: RequestId,
        request: Request,
    ) {
        self.work_on(
            Origin {
                node: from.clone(),
                id,
                request_id,
            },
            request,
        );
    }

    pub(crate) fn reply(&mut self, origin: &Origin, response: Response) {
        if let Some(c) = &mut self.coordinator {
            c.work.accepted.remove(&origin.request_id);
            c.work.answers.note(&origin.request_id, response.clone());
        }
        if origin.node == *self.me() {
            self.finish(origin.id, response);
        } else {
            self.send(
                &origin.node,
                Message::ForwardReply {
                    id: origin.id,
                    response,
                },
            );
        }
    }

    fn work_on(&mut self, origin: Origin, request: Request) {
        if let (Request::Cib(_), Some(text)) = (&request, self.unstorable()) {
            return self.reply(&origin, refused(RefusalKind::Storage, text));
        }
        let Some(c) = &mut self.coordinator else {
            return;
        };
        if c.work.accepted.contains(&origin.request_id) {
            return;
        }
        if let Some(response) = c.work.answers.get(&origin.request_id).cloned() {
            return self.reply(&origin, response);
        }
        c.work.accepted.insert(origin.request_id.clone());
        match request {
            Request::Cib(change) => {
                let id = origin.request_id.clone();
                c.work.changes.queue(Some(origin), id, change);
                self.pump_changes();
            }
            Request::Attribute { node, name, value } => {
                self.set_attribute(origin, &node, name, value)
            }
            Request::Cleanup {
                resource,
                node,
                failed_only,
            } => {
                self.cleanup(origin, resource.as_deref(), node.as_deref(), failed_only);
            }
            Request::Fence {
                target,
                action,
                timeout_ms,
                origin: who,
            } => {
                self.fence_for(origin, &target, &action, timeout_ms, &who);
            }
            Request::ConfirmDown {
                target,
                origin: who,
            } => self.confirm_down(origin, &target, &who),
            Request::MakeToken { digest, valid_s } => {
                let valid_s = i64::try_from(valid_s).unwrap_or(i64::MAX);
                let expires_s = self.now.wall_s.saturating_add(valid_s);
                self.propose_for(origin, Entry::TokenMade { digest, expires_s });
            }
            Request::Join {
                digest,
                node,
                addresses,
                ports,
            } => {
                let member = Member {
                    node,
                    raft_id: 0,
                    addresses,
                    ports,
                };
                self.join(origin, digest, member);
            }
            Request::RemoveMember { node } => self.remove_member(origin, node),
            Request::WaitIdle => c.work.waiting.push(origin),
            Request::FenceHistory { .. } | Request::Leave => {
                self.reply(&origin, refused(RefusalKind::Other, "ask the node itself"));
            }
        }
    }

    /// It may be asked again.
    pub(crate) fn forget_accepted(&mut self, request: &RequestId) {
        if let Some(c) = &mut self.coordinator {
            c.work.accepted.remove(request);
        }
    }

    fn propose_for(&mut self, origin: Origin, entry: Entry) {
        let proposal = self.propose(entry);
        self.remember(proposal, Purpose::Reply(origin, Response::Done));
    }

    pub(crate) fn remember(&mut self, proposal: ProposalId, purpose: Purpose) {
        if let Some(c) = &mut self.coordinator {
            c.purposes.insert(proposal, purpose);
        }
    }

    /// An entry is committed: whoever waits for it is answered.
    pub(crate) fn work_applied(&mut self, entry: &Entry) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        match entry {
            Entry::Cib { requests, .. } => self.changes_applied(requests),
            Entry::MemberAdded(member) => {
                let Some(origin) = c.work.joining.remove(&member.node) else {
                    return;
                };
                let members = self.members();
                let member = member.clone();
                self.reply(&origin, Response::Joined { member, members });
            }
            _ => {}
        }
    }

    pub(crate) fn proposal_failed(&mut self, purpose: Purpose, error: &ProposeError) {
        let text = format!("not committed: {error:?}");
        let lost = matches!(error, ProposeError::NotLeader(_));
        match purpose {
            Purpose::Changes => {
                self.changes_failed((!lost).then(|| refused(RefusalKind::NoQuorum, text)));
            }
            Purpose::Reply(origin, _) => {
                self.forget_accepted(&origin.request_id);
                if !lost {
                    self.reply(&origin, refused(RefusalKind::NoQuorum, text));
                }
            }
            Purpose::Intent(intent) => self.intent_failed(&intent, error),
            Purpose::Result(intent) => self.result_failed(&intent),
            Purpose::Join(node) => {
                let origin = self
                    .coordinator
                    .as_mut()
                    .and_then(|c| c.work.joining.remove(&node));
                if let (Some(origin), false) = (origin, lost) {
                    self.reply(&origin, refused(RefusalKind::NoQuorum, text));
                }
            }
        }
    }

    fn set_attribute(
        &mut self,
        origin: Origin,
        node: &NodeName,
        name: String,
        value: Option<String>,
    ) {
        if !self.state.members.contains_key(node) {
            self.reply(
                &origin,
                refused(
                    RefusalKind::NotFound,
                    format!("{node} is no member of this cluster"),
                ),
            );
            return;
        }
        if !self.is_ready(node) {
            self.reply(
                &origin,
                refused(
                    RefusalKind::NoQuorum,
                    format!("{node} is not reachable: its attributes cannot be set now"),
                ),
            );
            return;
        }
        let work = self.piece(origin, 1);
        self.order(
            node,
            OrderKind::SetAttribute { name, value },
            String::new(),
            None,
            Some(work),
        );
    }

    fn piece(&mut self, origin: Origin, remaining: usize) -> u64 {
        let Some(c) = &mut self.coordinator else {
            return 0;
        };
        c.work.next_piece += 1;
        let id = c.work.next_piece;
        c.work.pieces.insert(
            id,
            Piece {
                origin,
                remaining,
                failed: None,
            },
        );
        id
    }

    pub(crate) fn work_order_over(&mut self, id: u64, result: Result<(), &str>) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let Some(piece) = c.work.pieces.get_mut(&id) else {
            return;
        };
        piece.remaining = piece.remaining.saturating_sub(1);
        if let Err(reason) = result {
            piece.failed = Some(reason.to_owned());
        }
        if piece.remaining > 0 {
            return;
        }
        if let Some(piece) = c.work.pieces.remove(&id) {
            let response = match piece.failed {
                None => Response::Done,
                Some(reason) => refused(RefusalKind::NoQuorum, reason),
            };
            self.reply(&piece.origin, response);
        }
    }

    /// Erases histories and fail counts, so that the resource is probed again.
    fn cleanup(
        &mut self,
        origin: Origin,
        resource: Option<&str>,
        node: Option<&str>,
        failed_only: bool,
    ) {
        let mut orders: Vec<(NodeName, OrderKind)> = Vec::new();
        let names = self
            .state
            .members
            .keys()
            .filter(|n| node.is_none_or(|w| w == &***n));
        for name in names.filter(|n| self.is_ready(n)) {
            let Some(known) = self.known(name) else {
                continue;
            };
            for (id, element) in &known.resources {
                let wanted = resource.is_none_or(|w| w == id || id.split(':').next() == Some(w));
                let counts = self.fail_counts(name, id);
                let failed = !counts.is_empty()
                    || element
                        .children()
                        .any(|c| c.id().is_some_and(|i| i.ends_with("_last_failure_0")));
                if !wanted || (failed_only && !failed) {
                    continue;
                }
                let attributes = counts
                    .into_iter()
                    .map(|name| OrderKind::SetAttribute { name, value: None });
                orders.extend(attributes.map(|kind| (name.clone(), kind)));
                orders.push((
                    name.clone(),
                    OrderKind::Forget {
                        resource: id.clone(),
                    },
                ));
            }
        }
        if orders.is_empty() {
            self.reply(&origin, Response::Done);
            return;
        }
        let work = self.piece(origin, orders.len());
        for (name, kind) in orders {
            self.order(&name, kind, String::new(), None, Some(work));
        }
        self.mark_dirty("histories were cleaned up");
    }

    fn fence_for(
        &mut self,
        origin: Origin,
        target: &NodeName,
        action: &str,
        timeout_ms: u64,
        who: &str,
    ) {
        if !self.state.members.contains_key(target) {
            self.reply(
                &origin,
                refused(
                    RefusalKind::NotFound,
                    format!("{target} is no member of this cluster"),
                ),
            );
            return;
        }
        if !["reboot", "off", "on"].contains(&action) {
            self.reply(
                &origin,
                refused(
                    RefusalKind::Other,
                    format!("{action} is no fencing action; reboot, off and on are"),
                ),
            );
            return;
        }
        self.fence(
            target,
            action,
            timeout_ms.max(1_000),
            who,
            None,
            Some(origin),
        );
    }

    /// A person's word (protocol.md, 24).
    fn confirm_down(&mut self, origin: Origin, target: &NodeName, who: &str) {
        let Some(member) = self.state.members.get(target) else {
            self.reply(
                &origin,
                refused(
                    RefusalKind::NotFound,
                    format!("{target} is no member of this cluster"),
                ),
            );
            return;
        };
        if self.is_present(target) {
            self.reply(
                &origin,
                refused(
                    RefusalKind::Other,
                    format!("{target} is heard at this moment: it is not down"),
                ),
            );
            return;
        }
        let life_number = member.admitted.as_ref().map_or(0, |l| l.number);
        let open = self.state.intent_against(target).map(|(id, _)| id.clone());
        let intent = open.unwrap_or_else(|| format!("human-{}", origin.request_id.unique));
        self.log(
            Severity::Error,
            format!(
                "{who} declares {target} (life {life_number}) to be down: believed, NOT verified"
            ),
        );
        let entry = Entry::FenceResult {
            intent,
            target: target.clone(),
            life_number,
            result: Ok(Grade::Human),
            device: who.to_owned(),
            by: None,
            at_s: self.now.wall_s,
        };
        self.propose_for(origin, entry);
    }

    fn join(&mut self, origin: Origin, digest: String, mut member: Member) {
        let node = member.node.clone();
        let used_by_it = match self.state.tokens.get(&digest) {
            Some(token) if token.used_by.as_ref() == Some(&node) => true,
            Some(token) if token.used_by.is_none() && token.expires_s > self.now.wall_s => false,
            Some(token) if token.used_by.is_none() => {
                return self.reply(
                    &origin,
                    refused(
                        RefusalKind::Token,
                        "the join token has expired: make a new one",
                    ),
                );
            }
            Some(_) => {
                return self.reply(
                    &origin,
                    refused(
                        RefusalKind::Token,
                        "the join token was used already: make a new one",
                    ),
                );
            }
            None => {
                return self.reply(
                    &origin,
                    refused(RefusalKind::Token, "this cluster made no such join token"),
                );
            }
        };
        if let Some(known) = self.state.members.get(&node) {
            if used_by_it {
                let member = known.member.clone();
                let members = self.members();
                return self.reply(&origin, Response::Joined { member, members });
            }
            if known.is_active() || self.is_present(&node) {
                return self.reply(
                    &origin,
                    refused(RefusalKind::Exists, format!("{node} is a member already")),
                );
            }
        }
        // A founder that is not yet in the log would be given its own id again, as somebody else's.
        if !self.state.members.contains_key(&self.identity.node) {
            return self.reply(
                &origin,
                refused(
                    RefusalKind::NoQuorum,
                    "the cluster is only just being made: try again in a moment",
                ),
            );
        }
        member.raft_id = self.state.last_raft_id + 1;
        if let Some(c) = &mut self.coordinator {
            if !c.work.joining.is_empty() {
                c.work.accepted.remove(&origin.request_id);
                return;
            }
            c.work.joining.insert(node.clone(), origin);
        }
        self.log(
            Severity::Info,
            format!("{node} joins as member {}", member.raft_id),
        );
        self.propose(Entry::TokenUsed {
            digest,
            node: node.clone(),
        });
        let proposal = self.propose(Entry::MemberAdded(member));
        self.remember(proposal, Purpose::Join(node));
    }

    fn remove_member(&mut self, origin: Origin, node: NodeName) {
        let Some(member) = self.state.members.get(&node) else {
            return self.reply(
                &origin,
                refused(
                    RefusalKind::NotFound,
                    format!("{node} is no member of this cluster"),
                ),
            );
        };
        if member.is_active() || self.is_present(&node) {
            let text = format!("{node} is still running: have it leave, or fence it, first");
            return self.reply(&origin, refused(RefusalKind::Other, text));
        }
        self.propose_for(origin, Entry::MemberRemoved { node });
    }

    pub(crate) fn answer_waiters(&mut self) {
        if !self.is_idle() {
            return;
        }
        let waiting = self
            .coordinator
            .as_mut()
            .map(|c| std::mem::take(&mut c.work.waiting));
        for origin in waiting.unwrap_or_default() {
            self.reply(&origin, Response::Done);
        }
    }
}
