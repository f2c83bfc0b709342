//! Carries out one operation.

use crate::{
    action::{Action, Outcome, Status},
    codes::OcfCode,
    environment,
    locate::{self, Agent, LocateError},
    lsb, metadata, reason, systemd,
};
use process::{Canceller, End, Finished, Group, Program, SpawnError};
use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Where agents are and how they are run.
#[derive(Clone, Debug)]
pub struct Config {
    /// `OCF_ROOT`; agents are in `resource.d/PROVIDER/TYPE` below it.
    pub ocf_root: PathBuf,
    /// More directories that hold `PROVIDER/TYPE`, looked at after `ocf_root`.
    pub extra_dirs: Vec<PathBuf>,
    /// Init scripts.
    pub init_dir: PathBuf,
    /// `systemctl`.
    pub systemctl: PathBuf,
    /// Where agents find `crm_attribute` and its kin (`HA_SBIN_DIR`, and first in `PATH`). By default the
    /// directory of our own `PATH` that has it.
    pub sbin_dir: Option<PathBuf>,
    /// Where agents keep their state (`HA_RSCTMP`); must be empty after a reboot. Nothing: the agents' own default.
    pub scratch_dir: Option<PathBuf>,
    /// Where agents log (`HA_LOGFACILITY`); with `none` they write to standard error, which is captured.
    pub log_facility: String,
    /// More variables for every agent.
    pub environment: Vec<(String, String)>,
    /// Between SIGTERM and SIGKILL at a deadline.
    pub kill_grace_ms: u64,
    /// Of each output stream, in bytes.
    pub capture_bytes: usize,
    /// Deadline of `meta-data` in [`Runner::metadata`].
    pub metadata_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ocf_root: PathBuf::from("/usr/lib/ocf"),
            extra_dirs: Vec::new(),
            init_dir: PathBuf::from("/etc/init.d"),
            systemctl: PathBuf::from("/usr/bin/systemctl"),
            sbin_dir: environment::tools_dir(),
            scratch_dir: None,
            log_facility: "none".to_owned(),
            environment: Vec::new(),
            kill_grace_ms: 1_000,
            capture_bytes: process::DEFAULT_CAPTURE_BYTES,
            metadata_timeout_ms: 30_000,
        }
    }
}

/// An agent's metadata cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The agent did not answer `meta-data` with exit code 0.
    #[error("{agent}: meta-data failed ({status}, exit code {rc}): {reason}")]
    Action {
        /// `class:provider:kind`.
        agent: String,
        /// Execution status.
        status: &'static str,
        /// Exit code.
        rc: i32,
        /// What is known.
        reason: String,
    },
    /// What it printed is not metadata.
    #[error("{agent}: {source}")]
    Parse {
        /// `class:provider:kind`.
        agent: String,
        /// Where and what.
        source: metadata::ParseError,
    },
}

/// Runs agents. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runner {
    config: std::sync::Arc<Config>,
}

impl Runner {
    /// A runner with these settings.
    pub fn new(config: Config) -> Self {
        Self {
            config: std::sync::Arc::new(config),
        }
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs one operation to its end or its deadline. `on_spawn` is called once, as soon as the agent's
    /// process exists, with what names and what ends it; never, if nothing could be started.
    pub async fn run(&self, action: &Action, on_spawn: impl FnOnce(&Group, Canceller)) -> Outcome {
        let started_wall_s = wall_s();
        let mut outcome = match self.program(action) {
            Ok((agent, program)) => self.execute(action, &agent, program, on_spawn).await,
            Err(outcome) => *outcome,
        };
        outcome.started_wall_s = started_wall_s;
        outcome
    }

    /// The agent that would carry out an action.
    ///
    /// # Errors
    /// There is none.
    pub fn locate(&self, action: &Action) -> Result<Agent, LocateError> {
        locate::agent(&self.config, action)
    }

    /// Providers of OCF agents on this node, sorted.
    pub fn providers(&self) -> Vec<String> {
        let mut all: Vec<String> = locate::provider_dirs(&self.config)
            .iter()
            .flat_map(|dir| locate::names(dir, true))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// OCF agents of a provider on this node, sorted.
    pub fn agents(&self, provider: &str) -> Vec<String> {
        let mut all: Vec<String> = locate::provider_dirs(&self.config)
            .iter()
            .flat_map(|dir| locate::names(&dir.join(provider), false))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// The metadata of an OCF agent, as text and read.
    ///
    /// # Errors
    /// The agent is not there, fails, or prints something else.
    pub async fn metadata(
        &self,
        provider: &str,
        kind: &str,
    ) -> Result<(String, metadata::Metadata), MetadataError> {
        let agent = format!("ocf:{provider}:{kind}");
        let action = Action {
            resource: kind.to_owned(),
            class: "ocf".to_owned(),
            provider: Some(provider.to_owned()),
            kind: kind.to_owned(),
            operation: "meta-data".to_owned(),
            timeout_ms: self.config.metadata_timeout_ms,
            ..Action::default()
        };
        let outcome = self.run(&action, |_, _| {}).await;
        if outcome.status != Status::Done || outcome.rc != 0 {
            return Err(MetadataError::Action {
                agent,
                status: outcome.status.name(),
                rc: outcome.rc,
                reason: outcome.reason,
            });
        }
        match metadata::parse(&outcome.stdout) {
            Ok(parsed) => Ok((outcome.stdout, parsed)),
            Err(source) => Err(MetadataError::Parse { agent, source }),
        }
    }

    fn program(&self, action: &Action) -> Result<(Agent, Program), Box<Outcome>> {
        let agent = self.locate(action).map_err(|e| {
            Box::new(Outcome::not_run(
                Status::NotInstalled,
                OcfCode::ErrInstalled,
                e.to_string(),
            ))
        })?;
        let unsupported = || {
            let reason = format!("class {} has no '{}'", action.class, action.operation);
            let code = OcfCode::ErrUnimplemented;
            Box::new(Outcome::not_run(Status::NotSupported, code, reason))
        };
        let program = match &agent {
            Agent::Ocf(path) => Program::new(path).arg(&action.operation),
            Agent::Lsb(path) => {
                let argument = lsb::argument(&action.operation).ok_or_else(unsupported)?;
                Program::new(path).arg(argument)
            }
            Agent::Systemd(unit) => {
                systemd::program(&self.config.systemctl, &action.operation, unit)
                    .ok_or_else(unsupported)?
            }
        };
        Ok((agent, self.prepare(action, program)))
    }

    fn prepare(&self, action: &Action, program: Program) -> Program {
        let environment = match action.class.as_str() {
            "ocf" => environment::of(&self.config, action),
            _ => environment::common(&self.config),
        };
        let mut program = program
            .clear_env()
            .directory("/")
            .capture_bytes(self.capture_bytes(action))
            .grace(Duration::from_millis(self.config.kill_grace_ms))
            .mark(&action.mark);
        for (name, value) in environment {
            program = program.env(name, value);
        }
        if action.timeout_ms > 0 {
            program = program.deadline(Duration::from_millis(action.timeout_ms));
        }
        program
    }

    /// Metadata must come whole.
    fn capture_bytes(&self, action: &Action) -> usize {
        match action.operation.as_str() {
            "meta-data" => self.config.capture_bytes.max(4 << 20),
            _ => self.config.capture_bytes,
        }
    }

    async fn execute(
        &self,
        action: &Action,
        agent: &Agent,
        program: Program,
        on_spawn: impl FnOnce(&Group, Canceller),
    ) -> Outcome {
        let running = match program.spawn() {
            Ok(running) => running,
            Err(error) => return spawn_failed(&error),
        };
        on_spawn(running.group(), running.canceller());
        match running.wait().await {
            Ok(done) => outcome_of(action, agent, done),
            Err(e) => Outcome::not_run(Status::Error, OcfCode::ErrGeneric, e.to_string()),
        }
    }
}

fn spawn_failed(error: &SpawnError) -> Outcome {
    match error.is_not_installed() {
        true => Outcome::not_run(
            Status::NotInstalled,
            OcfCode::ErrInstalled,
            error.to_string(),
        ),
        false => Outcome::not_run(Status::Error, OcfCode::ErrGeneric, error.to_string()),
    }
}

fn outcome_of(action: &Action, agent: &Agent, done: Finished) -> Outcome {
    let stdout = done.stdout.text();
    let stderr = done.stderr.text();
    let generic = OcfCode::ErrGeneric.number();
    let (status, rc, reason) = match done.end {
        End::Exited(exit) => {
            let (rc, reason) = interpret(action, agent, exit, &stdout, &stderr);
            (Status::Done, rc, reason)
        }
        End::Signalled(signal) => {
            let reason = format!("{} was ended by signal {signal}", describe(action));
            (Status::Error, generic, reason)
        }
        End::TimedOut => {
            let said = reason::exit_reason(&stderr);
            let hint = match said.is_empty() {
                true => last_line(&stderr),
                false => said,
            };
            let mut reason = format!(
                "{} did not end within {} ms",
                describe(action),
                action.timeout_ms
            );
            if !hint.is_empty() {
                reason.push_str("; it last said: ");
                reason.push_str(&hint);
            }
            (Status::TimedOut, generic, reason)
        }
        End::Cancelled => {
            let reason = format!("{} was cancelled", describe(action));
            (Status::Cancelled, generic, reason)
        }
    };
    Outcome {
        status,
        rc,
        reason,
        stdout,
        stderr,
        started_wall_s: 0,
        exec_ms: done.elapsed.as_millis() as u64,
        survivors: done.survivors,
    }
}

fn interpret(
    action: &Action,
    agent: &Agent,
    exit: i32,
    stdout: &str,
    stderr: &str,
) -> (i32, String) {
    match agent {
        Agent::Ocf(_) => (exit, reason::exit_reason(stderr)),
        Agent::Lsb(_) => (
            lsb::code(&action.operation, exit).number(),
            failure_line(exit, stderr),
        ),
        Agent::Systemd(_) if matches!(action.operation.as_str(), "monitor" | "status") => {
            let (code, reason) = systemd::monitor_code(stdout);
            let reason = match code {
                OcfCode::ErrGeneric => format!("{reason}: {}", last_line(stderr)),
                _ => reason,
            };
            (code.number(), reason)
        }
        Agent::Systemd(_) => (systemd::job_code(exit).number(), failure_line(exit, stderr)),
    }
}

fn failure_line(exit: i32, stderr: &str) -> String {
    match exit {
        0 => String::new(),
        _ => last_line(stderr),
    }
}

fn last_line(text: &str) -> String {
    text.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

fn describe(action: &Action) -> String {
    format!("{} of {}", action.operation, action.resource)
}

fn wall_s() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs() as i64)
}
