//! Puts configuration and statuses together: the one document that tools see and the scheduler reads.

use crate::{history::FEATURE_SET, status::Known};
use cib::Element;

/// A node as the document shall show it.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its identity, as in `<node id>`.
    pub id: String,
    /// How it stands.
    pub standing: Standing,
    /// Its status, if any is held.
    pub status: Option<&'a Known>,
}

/// How a node stands in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A member that works.
    Online,
    /// There, not yet admitted.
    Joining,
    /// Gone, and not proven to be down.
    Unclean,
    /// Down or left, proven.
    Offline,
}

/// The document: `cib` (configuration, and tickets if there are any) with `have-quorum`, `dc-uuid` and a status.
pub(crate) fn assemble(
    cib: &Element,
    nodes: &[Shown<'_>],
    coordinator_id: Option<&str>,
    quorate: bool,
) -> Element {
    let mut document = cib.clone();
    document.set_attr("have-quorum", if quorate { "1" } else { "0" });
    if let Some(id) = coordinator_id {
        document.set_attr("dc-uuid", id);
    }
    let mut status = Element::new("status");
    nodes.iter().for_each(|n| status.push(node_state(n)));
    let tickets = cib.child("status").and_then(|s| s.child("tickets"));
    tickets.into_iter().for_each(|t| status.push(t.clone()));
    document.retain_children(|c| c.name() != "status");
    document.push(status);
    document
}

fn node_state(node: &Shown<'_>) -> Element {
    let (in_ccm, crmd, join, expected) = match node.standing {
        Standing::Online => ("true", "online", "member", "member"),
        Standing::Joining => ("true", "online", "down", "down"),
        Standing::Unclean => ("false", "offline", "down", "member"),
        Standing::Offline => ("false", "offline", "down", "down"),
    };
    let mut state = Element::new("node_state")
        .with_attr("id", &node.id)
        .with_attr("uname", node.name)
        .with_attr("in_ccm", in_ccm)
        .with_attr("crmd", crmd)
        .with_attr("crm-debug-origin", "systole")
        .with_attr("join", join)
        .with_attr("expected", expected)
        .with_attr("crm_feature_set", FEATURE_SET);
    if let Some(status) = node.status {
        state.push(history(&node.id, status));
        state.push(transient(&node.id, status, node.standing));
    }
    state
}

fn history(id: &str, status: &Known) -> Element {
    let mut resources = Element::new("lrm_resources");
    status
        .resources
        .values()
        .for_each(|r| resources.push(r.clone()));
    Element::new("lrm")
        .with_attr("id", id)
        .with_child(resources)
}

fn transient(id: &str, status: &Known, standing: Standing) -> Element {
    let set = format!("status-{id}");
    let mut attributes = Element::new("instance_attributes").with_attr("id", &set);
    // Who fell while leaving has not left (protocol.md, 14): a scheduler takes a node that is gone and
    // wanted to go for one that stopped everything first, and would not have it fenced.
    let fell = standing == Standing::Unclean;
    let told = status.attributes.iter();
    for (name, value) in told.filter(|(name, _)| !(fell && *name == "shutdown")) {
        attributes.push(
            Element::new("nvpair")
                .with_attr("id", format!("{set}-{}", name.replace(['#', ':'], "-")))
                .with_attr("name", name)
                .with_attr("value", value),
        );
    }
    Element::new("transient_attributes")
        .with_attr("id", id)
        .with_child(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::empty_configuration;

    #[test]
    fn configuration_and_status_become_one_document() {
        let mut known = Known::default();
        let resource = Element::new("lrm_resource").with_attr("id", "r");
        known.resources.insert("r".into(), resource);
        known
            .attributes
            .insert("fail-count-r#start_0".into(), "2".into());
        let shown = Shown {
            name: "a",
            id: "1".into(),
            standing: Standing::Online,
            status: Some(&known),
        };
        let document = assemble(&empty_configuration(), &[shown], Some("1"), true);
        assert_eq!(document.attr("have-quorum"), Some("1"));
        assert_eq!(document.attr("dc-uuid"), Some("1"));
        assert!(document.find_id("r").is_some());
        let pair = document.find_id("status-1-fail-count-r-start_0").unwrap();
        assert_eq!(pair.attr("value"), Some("2"));
    }

    #[test]
    fn who_falls_while_leaving_has_not_left() {
        let mut known = Known::default();
        known.attributes.insert("shutdown".into(), "7".into());
        let with = |standing| {
            let shown = Shown {
                name: "a",
                id: "1".into(),
                standing,
                status: Some(&known),
            };
            let document = assemble(&empty_configuration(), &[shown], None, true);
            document.find_id("status-1-shutdown").is_some()
        };
        assert!(with(Standing::Online));
        assert!(!with(Standing::Unclean));
    }
}
