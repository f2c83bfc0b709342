//! The core of one node's daemon: passes every input to the parts it concerns and gathers their commands.

use crate::{
    alerts::Alerts,
    command::{Command, ProposalId, RunId, Severity},
    coordinator::Coordinator,
    document::{self, Shown, Standing},
    entry::{Entry, Member},
    evaluate,
    executor::Executor,
    figures::Counters,
    ids::{Incarnation, Index, Life, NodeName, Now, RaftId, Term},
    input::Input,
    isolated::Isolated,
    journal::JournalRecord,
    membership::{BeatContent, Event, Membership, Reach},
    message::{Beat, Message, OrderKind},
    raft_view::Raft,
    requests::Requests,
    settings::Settings,
    state::{Replicated, SnapshotError},
    status::{Others, Own, Taken},
    view::{MemberView, NodeView},
};
use cib::Element;
use std::collections::{BTreeSet, VecDeque};

/// Records after which the journal is rewritten.
const JOURNAL_RECORDS: usize = 5_000;
/// Rounds in which commands that this node gives to itself are carried out at once.
const ROUNDS: usize = 1_000;

/// Who this node is at the start of its daemon.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its name.
    pub node: NodeName,
    /// This boot.
    pub life: Life,
    /// This run of the daemon.
    pub incarnation: Incarnation,
    /// Program version, for people.
    pub version: String,
    /// This node as a member: the first leader of a new cluster puts itself into the empty log with it.
    pub member: Member,
}

/// The core of one node's daemon.
#[derive(Debug)]
pub struct Node {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
    pub(crate) now: Now,
    /// When this node last woke from a sleep longer than its lease (or started).
    pub(crate) woke_ms: u64,
    pub(crate) state: Replicated,
    pub(crate) own: Own,
    pub(crate) others: Others,
    pub(crate) membership: Membership,
    pub(crate) executor: Executor,
    pub(crate) raft: Raft,
    /// The coordinator this node's executor obeys, with its term.
    pub(crate) obeyed: Option<(Term, NodeName)>,
    pub(crate) coordinator: Option<Coordinator>,
    pub(crate) requests: Requests,
    pub(crate) isolated: Isolated,
    pub(crate) alerts: Alerts,
    pub(crate) counters: Counters,
    pub(crate) out: Vec<Command>,
    ready: VecDeque<Command>,
    next_run: RunId,
    next_proposal: ProposalId,
    journal_records: usize,
    status_changed: bool,
    pub(crate) exiting: bool,
    quarantine_told: bool,
    /// What is wrong with the disk under the log.
    pub(crate) storage_trouble: Option<String>,
}

impl Node {
    /// A core that knows nothing yet: feed it the journal ([`Node::recover`]) and the log (`Applied`).
    pub fn new(identity: Identity, settings: Settings, now: Now) -> Self {
        let (me, life, incarnation) = (
            identity.node.clone(),
            identity.life.clone(),
            identity.incarnation,
        );
        Self {
            own: Own::new(life.clone(), incarnation),
            others: Others::default(),
            membership: Membership::new(me.clone(), settings.clone(), now.mono_ms),
            executor: Executor::new(me.clone(), life, incarnation),
            requests: Requests::new(&identity),
            isolated: Isolated::default(),
            alerts: Alerts::new(now.wall_s),
            counters: Counters::default(),
            identity,
            settings,
            now,
            woke_ms: now.mono_ms,
            state: Replicated::default(),
            raft: Raft::default(),
            obeyed: None,
            coordinator: None,
            out: Vec::new(),
            ready: VecDeque::new(),
            next_run: 0,
            next_proposal: 0,
            journal_records: 0,
            status_changed: false,
            exiting: false,
            quarantine_told: false,
            storage_trouble: None,
        }
    }

    /// Takes up what an earlier incarnation of the same life was doing. Call once, before any input.
    pub fn recover(&mut self, records: Vec<JournalRecord>) {
        let mine =
            |r: &JournalRecord| matches!(r, JournalRecord::Life(l) if *l == self.identity.life);
        if let Some(start) = records.iter().rposition(mine) {
            let records = &records[start..];
            records.iter().for_each(|r| self.own.recover(r));
            self.executor.recover(self.now, records, &self.own);
        } else {
            let life = self.identity.life.clone();
            self.out.push(Command::Journal(JournalRecord::Life(life)));
        }
        self.own.set_attribute("shutdown", None, &mut self.out);
        self.executor
            .begin_all(self.now, &mut self.own, &mut self.out);
        self.flush();
    }

    /// Takes the replicated state from a snapshot of the store, at start. `Applied` goes on after it.
    ///
    /// # Errors
    /// If it cannot be read; nothing is changed then.
    pub fn install_snapshot(&mut self, snapshot: &[u8]) -> Result<(), SnapshotError> {
        self.state = Replicated::restore(snapshot)?;
        let ended = self.state.members.iter().map(|(n, s)| (n.clone(), s.ended));
        for (node, ended) in ended.collect::<Vec<_>>() {
            self.others.bury(&node, ended);
        }
        self.peers_changed();
        self.check_alerts();
        self.out.push(Command::Changed {
            configuration: true,
        });
        Ok(())
    }

    /// Something has happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        let before = std::mem::replace(&mut self.now, now);
        self.notice_jump(before);
        if let Some(gap_ms) = self.membership.notice_gap(now.mono_ms) {
            self.slept(gap_ms);
        }
        self.take(input);
        self.progress();
    }

    /// The next thing to do, oldest first; nothing: wait for an input or the deadline.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.ready.pop_front()
    }

    /// When [`Input::Tick`] is due, in milliseconds of the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let deadlines = [
            Some(self.membership.deadline(self.ms(), self.patience_ms())),
            self.executor.deadline(),
            self.requests.deadline(),
            self.isolated_deadline(),
            self.coordinator.as_ref().and_then(|c| c.deadline(self)),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Tick => {}
            Input::Received { from, message } => self.received(&from, message),
            Input::LinkClosed { peer } => {
                let ms = self.ms();
                self.membership.link_closed(ms, &peer, &mut self.out);
            }
            Input::HostProbed { peer, finding } => {
                let ms = self.ms();
                let event = self.membership.probed(ms, &peer, finding, &mut self.out);
                self.member_events(event.into_iter().collect());
            }
            Input::Leader { term, leader } => self.leader(term, leader),
            Input::LeaderReady { term } => self.lead(term),
            Input::RaftMembers { voters, learners } => {
                self.raft.voters = voters;
                self.raft.learners = learners;
                self.membership.hurry(self.now.mono_ms);
                self.voters_changed();
            }
            Input::SnapshotInstalled { snapshot, index } => {
                if let Err(error) = self.install_snapshot(&snapshot) {
                    self.log(
                        Severity::Error,
                        format!("snapshot up to {index}: {error}; this node does not follow"),
                    );
                }
            }
            Input::Applied { index, entry } => self.applied(index, &entry),
            Input::Proposed { proposal, result } => self.proposed(proposal, result),
            Input::Scheduled { run, decision } => self.scheduled(run, *decision),
            Input::AgentDone { exec, outcome } => {
                self.executor
                    .agent_done(self.now, exec, &outcome, &mut self.own, &mut self.out);
            }
            Input::FenceDone { intent, outcome } => self.fence_done(&intent, outcome),
            Input::Client { client, request } => self.client(client, request),
            Input::ClientGone { client } => self.requests.gone(client),
            Input::Load(load) => self.membership.load = load,
            Input::Storage { trouble } => self.storage_is(trouble),
        }
    }

    fn received(&mut self, from: &NodeName, message: Message) {
        self.membership.message_from(self.now.mono_ms, from);
        match message {
            Message::Beat(beat) => self.beat(from, beat),
            Message::StatusDelta {
                from: before,
                to,
                changes,
            } => {
                let taken = self.others.delta(from, &before, &to, changes);
                self.status_taken(from, taken, false);
            }
            Message::StatusFull(status) => {
                let taken = self.others.full(from, &status);
                self.status_taken(from, taken, true);
            }
            Message::StatusPull => {
                let full = Message::StatusFull(self.own.full());
                self.send(from, full);
            }
            Message::Ask { term, next_order } => self.asked(from, term, next_order),
            Message::Answer { term, status } => self.answered(from, term, &status),
            Message::Order { term, life, order } => {
                if matches!(order.kind, OrderKind::Leave) && life == self.identity.life {
                    self.exiting = true;
                }
                self.executor.order(
                    self.now,
                    from,
                    term,
                    &life,
                    order,
                    &mut self.own,
                    &mut self.out,
                );
            }
            Message::OrderTaken { term, number } => self.order_taken(from, term, number),
            Message::OrderRefused {
                term,
                number,
                reason,
            } => {
                self.order_refused(from, term, number, &reason);
            }
            Message::OrderDone {
                term,
                number,
                stamp,
            } => self.order_done(from, term, number, stamp),
            Message::Forward {
                id,
                request_id,
                request,
            } => {
                self.forwarded(from, id, request_id, request);
            }
            Message::ForwardReply { id, response } => self.finish(id, response),
            Message::Restarting { back_in_ms } => {
                let event = self
                    .membership
                    .restarting(self.now.mono_ms, from, back_in_ms);
                self.member_events(event.into_iter().collect());
            }
        }
    }

    fn beat(&mut self, from: &NodeName, beat: Beat) {
        let ended = self.state.members.get(from).map_or(0, |m| m.ended);
        let (stamp, first_echo) = (beat.stamp.clone(), beat.echo_ms.is_none());
        let ms = self.ms();
        let events = self.membership.beat(ms, from, beat, ended, &mut self.out);
        if first_echo || !events.is_empty() {
            let content = self.beat_content();
            self.membership.beat_to(ms, from, &content, &mut self.out);
        }
        self.member_events(events);
        if self.others.is_behind(from, &stamp) {
            self.send(from, Message::StatusPull);
        }
    }

    fn status_taken(&mut self, from: &NodeName, taken: Taken, whole: bool) {
        match taken {
            Taken::Nothing => {}
            Taken::Gap => self.send(from, Message::StatusPull),
            Taken::Changed(changes) => {
                self.status_changed = true;
                self.node_status_changed(from, &changes, whole);
            }
        }
    }

    /// A coordinator asks: obey it, drop what has not begun, tell everything (protocol.md, 8).
    fn asked(&mut self, from: &NodeName, term: Term, next_order: u64) {
        if !self.executor.adopt(term, &mut self.out) {
            return;
        }
        self.executor.void(term, next_order);
        self.obeyed = Some((term, from.clone()));
        let status = self.own.full();
        self.send(from, Message::Answer { term, status });
        let content = self.beat_content();
        self.membership
            .beat_to(self.now.mono_ms, from, &content, &mut self.out);
    }

    fn applied(&mut self, index: Index, entry: &Entry) {
        let known = self.is_known_fencing(entry);
        let configuration = self.state.apply(index, entry);
        if configuration {
            self.check_alerts();
        }
        if !known {
            self.alert_applied(entry);
        }
        match entry {
            Entry::MemberAdded(_) | Entry::MemberRemoved { .. } => self.peers_changed(),
            Entry::FenceResult { target, .. } => self.life_ended(target),
            _ => {}
        }
        if let Some(reason) = &self.state.quarantined
            && !self.quarantine_told
        {
            self.quarantine_told = true;
            let text = format!("quarantined: {reason}; this node's copy is not trusted any more");
            self.log(Severity::Error, text);
        }
        let configuration = configuration || matches!(entry, Entry::MemberAdded(_));
        self.out.push(Command::Changed { configuration });
        self.coordinator_applied(entry);
    }

    fn life_ended(&mut self, target: &NodeName) {
        let Some(member) = self.state.members.get(target) else {
            return;
        };
        self.others.bury(target, member.ended);
        if self.membership.end_life(target, member.ended) {
            self.fail_orders_to(target, "its life is over");
            self.alert_is_member(target, false);
        }
    }

    fn peers_changed(&mut self) {
        let ms = self.ms();
        self.membership.set_peers(ms, self.state.members.keys());
        self.membership.hurry(ms);
    }

    fn leader(&mut self, term: Term, leader: Option<NodeName>) {
        self.raft.term = term;
        let mine = leader.as_ref() == Some(&self.identity.node);
        self.raft.leader = leader;
        let keeps = mine && self.coordinator.as_ref().is_some_and(|c| c.term == term);
        if self.coordinator.is_some() && !keeps {
            self.step_down();
        }
    }

    /// What members do about one another's coming and going.
    pub(crate) fn member_events(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::Lost(node) = &event
                && self.raft.leader.as_ref() == Some(node)
                && self.is_first_voter_up()
            {
                let text = format!("{node} led and is lost: asking for an election");
                self.log(Severity::Info, text);
                self.out.push(Command::Campaign);
            }
            self.coordinator_event(&event);
            self.alert_member(&event);
        }
    }

    /// Whether this node should ask for an election: the first of the voters that are up, which are
    /// a majority.
    fn is_first_voter_up(&self) -> bool {
        let sets = self.voter_sets();
        let is_up = |n: &&NodeName| self.membership.is_up(n);
        let majority = |set: &BTreeSet<NodeName>| 2 * set.iter().filter(is_up).count() > set.len();
        let first = self.voter_names().into_iter().find(|n| is_up(&n));
        !sets.is_empty() && sets.iter().all(majority) && first.as_deref() == Some(self.me())
    }

    fn slept(&mut self, gap_ms: u64) {
        self.woke_ms = self.now.mono_ms;
        let text = format!(
            "{}: this daemon did not run for {gap_ms} ms: orders not begun are dropped, a quorum is asked first",
            self.identity.node
        );
        self.log(Severity::Warning, text);
        self.executor.drop_queued("the node slept");
        self.membership.hurry(self.now.mono_ms);
        if let Some(c) = &mut self.coordinator {
            c.dirty("this node slept");
        }
    }

    /// Everything that may go on now does, until nothing more does.
    fn progress(&mut self) {
        let ms = self.ms();
        let events = self.membership.tick(ms, self.patience_ms(), &mut self.out);
        self.member_events(events);
        self.executor.tick(self.now, &mut self.own, &mut self.out);
        self.requests_tick();
        for _ in 0..ROUNDS {
            self.keep_own_lease();
            let lease = self.has_lease();
            self.executor
                .set_lease(self.now, lease, &mut self.own, &mut self.out);
            self.coordinate();
            self.isolated_step();
            if !self.publish() {
                break;
            }
        }
        let content = self.beat_content();
        self.membership.beat_if_due(ms, &content, &mut self.out);
        self.alert_operations();
        if self.has_lease() {
            let me = self.me().clone();
            self.alert_is_member(&me, true);
        }
        if std::mem::take(&mut self.status_changed) {
            self.out.push(Command::Changed {
                configuration: false,
            });
        }
        self.leave_if_done();
        self.flush();
    }

    /// Tells everybody what changed here, and this node's own coordinator too. Returns whether
    /// there was anything.
    fn publish(&mut self) -> bool {
        let delta = self.own.publish();
        let messages = self.executor.take_messages();
        let any = delta.is_some() || !messages.is_empty();
        if let Some(delta) = delta {
            let lost = |r: Reach| matches!(r, Reach::Lost { .. });
            let peers = self.membership.peers().filter(|(_, p)| !lost(p.reach));
            let peers: Vec<NodeName> = peers.map(|(n, _)| n.clone()).collect();
            for peer in peers {
                self.send(&peer, delta.clone());
            }
            self.status_changed = true;
            if let Message::StatusDelta { changes, .. } = delta {
                let me = self.identity.node.clone();
                self.node_status_changed(&me, &changes, false);
            }
        }
        for (to, message) in messages {
            if to == self.identity.node {
                self.received(&to, message);
            } else {
                self.send(&to, message);
            }
        }
        any
    }

    fn flush(&mut self) {
        let journalled = |c: &Command| matches!(c, Command::Journal(_) | Command::RunAgent { .. });
        self.journal_records += self.out.iter().filter(|c| journalled(c)).count();
        if self.journal_records > JOURNAL_RECORDS && !self.out.iter().any(journalled) {
            self.journal_records = 0;
            let mut records = vec![JournalRecord::Life(self.identity.life.clone())];
            records.extend(self.executor.records());
            records.extend(self.own.records());
            self.out.push(Command::JournalRewrite(records));
        }
        self.ready.extend(self.out.drain(..));
    }

    // What the parts ask about this node.

    pub(crate) fn ms(&self) -> u64 {
        self.now.mono_ms
    }

    pub(crate) fn me(&self) -> &NodeName {
        &self.identity.node
    }

    pub(crate) fn log(&mut self, severity: Severity, text: String) {
        self.out.push(Command::Log { severity, text });
    }

    pub(crate) fn send(&mut self, to: &NodeName, message: Message) {
        self.out.push(Command::Send {
            to: to.clone(),
            message,
        });
    }

    pub(crate) fn propose(&mut self, entry: Entry) -> ProposalId {
        self.next_proposal += 1;
        let proposal = self.next_proposal;
        self.out.push(Command::Propose { proposal, entry });
        proposal
    }

    pub(crate) fn schedule(&mut self, cib: Element) -> RunId {
        self.next_run += 1;
        let run = self.next_run;
        self.out.push(Command::Schedule {
            run,
            cib,
            now_s: self.now.wall_s,
        });
        run
    }

    /// The names of all voters.
    pub(crate) fn voter_names(&self) -> BTreeSet<NodeName> {
        self.voter_sets().into_iter().flatten().collect()
    }

    /// The names of the voters, set by set; one the log does not name yet counts, and never answers.
    fn voter_sets(&self) -> Vec<BTreeSet<NodeName>> {
        let name = |id: &RaftId| match self.state.name_of(*id) {
            Some(name) => name.clone(),
            None if *id == self.identity.member.raft_id => self.identity.node.clone(),
            None => format!("#{id}").into(),
        };
        let names = |set: &BTreeSet<RaftId>| set.iter().map(name).collect();
        self.raft.voters.iter().map(names).collect()
    }

    /// Until when this node may count on a quorum.
    pub(crate) fn lease_until(&self) -> Option<u64> {
        if self.state.quarantined.is_some() {
            return None;
        }
        self.membership.lease_end()
    }

    /// Until when a quorum is assured to this node as the coordinator.
    fn quorum_until(&self) -> Option<u64> {
        let c = self.coordinator.as_ref()?;
        let sets = self.voter_sets();
        let until = |set| self.membership.quorum_until(self.ms(), c.term, set);
        // Nobody is assured of a quorum unless every set assures it.
        sets.iter().map(until).min().flatten()
    }

    pub(crate) fn keep_own_lease(&mut self) {
        if let Some(until_ms) = self.quorum_until() {
            self.membership.extend_lease(until_ms);
        }
    }

    pub(crate) fn has_lease(&self) -> bool {
        self.lease_until().is_some_and(|end| self.ms() < end)
    }

    /// Whether a quorum stands behind this node as the coordinator.
    pub(crate) fn may_coordinate(&self) -> bool {
        self.state.quarantined.is_none() && self.quorum_until().is_some_and(|end| self.ms() < end)
    }

    /// How long a node that was never heard may stay silent: longer while the cluster starts.
    pub(crate) fn patience_ms(&self) -> u64 {
        let settled = self.state.members.get(self.me());
        if settled.is_some_and(|m| m.is_active_in(&self.identity.life)) {
            self.settings.failure_timeout_ms
        } else {
            self.settings
                .startup_grace_ms
                .max(self.settings.failure_timeout_ms)
        }
    }

    pub(crate) fn beat_content(&self) -> BeatContent {
        let until_ms = self.quorum_until().unwrap_or(0);
        let lease_ms = until_ms.saturating_sub(self.ms());
        let term = self.executor.term();
        let coordinator = match (&self.coordinator, &self.obeyed) {
            (Some(_), _) => Some(self.identity.node.clone()),
            (None, Some((t, name))) if *t == term => Some(name.clone()),
            _ => None,
        };
        BeatContent {
            term,
            coordinator,
            stamp: self.own.stamp().clone(),
            lease_ms,
            storage_failing: self.storage_trouble.is_some(),
        }
    }

    /// The id of a node in the configuration.
    pub(crate) fn node_id(&self, name: &str) -> String {
        let nodes = self
            .state
            .cib
            .child("configuration")
            .and_then(|c| c.child("nodes"));
        let mut listed = nodes.into_iter().flat_map(|n| n.children_named("node"));
        let id = listed
            .find(|n| n.attr("uname") == Some(name))
            .and_then(Element::id);
        match (id, self.state.members.get(name)) {
            (Some(id), _) => id.to_owned(),
            (None, Some(member)) => member.member.raft_id.to_string(),
            (None, None) => name.to_owned(),
        }
    }

    /// Nodes of the configuration that are no members: not joined yet, or removed. They cannot run anything,
    /// and are down as surely as can be.
    fn strangers(&self, standings: &[(NodeName, Standing)]) -> Vec<(NodeName, Standing)> {
        let nodes = self
            .state
            .cib
            .child("configuration")
            .and_then(|c| c.child("nodes"));
        let listed = nodes.into_iter().flat_map(|n| n.children_named("node"));
        let names = listed
            .filter(|n| n.attr("type").is_none_or(|t| t == "member"))
            .filter_map(|n| n.attr("uname"))
            .filter(|name| !standings.iter().any(|(n, _)| **n == **name));
        names.map(|name| (name.into(), Standing::Offline)).collect()
    }

    pub(crate) fn known(&self, node: &str) -> Option<&crate::status::Known> {
        if node == &**self.me() {
            Some(self.own.known())
        } else {
            self.others.get(node)
        }
    }

    // What others see of this node.

    /// Configuration and status in one document, as tools see it.
    pub fn document(&self) -> Element {
        let standings: Vec<(NodeName, Standing)> = self
            .state
            .members
            .keys()
            .map(|name| (name.clone(), self.standing(name)))
            .collect();
        let coordinator = self.beat_content().coordinator;
        let dc = coordinator.map(|n| self.node_id(&n));
        self.assembled(&standings, dc.as_deref(), self.has_lease())
    }

    pub(crate) fn assembled(
        &self,
        standings: &[(NodeName, Standing)],
        dc: Option<&str>,
        quorate: bool,
    ) -> Element {
        let strangers = self.strangers(standings);
        let shown: Vec<Shown<'_>> = standings
            .iter()
            .chain(&strangers)
            .map(|(name, standing)| Shown {
                name,
                id: self.node_id(name),
                standing: *standing,
                status: match standing {
                    Standing::Offline => None,
                    _ => self.known(name),
                },
            })
            .collect();
        document::assemble(&self.state.cib, &shown, dc, quorate)
    }

    /// This node's name.
    pub fn name(&self) -> &NodeName {
        &self.identity.node
    }

    /// Whether it is the coordinator (with or without a quorum at this moment).
    pub fn coordinates(&self) -> bool {
        self.coordinator.is_some()
    }

    /// The replicated state in a form to store in a snapshot.
    pub fn snapshot(&self) -> Vec<u8> {
        self.state.snapshot()
    }

    /// The configuration alone, with its counters: what `cib.xml` holds.
    pub fn configuration(&self) -> &Element {
        &self.state.cib
    }

    /// What the log adds up to so far.
    pub fn replicated(&self) -> &Replicated {
        &self.state
    }

    /// Every member the log knows, with addresses: whom the shell keeps connections to, and what it
    /// needs to carry out `ChangeVoters`.
    pub fn members(&self) -> Vec<Member> {
        self.state
            .members
            .values()
            .map(|m| m.member.clone())
            .collect()
    }

    /// The version of the configuration.
    pub fn version(&self) -> (u32, u32, u32) {
        evaluate::version(&self.state.cib)
    }

    /// What people and tests see of this node.
    pub fn view(&self, now: Now) -> NodeView {
        NodeView {
            node: self.me().to_string(),
            version: self.identity.version.clone(),
            coordinator: self.beat_content().coordinator,
            term: self.executor.term(),
            quorate: self.has_lease(),
            applied: self.state.applied,
            digest: self.state.digest.clone(),
            idle: self.is_idle(),
            members: self
                .state
                .members
                .keys()
                .map(|n| self.member_view(now, n))
                .collect(),
        }
    }

    fn member_view(&self, now: Now, name: &NodeName) -> MemberView {
        let Some(state) = self.state.members.get(name) else {
            return MemberView::default();
        };
        let peer = self.membership.peer(name);
        let identity = peer.and_then(|p| p.identity.clone());
        let (life, incarnation) = if name == self.me() {
            (self.identity.life.number, self.identity.incarnation)
        } else {
            identity.map_or((state.admitted.as_ref().map_or(0, |l| l.number), 0), |i| {
                (i.life.number, i.incarnation)
            })
        };
        let reach = peer.map(|p| p.reach);
        let text = match reach {
            _ if state.left => "left",
            None | Some(Reach::Up) if state.is_active() => "online",
            None | Some(Reach::Up) => "joining",
            Some(Reach::DaemonDown { .. }) => "daemon-down",
            _ if !state.is_active() => "off",
            Some(Reach::Unknown) => "unknown",
            Some(Reach::Lost { .. }) => "lost",
        };
        MemberView {
            node: name.clone(),
            state: text.to_owned(),
            life,
            incarnation,
            storage_failing: self.storage_fails(name),
            silent_ms: peer.map_or(0, |p| now.mono_ms.saturating_sub(p.heard_ms)),
            addresses: state.member.addresses.clone(),
            ports: state.member.ports,
        }
    }
}
