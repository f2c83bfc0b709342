//! Where resources run, read from the operation history in the status section.

use cib::Element;

/// A resource instance on a node, as the history has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Active {
    /// Instance name (`lrm_resource`'s id).
    pub(crate) resource: String,
    /// The node's name.
    pub(crate) node: String,
    /// `Started`, `Promoted` or `Stopped`.
    pub(crate) role: &'static str,
    /// The last operation failed.
    pub(crate) failed: bool,
    /// `class:provider:type`.
    pub(crate) agent: String,
}

/// Every instance in every node's history, in document order.
pub(crate) fn all(document: &Element) -> Vec<Active> {
    let Some(status) = document.child("status") else {
        return Vec::new();
    };
    let of_node = |state: &Element| -> Vec<Active> {
        let node = state.attr("uname").unwrap_or_default().to_owned();
        let histories = state.descendants().filter(|e| e.name() == "lrm_resource");
        histories.map(|h| of_history(h, &node)).collect()
    };
    status
        .children_named("node_state")
        .flat_map(of_node)
        .collect()
}

fn of_history(history: &Element, node: &str) -> Active {
    let mut operations: Vec<&Element> = history.children_named("lrm_rsc_op").collect();
    operations.sort_by_key(|op| call_id(op));
    let mut role = "Stopped";
    let mut failed = false;
    for operation in operations {
        (role, failed) = after(role, operation);
    }
    let attr = |name| history.attr(name).unwrap_or_default();
    let agent = match history.attr("provider") {
        Some(provider) => format!("{}:{provider}:{}", attr("class"), attr("type")),
        None => format!("{}:{}", attr("class"), attr("type")),
    };
    Active {
        resource: attr("id").to_owned(),
        node: node.to_owned(),
        role,
        failed,
        agent,
    }
}

fn call_id(operation: &Element) -> i64 {
    let number = operation.attr("call-id").and_then(|c| c.parse().ok());
    match number {
        // Pending: it is the newest.
        Some(-1) | None => i64::MAX,
        Some(number) => number,
    }
}

/// What an operation says of the resource, in the field's exit codes.
fn after(role: &'static str, operation: &Element) -> (&'static str, bool) {
    let name = operation.attr("operation").unwrap_or_default();
    match (name, operation.attr("rc-code").unwrap_or_default()) {
        (_, "193") | (_, "") => (role, false),
        ("stop" | "migrate_to", "0") => ("Stopped", false),
        ("promote", "0") => ("Promoted", false),
        ("demote" | "start" | "migrate_from", "0") => ("Started", false),
        ("monitor", "0") if role == "Promoted" => ("Promoted", false),
        ("monitor", "0") => ("Started", false),
        ("monitor", "8") => ("Promoted", false),
        (_, "7") => ("Stopped", false),
        ("monitor", "5") => ("Stopped", false),
        _ => (role, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role_of(operations: &str) -> (&'static str, bool) {
        let text = format!(
            "<cib><status><node_state uname='n1'><lrm><lrm_resources>\
             <lrm_resource id='r' class='ocf' provider='heartbeat' type='Dummy'>{operations}</lrm_resource>\
             </lrm_resources></lrm></node_state></status></cib>"
        );
        let found = all(&Element::parse(&text).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].agent, "ocf:heartbeat:Dummy");
        (found[0].role, found[0].failed)
    }

    fn op(name: &str, call: i64, rc: i32) -> String {
        format!("<lrm_rsc_op operation='{name}' call-id='{call}' rc-code='{rc}'/>")
    }

    #[test]
    fn the_newest_operation_decides_whatever_the_order() {
        assert_eq!(role_of(&op("monitor", 1, 7)), ("Stopped", false));
        let started = op("monitor", 3, 0) + &op("monitor", 1, 7) + &op("start", 2, 0);
        assert_eq!(role_of(&started), ("Started", false));
        let promoted = started.clone() + &op("promote", 4, 0) + &op("monitor", 5, 8);
        assert_eq!(role_of(&promoted), ("Promoted", false));
        let stopped = promoted + &op("stop", 6, 0);
        assert_eq!(role_of(&stopped), ("Stopped", false));
        let failed = started.clone() + &op("monitor", 9, 1);
        assert_eq!(role_of(&failed), ("Started", true));
        let pending = started + &op("stop", -1, 193);
        assert_eq!(role_of(&pending), ("Started", false));
    }
}
