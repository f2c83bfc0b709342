//! The node daemon: tonic, openraft, redb, signals around crmd-core.
//!
//! Everything here translates: an event becomes an [`crmd_core::input::Input`], a
//! [`crmd_core::command::Command`] becomes an effect, in its order ([`driver`]). Decisions are the
//! core's.

mod agents;
mod alerts;
mod cib_file;
mod clock;
pub mod daemon;
mod driver;
mod fence_devices;
mod fencing;
mod join;
mod journal;
mod links;
mod local_server;
mod log_store;
pub mod machine;
mod membership;
mod metrics;
mod peer_link;
mod peer_server;
mod raft_control;
mod raft_net;
mod raft_pace;
mod raft_types;
mod realtime;
mod schedule;
mod state_machine;
mod storage_watch;
mod wire;
mod witness;

use clap::Parser;
use daemon::{Daemon, StartError};
pub use driver::Ending;
use driver::{Event, Events};
pub use local_server::Client;
use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::{sleep, timeout},
};
use tracing_subscriber::EnvFilter;
use transport::config::{self, Config};

/// The node daemon: keeps the configuration in agreement, watches the members, decides where
/// resources run and runs them. Started by `systole supervise` or systemd.
#[derive(Debug, Parser)]
#[command(name = "crmd", version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The program `crmd`. Exit code 0: ended as asked or left the cluster, do not start again; 1: start
/// again; 78: cannot start like this.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let name = OsString::from("crmd");
    let arguments = match Arguments::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    log_to_stderr();
    realtime::memory();
    // One thread for everything that waits: nothing is handed from core to core, which costs more than
    // the work itself. What takes long (deciding, writing) has threads of its own.
    realtime::thread();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(4)
        .on_thread_start(realtime::thread)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start any thread");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run(arguments));
    // Agents that are still at work go on; the next incarnation finds them in the journal.
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_env(config::LOG_VARIABLE)
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=error"));
    // Fails only if a subscriber is there already, as in a test.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_env_filter(filter)
        .try_init();
}

async fn run(arguments: Arguments) -> ExitCode {
    let path = config::path(arguments.config.as_deref());
    let started = match Config::load(&path) {
        Ok(config) => start(&config).await,
        Err(error) => Err(error.into()),
    };
    match started {
        Ok(daemon) => finish(daemon).await,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            ExitCode::from(78)
        }
    }
}

async fn start(config: &Config) -> Result<Daemon, StartError> {
    let daemon = Daemon::start(config).await?;
    tokio::spawn(end_on_signal(daemon.events()));
    tokio::spawn(feed_systemd(daemon.events()));
    tracing::info!(
        node = config.node.name,
        cluster = config.cluster.name,
        version = env!("CARGO_PKG_VERSION"),
        "crmd runs"
    );
    Ok(daemon)
}

async fn finish(daemon: Daemon) -> ExitCode {
    let ending = daemon.run().await;
    notify(&[sd_notify::NotifyState::Stopping]);
    match ending {
        Ending::Asked => {
            tracing::info!("crmd ends as asked; resources run on");
            ExitCode::SUCCESS
        }
        Ending::Left(reason) => {
            tracing::info!("crmd ends: {reason}");
            ExitCode::SUCCESS
        }
        Ending::Broken(reason) => {
            tracing::error!(
                "crmd cannot go on and shall be started anew; resources run on: {reason}"
            );
            ExitCode::FAILURE
        }
    }
}

async fn end_on_signal(events: Events) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return tracing::warn!("signals cannot be caught; only SIGKILL ends this daemon");
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    let _ = events.send(Event::Stop(Ending::Asked));
}

/// Tells systemd that we are ready, then that the driver is alive, as often as it wants to hear it.
async fn feed_systemd(events: Events) {
    notify(&[sd_notify::NotifyState::Ready]);
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        sleep(limit / 3).await;
        let (reply, answer) = oneshot::channel();
        let asked = events.send(Event::View { reply });
        if asked.is_ok() && matches!(timeout(limit / 3, answer).await, Ok(Ok(_))) {
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}

/// Without systemd this does nothing; with it a failure costs us a restart by its watchdog at worst.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
