//! A real `sshd` on loopback that pretends to be another machine: a hypervisor with machines on it, or a
//! node that can be asked to go. Whatever a client wants to run goes to a script of the test; nothing of
//! it ever reaches this machine's own power switch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc
)] // only tests call this

use crate::run;
use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Debian's.
const SSHD: &str = "/usr/sbin/sshd";
const LIMIT: Duration = Duration::from_secs(10);

/// Machines of libvirt: a file for each with its state. `stuck`: they do not go off. `hang`: nothing comes back.
const VIRSH: &str = r#"#!/bin/sh
[ "$1" = -c ] && [ "$2" = qemu:///system ] || { echo "error: no connection $2" >&2; exit 1; }
shift 2
verb=$1
for name; do :; done
machine=$DIR/machines/$name
if [ "$verb" = list ]; then ls "$DIR/machines"; echo; exit 0; fi
[ -f "$machine" ] || { echo "error: failed to get domain '$name'" >&2; exit 1; }
case "$verb" in
domstate) cat "$machine"; echo ;;
destroy)
  if [ -e "$DIR/hang" ]; then echo $$ > "$DIR/hung"; exec sleep 60; fi
  grep -q '^shut off' "$machine" && { echo "error: Requested operation is not valid: domain is not running" >&2; exit 1; }
  [ -e "$DIR/stuck" ] || echo 'shut off (destroyed)' > "$machine"
  echo "Domain '$name' destroyed" ;;
start) echo 'running (booted)' > "$machine" ;;
*) echo "error: unknown command: '$verb'" >&2; exit 1 ;;
esac
"#;

/// Runs what is asked for, written down, with our `virsh`; never anything about the power of this machine.
const HYPERVISOR: &str = r#"#!/bin/sh
echo "$SSH_ORIGINAL_COMMAND" >> "$DIR/asked"
case "$SSH_ORIGINAL_COMMAND" in *sysrq*|*reboot*|*poweroff*) exit 99 ;; esac
PATH=$DIR/bin:/usr/bin:/bin
export PATH DIR
exec sh -c "$SSH_ORIGINAL_COMMAND"
"#;

/// A node: says its life, and does as `fate` says when it is asked for anything else.
const NODE: &str = r#"#!/bin/sh
echo "$SSH_ORIGINAL_COMMAND" >> "$DIR/asked"
[ "$SSH_ORIGINAL_COMMAND" = 'cat /proc/sys/kernel/random/boot_id' ] && exec cat "$DIR/life"
case "$(cat "$DIR/fate")" in
goes) kill -9 "$(cat "$DIR/pid")" $PPID ;;
returns) echo 00000000-0000-4000-8000-000000000002 > "$DIR/life" ;;
refuses) echo 'Permission denied by the test' >&2; exit 1 ;;
*) exit 0 ;;
esac
"#;

/// See the module.
pub struct Sshd {
    dir: tempfile::TempDir,
    child: Child,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

/// What it pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pretends {
    /// A hypervisor with `virsh` and the machine `vm-2`, which runs.
    Hypervisor,
    /// A node that can be asked.
    Node,
}

/// Whether there is an OpenSSH server and client here; says so if not.
pub fn is_installed(test: &str) -> bool {
    let missing = [SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen"];
    let missing: Vec<&str> = missing
        .into_iter()
        .filter(|p| !Path::new(p).is_file())
        .collect();
    if !missing.is_empty() {
        println!(
            "skipped: {test}: {} is missing (Debian: openssh-server, openssh-client)",
            missing.join(", ")
        );
    }
    missing.is_empty()
}

impl Sshd {
    /// Starts it; it answers when this returns.
    pub fn start(pretends: Pretends) -> Self {
        let dir = tempfile::Builder::new().prefix("sshd").tempdir().unwrap();
        for key in ["host", "key", "other"] {
            make_key(&dir.path().join(key));
        }
        let port = free_port();
        prepare(dir.path(), pretends);
        fs::copy(dir.path().join("key.pub"), dir.path().join("authorized")).unwrap();
        let config = configuration(dir.path(), port);
        fs::write(dir.path().join("config"), config).unwrap();
        // Debian's sshd wants it, started by hand or not.
        let _ = fs::create_dir_all("/run/sshd");
        let log = File::create(dir.path().join("log")).unwrap();
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(dir.path().join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let sshd = Self { dir, child, port };
        sshd.known(&format!(
            "[127.0.0.1]:{port} {}",
            fs::read_to_string(sshd.path("host.pub")).unwrap()
        ));
        let until = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(sshd.path("log")).unwrap_or_default();
            assert!(Instant::now() < until, "sshd does not answer: {}", log());
            sleep(Duration::from_millis(10));
        }
        sshd
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of it.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What clients know of hosts.
    pub fn known(&self, text: &str) {
        self.write("known_hosts", text);
    }

    /// What it was asked to run.
    pub fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Parameters of a device that logs in here.
    pub fn login(&self) -> Vec<(String, String)> {
        let known = self.path("known_hosts");
        let options = format!(
            "-o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null -F /dev/null",
            known.display()
        );
        let pairs = [
            ("login", whoami()),
            ("identity_file", self.path("key").display().to_string()),
            ("ip_port", self.port.to_string()),
            ("ssh_options", options),
        ];
        pairs.map(|(n, v)| (n.to_owned(), v)).into()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What hung on purpose; by its number, while it is still what it was.
        let hung = fs::read_to_string(self.path("hung")).unwrap_or_default();
        let pid = hung.trim();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if !pid.is_empty() && line == b"sleep\x0060\x00" {
            let _ = Command::new("kill").arg(pid).status();
        }
    }
}

fn prepare(dir: &Path, pretends: Pretends) {
    let set_dir = format!("#!/bin/sh\nDIR={}\n", dir.display());
    let script = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text.replacen("#!/bin/sh\n", &set_dir, 1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    match pretends {
        Pretends::Hypervisor => {
            fs::create_dir(dir.join("bin")).unwrap();
            fs::create_dir(dir.join("machines")).unwrap();
            fs::write(dir.join("machines/vm-2"), "running (booted)\n").unwrap();
            script("bin/virsh", VIRSH);
            script("forced", HYPERVISOR);
        }
        Pretends::Node => {
            let life = "00000000-0000-4000-8000-000000000001\n";
            fs::write(dir.join("life"), life).unwrap();
            fs::write(dir.join("fate"), "goes").unwrap();
            script("forced", NODE);
        }
    }
}

fn configuration(dir: &Path, port: u16) -> String {
    let d = dir.display();
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host\nPidFile {d}/pid\n\
         AuthorizedKeysFile {d}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin yes\nUseDNS no\nForceCommand {d}/forced\n"
    )
}

fn make_key(path: &Path) {
    let mut command = Command::new("/usr/bin/ssh-keygen");
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path);
    let made = run(&mut command, LIMIT);
    assert_eq!(made.code, Some(0), "ssh-keygen: {}", made.text);
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn whoami() -> String {
    let id = run(Command::new("id").arg("-un"), LIMIT);
    id.text.trim().to_owned()
}
