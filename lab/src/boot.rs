//! Boots a node: its namespaces, its addresses, its view of the file system; then its first process.
//!
//! Runs in a process of its own, started by the lab's daemon: it says `ready` when its namespaces exist,
//! waits for `go` (its links are plugged in), says `pid N`, and lives as long as the node's first process.

use crate::{
    error::{LabError, While, said},
    isolate,
    layout::{IN_NODE_OWN, IN_NODE_SHARED, Layout},
    network,
};
use nix::sched::{CloneFlags, unshare};
use std::{
    fs, io,
    io::{BufRead, Write},
    path::Path,
    process::{Command, Stdio},
};
use transport::config::LOG_VARIABLE;

/// Boots `node` and waits for its end.
pub(crate) fn boot(layout: &Layout, node: &str) -> Result<(), LabError> {
    let spec = layout.read_spec()?;
    let number = spec.number(node)?;
    enter(node)?;
    say("ready")?;
    wait_for_go()?;
    network::address(&spec, number)?;
    mounts(layout, node)?;
    // The first child after this is process 1 of the node, so nothing else may be started in between.
    unshare(CloneFlags::CLONE_NEWPID)
        .map_err(|e| LabError::NoNamespaces(format!("process namespace of {node}: {e}")))?;
    let mut first = first_process(node)
        .spawn()
        .during(|| format!("start the first process of {node}"))?;
    say(&format!("pid {}", first.id()))?;
    first.wait().during(|| format!("wait for {node}"))?;
    Ok(())
}

fn enter(node: &str) -> Result<(), LabError> {
    let all = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(all).map_err(|e| LabError::NoNamespaces(format!("namespaces of node {node}: {e}")))?;
    isolate::private_mounts()?;
    nix::unistd::sethostname(node)
        .map_err(io::Error::from)
        .during(|| format!("name the host {node}"))
}

fn say(line: &str) -> Result<(), LabError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .during(|| "answer the lab's daemon".into())
}

fn wait_for_go() -> Result<(), LabError> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .during(|| "wait for the lab's daemon".into())?;
    if line.trim() == "go" {
        Ok(())
    } else {
        said("the lab's daemon called the boot off")
    }
}

/// An empty `/run` as after every boot, with the shared folder and the node's own in it; an own `/tmp`.
fn mounts(layout: &Layout, node: &str) -> Result<(), LabError> {
    let run = layout.run(node);
    fs::remove_dir_all(&run).during(|| format!("empty {}", run.display()))?;
    for sub in ["lab", "node", "systole", "resource-agents", "lock"] {
        let dir = run.join(sub);
        fs::create_dir_all(&dir).during(|| format!("make {}", dir.display()))?;
    }
    isolate::bind(&layout.shared(), &run.join("lab"))?;
    isolate::bind(&layout.node(node), &run.join("node"))?;
    let hosts = layout.shared().join("hosts");
    if Path::new("/etc/hosts").exists() {
        isolate::bind(&hosts, Path::new("/etc/hosts"))?;
    }
    isolate::bind(&run, Path::new("/run"))?;
    isolate::empty(Path::new("/tmp"))
}

fn first_process(node: &str) -> Command {
    let mut command = Command::new(format!("{IN_NODE_SHARED}/bin/systole"));
    command.args(["lab", "init", "--node", node]);
    command
        .current_dir(IN_NODE_OWN)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.env_clear().envs(environment(node));
    // How much the daemons say is up to whoever makes the lab.
    if let Some(filter) = std::env::var_os(LOG_VARIABLE) {
        command.env(LOG_VARIABLE, filter);
    }
    command
}

/// What every program of a node finds in its environment.
fn environment(node: &str) -> [(&'static str, String); 6] {
    [
        ("PATH", format!("{IN_NODE_SHARED}/bin:{}", network::PATH)),
        ("HOME", IN_NODE_OWN.into()),
        ("LANG", "C.UTF-8".into()),
        ("SYSTOLE_CONFIG", format!("{IN_NODE_OWN}/etc/systole.toml")),
        ("SYSTOLE_LAB_NODE", node.into()),
        ("OCF_ROOT", format!("{IN_NODE_SHARED}/ocf")),
    ]
}
