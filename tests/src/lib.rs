//! What black-box tests need: the built executable, commands with a deadline, labs that end with the
//! test, and a look at what is left behind.
//!
//! A test that cannot run here says so in a line `skipped: REASON`, which `cargo xtask test` counts.

pub mod cluster;
pub mod sshd;

use std::{
    fs::{self, File},
    io::{Read, Seek},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The executable under test: `SYSTOLE_BIN`, which `cargo xtask test` sets.
///
/// Nothing, with a word about it, where it is not to be had or namespaces are not allowed.
pub fn executable(test: &str) -> Option<PathBuf> {
    let Some(path) = std::env::var_os("SYSTOLE_BIN").map(PathBuf::from) else {
        println!(
            "skipped: {test}: SYSTOLE_BIN does not name the executable ('cargo xtask test' sets it)"
        );
        return None;
    };
    if !path.is_file() {
        println!("skipped: {test}: there is no executable {}", path.display());
        return None;
    }
    let namespaces = run(
        Command::new("unshare").args(["-Urnm", "true"]),
        Duration::from_secs(10),
    );
    if namespaces.code != Some(0) && !is_root() {
        println!(
            "skipped: {test}: namespaces are not allowed here: {}",
            namespaces.text.trim()
        );
        return None;
    }
    Some(path)
}

/// Whether we are root.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"));
    uid.and_then(|l| l.split_whitespace().nth(1)) == Some("0")
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Exit code; nothing if a signal ended it, or the deadline.
    pub code: Option<i32>,
    /// Standard output and error together.
    pub text: String,
}

/// Runs a command to its end or the deadline, after which its process group is killed.
pub fn run(command: &mut Command, limit: Duration) -> Ended {
    let nothing = |text: String| Ended { code: None, text };
    let (mut output, out, err) = match outputs() {
        Ok(files) => files,
        Err(e) => return nothing(format!("cannot keep output: {e}")),
    };
    let child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) => return nothing(format!("cannot start {command:?}: {e}")),
    };
    let deadline = Instant::now() + limit;
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status.code(),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => {
                let group = format!("-{}", child.id());
                let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
                let _ = child.wait();
                break None;
            }
        }
    };
    let mut text = Vec::new();
    let _ = output.rewind();
    let _ = output.read_to_end(&mut text);
    Ended {
        code,
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

fn outputs() -> std::io::Result<(File, File, File)> {
    let file = tempfile::tempfile()?;
    Ok((file.try_clone()?, file.try_clone()?, file))
}

/// A lab on the command line, which ends with the test.
pub struct CommandLab {
    program: PathBuf,
    dir: tempfile::TempDir,
}

impl CommandLab {
    /// `systole lab up` with more arguments, in a directory of its own.
    ///
    /// # Panics
    /// With what it said if it does not come up.
    pub fn up(program: &Path, args: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("lab").tempdir();
        #[allow(clippy::expect_used)] // only tests call this
        let lab = Self {
            program: program.to_owned(),
            dir: dir.expect("a directory for the lab"),
        };
        let up = lab.lab("up", args);
        assert_eq!(up.code, Some(0), "lab up: {}", up.text);
        lab
    }

    /// Its directory.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    /// `systole lab VERB --dir … ARGS`.
    pub fn lab(&self, verb: &str, args: &[&str]) -> Ended {
        let mut command = Command::new(&self.program);
        command
            .args(["lab", verb, "--dir"])
            .arg(self.dir())
            .args(args);
        run(&mut command, Duration::from_secs(120))
    }

    /// A shell command in a node.
    pub fn sh(&self, node: &str, command: &str) -> Ended {
        self.lab("exec", &[node, "bash", "-c", command])
    }

    /// A line of our own to the fencing socket, from inside a node.
    pub fn fence(&self, node: &str, request: &str) -> String {
        let talk = format!(
            "use IO::Socket::UNIX; my $s=IO::Socket::UNIX->new(Peer=>'/run/lab/fence.sock') or die $!; \
             print $s '{request}'.\"\\n\"; print scalar <$s>"
        );
        self.lab("exec", &[node, "perl", "-e", &talk]).text
    }

    /// `systole lab audit`.
    pub fn audit(&self) -> Ended {
        self.lab("audit", &[])
    }

    /// The agent of a resource, run by hand in a node.
    pub fn agent(&self, node: &str, resource: &str, action: &str) -> Ended {
        self.sh(
            node,
            &format!(
                "OCF_RESOURCE_INSTANCE={resource} exec /run/lab/agents/systole/Audited {action}"
            ),
        )
    }

    /// One playing of a drill in this lab.
    pub fn drill(&self, drill: &str, more: &[&str]) -> Ended {
        let mut command = Command::new(&self.program);
        command
            .args(["drill", drill, "--lab"])
            .arg(self.dir())
            .args(more);
        run(&mut command, Duration::from_secs(240))
    }
}

impl Drop for CommandLab {
    fn drop(&mut self) {
        if self.dir().exists() {
            let down = self.lab("down", &[]);
            if down.code != Some(0) {
                println!("lab down: {}", down.text);
            }
        }
    }
}

/// Everything that still mentions a word after a lab is gone: processes, mounts, files below a folder.
pub fn leftovers(word: &str, folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(word)
            && entry.file_name().to_string_lossy() != std::process::id().to_string()
        {
            left.push(format!(
                "process {}: {line}",
                entry.file_name().to_string_lossy()
            ));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    left.extend(
        mounts
            .lines()
            .filter(|l| l.contains(word))
            .map(|l| format!("mount {l}")),
    );
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        left.push(format!("file {}", entry.path().display()));
    }
    left
}
