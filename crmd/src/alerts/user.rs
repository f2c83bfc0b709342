//! Under which user agents run: whoever may write into the `<alerts>` of the CIB shall not thereby become root.

use nix::unistd::{Gid, Uid, User, geteuid};
use process::{Program, SpawnError};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Becomes somebody else and then the program (util-linux); so this daemon needs no fork.
const SETPRIV: &str = "/usr/bin/setpriv";

/// Whose rights an agent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunAs {
    /// The daemon's own.
    Daemon,
    /// Those of this user.
    User(Uid, Gid),
}

impl RunAs {
    /// Finds the user; if agents have to run as the daemon does instead, that is said.
    pub(super) fn find(name: &str) -> Self {
        match Self::look_up(name) {
            Ok(user) => user,
            Err(reason) => {
                tracing::warn!(
                    "alert agents run with this daemon's own rights: {reason}; alerts.user names their user, an \
                     empty one says that this is meant"
                );
                Self::Daemon
            }
        }
    }

    fn look_up(name: &str) -> Result<Self, String> {
        if !geteuid().is_root() || name.is_empty() || name == "root" {
            return Ok(Self::Daemon);
        }
        let user = match User::from_name(name) {
            Ok(Some(user)) => user,
            Ok(None) => return Err(format!("there is no user '{name}' on this host")),
            Err(error) => return Err(format!("user '{name}' cannot be looked up: {error}")),
        };
        let map = |file| fs::read_to_string(file).unwrap_or_default();
        let mapped = is_mapped(&map("/proc/self/uid_map"), user.uid.as_raw())
            && is_mapped(&map("/proc/self/gid_map"), user.gid.as_raw());
        if !mapped {
            return Err(format!(
                "user '{name}' does not exist in this user namespace"
            ));
        }
        if !Path::new(SETPRIV).is_file() {
            return Err(format!("{SETPRIV} is not there"));
        }
        Ok(Self::User(user.uid, user.gid))
    }

    /// The program that runs an agent.
    ///
    /// # Errors
    /// The agent is not there or not executable.
    pub(super) fn program(self, path: &str) -> Result<Program, SpawnError> {
        let Self::User(uid, gid) = self else {
            return Ok(Program::new(path));
        };
        // Afterwards it would be setpriv that says so.
        let executable = |m: &Metadata| m.is_file() && m.permissions().mode() & 0o111 != 0;
        let there = match fs::metadata(path) {
            Ok(metadata) if executable(&metadata) => Ok(()),
            Ok(_) => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            Err(error) => Err(error),
        };
        there.map_err(|source| SpawnError {
            program: path.into(),
            source,
        })?;
        let program = Program::new(SETPRIV)
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={gid}"))
            .args(["--init-groups", "--"]);
        Ok(program.arg(path))
    }
}

/// Whether an id exists in a namespace with this map (`inside outside count` lines).
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(|n| n.parse::<u64>().ok());
        let (Some(Some(inside)), Some(Some(count))) = (numbers.next(), numbers.nth(1)) else {
            return false;
        };
        (inside..inside.saturating_add(count)).contains(&id.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_namespaces() {
        assert!(is_mapped("         0          0 4294967295\n", 102));
        assert!(!is_mapped("0 1000 1\n", 102));
        assert!(is_mapped("0 1000 1\n100 100000 10\n", 109));
        assert!(!is_mapped("", 0));
    }

    #[test]
    fn nobody_in_particular_is_the_daemon() {
        assert_eq!(RunAs::look_up(""), Ok(RunAs::Daemon));
        assert_eq!(RunAs::look_up("root"), Ok(RunAs::Daemon));
    }

    #[tokio::test]
    async fn an_agent_has_the_rights_of_its_user() {
        if !geteuid().is_root() || !matches!(RunAs::look_up("nobody"), Ok(RunAs::User(..))) {
            return println!(
                "skipped: only root in the first user namespace becomes somebody else"
            );
        }
        let user = RunAs::look_up("nobody").unwrap();
        let run = user.program("/usr/bin/id").unwrap().arg("-un").run();
        assert_eq!(run.await.unwrap().stdout.text().trim(), "nobody");
        let missing = user.program("/nowhere/at-all").unwrap_err();
        assert!(missing.is_not_installed());
        assert!(user.program("/etc/passwd").unwrap_err().is_not_installed());
    }
}
