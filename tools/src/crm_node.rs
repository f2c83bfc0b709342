//! `crm_node`: who this node is and whom it is together with.

use crate::daemon::{self, Daemon, DaemonError, exit};
use clap::Parser;
use crmd_core::{
    request::{Refusal, RefusalKind, Request},
    view::NodeView,
};
use std::{ffi::OsString, process::ExitCode};

/// Shows information about the cluster's nodes.
#[derive(Debug, Parser)]
#[command(name = "crm_node", version)]
#[group(id = "command", required = true, multiple = false)]
struct Arguments {
    /// Show this node's number in the cluster.
    #[arg(short = 'i', long, group = "command")]
    cluster_id: bool,
    /// Show all known members (past and present) with their numbers and states.
    #[arg(short = 'l', long, group = "command")]
    list: bool,
    /// Show the name used by this node.
    #[arg(short = 'n', long, group = "command")]
    name: bool,
    /// Show the members of this node's partition.
    #[arg(short = 'p', long, group = "command")]
    partition: bool,
    /// Show 1 if this node's partition has quorum, 0 if not.
    #[arg(short = 'q', long, group = "command")]
    quorum: bool,
    /// Show the name of the node with this number.
    #[arg(short = 'N', long, value_name = "ID", group = "command")]
    name_for_id: Option<u64>,
    /// Remove a node that has left for good (with --force).
    #[arg(short = 'R', long, value_name = "NAME", group = "command")]
    remove: Option<String>,
    /// Really remove it.
    #[arg(short = 'f', long)]
    force: bool,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match daemon::arguments::<Arguments>("crm_node", args) {
        Ok(arguments) => match run(&arguments) {
            Ok(code) => code.into(),
            Err(error) => daemon::fail("crm_node", &error),
        },
        Err(code) => code,
    }
}

fn run(arguments: &Arguments) -> Result<u8, DaemonError> {
    let mut daemon = Daemon::connect()?;
    if let Some(node) = &arguments.remove {
        return remove(&mut daemon, node, arguments.force);
    }
    let view = daemon.state()?;
    if arguments.name {
        println!("{}", view.node);
    } else if arguments.quorum {
        println!("{}", u8::from(view.quorate));
    } else if arguments.partition {
        println!("{}", partition(&view).join(" "));
    } else {
        return numbers(&mut daemon, &view, arguments);
    }
    Ok(exit::OK)
}

fn partition(view: &NodeView) -> Vec<String> {
    let online = view.members.iter().filter(|m| m.state == "online");
    online.map(|m| m.node.to_string()).collect()
}

/// What needs the numbers, which are in the document.
fn numbers(daemon: &mut Daemon, view: &NodeView, arguments: &Arguments) -> Result<u8, DaemonError> {
    let document = daemon.document()?;
    let nodes: Vec<(String, String)> = document
        .descendants()
        .filter(|e| e.name() == "node")
        .filter_map(|e| Some((e.id()?.to_owned(), e.attr("uname")?.to_owned())))
        .collect();
    if arguments.list {
        for (id, name) in &nodes {
            println!("{id} {name} {}", field_state(view, name));
        }
        return Ok(exit::OK);
    }
    let found = match arguments.name_for_id {
        Some(id) => nodes
            .iter()
            .find(|(n, _)| *n == id.to_string())
            .map(|n| &n.1),
        None => nodes.iter().find(|(_, n)| *n == view.node).map(|n| &n.0),
    };
    match found {
        Some(text) => {
            println!("{text}");
            Ok(exit::OK)
        }
        None => Ok(exit::NO_SUCH),
    }
}

fn field_state(view: &NodeView, name: &str) -> &'static str {
    let member = view.members.iter().find(|m| &*m.node == name);
    match member.map(|m| m.state.as_str()) {
        Some("online" | "joining" | "daemon-down") => "member",
        _ => "lost",
    }
}

fn remove(daemon: &mut Daemon, node: &str, force: bool) -> Result<u8, DaemonError> {
    if !force {
        return Err(DaemonError::Refused(Refusal {
            kind: RefusalKind::Other,
            text: format!("the cluster forgets '{node}' for good: say --force if that is meant"),
        }));
    }
    let node = node.into();
    daemon.call(&Request::RemoveMember { node }, None)?;
    Ok(exit::OK)
}
