//! The power switch of a lab on this machine: one line of JSON there, one back, over a Unix socket.
//!
//! `{"op":"off"|"on"|"status"|"list","node":"NAME"}` is answered by `{"ok":true,"power":"off"}`,
//! `{"ok":true,"nodes":[…]}` or `{"ok":false,"error":"…"}`. `off` is answered when nothing of the node runs.

use super::{Plugin, failed};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{io, path::Path, time::Duration};
use stonithd_core::{Call, CallResult, Power, Verb};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::timeout,
};

/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Lab;

#[derive(Serialize)]
struct Question<'a> {
    op: &'a str,
    node: &'a str,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    ok: bool,
    error: String,
    power: String,
    nodes: Vec<String>,
}

impl Plugin for Lab {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult> {
        Box::pin(async move {
            let op = match call.verb {
                Verb::Off | Verb::On | Verb::Status | Verb::List => call.verb.word(),
                Verb::Monitor => Verb::List.word(),
                Verb::Reboot => return CallResult::Unsupported,
            };
            let Some(socket) = call.parameters.get("socket") else {
                return failed(format!("device {} has no parameter 'socket'", call.device));
            };
            let question = Question {
                op,
                node: &call.port,
            };
            let limit = Duration::from_millis(call.timeout_ms);
            match timeout(limit, ask(Path::new(socket), &question)).await {
                Ok(Ok(answer)) => result(call.verb, answer),
                Ok(Err(e)) => failed(format!("{socket}: {e}")),
                Err(_) => failed(format!("{socket}: no answer within {} ms", call.timeout_ms)),
            }
        })
    }
}

async fn ask(socket: &Path, question: &Question<'_>) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(question).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER))
        .read_until(b'\n', &mut answer)
        .await?;
    serde_json::from_slice(&answer)
        .map_err(|e| io::Error::other(format!("not an answer of a lab: {e}")))
}

fn result(verb: Verb, answer: Answer) -> CallResult {
    if !answer.ok {
        return failed(answer.error);
    }
    match (verb, answer.power.as_str()) {
        (Verb::List, _) => CallResult::Targets(answer.nodes),
        (Verb::Status, "off") => CallResult::Status(Power::Off),
        (Verb::Status, "on") => CallResult::Status(Power::On),
        (Verb::Status, other) => failed(format!("'{other}' is not a state of power")),
        _ => CallResult::Done,
    }
}
