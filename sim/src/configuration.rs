//! The configuration a cluster is given at its beginning, as requests of an administrator.

use crate::character::{Universe, node_name};
use crmd_core::request::{CibChange, Request};

/// Names of the primitives that must never be active twice.
pub(crate) fn resources(universe: &Universe) -> Vec<String> {
    (1..=universe.resources).map(|i| format!("r{i}")).collect()
}

/// What is typed after the cluster was formed.
pub(crate) fn first_requests(universe: &Universe) -> Vec<Request> {
    let defaults = format!(
        r#"<rsc_defaults><meta_attributes id="rsc-options"><nvpair id="rsc-options-stickiness" name="resource-stickiness" value="{}"/></meta_attributes></rsc_defaults>"#,
        universe.stickiness
    );
    let nodes: Vec<String> = (0..universe.nodes).map(node_name).collect();
    let fencing = device("fencing", "fence_sim", &nodes);
    vec![
        change("replace", "crm_config", options(universe.no_quorum_policy)),
        change("replace", "rsc_defaults", defaults),
        change("replace", "resources", all(&fencing, &resources(universe))),
    ]
}

/// `crm_config` with fencing and its time-outs.
#[must_use]
pub fn options(no_quorum_policy: &str) -> String {
    let options = [
        ("stonith-enabled", "true"),
        ("no-quorum-policy", no_quorum_policy),
        ("stonith-timeout", "10s"),
        ("cluster-delay", "10s"),
    ];
    let nvpairs: String = options
        .iter()
        .map(|(n, v)| format!(r#"<nvpair id="opt-{n}" name="{n}" value="{v}"/>"#))
        .collect();
    format!(
        r#"<crm_config><cluster_property_set id="cib-bootstrap-options">{nvpairs}</cluster_property_set></crm_config>"#
    )
}

/// `resources`: these fence devices, and a primitive for each of the names.
#[must_use]
pub fn all(devices: &str, names: &[String]) -> String {
    let primitives: String = names
        .iter()
        .map(|id| {
            let operations = operations(id, 6);
            format!(r#"<primitive id="{id}" class="ocf" provider="heartbeat" type="Dummy">{operations}</primitive>"#)
        })
        .collect();
    format!("<resources>{devices}{primitives}</resources>")
}

/// A fence device; without `hosts` it says itself whom it can fence.
#[must_use]
pub fn device(id: &str, kind: &str, hosts: &[String]) -> String {
    let list = match hosts {
        [] => String::new(),
        hosts => format!(
            r#"<nvpair id="{id}-hosts" name="pcmk_host_list" value="{}"/>"#,
            hosts.join(" ")
        ),
    };
    format!(
        r#"<primitive id="{id}" class="stonith" type="{kind}"><instance_attributes id="{id}-params">{list}</instance_attributes>{}</primitive>"#,
        operations(id, 20),
    )
}

fn operations(id: &str, monitor_s: u64) -> String {
    let op = |name: &str, interval_s: u64, timeout_s: u64| {
        format!(
            r#"<op id="{id}-{name}-{interval_s}" name="{name}" interval="{interval_s}s" timeout="{timeout_s}s"/>"#
        )
    };
    let list = [
        op("start", 0, 5),
        op("stop", 0, 5),
        op("monitor", monitor_s, 4),
    ];
    format!("<operations>{}</operations>", list.concat())
}

/// A change by section.
#[must_use]
pub fn change(action: &str, section: &str, xml: String) -> Request {
    Request::Cib(CibChange {
        action: action.to_owned(),
        section: Some(section.to_owned()),
        xpath: None,
        xml,
        allow_create: true,
        origin: "root/sim".to_owned(),
    })
}
