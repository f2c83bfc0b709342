//! `init`: a new cluster with one member. The configuration file is written last: as long as it is
//! not there, nothing was made.

use super::{Failure, output::say};
use clap::Args;
use nix::ifaddrs::getifaddrs;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};
use transport::{
    config::{Cluster, Config, Member, Node, Paths, Ports, Timing},
    durable,
    identity::{Authority, Identity, KeyRequest, new_cluster_id},
};

/// The document a cluster begins with.
const EMPTY_CIB: &str = "\
<cib crm_feature_set=\"3.20.1\" validate-with=\"pacemaker-4.0\" admin_epoch=\"0\" epoch=\"0\" num_updates=\"0\">
  <configuration>
    <crm_config/>
    <nodes/>
    <resources/>
    <constraints/>
  </configuration>
  <status/>
</cib>
";

/// Where this node is and where its files are.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// Name of this node [default: the host's name].
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// Addresses of this node, one for each link, in the same order on every node; repeat the option
    /// or separate them by commas [default: the address that leads to the others].
    #[arg(long = "address", value_name = "ADDRESS", value_delimiter = ',')]
    pub(super) addresses: Vec<IpAddr>,
    /// Keep everything under this directory instead of under /etc, /var and /run.
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    /// Use four ports from this one on instead of 5560 to 5563.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65532))]
    ports: Option<u16>,
    /// Forget an earlier membership of this node (its files are kept under other names).
    #[arg(long)]
    pub(super) force: bool,
}

impl Place {
    pub(super) fn node_name(&self) -> Result<String, Failure> {
        match &self.node {
            Some(name) => Ok(name.clone()),
            None => Ok(nix::unistd::gethostname()?.to_string_lossy().into_owned()),
        }
    }

    pub(super) fn paths(&self) -> std::io::Result<Paths> {
        let Some(root) = &self.root else {
            return Ok(Paths::default());
        };
        let root = std::path::absolute(root)?;
        let under = |path: PathBuf| root.join(path.strip_prefix("/").unwrap_or(&path));
        let usual = Paths::default();
        Ok(Paths {
            identity_dir: under(usual.identity_dir),
            state_dir: under(usual.state_dir),
            run_dir: under(usual.run_dir),
            log_dir: under(usual.log_dir),
            ..Paths::default()
        })
    }

    pub(super) fn ports(&self) -> Ports {
        let Some(first) = self.ports else {
            return Ports::default();
        };
        Ports {
            crmd: first,
            stonithd: first.saturating_add(1),
            join: first.saturating_add(2),
            witness: first.saturating_add(3),
        }
    }
}

/// Make a new cluster with this node as its first member.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// Name of the cluster.
    #[arg(long, value_name = "NAME", default_value = "systole")]
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Init {
    pub(super) fn run(&self, path: &Path) -> Result<(), Failure> {
        let paths = self.place.paths()?;
        let traces = obstacles(path, &paths, self.place.force)?;
        put_aside(&traces, &paths)?;
        let config = self.config(paths)?;
        let dir = &config.paths.identity_dir;
        create_dirs(&config.paths)?;
        let Node { name: node, .. } = &config.node;
        let Cluster { name, id } = &config.cluster;
        let authority = Authority::create_on(name, id, node)?;
        authority.save(dir)?;
        let request = KeyRequest::new(node)?;
        let certificate = authority.sign(&request.csr_pem, node)?;
        request.save(dir, &certificate, authority.certificate_pem())?;
        Identity::load(dir, node, id)?;
        durable::write(&config.paths.cib(), EMPTY_CIB.as_bytes(), 0o640)?;
        save(&config, path)?;
        say(format_args!(
            "Made cluster '{name}' (id {id}) with this node, '{node}', as its first member."
        ));
        say(format_args!("  configuration  {}", path.display()));
        say(format_args!("  identity       {}", dir.display()));
        say(format_args!(
            "  addresses      {}",
            list(&config.node.addresses)
        ));
        say("Next: `systole cluster start`, then `systole cluster token` for each node to come.");
        Ok(())
    }

    fn config(&self, paths: Paths) -> Result<Config, Failure> {
        let node = self.place.node_name()?;
        let addresses = match &*self.place.addresses {
            [] => vec![first_address()?],
            given => given.to_vec(),
        };
        let ports = self.place.ports();
        let member = Member {
            node: node.clone(),
            raft_id: 1,
            addresses: addresses.clone(),
            ports,
        };
        Ok(Config {
            cluster: Cluster {
                name: self.name.clone(),
                id: new_cluster_id(),
            },
            node: Node {
                name: node,
                raft_id: 1,
                addresses,
                bind: Vec::new(),
            },
            ports,
            paths,
            members: vec![member],
            timing: Timing::default(),
            alerts: Default::default(),
            metrics: None,
        })
    }
}

/// Writes the configuration file and its directory.
pub(super) fn save(config: &Config, path: &Path) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        durable::create_dir(parent, 0o755)?;
    }
    Ok(config.save(path)?)
}

pub(super) fn create_dirs(paths: &Paths) -> Result<(), Failure> {
    durable::create_dir(&paths.identity_dir, 0o755)?;
    durable::create_dir(&paths.state_dir, 0o750)?;
    durable::create_dir(&paths.run_dir, 0o755)?;
    durable::create_dir(&paths.log_dir, 0o750)?;
    Ok(())
}

/// Files of a membership that another one must not find.
fn traces(path: &Path, paths: &Paths) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&paths.state_dir).into_iter().flatten();
    let state = entries
        .flatten()
        .map(|entry| entry.path())
        // The count of this host's boots outlives every membership.
        .filter(|p| !matches!(p.file_name(), Some(n) if n == "life" || n == "earlier"));
    let own = [path.to_owned()].into_iter().filter(|p| p.exists());
    own.chain(state).collect()
}

/// What an earlier membership has left and must be put aside first; without `force` that refuses.
pub(super) fn obstacles(path: &Path, paths: &Paths, force: bool) -> Result<Vec<PathBuf>, Failure> {
    for daemon in ["crmd", "stonithd", crate::supervise::SUPERVISOR] {
        if let Ok(Some(pid)) = transport::lock::holder(&paths.lock_file(daemon)) {
            let advice = "`systole cluster stop` first";
            return Err(format!("{daemon} runs on this node (process {pid}): {advice}").into());
        }
    }
    let traces = traces(path, paths);
    match traces.first() {
        Some(first) if !force => Err(format!(
            "this node has files of a cluster already ({}): `systole cluster leave` removes it from there; with --force they are put aside and it is forgotten here",
            first.display()
        )
        .into()),
        _ => Ok(traces),
    }
}

/// Moves files to a numbered directory under the state directory.
pub(super) fn put_aside(files: &[PathBuf], paths: &Paths) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let earlier = paths.state_dir.join("earlier");
    let number = (1..).find(|n| !earlier.join(n.to_string()).exists());
    let place = earlier.join(number.unwrap_or(0_u32).to_string());
    durable::create_dir(&place, 0o700)?;
    for file in files {
        let Some(name) = file.file_name() else {
            continue;
        };
        let target = place.join(name);
        if std::fs::rename(file, &target).is_err() {
            // Another file system.
            std::fs::copy(file, &target)?;
            std::fs::remove_file(file)?;
        }
    }
    say(format_args!(
        "Files of the earlier membership: {}",
        place.display()
    ));
    Ok(())
}

/// All traces, for a node that has been removed.
pub(super) fn forget_everything(path: &Path, paths: &Paths) -> Result<(), Failure> {
    use transport::identity::files;
    let mut all = traces(path, paths);
    let identity = [
        files::NODE_KEY,
        files::NODE_CERTIFICATE,
        files::CA_CERTIFICATE,
        files::CA_KEY,
    ];
    let identity = identity.map(|file| paths.identity_dir.join(file));
    all.extend(identity.into_iter().filter(|p| p.exists()));
    put_aside(&all, paths)
}

fn first_address() -> Result<IpAddr, Failure> {
    let usable = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let storage = interface.address?;
        let v4 = storage.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
    };
    let mut found: Vec<IpAddr> = getifaddrs()?.filter_map(of).filter(usable).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    let first = found.first().copied();
    first.ok_or_else(|| "this host has no address of its own: give one with --address".into())
}

pub(super) fn list(addresses: &[IpAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}
