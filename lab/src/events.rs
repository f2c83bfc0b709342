//! The two logs of a lab, one JSON object a line: what the lab did (`events.jsonl`) and what audited
//! agents did (`shared/audit/events`).

use crate::{
    clock::Moment,
    error::{LabError, While},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// One line of either log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    #[serde(flatten)]
    pub at: Moment,
    /// What: `boot`, `crash`, `silence`, `fence-request`, `fence-done`, `cut`, `heal`; `start`, `started`, `stop`,
    /// `stopped`, `double`, `monitor-failed`.
    pub event: String,
    /// Which node it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Which boot of that node.
    #[serde(default)]
    pub life: u64,
    /// Which resource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// Process of the service, as the node numbers it.
    #[serde(default)]
    pub pid: u32,
    /// Anything else, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Event {
    /// Something that happened just now.
    pub fn now(event: &str) -> Self {
        Self {
            at: Moment::now(),
            event: event.to_owned(),
            ..Self::default()
        }
    }

    /// To which node.
    pub fn node(mut self, node: &str, life: u64) -> Self {
        self.node = node.to_owned();
        self.life = life;
        self
    }

    /// In more words.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Appends it to a log, in one write so that lines of several writers never mix.
    pub fn append(&self, log: &Path) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)?
            .write_all(&line)
    }
}

/// All events of a log, in the order of their time. A log that does not exist is empty.
pub(crate) fn read(log: &Path) -> Result<Vec<Event>, LabError> {
    let text = match fs::read_to_string(log) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.during(|| format!("read {}", log.display()))?,
    };
    let mut events = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let event: Event = serde_json::from_str(line)
            .map_err(io::Error::from)
            .during(|| format!("{}:{}", log.display(), number + 1))?;
        events.push(event);
    }
    events.sort_by(|a, b| a.at.boottime_ms.total_cmp(&b.at.boottime_ms));
    Ok(events)
}
