//! `crm_node`: who this node is and whom it is together with.

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    nodes::{self, Node},
    output::Output,
    source::{self, Source},
};
use cib::Element;
use clap::{ArgGroup, Parser};
use crmd_core::{request::Request, view::NodeView};
use std::{ffi::OsString, process::ExitCode};

/// Shows information about the cluster's nodes.
#[derive(Debug, Parser)]
#[command(name = "crm_node", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).args([
    "cluster_id", "list", "name", "partition", "quorum", "name_for_id", "remove",
]))]
struct Arguments {
    /// Show this node's number in the cluster.
    #[arg(short = 'i', long)]
    cluster_id: bool,
    /// Show all known members (past and present) with their numbers and states.
    #[arg(short = 'l', long)]
    list: bool,
    /// Show the name used by this node.
    #[arg(short = 'n', long)]
    name: bool,
    /// Show the members of this node's partition.
    #[arg(short = 'p', long)]
    partition: bool,
    /// Show 1 if this node's partition has quorum, 0 if not.
    #[arg(short = 'q', long)]
    quorum: bool,
    /// Show the name of the node with this number.
    #[arg(short = 'N', long, value_name = "ID")]
    name_for_id: Option<String>,
    /// Remove a node that has left for good (with --force).
    #[arg(short = 'R', long, value_name = "NAME")]
    remove: Option<String>,
    /// Really remove it.
    #[arg(short = 'f', long)]
    force: bool,
    /// Only the essential.
    #[arg(short = 'Q', long)]
    quiet: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_node";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let mut source = Source::from_environment()?;
        if let Some(node) = &self.remove {
            return remove(&mut source, node, self.force);
        }
        if self.name {
            let name = source.own_node();
            output.line(&name);
            output.element(Element::new("node-info").with_attr("uname", name));
            return Ok(exit::OK);
        }
        let view = match source.is_file() {
            true => None,
            false => Some(source.live()?.state().map_err(source::of_daemon)?),
        };
        if self.quorum {
            let document = source.document()?;
            let quorate = view.as_ref().map_or_else(
                || matches!(document.attr("have-quorum"), Some("1" | "true")),
                |v| v.quorate,
            );
            output.line(if quorate { "1" } else { "0" });
            let element = Element::new("cluster-info");
            output.element(element.with_attr("quorum", quorate.to_string()));
            return Ok(exit::OK);
        }
        let document = source.document()?;
        let members = |node: &Node| state_of(&document, view.as_ref(), node);
        if self.partition {
            return Ok(partition(&document, members, output));
        }
        if self.list {
            return Ok(list(&document, members, output));
        }
        let own = source.own_node();
        self.one(&document, &own, output)
    }
}

impl Arguments {
    /// A node by its number, or this one's number.
    fn one(&self, document: &Element, own: &str, output: &mut Output) -> Result<u8, Failure> {
        let all = nodes::all(document);
        let found = match &self.name_for_id {
            Some(id) => all.iter().find(|n| n.id == *id),
            None => all.iter().find(|n| n.name == own),
        };
        let node = found.ok_or_else(|| {
            let what = self.name_for_id.as_deref().unwrap_or(own);
            Failure::no_such(format!("Node is not known to cluster: {what}"))
        })?;
        output.line(match self.name_for_id {
            Some(_) => &node.name,
            None => &node.id,
        });
        output.element(
            Element::new("node-info")
                .with_attr("nodeid", &node.id)
                .with_attr("uname", &node.name),
        );
        Ok(exit::OK)
    }
}

/// `member` or `lost`: as the cluster says, or as the document has it.
fn state_of(document: &Element, view: Option<&NodeView>, node: &Node) -> &'static str {
    if node.is_remote() {
        return "remote";
    }
    let is_member = match view {
        Some(view) => view
            .members
            .iter()
            .find(|m| *m.node == *node.name)
            .is_some_and(|m| matches!(m.state.as_str(), "online" | "joining" | "daemon-down")),
        None => document
            .child("status")
            .into_iter()
            .flat_map(|s| s.children_named("node_state"))
            .find(|s| s.id() == Some(&node.id))
            .is_some_and(|s| s.attr("in_ccm").is_some_and(|v| v != "false" && v != "0")),
    };
    if is_member { "member" } else { "lost" }
}

fn partition(document: &Element, state: impl Fn(&Node) -> &'static str, output: &mut Output) -> u8 {
    let all = nodes::all(document);
    let here: Vec<&Node> = all.iter().filter(|n| state(n) == "member").collect();
    let names: Vec<&str> = here.iter().map(|n| n.name.as_str()).collect();
    output.line(&names.join(" "));
    let list = here.iter().fold(Element::new("nodes"), |list, node| {
        list.with_child(Element::new("node").with_attr("name", &node.name))
    });
    output.element(list);
    exit::OK
}

fn list(document: &Element, state: impl Fn(&Node) -> &'static str, output: &mut Output) -> u8 {
    let mut list = Element::new("nodes");
    for node in nodes::all(document).iter().filter(|n| !n.is_remote()) {
        let state = state(node);
        output.line(&format!("{} {} {state}", node.id, node.name));
        list.push(
            Element::new("node")
                .with_attr("id", &node.id)
                .with_attr("name", &node.name)
                .with_attr("state", state),
        );
    }
    output.element(list);
    exit::OK
}

fn remove(source: &mut Source, node: &str, force: bool) -> Result<u8, Failure> {
    if !force {
        let text = format!(
            "The supplied command is considered dangerous: the cluster forgets '{node}' for good. \
             Say --force if that is meant."
        );
        return Err(Failure::usage(text));
    }
    let node = node.into();
    let answer = source.live()?.call(&Request::RemoveMember { node }, None);
    answer.map_err(source::of_daemon)?;
    Ok(exit::OK)
}
