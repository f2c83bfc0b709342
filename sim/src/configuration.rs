//! The configuration a cluster is given at its beginning, as requests of an administrator.

use crate::character::{Universe, node_name};
use crmd_core::request::{CibChange, Request};

/// Names of the primitives that must never be active twice.
pub(crate) fn resources(universe: &Universe) -> Vec<String> {
    (1..=universe.resources).map(|i| format!("r{i}")).collect()
}

/// What is typed after the cluster was formed.
pub(crate) fn first_requests(universe: &Universe) -> Vec<Request> {
    let options = [
        ("stonith-enabled", "true".to_owned()),
        ("no-quorum-policy", universe.no_quorum_policy.to_owned()),
        ("stonith-timeout", "10s".to_owned()),
        ("cluster-delay", "10s".to_owned()),
    ];
    let nvpairs: String = options
        .iter()
        .map(|(n, v)| format!(r#"<nvpair id="opt-{n}" name="{n}" value="{v}"/>"#))
        .collect();
    let options = format!(
        r#"<crm_config><cluster_property_set id="cib-bootstrap-options">{nvpairs}</cluster_property_set></crm_config>"#
    );
    let defaults = format!(
        r#"<rsc_defaults><meta_attributes id="rsc-options"><nvpair id="rsc-options-stickiness" name="resource-stickiness" value="{}"/></meta_attributes></rsc_defaults>"#,
        universe.stickiness
    );
    vec![
        change("replace", "crm_config", options),
        change("replace", "rsc_defaults", defaults),
        change("replace", "resources", all_resources(universe)),
    ]
}

fn all_resources(universe: &Universe) -> String {
    let host_list: Vec<String> = (0..universe.nodes).map(node_name).collect();
    let fencing = format!(
        r#"<primitive id="fencing" class="stonith" type="fence_sim"><instance_attributes id="fencing-params"><nvpair id="fencing-hosts" name="pcmk_host_list" value="{}"/></instance_attributes>{}</primitive>"#,
        host_list.join(" "),
        operations("fencing", 20),
    );
    let primitives: String = resources(universe)
        .iter()
        .map(|id| {
            let operations = operations(id, 6);
            format!(r#"<primitive id="{id}" class="ocf" provider="heartbeat" type="Dummy">{operations}</primitive>"#)
        })
        .collect();
    format!("<resources>{fencing}{primitives}</resources>")
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
pub(crate) fn change(action: &str, section: &str, xml: String) -> Request {
    Request::Cib(CibChange {
        action: action.to_owned(),
        section: Some(section.to_owned()),
        xpath: None,
        xml,
        allow_create: true,
        origin: "root/sim".to_owned(),
    })
}
