//! Bringing a lab up and down from outside.

use crate::{
    error::{LabError, While, said},
    layout::{Layout, Spec},
    remote::Lab,
    wire::{self, Ask},
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long nodes may take to boot.
const BOOT_LIMIT: Duration = Duration::from_secs(20);
/// How long a lab may take to end.
const DOWN_LIMIT: Duration = Duration::from_secs(20);
/// Programs that agents and people call by their own names.
const PROGRAMS: &[&str] = &[
    "attrd_updater",
    "cibadmin",
    "crm_attribute",
    "crm_diff",
    "crm_error",
    "crm_failcount",
    "crm_master",
    "crm_mon",
    "crm_node",
    "crm_resource",
    "crm_rule",
    "crm_shadow",
    "crm_simulate",
    "crm_standby",
    "crm_ticket",
    "crm_verify",
    "crmadmin",
    "iso8601",
    "ocf-runner",
    "stonith_admin",
];
const POLL: Duration = Duration::from_millis(5);

/// A lab that ends with us: when this is dropped, and when our process ends in whatever way.
#[derive(Debug)]
pub struct TiedLab {
    lab: Lab,
    keeper: Child,
}

impl TiedLab {
    /// Boots a lab in a directory, which is removed at its end.
    pub fn up(layout: Layout, spec: &Spec) -> Result<Self, LabError> {
        layout.make(spec)?;
        let mut keeper = keeper(&layout, true).map_err(|e| clean(&layout, e))?;
        match wait_up(&layout, &mut keeper) {
            Ok(lab) => Ok(Self { lab, keeper }),
            Err(e) => {
                let _ = keeper.wait();
                Err(clean(&layout, e))
            }
        }
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }
}

impl Drop for TiedLab {
    fn drop(&mut self) {
        // The keeper's input ends, the daemon follows, the keeper removes the directory.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn clean(layout: &Layout, error: LabError) -> LabError {
    let _ = fs::remove_dir_all(layout.dir());
    error
}

/// Boots a lab that stays until [`down`].
pub(crate) fn up(layout: Layout, spec: &Spec) -> Result<Lab, LabError> {
    layout.make(spec)?;
    let mut keeper = keeper(&layout, false).map_err(|e| clean(&layout, e))?;
    wait_up(&layout, &mut keeper).map_err(|e| {
        let _ = keeper.kill();
        let _ = keeper.wait();
        clean(&layout, e)
    })
}

fn keeper(layout: &Layout, tied: bool) -> Result<Child, LabError> {
    install(layout)?;
    let log = File::create(layout.log()).during(|| format!("write {}", layout.log().display()))?;
    let mut command = Command::new(layout.program());
    command.args(["lab", "keep", "--dir"]).arg(layout.dir());
    if tied {
        command.arg("--tied").stdin(Stdio::piped());
    } else {
        command.stdin(Stdio::null());
    }
    let log2 = log
        .try_clone()
        .during(|| format!("write {}", layout.log().display()))?;
    command.stdout(log2).stderr(log).current_dir("/");
    command
        .spawn()
        .during(|| format!("start {}", layout.program().display()))
}

/// The lab keeps its own link to the executable: rebuilding the original does not change a running lab.
fn install(layout: &Layout) -> Result<(), LabError> {
    let own = std::env::current_exe().during(|| "find our own program".into())?;
    let program = layout.program();
    if fs::hard_link(&own, &program).is_err() {
        fs::copy(&own, &program)
            .during(|| format!("copy {} to {}", own.display(), program.display()))?;
    }
    link_programs(layout)?;
    for (path, text) in ocf_runner::SHIPPED {
        let file = layout.agents().join(path);
        unpack(&file, text).during(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

fn unpack(file: &Path, text: &str) -> io::Result<()> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
}

/// Makes the names of programs that agents call by name.
fn link_programs(layout: &Layout) -> Result<(), LabError> {
    let bin = layout.shared().join("bin");
    for name in PROGRAMS {
        let link = bin.join(name);
        match symlink("systole", &link) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(e).during(|| format!("make {}", link.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn wait_up(layout: &Layout, keeper: &mut Child) -> Result<Lab, LabError> {
    let deadline = Instant::now() + BOOT_LIMIT;
    let lab = Lab::open(layout.clone())?;
    loop {
        // The control socket listens before the nodes boot; it answers when they have.
        if layout.control().exists()
            && let Ok((machines, _)) = lab.describe()
            && machines
                .iter()
                .all(|m| m.state == "running" && booted(layout, &m.node))
        {
            return Ok(lab);
        }
        let ended = keeper
            .try_wait()
            .during(|| "watch the lab's daemon".into())?;
        if ended.is_some() {
            return said(first_words(layout));
        }
        if Instant::now() > deadline {
            return Err(LabError::TooLate {
                what: format!("the lab did not come up ({})", first_words(layout)),
                limit_ms: BOOT_LIMIT.as_millis() as u64,
            });
        }
        thread::sleep(POLL);
    }
}

fn booted(layout: &Layout, node: &str) -> bool {
    layout.run(node).join("lab-init.sock").exists()
}

fn first_words(layout: &Layout) -> String {
    let text = fs::read_to_string(layout.log()).unwrap_or_default();
    let first = text
        .lines()
        .next()
        .unwrap_or("the lab's daemon said nothing");
    first.trim_start_matches("systole lab: ").to_owned()
}

/// Ends the lab in a directory and removes the directory. What is left of a lab whose daemon is gone
/// (after a power loss of the host, say) is removed too.
pub(crate) fn down(layout: &Layout) -> Result<(), LabError> {
    layout.read_spec()?;
    if wire::ask(&layout.control(), &Ask::Down, DOWN_LIMIT).is_ok() {
        let deadline = Instant::now() + DOWN_LIMIT;
        while answers(&layout.control()) {
            if Instant::now() > deadline {
                return said(format!(
                    "the lab in {} does not end",
                    layout.dir().display()
                ));
            }
            thread::sleep(POLL);
        }
    }
    fs::remove_dir_all(layout.dir()).during(|| format!("remove {}", layout.dir().display()))
}

fn answers(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}
