//! `systole cluster`: make a cluster, enter one, start and stop this node, leave for good.

mod call;
mod found;
mod join;
mod output;
mod remove;
mod start;
mod status;
mod stop;

use clap::{Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};
use transport::config::{self, Config};

/// What went wrong, for the person who typed the command.
type Failure = Box<dyn std::error::Error>;

/// Make a cluster, enter one, start and stop this node, leave for good.
#[derive(Debug, Parser)]
#[command(name = "systole cluster", version)]
struct Arguments {
    /// Configuration file of this node's daemons [default: /etc/systole/systole.toml].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a new cluster with this node as its first member.
    Init(found::Init),
    /// Make a token with which one node can join, and print the command to type there.
    Token(join::MakeToken),
    /// Make this node a member of a cluster.
    Join(join::Join),
    /// Start the daemons on this node.
    Start(start::Start),
    /// Stop the resources of this node and its daemons, in order.
    Stop(stop::Stop),
    /// Remove a node (this one if none is named) from the cluster for good.
    Leave(remove::Remove),
    /// Show what runs on this node and whom it sees.
    Status,
}

/// The program `cluster`. Exit code 0: done; 1: not done; 64: not understood.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let name = OsString::from("systole cluster");
    let arguments = match Arguments::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let path = config::path(arguments.config.as_deref());
    match act(arguments.verb, path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("systole cluster: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn act(verb: Verb, path: PathBuf) -> Result<(), Failure> {
    let path = std::path::absolute(path)?;
    // These two make the configuration file; the supervisor has its own runtime.
    match verb {
        Verb::Init(init) => return init.run(&path),
        Verb::Start(start) if start.foreground => return crate::supervise::run(&path),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if let Verb::Join(join) = verb {
            return join.run(&path).await;
        }
        let config = Config::load(&path)?;
        match verb {
            Verb::Token(token) => token.run(&config).await,
            Verb::Start(start) => start.run(&config, &path).await,
            Verb::Stop(stop) => stop.run(&config).await,
            Verb::Leave(leave) => leave.run(&config, &path).await,
            Verb::Status => status::run(&config).await,
            Verb::Init(_) | Verb::Join(_) => Ok(()),
        }
    })
}
