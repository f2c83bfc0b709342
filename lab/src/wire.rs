//! Requests to the lab's daemon: one JSON object in a line, one in answer, then the connection ends.
//! The same for fencing devices inside the nodes and for the `lab` commands outside.

use crate::error::{LabError, While, said};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// Longest line that is read.
const LONGEST: u64 = 64 * 1024;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Cut the power; answered when nothing of the node is left running.
    Off {
        /// Whose.
        node: String,
    },
    /// Switch on: a new life begins.
    On {
        /// Whose.
        node: String,
    },
    /// Off or on?
    Status {
        /// Whose.
        node: String,
    },
    /// Which nodes are there?
    List,
    /// Everything about the lab (outside only).
    Describe,
    /// End every process of a node and let its kernel close the connections (outside only).
    Kill {
        /// Whose.
        node: String,
    },
    /// End every process of a node whose links are dead first: its kernel's last words are not heard, as in
    /// a loss of power (outside only). Its power switch still says on.
    Silence {
        /// Whose.
        node: String,
    },
    /// A node that is fenced stays off until switched on from outside, or boots again (outside only).
    KeepOff {
        /// Which.
        node: String,
        /// Stay off?
        keep: bool,
    },
    /// Drop what `from` sends to `to` (outside only).
    Cut {
        /// Sender.
        from: String,
        /// Receiver.
        to: String,
        /// Both directions.
        both: bool,
        /// Only this link.
        link: Option<usize>,
    },
    /// Let everything through again (outside only).
    Heal,
    /// End the lab (outside only).
    Down,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// It was done.
    pub ok: bool,
    /// `on` or `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<String>,
    /// Names, for `list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<String>>,
    /// For `describe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<Vec<MachineState>>,
    /// Links that drop, for `describe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuts: Option<Vec<String>>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What `lab status` shows of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineState {
    /// Its name.
    pub node: String,
    /// `running`, `crashed` (power on, nothing runs) or `off`.
    pub state: String,
    /// How often it was booted.
    pub life: u64,
    /// Addresses.
    pub addresses: Vec<String>,
    /// Its first process, as the lab's daemon numbers it.
    pub pid: u32,
}

/// Asks the daemon behind a socket.
///
/// # Errors
/// The daemon's own words if it refused; that it did not answer in time otherwise.
pub(crate) fn ask(socket: &Path, ask: &Ask, limit: Duration) -> Result<Answer, LabError> {
    let what = || format!("ask the lab at {}", socket.display());
    let mut stream = UnixStream::connect(socket).during(what)?;
    stream.set_read_timeout(Some(limit)).during(what)?;
    send_line(&mut stream, ask).during(what)?;
    let answer: Answer = receive_line(&stream).during(what)?;
    match answer.error {
        Some(error) => said(error),
        None => Ok(answer),
    }
}

/// Writes one line.
pub(crate) fn send_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads one line.
pub(crate) fn receive_line<T: for<'a> Deserialize<'a>>(stream: &UnixStream) -> io::Result<T> {
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
