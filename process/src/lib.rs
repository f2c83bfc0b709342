//! Running other programs: process group, deadline, bounded capture.
//!
//! A [`Program`] is started by `posix_spawn` (no copy of a large daemon, no code between fork and
//! exec) in a process group of its own and watched through a pidfd: nothing here polls. It never
//! waits for grandchildren that keep the output open, never keeps more output than asked for, and
//! never signals a group that may already belong to somebody else.
//!
//! [`leftover`] finds and ends what an earlier run of the same daemon had started.

mod capture;
pub mod leftover;
mod procfs;
mod supervise;

pub use capture::Captured;
pub use procfs::start_time;

use serde::{Deserialize, Serialize};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use supervise::{PidFd, Supervisor};
use tokio::{sync::Notify, task::JoinHandle};

/// Environment variable that carries [`Program::mark`] to the program and all it starts.
pub const MARK_VARIABLE: &str = "SYSTOLE_MARK";

/// Output kept of each stream unless told otherwise, in bytes.
pub const DEFAULT_CAPTURE_BYTES: usize = 64 * 1024;

/// Time between SIGTERM and SIGKILL unless told otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_millis(500);

/// A program to run: what, with what, for how long.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    inherit_env: bool,
    directory: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    capture_bytes: usize,
    deadline: Option<Duration>,
    grace: Duration,
    mark: String,
}

/// The program could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot run {}: {source}", program.display())]
pub struct SpawnError {
    /// Which program.
    pub program: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

impl SpawnError {
    /// The program (or the interpreter its first line names) does not exist or may not be executed.
    pub fn is_not_installed(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
        )
    }
}

/// Names a process group across a restart of the daemon that started it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Process id of the leader and id of the group.
    pub pgid: i32,
    /// When the leader started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
    /// [`Program::mark`], empty if none was set.
    pub mark: String,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// Its deadline came, and its group was ended.
    TimedOut,
    /// It was cancelled, and its group was ended.
    Cancelled,
}

/// What is known of a program that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How.
    pub end: End,
    /// Its standard output.
    pub stdout: Captured,
    /// Its standard error.
    pub stderr: Captured,
    /// From its start to its end.
    pub elapsed: Duration,
    /// Processes of the group that SIGKILL did not end in time (uninterruptible sleep), only after
    /// `TimedOut` and `Cancelled`. While this is not empty the work may still be going on.
    pub survivors: Vec<i32>,
}

impl Program {
    /// Runs `path` (absolute: no search) without arguments, with an empty standard input, without deadline.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            inherit_env: true,
            directory: None,
            stdin: None,
            capture_bytes: DEFAULT_CAPTURE_BYTES,
            deadline: None,
            grace: DEFAULT_GRACE,
            mark: String::new(),
        }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts from an empty environment instead of our own.
    pub fn clear_env(mut self) -> Self {
        self.inherit_env = false;
        self
    }

    /// Working directory.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Bytes for its standard input, which is closed after them.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Keep at most this much of each output stream: its beginning and its end.
    pub fn capture_bytes(mut self, bytes: usize) -> Self {
        self.capture_bytes = bytes;
        self
    }

    /// End the whole group when it has not ended by itself after this time.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Between SIGTERM and SIGKILL.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// A text that names this execution in the environment ([`MARK_VARIABLE`]), so that it can be found
    /// even if the daemon dies before it has written down the process id.
    pub fn mark(mut self, mark: impl Into<String>) -> Self {
        self.mark = mark.into();
        self
    }

    /// Starts it. Needs a tokio runtime with I/O and time, which supervises it to its end even if the
    /// [`Running`] is dropped.
    ///
    /// # Errors
    /// The program cannot be executed, or the system is out of processes or descriptors.
    pub fn spawn(self) -> Result<Running, SpawnError> {
        let program = self.path.clone();
        self.try_spawn()
            .map_err(|source| SpawnError { program, source })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// As [`Program::spawn`].
    pub async fn run(self) -> Result<Finished, SpawnError> {
        let program = self.path.clone();
        self.spawn()?
            .wait()
            .await
            .map_err(|source| SpawnError { program, source })
    }

    fn try_spawn(self) -> io::Result<Running> {
        let started = Instant::now();
        let mut child = self.command().spawn()?;
        let pgid = child.id() as i32;
        let group = Group {
            pgid,
            start_time: procfs::start_time(pgid).unwrap_or_default(),
            mark: self.mark,
        };
        let cancel = Arc::new(Notify::new());
        let supervisor = Supervisor {
            leader: PidFd::open(pgid)?,
            pgid,
            stdin: child.stdin.take().zip(self.stdin),
            stdout: capture::Stream::new(child.stdout.take(), self.capture_bytes)?,
            stderr: capture::Stream::new(child.stderr.take(), self.capture_bytes)?,
            deadline: self.deadline,
            grace: self.grace,
            cancel: Arc::clone(&cancel),
            started,
        };
        Ok(Running {
            group,
            cancel,
            task: tokio::spawn(supervisor.run()),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if !self.inherit_env {
            command.env_clear();
        }
        if !self.mark.is_empty() {
            command.env(MARK_VARIABLE, &self.mark);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let stdin = match self.stdin {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        };
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }
}

/// A program under way. Dropping it neither ends the program nor its deadline.
#[derive(Debug)]
pub struct Running {
    group: Group,
    cancel: Arc<Notify>,
    task: JoinHandle<Finished>,
}

impl Running {
    /// Its process group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Something that can end it from elsewhere.
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::clone(&self.cancel))
    }

    /// Waits for its end, which the deadline bounds if there is one.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub async fn wait(self) -> io::Result<Finished> {
        self.task.await.map_err(io::Error::other)
    }
}

/// Ends a program with its whole group.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<Notify>);

impl Canceller {
    /// SIGTERM now, SIGKILL after the grace. Does nothing to a program that has ended.
    pub fn cancel(&self) {
        self.0.notify_one();
    }
}
