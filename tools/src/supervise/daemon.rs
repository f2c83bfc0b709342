//! One daemon: started or adopted, watched, started again.

use super::STOPPING;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::{Path, PathBuf},
    process::Stdio,
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    process::{Child, Command},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{error, info, warn};
use transport::{config::Config, lock};

/// What every keeper needs.
pub(super) struct Context {
    pub(super) config: Config,
    /// Absolute path of the configuration file.
    pub(super) path: PathBuf,
}

/// How a daemon came to its end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// It says that it shall not be started again.
    InOrder,
    /// Anything else.
    Crash(String),
}

/// Keeps a daemon up until told to end it.
pub(super) async fn keep(
    name: &'static str,
    context: Rc<Context>,
    mut end: watch::Receiver<bool>,
    mut woken: watch::Receiver<()>,
) {
    let mut crashes = 0;
    loop {
        let started = Instant::now();
        let Some(ended) = run(name, &context, &mut end).await else {
            return;
        };
        let reset = Duration::from_millis(context.config.timing.restart_reset_ms);
        if started.elapsed() >= reset {
            crashes = 0;
        }
        let next = match ended {
            End::InOrder => {
                info!("{name} ended in order; not started again until SIGHUP");
                crashes = 0;
                wait(&mut end, woken_again(&mut woken)).await
            }
            End::Crash(how) => {
                let pause = pause(&context.config.timing.restart_pauses_ms, crashes);
                crashes += 1;
                error!(
                    "{name} {how}; starting it again in {} ms",
                    pause.as_millis()
                );
                wait(&mut end, calm(&context.config, pause)).await
            }
        };
        if !next {
            return;
        }
    }
}

/// The pause before the start that follows the `crashes`-th crash in a row.
fn pause(pauses_ms: &[u64], crashes: usize) -> Duration {
    let pause = pauses_ms.get(crashes).or(pauses_ms.last());
    Duration::from_millis(pause.copied().unwrap_or(0))
}

/// Waits for `this`, unless told to end first: then false.
async fn wait(end: &mut watch::Receiver<bool>, this: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = this => true,
        _ = end.wait_for(|end| *end) => false,
    }
}

async fn woken_again(woken: &mut watch::Receiver<()>) {
    woken.mark_unchanged();
    if woken.changed().await.is_err() {
        std::future::pending().await
    }
}

/// The pause before a restart; longer while `systole cluster stop` is at work.
async fn calm(config: &Config, pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    let stopping = config.paths.lock_file(STOPPING);
    while matches!(lock::holder(&stopping), Ok(Some(_))) {
        sleep(Duration::from_millis(50)).await;
    }
}

/// One run of the daemon, from its start (or adoption) to its end; `None` when it was ended because
/// the supervisor was told to end.
async fn run(
    name: &'static str,
    context: &Context,
    end: &mut watch::Receiver<bool>,
) -> Option<End> {
    let mut running = match begin(name, context) {
        Ok(running) => running,
        Err(error) => return Some(End::Crash(format!("cannot be started: {error}"))),
    };
    tokio::select! {
        ended = running.ended() => return Some(ended),
        _ = end.wait_for(|end| *end) => {}
    }
    let limit = Duration::from_millis(context.config.timing.daemon_stop_timeout_ms);
    running.terminate(name, limit).await;
    None
}

fn begin(name: &'static str, context: &Context) -> io::Result<Running> {
    match lock::holder(&context.config.paths.lock_file(name)) {
        Ok(Some(pid)) => match adopt(pid) {
            Ok(running) => {
                info!("{name} runs already as process {pid}: adopted");
                return Ok(running);
            }
            // It ended in this moment.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
            Err(error) => return Err(error),
        },
        Ok(None) => {}
        Err(error) => return Err(io::Error::other(error)),
    }
    let child = spawn(name, &context.path)?;
    info!("{name} started as process {}", child.id().unwrap_or(0));
    Ok(Running::Own(child))
}

fn adopt(pid: u32) -> io::Result<Running> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id in its lock file"))?;
    let fd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    // A pidfd becomes readable when its process ends.
    #[expect(
        deprecated,
        reason = "the replacement is unsafe; an OwnedFd keeps the one descriptor it has"
    )]
    let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
    Ok(Running::Adopted(fd))
}

fn spawn(name: &'static str, config: &Path) -> io::Result<Child> {
    let mut command = std::process::Command::new(program(name));
    command
        .arg0(name)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        // A ^C at the supervisor's terminal is for the supervisor alone.
        .process_group(0);
    for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(variable);
    }
    Command::from(command).spawn()
}

/// The link of that name beside this program, which is how people know it in `ps`; else this program.
fn program(name: &str) -> PathBuf {
    let own = PathBuf::from("/proc/self/exe");
    let Ok(real) = std::fs::canonicalize(&own) else {
        return own;
    };
    let link = real.with_file_name(name);
    match std::fs::canonicalize(&link) {
        Ok(target) if target == real => link,
        _ => real,
    }
}

enum Running {
    Own(Child),
    Adopted(AsyncFd<OwnedFd>),
}

impl Running {
    async fn ended(&mut self) -> End {
        match self {
            Self::Own(child) => match child.wait().await {
                Ok(status) if status.success() => End::InOrder,
                Ok(status) => End::Crash(format!("ended: {status}")),
                Err(error) => End::Crash(format!("is lost: {error}")),
            },
            Self::Adopted(fd) => match fd.readable().await {
                // Only its parent learns how.
                Ok(_) => End::Crash("(adopted) ended".to_owned()),
                Err(error) => End::Crash(format!("(adopted) is lost: {error}")),
            },
        }
    }

    fn signal(&self, signal: Signal) {
        let sent = match self {
            Self::Adopted(fd) => pidfd_send_signal(fd, signal),
            Self::Own(child) => {
                let id = child.id().and_then(|id| i32::try_from(id).ok());
                match id.and_then(Pid::from_raw) {
                    Some(pid) => rustix::process::kill_process(pid, signal),
                    None => Ok(()),
                }
            }
        };
        match sent {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => warn!("{signal:?} was not sent: {error}"),
        }
    }

    async fn terminate(&mut self, name: &str, limit: Duration) {
        self.signal(Signal::TERM);
        if timeout(limit, self.ended()).await.is_ok() {
            return;
        }
        warn!(
            "{name} did not end within {} ms of SIGTERM: killing it; what it ran runs on",
            limit.as_millis()
        );
        self.signal(Signal::KILL);
        if timeout(limit, self.ended()).await.is_err() {
            error!("{name} cannot even be killed (stuck in the kernel?); leaving it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_crash_costs_nothing_and_the_last_pause_repeats() {
        let pauses = [0, 100, 1_000, 5_000];
        let ms = |crashes| pause(&pauses, crashes).as_millis();
        assert_eq!(
            [ms(0), ms(1), ms(2), ms(3), ms(9)],
            [0, 100, 1_000, 5_000, 5_000]
        );
        assert_eq!(pause(&[], 3), Duration::ZERO);
    }
}
