//! `start`: the supervisor in the background, by systemd where its unit is installed.

use super::{Failure, call, output::say};
use crate::supervise::SUPERVISOR;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::time::sleep;
use transport::{
    config::{self, Config},
    durable, lock,
};

/// The unit that `cargo xtask dist` installs.
const UNIT: &str = "systole.service";

/// How much of the log's end is searched for what went wrong.
const TAIL_BYTES: u64 = 64 * 1024;

/// Where systemd looks for units.
const UNIT_DIRS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Start the daemons on this node.
#[derive(Debug, Args)]
pub(super) struct Start {
    /// Stay here and show the daemons' logs; ^C ends them.
    #[arg(long)]
    pub(super) foreground: bool,
    /// How many seconds to wait until crmd answers.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    wait: u64,
}

impl Start {
    pub(super) async fn run(&self, config: &Config, path: &Path) -> Result<(), Failure> {
        let started = begin(config, path)?;
        let until = Instant::now() + Duration::from_secs(self.wait);
        loop {
            match call::state(config).await {
                Ok(_) => break,
                Err(error) if Instant::now() >= until => return Err(started.failed(&error)),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
        say(format_args!(
            "crmd runs on '{}' ({started}).",
            config.node.name
        ));
        Ok(())
    }
}

/// How the daemons came up.
enum Started {
    Already(u32),
    Unit,
    Background(PathBuf),
}

impl Started {
    fn failed(&self, error: &Failure) -> Failure {
        let place = match self {
            Self::Already(pid) => format!("the log of supervisor {pid}"),
            Self::Unit => format!("`journalctl -u {UNIT}`"),
            Self::Background(log) => log.display().to_string(),
        };
        let told = match self {
            Self::Background(log) => last_error(log),
            _ => None,
        };
        let told = told.unwrap_or_else(|| error.to_string());
        format!(
            "crmd does not answer yet: {told}\n(more in {place}; the supervisor goes on trying)"
        )
        .into()
    }
}

impl std::fmt::Display for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Already(pid) => write!(f, "supervised already by process {pid}"),
            Self::Unit => write!(f, "by systemd, unit {UNIT}"),
            Self::Background(log) => write!(f, "log: {}", log.display()),
        }
    }
}

fn begin(config: &Config, path: &Path) -> Result<Started, Failure> {
    if let Some(pid) = lock::holder(&config.paths.lock_file(SUPERVISOR))? {
        // A daemon that ended in order is started again.
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::HUP)?;
        }
        return Ok(Started::Already(pid));
    }
    let usual = path == Path::new(config::DEFAULT_PATH);
    if usual && unit_installed() {
        systemctl_start()?;
        return Ok(Started::Unit);
    }
    let log = config.paths.log_dir.join("systole.log");
    background(config, path, &log)?;
    Ok(Started::Background(log))
}

/// What a daemon last said was wrong, from the end of the log.
fn last_error(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))
        .ok()?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail).ok()?;
    let tail = String::from_utf8_lossy(&tail);
    let of_daemon = |line: &&str| line.contains(" ERROR ") && !line.contains("supervise");
    let line = tail.lines().rev().find(of_daemon)?;
    line.split_once(" ERROR ").map(|(_, told)| told.to_owned())
}

fn unit_installed() -> bool {
    Path::new("/run/systemd/system").is_dir()
        && UNIT_DIRS
            .iter()
            .any(|dir| Path::new(dir).join(UNIT).exists())
}

fn systemctl_start() -> Result<(), Failure> {
    let status = Command::new("systemctl").args(["start", UNIT]).status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`systemctl start {UNIT}` failed ({status}): see `journalctl -u {UNIT}`").into())
}

/// Runs this program again as the supervisor, in a session of its own.
fn background(config: &Config, path: &Path, log: &Path) -> Result<(), Failure> {
    durable::create_dir(&config.paths.log_dir, 0o750)?;
    let output = open_log(log)?;
    Command::new("/proc/self/exe")
        .args(["supervise", "--detach", "--config"])
        .arg(path)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    Ok(())
}

fn open_log(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|e| format!("{}: {e}", path.display()).into())
}
