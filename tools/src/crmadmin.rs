//! `crmadmin`: who coordinates, who is there, how the daemon of a node does.

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    nodes::{self, Kind},
    output::Output,
    source::{self, Source},
};
use cib::Element;
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, process::ExitCode};

/// Asks the daemons of the cluster.
#[derive(Debug, Parser)]
#[command(name = "crmadmin", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).args([
    "dc_lookup", "nodes", "status", "pacemakerd",
]))]
struct Arguments {
    /// Show the coordinator.
    #[arg(short = 'D', long = "dc_lookup", visible_alias = "dc-lookup")]
    dc_lookup: bool,
    /// Show the names of all nodes, or of those of these kinds: all, cluster, guest, remote.
    #[arg(short = 'N', long, num_args = 0..=1, value_name = "KINDS", default_missing_value = "all")]
    nodes: Option<String>,
    /// Show how the daemon of this node does.
    #[arg(short = 'S', long, value_name = "NODE")]
    status: Option<String>,
    /// Show whether the daemons of this node run.
    #[arg(short = 'P', long)]
    pacemakerd: bool,
    /// With --nodes: as shell commands.
    #[arg(short = 'B', long)]
    bash_export: bool,
    /// Wait at most this long for an answer.
    #[arg(short = 't', long, value_name = "TIME")]
    timeout: Option<String>,
    /// Only the essential.
    #[arg(short = 'q', long)]
    quiet: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crmadmin";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let mut source = Source::from_environment()?;
        if let Some(kinds) = &self.nodes {
            return self.nodes(&source.document()?, kinds, output);
        }
        let view = source.live()?.state().map_err(source::of_daemon)?;
        let state_of = |node: &str| {
            let leads = view.coordinator.as_deref() == Some(node);
            let member = view.members.iter().find(|m| *m.node == *node)?;
            Some(match (member.state.as_str(), leads) {
                ("online", true) if view.idle => "S_IDLE",
                ("online", true) => "S_TRANSITION_ENGINE",
                ("online", false) => "S_NOT_DC",
                _ => "S_PENDING",
            })
        };
        if self.pacemakerd {
            output.line("running");
            let element = Element::new("pacemakerd").with_attr("state", "running");
            output.element(element.with_attr("sys_from", "systole"));
            return Ok(exit::OK);
        }
        if let Some(node) = &self.status {
            let state = state_of(node).ok_or_else(|| {
                Failure::no_such(format!("no node '{node}' is known to the cluster"))
            })?;
            output.line(&match self.quiet {
                true => state.to_owned(),
                false => format!("Controller on {node} in state {state}: ok"),
            });
            let element = Element::new("crmd")
                .with_attr("node_name", node)
                .with_attr("state", state);
            output.element(element.with_attr("result", "ok"));
            return Ok(exit::OK);
        }
        let Some(node) = &view.coordinator else {
            output.line("Designated Controller is: not yet elected");
            return Ok(NO_DC);
        };
        output.line(&match self.quiet {
            true => node.to_string(),
            false => format!("Designated Controller is: {node} {}", view.version),
        });
        output.element(Element::new("dc").with_attr("node_name", node));
        Ok(exit::OK)
    }
}

/// Nobody coordinates yet.
const NO_DC: u8 = 114;

impl Arguments {
    fn nodes(&self, document: &Element, kinds: &str, output: &mut Output) -> Result<u8, Failure> {
        let kinds = read_kinds(kinds)?;
        let mut list = Element::new("nodes");
        for node in nodes::all(document)
            .iter()
            .filter(|n| kinds.contains(&n.kind))
        {
            let kind = node.kind.word();
            output.line(&if self.bash_export {
                format!("export {}={}", node.name, node.id)
            } else if self.quiet {
                node.name.clone()
            } else {
                format!("{kind} node: {} ({})", node.name, node.id)
            });
            list.push(
                Element::new("node")
                    .with_attr("type", kind)
                    .with_attr("name", &node.name)
                    .with_attr("id", &node.id),
            );
        }
        output.element(list);
        Ok(exit::OK)
    }
}

fn read_kinds(text: &str) -> Result<Vec<Kind>, Failure> {
    let all = [Kind::Cluster, Kind::Guest, Kind::Remote];
    let mut kinds = Vec::new();
    for word in text.split(',').map(str::trim) {
        match all.iter().find(|k| k.word() == word) {
            Some(kind) => kinds.push(*kind),
            None if word == "all" => kinds.extend(all),
            None => {
                let text = format!("'{word}' is no kind of node: all, cluster, guest, remote are");
                return Err(Failure::usage(text));
            }
        }
    }
    Ok(kinds)
}
