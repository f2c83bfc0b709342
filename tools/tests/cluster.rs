//! `systole cluster` and `systole supervise` with the real daemons, on addresses of their own.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};
use transport::lock;

const DAEMONS: [&str; 3] = ["supervise", "crmd", "stonithd"];

/// A node under a directory of its own; what it started ends with it.
struct Host {
    dir: PathBuf,
    name: &'static str,
    address: &'static str,
}

impl Host {
    fn new(dir: &Path, name: &'static str, address: &'static str) -> Self {
        Self {
            dir: dir.join(name),
            name,
            address,
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.join("systole.toml")
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_systole"))
            .arg("cluster")
            .args(args)
            .arg("--config")
            .arg(self.config())
            .output()
            .unwrap()
    }

    /// Must succeed; what it printed.
    fn does(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {told}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Must fail; what it said.
    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    fn log(&self) -> String {
        let path = self.dir.join("var/log/systole/systole.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn init(&self) {
        let root = self.dir.to_str().unwrap();
        self.does(&[
            "init",
            "--name",
            "prod",
            "--node",
            self.name,
            "--address",
            self.address,
            "--root",
            root,
        ]);
    }

    fn join(&self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["systole", "cluster", "join", member, "--token", token] = *words else {
            panic!("not a line to type: {line}");
        };
        let root = self.dir.to_str().unwrap();
        let args = [
            "join",
            member,
            "--token",
            token,
            "--node",
            self.name,
            "--address",
            self.address,
            "--root",
            root,
        ];
        args.map(str::to_owned).to_vec()
    }

    fn pid(&self, daemon: &str) -> Option<u32> {
        let path = self.dir.join("run/systole").join(format!("{daemon}.lock"));
        lock::holder(&path).unwrap()
    }

    fn kill(&self, daemon: &str) -> u32 {
        let pid = self.pid(daemon).unwrap();
        kill(pid);
        pid
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for daemon in DAEMONS {
            if let Some(pid) = self.pid(daemon) {
                kill(pid);
            }
        }
    }
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// Waits half a minute at most.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(2));
    }
}

fn texts(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_cluster_is_made_entered_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let one = Host::new(dir.path(), "n1", "127.77.1.1");
    let two = Host::new(dir.path(), "n2", "127.77.1.2");
    let three = Host::new(dir.path(), "n3", "127.77.1.3");
    assert!(one.refuses(&["start"]).contains("systole cluster init"));
    one.init();
    let twice = one.refuses(&["init", "--root", one.dir.to_str().unwrap()]);
    assert!(twice.contains("files of a cluster already"), "{twice}");
    assert!(one.refuses(&["token"]).contains("crmd is not running"));
    one.does(&["start"]);

    let line = eventually("a coordinator that makes tokens", || {
        let output = one.run(&["token"]);
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    });
    let join = two.join(&line);
    two.does(&texts(&join));
    let used = three.refuses(&texts(&three.join(&line)));
    assert!(used.contains("used already"), "{used}");
    let expired = one.does(&["token", "--valid", "1s"]);
    sleep(Duration::from_millis(2_100));
    let late = three.refuses(&texts(&three.join(&expired)));
    assert!(late.contains("expired"), "{late}");
    assert!(!three.config().exists(), "a refused join leaves nothing");

    two.does(&["start"]);
    eventually("both online", || {
        let status = two.does(&["status"]);
        (status.matches(" online ").count() == 2).then_some(())
    });
    two.does(&["leave", "--timeout", "30"]);
    assert!(!two.config().exists());
    eventually("one member", || {
        let status = one.does(&["status"]);
        (!status.contains("n2")).then_some(())
    });
    one.does(&["stop", "--timeout", "30"]);
    for host in [&one, &two] {
        for daemon in DAEMONS {
            assert_eq!(host.pid(daemon), None, "{daemon} on {}", host.name);
        }
    }
}

#[test]
fn daemons_come_back_and_outlive_their_supervisor() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::new(dir.path(), "n1", "127.77.2.1");
    host.init();
    host.does(&["start"]);
    let witness: SocketAddr = format!("{}:5563", host.address).parse().unwrap();
    TcpStream::connect(witness).unwrap();

    let start = Instant::now();
    let old = host.kill("crmd");
    let new = eventually("another crmd", || {
        host.pid("crmd").filter(|pid| *pid != old)
    });
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    TcpStream::connect(witness).unwrap();

    // The supervisor's end is not the daemons'.
    host.kill("supervise");
    eventually("no supervisor", || {
        host.pid("supervise").is_none().then_some(())
    });
    assert_eq!(host.pid("crmd"), Some(new));
    host.does(&["start"]);
    // `start` is back when the supervisor runs; it looks at the daemons then.
    eventually("adopted", || host.log().contains("adopted").then_some(()));
    assert_eq!(host.pid("crmd"), Some(new), "adopted, not started twice");
    // One that was adopted is looked after like one's own.
    host.kill("crmd");
    eventually("a third crmd", || {
        host.pid("crmd").filter(|pid| *pid != new)
    });
    eventually("an end in order", || {
        host.run(&["stop", "--timeout", "30"])
            .status
            .success()
            .then_some(())
    });
    assert_eq!(host.pid("supervise").or(host.pid("crmd")), None);
}
