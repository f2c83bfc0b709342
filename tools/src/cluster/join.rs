//! `token` on a member, `join` on the node to come.

use super::{
    Failure,
    call::{self, call},
    found::{Place, create_dirs, list, obstacles, put_aside, save},
    output::say,
};
use clap::Args;
use crmd_core::request::Request;
use jiff::SignedDuration;
use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket},
    path::Path,
    time::Duration,
};
use transport::{
    config::{Cluster, Config, Node, Ports, Timing},
    identity::{self, Identity, files},
    join::{Joined, Newcomer, Token, join},
};

/// Make a token with which one node can join.
#[derive(Debug, Args)]
pub(super) struct MakeToken {
    /// How long it is good for, for example 30m, 1h, 2d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = valid)]
    valid: Duration,
}

fn valid(text: &str) -> Result<Duration, String> {
    let told: SignedDuration = text
        .parse()
        .map_err(|e| format!("{e}; 30m, 1h, 2d are right"))?;
    match Duration::try_from(told) {
        Ok(time) if time >= Duration::from_secs(1) => Ok(time),
        _ => Err("at least a second".to_owned()),
    }
}

impl MakeToken {
    pub(super) async fn run(&self, config: &Config) -> Result<(), Failure> {
        let door = door(config).await?;
        let Config { cluster, node, .. } = config;
        let identity = Identity::load(&config.paths.identity_dir, &node.name, &cluster.id)?;
        let token = Token::generate(&identity.ca_fingerprint(), &cluster.name);
        let request = Request::MakeToken {
            digest: token.digest(),
            valid_s: self.valid.as_secs(),
        };
        let limit = Duration::from_millis(config.timing.request_timeout_ms);
        call(config, &request, limit).await?;
        say(format_args!("systole cluster join {door} --token {token}"));
        Ok(())
    }
}

/// Where a node to come must knock: the member that has the key of the cluster's authority.
async fn door(config: &Config) -> Result<String, Failure> {
    let dir = &config.paths.identity_dir;
    if dir.join(files::CA_KEY).exists() {
        let own = config.node.addresses.first().copied();
        return own
            .map(|address| shown(address, config.ports.join))
            .ok_or_else(|| "this node has no address".into());
    }
    let keeper = identity::keeper(dir).unwrap_or_default();
    let members = call::state(config).await?.members;
    let member = members.into_iter().find(|m| *m.node == *keeper);
    let address = member.and_then(|m| Some((m.addresses.first()?.parse().ok()?, m.ports.join)));
    match address {
        Some((address, port)) => Ok(shown(address, port)),
        None => Err(format!(
            "this node does not have the key of the cluster's CA ({}): make the token on the member where the cluster was made ('{keeper}')",
            dir.join(files::CA_KEY).display(),
        )
        .into()),
    }
}

fn shown(address: IpAddr, port: u16) -> String {
    if port == Ports::default().join {
        address.to_string()
    } else {
        SocketAddr::new(address, port).to_string()
    }
}

/// Make this node a member of a cluster.
#[derive(Debug, Args)]
pub(super) struct Join {
    /// A member: ADDRESS or ADDRESS:PORT.
    #[arg(value_name = "MEMBER")]
    member: String,
    /// What `systole cluster token` printed there.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "SYSTOLE_TOKEN",
        hide_env_values = true
    )]
    token: String,
    #[command(flatten)]
    place: Place,
}

impl Join {
    pub(super) async fn run(&self, path: &Path) -> Result<(), Failure> {
        let token: Token = self.token.parse()?;
        let member = resolve(&self.member)?;
        let paths = self.place.paths()?;
        // Asked before the token is used up, put aside after.
        let traces = obstacles(path, &paths, self.place.force)?;
        let newcomer = self.newcomer(member)?;
        let timing = Timing::default();
        let joined = join(member, &token, &newcomer, &timing).await?;
        put_aside(&traces, &paths)?;
        create_dirs(&paths)?;
        joined.save_identity(&paths.identity_dir)?;
        let config = configuration(&joined, newcomer, paths);
        Identity::load(
            &config.paths.identity_dir,
            &config.node.name,
            &config.cluster.id,
        )?;
        save(&config, path)?;
        say(format_args!(
            "This node, '{}' ({}), is a member of cluster '{}' (id {}), which has {} members now.",
            config.node.name,
            list(&config.node.addresses),
            config.cluster.name,
            config.cluster.id,
            config.members.len()
        ));
        say(format_args!("  configuration  {}", path.display()));
        say("Next: `systole cluster start`.");
        Ok(())
    }

    fn newcomer(&self, member: SocketAddr) -> Result<Newcomer, Failure> {
        let addresses = match &*self.place.addresses {
            [] => vec![towards(member)?],
            given => given.to_vec(),
        };
        Ok(Newcomer {
            node: self.place.node_name()?,
            addresses,
            ports: self.place.ports(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            feature_level: proto::FEATURE_LEVEL,
        })
    }
}

fn configuration(joined: &Joined, newcomer: Newcomer, paths: transport::config::Paths) -> Config {
    Config {
        cluster: Cluster {
            name: joined.cluster_name.clone(),
            id: joined.cluster_id.clone(),
        },
        node: Node {
            name: newcomer.node,
            raft_id: joined.raft_id,
            addresses: newcomer.addresses,
            bind: Vec::new(),
        },
        ports: newcomer.ports,
        paths,
        members: joined.members.clone(),
        timing: Timing::default(),
        alerts: Default::default(),
        metrics: None,
    }
}

fn resolve(member: &str) -> Result<SocketAddr, Failure> {
    let port = Ports::default().join;
    if let Ok(address) = member.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let with_port = member
        .rsplit_once(':')
        .is_some_and(|(_, p)| p.parse::<u16>().is_ok());
    let found = if with_port {
        member.to_socket_addrs()
    } else {
        (member, port).to_socket_addrs()
    };
    let mut found = found.map_err(|e| format!("'{member}' is no member's address: {e}"))?;
    found
        .next()
        .ok_or_else(|| format!("'{member}' has no address").into())
}

/// This host's address on the way to `member`; nothing is sent.
fn towards(member: SocketAddr) -> Result<IpAddr, Failure> {
    let any = if member.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket
        .connect(member)
        .map_err(|e| format!("no way to {member}: {e}; give this node's --address"))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_with_or_without_a_port() {
        let text = |member| resolve(member).unwrap().to_string();
        assert_eq!(text("192.0.2.1"), "192.0.2.1:5562");
        assert_eq!(text("192.0.2.1:7000"), "192.0.2.1:7000");
        assert_eq!(text("2001:db8::1"), "[2001:db8::1]:5562");
        assert_eq!(text("[2001:db8::1]:7000"), "[2001:db8::1]:7000");
        assert!(resolve("no such host!").is_err());
    }

    #[test]
    fn times_are_understood_or_refused_with_an_example() {
        assert_eq!(valid("90m").unwrap(), Duration::from_secs(5_400));
        assert_eq!(valid("1h").unwrap(), Duration::from_secs(3_600));
        assert!(valid("soon").unwrap_err().contains("30m"));
        assert!(valid("-1h").is_err());
    }

    #[test]
    fn the_timings_name_every_setting_of_the_core() {
        let settings: crmd_core::settings::Settings = Timing::default().core().unwrap();
        assert_eq!(settings, crmd_core::settings::Settings::default());
        let fields = |value: serde_json::Value| value.as_object().map_or(0, serde_json::Map::len);
        let all = fields(serde_json::to_value(&settings).unwrap());
        let handed_over: serde_json::Value = Timing::default().core().unwrap();
        assert_eq!(fields(handed_over), all);
    }
}
