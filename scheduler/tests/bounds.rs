//! Numbers beyond all reason are bounded, and it is said.

#![expect(
    clippy::unwrap_used,
    reason = "a document of ours that cannot be read is a broken test"
)]

use cib::Element;

const NOW_S: i64 = 1_790_000_000;
/// Found by a fuzzer as `replicas`.
const BEYOND_REASON: &str = "1687288330";

/// What is said about three nodes with these resources, and how many starts are possible.
fn decided(resources: &str) -> (Vec<String>, usize) {
    let of_each = |element: &dyn Fn(u8) -> String| (1..=3).map(element).collect::<String>();
    let nodes = of_each(&|n| format!(r#"<node id="{n}" uname="node{n}"/>"#));
    let states = of_each(&|n| {
        format!(
            r#"<node_state id="{n}" uname="node{n}" in_ccm="true" crmd="online" join="member" expected="member"/>"#
        )
    });
    let text = format!(
        r#"<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1" epoch="1" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="options"><nvpair id="fencing" name="fencing-enabled" value="false"/>
</cluster_property_set></crm_config><nodes>{nodes}</nodes><resources>{resources}</resources><constraints/>
</configuration><status>{states}</status></cib>"#
    );
    let run = scheduler::run(&Element::parse(&text).unwrap(), NOW_S, false);
    assert!(scheduler::lint(&run.graph).is_empty());
    let starts = run
        .transition_summary
        .iter()
        .filter(|line| line.contains("Start") && !line.contains("blocked"))
        .count();
    (run.problems, starts)
}

#[test]
fn replicas_of_a_bundle() {
    let (problems, starts) = decided(&format!(
        r#"<bundle id="box"><podman image="image" replicas="{BEYOND_REASON}"/><network ip-range-start="192.0.2.100"/>
<primitive id="inside" class="ocf" provider="pacemaker" type="Dummy"/></bundle>"#
    ));
    let told = format!(
        "line 3: bundle 'box': replicas={BEYOND_REASON} is more than there is room for; 100 are used"
    );
    assert_eq!(problems, [told]);
    // The address, the container, the connection and what is inside, on each of three nodes; what there is no room for is
    // told, too, but blocked.
    assert_eq!(starts, 12);
}

#[test]
fn instances_of_a_clone() {
    let (problems, starts) = decided(&format!(
        r#"<clone id="many"><meta_attributes id="many-meta"><nvpair id="max" name="clone-max" value="{BEYOND_REASON}"/>
</meta_attributes><primitive id="one" class="ocf" provider="pacemaker" type="Dummy"/></clone>"#
    ));
    let told = format!(
        "clone 'many': clone-max={BEYOND_REASON} is more than there is room for; 100 is used"
    );
    assert_eq!(problems, [told]);
    assert_eq!(starts, 3);
}
