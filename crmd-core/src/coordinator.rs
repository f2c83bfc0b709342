//! The coordinator: asks everybody first, admits, keeps the voters, decides when to schedule.
//!
//! It is the Raft leader, and acts only while a quorum stands behind it (protocol.md, 7). Until
//! every member has answered, is proven down or has left, it dispatches nothing but fencing (8).

use crate::{
    command::{Command, ProposalId, RunId, Severity},
    dispatch::Sent,
    document::Standing,
    entry::Entry,
    evaluate,
    fencing::Fencing,
    ids::{NodeName, RaftId, Term},
    input::ProposeError,
    membership::{Event, Reach},
    message::{Message, NodeStatus, PeerIdentity},
    node::Node,
    request::Response,
    requests::{Origin, Work},
    status::Taken,
    transition::Transition,
};
use scheduler::Decision;
use std::collections::{BTreeMap, BTreeSet};

/// Between two attempts at something that Raft did not do.
pub(crate) const RETRY_MS: u64 = 1_000;
/// Between two hand-overs of the leadership for the sake of a broken path.
const TRANSFER_MS: u64 = 5_000;

/// What a coordinator keeps while its term lasts.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) term: Term,
    /// Who has answered in this term, and as whom.
    answered: BTreeMap<NodeName, PeerIdentity>,
    /// When to ask (again).
    ask_ms: BTreeMap<NodeName, u64>,
    /// The first round is complete.
    pub(crate) settled: bool,
    /// Why the last decision is out of date.
    pub(crate) dirty: Option<String>,
    pub(crate) run: Option<Run>,
    pub(crate) transition: Option<Transition>,
    next_transition: u64,
    pub(crate) next_order: u64,
    pub(crate) orders: BTreeMap<u64, Sent>,
    pub(crate) work: Work,
    pub(crate) fencing: BTreeMap<String, Fencing>,
    pub(crate) next_intent: u64,
    /// Failed attempts at fencing a node, and when to try again.
    pub(crate) backoff: BTreeMap<NodeName, (u32, u64)>,
    /// Several nodes were lost at once: no shot before.
    pub(crate) fence_hold_ms: u64,
    recheck_at_s: Option<i64>,
    /// What was asked of Raft, until when it may take.
    pub(crate) changing: Option<(BTreeSet<RaftId>, BTreeSet<RaftId>, u64)>,
    /// Lives proposed to be admitted or declared over, until when.
    proposed: BTreeMap<(NodeName, &'static str), u64>,
    pub(crate) purposes: BTreeMap<ProposalId, Purpose>,
    transfer_ms: Option<u64>,
    pub(crate) warned: BTreeSet<NodeName>,
}

#[derive(Debug)]
pub(crate) struct Run {
    id: RunId,
    stale: bool,
}

/// What a proposal was for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// Changes of the configuration: those under way.
    Changes,
    /// Answer this when it is committed.
    Reply(Origin, Response),
    /// An intent, by its name.
    Intent(String),
    /// The outcome of fencing, by its intent.
    Result(String),
    /// A node joins.
    Join(NodeName),
}

impl Coordinator {
    fn new(term: Term) -> Self {
        Self {
            term,
            answered: BTreeMap::new(),
            ask_ms: BTreeMap::new(),
            settled: false,
            dirty: Some("a new coordinator".to_owned()),
            run: None,
            transition: None,
            next_transition: 1,
            next_order: 1,
            orders: BTreeMap::new(),
            work: Work::default(),
            fencing: BTreeMap::new(),
            next_intent: 1,
            backoff: BTreeMap::new(),
            fence_hold_ms: 0,
            recheck_at_s: None,
            changing: None,
            proposed: BTreeMap::new(),
            purposes: BTreeMap::new(),
            transfer_ms: None,
            warned: BTreeSet::new(),
        }
    }

    /// The world moved: what was decided before is out of date.
    pub(crate) fn dirty(&mut self, reason: &str) {
        if let Some(transition) = &mut self.transition {
            transition.abort(reason);
        }
        if let Some(run) = &mut self.run {
            run.stale = true;
        }
        self.dirty.get_or_insert_with(|| reason.to_owned());
    }

    /// The unique part of this coordinator's transition keys.
    pub(crate) fn uuid(&self, me: &str) -> String {
        let name = me.bytes().fold(0xcbf2_9ce4_u32, |h, b| {
            (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
        });
        format!("{name:08x}-0000-4000-8000-{:012x}", self.term)
    }

    pub(crate) fn deadline(&self, node: &Node) -> Option<u64> {
        let now_ms = node.ms();
        let later = |ms: u64| ms.max(now_ms + 1);
        let asks = self.ask_ms.iter().filter(|(n, _)| node.membership.is_up(n));
        let asks = asks.map(|(_, ms)| later(*ms)).min();
        if !node.may_coordinate() {
            // Nothing else is done before members answer again, and that wakes it.
            return asks;
        }
        let orders = self.orders.values().filter(|o| !o.taken);
        let recheck = self.recheck_at_s.map(|at_s| {
            let in_s = u64::try_from(at_s - node.now.wall_s).unwrap_or(0);
            later(now_ms + in_s * 1_000)
        });
        let fences = self.fencing.values().filter_map(Fencing::deadline);
        let holds = self
            .backoff
            .values()
            .map(|(_, ms)| *ms)
            .chain([self.fence_hold_ms]);
        let future = |ms: &u64| *ms > now_ms;
        [
            asks,
            orders.map(|o| later(o.next_ms)).min(),
            recheck,
            fences.map(later).min(),
            holds.filter(future).min(),
            self.changing.as_ref().map(|(_, _, ms)| later(*ms)),
            self.proposed.values().copied().filter(future).min(),
            self.transition
                .as_ref()
                .and_then(Transition::deadline)
                .map(later),
            node.next_unproven_ms().map(later),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

// Becoming and ceasing to be the coordinator, and the first round.
impl Node {
    pub(crate) fn lead(&mut self, term: Term) {
        if self.coordinator.as_ref().is_some_and(|c| c.term >= term) {
            return;
        }
        if !self.executor.adopt(term, &mut self.out) {
            return;
        }
        let ms = self.ms();
        let me = self.me().clone();
        self.obeyed = Some((term, me.clone()));
        self.membership.restart_silence_clocks(ms);
        self.membership.hurry(ms);
        let mut new = Coordinator::new(term);
        let peers = self.membership.peers().map(|(name, _)| (name.clone(), ms));
        new.ask_ms = peers.collect();
        self.coordinator = Some(new);
        self.log(
            Severity::Info,
            format!("{me} coordinates in term {term}: asking every member first"),
        );
        self.adopt_intents();
        self.ask_due();
    }

    pub(crate) fn step_down(&mut self) {
        self.keep_own_lease();
        if let Some(c) = self.coordinator.take() {
            let text = format!("{} no longer coordinates (term {})", self.me(), c.term);
            self.log(Severity::Info, text);
        }
    }

    fn ask_due(&mut self) {
        let ms = self.ms();
        let again_ms = ms + self.settings.order_resend_ms;
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let (term, next_order) = (c.term, c.next_order);
        let gone = |r: Option<Reach>| matches!(r, None | Some(Reach::Lost { .. }));
        let membership = &self.membership;
        let due = c
            .ask_ms
            .iter_mut()
            .filter(|(name, at_ms)| **at_ms <= ms && !gone(membership.peer(name).map(|p| p.reach)));
        let mut names = Vec::new();
        for (name, at_ms) in due {
            *at_ms = again_ms;
            names.push(name.clone());
        }
        let content = self.beat_content();
        for name in names {
            self.membership.beat_to(ms, &name, &content, &mut self.out);
            self.send(&name, Message::Ask { term, next_order });
        }
    }

    /// Asks a member what it is doing, before it gets another order. What it was ordered before and has
    /// not begun is void from then on: this node has forgotten it, and may decide otherwise.
    pub(crate) fn ask(&mut self, node: &NodeName) {
        let ms = self.ms();
        if let Some(c) = &mut self.coordinator {
            c.answered.remove(node);
            c.ask_ms.insert(node.clone(), ms);
        }
    }

    pub(crate) fn answered(&mut self, from: &NodeName, term: Term, status: &NodeStatus) {
        if self.coordinator.as_ref().is_none_or(|c| c.term != term) {
            return;
        }
        let member = self.state.members.get(from);
        if member.is_some_and(|m| status.stamp.life.number <= m.ended) {
            return;
        }
        if let Taken::Changed(changes) = self.others.full(from, status) {
            self.node_status_changed(from, &changes, true);
        }
        let identity = PeerIdentity {
            life: status.stamp.life.clone(),
            incarnation: status.stamp.incarnation,
        };
        if let Some(c) = &mut self.coordinator {
            c.ask_ms.remove(from);
            if c.answered.insert(from.clone(), identity.clone()) != Some(identity) {
                c.dirty(&format!("{from} has answered"));
            }
        }
        let content = self.beat_content();
        self.membership
            .beat_to(self.now.mono_ms, from, &content, &mut self.out);
    }

    /// Whether orders may be given to a node: it has answered in this term as who it is now.
    pub(crate) fn is_ready(&self, node: &NodeName) -> bool {
        if node == self.me() {
            return self.coordinator.is_some();
        }
        let Some(c) = &self.coordinator else {
            return false;
        };
        let known = self.membership.peer(node).and_then(|p| p.identity.as_ref());
        self.membership.is_up(node) && known.is_some() && c.answered.get(node) == known
    }

    /// Who a node is at present, as far as known.
    pub(crate) fn identity_of(&self, node: &NodeName) -> Option<PeerIdentity> {
        if node == self.me() {
            return Some(PeerIdentity {
                life: self.identity.life.clone(),
                incarnation: self.identity.incarnation,
            });
        }
        self.membership.peer(node).and_then(|p| p.identity.clone())
    }

    pub(crate) fn is_present(&self, node: &NodeName) -> bool {
        node == self.me() || self.membership.is_up(node)
    }

    pub(crate) fn coordinator_event(&mut self, event: &Event) {
        if self.coordinator.is_none() {
            return;
        }
        match event {
            Event::Up(node) => {
                self.ask(node);
                self.mark_dirty(&format!("{node} is there"));
            }
            Event::NewIncarnation(node) => {
                self.fail_orders_to(node, "its daemon was restarted");
                self.ask(node);
                self.mark_dirty(&format!("the daemon of {node} was restarted"));
            }
            Event::NewLife(node) => {
                self.fail_orders_to(node, "its host has booted");
                self.ask(node);
                self.mark_dirty(&format!("{node} has booted"));
            }
            Event::DaemonDown(_) => {}
            Event::Lost(node) => {
                if let Some(c) = &mut self.coordinator {
                    c.answered.remove(node);
                    c.ask_ms.remove(node);
                }
                self.fail_orders_to(node, "it is lost");
                self.many_losses();
                self.mark_dirty(&format!("{node} is lost"));
            }
        }
    }

    pub(crate) fn mark_dirty(&mut self, reason: &str) {
        if let Some(c) = &mut self.coordinator {
            c.dirty(reason);
        }
    }

    fn many_losses(&mut self) {
        let lost = self.membership.peers().filter(|(name, p)| {
            matches!(p.reach, Reach::Lost { .. })
                && self.state.members.get(*name).is_some_and(|m| m.is_active())
        });
        let count = lost.count();
        let hold_ms = self.ms() + self.settings.mass_loss_delay_ms;
        let threshold = self.settings.mass_loss_threshold as usize;
        let Some(c) = &mut self.coordinator else {
            return;
        };
        if count > threshold && c.fence_hold_ms < self.now.mono_ms {
            c.fence_hold_ms = hold_ms;
            let text = format!(
                "{count} nodes are lost at once: fencing waits {} ms; look at the network",
                self.settings.mass_loss_delay_ms
            );
            self.log(Severity::Error, text);
        }
    }
}

// What it does again and again.
impl Node {
    pub(crate) fn coordinate(&mut self) {
        if self.coordinator.is_none() {
            return;
        }
        self.ask_due();
        self.bootstrap();
        if !self.may_coordinate() {
            return;
        }
        self.settle();
        self.hand_over_if_better();
        self.lives();
        self.voters();
        self.nodes_section();
        self.pump_changes();
        self.resend_orders();
        self.fencing_tick();
        self.overdue();
        self.decide();
        self.dispatch();
        self.leavers();
        self.answer_waiters();
    }

    /// The first leader of a new cluster is its first member.
    fn bootstrap(&mut self) {
        if !self.state.members.contains_key(self.me()) && self.once("", "member") {
            let member = self.identity.member.clone();
            self.propose(Entry::MemberAdded(member));
        }
    }

    /// Whether to propose something now that is tried again when nothing came of it.
    pub(crate) fn once(&mut self, node: &str, what: &'static str) -> bool {
        let ms = self.ms();
        let Some(c) = &mut self.coordinator else {
            return false;
        };
        let until = c.proposed.entry((node.into(), what)).or_insert(0);
        if *until > ms {
            return false;
        }
        *until = ms + RETRY_MS;
        true
    }

    fn settle(&mut self) {
        if self.coordinator.as_ref().is_none_or(|c| c.settled) {
            return;
        }
        let open = self.unanswered();
        if !open.is_empty() {
            return;
        }
        if let Some(c) = &mut self.coordinator {
            c.settled = true;
            c.dirty("every member has answered, is down or has left");
        }
    }

    /// Active members that have not answered and are not known to be harmless.
    fn unanswered(&self) -> Vec<NodeName> {
        let active = self.state.members.iter().filter(|(_, m)| m.is_active());
        let open = active
            .filter(|(name, _)| !self.is_ready(name) && self.standing(name) != Standing::Offline);
        let open = open.filter(|(name, _)| !self.is_written_off(name));
        open.map(|(name, _)| name.clone()).collect()
    }

    /// Fencing is switched off and the node must have stopped by now (protocol.md, 27).
    fn is_written_off(&self, node: &NodeName) -> bool {
        !self.fencing_enabled() && self.standing(node) == Standing::Unclean
    }

    pub(crate) fn fencing_enabled(&self) -> bool {
        self.state
            .property("stonith-enabled")
            .is_none_or(evaluate::is_true)
    }

    /// From when a silent node counts as stopped while fencing is switched off; nothing: never.
    fn unproven_from(&self, node: &NodeName) -> Option<u64> {
        let peer = self.membership.peer(node)?;
        if !matches!(peer.reach, Reach::Lost { .. }) {
            return None;
        }
        let s = &self.settings;
        match self.state.property("no-quorum-policy").unwrap_or("stop") {
            "ignore" => Some(peer.heard_ms),
            "freeze" => None,
            _ => Some(peer.heard_ms + s.lease_ms + s.quorum_grace_ms + s.stop_budget_ms),
        }
    }

    pub(crate) fn next_unproven_ms(&self) -> Option<u64> {
        if self.fencing_enabled() {
            return None;
        }
        let active = self.state.members.iter().filter(|(_, m)| m.is_active());
        let times = active.filter_map(|(name, _)| self.unproven_from(name));
        times.filter(|ms| *ms > self.ms()).min()
    }

    /// How a node is shown to the scheduler.
    pub(crate) fn standing(&self, node: &NodeName) -> Standing {
        let Some(member) = self.state.members.get(node) else {
            return Standing::Offline;
        };
        if !member.is_active() {
            return match self.is_present(node) {
                true => Standing::Joining,
                false => Standing::Offline,
            };
        }
        let reach = self.membership.peer(node).map(|p| p.reach);
        match reach {
            Some(Reach::Lost { .. }) if self.fencing_enabled() => Standing::Unclean,
            Some(Reach::Lost { .. }) => match self.unproven_from(node) {
                Some(from_ms) if from_ms <= self.ms() => Standing::Unclean,
                _ => Standing::Online,
            },
            _ => Standing::Online,
        }
    }

    /// Leads from where everybody is heard (protocol.md, 4), and not while leaving or without a disk
    /// (protocol.md, 5).
    fn hand_over_if_better(&mut self) {
        let ms = self.ms();
        let others: BTreeSet<NodeName> = self
            .voter_names()
            .into_iter()
            .filter(|n| n != self.me() && self.is_ready(n) && !self.is_leaving(n))
            .filter(|n| !self.storage_fails(n))
            .collect();
        let to = if self.is_leaving(self.me()) || self.storage_fails(self.me()) {
            others.first().cloned()
        } else {
            self.membership.better_placed(ms, &others)
        };
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let (Some(to), true) = (to, c.transfer_ms.is_none_or(|t| t + TRANSFER_MS <= ms)) else {
            return;
        };
        c.transfer_ms = Some(ms);
        if let Some(member) = self.state.members.get(&to) {
            let id = member.member.raft_id;
            self.log(
                Severity::Info,
                format!("handing the leadership over to {to}"),
            );
            self.out.push(Command::TransferLeadership { to: id });
        }
    }

    /// Runs the scheduler when the last decision is out of date and nothing is under way.
    fn decide(&mut self) {
        let recheck = |at: i64| at <= self.now.wall_s;
        if self
            .coordinator
            .as_ref()
            .and_then(|c| c.recheck_at_s)
            .is_some_and(recheck)
        {
            if let Some(c) = &mut self.coordinator {
                c.recheck_at_s = None;
            }
            self.mark_dirty("time has passed");
        }
        if self.unproven_passed() {
            self.mark_dirty("a lost node must have stopped by now (unproven)");
        }
        if !self.is_decision_due() {
            return;
        }
        self.expire_constraints();
        let me = self.me().clone();
        let names: Vec<NodeName> = self.state.members.keys().cloned().collect();
        let standings: Vec<(NodeName, Standing)> = names
            .iter()
            .map(|n| (n.clone(), self.standing(n)))
            .collect();
        let dc = self.node_id(&me);
        let cib = self.assembled(&standings, Some(&dc), true);
        let id = self.schedule(cib);
        if let Some(c) = &mut self.coordinator {
            let reason = c.dirty.take().unwrap_or_default();
            c.run = Some(Run { id, stale: false });
            self.log(Severity::Debug, format!("deciding: {reason}"));
        }
    }

    fn is_decision_due(&self) -> bool {
        let Some(c) = &self.coordinator else {
            return false;
        };
        let free = c.run.is_none() && c.transition.as_ref().is_none_or(Transition::is_over);
        if c.dirty.is_none() || !free || self.life_is_open() {
            return false;
        }
        let lost = |n: &NodeName| self.standing(n) == Standing::Unclean;
        c.settled || self.unanswered().iter().any(lost)
    }

    /// A newer life of an active member speaks and the older one is not declared over yet.
    fn life_is_open(&self) -> bool {
        self.state.members.iter().any(|(name, m)| {
            let (Some(identity), Some(old)) = (self.identity_of(name), &m.admitted) else {
                return false;
            };
            m.is_active() && self.is_present(name) && identity.life.number > old.number
        })
    }

    fn unproven_passed(&mut self) -> bool {
        if self.fencing_enabled() {
            return false;
        }
        let ms = self.ms();
        let passed: Vec<NodeName> = self
            .state
            .members
            .iter()
            .filter(|(_, m)| m.is_active())
            .filter(|(name, _)| self.unproven_from(name).is_some_and(|from| from <= ms))
            .map(|(name, _)| name.clone())
            .collect();
        let mut any = false;
        for name in passed {
            let text = format!(
                "{name} is lost and fencing is switched off: its resources are taken for stopped, UNPROVEN"
            );
            any |= self.once_while_lost(&name, text);
        }
        any
    }

    fn once_while_lost(&mut self, node: &NodeName, text: String) -> bool {
        let heard_ms = self.membership.peer(node).map_or(0, |p| p.heard_ms);
        let key = (node.clone(), "unproven");
        let Some(c) = &mut self.coordinator else {
            return false;
        };
        let until = heard_ms.wrapping_add(1 << 40);
        if c.proposed.insert(key, until) == Some(until) {
            return false;
        }
        self.log(Severity::Error, text);
        true
    }

    pub(crate) fn scheduled(&mut self, run: RunId, decision: Decision) {
        if self.isolated_scheduled(run, &decision) {
            return;
        }
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let Some(current) = c.run.take_if(|r| r.id == run) else {
            return;
        };
        if current.stale {
            c.dirty
                .get_or_insert_with(|| "the world moved while deciding".to_owned());
            return;
        }
        let id = c.next_transition;
        c.next_transition += 1;
        c.recheck_at_s = decision.recheck_at_s;
        let actions = decision.graph.synapses.len();
        c.transition = Some(Transition::new(id, decision.graph));
        if actions > 0 {
            self.counters.transitions += 1;
            self.counters.steps += actions as u64;
            let text = format!("transition {id} in term {}: {actions} steps", c.term);
            self.log(Severity::Info, text);
        }
    }

    /// Nothing is to be done, and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        let Some(c) = &self.coordinator else {
            return false;
        };
        c.settled
            && c.dirty.is_none()
            && c.run.is_none()
            && c.transition.as_ref().is_some_and(Transition::is_over)
            && c.work.is_idle()
            && c.fencing.is_empty()
            && !self.somebody_leaves()
            && self.may_coordinate()
    }
}

// What the log answers.
impl Node {
    pub(crate) fn coordinator_applied(&mut self, entry: &Entry) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        match entry {
            Entry::Blank | Entry::TokenMade { .. } | Entry::TokenUsed { .. } => {}
            Entry::Cib { .. } => c.dirty("the configuration changed"),
            Entry::MemberAdded(member) => {
                c.proposed.remove(&("".into(), "member"));
                let node = member.node.clone();
                if node != *self.me() {
                    self.ask(&node);
                }
                self.mark_dirty("a member was added");
            }
            Entry::MemberRemoved { node } => {
                self.others.forget(node);
                self.unlist(node);
                self.mark_dirty("a member was removed");
            }
            Entry::Admitted { node, .. } => {
                c.proposed.remove(&(node.clone(), "admit"));
                c.backoff.remove(node);
                c.dirty("a member was admitted");
            }
            Entry::Left { node, .. } => {
                c.proposed.remove(&(node.clone(), "left"));
                c.dirty("a member has left");
            }
            Entry::FenceIntent { intent, .. } => self.intent_committed(&intent.clone()),
            Entry::FenceResult { .. } => self.result_committed(entry),
        }
        self.work_applied(entry);
    }

    pub(crate) fn proposed(&mut self, proposal: ProposalId, result: Result<u64, ProposeError>) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let Some(purpose) = c.purposes.remove(&proposal) else {
            return;
        };
        match (purpose, result) {
            (Purpose::Reply(origin, response), Ok(_)) => self.reply(&origin, response),
            (_, Ok(_)) => {}
            (purpose, Err(error)) => self.proposal_failed(purpose, &error),
        }
    }
}
