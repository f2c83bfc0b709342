//! Who is there: heartbeats, silence and news, lives, and how long a quorum is assured.
//!
//! Only what a peer's side says (a closed or refused connection, confirmed by a probe of its host)
//! ends it at once; silence counts after the failure time-out and only while this node itself was
//! awake (protocol.md, 3, 4, 10). Nothing here decides about fencing.

use crate::{
    command::{Command, Severity},
    ids::{NodeName, Stamp, Term},
    input::HostFinding,
    message::{Beat, Message, PeerIdentity},
    settings::Settings,
};
use std::collections::{BTreeMap, BTreeSet};

/// A peer counts as heard by this node, for the others, within so many heartbeat intervals: less than
/// the failure time-out, so that a dead node is soon heard by nobody.
const HEARD_BEATS: u64 = 3;

/// Whether a peer can be counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Not heard since this node (or coordinator) began to listen; the silence clock runs.
    Unknown,
    /// Heard.
    Up,
    /// Its daemon is gone, its host lives; it may return until then.
    DaemonDown {
        /// Moment of the monotonic clock.
        until_ms: u64,
    },
    /// Gone.
    Lost {
        /// Because nothing on its host answers any more, and not only by silence.
        news: bool,
    },
}

/// What is known of one peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Whether it can be counted on.
    pub reach: Reach,
    /// Its boot and daemon run, if it was ever heard.
    pub identity: Option<PeerIdentity>,
    /// Its last sign of life, or when its silence clock was started anew.
    pub heard_ms: u64,
    /// Its last beat.
    pub beat: Option<Beat>,
    /// Last own sending time it echoed as a follower of `acked_term`.
    acked: Option<(Term, u64)>,
    /// When a closed connection was reported; cleared by the next sign of life.
    closed_ms: Option<u64>,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is there (again).
    Up(NodeName),
    /// Its daemon was restarted within the same life.
    NewIncarnation(NodeName),
    /// Its host has booted.
    NewLife(NodeName),
    /// Its daemon is gone and may return.
    DaemonDown(NodeName),
    /// It is gone.
    Lost(NodeName),
}

/// The peers of this node and its beats.
#[derive(Debug)]
pub(crate) struct Membership {
    me: NodeName,
    settings: Settings,
    peers: BTreeMap<NodeName, Peer>,
    next_beat_ms: u64,
    last_seen_ms: u64,
    /// End of the lease a coordinator gave this node.
    lease_end_ms: Option<u64>,
    /// Load of this host, for the beats.
    pub load: f64,
}

/// What the beats of this moment say.
#[derive(Clone, Debug)]
pub(crate) struct BeatContent {
    /// Highest term obeyed.
    pub term: Term,
    /// Whom this node takes for the coordinator.
    pub coordinator: Option<NodeName>,
    /// Its own status.
    pub stamp: Stamp,
    /// What is left of the coordinator's own assurance.
    pub lease_ms: u64,
    /// This node's disk takes nothing any more.
    pub storage_failing: bool,
}

impl Membership {
    /// Knows nobody yet.
    pub(crate) fn new(me: NodeName, settings: Settings, now_ms: u64) -> Self {
        Self {
            me,
            settings,
            peers: BTreeMap::new(),
            next_beat_ms: now_ms,
            last_seen_ms: now_ms,
            lease_end_ms: None,
            load: 0.0,
        }
    }

    /// Brings the list of peers to what the log says.
    pub(crate) fn set_peers<'a>(&mut self, now_ms: u64, names: impl Iterator<Item = &'a NodeName>) {
        let wanted: BTreeSet<NodeName> = names.filter(|n| **n != self.me).cloned().collect();
        self.peers.retain(|name, _| wanted.contains(name));
        for name in wanted {
            self.peers
                .entry(name)
                .or_insert_with(|| Peer::unknown(now_ms));
        }
    }

    /// Everybody else.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&NodeName, &Peer)> {
        self.peers.iter()
    }

    /// One of them.
    pub(crate) fn peer(&self, node: &str) -> Option<&Peer> {
        self.peers.get(node)
    }

    /// Whether it is heard at present.
    pub(crate) fn is_up(&self, node: &str) -> bool {
        *self.me == *node || self.peer(node).is_some_and(|p| p.reach == Reach::Up)
    }

    /// Whom this node hears itself.
    pub(crate) fn heard(&self, now_ms: u64) -> BTreeSet<NodeName> {
        let fresh_ms = HEARD_BEATS * self.settings.heartbeat_interval_ms;
        let fresh = |p: &Peer| p.reach == Reach::Up && now_ms < p.heard_ms + fresh_ms;
        let names = self.peers.iter().filter(|(_, p)| fresh(p));
        names.map(|(name, _)| name.clone()).collect()
    }

    /// Notices that this node itself was asleep for longer than a lease (protocol.md, 10): silence
    /// clocks start anew. Returns how long it slept.
    pub(crate) fn notice_gap(&mut self, now_ms: u64) -> Option<u64> {
        let gap_ms = now_ms.saturating_sub(self.last_seen_ms);
        self.last_seen_ms = self.last_seen_ms.max(now_ms);
        if gap_ms <= self.settings.lease_ms {
            return None;
        }
        self.restart_silence_clocks(now_ms);
        Some(gap_ms)
    }

    /// Nobody has been silent yet: after this node slept, and when it becomes the coordinator.
    /// Who is known by news to be gone stays lost.
    pub(crate) fn restart_silence_clocks(&mut self, now_ms: u64) {
        for peer in self.peers.values_mut() {
            peer.heard_ms = now_ms;
            if peer.reach == (Reach::Lost { news: false }) {
                peer.reach = Reach::Unknown;
            }
        }
    }

    /// Any authenticated message is a sign of life of a peer that is up (protocol.md, 6).
    pub(crate) fn message_from(&mut self, now_ms: u64, from: &str) {
        if let Some(peer) = self.peers.get_mut(from)
            && peer.reach == Reach::Up
        {
            peer.heard_ms = now_ms;
            peer.closed_ms = None;
        }
    }

    /// A beat has come. `ended_life` is the number up to which the sender's lives are proven over:
    /// beats of those are late, or a device lied.
    pub(crate) fn beat(
        &mut self,
        now_ms: u64,
        from: &NodeName,
        beat: Beat,
        ended_life: u64,
        out: &mut Vec<Command>,
    ) -> Vec<Event> {
        let Some(peer) = self.peers.get_mut(from) else {
            return Vec::new();
        };
        let life = &beat.stamp.life;
        if life.number <= ended_life {
            return Vec::new();
        }
        let mut events = Vec::new();
        if let Some(known) = &peer.identity {
            if life.number < known.life.number
                || (life.number == known.life.number && beat.stamp.incarnation < known.incarnation)
            {
                return Vec::new();
            }
            if life.number == known.life.number && life.id != known.life.id {
                let text = format!(
                    "{from}: a second machine shows the same life {life} (a clone?): its beats are refused; give it its own state directory"
                );
                out.push(Command::Log {
                    severity: Severity::Error,
                    text,
                });
                return Vec::new();
            }
            if life.number > known.life.number {
                events.push(Event::NewLife(from.clone()));
                peer.acked = None;
            } else if beat.stamp.incarnation > known.incarnation {
                events.push(Event::NewIncarnation(from.clone()));
                peer.acked = None;
            }
        }
        peer.identity = Some(PeerIdentity {
            life: life.clone(),
            incarnation: beat.stamp.incarnation,
        });
        if peer.reach == Reach::Up {
            note_pause(
                &self.settings,
                from,
                now_ms.saturating_sub(peer.heard_ms),
                out,
            );
        } else {
            peer.reach = Reach::Up;
            events.push(Event::Up(from.clone()));
        }
        peer.heard_ms = now_ms;
        peer.closed_ms = None;
        if beat.coordinator.as_ref() == Some(from)
            && self.next_beat_ms <= now_ms + self.settings.heartbeat_interval_ms / 2
        {
            self.next_beat_ms = now_ms;
        }
        if beat.coordinator.as_ref() == Some(&self.me)
            && let Some(sent_ms) = beat.echo_ms
        {
            let acked = (beat.term, sent_ms);
            peer.acked = peer.acked.max(Some(acked));
        }
        if beat.coordinator.as_ref() == Some(from)
            && beat.lease_ms > 0
            && let Some(sent_ms) = beat.echo_ms
        {
            let lease_ms = beat.lease_ms.min(self.settings.lease_ms);
            self.lease_end_ms = self.lease_end_ms.max(Some(sent_ms + lease_ms));
        }
        let newer = peer.beat.as_ref().is_none_or(|b| {
            (&b.stamp.life, b.stamp.incarnation, b.sent_ms)
                < (&beat.stamp.life, beat.stamp.incarnation, beat.sent_ms)
        });
        if newer {
            peer.beat = Some(beat);
        }
        events
    }

    /// All connections of a peer were ended by its side: find out what is left of its host.
    pub(crate) fn link_closed(&mut self, now_ms: u64, node: &NodeName, out: &mut Vec<Command>) {
        let Some(peer) = self.peers.get_mut(node) else {
            return;
        };
        if !matches!(peer.reach, Reach::Up | Reach::Unknown) {
            return;
        }
        peer.closed_ms = Some(now_ms);
        out.push(Command::ProbeHost {
            peer: node.clone(),
            deadline_ms: self.settings.probe_deadline_ms,
        });
    }

    /// What the probe found. It counts only if the peer gave no sign of life meanwhile.
    pub(crate) fn probed(
        &mut self,
        now_ms: u64,
        node: &NodeName,
        finding: HostFinding,
        out: &mut Vec<Command>,
    ) -> Option<Event> {
        let grace_ms = self.settings.daemon_grace_ms;
        let peer = self.peers.get_mut(node)?;
        peer.closed_ms.take()?;
        let (reach, event, text) = match finding {
            HostFinding::Silent => return None,
            HostFinding::AllRefused => (
                Reach::Lost { news: true },
                Event::Lost(node.clone()),
                format!("{node}: its connections closed and nothing on its host answers: lost"),
            ),
            HostFinding::HostLives | HostFinding::DaemonBack => (
                Reach::DaemonDown {
                    until_ms: now_ms + grace_ms,
                },
                Event::DaemonDown(node.clone()),
                format!(
                    "{node}: its daemon is gone, its host lives: it has {grace_ms} ms to return"
                ),
            ),
        };
        peer.reach = reach;
        out.push(Command::Log {
            severity: Severity::Warning,
            text,
        });
        Some(event)
    }

    /// A peer announces that its daemon goes and comes back.
    pub(crate) fn restarting(
        &mut self,
        now_ms: u64,
        node: &NodeName,
        back_in_ms: u64,
    ) -> Option<Event> {
        let peer = self.peers.get_mut(node)?;
        let wait_ms = back_in_ms.min(self.settings.daemon_grace_ms);
        peer.reach = Reach::DaemonDown {
            until_ms: now_ms + wait_ms,
        };
        Some(Event::DaemonDown(node.clone()))
    }

    /// A peer's lives up to this number are proven over. Returns whether that was its present one.
    pub(crate) fn end_life(&mut self, node: &str, life_number: u64) -> bool {
        let Some(peer) = self.peers.get_mut(node) else {
            return false;
        };
        let ended = peer
            .identity
            .as_ref()
            .is_none_or(|i| i.life.number <= life_number);
        if ended {
            peer.reach = Reach::Lost { news: true };
        }
        ended
    }

    /// Counts silence. `patience_ms` is how long a peer that was never heard may stay silent.
    pub(crate) fn tick(
        &mut self,
        now_ms: u64,
        patience_ms: u64,
        out: &mut Vec<Command>,
    ) -> Vec<Event> {
        let expired: Vec<NodeName> = self
            .peers
            .iter()
            .filter(|(_, p)| now_ms >= self.silence_deadline(p, patience_ms))
            .map(|(name, _)| name.clone())
            .collect();
        let mut events = Vec::new();
        for name in expired {
            if self.heard_by_others(now_ms, &name) {
                continue;
            }
            let Some(peer) = self.peers.get_mut(&name) else {
                continue;
            };
            let silent_ms = now_ms.saturating_sub(peer.heard_ms);
            let text = match peer.reach {
                Reach::DaemonDown { .. } => {
                    format!("{name}: its daemon did not return in time: lost")
                }
                _ => format!("{name}: silent for {silent_ms} ms: lost"),
            };
            peer.reach = Reach::Lost { news: false };
            out.push(Command::Log {
                severity: Severity::Warning,
                text,
            });
            events.push(Event::Lost(name));
        }
        events
    }

    /// Whether another member that is up hears this one, for at most three failure time-outs
    /// (protocol.md, 4): one broken path is no loss.
    fn heard_by_others(&self, now_ms: u64, node: &NodeName) -> bool {
        let timeout_ms = self.settings.failure_timeout_ms;
        let Some(peer) = self.peers.get(node) else {
            return false;
        };
        if peer.reach != Reach::Up || now_ms >= peer.heard_ms + 3 * timeout_ms {
            return false;
        }
        self.peers.iter().any(|(other, p)| {
            other != node
                && p.reach == Reach::Up
                && now_ms < p.heard_ms + timeout_ms
                && p.beat.as_ref().is_some_and(|b| b.heard.contains(node))
        })
    }

    /// A peer that hears everybody this node has stopped hearing although others hear them: who
    /// should lead instead.
    pub(crate) fn better_placed(
        &self,
        now_ms: u64,
        candidates: &BTreeSet<NodeName>,
    ) -> Option<NodeName> {
        let timeout_ms = self.settings.failure_timeout_ms;
        let unheard: Vec<&NodeName> = self
            .peers
            .iter()
            .filter(|(_, p)| p.reach == Reach::Up && now_ms >= p.heard_ms + timeout_ms)
            .map(|(name, _)| name)
            .collect();
        if unheard.is_empty() {
            return None;
        }
        let heard = self.heard(now_ms);
        let hears_them = |name: &NodeName| {
            let beat = self.peers.get(name).and_then(|p| p.beat.as_ref());
            beat.is_some_and(|b| unheard.iter().all(|u| b.heard.contains(*u)))
        };
        let mut able = heard.iter().filter(|n| candidates.contains(*n));
        able.find(|n| hears_them(n)).cloned()
    }

    fn silence_deadline(&self, peer: &Peer, patience_ms: u64) -> u64 {
        match peer.reach {
            Reach::Unknown => peer.heard_ms + patience_ms,
            Reach::Up => peer.heard_ms + self.settings.failure_timeout_ms,
            Reach::DaemonDown { until_ms } => until_ms,
            Reach::Lost { .. } => u64::MAX,
        }
    }

    /// Sends beats now if they are due.
    pub(crate) fn beat_if_due(
        &mut self,
        now_ms: u64,
        content: &BeatContent,
        out: &mut Vec<Command>,
    ) {
        if now_ms < self.next_beat_ms {
            return;
        }
        self.next_beat_ms = now_ms + self.beat_interval_ms(content);
        let names: Vec<NodeName> = self.peers.keys().cloned().collect();
        for name in names {
            self.beat_to(now_ms, &name, content, out);
        }
    }

    /// Those who follow beat with their coordinator, so that everybody is awake at the same moments and asleep
    /// between them: their own clock is a little slower, for when its beat does not come.
    fn beat_interval_ms(&self, content: &BeatContent) -> u64 {
        let interval_ms = self.settings.heartbeat_interval_ms;
        let follows = content.coordinator.as_ref().is_some_and(|c| *c != self.me);
        interval_ms + if follows { interval_ms / 8 } else { 0 }
    }

    /// Makes the next beats due at once.
    pub(crate) fn hurry(&mut self, now_ms: u64) {
        self.next_beat_ms = now_ms;
    }

    /// Sends a beat to one peer now.
    pub(crate) fn beat_to(
        &self,
        now_ms: u64,
        to: &NodeName,
        content: &BeatContent,
        out: &mut Vec<Command>,
    ) {
        let Some(peer) = self.peers.get(to) else {
            return;
        };
        let beat = Beat {
            term: content.term,
            coordinator: content.coordinator.clone(),
            stamp: content.stamp.clone(),
            heard: self.heard(now_ms),
            sent_ms: now_ms,
            echo_ms: peer.beat.as_ref().map(|b| b.sent_ms),
            lease_ms: content.lease_ms,
            storage_failing: content.storage_failing,
            load: self.load,
        };
        out.push(Command::Send {
            to: to.clone(),
            message: Message::Beat(beat),
        });
    }

    /// Until when a quorum of `voters` is assured to a coordinator in `term`: from the sending of
    /// what a majority of them has acknowledged (protocol.md, 7 and 25).
    pub(crate) fn quorum_until(
        &self,
        now_ms: u64,
        term: Term,
        voters: &BTreeSet<NodeName>,
    ) -> Option<u64> {
        let acked = |name: &NodeName| {
            if *name == self.me {
                return Some(now_ms);
            }
            let (acked_term, sent_ms) = self.peers.get(name)?.acked?;
            (acked_term == term).then_some(sent_ms)
        };
        let mut times: Vec<u64> = voters.iter().filter_map(acked).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        let needed = voters.len() / 2;
        let oldest = times.get(needed)?;
        Some(oldest + self.settings.lease_ms)
    }

    /// What a coordinator was assured of holds for its own node too, also when it coordinates no more.
    pub(crate) fn extend_lease(&mut self, until_ms: u64) {
        self.lease_end_ms = self.lease_end_ms.max(Some(until_ms));
    }

    /// End of the lease that a coordinator gave this node.
    pub(crate) fn lease_end(&self) -> Option<u64> {
        self.lease_end_ms
    }

    /// The next moment something is due.
    pub(crate) fn deadline(&self, now_ms: u64, patience_ms: u64) -> u64 {
        let retry_ms = now_ms + self.settings.heartbeat_interval_ms;
        let silence = self.peers.values().map(|p| {
            let due_ms = self.silence_deadline(p, patience_ms);
            if due_ms <= now_ms { retry_ms } else { due_ms }
        });
        silence.min().unwrap_or(u64::MAX).min(self.next_beat_ms)
    }
}

impl Peer {
    fn unknown(now_ms: u64) -> Self {
        Self {
            reach: Reach::Unknown,
            identity: None,
            heard_ms: now_ms,
            beat: None,
            acked: None,
            closed_ms: None,
        }
    }
}

/// A silence that came near to a loss is worth a word before it becomes one.
fn note_pause(settings: &Settings, from: &NodeName, silent_ms: u64, out: &mut Vec<Command>) {
    if silent_ms >= settings.failure_timeout_ms / 2 {
        out.push(Command::Log {
            severity: Severity::Warning,
            text: format!(
                "{from}: nothing was heard of it for {silent_ms} ms; it is lost after {} ms",
                settings.failure_timeout_ms
            ),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Life;

    fn name(s: &str) -> NodeName {
        s.into()
    }

    fn membership() -> Membership {
        let mut m = Membership::new(name("a"), Settings::default(), 0);
        m.set_peers(0, [name("a"), name("b"), name("c")].iter());
        m
    }

    fn beat(life: u64, incarnation: u64) -> Beat {
        Beat {
            term: 1,
            coordinator: None,
            stamp: Stamp {
                life: Life {
                    number: life,
                    id: format!("boot{life}"),
                },
                incarnation,
                sequence: 0,
            },
            heard: BTreeSet::new(),
            sent_ms: 0,
            echo_ms: None,
            lease_ms: 0,
            load: 0.0,
            storage_failing: false,
        }
    }

    #[test]
    fn silence_counts_after_the_time_out_and_not_while_another_member_hears_the_peer() {
        let mut m = membership();
        let mut out = Vec::new();
        m.beat(0, &name("b"), beat(1, 1), 0, &mut out);
        m.beat(0, &name("c"), beat(1, 1), 0, &mut out);
        assert!(m.tick(1_499, 1_500, &mut out).is_empty());
        let mut hears_b = beat(1, 1);
        hears_b.heard.insert(name("b"));
        hears_b.sent_ms = 1_499;
        m.beat(1_499, &name("c"), hears_b, 0, &mut out);
        assert!(m.tick(1_600, 1_500, &mut out).is_empty(), "c hears b");
        let candidates = [name("b"), name("c")].into();
        assert_eq!(m.better_placed(1_600, &candidates), Some(name("c")));
        let mut deaf = beat(1, 1);
        deaf.sent_ms = 1_700;
        m.beat(1_700, &name("c"), deaf, 0, &mut out);
        assert_eq!(m.tick(1_700, 1_500, &mut out), [Event::Lost(name("b"))]);
    }

    #[test]
    fn who_follows_beats_when_its_coordinator_does_and_a_little_later_without_it() {
        let mut m = membership();
        let content = BeatContent {
            term: 1,
            coordinator: Some(name("b")),
            stamp: beat(1, 1).stamp,
            lease_ms: 0,
            storage_failing: false,
        };
        let beats = |m: &mut Membership, now_ms| {
            let mut out = Vec::new();
            m.beat_if_due(now_ms, &content, &mut out);
            !out.is_empty()
        };
        let leads = Beat {
            coordinator: Some(name("b")),
            ..beat(1, 1)
        };
        assert!(beats(&mut m, 0));
        m.beat(60, &name("b"), leads.clone(), 0, &mut Vec::new());
        assert!(!beats(&mut m, 60), "far from due");
        m.beat(200, &name("b"), leads, 0, &mut Vec::new());
        assert!(beats(&mut m, 200), "nearly due");
        assert!(!beats(&mut m, 424));
        assert!(beats(&mut m, 425), "due without the coordinator's");
    }

    #[test]
    fn a_refusing_host_is_lost_at_once_and_a_living_one_gets_its_grace() {
        let mut m = membership();
        let mut out = Vec::new();
        m.beat(0, &name("b"), beat(1, 1), 0, &mut out);
        m.link_closed(10, &name("b"), &mut out);
        assert!(matches!(out.last(), Some(Command::ProbeHost { .. })));
        let event = m.probed(20, &name("b"), HostFinding::HostLives, &mut out);
        assert_eq!(event, Some(Event::DaemonDown(name("b"))));
        assert!(
            m.tick(10_019, 1_500, &mut out)
                .iter()
                .all(|e| *e != Event::Lost(name("b")))
        );
        assert!(
            m.tick(10_020, 1_500, &mut out)
                .contains(&Event::Lost(name("b")))
        );

        m.beat(10_030, &name("c"), beat(1, 1), 0, &mut out);
        m.link_closed(10_040, &name("c"), &mut out);
        let event = m.probed(10_041, &name("c"), HostFinding::AllRefused, &mut out);
        assert_eq!(event, Some(Event::Lost(name("c"))));
    }

    #[test]
    fn a_probe_is_void_once_the_peer_was_heard_again() {
        let mut m = membership();
        let mut out = Vec::new();
        m.beat(0, &name("b"), beat(1, 1), 0, &mut out);
        m.link_closed(10, &name("b"), &mut out);
        m.beat(15, &name("b"), beat(1, 1), 0, &mut out);
        assert_eq!(
            m.probed(20, &name("b"), HostFinding::AllRefused, &mut out),
            None
        );
    }

    #[test]
    fn restarts_boots_clones_and_late_beats_are_told_apart() {
        let mut m = membership();
        let mut out = Vec::new();
        m.beat(0, &name("b"), beat(2, 1), 0, &mut out);
        let events = m.beat(1, &name("b"), beat(2, 2), 0, &mut out);
        assert_eq!(events, [Event::NewIncarnation(name("b"))]);
        assert!(m.beat(2, &name("b"), beat(1, 1), 0, &mut out).is_empty());
        assert_eq!(
            m.peer("b").unwrap().heard_ms,
            1,
            "an old life is no sign of life"
        );
        let mut clone = beat(2, 3);
        clone.stamp.life.id = "other".into();
        assert!(m.beat(3, &name("b"), clone, 0, &mut out).is_empty());
        assert!(matches!(
            out.last(),
            Some(Command::Log {
                severity: Severity::Error,
                ..
            })
        ));
        let events = m.beat(4, &name("b"), beat(3, 1), 0, &mut out);
        assert_eq!(events, [Event::NewLife(name("b"))]);
        assert!(
            m.beat(5, &name("b"), beat(3, 2), 3, &mut out).is_empty(),
            "proven over"
        );
    }

    #[test]
    fn a_lease_counts_from_the_sending_of_what_was_acknowledged() {
        let mut m = membership();
        let mut out = Vec::new();
        let voters = [name("a"), name("b"), name("c")].into();
        assert_eq!(m.quorum_until(100, 5, &voters), None);
        let mut ack = beat(1, 1);
        ack.term = 5;
        ack.coordinator = Some(name("a"));
        ack.echo_ms = Some(40);
        m.beat(100, &name("b"), ack, 0, &mut out);
        assert_eq!(m.quorum_until(100, 5, &voters), Some(1_240));
        assert_eq!(
            m.quorum_until(100, 6, &voters),
            None,
            "another term's acknowledgement"
        );
        let mut grant = beat(1, 1);
        grant.coordinator = Some(name("c"));
        grant.lease_ms = 700;
        grant.echo_ms = Some(50);
        m.beat(120, &name("c"), grant, 0, &mut out);
        assert_eq!(m.lease_end(), Some(750));
    }

    #[test]
    fn a_sleeper_does_not_blame_others() {
        let mut m = membership();
        let mut out = Vec::new();
        m.beat(0, &name("b"), beat(1, 1), 0, &mut out);
        m.beat(0, &name("c"), beat(1, 1), 0, &mut out);
        assert_eq!(m.notice_gap(200), None);
        assert_eq!(m.notice_gap(9_000), Some(8_800));
        assert!(m.tick(9_000, 1_500, &mut out).is_empty());
    }
}
