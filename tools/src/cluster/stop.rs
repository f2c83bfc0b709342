//! `stop`: leave in order, then end the daemons.

use super::{
    Failure,
    call::{CallError, call},
    output::say,
};
use crate::supervise::{STOPPING, SUPERVISOR};
use clap::Args;
use crmd_core::request::Request;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use transport::{
    config::Config,
    local::LocalError,
    lock::{self, Lock},
};

/// After this a person is told what is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Stop the resources of this node and its daemons, in order.
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// How many seconds the resources may take to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_200)]
    timeout: u64,
    /// End the daemons without leaving: resources run on unwatched, and the others, who take this
    /// for a crash, will fence this node.
    #[arg(long)]
    force: bool,
}

impl Stop {
    pub(super) async fn run(&self, config: &Config) -> Result<(), Failure> {
        if self.force {
            return end(config).await;
        }
        stop(config, Duration::from_secs(self.timeout)).await
    }
}

/// Leaves in order and ends the daemons.
pub(super) async fn stop(config: &Config, limit: Duration) -> Result<(), Failure> {
    let _held = hold(config)?;
    leave(config, limit).await?;
    end(config).await
}

/// While this is held, the supervisor starts nothing again.
fn hold(config: &Config) -> Result<Option<Lock>, Failure> {
    if !config.paths.run_dir.exists() {
        return Ok(None);
    }
    Ok(Some(lock::acquire(&config.paths.lock_file(STOPPING))?))
}

/// Has crmd stop everything and leave. A crmd that does not run has nothing to leave.
async fn leave(config: &Config, limit: Duration) -> Result<(), Failure> {
    let request = Request::Leave;
    let asked = call(config, &request, limit);
    tokio::pin!(asked);
    let answer = tokio::select! {
        answer = &mut asked => answer,
        () = sleep(PATIENCE) => {
            let limit_s = limit.as_secs();
            say(format_args!("Stopping the resources of '{}' ({limit_s} s at most)…", config.node.name));
            asked.await
        }
    };
    match answer {
        Ok(_) => Ok(()),
        Err(CallError::Local(LocalError::NotRunning { .. })) => {
            say("crmd does not run here: nothing to leave.");
            Ok(())
        }
        // It may answer by ending, which is what was asked.
        Err(CallError::Gone(_)) if ends_soon(config, "crmd").await => Ok(()),
        Err(error) => Err(format!(
            "this node could not leave in order: {error} (nothing was ended; --force ends the daemons all the same)"
        )
        .into()),
    }
}

async fn ends_soon(config: &Config, daemon: &str) -> bool {
    let limit = Duration::from_millis(config.timing.local_connect_timeout_ms);
    ends_within(config, daemon, limit).await
}

async fn ends_within(config: &Config, daemon: &str, limit: Duration) -> bool {
    let path = config.paths.lock_file(daemon);
    let until = Instant::now() + limit;
    while matches!(lock::holder(&path), Ok(Some(_))) {
        if Instant::now() >= until {
            return false;
        }
        sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Ends the supervisor, and with it the daemons; without one, the daemons themselves.
async fn end(config: &Config) -> Result<(), Failure> {
    // SIGTERM, SIGKILL and a little.
    let limit = Duration::from_millis(config.timing.daemon_stop_timeout_ms).saturating_mul(4);
    let mut ended = 0;
    for daemon in [SUPERVISOR, "crmd", "stonithd"] {
        let Some(pid) = lock::holder(&config.paths.lock_file(daemon))? else {
            continue;
        };
        terminate(pid)?;
        if !ends_within(config, daemon, limit).await {
            return Err(format!("{daemon} (process {pid}) does not end").into());
        }
        ended += 1;
    }
    let node = &config.node.name;
    match ended {
        0 => say(format_args!("Nothing was running on '{node}'.")),
        _ => say(format_args!("Stopped on '{node}'.")),
    }
    Ok(())
}

fn terminate(pid: u32) -> Result<(), Failure> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(());
    };
    match kill_process(pid, Signal::TERM) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(format!("process {}: {error}", pid.as_raw_nonzero()).into()),
    }
}
