//! One fencing operation: what it has tried, what it waits for, what is left to try.

use crate::input::{AskId, ClientId, Grade, Offer, RelayId, Request, RunId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A running operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) request: Request,
    /// Who waits for the answer; several, if the same was asked again.
    pub(crate) clients: Vec<ClientId>,
    pub(crate) started_ms: u64,
    /// When it has failed unless something is proven by then.
    pub(crate) deadline_ms: u64,
    /// What is still to be tried, in order.
    pub(crate) attempts: VecDeque<Attempt>,
    /// The attempt under way, if it is one with devices.
    pub(crate) level: Option<Level>,
    /// What to try if the device that is asked for its targets has this one.
    pub(crate) relisting: Option<Attempt>,
    /// What an earlier attempt did without proving anything; told if no other proves more.
    pub(crate) unproven: Option<Unproven>,
    /// Why earlier attempts failed.
    pub(crate) failures: Vec<String>,
    /// The target is proven down and everybody has been told; only switching on is left.
    pub(crate) answered: bool,
    /// Nodes that offered to do it, not yet tried.
    pub(crate) offers: VecDeque<Offer>,
    /// Which node has a device that is not here.
    pub(crate) places: BTreeMap<String, String>,
    pub(crate) step: Step,
}

/// A node was asked to go, and has perhaps gone.
#[derive(Clone, Debug)]
pub(crate) struct Unproven {
    pub(crate) grade: Grade,
    pub(crate) devices: String,
    pub(crate) by: String,
}

/// A way to do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// With all of these devices.
    Level(Vec<String>),
    /// On whichever other node can.
    Elsewhere,
    /// Ask a device anew whom it can fence, and use it if it can.
    Relist(String),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The delay before the first shot, or the pause before a call is tried (again).
    Pause { until_ms: u64, then: Next },
    /// A device.
    Calling { run: RunId, until_ms: u64 },
    /// Other nodes that can use `device` (any device: nothing).
    Asking {
        ask: AskId,
        until_ms: u64,
        device: Option<String>,
    },
    /// Another node that does it; `asked` while more offers may come.
    Relaying {
        relay: RelayId,
        until_ms: u64,
        node: String,
        device: Option<String>,
        asked: Option<AskId>,
    },
    /// Nothing: it has ended.
    Ended,
}

/// What comes after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The first attempt.
    Begin,
    /// The current device's current call.
    Device,
}

/// Devices that must all do their part.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) devices: Vec<String>,
    pub(crate) position: usize,
    pub(crate) phase: Phase,
    pub(crate) stage: Stage,
    /// Failed calls of the present device in the present phase.
    pub(crate) failed_calls: u32,
    /// The weakest proof so far.
    pub(crate) grade: Grade,
    /// Nodes that called the devices.
    pub(crate) by: BTreeSet<String>,
    /// Devices that stay as they are in the second phase.
    pub(crate) skip_on: BTreeSet<String>,
}

/// All devices off, then all on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Off,
    On,
}

/// Order, then ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Act,
    Verify { until_ms: u64 },
}

impl Level {
    pub(crate) fn new(devices: Vec<String>, phase: Phase) -> Self {
        Self {
            devices,
            position: 0,
            phase,
            stage: Stage::Act,
            failed_calls: 0,
            grade: Grade::VerifiedOff,
            by: BTreeSet::new(),
            skip_on: BTreeSet::new(),
        }
    }

    pub(crate) fn device(&self) -> Option<&str> {
        self.devices.get(self.position).map(String::as_str)
    }

    /// The present device has done its part.
    pub(crate) fn device_done(&mut self) {
        self.position += 1;
        self.stage = Stage::Act;
        self.failed_calls = 0;
    }
}

impl Operation {
    /// Whether a request asks for what this one is doing.
    pub(crate) fn is_same(&self, request: &Request) -> bool {
        let mine = &self.request;
        self.holds_up(request)
            && !self.answered
            && mine.target == request.target
            && mine.action == request.action
            && mine.life_number == request.life_number
            && mine.device == request.device
    }

    /// Whether a request has to wait for (or can join) this operation. One that another node hands to us
    /// does not wait for what we hand to others, or two nodes could wait for one another.
    pub(crate) fn holds_up(&self, request: &Request) -> bool {
        let elsewhere = matches!(self.step, Step::Asking { .. } | Step::Relaying { .. });
        self.request.target == request.target && !(request.relayed && elsewhere)
    }

    /// When something must be done without an answer.
    pub(crate) fn wake_ms(&self) -> u64 {
        let step = match &self.step {
            Step::Pause { until_ms, .. }
            | Step::Calling { until_ms, .. }
            | Step::Asking { until_ms, .. }
            | Step::Relaying { until_ms, .. } => *until_ms,
            Step::Ended => u64::MAX,
        };
        match self.answered {
            true => step,
            false => step.min(self.deadline_ms),
        }
    }

    /// What a failed operation tells.
    pub(crate) fn failure(&self, last: &str) -> String {
        let mut all = self.failures.clone();
        if !last.is_empty() {
            all.push(last.to_owned());
        }
        match all.is_empty() {
            true => format!(
                "no device of any node can fence {}: configure one, or see its host list (stonith_admin --list-registered)",
                self.request.target
            ),
            false => all.join("; "),
        }
    }
}
