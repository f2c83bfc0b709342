//! The daemons' configuration file: who this node is, where its files are, every time-out.
//!
//! TOML, by default `/etc/systole/systole.toml`, else what `--config` or the environment variable
//! `SYSTOLE_CONFIG` names. What the cluster *runs* is not here but in the CIB.
//!
//! ```no_run
//! use transport::config::{self, Config};
//! let path = config::path(None);
//! let config = Config::load(&path)?;
//! println!("{} listens on {:?}", config.node.name, config.bind_addresses());
//! # Ok::<(), transport::config::ConfigError>(())
//! ```

mod alerts;
mod check;
mod timing;

pub use alerts::{Alerts, Metrics};
pub(crate) use check::bad_name;
pub use timing::Timing;

use crate::durable::{self, FileError};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// Where the file is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/systole/systole.toml";

/// Environment variable that names another file.
pub const PATH_VARIABLE: &str = "SYSTOLE_CONFIG";

/// Variable with the filter of a daemon's log, as `tracing` understands it.
pub const LOG_VARIABLE: &str = "SYSTOLE_LOG";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which cluster.
    pub cluster: Cluster,
    /// Which of its nodes.
    pub node: Node,
    /// TCP ports of this node.
    #[serde(default)]
    pub ports: Ports,
    /// Files and directories.
    #[serde(default)]
    pub paths: Paths,
    /// Members known when the file was written; later the log knows better.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// Time-outs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timing: Timing,
    /// How alert agents are called.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alerts: Alerts,
    /// Figures for Prometheus; nothing: none are offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

/// The cluster this node belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// For people.
    pub name: String,
    /// Made by `systole cluster init`, never changes; certificates carry it.
    pub id: String,
}

/// This node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name: the `uname` of its `<node>` and the name in its certificate.
    pub name: String,
    /// Identity in the Raft log, never used twice.
    pub raft_id: u64,
    /// One address for each link, in the same order on every node.
    pub addresses: Vec<IpAddr>,
    /// Where to listen instead of on `addresses` (behind address translation, say).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bind: Vec<IpAddr>,
}

/// TCP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ports {
    /// crmd, mutual TLS.
    pub crmd: u16,
    /// stonithd, mutual TLS.
    pub stonithd: u16,
    /// Joining nodes: TLS of the server alone, and a token.
    pub join: u16,
    /// The supervisor's witness port: plain TCP, accepted and closed.
    pub witness: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            crmd: 5560,
            stonithd: 5561,
            join: 5562,
            witness: 5563,
        }
    }
}

/// Files and directories; several nodes can live on one machine by having their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// `ca.crt`, `node.crt`, `node.key`, and `ca.key` where the cluster was made.
    pub identity_dir: PathBuf,
    /// What must survive a reboot: `raft.redb`, `cib.xml`, the life counter.
    pub state_dir: PathBuf,
    /// What must not: sockets, locks, the journal of running agents.
    pub run_dir: PathBuf,
    /// Logs of daemons that were started without systemd.
    pub log_dir: PathBuf,
    /// `OCF_ROOT` of the resource agents.
    pub ocf_root: PathBuf,
    /// Directories searched for resource agents before those under `ocf_root`.
    pub agents_dirs: Vec<PathBuf>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            identity_dir: "/etc/systole".into(),
            state_dir: "/var/lib/systole".into(),
            run_dir: "/run/systole".into(),
            log_dir: "/var/log/systole".into(),
            ocf_root: "/usr/lib/ocf".into(),
            agents_dirs: Vec::new(),
        }
    }
}

impl Paths {
    /// Socket of the node daemon.
    #[must_use]
    pub fn crmd_socket(&self) -> PathBuf {
        self.run_dir.join("crmd.sock")
    }

    /// Socket of the fencing daemon.
    #[must_use]
    pub fn stonithd_socket(&self) -> PathBuf {
        self.run_dir.join("stonithd.sock")
    }

    /// Lock file of a daemon: `crmd`, `stonithd` or `supervise`.
    #[must_use]
    pub fn lock_file(&self, daemon: &str) -> PathBuf {
        self.run_dir.join(format!("{daemon}.lock"))
    }

    /// The configuration the cluster runs, as a plain file.
    #[must_use]
    pub fn cib(&self) -> PathBuf {
        self.state_dir.join("cib.xml")
    }
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub node: String,
    /// Identity in the Raft log.
    pub raft_id: u64,
    /// One address for each link.
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    #[serde(default)]
    pub ports: Ports,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is none: nothing was set up on this node.
    #[error(
        "{}: no such file: this node belongs to no cluster yet; make one with `systole cluster init` or enter one with `systole cluster join`",
        .0.display()
    )]
    Missing(PathBuf),
    /// What stands there is not usable.
    #[error("{}:{line}: {}{reason}", path.display(), key.as_ref().map(|k| format!("{k}: ")).unwrap_or_default())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// `table.key`, if one can be blamed.
        key: Option<String>,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// It could not be turned into another type or into text (a defect of the program).
    #[error("configuration cannot be converted: {0}")]
    Convert(String),
}

/// The file to use: what the command line says, else `SYSTOLE_CONFIG`, else [`DEFAULT_PATH`].
#[must_use]
pub fn path(command_line: Option<&Path>) -> PathBuf {
    command_line
        .map(Path::to_owned)
        .or_else(|| std::env::var_os(PATH_VARIABLE).map(PathBuf::from))
        .unwrap_or_else(|| DEFAULT_PATH.into())
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// File, line, key, what is wrong and what would be right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ConfigError::Missing(path.to_owned()),
            _ => FileError::new(path, "read", error).into(),
        })?;
        Self::parse(&text, path)
    }

    /// Checks `text`; `path` is what errors name.
    ///
    /// # Errors
    /// As of [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|e| check::syntax(text, path, &e))?;
        check::sense(&config).map_err(|wrong| wrong.locate(text, path))?;
        Ok(config)
    }

    /// Writes the file durably. Time-outs appear only when they are not the defaults.
    ///
    /// # Errors
    /// The kernel's refusal; an older file then stays as it was.
    pub fn save(&self, path: &Path) -> Result<(), ConfigError> {
        let body = toml::to_string_pretty(self).map_err(|e| ConfigError::Convert(e.to_string()))?;
        let text = format!("{HEADER}{body}");
        Self::parse(&text, path)?;
        Ok(durable::write(path, text.as_bytes(), 0o644)?)
    }

    /// Where the daemons listen.
    #[must_use]
    pub fn bind_addresses(&self) -> &[IpAddr] {
        if self.node.bind.is_empty() {
            &self.node.addresses
        } else {
            &self.node.bind
        }
    }

    /// Where a daemon listens, with its port.
    #[must_use]
    pub fn bind_sockets(&self, port: u16) -> Vec<SocketAddr> {
        let with_port = |address: &IpAddr| SocketAddr::new(*address, port);
        self.bind_addresses().iter().map(with_port).collect()
    }
}

const HEADER: &str = "\
# Systole on this node; written by `systole cluster`, yours to edit.
# Every setting, every time-out and its default: examples/systole.toml.

";

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
