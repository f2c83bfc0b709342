//! Watches one program to its end.

use crate::{End, Finished, capture::Stream, procfs};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, pidfd_open,
    waitid,
};
use std::{
    future::pending,
    io,
    os::fd::{AsFd, OwnedFd},
    process::ChildStdin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncWriteExt, Interest, unix::AsyncFd},
    net::unix::pipe,
    sync::Notify,
    time::{sleep, timeout},
};

/// How long SIGKILL may take to show; a process in uninterruptible sleep can outlive it.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// A process that cannot be confused with another one of the same id.
#[derive(Debug)]
pub(crate) struct PidFd(AsyncFd<OwnedFd>);

impl PidFd {
    /// Of a process that cannot be gone meanwhile (our own child), or whose identity is checked afterwards.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        // Only reading makes sense: a pidfd becomes readable when the process ends.
        #[expect(
            deprecated,
            reason = "its successor is an unsafe function; with an OwnedFd this one is sound"
        )]
        AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&self) {
        if self.0.readable().await.is_err() {
            pending().await
        }
    }

    fn status(&self, options: WaitIdOptions) -> Option<WaitIdStatus> {
        let options = options | WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        waitid(WaitId::PidFd(self.0.as_fd()), options)
            .ok()
            .flatten()
    }
}

/// Sends a signal to a group that is known to be the one meant.
pub(crate) fn signal_group(pgid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pgid) {
        // It fails only when nobody is left in the group, which is what we want.
        let _ = kill_process_group(pid, signal);
    }
}

/// Waits until no process of the group lives, without polling.
pub(crate) async fn group_ended(pgid: i32) {
    loop {
        let members = procfs::members(pgid);
        if members.is_empty() {
            return;
        }
        for member in members {
            let Ok(fd) = PidFd::open(member.pid) else {
                continue;
            };
            // The id may have passed on to another process between the look and the open.
            if procfs::stat(member.pid).is_some_and(|s| s.start_time == member.start_time) {
                fd.ended().await;
            }
        }
    }
}

pub(crate) struct Supervisor {
    pub(crate) leader: PidFd,
    pub(crate) pgid: i32,
    pub(crate) stdin: Option<(ChildStdin, Vec<u8>)>,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) cancel: Arc<Notify>,
    pub(crate) started: Instant,
}

impl Supervisor {
    pub(crate) async fn run(self) -> Finished {
        let Self {
            leader,
            pgid,
            stdin,
            mut stdout,
            mut stderr,
            deadline,
            grace,
            cancel,
            started,
        } = self;
        let watch = watch(&leader, pgid, deadline, grace, &cancel);
        let pump = async {
            tokio::join!(feed(stdin), stdout.pump(), stderr.pump());
            pending::<(End, Vec<i32>)>().await
        };
        let (end, survivors) = tokio::select! {
            biased;
            ended = watch => ended,
            never = pump => never,
        };
        // Only now: while the leader is not collected, nobody else can get its id or its group's.
        let _ = leader.status(WaitIdOptions::empty());
        Finished {
            end,
            stdout: stdout.finish(),
            stderr: stderr.finish(),
            elapsed: started.elapsed(),
            survivors,
        }
    }
}

async fn watch(
    leader: &PidFd,
    pgid: i32,
    deadline: Option<Duration>,
    grace: Duration,
    cancel: &Notify,
) -> (End, Vec<i32>) {
    let expired = async {
        match deadline {
            Some(after) => sleep(after).await,
            None => pending().await,
        }
    };
    let why = tokio::select! {
        biased;
        () = leader.ended() => return (end_of(leader), Vec::new()),
        () = cancel.notified() => End::Cancelled,
        () = expired => End::TimedOut,
    };
    (why, end_group(leader, pgid, grace).await)
}

fn end_of(leader: &PidFd) -> End {
    match leader.status(WaitIdOptions::NOWAIT) {
        Some(status) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => End::Exited(code),
            (None, Some(signal)) => End::Signalled(signal),
            (None, None) => End::Signalled(0),
        },
        None => End::Signalled(0),
    }
}

/// SIGTERM, grace, SIGKILL; answers with those who outlive even that.
async fn end_group(leader: &PidFd, pgid: i32, grace: Duration) -> Vec<i32> {
    let all_ended = || async {
        leader.ended().await;
        group_ended(pgid).await;
    };
    signal_group(pgid, Signal::TERM);
    if timeout(grace, all_ended()).await.is_ok() {
        return Vec::new();
    }
    signal_group(pgid, Signal::KILL);
    if timeout(KILL_WAIT, all_ended()).await.is_ok() {
        return Vec::new();
    }
    procfs::members(pgid).iter().map(|s| s.pid).collect()
}

/// Writes the input and closes it; a program that does not read it all is its own business.
async fn feed(stdin: Option<(ChildStdin, Vec<u8>)>) {
    let Some((end, bytes)) = stdin else { return };
    if let Ok(mut sender) = pipe::Sender::from_owned_fd(end.into()) {
        let _ = sender.write_all(&bytes).await;
    }
}
