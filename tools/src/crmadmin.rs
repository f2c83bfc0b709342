//! `crmadmin`: who coordinates, who is there, how the daemon of a node does.

use crate::daemon::{self, Daemon, DaemonError, exit};
use clap::Parser;
use std::{ffi::OsString, process::ExitCode};

/// Queries the node daemon.
#[derive(Debug, Parser)]
#[command(name = "crmadmin", version)]
#[group(id = "command", required = true, multiple = false)]
struct Arguments {
    /// Show the coordinator.
    #[arg(short = 'D', long = "dc_lookup", group = "command")]
    dc_lookup: bool,
    /// Show the names of all nodes.
    #[arg(short = 'N', long, group = "command")]
    nodes: bool,
    /// Show how the daemon of this node does.
    #[arg(short = 'S', long, value_name = "NODE", group = "command")]
    status: Option<String>,
    /// With --nodes: as shell commands.
    #[arg(short = 'B', long)]
    bash_export: bool,
    /// Only the essential.
    #[arg(short = 'q', long)]
    quiet: bool,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match daemon::arguments::<Arguments>("crmadmin", args) {
        Ok(arguments) => match run(&arguments) {
            Ok(code) => code.into(),
            Err(error) => daemon::fail("crmadmin", &error),
        },
        Err(code) => code,
    }
}

fn run(arguments: &Arguments) -> Result<u8, DaemonError> {
    let mut daemon = Daemon::connect()?;
    if arguments.nodes {
        return nodes(&mut daemon, arguments.bash_export);
    }
    let view = daemon.state()?;
    if let Some(node) = &arguments.status {
        let Some(member) = view.members.iter().find(|m| *m.node == **node) else {
            eprintln!("crmadmin: no node '{node}' is known");
            return Ok(exit::NO_SUCH);
        };
        let leads = view.coordinator.as_deref() == Some(&*member.node);
        let state = match (member.state.as_str(), leads) {
            ("online", true) if view.idle => "S_IDLE",
            ("online", true) => "S_TRANSITION_ENGINE",
            ("online", false) => "S_NOT_DC",
            _ => "S_PENDING",
        };
        println!("Controller on {node} in state {state}: ok");
        return Ok(exit::OK);
    }
    match (&view.coordinator, arguments.quiet) {
        (Some(node), true) => println!("{node}"),
        (Some(node), false) => println!("Designated Controller is: {node} {}", view.version),
        (None, _) => println!("Designated Controller is not yet elected"),
    }
    Ok(exit::OK)
}

fn nodes(daemon: &mut Daemon, bash_export: bool) -> Result<u8, DaemonError> {
    let document = daemon.document()?;
    for node in document.descendants().filter(|e| e.name() == "node") {
        let (Some(id), Some(name)) = (node.id(), node.attr("uname")) else {
            continue;
        };
        if bash_export {
            println!("export {name}={id}");
        } else {
            println!("cluster node: {name} ({id})");
        }
    }
    Ok(exit::OK)
}
