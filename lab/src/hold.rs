//! The service behind `ocf:systole:Audited`: a process that holds an exclusive lock outside the nodes from
//! start to stop. Two of them at once is what a cluster must never do, and here it is seen: the second finds
//! the lock held, writes a `double` line, and runs on as a real service would.

use crate::{
    error::{LabError, While, said},
    events::Event,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
    process::{Pid, PidfdFlags, Signal, pidfd_open, test_kill_process},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A stop waits this long for the holder before it ends it the hard way.
const STOP_LIMIT: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// One audited resource on one node.
pub(crate) struct Hold {
    /// Resource instance.
    pub(crate) resource: String,
    /// Folder of locks and events.
    pub(crate) dir: PathBuf,
    /// Where the holder's number is kept, inside the node.
    pub(crate) pid_file: PathBuf,
}

impl Hold {
    fn lock_file(&self) -> PathBuf {
        self.dir.join(format!("{}.lock", self.resource))
    }

    fn event(&self, what: &str, pid: u32) -> Event {
        let node = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let mut event = Event::now(what).node(&node, life());
        event.resource.clone_from(&self.resource);
        event.pid = pid;
        event
    }

    /// Writes an event down.
    pub(crate) fn note(&self, event: &Event) -> Result<(), LabError> {
        let log = self.dir.join("events");
        event
            .append(&log)
            .during(|| format!("write {}", log.display()))
    }

    /// The number of the running holder, if one runs.
    fn running(&self) -> Option<Pid> {
        let text = fs::read_to_string(&self.pid_file).ok()?;
        let pid = Pid::from_raw(text.trim().parse().ok()?)?;
        test_kill_process(pid).ok().map(|()| pid)
    }

    /// The agent's start: the holder runs when this returns.
    pub(crate) fn start(&self) -> Result<(), LabError> {
        if self.running().is_some() {
            return Ok(());
        }
        let program = std::env::current_exe().during(|| "find our own program".into())?;
        let mut child = Command::new(program)
            .args(["lab", "hold", "run", "--resource", &self.resource, "--dir"])
            .arg(&self.dir)
            .arg("--pid-file")
            .arg(&self.pid_file)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .during(|| format!("start the holder of {}", self.resource))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out)
                .read_line(&mut line)
                .during(|| format!("wait for the holder of {}", self.resource))?;
        }
        if line.trim() != "ready" {
            return said(format!("the holder of {} ended at once", self.resource));
        }
        self.note(&self.event("started", child.id()))
    }

    /// The holder itself: runs until it is told to end.
    pub(crate) fn run(&self) -> Result<(), LabError> {
        // Out of the agent's session and process group, which end with the agent.
        rustix::process::setsid().during(|| "begin a session".into())?;
        let pid = std::process::id();
        let path = self.lock_file();
        let what = || format!("lock {}", path.display());
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .during(what)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let me = self.event("start", pid);
                write_owner(&mut lock, &me).during(what)?;
                self.note(&me)?;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut owner = String::new();
                lock.read_to_string(&mut owner).during(what)?;
                self.note(
                    &self
                        .event("double", pid)
                        .detail(format!("already active: {}", owner.trim())),
                )?;
            }
            Err(e) => return Err(e).during(what),
        }
        fs::write(&self.pid_file, pid.to_string())
            .during(|| format!("write {}", self.pid_file.display()))?;
        let mut signals = nix::sys::signal::SigSet::empty();
        signals.add(nix::sys::signal::Signal::SIGTERM);
        signals
            .thread_block()
            .map_err(io::Error::from)
            .during(|| "wait for signals".into())?;
        let mut out = io::stdout().lock();
        writeln!(out, "ready")
            .and_then(|()| out.flush())
            .during(|| "say that it runs".into())?;
        drop(out);
        signals
            .wait()
            .map_err(io::Error::from)
            .during(|| "wait for signals".into())?;
        self.note(&self.event("stop", pid))?;
        drop(lock);
        Ok(())
    }

    /// The agent's stop: nothing runs when this returns.
    pub(crate) fn stop(&self) -> Result<(), LabError> {
        if let Some(pid) = self.running() {
            let what = || format!("end the holder of {}", self.resource);
            let handle = match pidfd_open(pid, PidfdFlags::empty()) {
                Err(rustix::io::Errno::SRCH) => return Ok(()),
                other => other.during(what)?,
            };
            let _ = rustix::process::pidfd_send_signal(&handle, Signal::TERM);
            let mut ended = [PollFd::new(&handle, PollFlags::IN)];
            if poll(&mut ended, Some(&STOP_LIMIT)).during(what)? == 0 {
                let _ = rustix::process::pidfd_send_signal(&handle, Signal::KILL);
                poll(&mut ended, Some(&STOP_LIMIT)).during(what)?;
            }
            self.note(&self.event("stopped", pid.as_raw_nonzero().get().unsigned_abs()))?;
        }
        match fs::remove_file(&self.pid_file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(e).during(|| format!("remove {}", self.pid_file.display()))
            }
            _ => Ok(()),
        }
    }

    /// A monitor found the service dead.
    pub(crate) fn failed(&self) -> Result<(), LabError> {
        self.note(&self.event("monitor-failed", 0))
    }
}

fn write_owner(lock: &mut File, event: &Event) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(
        lock,
        "{} life {} process {}",
        event.node, event.life, event.pid
    )
}

/// Which boot of this node it is, as the lab counts.
fn life() -> u64 {
    let text = fs::read_to_string(Path::new("/run/node/life")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}
