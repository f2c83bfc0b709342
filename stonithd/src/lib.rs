//! The fencing daemon: plugins and sockets around stonithd-core.
//!
//! Everything here translates; whether a node is fenced is the core's to say. It keeps working while
//! crmd is away: with the devices it last knew, for whoever may order it.

mod configuration;
mod daemon;
mod driver;
pub mod machine;
mod peers;
mod plugin;
mod service;

use clap::Parser;
pub use daemon::{Daemon, StartError};
pub use plugin::SSH_METADATA;
use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use transport::config::{self, Config};

/// Exit code of a daemon that cannot start like this (`EX_CONFIG`).
const CANNOT_START: u8 = 78;

/// The fencing daemon: ends nodes and proves that they are down. Started by `systole supervise` or systemd.
#[derive(Debug, Parser)]
#[command(name = "stonithd", version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The program `stonithd`. Exit code 0: ended as asked; 1: start again; 78: cannot start like this.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let name = OsString::from("stonithd");
    let arguments = match Arguments::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
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
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_env(config::LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    // Fails only if a subscriber is there already, as in a test.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init();
}

async fn run(arguments: Arguments) -> ExitCode {
    let path = config::path(arguments.config.as_deref());
    let started = match Config::load(&path) {
        Ok(config) => Daemon::start(&config).await,
        Err(error) => Err(error.into()),
    };
    let daemon = match started {
        Ok(daemon) => daemon,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::from(CANNOT_START);
        }
    };
    notify(&[sd_notify::NotifyState::Ready]);
    tokio::spawn(feed_systemd());
    tokio::select! {
        // The other branch is dropped, and the daemon with it.
        () = asked_to_end() => {
            notify(&[sd_notify::NotifyState::Stopping]);
            tracing::info!("stonithd ends as asked; what a device is doing goes on, and counts as unknown");
            ExitCode::SUCCESS
        }
        reason = daemon.broken() => {
            tracing::error!("stonithd cannot go on and shall be started anew: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn asked_to_end() {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::warn!("signals cannot be caught; only SIGKILL ends this daemon");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Says that we live as often as systemd wants to hear it.
async fn feed_systemd() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        tokio::time::sleep(limit / 3).await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Without systemd this does nothing; with it a failure costs us a restart by its watchdog at worst.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    let _ = sd_notify::notify(state);
}
