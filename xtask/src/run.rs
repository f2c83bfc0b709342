//! Starting other programs, with a deadline, and seeing what they say.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// What became of a program.
pub(crate) struct Outcome {
    /// It ended by itself, with code 0.
    pub(crate) ok: bool,
    /// Both its outputs, in the order in which the lines came.
    pub(crate) output: String,
}

/// Which lines of a program are shown while it runs.
#[derive(Clone, Copy)]
pub(crate) enum Show {
    /// All.
    Everything,
    /// The progress of `cargo test`; everything when it fails.
    Progress,
    /// None; everything when it fails.
    OnlyFailure,
    /// None at all: failing is an answer.
    Nothing,
}

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A cargo command.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).env("CARGO_TERM_COLOR", "never");
    command
}

/// Runs a program to its end or the deadline, after which its process group is ended.
pub(crate) fn run(command: &mut Command, show: Show, deadline: Duration) -> Outcome {
    println!("$ {}", in_words(command));
    let started = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let outcome = match child {
        Ok(child) => watch(child, show, started + deadline),
        Err(e) => Outcome {
            ok: false,
            output: format!("cannot start {command:?}: {e}\n"),
        },
    };
    if !outcome.ok && !matches!(show, Show::Everything | Show::Nothing) {
        print!("{}", outcome.output);
    }
    println!("  {:.1} s", started.elapsed().as_secs_f64());
    outcome
}

fn in_words(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let args = command.get_args().map(|a| a.to_string_lossy());
    let words: Vec<_> = std::iter::once(name.to_string_lossy())
        .chain(args)
        .collect();
    words.join(" ")
}

fn watch(mut child: Child, show: Show, deadline: Instant) -> Outcome {
    let (lines, incoming) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        read_lines(out, lines.clone());
    }
    if let Some(err) = child.stderr.take() {
        read_lines(err, lines);
    }
    let mut output = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match incoming.recv_timeout(left) {
            Ok(line) => {
                if shown(show, &line) {
                    println!("  {line}");
                }
                output.push_str(&line);
                output.push('\n');
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                end_group(&child);
                output.push_str("xtask: its time was over; it was ended\n");
                let _ = child.wait();
                return Outcome { ok: false, output };
            }
        }
    }
    let ok = child.wait().is_ok_and(|status| status.success());
    Outcome { ok, output }
}

fn read_lines(from: impl Read + Send + 'static, to: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if to
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
}

fn shown(show: Show, line: &str) -> bool {
    match show {
        Show::Everything => true,
        Show::OnlyFailure | Show::Nothing => false,
        Show::Progress => {
            let line = line.trim_start();
            line.starts_with("Running ")
                || line.starts_with("test result:")
                || line.ends_with("... FAILED")
                || line.starts_with("skipped: ")
        }
    }
}

/// Ends a child's process group, which is the child's own.
fn end_group(child: &Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
}

/// Whether a program can be found.
pub(crate) fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"));
    uid.and_then(|l| l.split_whitespace().nth(1)) == Some("0")
}
