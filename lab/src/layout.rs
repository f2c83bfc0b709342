//! Where everything of a lab lies, outside and inside its nodes.

use crate::error::{LabError, While, said};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    net::Ipv4Addr,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
};

/// Where the shared folder appears in a node.
pub(crate) const IN_NODE_SHARED: &str = "/run/lab";
/// Where a node's own folder appears in it.
pub(crate) const IN_NODE_OWN: &str = "/run/node";
/// What is `/` to the daemons' files of a node; its `run` is the real one.
pub(crate) const IN_NODE_ROOT: &str = "/run/node/root";
/// First names given to nodes.
const NAMES: [&str; 12] = [
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu",
];
/// Guests at most.
const GUESTS: usize = 8;
/// Networks reserved for documentation (RFC 5737): one a link.
const NETWORKS: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// A lab's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(PathBuf);

impl Layout {
    /// The lab in this directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Below `XDG_RUNTIME_DIR`, or in `/tmp` under the user's number.
    pub fn default_dir() -> PathBuf {
        let uid = rustix::process::geteuid().as_raw();
        match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(dir) if !dir.is_empty() => PathBuf::from(dir).join("systole-lab"),
            _ => PathBuf::from(format!("/tmp/systole-lab-{uid}")),
        }
    }

    /// The directory itself.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Socket for the `lab` commands.
    pub fn control(&self) -> PathBuf {
        self.0.join("lab.sock")
    }

    /// What the lab did.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    /// What the lab's daemon complained about.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("lab.log")
    }

    fn spec(&self) -> PathBuf {
        self.0.join("lab.json")
    }

    /// What all nodes see at `/run/lab`.
    pub fn shared(&self) -> PathBuf {
        self.0.join("shared")
    }

    /// Socket for fencing, reachable from the nodes.
    pub(crate) fn fence(&self) -> PathBuf {
        self.shared().join("fence.sock")
    }

    /// Agents we ship, unpacked.
    pub(crate) fn agents(&self) -> PathBuf {
        self.shared().join("agents")
    }

    /// Locks and events of audited agents.
    pub fn audit(&self) -> PathBuf {
        self.shared().join("audit")
    }

    /// Events of audited agents.
    pub fn audit_events(&self) -> PathBuf {
        self.audit().join("events")
    }

    /// The executable all nodes run.
    pub(crate) fn program(&self) -> PathBuf {
        self.shared().join("bin/systole")
    }

    /// What a node sees at `/run/node`.
    pub fn node(&self, node: &str) -> PathBuf {
        self.0.join("nodes").join(node)
    }

    /// What a node sees at `/run`; emptied when it boots.
    pub fn run(&self, node: &str) -> PathBuf {
        self.node(node).join("run")
    }

    /// The local socket of a node's crmd.
    pub fn crmd_socket(&self, node: &str) -> PathBuf {
        self.run(node).join("systole/crmd.sock")
    }

    /// What a node's daemons said.
    pub fn node_log(&self, node: &str) -> PathBuf {
        self.node(node).join("log/systole.log")
    }

    /// Makes the directory, which must not exist or be empty, and everything that does not change in it.
    pub(crate) fn make(&self, spec: &Spec) -> Result<(), LabError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0);
        made.during(|| format!("make {}", self.0.display()))?;
        let mut entries = fs::read_dir(&self.0).during(|| format!("read {}", self.0.display()))?;
        if entries.next().is_some() {
            return said(format!(
                "{} is not empty: end the lab there with 'systole lab down', or choose another --dir",
                self.0.display()
            ));
        }
        for dir in [
            self.audit(),
            self.shared().join("bin"),
            self.0.join("nodes"),
        ] {
            fs::create_dir_all(&dir).during(|| format!("make {}", dir.display()))?;
        }
        for node in spec.machines() {
            for sub in ["etc", "root/var", "log", "run"] {
                let dir = self.node(node).join(sub);
                fs::create_dir_all(&dir).during(|| format!("make {}", dir.display()))?;
            }
            // So that a boot empties what a boot empties.
            let run = self.node(node).join("root/run");
            symlink("/run", &run).during(|| format!("make {}", run.display()))?;
        }
        let hosts = self.shared().join("hosts");
        fs::write(&hosts, spec.hosts()).during(|| format!("write {}", hosts.display()))?;
        self.write_spec(spec)
    }

    fn write_spec(&self, spec: &Spec) -> Result<(), LabError> {
        let text = serde_json::to_vec_pretty(spec).map_err(io::Error::from);
        text.and_then(|t| fs::write(self.spec(), t))
            .during(|| format!("write {}", self.spec().display()))
    }

    /// What the lab in this directory is made of.
    pub fn read_spec(&self) -> Result<Spec, LabError> {
        let text = fs::read(self.spec()).map_err(|source| LabError::Io {
            what: format!("there is no lab in {}", self.0.display()),
            source,
        })?;
        serde_json::from_slice(&text)
            .map_err(io::Error::from)
            .during(|| format!("{}", self.spec().display()))
    }
}

/// What a lab is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Nodes in their order.
    pub nodes: Vec<String>,
    /// Networks between them.
    pub links: usize,
    /// Machines in the same networks that are not of the cluster: clients, hypervisors.
    #[serde(default)]
    pub guests: Vec<String>,
    /// Size of each node's own disk in MiB, which can then be full; without it they share the host's.
    #[serde(default)]
    pub disk_mib: Option<u32>,
}

impl Spec {
    /// A lab of `nodes` nodes and `links` networks.
    ///
    /// # Errors
    /// Says what the limits are if they are passed.
    pub fn new(nodes: usize, links: usize) -> Result<Self, LabError> {
        if !(1..=NAMES.len()).contains(&nodes) || !(1..=NETWORKS.len()).contains(&links) {
            return said(format!(
                "a lab has 1 to {} nodes and 1 to {} links, not {nodes} and {links}",
                NAMES.len(),
                NETWORKS.len()
            ));
        }
        let nodes = NAMES.iter().take(nodes).map(|&n| n.to_owned()).collect();
        Ok(Self {
            nodes,
            links,
            guests: Vec::new(),
            disk_mib: None,
        })
    }

    /// The same with machines `guest1`, `guest2`, … beside the nodes.
    ///
    /// # Errors
    /// Too many.
    pub fn with_guests(mut self, count: usize) -> Result<Self, LabError> {
        if count > GUESTS {
            return said(format!("a lab has at most {GUESTS} guests, not {count}"));
        }
        self.guests = (1..=count).map(|n| format!("guest{n}")).collect();
        Ok(self)
    }

    /// Nodes and guests in their order.
    pub(crate) fn machines(&self) -> impl Iterator<Item = &String> {
        self.nodes.iter().chain(&self.guests)
    }

    /// The number of a machine, from 1.
    pub(crate) fn number(&self, node: &str) -> Result<u8, LabError> {
        let position = self.machines().position(|n| n == node);
        match position.and_then(|p| u8::try_from(p + 1).ok()) {
            Some(number) => Ok(number),
            None => said(format!(
                "there is no node '{node}' in this lab; its nodes are {}",
                self.nodes.join(", ")
            )),
        }
    }

    /// First addresses of all nodes, as `/etc/hosts` has them.
    fn hosts(&self) -> String {
        let lines = (1..)
            .zip(self.machines())
            .map(|(number, node)| format!("{} {node}\n", Self::address(0, number)));
        std::iter::once("127.0.0.1 localhost\n".to_owned())
            .chain(lines)
            .collect()
    }

    /// The address of node `number` on a link.
    pub(crate) fn address(link: usize, number: u8) -> Ipv4Addr {
        let [a, b, c] = NETWORKS.get(link).copied().unwrap_or_default();
        Ipv4Addr::new(a, b, c, number)
    }

    /// All addresses of a node, one for each link.
    pub fn addresses(&self, node: &str) -> Result<Vec<Ipv4Addr>, LabError> {
        let number = self.number(node)?;
        Ok((0..self.links)
            .map(|link| Self::address(link, number))
            .collect())
    }

    /// Hardware address of node `number` on a link: the same in every life, so that neighbours' tables stay right.
    pub(crate) fn hardware_address(link: usize, number: u8) -> String {
        format!("02:00:5e:00:{link:02x}:{number:02x}")
    }
}
