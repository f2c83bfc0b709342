//! Running a command inside a node from outside: the node's first process starts it, with the caller's own
//! standard input and outputs, which travel over its socket.

use crate::{
    error::{LabError, While, said},
    layout::Layout,
    wire,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Read, Seek},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

/// Longest command that can be sent.
const LONGEST: usize = 64 * 1024;

/// A command for a node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecAsk {
    /// Program and arguments.
    pub(crate) words: Vec<String>,
    /// More environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// How it ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecAnswer {
    /// Exit code; 128 and the signal's number for a killed one.
    pub(crate) code: i32,
    /// Why it could not be started.
    pub(crate) error: Option<String>,
}

/// What a command said and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output and error together.
    pub text: String,
}

/// Runs a command in a node with our own input and outputs.
pub(crate) fn run(layout: &Layout, node: &str, words: &[String]) -> Result<i32, LabError> {
    let (input, out, err) = (io::stdin(), io::stdout(), io::stderr());
    call(
        layout,
        node,
        words,
        &[],
        [input.as_fd(), out.as_fd(), err.as_fd()],
        None,
    )
}

/// Runs a command in a node and keeps what it says.
///
/// # Errors
/// When the node does not run, the command cannot be started, or takes longer than `limit`.
pub(crate) fn capture(
    layout: &Layout,
    node: &str,
    words: &[&str],
    environment: &[(&str, &str)],
    limit: Duration,
) -> Result<Said, LabError> {
    let what = || format!("keep what '{}' says on {node}", words.join(" "));
    let null = File::open("/dev/null").during(what)?;
    let mut kept = tempfile::tempfile().during(what)?;
    let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
    let outputs = [null.as_fd(), kept.as_fd(), kept.as_fd()];
    let code = call(layout, node, &words, environment, outputs, Some(limit))?;
    let mut text = Vec::new();
    kept.rewind()
        .and_then(|()| kept.read_to_end(&mut text))
        .during(what)?;
    Ok(Said {
        code,
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

fn call(
    layout: &Layout,
    node: &str,
    words: &[String],
    environment: &[(&str, &str)],
    descriptors: [BorrowedFd<'_>; 3],
    limit: Option<Duration>,
) -> Result<i32, LabError> {
    let socket = layout.run(node).join("lab-init.sock");
    let what = || format!("run '{}' on {node}", words.join(" "));
    let stream = UnixStream::connect(&socket).map_err(|source| LabError::Io {
        what: format!("node {node} does not run here"),
        source,
    })?;
    stream.set_read_timeout(limit).during(what)?;
    let environment = environment
        .iter()
        .map(|&(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    send(
        &stream,
        &ExecAsk {
            words: words.to_vec(),
            environment,
        },
        descriptors,
    )
    .during(what)?;
    let answer: ExecAnswer = wire::receive_line(&stream).during(what)?;
    match answer.error {
        Some(error) => said(format!("{node}: {error}")),
        None => Ok(answer.code),
    }
}

fn send(stream: &UnixStream, ask: &ExecAsk, descriptors: [BorrowedFd<'_>; 3]) -> io::Result<()> {
    let line = serde_json::to_vec(ask)?;
    if line.len() > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the command is too long",
        ));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let sent = sendmsg(
        stream,
        &[IoSlice::new(&line)],
        &mut control,
        SendFlags::empty(),
    )?;
    if sent == line.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// One message with three descriptors.
pub(crate) fn receive<T: for<'a> Deserialize<'a>>(
    stream: &UnixStream,
) -> io::Result<(T, [OwnedFd; 3])> {
    let mut line = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut line)];
    let got = recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let value = serde_json::from_slice(line.get(..got.bytes).unwrap_or_default())?;
    let descriptors = descriptors
        .try_into()
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok((value, descriptors))
}
