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
            _ => {}
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
