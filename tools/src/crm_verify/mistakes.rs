//! Mistakes that no schema sees but that keep a cluster from working as it was meant.

use cib::Element;
use std::collections::BTreeMap;

/// Everything found, in the field's words where scripts look for them.
pub(crate) fn find(document: &Element) -> Vec<String> {
    let Some(configuration) = document.child("configuration") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    fencing(configuration, &mut found);
    for element in configuration.descendants() {
        match element.name() {
            "operations" => operations(element, &mut found),
            "clone" | "master" => promotable(element, &mut found),
            "rsc_order" => ordering(element, &mut found),
            _ => {}
        }
    }
    found
}

/// What still works and will not for ever.
pub(crate) fn outdated(document: &Element) -> Vec<String> {
    let Some(configuration) = document.child("configuration") else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if option(configuration, &["concurrent-fencing"]).is_some() {
        found.push(
            "Support for the concurrent-fencing cluster property is deprecated and will be \
             removed (and behave as true) in a future release."
                .to_owned(),
        );
    }
    let mut elements = configuration.descendants();
    if elements.any(|e| e.name() == "rsc_order" && e.attr("require-all").is_some()) {
        found.push(
            "Support for require-all in ordering constraints is deprecated and will be removed \
             in a future release (use clone-min clone meta-attribute instead)"
                .to_owned(),
        );
    }
    let groups = configuration.descendants().filter(|e| e.name() == "group");
    let options: Vec<&str> = groups
        .flat_map(|g| g.children_named("meta_attributes"))
        .flat_map(|set| set.children_named("nvpair"))
        .filter(|pair| pair.attr("value").is_some_and(is_false))
        .filter_map(|pair| pair.attr("name"))
        .collect();
    for name in ["ordered", "collocated"] {
        if options.contains(&name) {
            found.push(format!(
                "Support for the '{name}' group meta-attribute is deprecated and will be removed \
                 in a future release (use a resource set instead)"
            ));
        }
    }
    found
}

/// Nothing starts while nodes are to be fenced and nothing is there to do it.
fn fencing(configuration: &Element, found: &mut Vec<String>) {
    let is_wanted = option(configuration, &["fencing-enabled", "stonith-enabled"])
        .is_none_or(|value| !is_false(value));
    let by_watchdog = option(
        configuration,
        &["fencing-watchdog-timeout", "stonith-watchdog-timeout"],
    )
    .is_some_and(|value| value != "0");
    let has_device = configuration
        .child("resources")
        .is_some_and(|r| r.descendants().any(|e| e.attr("class") == Some("stonith")));
    if is_wanted && !by_watchdog && !has_device {
        found.push(
            "Resource start-up disabled since no fencing resources have been defined. Either \
             configure some or disable fencing with the fencing-enabled option. NOTE: Clusters \
             with shared data need fencing to ensure data integrity."
                .to_owned(),
        );
    }
}

fn option<'a>(configuration: &'a Element, names: &[&str]) -> Option<&'a str> {
    let pairs = configuration.child("crm_config")?.descendants();
    pairs
        .filter(|e| e.attr("name").is_some_and(|n| names.contains(&n)))
        .find_map(|e| e.attr("value"))
}

fn is_false(value: &str) -> bool {
    let words = ["false", "no", "off", "n", "0"];
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Of two operations with one name and interval only one is ever looked at.
fn operations(operations: &Element, found: &mut Vec<String>) {
    let mut seen: BTreeMap<_, &str> = BTreeMap::new();
    for op in operations.children_named("op") {
        let id = op.id().unwrap_or_default();
        let interval = op.attr("interval").map(cib::schema::duration_ms);
        if let Some(first) = seen.insert((op.attr("name"), interval), id) {
            found.push(format!(
                "Operation {id} is duplicate of {first} (do not use same name and interval \
                 combination more than once per resource)"
            ));
        }
    }
}

/// An ordering of no known kind is taken for a mandatory one.
fn ordering(order: &Element, found: &mut Vec<String>) {
    let Some(kind) = order.attr("kind") else {
        return;
    };
    let known = ["Optional", "Mandatory", "Serialize"];
    if !known.iter().any(|k| k.eq_ignore_ascii_case(kind)) {
        let id = order.id().unwrap_or_default();
        found.push(format!(
            "Resetting 'kind' for constraint {id} to 'Mandatory' because '{kind}' is not valid"
        ));
    }
}

/// Only OCF agents know how to be promoted.
fn promotable(clone: &Element, found: &mut Vec<String>) {
    let is_promotable = clone.name() == "master"
        || clone
            .children_named("meta_attributes")
            .flat_map(|set| set.children_named("nvpair"))
            .any(|p| p.attr("name") == Some("promotable") && p.attr("value") == Some("true"));
    if !is_promotable {
        return;
    }
    let others = clone.children_named("primitive").filter_map(|primitive| {
        let class = primitive.attr("class").filter(|c| *c != "ocf")?;
        Some((primitive.id().unwrap_or_default(), class))
    });
    for (id, class) in others {
        found.push(format!(
            "Resource {id}:0 is of type {class} and therefore cannot be used as a promotable clone resource"
        ));
        found.push(format!(
            "Ignoring <{}> resource '{}' because configuration is invalid",
            clone.name(),
            clone.id().unwrap_or_default()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(crm_config: &str, resources: &str) -> Vec<String> {
        let text = format!(
            "<cib><configuration><crm_config><cluster_property_set id='o'>{crm_config}\
             </cluster_property_set></crm_config><resources>{resources}</resources></configuration></cib>"
        );
        find(&Element::parse(&text).unwrap())
    }

    const OFF: &str = "<nvpair id='a' name='stonith-enabled' value='False'/>";

    #[test]
    fn fencing_without_devices() {
        assert_eq!(found("", "").len(), 1);
        assert!(found(OFF, "").is_empty());
        assert!(found("", "<primitive id='f' class='stonith' type='x'/>").is_empty());
        let watchdog = "<nvpair id='a' name='stonith-watchdog-timeout' value='10'/>";
        assert!(found(watchdog, "").is_empty());
    }

    #[test]
    fn what_will_go_is_told() {
        let text = "<cib><configuration><crm_config/><resources><group id='g'><meta_attributes id='m'>\
            <nvpair id='n' name='ordered' value='false'/></meta_attributes></group></resources>\
            <constraints><rsc_order id='o' first='a' then='b' require-all='false' kind='foo'/>\
            </constraints></configuration></cib>";
        let document = Element::parse(text).unwrap();
        assert_eq!(outdated(&document).len(), 2);
        let wrong = find(&document);
        assert!(
            wrong.iter().any(|t| t.contains("'foo' is not valid")),
            "{wrong:?}"
        );
    }

    #[test]
    fn operations_and_promotable_clones() {
        let ops = |second: &str| {
            format!(
                "<primitive id='p'><operations><op id='a' name='monitor' interval='10s'/>\
                 <op id='b' name='monitor' interval='{second}'/></operations></primitive>"
            )
        };
        assert_eq!(found(OFF, &ops("10")).len(), 1);
        assert!(found(OFF, &ops("11")).is_empty());
        let clone = |class: &str| {
            format!(
                "<clone id='c'><meta_attributes id='m'><nvpair id='n' name='promotable' value='true'/>\
                 </meta_attributes><primitive id='p' class='{class}'/></clone>"
            )
        };
        assert_eq!(found(OFF, &clone("systemd")).len(), 2);
        assert!(found(OFF, &clone("ocf")).is_empty());
    }
}
