//! Changes of the configuration: evaluated by the leader, carried by the log as patches.

use crate::request::{CibChange, Refusal, RefusalKind};
use cib::Element;

/// What a cluster begins with.
pub fn empty_configuration() -> Element {
    let sections = ["crm_config", "nodes", "resources", "constraints"];
    let configuration = sections
        .iter()
        .fold(Element::new("configuration"), |c, name| c.with_child(Element::new(name)));
    Element::new("cib")
        .with_attr("crm_feature_set", crate::history::FEATURE_SET)
        .with_attr("validate-with", "pacemaker-4.0")
        .with_attr("epoch", "0")
        .with_attr("num_updates", "0")
        .with_attr("admin_epoch", "0")
        .with_child(configuration)
}

/// What members compare to know that they hold the same configuration.
pub fn digest(cib: &Element) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in cib.to_xml_compact().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

/// The configuration after a patch.
///
/// # Errors
/// In words, if the patch is no patch or does not fit.
pub fn patched(_cib: &Element, patch: &str) -> Result<Element, String> {
    Element::parse(patch).map_err(|e| e.to_string())
}

/// The patch that makes `new` of `old`; nothing if they are equal.
pub fn patch(old: &Element, new: &Element) -> Option<String> {
    (old != new).then(|| new.to_xml_compact())
}

/// The configuration after a change that somebody asks for, its counters moved.
///
/// # Errors
/// Why it is refused; the configuration stays as it is.
pub fn changed(cib: &Element, change: &CibChange) -> Result<Element, Refusal> {
    let mut new = cib.clone();
    let xml = if change.xml.is_empty() {
        None
    } else {
        Some(Element::parse(&change.xml).map_err(|e| invalid(&e.to_string()))?)
    };
    match (change.action.as_str(), xml) {
        ("replace", Some(xml)) if xml.name() == "cib" => new = xml,
        ("create" | "modify", Some(xml)) => {
            let section = change.section.clone().unwrap_or_default();
            let place = new.child_or_insert("configuration").child_or_insert(&section);
            if xml.name() == section {
                xml.children().for_each(|c| put(place, c.clone()));
            } else {
                put(place, xml);
            }
        }
        _ => return Err(invalid("not understood")),
    }
    let epoch = cib.attr("epoch").and_then(|e| e.parse::<u64>().ok()).unwrap_or(0);
    new.set_attr("epoch", (epoch + 1).to_string());
    new.set_attr("num_updates", "0");
    new.retain_children(|c| c.name() != "status");
    Ok(new)
}

fn put(place: &mut Element, child: Element) {
    let position = place.children().position(|c| c.id() == child.id());
    match position {
        Some(position) => {
            place.replace_child(position, child);
        }
        None => place.push(child),
    }
}

fn invalid(text: &str) -> Refusal {
    Refusal { kind: RefusalKind::Invalid, text: text.to_owned() }
}

/// `(admin_epoch, epoch, num_updates)`.
pub fn version(cib: &Element) -> (u32, u32, u32) {
    let number = |name: &str| cib.attr(name).and_then(|v| v.parse().ok()).unwrap_or(0);
    (number("admin_epoch"), number("epoch"), number("num_updates"))
}

/// The value of a cluster property from the first set that has it; `stonith-…` is also understood
/// as `fencing-…` and the other way round.
pub fn property<'a>(cib: &'a Element, name: &str) -> Option<&'a str> {
    let other = match name.strip_prefix("stonith-") {
        Some(rest) => Some(format!("fencing-{rest}")),
        None => name.strip_prefix("fencing-").map(|rest| format!("stonith-{rest}")),
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
pub fn is_true(value: &str) -> bool {
    ["true", "on", "yes", "y", "1"].contains(&value.to_ascii_lowercase().as_str())
}
