//! `systole supervise`: starts crmd and stonithd, starts them again at once when they crash, and
//! answers the witness port (protocol.md, 3), which says that the host lives.
//!
//! It stays tiny and knows nothing of the cluster, so that nothing but its host's end ends it. If it
//! is killed all the same, the daemons run on; the next supervisor adopts them by their lock files
//! (`transport::lock`) and never starts a second one of a kind.

mod daemon;
mod witness;

use clap::Parser;
use daemon::{Context, keep};
use sd_notify::NotifyState;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::LocalSet,
};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;
use transport::{
    config::{self, Config},
    durable, lock,
};

/// Held by `systole cluster stop` while it runs: daemons that end meanwhile are not started again.
pub(crate) const STOPPING: &str = "stopping";

/// Its own lock file, which is its pid file too.
pub(crate) const SUPERVISOR: &str = "supervise";

/// Keeps crmd and stonithd up and answers the witness port.
#[derive(Debug, Parser)]
#[command(name = "systole supervise", version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Leave the terminal and its session (as `systole cluster start` asks).
    #[arg(long)]
    detach: bool,
}

/// The program `supervise`. It ends only when it is told to: SIGTERM or SIGINT end the daemons in
/// order and then itself, SIGHUP starts a daemon that has ended in order.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let name = OsString::from("systole supervise");
    let arguments = match Arguments::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    if arguments.detach {
        // Fails only for the leader of a session or group, which needs no new one.
        let _ = rustix::process::setsid();
    }
    log_to_stderr();
    let path = config::path(arguments.config.as_deref());
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            error!("supervise cannot start: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(transport::config::LOG_VARIABLE)
        .unwrap_or_else(|_| EnvFilter::new("info"));
    // Fails only if there is one already.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init();
}

/// Starts with a configuration that can be used; later edits of the file concern the daemons.
pub(crate) fn run(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let path = std::path::absolute(path)?;
    let config = Config::load(&path)?;
    durable::create_dir(&config.paths.run_dir, 0o755)?;
    let _alone = lock::acquire(&config.paths.lock_file(SUPERVISOR))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, supervise(config, path))?;
    Ok(())
}

async fn supervise(config: Config, path: PathBuf) -> std::io::Result<()> {
    let mut signals = Signals::new()?;
    witness::answer(&config);
    let node = config.node.name.clone();
    let context = Rc::new(Context { config, path });
    let (wake, woken) = watch::channel(());
    let crmd = Keeper::start("crmd", &context, &woken);
    let stonithd = Keeper::start("stonithd", &context, &woken);
    info!("supervising crmd and stonithd of node '{node}'");
    notify(&[
        NotifyState::Ready,
        NotifyState::Status("keeping crmd and stonithd up"),
    ]);
    tokio::task::spawn_local(feed_systemd());
    loop {
        match signals.next().await {
            Told::Again => wake.send_replace(()),
            Told::End(signal) => {
                info!("{signal}: ending crmd, then stonithd");
                break;
            }
        }
    }
    notify(&[NotifyState::Stopping]);
    // stonithd may be needed until crmd has ended.
    crmd.end().await;
    stonithd.end().await;
    info!("crmd and stonithd have ended; supervise ends");
    Ok(())
}

/// What the supervisor is told from outside.
enum Told {
    Again,
    End(&'static str),
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.term.recv() => Told::End("SIGTERM"),
            _ = self.int.recv() => Told::End("SIGINT"),
            _ = self.hup.recv() => Told::Again,
        }
    }
}

/// The task that keeps one daemon.
struct Keeper {
    end: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Keeper {
    fn start(name: &'static str, context: &Rc<Context>, woken: &watch::Receiver<()>) -> Self {
        let (end, ended) = watch::channel(false);
        let task = keep(name, context.clone(), ended, woken.clone());
        Self {
            end,
            task: tokio::task::spawn_local(task),
        }
    }

    async fn end(self) {
        self.end.send_replace(true);
        if let Err(error) = self.task.await {
            warn!("a keeper failed: {error}");
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!("systemd was not told: {error}");
    }
}

/// Tells systemd that this process still runs, twice as often as it wants to hear it.
async fn feed_systemd() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        tokio::time::sleep((limit / 2).max(Duration::from_millis(10))).await;
        notify(&[NotifyState::Watchdog]);
    }
}
