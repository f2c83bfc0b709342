//! Where attributes live in the document, and the edits that set and delete them.

use super::Wanted;
use crate::common::{Failure, nodes::Node, source::Source};
use cib::{
    Element,
    edit::{Action, Operation},
};

/// A section that holds attributes, of a node where it holds many.
#[derive(Debug)]
pub(crate) enum Place {
    /// Of a node until it restarts.
    Transient(Node),
    /// Of a node, in the configuration.
    Node(Node),
    /// What a node has to offer.
    Utilization(Node),
    /// Of the cluster: this section.
    Section(&'static str),
}

/// An attribute that is set.
#[derive(Debug)]
pub(crate) struct Found {
    /// Name.
    pub(crate) name: String,
    /// Value.
    pub(crate) value: String,
    /// Its id.
    pub(crate) id: String,
    /// Id of the set it is in.
    pub(crate) set: String,
}

impl Place {
    /// The place that `--type` names.
    ///
    /// # Errors
    /// There is no such section, or it is about nodes and none is given.
    pub(crate) fn new(
        section: &str,
        node: Option<Node>,
        utilization: bool,
    ) -> Result<Self, Failure> {
        let node = || {
            node.clone()
                .ok_or_else(|| Failure::usage("say which node with --node NAME"))
        };
        Ok(match section {
            "nodes" if utilization => Self::Utilization(node()?),
            "nodes" => Self::Node(node()?),
            "status" => Self::Transient(node()?),
            "crm_config" => Self::Section("crm_config"),
            "rsc_defaults" => Self::Section("rsc_defaults"),
            "op_defaults" => Self::Section("op_defaults"),
            "tickets" => {
                let text = "tickets are shown and changed with crm_ticket";
                return Err(Failure::usage(text));
            }
            other => {
                let text = format!(
                    "'{other}' is no section with attributes: crm_config, nodes, status, \
                     rsc_defaults and op_defaults are"
                );
                return Err(Failure::usage(text));
            }
        })
    }

    /// The section's name.
    pub(crate) fn section(&self) -> &'static str {
        match self {
            Self::Transient(_) => "status",
            Self::Node(_) | Self::Utilization(_) => "nodes",
            Self::Section(section) => section,
        }
    }

    /// Id of the set that new attributes go to.
    pub(crate) fn default_set(&self) -> String {
        match self {
            Self::Transient(node) => format!("status-{}", node.id),
            Self::Node(node) => format!("nodes-{}", node.id),
            Self::Utilization(node) => format!("nodes-{}-utilization", node.id),
            Self::Section("crm_config") => "cib-bootstrap-options".to_owned(),
            Self::Section("op_defaults") => "op_defaults-options".to_owned(),
            Self::Section(_) => "rsc_defaults-options".to_owned(),
        }
    }

    fn set_name(&self) -> &'static str {
        match self {
            Self::Transient(_) | Self::Node(_) => "instance_attributes",
            Self::Utilization(_) => "utilization",
            Self::Section("crm_config") => "cluster_property_set",
            Self::Section(_) => "meta_attributes",
        }
    }

    /// What is set, in document order.
    pub(crate) fn find(&self, document: &Element, wanted: &Wanted) -> Vec<Found> {
        let right_set = |set: &&Element| wanted.set.is_none() || set.id() == wanted.set.as_deref();
        let sets = self.sets(document).into_iter().filter(right_set);
        sets.flat_map(|set| {
            set.children_named("nvpair").filter_map(|pair| {
                Some(Found {
                    name: pair.attr("name")?.to_owned(),
                    value: pair.attr("value").unwrap_or_default().to_owned(),
                    id: pair.id()?.to_owned(),
                    set: set.id().unwrap_or_default().to_owned(),
                })
            })
        })
        .filter(|f| wanted.name.matches(&f.name))
        .filter(|f| wanted.id.as_ref().is_none_or(|id| *id == f.id))
        .collect()
    }

    fn sets<'d>(&self, document: &'d Element) -> Vec<&'d Element> {
        let configuration = document.child("configuration");
        let holder = match self {
            Self::Transient(node) => document
                .child("status")
                .into_iter()
                .flat_map(|s| s.children_named("node_state"))
                .filter(|s| s.id() == Some(&node.id) || s.attr("uname") == Some(&node.name))
                .find_map(|s| s.child("transient_attributes")),
            Self::Node(node) | Self::Utilization(node) => configuration
                .and_then(|c| c.child("nodes"))
                .into_iter()
                .flat_map(|n| n.children_named("node"))
                .find(|n| n.id() == Some(&node.id)),
            Self::Section(section) => configuration.and_then(|c| c.child(section)),
        };
        let holder = holder.into_iter();
        holder
            .flat_map(|h| h.children_named(self.set_name()))
            .collect()
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) fn write(
        &self,
        source: &mut Source,
        name: &str,
        set: &str,
        id: &str,
        value: &str,
    ) -> Result<(), Failure> {
        if let Self::Transient(node) = self {
            return source.set_transient(node, name, Some(value));
        }
        let pair = Element::new("nvpair")
            .with_attr("id", id)
            .with_attr("name", name)
            .with_attr("value", value);
        let set = Element::new(self.set_name())
            .with_attr("id", set)
            .with_child(pair);
        let element = match self {
            Self::Node(node) | Self::Utilization(node) => {
                let element = Element::new("node").with_attr("id", &node.id);
                let element = match node.is_remote() {
                    true => element
                        .with_attr("type", "remote")
                        .with_attr("uname", &node.name),
                    false => element,
                };
                element.with_child(set)
            }
            Self::Section(_) | Self::Transient(_) => set,
        };
        let mut edit = Operation::new(Action::Modify, Some(element)).in_section(self.section());
        edit.allow_create = true;
        source.apply(&edit)
    }

    /// Deletes an attribute.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) fn delete(&self, source: &mut Source, name: &str, id: &str) -> Result<(), Failure> {
        if let Self::Transient(node) = self {
            return source.set_transient(node, name, None);
        }
        let pair = Element::new("nvpair").with_attr("id", id);
        source.apply(&Operation::new(Action::Delete, Some(pair)).in_section(self.section()))
    }
}
