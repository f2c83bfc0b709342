//! The first process of a node: collects orphans, keeps the node's service running, and runs commands
//! that come in from outside. Its end is the end of every process of the node.

use crate::{
    error::{LabError, While, said},
    exec::{self, ExecAnswer, ExecAsk},
    isolate,
    layout::IN_NODE_OWN,
    wire,
};
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait},
};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// Socket for commands from outside, inside the node.
const SOCKET: &str = "/run/lab-init.sock";
/// Before a service that ended by itself is started again.
const RESTART: Duration = Duration::from_millis(500);
/// How often is looked whether the service shall run, or a caller went away.
const POLL: Duration = Duration::from_millis(20);

/// What the service is, one word a line; while this file does not exist there is none.
pub(crate) fn service_file(node_dir: &Path) -> PathBuf {
    node_dir.join("etc/service")
}

#[derive(Clone, Default)]
struct Init {
    /// Who waits for the end of which process. Held while starting one, so that no end comes first.
    waiting: Arc<Mutex<BTreeMap<u32, mpsc::Sender<i32>>>>,
}

/// Runs as process 1 of a node. Returns only if it could not begin.
pub(crate) fn run() -> Result<(), LabError> {
    isolate::mount_proc()?;
    let listener = UnixListener::bind(SOCKET).during(|| format!("listen at {SOCKET}"))?;
    let init = Init::default();
    let reaper = init.clone();
    thread::spawn(move || reaper.reap_for_ever());
    let keeper = init.clone();
    thread::spawn(move || keeper.keep_service());
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let init = init.clone();
                thread::spawn(move || init.client(stream));
            }
            Err(e) => {
                eprintln!("init: {e}");
                thread::sleep(POLL);
            }
        }
    }
    Ok(())
}

impl Init {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u32, mpsc::Sender<i32>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects every process that ends; whoever waits for it is told its exit code.
    fn reap_for_ever(&self) {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => {
                    let waiting = self
                        .waiting()
                        .remove(&pid.as_raw_nonzero().get().unsigned_abs());
                    if let Some(waiting) = waiting {
                        let _ = waiting.send(exit_code(status));
                    }
                }
                Err(Errno::INTR) | Ok(None) => {}
                // No children yet.
                Err(_) => thread::sleep(POLL / 10),
            }
        }
    }

    /// Starts a process that [`Init::reap_for_ever`] will collect.
    fn start(&self, command: &mut Command) -> io::Result<(u32, mpsc::Receiver<i32>)> {
        let (ended, end) = mpsc::channel();
        let mut waiting = self.waiting();
        let pid = command.process_group(0).spawn()?.id();
        waiting.insert(pid, ended);
        Ok((pid, end))
    }

    /// Starts the service when it is wanted and again when it ended in failure, as a service manager does.
    fn keep_service(&self) {
        loop {
            match service_words() {
                Some(words) => {
                    let code = self.run_service(&words);
                    eprintln!(
                        "init: the service '{}' ended with code {code}",
                        words.join(" ")
                    );
                    if code == 0 {
                        let _ = fs::remove_file(service_file(Path::new(IN_NODE_OWN)));
                    }
                    thread::sleep(RESTART);
                }
                None => thread::sleep(POLL),
            }
        }
    }

    fn run_service(&self, words: &[String]) -> i32 {
        let Some((program, args)) = words.split_first() else {
            return 0;
        };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null());
        match service_log().and_then(|log| Ok((log.try_clone()?, log))) {
            Ok((out, err)) => command.stdout(out).stderr(err),
            Err(_) => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
        match self.start(&mut command) {
            Ok((_, end)) => end.recv().unwrap_or(1),
            Err(e) => {
                eprintln!("init: {program}: {e}");
                127
            }
        }
    }

    /// Runs one command with the caller's own input and outputs.
    fn client(&self, mut stream: UnixStream) {
        let answer = match self.execute(&stream) {
            Ok(code) => ExecAnswer { code, error: None },
            Err(e) => ExecAnswer {
                code: 127,
                error: Some(e.to_string()),
            },
        };
        let _ = wire::send_line(&mut stream, &answer);
    }

    fn execute(&self, stream: &UnixStream) -> io::Result<i32> {
        let (ask, [input, out, err]) = exec::receive::<ExecAsk>(stream)?;
        let mut words = ask.words.iter();
        let program = words.next().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(words)
            .envs(ask.environment.iter().map(|(k, v)| (k, v)));
        command.stdin(input).stdout(out).stderr(err);
        let (pid, end) = self
            .start(&mut command)
            .map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
        // The caller's descriptors are the command's alone now.
        drop(command);
        loop {
            match end.recv_timeout(POLL * 5) {
                Ok(code) => return Ok(code),
                Err(mpsc::RecvTimeoutError::Timeout) if gone(stream) => {
                    if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                        let _ = kill_process_group(group, Signal::KILL);
                    }
                    return Ok(137);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
            }
        }
    }
}

/// Whether the caller hung up.
fn gone(stream: &UnixStream) -> bool {
    let mut byte = [0_u8; 1];
    let peeked = recv(
        stream,
        byte.as_mut_slice(),
        RecvFlags::PEEK | RecvFlags::DONTWAIT,
    );
    matches!(peeked, Ok((_, 0)))
}

fn exit_code(status: WaitStatus) -> i32 {
    let killed = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(killed).unwrap_or(1)
}

fn service_words() -> Option<Vec<String>> {
    let text = fs::read_to_string(service_file(Path::new(IN_NODE_OWN))).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

fn service_log() -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(Path::new(IN_NODE_OWN).join("log/systole.log"))
}

/// SIGKILL for the processes of this node that run a program of ours, under its own name or as the
/// first word after `systole`.
pub(crate) fn crash_program(name: &str) -> Result<(), LabError> {
    let mut killed = 0;
    for entry in fs::read_dir("/proc")
        .during(|| "read /proc".into())?
        .flatten()
    {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse().ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| runs(&entry.path(), name)) else {
            continue;
        };
        kill_process(pid, Signal::KILL)
            .during(|| format!("kill {name} (process {})", pid.as_raw_nonzero()))?;
        killed += 1;
    }
    if killed == 0 {
        said(format!("{name} does not run on this node"))
    } else {
        Ok(())
    }
}

fn runs(process: &Path, name: &str) -> bool {
    let line = fs::read(process.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split('\0');
    let program = words
        .next()
        .and_then(|w| w.rsplit('/').next())
        .unwrap_or_default();
    program == name || (program == "systole" && words.next() == Some(name))
}
