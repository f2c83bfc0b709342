//! `crm_attribute`: one attribute of a node or of the cluster.

use crate::daemon::{self, Daemon, DaemonError, exit};
use cib::Element;
use clap::{ArgAction, Parser};
use crmd_core::request::{CibChange, Refusal, RefusalKind, Request};
use std::{ffi::OsString, process::ExitCode};

/// Shows and changes attributes of nodes and of the cluster.
#[derive(Debug, Parser)]
#[command(name = "crm_attribute", version)]
struct Arguments {
    /// Which attribute.
    #[arg(short = 'n', long, visible_alias = "attr-name", value_name = "NAME")]
    name: Option<String>,
    /// Set it to this.
    #[arg(
        short = 'v',
        long,
        visible_alias = "attr-value",
        value_name = "VALUE",
        allow_hyphen_values = true
    )]
    update: Option<String>,
    /// Show it (as without --update and --delete).
    #[arg(short = 'G', long)]
    query: bool,
    /// Delete it.
    #[arg(short = 'D', long)]
    delete: bool,
    /// Of this node (default with --lifetime or --type nodes or status: this one).
    #[arg(short = 'N', long, visible_alias = "uname", value_name = "NODE")]
    node: Option<String>,
    /// `reboot`: forgotten when the node restarts; `forever`: kept.
    #[arg(short = 'l', long, value_name = "LIFETIME")]
    lifetime: Option<String>,
    /// `crm_config`, `nodes`, `status`, `rsc_defaults`, `op_defaults` or `tickets`.
    #[arg(short = 't', long = "type", value_name = "SECTION")]
    section: Option<String>,
    /// Shown if the attribute is not set.
    #[arg(short = 'd', long, value_name = "VALUE", allow_hyphen_values = true)]
    default: Option<String>,
    /// Only the value.
    #[arg(short = 'q', long, visible_alias = "quiet", action = ArgAction::SetTrue)]
    quiet_value: bool,
    /// Promotion score of the resource that runs this (in place of --name).
    #[arg(short = 'p', long, num_args = 0..=1, value_name = "RESOURCE", default_missing_value = "")]
    promotion: Option<String>,
}

/// Where the attribute lives.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Until the node restarts.
    Transient(String),
    /// Of a node, in the configuration.
    Node(String),
    /// A set in this section of the configuration.
    Section(&'static str),
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match daemon::arguments::<Arguments>("crm_attribute", args) {
        Ok(arguments) => match run(&arguments) {
            Ok(code) => code.into(),
            Err(error) => daemon::fail("crm_attribute", &error),
        },
        Err(code) => code,
    }
}

fn run(arguments: &Arguments) -> Result<u8, DaemonError> {
    let mut daemon = Daemon::connect()?;
    let name = name(arguments)?;
    let place = place(arguments, &daemon.config().node.name)?;
    if let Some(value) = &arguments.update {
        set(&mut daemon, &place, &name, value)?;
    } else if arguments.delete {
        delete(&mut daemon, &place, &name)?;
    } else {
        return show(&mut daemon, &place, &name, arguments);
    }
    Ok(exit::OK)
}

fn usage(text: &str) -> DaemonError {
    DaemonError::Refused(Refusal {
        kind: RefusalKind::Other,
        text: text.to_owned(),
    })
}

fn name(arguments: &Arguments) -> Result<String, DaemonError> {
    if let Some(resource) = &arguments.promotion {
        let own = std::env::var("OCF_RESOURCE_INSTANCE").ok();
        let resource = Some(resource.clone()).filter(|r| !r.is_empty()).or(own);
        return resource.map(|r| format!("master-{r}")).ok_or_else(|| {
            usage("say which resource: --promotion RESOURCE, or OCF_RESOURCE_INSTANCE")
        });
    }
    let named = arguments.name.clone();
    named.ok_or_else(|| usage("say which attribute with --name NAME"))
}

fn place(arguments: &Arguments, own: &str) -> Result<Place, DaemonError> {
    let node = || arguments.node.clone().unwrap_or_else(|| own.to_owned());
    let section = arguments.section.as_deref();
    let lifetime = arguments.lifetime.as_deref();
    Ok(match (section, lifetime) {
        (Some("status"), _) | (None, Some("reboot")) => Place::Transient(node()),
        (Some("nodes"), Some("reboot")) => Place::Transient(node()),
        (Some("nodes"), _) | (None, Some("forever")) => Place::Node(node()),
        (Some("rsc_defaults"), _) => Place::Section("rsc_defaults"),
        (Some("op_defaults"), _) => Place::Section("op_defaults"),
        (Some("crm_config"), _) => Place::Section("crm_config"),
        (None, None) if arguments.promotion.is_some() => Place::Transient(node()),
        (None, None) if arguments.node.is_some() => Place::Node(node()),
        (None, None) => Place::Section("crm_config"),
        (_, Some(other)) => {
            return Err(usage(&format!(
                "'{other}' is no lifetime: reboot or forever"
            )));
        }
        (Some(other), None) => {
            return Err(usage(&format!("'{other}' is no section with attributes")));
        }
    })
}

fn show(
    daemon: &mut Daemon,
    place: &Place,
    name: &str,
    arguments: &Arguments,
) -> Result<u8, DaemonError> {
    let document = daemon.document()?;
    let pair = sets(&document, place)
        .into_iter()
        .find_map(|set| pair(set, name));
    let found = pair.and_then(|p| p.attr("value")).map(str::to_owned);
    let Some(value) = found.or_else(|| arguments.default.clone()) else {
        eprintln!("crm_attribute: Error performing operation: No such device or address");
        return Ok(exit::NO_SUCH);
    };
    if arguments.quiet_value {
        println!("{value}");
    } else {
        let scope = match place {
            Place::Transient(_) => "status",
            Place::Node(_) => "nodes",
            Place::Section(section) => section,
        };
        println!("scope={scope}  name={name} value={value}");
    }
    Ok(exit::OK)
}

/// The attribute sets of a place, in document order.
fn sets<'a>(document: &'a Element, place: &Place) -> Vec<&'a Element> {
    let configuration = document.child("configuration");
    match place {
        Place::Transient(node) => document
            .child("status")
            .into_iter()
            .flat_map(|s| s.children_named("node_state"))
            .filter(|s| s.attr("uname") == Some(node))
            .flat_map(Element::descendants)
            .filter(|e| e.name() == "instance_attributes")
            .collect(),
        Place::Node(node) => node_element(document, node)
            .into_iter()
            .flat_map(|n| n.children_named("instance_attributes"))
            .collect(),
        Place::Section(section) => configuration
            .and_then(|c| c.child(section))
            .into_iter()
            .flat_map(Element::children)
            .collect(),
    }
}

fn node_element<'a>(document: &'a Element, node: &str) -> Option<&'a Element> {
    document
        .child("configuration")?
        .child("nodes")?
        .children_named("node")
        .find(|n| n.attr("uname") == Some(node))
}

fn pair<'a>(set: &'a Element, name: &str) -> Option<&'a Element> {
    set.children_named("nvpair")
        .find(|p| p.attr("name") == Some(name))
}

fn set(daemon: &mut Daemon, place: &Place, name: &str, value: &str) -> Result<(), DaemonError> {
    if let Place::Transient(node) = place {
        return transient(daemon, node, name, Some(value));
    }
    let document = daemon.document()?;
    let sets = sets(&document, place);
    let known = sets.iter().find_map(|s| Some((*s, pair(s, name)?)));
    let (set_name, prefix) = match place {
        Place::Section("crm_config") => {
            ("cluster_property_set", "cib-bootstrap-options".to_owned())
        }
        Place::Section("op_defaults") => ("meta_attributes", "op-options".to_owned()),
        Place::Section(_) => ("meta_attributes", "rsc-options".to_owned()),
        Place::Transient(node) | Place::Node(node) => {
            let id = node_element(&document, node).and_then(Element::id);
            let Some(id) = id else {
                return Err(DaemonError::Refused(Refusal {
                    kind: RefusalKind::NotFound,
                    text: format!("no node '{node}' in the configuration"),
                }));
            };
            ("instance_attributes", format!("nodes-{id}"))
        }
    };
    let set_id = known
        .map(|(s, _)| s)
        .or(sets.first().copied())
        .and_then(Element::id);
    let set_id = set_id.unwrap_or(&prefix).to_owned();
    let pair_id = known
        .and_then(|(_, p)| p.id())
        .map_or_else(|| format!("{set_id}-{name}"), str::to_owned);
    let pair = Element::new("nvpair")
        .with_attr("id", pair_id)
        .with_attr("name", name)
        .with_attr("value", value);
    let set = Element::new(set_name)
        .with_attr("id", set_id)
        .with_child(pair);
    let (section, element) = match place {
        Place::Node(node) => {
            let id = node_element(&document, node)
                .and_then(Element::id)
                .unwrap_or_default();
            let node = Element::new("node").with_attr("id", id).with_child(set);
            ("nodes", node)
        }
        Place::Section(section) => (*section, set),
        Place::Transient(_) => return Ok(()),
    };
    change(daemon, "modify", Some(section), None, element.to_xml())
}

fn delete(daemon: &mut Daemon, place: &Place, name: &str) -> Result<(), DaemonError> {
    if let Place::Transient(node) = place {
        return transient(daemon, node, name, None);
    }
    let document = daemon.document()?;
    let ids: Vec<String> = sets(&document, place)
        .into_iter()
        .filter_map(|s| pair(s, name)?.id().map(str::to_owned))
        .collect();
    for id in ids {
        let xpath = format!("//nvpair[@id='{id}']");
        change(daemon, "delete", None, Some(xpath), String::new())?;
    }
    Ok(())
}

fn transient(
    daemon: &mut Daemon,
    node: &str,
    name: &str,
    value: Option<&str>,
) -> Result<(), DaemonError> {
    let request = Request::Attribute {
        node: node.into(),
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    daemon.call(&request, None).map(drop)
}

fn change(
    daemon: &mut Daemon,
    action: &str,
    section: Option<&str>,
    xpath: Option<String>,
    xml: String,
) -> Result<(), DaemonError> {
    let request = Request::Cib(CibChange {
        action: action.to_owned(),
        section: section.map(str::to_owned),
        xpath,
        xml,
        allow_create: true,
        origin: format!("crm_attribute on {}", daemon.config().node.name),
    });
    daemon.call(&request, None).map(drop)
}
