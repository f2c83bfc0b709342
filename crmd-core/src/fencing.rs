//! Fencing as the coordinator drives it: intent committed, shot, result committed (protocol.md, 9 and 23).

use crate::{
    command::{Command, FenceOrder, Severity},
    coordinator::Purpose,
    entry::{Entry, Grade},
    ids::NodeName,
    input::{FenceOutcome, ProposeError},
    node::Node,
    request::{Refusal, RefusalKind, Response},
    requests::Origin,
    state::Intent,
};

/// After the deadline of an operation the fencing daemon gets this long to say so itself.
const MARGIN_MS: u64 = 5_000;
/// First delay after a failed attempt; doubled each time.
const BACKOFF_MS: u64 = 1_000;
/// After an intent that could not be committed.
const INTENT_AGAIN_MS: u64 = 200;
/// Longest delay after a failed attempt.
const BACKOFF_MAX_MS: u64 = 30_000;

/// One operation of this coordinator's term.
#[derive(Debug)]
pub(crate) struct Fencing {
    pub(crate) target: NodeName,
    life_number: u64,
    action: String,
    timeout_ms: u64,
    origin: String,
    phase: Phase,
    /// Actions of transitions that wait for it.
    steps: Vec<(u64, u32)>,
    clients: Vec<Origin>,
}

#[derive(Debug)]
enum Phase {
    /// The intent is not committed yet.
    Proposed,
    /// Committed; not fired yet.
    Committed,
    /// Under way.
    Fired { deadline_ms: u64 },
    /// The outcome is to be committed; when to propose it (again).
    Ended {
        result: Result<Grade, String>,
        device: String,
        by: Option<NodeName>,
        propose_ms: u64,
    },
}

impl Fencing {
    pub(crate) fn is_fired(&self) -> bool {
        matches!(self.phase, Phase::Fired { .. })
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        match &self.phase {
            Phase::Fired { deadline_ms } => Some(*deadline_ms),
            Phase::Ended { propose_ms, .. } => Some(*propose_ms),
            Phase::Proposed | Phase::Committed => None,
        }
    }
}

impl Node {
    /// What an earlier coordinator had begun is unknown, never success: it is done again.
    pub(crate) fn adopt_intents(&mut self) {
        let ms = self.ms();
        let known: Vec<(String, Intent)> = self
            .state
            .intents
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        for (intent, i) in known {
            let left_s = (i.deadline_s - self.now.wall_s).clamp(0, 3_600);
            let phase = if left_s == 0 {
                Phase::Ended {
                    result: Err("its coordinator was lost and its time is over".to_owned()),
                    device: String::new(),
                    by: None,
                    propose_ms: ms,
                }
            } else {
                Phase::Committed
            };
            let fencing = Fencing {
                target: i.target,
                life_number: i.life_number,
                action: i.action,
                timeout_ms: u64::try_from(left_s).unwrap_or(0) * 1_000,
                origin: i.origin,
                phase,
                steps: Vec::new(),
                clients: Vec::new(),
            };
            if let Some(c) = &mut self.coordinator {
                c.fencing.entry(intent).or_insert(fencing);
            }
        }
    }

    /// Begins an operation, or joins one that is under way against the same node.
    pub(crate) fn fence(
        &mut self,
        target: &NodeName,
        action: &str,
        timeout_ms: u64,
        origin: &str,
        step: Option<(u64, u32)>,
        client: Option<Origin>,
    ) {
        let life_number = self.life_to_end(target);
        let (now_s, term) = (
            self.now.wall_s,
            self.coordinator.as_ref().map_or(0, |c| c.term),
        );
        let me = self.me().clone();
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let same = c.fencing.values_mut().find(|f| {
            f.target == *target
                && (f.action == "on") == (action == "on")
                && !matches!(f.phase, Phase::Ended { .. })
        });
        if let Some(fencing) = same {
            fencing.steps.extend(step);
            fencing.clients.extend(client);
            return;
        }
        let intent = format!("{me}-{term}-{}", c.next_intent);
        c.next_intent += 1;
        let fencing = Fencing {
            target: target.clone(),
            life_number,
            action: action.to_owned(),
            timeout_ms,
            origin: origin.to_owned(),
            phase: Phase::Proposed,
            steps: step.into_iter().collect(),
            clients: client.into_iter().collect(),
        };
        c.fencing.insert(intent.clone(), fencing);
        let deadline_s = now_s + i64::try_from(timeout_ms / 1_000 + 1).unwrap_or(60);
        self.log(Severity::Warning, format!("{target} (life {life_number}) is to be fenced ({action}) for {origin}: intent {intent}"));
        let proposal = self.propose(Entry::FenceIntent {
            intent: intent.clone(),
            target: target.clone(),
            life_number,
            action: action.to_owned(),
            deadline_s,
            origin: origin.to_owned(),
        });
        if let Some(c) = &mut self.coordinator {
            c.purposes.insert(proposal, Purpose::Intent(intent));
        }
    }

    fn life_to_end(&self, target: &NodeName) -> u64 {
        let member = self.state.members.get(target);
        match member
            .filter(|m| m.is_active())
            .and_then(|m| m.admitted.as_ref())
        {
            Some(life) => life.number,
            None => self.identity_of(target).map_or(0, |i| i.life.number),
        }
    }

    pub(crate) fn intent_committed(&mut self, intent: &str) {
        if let Some(c) = &mut self.coordinator
            && let Some(f) = c.fencing.get_mut(intent)
            && matches!(f.phase, Phase::Proposed)
        {
            f.phase = Phase::Committed;
        }
        self.adopt_intents();
    }

    /// Fires what is committed, ends what took too long, commits outcomes.
    pub(crate) fn fencing_tick(&mut self) {
        let names: Vec<String> = match &self.coordinator {
            Some(c) => c.fencing.keys().cloned().collect(),
            None => return,
        };
        for intent in names {
            self.fencing_step(&intent);
        }
    }

    fn fencing_step(&mut self, intent: &str) {
        let ms = self.ms();
        let Some(f) = self
            .coordinator
            .as_ref()
            .and_then(|c| c.fencing.get(intent))
        else {
            return;
        };
        match &f.phase {
            Phase::Proposed => {}
            Phase::Committed => self.fire(intent),
            Phase::Fired { deadline_ms } if *deadline_ms <= ms => {
                let reason = "the fencing daemon did not answer in time".to_owned();
                self.fence_done(intent, FenceOutcome::Failed { reason });
            }
            Phase::Fired { .. } => {}
            Phase::Ended { propose_ms, .. } if *propose_ms <= ms => self.commit_result(intent),
            Phase::Ended { .. } => {}
        }
    }

    /// Life and quorum are looked at again at firing: a newer life must not be shot.
    fn fire(&mut self, intent: &str) {
        let ms = self.ms();
        let Some(c) = &self.coordinator else {
            return;
        };
        let (Some(f), term) = (c.fencing.get(intent), c.term) else {
            return;
        };
        let newer = self
            .identity_of(&f.target)
            .is_some_and(|i| i.life.number > f.life_number);
        let order = FenceOrder {
            intent: intent.to_owned(),
            target: f.target.clone(),
            life_number: f.life_number,
            action: f.action.clone(),
            timeout_ms: f.timeout_ms,
            delay_ms: 0,
            term,
            origin: f.origin.clone(),
        };
        if newer && f.action != "on" && f.life_number > 0 {
            self.ended(intent, Ok(Grade::NewLife), String::new(), None);
            return;
        }
        let deadline_ms = ms + order.timeout_ms + MARGIN_MS;
        self.set_phase(intent, Phase::Fired { deadline_ms });
        #[cfg(feature = "break-start-before-fencing")]
        self.complete_steps(intent);
        self.out.push(Command::Fence(order));
    }

    fn set_phase(&mut self, intent: &str, phase: Phase) {
        if let Some(c) = &mut self.coordinator
            && let Some(f) = c.fencing.get_mut(intent)
        {
            f.phase = phase;
        }
    }

    pub(crate) fn fence_done(&mut self, intent: &str, outcome: FenceOutcome) {
        let fired = self
            .coordinator
            .as_ref()
            .and_then(|c| c.fencing.get(intent));
        if !fired.is_some_and(Fencing::is_fired) {
            return;
        }
        match outcome {
            FenceOutcome::Confirmed { grade, device, by } => {
                self.ended(intent, Ok(grade), device, Some(by));
            }
            FenceOutcome::Failed { reason } => self.ended(intent, Err(reason), String::new(), None),
        }
    }

    fn ended(
        &mut self,
        intent: &str,
        result: Result<Grade, String>,
        device: String,
        by: Option<NodeName>,
    ) {
        let propose_ms = self.ms();
        self.set_phase(
            intent,
            Phase::Ended {
                result,
                device,
                by,
                propose_ms,
            },
        );
        self.commit_result(intent);
    }

    fn commit_result(&mut self, intent: &str) {
        let (ms, at_s) = (self.ms(), self.now.wall_s);
        let Some(f) = self
            .coordinator
            .as_mut()
            .and_then(|c| c.fencing.get_mut(intent))
        else {
            return;
        };
        let Phase::Ended {
            result,
            device,
            by,
            propose_ms,
        } = &mut f.phase
        else {
            return;
        };
        *propose_ms = ms + 2_000;
        let entry = Entry::FenceResult {
            intent: intent.to_owned(),
            target: f.target.clone(),
            life_number: f.life_number,
            result: result.clone(),
            device: device.clone(),
            by: by.clone(),
            at_s,
        };
        let proposal = self.propose(entry);
        if let Some(c) = &mut self.coordinator {
            c.purposes
                .insert(proposal, Purpose::Result(intent.to_owned()));
        }
    }

    /// The outcome is in the log: only now may anything follow from it.
    pub(crate) fn result_committed(&mut self, entry: &Entry) {
        let Entry::FenceResult {
            intent,
            target,
            result,
            device,
            by,
            ..
        } = entry
        else {
            return;
        };
        let (severity, text) = match result {
            Ok(Grade::Asked) => (
                Severity::Warning,
                format!(
                    "{target} was only asked to go ({device}): its resources wait for its new life, or for a person \
                     who confirms that it is down"
                ),
            ),
            Ok(grade) => (
                Severity::Info,
                format!("{target} is fenced ({grade:?}, {device})"),
            ),
            Err(reason) => (
                Severity::Error,
                format!("fencing {target} failed: {reason}"),
            ),
        };
        self.log(severity, text);
        let Some(fencing) = self
            .coordinator
            .as_mut()
            .and_then(|c| c.fencing.remove(intent))
        else {
            self.mark_dirty(&format!("{target}: its earlier life is over"));
            return;
        };
        let frees = fencing.action == "on" && result.is_ok()
            || result.as_ref().is_ok_and(|g| g.frees_resources());
        self.fencing_steps_over(&fencing, frees);
        let response = match result {
            Ok(grade) => Response::Fenced {
                grade: *grade,
                device: device.clone(),
                by: by.clone(),
            },
            Err(reason) => Response::Refused(Refusal {
                kind: RefusalKind::Fencing,
                text: reason.clone(),
            }),
        };
        for client in &fencing.clients {
            self.reply(client, response.clone());
        }
        self.count_attempt(target, frees);
    }

    #[cfg(feature = "break-start-before-fencing")]
    fn complete_steps(&mut self, intent: &str) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        if let (Some(f), Some(t)) = (c.fencing.get(intent), &mut c.transition) {
            f.steps.iter().for_each(|(_, id)| {
                t.complete(*id);
            });
        }
    }

    fn fencing_steps_over(&mut self, fencing: &Fencing, frees: bool) {
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let mut taken = false;
        for (transition, action) in &fencing.steps {
            let Some(t) = c.transition.as_mut().filter(|t| t.id == *transition) else {
                continue;
            };
            taken |= if frees {
                t.complete(*action)
            } else {
                t.fail(*action)
            };
        }
        if !taken || !frees {
            c.dirty("fencing has ended");
        }
    }

    fn count_attempt(&mut self, target: &NodeName, frees: bool) {
        let ms = self.ms();
        let Some(c) = &mut self.coordinator else {
            return;
        };
        if frees {
            c.backoff.remove(target);
            return;
        }
        let (count, next_ms) = c.backoff.entry(target.clone()).or_default();
        let wait_ms = BACKOFF_MS
            .saturating_mul(1 << (*count).min(8))
            .min(BACKOFF_MAX_MS);
        *count += 1;
        *next_ms = ms + wait_ms;
        let text = format!("fencing {target} failed {count} times: next attempt in {wait_ms} ms");
        self.log(Severity::Warning, text);
    }

    pub(crate) fn intent_failed(&mut self, intent: &str, error: &ProposeError) {
        let Some(fencing) = self
            .coordinator
            .as_mut()
            .and_then(|c| c.fencing.remove(intent))
        else {
            return;
        };
        self.fencing_steps_over(&fencing, false);
        let text = format!(
            "the intent to fence {} was not committed: {error:?}",
            fencing.target
        );
        for client in &fencing.clients {
            let refusal = Refusal {
                kind: RefusalKind::NoQuorum,
                text: text.clone(),
            };
            self.reply(client, Response::Refused(refusal));
        }
        self.hold_attempt(&fencing.target);
        self.log(Severity::Warning, text);
    }

    /// A log that takes nothing refuses at once: asked again at once, this node would do nothing else
    /// until its leadership is over.
    fn hold_attempt(&mut self, target: &NodeName) {
        let next_ms = self.ms() + INTENT_AGAIN_MS;
        if let Some(c) = &mut self.coordinator {
            let (_, held_ms) = c.backoff.entry(target.clone()).or_default();
            *held_ms = next_ms.max(*held_ms);
        }
    }

    pub(crate) fn result_failed(&mut self, intent: &str) {
        let again_ms = self.ms() + 200;
        if let Some(c) = &mut self.coordinator
            && let Some(f) = c.fencing.get_mut(intent)
            && let Phase::Ended { propose_ms, .. } = &mut f.phase
        {
            *propose_ms = again_ms;
        }
    }
}
