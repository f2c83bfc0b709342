//! `crm_resource`: where resources are, moving them, forgetting their failures.

use crate::{
    active,
    daemon::{self, Daemon, DaemonError, exit},
};
use cib::Element;
use clap::Parser;
use crmd_core::request::{CibChange, Refusal, RefusalKind, Request};
use std::{ffi::OsString, process::ExitCode, time::Duration};

/// Shows and changes resources.
#[derive(Debug, Parser)]
#[command(name = "crm_resource", version)]
#[group(id = "command", required = true, multiple = false)]
struct Arguments {
    /// List all resources and where they run.
    #[arg(short = 'L', long, group = "command")]
    list: bool,
    /// List the ids of all primitives, without their state.
    #[arg(short = 'l', long, group = "command")]
    list_raw: bool,
    /// Show where the resource runs.
    #[arg(short = 'W', long, group = "command")]
    locate: bool,
    /// Show the resource's definition.
    #[arg(short = 'q', long, group = "command")]
    query_xml: bool,
    /// Have it run on --node, or anywhere but where it runs now.
    #[arg(short = 'M', long = "move", group = "command")]
    move_it: bool,
    /// Keep it away from --node, or from where it runs now.
    #[arg(short = 'B', long, group = "command")]
    ban: bool,
    /// Remove what --move and --ban have left (on --node only, if given).
    #[arg(short = 'U', long, group = "command")]
    clear: bool,
    /// Forget failures, so that the resource is looked at anew.
    #[arg(short = 'C', long, group = "command")]
    cleanup: bool,
    /// Forget the whole history, failed or not.
    #[arg(short = 'R', long, group = "command")]
    refresh: bool,
    /// Wait until the cluster has nothing left to do.
    #[arg(long, group = "command")]
    wait: bool,
    /// Which resource.
    #[arg(short = 'r', long, value_name = "ID")]
    resource: Option<String>,
    /// Which node.
    #[arg(short = 'N', long, visible_aliases = ["host"], value_name = "NAME")]
    node: Option<String>,
    /// With --move: also when it runs there already.
    #[arg(short = 'f', long)]
    force: bool,
    /// Seconds to wait at most.
    #[arg(short = 'T', long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Only the essential.
    #[arg(short = 'Q', long)]
    quiet: bool,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match daemon::arguments::<Arguments>("crm_resource", args) {
        Ok(arguments) => match run(&arguments) {
            Ok(code) => code.into(),
            Err(error) => daemon::fail("crm_resource", &error),
        },
        Err(code) => code,
    }
}

fn run(arguments: &Arguments) -> Result<u8, DaemonError> {
    let mut daemon = Daemon::connect()?;
    if arguments.wait {
        let limit = arguments.timeout.map(Duration::from_secs);
        daemon.call(&Request::WaitIdle, limit)?;
        return Ok(exit::OK);
    }
    if arguments.cleanup || arguments.refresh {
        return clean(&mut daemon, arguments);
    }
    let document = daemon.document()?;
    if arguments.list || arguments.list_raw {
        return Ok(list(&document, arguments.list_raw));
    }
    let resource = arguments
        .resource
        .as_deref()
        .ok_or_else(|| refused(RefusalKind::Other, "say which resource with --resource ID"))?;
    let definition = definition(&document, resource).ok_or_else(|| {
        refused(
            RefusalKind::NotFound,
            &format!("Resource '{resource}' not found"),
        )
    })?;
    if arguments.query_xml {
        println!("Resource XML:\n{}", definition.to_xml());
        return Ok(exit::OK);
    }
    if arguments.locate {
        return Ok(locate(&document, resource, arguments.quiet));
    }
    if arguments.clear {
        return clear(&mut daemon, &document, resource, arguments.node.as_deref());
    }
    place(&mut daemon, &document, resource, arguments)
}

fn refused(kind: RefusalKind, text: &str) -> DaemonError {
    DaemonError::Refused(Refusal {
        kind,
        text: text.to_owned(),
    })
}

const KINDS: [&str; 5] = ["primitive", "group", "clone", "bundle", "master"];

fn resources(document: &Element) -> Option<&Element> {
    document.child("configuration")?.child("resources")
}

fn definition<'a>(document: &'a Element, id: &str) -> Option<&'a Element> {
    resources(document)?
        .descendants()
        .find(|e| e.id() == Some(id) && KINDS.contains(&e.name()))
}

fn list(document: &Element, raw: bool) -> u8 {
    let active = active::all(document);
    let primitives: Vec<&Element> = resources(document)
        .into_iter()
        .flat_map(|all| all.descendants())
        .filter(|e| e.name() == "primitive")
        .collect();
    if raw {
        primitives
            .iter()
            .filter_map(|p| p.id())
            .for_each(|id| println!("{id}"));
        return exit::OK;
    }
    println!("Full List of Resources:");
    if primitives.is_empty() {
        println!("  * No resources");
    }
    for primitive in primitives {
        let id = primitive.id().unwrap_or_default();
        let places = where_active(&active, id);
        let state = match places.as_slice() {
            [] => "Stopped".to_owned(),
            [one] => format!("{} {}", one.role, one.node),
            several => {
                let nodes: Vec<&str> = several.iter().map(|a| a.node.as_str()).collect();
                format!("{} [ {} ]", several[0].role, nodes.join(" "))
            }
        };
        println!("  * {id}\t({}):\t {state}", agent_of(primitive));
    }
    exit::OK
}

fn agent_of(primitive: &Element) -> String {
    let parts = ["class", "provider", "type"].map(|name| primitive.attr(name));
    parts.into_iter().flatten().collect::<Vec<_>>().join(":")
}

/// Where a primitive (or its numbered instances) is active.
fn where_active<'a>(active: &'a [active::Active], id: &str) -> Vec<&'a active::Active> {
    let is_it = |name: &str| name == id || name.split_once(':').is_some_and(|(n, _)| n == id);
    active
        .iter()
        .filter(|a| is_it(&a.resource) && a.role != "Stopped")
        .collect()
}

/// The nodes where a resource is active: its own, or those of what it contains.
fn nodes_of(document: &Element, resource: &str) -> Vec<String> {
    let active = active::all(document);
    let mut nodes: Vec<String> = definition(document, resource)
        .into_iter()
        .flat_map(|d| std::iter::once(d).chain(d.descendants()))
        .filter(|e| e.name() == "primitive")
        .filter_map(Element::id)
        .flat_map(|id| where_active(&active, id))
        .map(|a| a.node.clone())
        .collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

fn locate(document: &Element, resource: &str, quiet: bool) -> u8 {
    let nodes = nodes_of(document, resource);
    if nodes.is_empty() {
        println!("resource {resource} is NOT running");
    }
    for node in &nodes {
        if quiet {
            println!("{node}");
        } else {
            println!("resource {resource} is running on: {node}");
        }
    }
    exit::OK
}

/// `--move` and `--ban`: a location constraint with the field's well-known id.
fn place(
    daemon: &mut Daemon,
    document: &Element,
    resource: &str,
    arguments: &Arguments,
) -> Result<u8, DaemonError> {
    let current = nodes_of(document, resource);
    let constraint = match &arguments.node {
        Some(node) if arguments.move_it => {
            if current == [node.clone()] && !arguments.force {
                let text = format!("{resource} is already active on {node}");
                return Err(refused(RefusalKind::Exists, &text));
            }
            remove_constraints(daemon, document, resource, Some(node))?;
            prefer(resource, node)
        }
        Some(node) => ban(resource, node),
        None => match current.as_slice() {
            [one] => ban(resource, one),
            [] => {
                let text = format!("{resource} runs nowhere: say which node with --node NAME");
                return Err(refused(RefusalKind::Other, &text));
            }
            _ => {
                let text = format!(
                    "{resource} runs on {}: say which with --node NAME",
                    current.join(", ")
                );
                return Err(refused(RefusalKind::Other, &text));
            }
        },
    };
    let id = constraint.id().unwrap_or_default().to_owned();
    change(daemon, "modify", None, constraint.to_xml())?;
    println!(
        "The constraint '{id}' stays until `crm_resource --clear --resource {resource}` removes it."
    );
    Ok(exit::OK)
}

fn prefer(resource: &str, node: &str) -> Element {
    location(
        &format!("cli-prefer-{resource}"),
        resource,
        node,
        "INFINITY",
    )
}

fn ban(resource: &str, node: &str) -> Element {
    let id = format!("cli-ban-{resource}-on-{node}");
    location(&id, resource, node, "-INFINITY")
}

fn location(id: &str, resource: &str, node: &str, score: &str) -> Element {
    Element::new("rsc_location")
        .with_attr("id", id)
        .with_attr("rsc", resource)
        .with_attr("role", "Started")
        .with_attr("node", node)
        .with_attr("score", score)
}

fn clear(
    daemon: &mut Daemon,
    document: &Element,
    resource: &str,
    node: Option<&str>,
) -> Result<u8, DaemonError> {
    for id in remove_constraints(daemon, document, resource, node)? {
        println!("Removing constraint: {id}");
    }
    Ok(exit::OK)
}

/// Removes what `--move` and `--ban` made for a resource: everything, or what concerns one node.
fn remove_constraints(
    daemon: &mut Daemon,
    document: &Element,
    resource: &str,
    node: Option<&str>,
) -> Result<Vec<String>, DaemonError> {
    let prefer = format!("cli-prefer-{resource}");
    let ban = format!("cli-ban-{resource}-on-");
    let constraints = document
        .child("configuration")
        .and_then(|c| c.child("constraints"));
    let ours: Vec<&Element> = constraints
        .into_iter()
        .flat_map(Element::children)
        .filter(|c| {
            let id = c.id().unwrap_or_default();
            let about_node = node.is_none() || c.attr("node") == node;
            about_node && (id == prefer || id.starts_with(&ban))
        })
        .collect();
    let mut removed = Vec::new();
    for constraint in ours {
        change(daemon, "delete", None, constraint.to_xml())?;
        removed.extend(constraint.id().map(str::to_owned));
    }
    Ok(removed)
}

fn change(
    daemon: &mut Daemon,
    action: &str,
    xpath: Option<String>,
    xml: String,
) -> Result<(), DaemonError> {
    let request = Request::Cib(CibChange {
        action: action.to_owned(),
        section: Some("constraints".to_owned()).filter(|_| xpath.is_none()),
        xpath,
        xml,
        allow_create: true,
        origin: format!("crm_resource on {}", daemon.config().node.name),
    });
    daemon.call(&request, None).map(drop)
}

fn clean(daemon: &mut Daemon, arguments: &Arguments) -> Result<u8, DaemonError> {
    let request = Request::Cleanup {
        resource: arguments.resource.clone(),
        node: arguments.node.as_deref().map(Into::into),
        failed_only: arguments.cleanup,
    };
    daemon.call(&request, arguments.timeout.map(Duration::from_secs))?;
    let what = arguments.resource.as_deref().unwrap_or("all resources");
    let on = arguments.node.as_deref().unwrap_or("all nodes");
    println!("Cleaned up {what} on {on}");
    Ok(exit::OK)
}
