//! The coordinator: asks everybody first, admits, keeps the voters, decides when to schedule.
//!
//! It is the Raft leader, and acts only while a quorum stands behind it (protocol.md, 7). Until
//! every member has answered, is proven down or has left, it dispatches nothing but fencing (8).

use crate::{
    command::{Command, ProposalId, RunId, Severity},
    dispatch::Sent,
    document::Standing,
    entry::{Entry, Grade},
    evaluate,
    fencing::Fencing,
    history,
    ids::{Life, NodeName, RaftId, RequestId, Term},
    input::ProposeError,
    membership::{Event, Reach},
    message::{Message, NodeStatus, PeerIdentity},
    node::Node,
    request::{CibChange, Response},
    requests::{Origin, Work},
    status::Taken,
    transition::Transition,
};
use scheduler::Decision;
use std::collections::{BTreeMap, BTreeSet};

/// Voters at most.
const VOTERS: usize = 7;
/// Between two attempts at something that Raft did not do.
const RETRY_MS: u64 = 1_000;
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
    dirty: Option<String>,
    run: Option<Run>,
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
    changing: Option<(BTreeSet<RaftId>, BTreeSet<RaftId>, u64)>,
    /// Lives proposed to be admitted or declared over, until when.
    proposed: BTreeMap<(NodeName, &'static str), u64>,
    pub(crate) purposes: BTreeMap<ProposalId, Purpose>,
    transfer_ms: Option<u64>,
    warned: BTreeSet<NodeName>,
}

#[derive(Debug)]
struct Run {
    id: RunId,
    stale: bool,
}

/// What a proposal was for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A change of the configuration.
    Cib(Option<Origin>, RequestId),
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
        self.pump_work();
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
    fn once(&mut self, node: &str, what: &'static str) -> bool {
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

    /// Admits who has come, and declares lives over that a newer one has followed.
    fn lives(&mut self) {
        let names: Vec<NodeName> = self.state.members.keys().cloned().collect();
        for name in names {
            let (Some(identity), true) = (self.identity_of(&name), self.is_present(&name)) else {
                continue;
            };
            self.life_of(&name, &identity.life);
        }
    }

    fn life_of(&mut self, name: &NodeName, life: &Life) {
        let Some(member) = self.state.members.get(name) else {
            return;
        };
        if member.is_active_in(life) {
            return;
        }
        if life.number <= member.ended {
            self.warn_once(
                name,
                format!(
                    "{name}: its life {life} was declared over, yet it speaks: restart that host"
                ),
            );
            return;
        }
        if let (true, Some(old)) = (member.is_active(), member.admitted.clone()) {
            if old.number < life.number {
                self.old_life_over(name, &old);
            }
            return;
        }
        if self.state.intent_against(name).is_some()
            || !self.is_ready(name)
            || self.is_leaving(name)
        {
            return;
        }
        #[cfg(feature = "break-never-converge")]
        if member.ended > 0 {
            return;
        }
        let id = member.member.raft_id;
        let votes = self.raft.voters.contains(&id);
        if !votes && self.raft.voters.len() < VOTERS {
            return;
        }
        if self.once(name, "admit") {
            self.log(Severity::Info, format!("{name} is admitted in life {life}"));
            self.propose(Entry::Admitted {
                node: name.clone(),
                life: life.clone(),
            });
        }
    }

    /// A new life proves that the old one has ended.
    fn old_life_over(&mut self, name: &NodeName, old: &Life) {
        let open = self.state.intent_against(name).map(|(id, _)| id.clone());
        let shooting = self.coordinator.as_ref().is_some_and(|c| {
            open.as_ref()
                .is_some_and(|i| c.fencing.get(i).is_some_and(|f| f.is_fired()))
        });
        if shooting || !self.once(name, "new life") {
            return;
        }
        let intent = open.unwrap_or_else(|| format!("life-{name}-{old}"));
        self.log(
            Severity::Info,
            format!("{name} has booted: its life {old} is over"),
        );
        self.propose(Entry::FenceResult {
            intent,
            target: name.clone(),
            life_number: old.number,
            result: Ok(Grade::NewLife),
            device: String::new(),
            by: None,
            at_s: self.now.wall_s,
        });
    }

    fn warn_once(&mut self, node: &NodeName, text: String) {
        let fresh = self
            .coordinator
            .as_mut()
            .is_some_and(|c| c.warned.insert(node.clone()));
        if fresh {
            self.log(Severity::Error, text);
        }
    }

    /// A node that wants to leave has the attribute `shutdown`.
    pub(crate) fn is_leaving(&self, node: &NodeName) -> bool {
        let value = self.known(node).and_then(|k| k.attributes.get("shutdown"));
        value.is_some_and(|v| v != "0")
    }

    /// Voters are the members that are there or may be running resources, seven at most. A leader
    /// never votes itself out: were it to fall with that entry in its log alone, nobody could be
    /// elected. Who leads after it does that.
    fn voters(&mut self) {
        let eligible: Vec<RaftId> = self
            .state
            .members
            .iter()
            .filter(|(name, m)| **name == *self.me() || self.may_vote(name, m.is_active()))
            .map(|(_, m)| m.member.raft_id)
            .collect();
        let mut voters: BTreeSet<RaftId> = eligible
            .iter()
            .copied()
            .filter(|id| self.raft.voters.contains(id))
            .take(VOTERS)
            .collect();
        for id in &eligible {
            if voters.len() < VOTERS {
                voters.insert(*id);
            }
        }
        if voters.is_empty() {
            return;
        }
        let follow = self.state.members.iter().filter(|(name, m)| {
            !voters.contains(&m.member.raft_id) && (!m.left || self.may_vote(name, false))
        });
        let learners: BTreeSet<RaftId> = follow.map(|(_, m)| m.member.raft_id).collect();
        let ms = self.ms();
        let settled = self.raft.voters == voters && self.raft.learners == learners;
        let Some(c) = &mut self.coordinator else {
            return;
        };
        if settled {
            c.changing = None;
            return;
        }
        let pending = c.changing.as_ref();
        if pending.is_some_and(|(v, l, until)| (v, l) == (&voters, &learners) && *until > ms) {
            return;
        }
        c.changing = Some((voters.clone(), learners.clone(), ms + RETRY_MS));
        self.log(
            Severity::Info,
            format!("voters shall be {voters:?}, learners {learners:?}"),
        );
        self.out.push(Command::ChangeVoters { voters, learners });
    }

    fn may_vote(&self, name: &NodeName, active: bool) -> bool {
        let ended = self.state.members.get(name).map_or(0, |m| m.ended);
        let alive = self
            .identity_of(name)
            .is_some_and(|i| i.life.number > ended);
        active || (self.is_present(name) && alive && !self.is_leaving(name))
    }

    pub(crate) fn voters_changed(&mut self) {
        self.mark_dirty("the voters changed");
    }

    /// Every member is listed under `<nodes>`.
    fn nodes_section(&mut self) {
        let nodes = self
            .state
            .cib
            .child("configuration")
            .and_then(|c| c.child("nodes"));
        let listed: BTreeSet<&str> = nodes
            .into_iter()
            .flat_map(|n| n.children_named("node"))
            .filter_map(|n| n.attr("uname"))
            .collect();
        let missing: Vec<(NodeName, RaftId)> = self
            .state
            .members
            .iter()
            .filter(|(name, _)| !listed.contains(&***name))
            .map(|(name, m)| (name.clone(), m.member.raft_id))
            .collect();
        for (name, id) in missing {
            if !self.once(&name, "node entry") {
                continue;
            }
            let epoch = evaluate::version(&self.state.cib).1;
            let request_id = RequestId {
                node: name.to_string(),
                unique: format!("node-entry-{id}-{epoch}"),
            };
            let element = cib::Element::new("node")
                .with_attr("id", id.to_string())
                .with_attr("uname", &name);
            let change = CibChange {
                action: "create".to_owned(),
                section: Some("nodes".to_owned()),
                xpath: None,
                xml: element.to_xml_compact(),
                allow_create: true,
                origin: format!("coordinator/{}", self.me()),
            };
            if let Some(c) = &mut self.coordinator {
                c.work.queue_cib(None, request_id, change);
            }
        }
    }

    /// Leads from where everybody is heard (protocol.md, 4), and not while leaving.
    fn hand_over_if_better(&mut self) {
        let ms = self.ms();
        let others: BTreeSet<NodeName> = self
            .voter_names()
            .into_iter()
            .filter(|n| n != self.me() && self.is_ready(n) && !self.is_leaving(n))
            .collect();
        let to = if self.is_leaving(self.me()) {
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
            let text = format!("transition {id} in term {}: {actions} steps", c.term);
            self.log(Severity::Info, text);
        }
    }

    /// Members whose leaving is prepared: everything they ran is stopped.
    fn leavers(&mut self) {
        let quiet = self.coordinator.as_ref().is_some_and(|c| {
            c.settled
                && c.dirty.is_none()
                && c.run.is_none()
                && c.transition
                    .as_ref()
                    .is_some_and(|t| t.is_over() && t.aborted().is_none())
        });
        let members = self.state.members.keys();
        let leaving: Vec<NodeName> = members.filter(|n| self.is_leaving(n)).cloned().collect();
        for name in leaving {
            self.leaver(&name, quiet);
        }
    }

    fn leaver(&mut self, name: &NodeName, quiet: bool) {
        let alone = self.voter_names().len() == 1 && name == self.me();
        let Some(member) = self.state.members.get(name) else {
            return;
        };
        let id = member.member.raft_id;
        if !member.is_active() {
            if name == self.me() {
                self.exiting |= alone;
            } else if !self.raft.voters.contains(&id)
                && self.membership.is_up(name)
                && self.once(name, "leave order")
            {
                self.order_leave(name);
            }
            return;
        }
        let Some(life) = member.admitted.clone().filter(|_| member.is_active()) else {
            return;
        };
        if !quiet
            || (name == self.me() && !alone)
            || !self.has_finished(name)
            || !self.once(name, "left")
        {
            return;
        }
        let detached = self.still_running(name);
        self.log(
            Severity::Info,
            format!("{name} has stopped everything and leaves"),
        );
        self.propose(Entry::Left {
            node: name.clone(),
            life,
            detached,
        });
    }

    /// Everything it ran is known to be stopped, or left running on purpose.
    fn has_finished(&self, name: &NodeName) -> bool {
        let transition = self
            .coordinator
            .as_ref()
            .and_then(|c| c.transition.as_ref());
        let histories = self.known(name).map(|k| &k.resources);
        let mut histories = histories.into_iter().flatten();
        transition.is_some_and(|t| !t.unfinished_nodes().contains(&**name))
            && self.is_ready(name)
            && histories.all(|(resource, e)| {
                !history::is_pending(e) && (!history::is_active(e) || self.is_unmanaged(resource))
            })
    }

    /// Whether the configuration says that a resource is left alone.
    fn is_unmanaged(&self, resource: &str) -> bool {
        let on = |value: Option<&str>| value.is_some_and(evaluate::is_true);
        if on(self.state.property("maintenance-mode")) {
            return true;
        }
        let base = resource.split(':').next().unwrap_or(resource);
        let configured = self.state.cib.find_id(base);
        let sets = configured
            .into_iter()
            .flat_map(|e| e.children_named("meta_attributes"));
        let mut pairs = sets.flat_map(|s| s.children_named("nvpair"));
        pairs.any(|p| match p.attr("name") {
            Some("maintenance") => on(p.attr("value")),
            Some("is-managed") => !on(p.attr("value")),
            _ => false,
        })
    }

    fn still_running(&self, name: &NodeName) -> Vec<String> {
        let histories = self.known(name).map(|k| &k.resources);
        let active = histories
            .into_iter()
            .flatten()
            .filter(|(_, e)| history::is_active(e));
        active.map(|(resource, _)| resource.clone()).collect()
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

    /// A member waits to be let go: it may wait for this node to hand the leadership over first.
    fn somebody_leaves(&self) -> bool {
        let mut active = self.state.members.iter().filter(|(_, m)| m.is_active());
        active.any(|(name, _)| self.is_leaving(name))
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
