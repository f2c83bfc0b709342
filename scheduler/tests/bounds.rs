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
    decided_with(resources, "")
}

fn decided_with(resources: &str, constraints: &str) -> (Vec<String>, usize) {
    let nodes = [String::new(), String::new(), String::new()];
    decided_on(&nodes, "", resources, constraints)
}

/// As [`decided`]; of each node what its element contains, and more options.
fn decided_on(
    nodes: &[String],
    options: &str,
    resources: &str,
    constraints: &str,
) -> (Vec<String>, usize) {
    let of_each =
        |element: &dyn Fn(usize) -> String| (1..=nodes.len()).map(element).collect::<String>();
    let nodes = of_each(&|n| format!(r#"<node id="{n}" uname="node{n}">{}</node>"#, nodes[n - 1]));
    let states = of_each(&|n| {
        format!(
            r#"<node_state id="{n}" uname="node{n}" in_ccm="true" crmd="online" join="member" expected="member"/>"#
        )
    });
    let text = format!(
        r#"<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1" epoch="1" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="options"><nvpair id="fencing" name="fencing-enabled" value="false"/>{options}
</cluster_property_set></crm_config><nodes>{nodes}</nodes><resources>{resources}</resources><constraints>{constraints}</constraints>
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

/// More than a stack of [`STACK`] bytes holds, if each takes a few frames of it.
const LINKS: usize = 500;
/// Bytes; a thread of a daemon has eight times as many.
const STACK: usize = 256 * 1024;
const DUMMY: &str = r#"class="ocf" provider="pacemaker" type="Dummy""#;

/// How many of a chain of resources `{n}` start, each linked with the one before, `{m}`.
fn starts_of_chain(resource: &str, link: &str, more: Option<(&str, &str)>) -> usize {
    starts_where(DEFAULT, resource, link, more)
}

const DEFAULT: &str = r#"<nvpair id="placement" name="placement-strategy" value="default"/>"#;
const BY_ROOM: &str = r#"<nvpair id="placement" name="placement-strategy" value="utilization"/>"#;

fn starts_where(
    option: &'static str,
    resource: &str,
    link: &str,
    more: Option<(&str, &str)>,
) -> usize {
    let numbered = |text: &str, n: usize| {
        let text = text.replace("DUMMY", DUMMY).replace("{n}", &n.to_string());
        text.replace("{m}", &n.saturating_sub(1).to_string())
    };
    let resources: String = (0..LINKS).map(|n| numbered(resource, n)).collect();
    let links: String = (1..LINKS).map(|n| numbered(link, n)).collect();
    let (resource, constraint) = more.unwrap_or_default();
    let (resources, constraints) = (resources + &numbered(resource, 0), links + constraint);
    let small = std::thread::Builder::new().stack_size(STACK);
    let decide = small.spawn(move || {
        let nodes = [String::new(), String::new(), String::new()];
        decided_on(&nodes, option, &resources, &constraints).1
    });
    decide.unwrap().join().unwrap()
}

const PRIMITIVE: &str = r#"<primitive id="r{n}" DUMMY/>"#;
const STOPPED: &str = r#"<primitive id="stopped" DUMMY><meta_attributes id="stopped-meta">
<nvpair id="stopped-role" name="target-role" value="Stopped"/></meta_attributes></primitive>"#;
const WITH: &str = r#"<rsc_colocation id="c{n}" rsc="r{n}" with-rsc="r{m}" score="INFINITY"/>"#;
const WITH_NEXT: &str =
    r#"<rsc_colocation id="c{n}" rsc="r{m}" with-rsc="r{n}" score="INFINITY"/>"#;
const AFTER: &str = r#"<rsc_order id="o{n}" first="r{m}" then="r{n}"/>"#;
const BEFORE: &str = r#"<rsc_order id="o{n}" first="r{n}" then="r{m}"/>"#;
const AFTER_STOPPED: &str = r#"<rsc_order id="never" first="stopped" then="r0"/>"#;

#[test]
fn long_chains_of_colocations() {
    assert_eq!(starts_of_chain(PRIMITIVE, WITH, None), LINKS);
    assert_eq!(starts_of_chain(PRIMITIVE, WITH_NEXT, None), LINKS);
    assert_eq!(
        starts_of_chain(PRIMITIVE, WITH, Some((STOPPED, AFTER_STOPPED))),
        0
    );
}

#[test]
fn long_chains_where_room_counts() {
    let clone = r#"<clone id="r{n}"><primitive id="p{n}" DUMMY/></clone>"#;
    assert_eq!(starts_where(BY_ROOM, PRIMITIVE, WITH, None), LINKS);
    assert_eq!(starts_where(BY_ROOM, clone, WITH, None), 3 * LINKS);
}

#[test]
fn long_chains_of_orderings() {
    assert_eq!(starts_of_chain(PRIMITIVE, AFTER, None), LINKS);
    assert_eq!(starts_of_chain(PRIMITIVE, BEFORE, None), LINKS);
    assert_eq!(
        starts_of_chain(PRIMITIVE, AFTER, Some((STOPPED, AFTER_STOPPED))),
        0
    );
}

#[test]
fn long_chains_of_groups_and_clones() {
    let group = r#"<group id="r{n}"><primitive id="p{n}" DUMMY/></group>"#;
    assert_eq!(starts_of_chain(group, WITH, None), LINKS);
    assert_eq!(starts_of_chain(group, AFTER, None), LINKS);
    let clone = r#"<clone id="r{n}"><primitive id="p{n}" DUMMY/></clone>"#;
    assert_eq!(starts_of_chain(clone, WITH, None), 3 * LINKS);
    assert_eq!(starts_of_chain(clone, AFTER, None), 3 * LINKS);
}

/// Each of a layer with each of the next: twenty-nine layers of two have half a thousand million ways through.
#[test]
fn lattice_of_colocations() {
    let (mut resources, mut links) = (String::new(), String::new());
    for layer in 0..30 {
        for (n, m) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            if m == 0 {
                resources += &format!(r#"<primitive id="r{layer}-{n}" {DUMMY}/>"#);
            }
            let next = layer + 1;
            if next < 30 {
                links += &format!(
                    r#"<rsc_colocation id="c{layer}-{n}-{m}" rsc="r{next}-{m}" with-rsc="r{layer}-{n}" score="10"/>"#
                );
            }
        }
    }
    let (problems, starts) = decided_with(&resources, &links);
    let told = "resource 'r0-0': more than 10000 colocations lead on from one of its own; wishes beyond are left out";
    assert_eq!(problems, [told]);
    assert_eq!(starts, 60);
}

/// Which of two nodes has more room is not the same for all pairs of many: of what kind does each have more?
#[test]
fn nodes_of_which_each_has_more_room_than_another() {
    let mut drawn: u64 = 1;
    let mut draw = || {
        drawn = drawn
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (drawn >> 33) % 17
    };
    let mut nodes = Vec::new();
    for n in 0..60 {
        let room: String = ["cpu", "memory", "disk"]
            .map(|kind| {
                format!(
                    r#"<nvpair id="room-{n}-{kind}" name="{kind}" value="{}"/>"#,
                    draw()
                )
            })
            .concat();
        nodes.push(format!(
            r#"<utilization id="room-{n}">{room}</utilization>"#
        ));
    }
    let balanced = r#"<nvpair id="balance" name="placement-strategy" value="balanced"/>"#;
    let resources: String = (0..10)
        .map(|n| {
            format!(
                r#"<primitive id="r{n}" {DUMMY}><utilization id="need-{n}"><nvpair id="need-{n}-cpu" name="cpu" value="1"/>
</utilization></primitive>"#
            )
        })
        .collect();
    let (problems, starts) = decided_on(&nodes, balanced, &resources, "");
    assert!(problems.is_empty());
    assert_eq!(starts, 10);
}
