//! `status`: what runs here, whom crmd sees.

use super::{Failure, call, output::say};
use crate::supervise::SUPERVISOR;
use transport::{config::Config, lock};

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let (cluster, node) = (&config.cluster, &config.node.name);
    say(format_args!(
        "cluster '{}' (id {}), node '{node}'",
        cluster.name, cluster.id
    ));
    for daemon in [SUPERVISOR, "crmd", "stonithd"] {
        match lock::holder(&config.paths.lock_file(daemon))? {
            Some(pid) => say(format_args!("  {daemon:<10} process {pid}")),
            None => say(format_args!("  {daemon:<10} not running")),
        }
    }
    let view = call::state(config).await?;
    let coordinator = view.coordinator.as_deref().unwrap_or("none");
    let quorum = if view.quorate { "with" } else { "WITHOUT" };
    say(format_args!("coordinator {coordinator}, {quorum} quorum"));
    for member in view.members {
        let silent = match member.silent_ms {
            0 => String::new(),
            ms => format!(", last heard {ms} ms ago"),
        };
        let (name, state, life) = (&member.node, &member.state, member.life);
        say(format_args!("  {name:<16} {state} (life {life}{silent})"));
    }
    Ok(())
}
