//! `leave`: a node is a member no more.

use super::{
    Failure,
    call::{self, call},
    found::forget_everything,
    output::say,
    stop,
};
use clap::Args;
use crmd_core::{request::Request, view::MemberView};
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use transport::{config::Config, identity::Identity, join};

/// Between two attempts to be struck off the list.
const AGAIN: Duration = Duration::from_millis(200);

/// Remove a node from the cluster for good.
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// Another node than this one; it must be stopped.
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// How many seconds the resources may take to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 1_200)]
    timeout: u64,
}

impl Remove {
    pub(super) async fn run(&self, config: &Config, path: &Path) -> Result<(), Failure> {
        let limit = Duration::from_secs(self.timeout);
        match &self.node {
            Some(node) if *node != config.node.name => remove(config, node, limit).await,
            _ => remove_self(config, path, limit).await,
        }
    }
}

async fn remove(config: &Config, node: &str, limit: Duration) -> Result<(), Failure> {
    let request = Request::RemoveMember { node: node.into() };
    call(config, &request, limit).await?;
    say(format_args!("'{node}' is no member any more."));
    Ok(())
}

/// Leaves in order, then has another member strike this node off the list.
async fn remove_self(config: &Config, path: &Path, limit: Duration) -> Result<(), Failure> {
    let own = &config.node.name;
    let others = others(config).await;
    let identity = Identity::load(&config.paths.identity_dir, own, &config.cluster.id)?;
    stop::stop(config, limit).await?;
    struck_off(config, &identity, &others).await?;
    forget_everything(path, &config.paths)?;
    say(format_args!(
        "'{own}' is no member of cluster '{}' any more.",
        config.cluster.name
    ));
    Ok(())
}

/// The members that run, as crmd sees them; without crmd, those of the configuration file.
async fn others(config: &Config) -> Vec<(String, SocketAddr)> {
    let own = &config.node.name;
    let seen = |member: MemberView| {
        let address: IpAddr = member.addresses.first()?.parse().ok()?;
        let runs = member.state == "online" && *member.node != **own;
        runs.then(|| {
            (
                member.node.to_string(),
                SocketAddr::new(address, member.ports.join),
            )
        })
    };
    if let Ok(view) = call::state(config).await {
        return view.members.into_iter().filter_map(seen).collect();
    }
    let members = config.members.iter().filter(|m| m.node != *own);
    let known = |m: &transport::config::Member| {
        let address = *m.addresses.first()?;
        Some((m.node.clone(), SocketAddr::new(address, m.ports.join)))
    };
    members.filter_map(known).collect()
}

/// The others may need a while to see that this node's daemons have ended.
async fn struck_off(
    config: &Config,
    identity: &Identity,
    others: &[(String, SocketAddr)],
) -> Result<(), Failure> {
    let timing = &config.timing;
    let limit_ms = timing.failure_timeout_ms + timing.daemon_grace_ms + timing.join_timeout_ms;
    let until = Instant::now() + Duration::from_millis(limit_ms);
    loop {
        let Err(told) = struck_off_once(config, identity, others).await else {
            return Ok(());
        };
        if Instant::now() >= until {
            return Err(format!(
                "stopped, but still on the list of members ({told}): try again, or `systole cluster leave --node {}` on another member",
                config.node.name
            )
            .into());
        }
        sleep(AGAIN).await;
    }
}

/// Asks one after the other; without others there is no list any more.
async fn struck_off_once(
    config: &Config,
    identity: &Identity,
    others: &[(String, SocketAddr)],
) -> Result<(), String> {
    let mut told = Vec::new();
    for (node, address) in others {
        match join::leave(*address, node, identity, &config.timing).await {
            Ok(()) => return Ok(()),
            Err(error) => told.push(format!("'{node}': {error}")),
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    Err(told.join("; "))
}
