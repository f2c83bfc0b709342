//! Namespaces: the lab's own, and each node's inside it.
//!
//! Entering happens in small single-threaded processes of their own ([`keep`] for the lab, [`crate::boot`]
//! for a node), because the kernel wants it so and because nothing else then needs to be undone.

use crate::{
    error::{LabError, While, said},
    layout::Layout,
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::prctl,
};
use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

/// Makes the lab's namespaces, runs its daemon as their first process, and afterwards, if asked, removes
/// the directory. When the daemon ends, the kernel ends everything in the namespaces.
pub(crate) fn keep(layout: &Layout, ephemeral: bool) -> Result<(), LabError> {
    nix::unistd::setsid()
        .map_err(io::Error::from)
        .during(|| "begin a session".into())?;
    let result = enter().and_then(|()| run_daemon(layout, ephemeral));
    if ephemeral {
        let gone = fs::remove_dir_all(layout.dir());
        gone.during(|| format!("remove {}", layout.dir().display()))?;
    }
    result
}

fn enter() -> Result<(), LabError> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    if uid != 0 {
        unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(|e| LabError::NoNamespaces(format!("user namespace: {e}")))?;
        let map =
            |file: &str, text: String| fs::write(file, text).during(|| format!("write {file}"));
        map("/proc/self/setgroups", "deny".into())?;
        map("/proc/self/uid_map", format!("0 {uid} 1"))?;
        map("/proc/self/gid_map", format!("0 {gid} 1"))?;
    }
    let all = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    unshare(all).map_err(|e| {
        LabError::NoNamespaces(format!("network, mount and process namespaces: {e}"))
    })?;
    private_mounts()
}

/// What this process mounts is gone with it, and in nobody's way who removes the folder below.
pub(crate) fn own_mounts() -> Result<(), LabError> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|e| LabError::NoNamespaces(format!("mount namespace: {e}")))?;
    private_mounts()
}

/// What is mounted from now on stays in this namespace.
pub(crate) fn private_mounts() -> Result<(), LabError> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(|e| LabError::NoNamespaces(format!("keep mounts apart: {e}")))
}

/// Shows the processes of this process namespace in `/proc`.
pub(crate) fn mount_proc() -> Result<(), LabError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
        .map_err(|e| LabError::NoNamespaces(format!("mount /proc: {e}")))
}

/// Shows a folder at a second place.
pub(crate) fn bind(from: &Path, to: &Path) -> Result<(), LabError> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, None::<&str>, flags, None::<&str>)
        .map_err(io::Error::from)
        .during(|| format!("show {} at {}", from.display(), to.display()))
}

/// A disk of this size in memory: it lives as long as the lab, and can be full.
pub(crate) fn disk(at: &Path, mib: u32) -> Result<(), LabError> {
    let options = format!("mode=755,size={mib}m");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        flags,
        Some(options.as_str()),
    )
    .map_err(io::Error::from)
    .during(|| format!("a disk of {mib} MiB at {}", at.display()))
}

/// An empty folder in memory.
pub(crate) fn empty(at: &Path) -> Result<(), LabError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some("mode=1777"))
        .map_err(io::Error::from)
        .during(|| format!("an empty {}", at.display()))
}

fn run_daemon(layout: &Layout, tied: bool) -> Result<(), LabError> {
    let mut command = Command::new(layout.program());
    command
        .args(["lab", "daemon", "--dir"])
        .arg(layout.dir())
        .process_group(0);
    if tied {
        command.arg("--tied");
    } else {
        command.stdin(Stdio::null());
    }
    let status = command
        .status()
        .during(|| format!("start {}", layout.program().display()))?;
    if status.success() {
        Ok(())
    } else {
        said(format!("the lab's daemon ended with {status}"))
    }
}

/// Ends this process when its parent ends, however that happens.
pub(crate) fn die_with_parent() -> Result<(), LabError> {
    let signal = nix::sys::signal::Signal::SIGKILL;
    prctl::set_pdeathsig(signal)
        .map_err(io::Error::from)
        .during(|| "follow the parent".into())
}
