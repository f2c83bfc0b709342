//! An operation's attempts: levels of devices, off, verify, on.

use super::Fencer;
use crate::{
    command::{Command, Severity},
    device::{Device, HostCheck, Verb},
    input::{CallResult, Grade, Now, Power, Reply, Request},
    operation::{Attempt, Level, Next, Operation, Phase, Stage, Step, Unproven},
};
use std::collections::VecDeque;

impl Fencer {
    /// Everything to try, in order.
    pub(super) fn plan(&self, request: &Request) -> VecDeque<Attempt> {
        if !request.device.is_empty() {
            return VecDeque::from([Attempt::Level(vec![request.device.clone()])]);
        }
        let levels = self.registry.levels_for(&request.target);
        if !levels.is_empty() && !request.relayed {
            return levels.into_iter().map(Attempt::Level).collect();
        }
        let here = self.candidates(&request.target);
        let here = here.iter().map(|d| Attempt::Level(vec![d.id.clone()]));
        let mut attempts: VecDeque<Attempt> = here.collect();
        if !request.relayed {
            // A node ends itself only when nobody else can.
            match request.target == self.node {
                true => attempts.push_front(Attempt::Elsewhere),
                false => attempts.push_back(Attempt::Elsewhere),
            }
        }
        let unlisted = self
            .devices()
            .filter(|d| d.host_check == HostCheck::DynamicList && self.runs_here(d))
            .filter(|d| self.knows(d, &request.target).is_none());
        attempts.extend(unlisted.map(|d| Attempt::Relist(d.id.clone())));
        attempts
    }

    /// The delay of the first device tried; none for switching on.
    pub(super) fn device_delay_ms(&self, request: &Request, attempts: &VecDeque<Attempt>) -> u64 {
        let Some(Attempt::Level(devices)) = attempts.front() else {
            return 0;
        };
        let device = devices.first().and_then(|d| self.registry.devices.get(d));
        match device {
            Some(d) if request.action != "on" => d.delay_ms(&request.target, request.random),
            _ => 0,
        }
    }

    /// A deadline of the operation has come.
    pub(super) fn due(&mut self, now: Now, op: &mut Operation) {
        if !op.answered && now.mono_ms >= op.deadline_ms {
            return self.out_of_time(now, op);
        }
        match op.step.clone() {
            Step::Pause {
                then: Next::Begin, ..
            } => self.next_attempt(now, op),
            Step::Pause {
                then: Next::Device, ..
            } => self.next_call(now, op),
            Step::Calling { run, .. } => {
                self.calls.forget(run);
                self.device_answered(now, op, CallResult::Failed("did not answer".to_owned()));
            }
            Step::Asking { device, .. } => self.nobody_offers(now, op, device),
            Step::Relaying { node, device, .. } => {
                self.relay_failed(now, op, &node, "did not answer", device);
            }
            Step::Ended => {}
        }
    }

    fn out_of_time(&mut self, now: Now, op: &mut Operation) {
        let what = match &op.step {
            Step::Calling { run, .. } => {
                self.calls.forget(*run);
                "a device was still at work: what it does is unknown"
            }
            Step::Relaying { .. } => "another node was still at work: what it does is unknown",
            _ => "",
        };
        let waited = now.mono_ms.saturating_sub(op.started_ms);
        let reason = match what {
            "" => format!("nothing was proven within {waited} ms"),
            what => format!("nothing was proven within {waited} ms; {what}"),
        };
        self.give_up(now, op, &reason);
    }

    /// Nothing is left to try, or no time: what is known then.
    fn give_up(&mut self, now: Now, op: &mut Operation, last: &str) {
        match op.unproven.take() {
            Some(known) => self.finish(now, op, Ok(known.grade), known.devices, known.by),
            None => {
                let reason = op.failure(last);
                self.finish(now, op, Err(reason), String::new(), String::new());
            }
        }
        op.step = Step::Ended;
    }

    /// Goes on to what is left to try.
    pub(super) fn next_attempt(&mut self, now: Now, op: &mut Operation) {
        op.level = None;
        op.offers.clear();
        match op.attempts.pop_front() {
            Some(Attempt::Level(devices)) => {
                let phase = match op.request.action.as_str() {
                    "on" => Phase::On,
                    _ => Phase::Off,
                };
                op.level = Some(Level::new(devices, phase));
                self.next_call(now, op);
            }
            Some(Attempt::Elsewhere) => self.ask(now, op, None),
            Some(Attempt::Relist(id)) => self.relist(now, op, &id),
            None => self.give_up(now, op, ""),
        }
    }

    fn relist(&mut self, now: Now, op: &mut Operation, id: &str) {
        let Some(device) = self.registry.devices.get(id) else {
            return self.next_attempt(now, op);
        };
        let timeout_ms = self.list_timeout_ms(device);
        let call = device.call(Verb::List, "", timeout_ms);
        let run = self.calls.queue(call);
        op.relisting = Some(Attempt::Level(vec![id.to_owned()]));
        op.step = self.calling(now, run, timeout_ms);
    }

    fn calling(&self, now: Now, run: u64, timeout_ms: u64) -> Step {
        Step::Calling {
            run,
            until_ms: now.mono_ms + timeout_ms + self.settings.slack_ms,
        }
    }

    /// Calls the present device of the level, or finishes the phase.
    pub(super) fn next_call(&mut self, now: Now, op: &mut Operation) {
        let Some(level) = &mut op.level else {
            return self.next_attempt(now, op);
        };
        let Some(id) = level.device().map(str::to_owned) else {
            return self.phase_done(now, op);
        };
        if level.phase == Phase::On && level.skip_on.contains(&id) {
            level.device_done();
            return self.next_call(now, op);
        }
        let device = match self.registry.devices.get(&id) {
            Some(d) if self.is_for_us(d, op) => d.clone(),
            _ => return self.elsewhere(now, op, &id),
        };
        self.call(now, op, &device);
    }

    /// Whether we call the device ourselves: it may be used here, and we are not the target
    /// (unless there is nobody else: then the others have been asked already).
    fn is_for_us(&self, device: &Device, op: &Operation) -> bool {
        let ourselves = op.request.target == self.node;
        let asked = op.places.get(&device.id).is_some_and(|n| *n == self.node);
        self.runs_here(device) && (!ourselves || asked || op.request.relayed)
    }

    fn elsewhere(&mut self, now: Now, op: &mut Operation, id: &str) {
        if op.request.relayed {
            return self.level_failed(now, op, format!("{id} cannot be used on {}", self.node));
        }
        match op.places.get(id).cloned() {
            Some(node) => self.relay(now, op, node, Some(id.to_owned()), None),
            None => self.ask(now, op, Some(id.to_owned())),
        }
    }

    fn call(&mut self, now: Now, op: &mut Operation, device: &Device) {
        let Some(level) = &op.level else { return };
        if let (false, Some(number)) = (op.answered, self.newer_life(&op.request)) {
            let reason = format!(
                "{} lives already in life {number}; only life {} was to be ended",
                op.request.target, op.request.life_number
            );
            self.finish(now, op, Err(reason), String::new(), String::new());
            op.step = Step::Ended;
            return;
        }
        let verb = match (level.stage, level.phase) {
            (Stage::Verify { .. }, _) => Verb::Status,
            (Stage::Act, Phase::On) => Verb::On,
            (Stage::Act, Phase::Off) if op.request.action == "reboot" && device.own_reboot() => {
                Verb::Reboot
            }
            (Stage::Act, Phase::Off) => Verb::Off,
        };
        let own = device
            .timeout_ms(verb)
            .unwrap_or(self.settings.call_timeout_ms);
        let timeout_ms = match op.answered {
            true => own,
            false => own.min(op.deadline_ms.saturating_sub(now.mono_ms)).max(1),
        };
        let call = device.call(verb, &op.request.target, timeout_ms);
        let run = self.calls.queue(call);
        op.step = self.calling(now, run, timeout_ms);
    }

    /// A device's call has ended (or was given up).
    pub(super) fn device_answered(&mut self, now: Now, op: &mut Operation, result: CallResult) {
        if op.level.is_none() {
            return self.relisted(now, op);
        }
        let Some(device) = self.present_device(op) else {
            let text = "its device was removed from the configuration".to_owned();
            return self.level_failed(now, op, text);
        };
        let own_way = takes_own_way(op, &device);
        let Some(level) = &mut op.level else { return };
        match (level.stage, level.phase, result) {
            (Stage::Verify { until_ms }, _, result) => {
                self.verified(now, op, &device, result, until_ms);
            }
            #[cfg(feature = "break-unproven-off")]
            (Stage::Act, Phase::Off, CallResult::Done) => {
                self.device_done(now, op, &device, Grade::VerifiedOff);
            }
            (Stage::Act, Phase::Off, CallResult::Done) if !own_way => {
                let own = device.power_timeout_ms();
                let limit_ms = own.unwrap_or(self.settings.verify_timeout_ms);
                level.stage = Stage::Verify {
                    until_ms: now.mono_ms + limit_ms,
                };
                self.next_call(now, op);
            }
            (Stage::Act, _, CallResult::Done) => {
                self.device_done(now, op, &device, device.unverified_grade());
            }
            (Stage::Act, _, CallResult::Unsupported) => {
                let text = format!("{} cannot do that", device.id);
                self.level_failed(now, op, text);
            }
            (Stage::Act, _, CallResult::Failed(reason)) => {
                self.call_failed(now, op, &device, &reason);
            }
            (Stage::Act, _, CallResult::Status(_) | CallResult::Targets(_)) => {
                self.call_failed(now, op, &device, "gave an answer to another question");
            }
        }
    }

    fn present_device(&self, op: &Operation) -> Option<Device> {
        let id = op.level.as_ref()?.device()?;
        self.registry.devices.get(id).cloned()
    }

    fn relisted(&mut self, now: Now, op: &mut Operation) {
        let found: Vec<Attempt> = self
            .candidates(&op.request.target)
            .iter()
            .filter(|d| self.knows(d, &op.request.target) == Some(true))
            .map(|d| Attempt::Level(vec![d.id.clone()]))
            .collect();
        // Only a device that did not have the target before: the others have been tried.
        let new = found.into_iter().find(|a| op.relisting.as_ref() == Some(a));
        op.attempts.extend(new);
        self.next_attempt(now, op);
    }

    fn verified(
        &mut self,
        now: Now,
        op: &mut Operation,
        device: &Device,
        result: CallResult,
        until_ms: u64,
    ) {
        let again_ms = match result {
            CallResult::Status(Power::Off) => {
                return self.device_done(now, op, device, Grade::VerifiedOff);
            }
            CallResult::Status(Power::On) => self.settings.verify_pause_ms,
            CallResult::Failed(_) => self.settings.retry_pause_ms,
            _ => {
                let grade = device.unverified_grade();
                return self.device_done(now, op, device, grade);
            }
        };
        if now.mono_ms + again_ms < until_ms {
            op.step = Step::Pause {
                until_ms: now.mono_ms + again_ms,
                then: Next::Device,
            };
            return;
        }
        match result {
            // It accepted "off" and no longer says how the target is: that is all that is known.
            CallResult::Failed(_) => self.device_done(now, op, device, device.unverified_grade()),
            _ => {
                if let Some(level) = &mut op.level {
                    level.stage = Stage::Act;
                }
                self.call_failed(now, op, device, "still says \"on\" after \"off\"");
            }
        }
    }

    fn call_failed(&mut self, now: Now, op: &mut Operation, device: &Device, reason: &str) {
        let Some(level) = &mut op.level else { return };
        level.failed_calls += 1;
        let verb = match level.phase {
            Phase::Off => Verb::Off,
            Phase::On => Verb::On,
        };
        if level.failed_calls < device.attempts(verb) {
            op.step = Step::Pause {
                until_ms: now.mono_ms + self.settings.retry_pause_ms,
                then: Next::Device,
            };
            return;
        }
        let text = format!("{}: {reason} ({} tries)", device.id, level.failed_calls);
        self.level_failed(now, op, text);
    }

    /// The present device has done its part of the phase, here.
    fn device_done(&mut self, now: Now, op: &mut Operation, device: &Device, grade: Grade) {
        let stays = takes_own_way(op, device)
            || (op.request.action == "reboot" && device.reboot_means_off());
        if let Some(level) = &mut op.level {
            if stays {
                level.skip_on.insert(device.id.clone());
            }
            level.by.insert(self.node.clone());
            if level.phase == Phase::Off || op.request.action == "on" {
                level.grade = level.grade.max(grade);
            }
            level.device_done();
        }
        self.next_call(now, op);
    }

    /// The level cannot succeed; or, when the target is already proven down, it stays off.
    pub(super) fn level_failed(&mut self, now: Now, op: &mut Operation, reason: String) {
        if op.answered {
            let text = format!("switching on failed: {reason}");
            self.history
                .note(&op.request.intent, &op.request.target, &text);
            self.log(
                Severity::Warning,
                format!(
                    "{} is fenced and stays off, {text}; switch it on by hand",
                    op.request.target
                ),
            );
            op.step = Step::Ended;
            return;
        }
        self.log(
            Severity::Warning,
            format!(
                "could not {} {}: {reason}",
                op.request.action, op.request.target
            ),
        );
        op.failures.push(reason);
        self.next_attempt(now, op);
    }

    /// All devices of the level have done their part of the phase.
    fn phase_done(&mut self, now: Now, op: &mut Operation) {
        let Some(level) = &mut op.level else { return };
        if op.answered {
            op.step = Step::Ended;
            return;
        }
        let grade = level.grade;
        let devices = level.devices.join(",");
        let by = level.by.iter().cloned().collect::<Vec<_>>().join(",");
        if grade == Grade::Asked && self.keep_what_may_prove(op) {
            let target = &op.request.target;
            self.log(
                Severity::Warning,
                format!(
                    "{target} was asked by {devices} of {by}, which proves nothing: trying what is left"
                ),
            );
            op.unproven = Some(Unproven { grade, devices, by });
            return self.next_attempt(now, op);
        }
        let Some(level) = &mut op.level else { return };
        level.position = 0;
        level.stage = Stage::Act;
        level.phase = Phase::On;
        // What the target was is proven now; that it comes back is not what anybody waits for.
        self.finish(now, op, Ok(grade), devices, by);
        match op.request.action.as_str() {
            "reboot" => self.next_call(now, op),
            _ => op.step = Step::Ended,
        }
    }

    /// Drops what could only ask the target once more, perhaps in its next life; whether anything is left.
    fn keep_what_may_prove(&self, op: &mut Operation) -> bool {
        let devices = &self.registry.devices;
        let proves = |id: &String| devices.get(id).is_some_and(|d| !d.asks_the_node());
        op.attempts.retain(|attempt| match attempt {
            Attempt::Level(ids) => ids.iter().any(proves),
            Attempt::Relist(id) => proves(id),
            Attempt::Elsewhere => false,
        });
        !op.attempts.is_empty()
    }

    /// Tells everybody who asked.
    pub(super) fn finish(
        &mut self,
        now: Now,
        op: &mut Operation,
        result: Result<Grade, String>,
        device: String,
        by_node: String,
    ) {
        op.answered = true;
        let reply = Reply {
            result,
            device,
            by_node,
            elapsed_ms: now.mono_ms.saturating_sub(op.started_ms),
        };
        let request = &op.request;
        self.history
            .ended(&request.intent, &request.target, &reply, now.wall_s);
        let (severity, outcome) = match &reply.result {
            Ok(Grade::Asked) if request.action != "on" => (
                Severity::Warning,
                format!(
                    "was asked for by {} of {}, which proves nothing: resources wait for its new life, or for a person who confirms that it is down",
                    reply.device, reply.by_node
                ),
            ),
            Ok(grade) => (
                Severity::Info,
                format!(
                    "done by {} of {}, {}",
                    reply.device,
                    reply.by_node,
                    grade.name()
                ),
            ),
            Err(reason) => (Severity::Error, format!("failed: {reason}")),
        };
        self.log(
            severity,
            format!(
                "{} of {} for {} {outcome} ({} ms)",
                request.action, request.target, request.origin, reply.elapsed_ms
            ),
        );
        for client in std::mem::take(&mut op.clients) {
            let reply = reply.clone();
            self.commands.push_back(Command::Reply { client, reply });
        }
    }
}

/// The device reboots by itself, so there is nothing to verify and nothing to switch on.
pub(super) fn takes_own_way(op: &Operation, device: &Device) -> bool {
    op.request.action == "reboot" && device.own_reboot()
}
