//! Where an agent is.

use crate::{Config, action::Action};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Exists where systemd is the running init (`sd_booted`(3)).
const SYSTEMD_RUNS: &str = "/run/systemd/system";

/// What carries out an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// An OCF agent: this program.
    Ocf(PathBuf),
    /// An init script: this program.
    Lsb(PathBuf),
    /// A systemd unit of this name.
    Systemd(String),
}

/// There is no such agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// Not a class we know.
    #[error("resource class '{0}' is not known here (ocf, systemd, lsb, service)")]
    UnknownClass(String),
    /// A name that would lead out of the agents' directories.
    #[error("'{0}' cannot be the name of an agent or its provider")]
    BadName(String),
    /// OCF needs a provider.
    #[error("ocf agent '{0}' needs a provider")]
    NoProvider(String),
    /// Not there, or not executable.
    #[error("agent {name} is not installed: no executable file {}", tried.join(", "))]
    NotInstalled {
        /// `class:provider:kind`.
        name: String,
        /// Files that were looked for.
        tried: Vec<String>,
    },
}

/// Finds the agent of an action.
pub(crate) fn agent(config: &Config, action: &Action) -> Result<Agent, LocateError> {
    check_name(&action.kind)?;
    match action.class.as_str() {
        "ocf" => ocf(config, action),
        "lsb" => lsb(config, &action.kind),
        "systemd" => Ok(Agent::Systemd(unit_name(&action.kind))),
        "service" => match lsb(config, &action.kind) {
            Ok(found) if !Path::new(SYSTEMD_RUNS).exists() => Ok(found),
            _ => Ok(Agent::Systemd(unit_name(&action.kind))),
        },
        other => Err(LocateError::UnknownClass(other.to_owned())),
    }
}

/// Directories with a directory for each provider, in the order of search.
pub(crate) fn provider_dirs(config: &Config) -> Vec<PathBuf> {
    let mut dirs = vec![config.ocf_root.join("resource.d")];
    dirs.extend(config.extra_dirs.iter().cloned());
    dirs
}

/// Names in a directory that can be executed (or opened, for directories), sorted.
pub(crate) fn names(dir: &Path, directories: bool) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|e| match directories {
            true => e.path().is_dir(),
            false => is_executable(&e.path()),
        })
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| !n.starts_with(['.', '_']))
        .collect();
    names.sort();
    names
}

fn ocf(config: &Config, action: &Action) -> Result<Agent, LocateError> {
    let provider = match &action.provider {
        Some(provider) if !provider.is_empty() => provider,
        _ => return Err(LocateError::NoProvider(action.kind.clone())),
    };
    check_name(provider)?;
    let tried: Vec<PathBuf> = provider_dirs(config)
        .iter()
        .map(|dir| dir.join(provider).join(&action.kind))
        .collect();
    first_executable(format!("ocf:{provider}:{}", action.kind), tried).map(Agent::Ocf)
}

fn lsb(config: &Config, kind: &str) -> Result<Agent, LocateError> {
    first_executable(format!("lsb:{kind}"), vec![config.init_dir.join(kind)]).map(Agent::Lsb)
}

fn first_executable(name: String, tried: Vec<PathBuf>) -> Result<PathBuf, LocateError> {
    match tried.iter().find(|path| is_executable(path)) {
        Some(path) => Ok(path.clone()),
        None => Err(LocateError::NotInstalled {
            name,
            tried: tried.iter().map(|p| p.display().to_string()).collect(),
        }),
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// A name must stay within its directory and must not be taken for an option.
fn check_name(name: &str) -> Result<(), LocateError> {
    let bad = name.is_empty()
        || name.starts_with(['.', '-'])
        || name.contains(['/', '\0'])
        || name.chars().any(char::is_whitespace);
    match bad {
        true => Err(LocateError::BadName(name.to_owned())),
        false => Ok(()),
    }
}

/// systemd.unit(5): without a known suffix a name means a service.
fn unit_name(kind: &str) -> String {
    const SUFFIXES: &[&str] = &[
        ".service", ".socket", ".mount", ".timer", ".path", ".target", ".slice", ".scope", ".swap",
        ".device",
    ];
    match SUFFIXES.iter().any(|s| kind.ends_with(s)) {
        true => kind.to_owned(),
        false => format!("{kind}.service"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(class: &str, provider: Option<&str>, kind: &str) -> Result<Agent, LocateError> {
        let action = Action {
            class: class.to_owned(),
            provider: provider.map(str::to_owned),
            kind: kind.to_owned(),
            ..Action::default()
        };
        agent(&Config::default(), &action)
    }

    #[test]
    fn names_cannot_lead_elsewhere() {
        for kind in ["../../bin/sh", "", ".hidden", "-rf", "a b"] {
            assert!(matches!(
                find("ocf", Some("heartbeat"), kind),
                Err(LocateError::BadName(_))
            ));
        }
        assert!(matches!(
            find("ocf", Some(".."), "Dummy"),
            Err(LocateError::BadName(_))
        ));
    }

    #[test]
    fn a_missing_agent_names_the_files_looked_for() {
        let error = find("ocf", Some("nobody"), "Nothing").unwrap_err();
        assert!(error.to_string().contains("nobody/Nothing"), "{error}");
    }

    #[test]
    fn units_get_their_suffix() {
        assert_eq!(
            find("systemd", None, "nginx"),
            Ok(Agent::Systemd("nginx.service".to_owned()))
        );
        assert_eq!(
            find("systemd", None, "srv.mount"),
            Ok(Agent::Systemd("srv.mount".to_owned()))
        );
    }
}
