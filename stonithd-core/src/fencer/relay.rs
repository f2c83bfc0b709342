//! What is handed to other nodes.

use super::{Fencer, attempt::takes_own_way};
use crate::{
    command::{Command, Order},
    input::{AskId, Now, Offer, RelayId, Reply, Request},
    operation::{Operation, Phase, Step},
};

impl Fencer {
    /// Asks the others who can use a device (any: nothing).
    pub(super) fn ask(&mut self, now: Now, op: &mut Operation, device: Option<String>) {
        let ask = self.new_id();
        let timeout_ms = self.settings.can_timeout_ms;
        self.commands.push_back(Command::Ask {
            ask,
            target: op.request.target.clone(),
            action: op.request.action.clone(),
            timeout_ms,
        });
        op.offers.clear();
        op.step = Step::Asking {
            ask,
            until_ms: now.mono_ms + timeout_ms + self.settings.slack_ms,
            device,
        };
    }

    pub(super) fn offered(&mut self, now: Now, ask: AskId, offer: Offer) {
        let waits = |step: &Step| match step {
            Step::Asking { ask: a, .. } => *a == ask,
            Step::Relaying { asked, .. } => *asked == Some(ask),
            _ => false,
        };
        let Some(id) = self.find(waits) else { return };
        self.with(id, |fencer, op| fencer.take_offer(now, op, offer));
    }

    fn take_offer(&mut self, now: Now, op: &mut Operation, offer: Offer) {
        let wanted = match &op.step {
            Step::Asking { device, .. } | Step::Relaying { device, .. } => device.clone(),
            _ => return,
        };
        let useful = match &wanted {
            Some(device) => offer.devices.contains(device),
            None => !offer.devices.is_empty(),
        };
        // The target is the last to be trusted with its own end.
        if !useful || offer.node == op.request.target {
            return;
        }
        match op.step.clone() {
            Step::Asking { ask, device, .. } => {
                self.relay(now, op, offer.node, device, Some(ask));
            }
            _ => op.offers.push_back(offer),
        }
    }

    pub(super) fn ask_ended(&mut self, now: Now, ask: AskId) {
        let waits = |step: &Step| matches!(step, Step::Asking { ask: a, .. } if *a == ask);
        if let Some(id) = self.find(waits) {
            self.with(id, |fencer, op| {
                let device = match &op.step {
                    Step::Asking { device, .. } => device.clone(),
                    _ => None,
                };
                fencer.nobody_offers(now, op, device);
            });
            return;
        }
        for op in self.operations.values_mut() {
            if let Step::Relaying { asked, .. } = &mut op.step
                && *asked == Some(ask)
            {
                *asked = None;
            }
        }
    }

    /// Nobody else can; a node that is to end itself may still be able to.
    pub(super) fn nobody_offers(&mut self, now: Now, op: &mut Operation, device: Option<String>) {
        match device {
            Some(id) => {
                let usable = self
                    .registry
                    .devices
                    .get(&id)
                    .is_some_and(|d| self.runs_here(d));
                if usable && !op.places.contains_key(&id) {
                    op.places.insert(id, self.node.clone());
                    return self.next_call(now, op);
                }
                let text = format!("no node that can be reached can use {id}");
                self.level_failed(now, op, text);
            }
            None => self.next_attempt(now, op),
        }
    }

    pub(super) fn relay(
        &mut self,
        now: Now,
        op: &mut Operation,
        node: String,
        device: Option<String>,
        asked: Option<AskId>,
    ) {
        let relay: RelayId = self.new_id();
        let left_ms = match op.answered {
            true => self.settings.call_timeout_ms,
            false => op.deadline_ms.saturating_sub(now.mono_ms).max(1),
        };
        let request = Request {
            relayed: true,
            delay_ms: 0,
            timeout_ms: left_ms,
            device: device.clone().unwrap_or_default(),
            action: self.relayed_action(op, device.as_deref()),
            intent: relayed_intent(op, device.as_deref()),
            ..op.request.clone()
        };
        self.commands.push_back(Command::Relay {
            relay,
            order: Order {
                to: node.clone(),
                request,
            },
        });
        op.step = Step::Relaying {
            relay,
            until_ms: now.mono_ms + left_ms + self.settings.slack_ms,
            node,
            device,
            asked,
        };
    }

    pub(super) fn relayed(&mut self, now: Now, relay: RelayId, result: Result<Reply, String>) {
        let waits = |step: &Step| matches!(step, Step::Relaying { relay: r, .. } if *r == relay);
        let Some(id) = self.find(waits) else { return };
        self.with(id, |fencer, op| {
            let Step::Relaying { node, device, .. } = op.step.clone() else {
                return;
            };
            match result {
                Ok(reply) => fencer.relay_answered(now, op, &node, device, reply),
                Err(reason) => fencer.relay_failed(now, op, &node, &reason, device),
            }
        });
    }

    fn relay_answered(
        &mut self,
        now: Now,
        op: &mut Operation,
        node: &str,
        device: Option<String>,
        reply: Reply,
    ) {
        let grade = match reply.result {
            Ok(grade) => grade,
            Err(reason) => return self.relay_failed(now, op, node, &reason, device),
        };
        let Some(device) = device else {
            self.finish(now, op, Ok(grade), reply.device, reply.by_node);
            op.step = Step::Ended;
            return;
        };
        let stays = self.has_own_way(op, &device);
        op.places.insert(device.clone(), node.to_owned());
        if let Some(level) = &mut op.level {
            if stays {
                level.skip_on.insert(device);
            }
            level.by.insert(node.to_owned());
            if level.phase == Phase::Off || op.request.action == "on" {
                level.grade = level.grade.max(grade);
            }
            level.device_done();
        }
        self.next_call(now, op);
    }

    /// One device of a level does its part of the phase; one that reboots in its own way does that, and
    /// without a device the other node does it all.
    fn relayed_action(&self, op: &Operation, device: Option<&str>) -> String {
        let phase = op.level.as_ref().map(|l| l.phase);
        match (device, phase) {
            (Some(id), Some(Phase::Off)) if !self.has_own_way(op, id) => "off".to_owned(),
            (Some(_), Some(Phase::On)) => "on".to_owned(),
            _ => op.request.action.clone(),
        }
    }

    fn has_own_way(&self, op: &Operation, id: &str) -> bool {
        let device = self.registry.devices.get(id);
        device.is_some_and(|d| takes_own_way(op, d))
    }

    pub(super) fn relay_failed(
        &mut self,
        now: Now,
        op: &mut Operation,
        node: &str,
        reason: &str,
        device: Option<String>,
    ) {
        let failure = format!("{node}: {reason}");
        let asked = match &op.step {
            Step::Relaying { asked, .. } => *asked,
            _ => None,
        };
        if let Some(offer) = op.offers.pop_front() {
            op.failures.push(failure);
            return self.relay(now, op, offer.node, device, asked);
        }
        if let Some(ask) = asked {
            // Others have not answered yet; they may still offer.
            op.failures.push(failure);
            op.step = Step::Asking {
                ask,
                until_ms: now.mono_ms + self.settings.can_timeout_ms + self.settings.slack_ms,
                device,
            };
            return;
        }
        match device {
            Some(_) => self.level_failed(now, op, failure),
            None => {
                op.failures.push(failure);
                self.next_attempt(now, op);
            }
        }
    }
}

/// Parts of an operation need names of their own, or the second would be taken for the first again.
fn relayed_intent(op: &Operation, device: Option<&str>) -> String {
    match device {
        Some(device) => format!("{}/{device}", op.request.intent),
        None => op.request.intent.clone(),
    }
}
