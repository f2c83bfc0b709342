//! `dist DIR`: the layout of an installation.

use crate::{
    checks::{BUILD, executable},
    run::{self, Show, cargo},
};
use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, ExitCode},
};

/// Words of the front (`systole demo`), not programs of their own.
const FRONT: &[&str] = &[
    "demo",
    "lab",
    "drill",
    "cluster",
    "status",
    "supervise",
    "explain",
    "bench",
];

/// Builds the executable and lays it out below `dir` with its links, agents, units and examples.
pub(crate) fn dist(dir: &Path, profile: &str) -> ExitCode {
    let built = run::run(
        &mut cargo(&["build", "--profile", profile, "--locked", "-p", "tools"]),
        Show::OnlyFailure,
        BUILD,
    );
    if !built.ok {
        return ExitCode::FAILURE;
    }
    match lay_out(dir, &executable(profile)) {
        Ok(()) => {
            println!("laid out in {}", dir.display());
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("xtask dist: {}: {e}", dir.display());
            ExitCode::FAILURE
        }
    }
}

fn lay_out(dir: &Path, executable: &Path) -> io::Result<()> {
    let sbin = dir.join("sbin");
    put(executable, &sbin.join("systole"), 0o755)?;
    for name in programs(executable)? {
        let link = sbin.join(&name);
        match fs::remove_file(&link) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => symlink("systole", &link)?,
        }
    }
    let root = run::root();
    copy_all(
        &root.join("agents/ocf/systole"),
        &dir.join("lib/ocf/resource.d/systole"),
        0o755,
    )?;
    copy_all(
        &root.join("agents/alerts"),
        &dir.join("share/systole/alerts"),
        0o755,
    )?;
    copy_all(
        &root.join("packaging/systemd"),
        &dir.join("lib/systemd/system"),
        0o644,
    )?;
    copy_all(
        &root.join("packaging/tmpfiles.d"),
        &dir.join("lib/tmpfiles.d"),
        0o644,
    )?;
    copy_all(
        &root.join("packaging/sysusers.d"),
        &dir.join("lib/sysusers.d"),
        0o644,
    )?;
    copy_all(
        &root.join("examples"),
        &dir.join("share/doc/systole/examples"),
        0o644,
    )
}

/// Names the executable acts by, from its own list.
fn programs(executable: &Path) -> io::Result<Vec<String>> {
    let help = Command::new(executable).arg("--help").output()?;
    let text = [help.stdout, help.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let listed = text
        .lines()
        .skip_while(|l| !l.starts_with("Programs:"))
        .skip(1);
    let names = listed.filter_map(|l| l.split_whitespace().next());
    Ok(names
        .filter(|n| !FRONT.contains(n))
        .map(str::to_owned)
        .collect())
}

fn put(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
}

/// A folder with all below it; one that does not exist is an error with its name.
fn copy_all(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    let entries = fs::read_dir(from)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", from.display())))?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target, mode)?;
        } else {
            put(&entry.path(), &target, mode)?;
        }
    }
    Ok(())
}
