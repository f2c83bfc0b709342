//! Changes of the configuration: evaluated by the leader, carried by the log as patches.

use crate::request::{CibChange, Refusal, RefusalKind};
use cib::{
    Element,
    edit::{self, EditError, Operation},
    patch,
};

/// What a cluster begins with.
pub(crate) fn empty_configuration() -> Element {
    let sections = ["crm_config", "nodes", "resources", "constraints"];
    let configuration = sections
        .iter()
        .fold(Element::new("configuration"), |c, name| {
            c.with_child(Element::new(name))
        });
    Element::new("cib")
        .with_attr("crm_feature_set", crate::history::FEATURE_SET)
        .with_attr("validate-with", "pacemaker-4.0")
        .with_attr("epoch", "0")
        .with_attr("num_updates", "0")
        .with_attr("admin_epoch", "0")
        .with_child(configuration)
}

/// What members compare to know that they hold the same configuration.
pub(crate) fn digest(cib: &Element) -> String {
    cib::digest::sha256(cib)
}

/// The configuration after a patch.
///
/// # Errors
/// In words, if the patch is no patch or does not fit.
pub(crate) fn patched(cib: &Element, patch: &str) -> Result<Element, String> {
    let patch = Element::parse(patch).map_err(|e| e.to_string())?;
    patch::apply(cib, &patch).map_err(|e| e.to_string())
}

/// The patch that makes `new` of `old`; nothing if they are equal.
pub(crate) fn patch(old: &Element, new: &Element) -> Option<String> {
    patch::diff(old, new, patch::Style::EXACT).map(|p| p.to_xml_compact())
}

/// The configuration after a change that somebody asks for, its counters moved.
///
/// # Errors
/// Why it is refused; the configuration stays as it is.
pub(crate) fn changed(cib: &Element, change: &CibChange) -> Result<Element, Refusal> {
    let operation = Operation::from_parts(
        &change.action,
        change.section.as_deref(),
        change.xpath.as_deref(),
        &change.xml,
        change.allow_create,
    )
    .map_err(refusal)?;
    let mut new = edit::apply(cib, &operation).map_err(refusal)?;
    keep_tickets(cib, &mut new);
    ["have-quorum", "dc-uuid"].iter().for_each(|name| {
        new.remove_attr(name);
    });
    Ok(new)
}

/// Of the status only tickets are everybody's: they stay in the document, and survive one that
/// comes without a status.
fn keep_tickets(old: &Element, new: &mut Element) {
    let tickets = |cib: &Element| {
        cib.child("status")
            .and_then(|s| s.child("tickets"))
            .cloned()
    };
    let kept = match new.child("status") {
        Some(_) => tickets(new),
        None => tickets(old),
    };
    new.retain_children(|c| c.name() != "status");
    if let Some(tickets) = kept.filter(|t| !t.is_empty()) {
        new.push(Element::new("status").with_child(tickets));
    }
}

fn refusal(error: EditError) -> Refusal {
    let kind = match &error {
        EditError::NotFound { .. } => RefusalKind::NotFound,
        EditError::Exists { .. } => RefusalKind::Exists,
        EditError::OldVersion { .. } | EditError::Patch(_) => RefusalKind::OldVersion,
        EditError::Xml(_) | EditError::Invalid(_) => RefusalKind::Invalid,
        _ => RefusalKind::Other,
    };
    Refusal {
        kind,
        text: error.to_string(),
    }
}

/// `(admin_epoch, epoch, num_updates)`.
pub(crate) fn version(cib: &Element) -> (u32, u32, u32) {
    let number = |name: &str| cib.attr(name).and_then(|v| v.parse().ok()).unwrap_or(0);
    (
        number("admin_epoch"),
        number("epoch"),
        number("num_updates"),
    )
}

/// The value of a cluster property from the first set that has it; `stonith-…` is also understood
/// as `fencing-…` and the other way round.
pub(crate) fn property<'a>(cib: &'a Element, name: &str) -> Option<&'a str> {
    let other = match name.strip_prefix("stonith-") {
        Some(rest) => Some(format!("fencing-{rest}")),
        None => name
            .strip_prefix("fencing-")
            .map(|rest| format!("stonith-{rest}")),
    };
    let config = cib.child("configuration")?.child("crm_config")?;
    let pairs = config
        .children_named("cluster_property_set")
        .flat_map(|set| set.children_named("nvpair"));
    let named = |n: &str| n == name || other.as_deref() == Some(n);
    let mut found = pairs.filter(|p| p.attr("name").is_some_and(named));
    found.find_map(|p| p.attr("value"))
}

/// Whether a value of the configuration means yes.
pub(crate) fn is_true(value: &str) -> bool {
    ["true", "on", "yes", "y", "1"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: &str, section: &str, xml: &str) -> CibChange {
        CibChange {
            action: action.into(),
            section: Some(section.into()),
            xpath: None,
            xml: xml.into(),
            allow_create: false,
            origin: "test".into(),
        }
    }

    #[test]
    fn a_change_becomes_a_patch_that_gives_the_same_digest() {
        let old = empty_configuration();
        let xml = r#"<nvpair id="p" name="stonith-enabled" value="false"/>"#;
        let set = format!(r#"<cluster_property_set id="s">{xml}</cluster_property_set>"#);
        let new = changed(&old, &change("create", "crm_config", &set)).unwrap();
        assert_eq!(version(&new), (0, 1, 0));
        assert_eq!(property(&new, "fencing-enabled"), Some("false"));
        let text = patch(&old, &new).unwrap();
        let again = patched(&old, &text).unwrap();
        assert_eq!(digest(&again), digest(&new));
        assert!(patch(&new, &new).is_none());
        assert!(patched(&new, &text).is_err(), "it fits only once");
    }

    #[test]
    fn tickets_stay_and_nothing_else_of_a_status() {
        let old = empty_configuration();
        let status = r#"<tickets><ticket_state id="t" granted="true"/></tickets>"#;
        let mut set = change("modify", "status", status);
        set.allow_create = true;
        let with = changed(&old, &set).unwrap();
        let granted = |cib: &Element| {
            let ticket = cib.find_id("t");
            ticket.and_then(|t| t.attr("granted")).map(str::to_owned)
        };
        assert_eq!(granted(&with).as_deref(), Some("true"));
        let again = patched(&old, &patch(&old, &with).unwrap()).unwrap();
        assert_eq!(digest(&again), digest(&with));
        let mut node = change("modify", "status", r#"<node_state id="1" uname="a"/>"#);
        node.allow_create = true;
        let after = changed(&with, &node).unwrap();
        assert!(after.find_id("1").is_none());
        assert_eq!(granted(&after).as_deref(), Some("true"));
        let gone = change("delete", "status", r#"<ticket_state id="t"/>"#);
        assert_eq!(granted(&changed(&after, &gone).unwrap()), None);
    }

    #[test]
    fn refusals_say_what_kind() {
        let old = empty_configuration();
        let kind = |c: CibChange| changed(&old, &c).unwrap_err().kind;
        assert_eq!(
            kind(change("modify", "resources", r#"<primitive id="x"/>"#)),
            RefusalKind::NotFound
        );
        assert_eq!(
            kind(change("create", "resources", "<primitive")),
            RefusalKind::Invalid
        );
    }
}
