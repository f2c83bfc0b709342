//! A running lab, seen from outside.

use crate::{
    audit::{self, Verdict},
    error::LabError,
    events::{self, Event},
    exec::{self, Said},
    layout::{Layout, Spec},
    wire::{self, Answer, Ask, MachineState},
};
use std::time::Duration;

/// How long any request to the lab's daemon may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A handle on a lab that runs; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Lab {
    layout: Layout,
    spec: Spec,
}

impl Lab {
    /// The lab in a directory.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(layout: Layout) -> Result<Self, LabError> {
        let spec = layout.read_spec()?;
        Ok(Self { layout, spec })
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What it is made of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    fn ask(&self, ask: &Ask) -> Result<Answer, LabError> {
        wire::ask(&self.layout.control(), ask, LIMIT)
    }

    /// The nodes' states and the links that drop.
    pub fn describe(&self) -> Result<(Vec<MachineState>, Vec<String>), LabError> {
        let answer = self.ask(&Ask::Describe)?;
        Ok((
            answer.machines.unwrap_or_default(),
            answer.cuts.unwrap_or_default(),
        ))
    }

    /// SIGKILL for every process of a node; its kernel closes the connections, then its addresses go.
    pub fn kill(&self, node: &str) -> Result<(), LabError> {
        self.ask(&Ask::Kill { node: node.into() }).map(drop)
    }

    /// Every process ends unheard, as in a loss of power: the links are dead first.
    pub fn silence(&self, node: &str) -> Result<(), LabError> {
        self.ask(&Ask::Silence { node: node.into() }).map(drop)
    }

    /// Power off: like pulling the plug.
    pub fn off(&self, node: &str) -> Result<(), LabError> {
        self.ask(&Ask::Off { node: node.into() }).map(drop)
    }

    /// Power on: a new life.
    pub fn on(&self, node: &str) -> Result<(), LabError> {
        self.ask(&Ask::On { node: node.into() }).map(drop)
    }

    /// Whether a fenced node stays off.
    pub fn keep_off(&self, node: &str, keep: bool) -> Result<(), LabError> {
        self.ask(&Ask::KeepOff {
            node: node.into(),
            keep,
        })
        .map(drop)
    }

    /// Drops what `from` sends to `to` (and back, if `both`), on one link or all.
    pub fn cut(
        &self,
        from: &str,
        to: &str,
        both: bool,
        link: Option<usize>,
    ) -> Result<(), LabError> {
        self.ask(&Ask::Cut {
            from: from.into(),
            to: to.into(),
            both,
            link,
        })
        .map(drop)
    }

    /// Lets everything through again.
    pub fn heal(&self) -> Result<(), LabError> {
        self.ask(&Ask::Heal).map(drop)
    }

    /// Runs a command in a node and keeps what it says.
    pub fn exec(&self, node: &str, words: &[&str], limit: Duration) -> Result<Said, LabError> {
        exec::capture(&self.layout, node, words, &[], limit)
    }

    /// The same with more environment.
    pub fn exec_with(
        &self,
        node: &str,
        words: &[&str],
        environment: &[(&str, &str)],
        limit: Duration,
    ) -> Result<Said, LabError> {
        exec::capture(&self.layout, node, words, environment, limit)
    }

    /// What the lab did so far.
    pub fn events(&self) -> Result<Vec<Event>, LabError> {
        events::read(&self.layout.events())
    }

    /// What the audited agents did so far.
    pub fn audit_events(&self) -> Result<Vec<Event>, LabError> {
        events::read(&self.layout.audit_events())
    }

    /// Who was active when, and whether ever twice.
    pub fn audit(&self) -> Result<Verdict, LabError> {
        Ok(audit::judge(&self.audit_events()?, &self.events()?))
    }
}
