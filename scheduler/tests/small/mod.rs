//! Small clusters, written in a line or two.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test takes what it needs; a document of ours that cannot be read is a broken test"
)]

use cib::Element;
use scheduler::Earlier;

pub(crate) const NOW_S: i64 = 1_790_000_000;
pub(crate) const UUID: &str = "5b0a4b5e-0000-4000-8000-000000000001";
/// Digest of no parameters.
pub(crate) const NO_PARAMETERS: &str = "f2317cad3d54cec5d7d7aa7d0bf35cf8";
pub(crate) const DUMMY: &str = r#"class="ocf" provider="pacemaker" type="Dummy""#;
pub(crate) const STATEFUL: &str = r#"class="ocf" provider="pacemaker" type="Stateful""#;

/// What differs from one small cluster to the next; nodes are online unless said.
#[derive(Default)]
pub(crate) struct Small<'a> {
    pub(crate) options: &'a [(&'a str, &'a str)],
    pub(crate) nodes: &'a [&'a str],
    pub(crate) resources: &'a str,
    pub(crate) constraints: &'a str,
    /// Nodes that left in order.
    pub(crate) offline: &'a [&'a str],
    /// For each node: inside of `transient_attributes` and histories.
    pub(crate) status: &'a [(&'a str, String)],
    pub(crate) node_attributes: &'a str,
}

impl Small<'_> {
    pub(crate) fn cib(&self) -> Element {
        let options: String = self
            .options
            .iter()
            .map(|(n, v)| format!(r#"<nvpair id="o-{n}" name="{n}" value="{v}"/>"#))
            .collect();
        let nodes: String = self
            .nodes
            .iter()
            .map(|n| {
                format!(
                    r#"<node id="{n}" uname="{n}">{}</node>"#,
                    self.node_attributes
                )
            })
            .collect();
        let states: String = self.nodes.iter().map(|n| self.state(n)).collect();
        let (resources, constraints) = (self.resources, self.constraints);
        let text = format!(
            r#"<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="{}" crm_feature_set="3.16.1" epoch="1" num_updates="1" admin_epoch="0"><configuration><crm_config><cluster_property_set id="options">{options}</cluster_property_set></crm_config><nodes>{nodes}</nodes><resources>{resources}</resources><constraints>{constraints}</constraints></configuration><status>{states}</status></cib>"#,
            self.nodes[0]
        );
        Element::parse(&text).unwrap()
    }

    fn state(&self, node: &str) -> String {
        let of = |n: &&(&str, String)| n.0 == node;
        let inside = self.status.iter().find(of).map_or("", |(_, t)| t.as_str());
        let (attributes, history) = inside.split_once('|').unwrap_or(("", inside));
        let (member, crmd, join) = match self.offline.contains(&node) {
            true => ("false", "offline", "down"),
            false => ("true", "online", "member"),
        };
        format!(
            r#"<node_state id="{node}" uname="{node}" in_ccm="{member}" crmd="{crmd}" join="{join}" expected="{join}"><transient_attributes id="{node}"><instance_attributes id="t-{node}">{attributes}</instance_attributes></transient_attributes><lrm id="{node}"><lrm_resources>{history}</lrm_resources></lrm></node_state>"#
        )
    }

    /// The scores of all nodes for one resource, as last shown.
    pub(crate) fn scores(&self, rsc: &str, earlier: &[&str]) -> Vec<String> {
        let start = format!("pcmk__primitive_assign: {rsc} allocation score on ");
        let lines = self.all_scores(earlier);
        let of = lines.iter().filter_map(|l| l.strip_prefix(&start));
        of.map(|l| l.split(": ").nth(1).unwrap_or(l).to_owned())
            .collect()
    }

    /// All lines of scores.
    pub(crate) fn all_scores(&self, earlier: &[&str]) -> Vec<String> {
        let rules = earlier
            .iter()
            .try_fold(Earlier::default(), |rules, name| rules.and(name));
        let asked = scheduler::Asked {
            scores: true,
            earlier: rules.unwrap(),
            ..scheduler::Asked::default()
        };
        scheduler::run_with(&self.cib(), NOW_S, asked).scores
    }

    /// The graph by the rules of an earlier version.
    pub(crate) fn graph(&self, earlier: &str) -> String {
        let rules = Earlier::default().and(earlier);
        let asked = scheduler::Asked {
            earlier: rules.unwrap_or_default(),
            ..scheduler::Asked::default()
        };
        let run = scheduler::run_with(&self.cib(), NOW_S, asked);
        run.graph.to_xml(1)
    }

    pub(crate) fn planned(&self) -> Vec<String> {
        let lines = scheduler::run(&self.cib(), NOW_S, false).transition_summary;
        let folded = lines
            .iter()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
        folded.collect()
    }
}

/// One finished operation of a resource as the only one in its history.
pub(crate) fn history(id: &str, kind: &str, operation: &str, rc: u8, more: &str) -> String {
    let expected = if operation == "monitor" { 7 } else { 0 };
    let key = format!("5:1:{expected}:{UUID}");
    format!(
        r#"<lrm_resource id="{id}" {kind}><lrm_rsc_op id="{id}_last_0" operation_key="{id}_{operation}_0" operation="{operation}" crm_feature_set="3.16.1" transition-key="{key}" transition-magic="0:{rc};{key}" call-id="10" rc-code="{rc}" op-status="0" interval="0" last-rc-change="1789997000"{more}/></lrm_resource>"#
    )
}

pub(crate) fn digest() -> String {
    format!(r#" op-digest="{NO_PARAMETERS}""#)
}

/// Scores of a resource in a cluster of two nodes, by our rules and by those of 2.1.5.
pub(crate) fn in_both(
    resources: &str,
    constraints: &str,
    rsc: &str,
    earlier: &[&str],
) -> (Vec<String>, Vec<String>) {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2"],
        resources,
        constraints,
        ..Small::default()
    };
    (small.scores(rsc, &[]), small.scores(rsc, earlier))
}
