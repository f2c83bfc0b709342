//! `leave`: a node is a member no more.

use super::{Failure, call::call, found::forget_everything, output::say, stop};
use clap::Args;
use crmd_core::request::Request;
use std::{path::Path, time::Duration};
use transport::config::Config;

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
        let own = &config.node.name;
        let node = self.node.as_ref().unwrap_or(own);
        let limit = Duration::from_secs(self.timeout);
        let request = Request::RemoveMember {
            node: node.as_str().into(),
        };
        let _held = stop::hold(config)?;
        call(config, &request, limit).await?;
        if node != own {
            say(format_args!("'{node}' is no member any more."));
            return Ok(());
        }
        stop::end(config).await?;
        forget_everything(path, &config.paths)?;
        say(format_args!(
            "'{own}' is no member of cluster '{}' any more.",
            config.cluster.name
        ));
        Ok(())
    }
}
