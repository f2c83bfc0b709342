//! As `observed`, of actions: which there are, what they wait for and whom they are told of.

mod small;

use scheduler::run;

use small::{DUMMY, NOW_S, STATEFUL, Small, digest, history};

const NO_FENCING: [(&str, &str); 1] = [("stonith-enabled", "false")];

fn started(id: &str) -> String {
    history(id, DUMMY, "start", 0, &digest())
}

fn clone(id: &str, settings: &[(&str, &str)], inside: &str) -> String {
    let pairs: String = settings
        .iter()
        .map(|(n, v)| format!(r#"<nvpair id="{id}-{n}" name="{n}" value="{v}"/>"#))
        .collect();
    format!(
        r#"<clone id="{id}"><meta_attributes id="{id}-m">{pairs}</meta_attributes>{inside}</clone>"#
    )
}

fn off(id: &str) -> String {
    format!(
        r#"<primitive id="{id}" {DUMMY}><meta_attributes id="{id}-m"><nvpair id="{id}-t" name="target-role" value="Stopped"/></meta_attributes></primitive>"#
    )
}

#[test]
fn without_quorum_what_is_recovered_is_not_promoted_again() {
    let failed = history("a", STATEFUL, "monitor", 9, &digest())
        .replace("a_monitor_0", "a_monitor_10000")
        .replace(r#"interval="0""#, r#"interval="10000""#)
        .replace("5:1:7", "5:1:8");
    let promotes = |quorate: &str| {
        let small = Small {
            options: &[("stonith-enabled", "false"), ("no-quorum-policy", "demote")],
            nodes: &["node1"],
            resources: &clone(
                "c",
                &[("promotable", "true")],
                &format!(r#"<primitive id="a" {STATEFUL}/>"#),
            ),
            status: &[(
                "node1",
                format!(r#"<nvpair id="s" name="master-a" value="10"/>|{failed}"#),
            )],
            ..Small::default()
        };
        let cib = small.cib().with_attr("have-quorum", quorate);
        let graph = run(&cib, NOW_S, false).graph.to_xml(1);
        graph.contains(r#"operation="promote""#)
    };
    assert!(promotes("1"));
    assert!(!promotes("0"));
}

#[test]
fn a_group_thinks_of_nodes_as_its_last_member_does() {
    let needs = |id: &str, cpu: u8| {
        format!(
            r#"<primitive id="{id}" {DUMMY}><utilization id="{id}-u"><nvpair id="{id}-c" name="cpu" value="{cpu}"/></utilization></primitive>"#
        )
    };
    // What could not be stopped takes the room that is left, not that of others.
    let failed = history("a", DUMMY, "stop", 1, &digest());
    let small = Small {
        options: &[
            ("stonith-enabled", "false"),
            ("placement-strategy", "utilization"),
        ],
        nodes: &["node1"],
        resources: &format!(
            r#"<group id="g">{}</group>{}"#,
            needs("a", 2),
            needs("b", 3)
        ),
        node_attributes: r#"<utilization id="u"><nvpair id="c" name="cpu" value="3"/></utilization>"#,
        status: &[("node1", failed + &started("b"))],
        ..Small::default()
    };
    assert!(small.planned().is_empty(), "{:?}", small.planned());
}

#[test]
fn a_cloned_group_is_probed_with_the_instance_that_is_known_there() {
    let small = Small {
        options: &NO_FENCING,
        nodes: &["node1", "node2"],
        resources: &clone(
            "c",
            &[],
            &format!(
                r#"<group id="g"><primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}/></group>"#
            ),
        ),
        constraints: r#"<rsc_location id="l" rsc="c" node="node2" score="100"/>"#,
        status: &[("node1", history("b", DUMMY, "monitor", 7, &digest()))],
        ..Small::default()
    };
    let graph = small.graph("");
    for node in ["node1", "node2"] {
        let probe = format!(r#"operation_key="a:0_monitor_0" on_node="{node}""#);
        assert!(graph.contains(&probe), "{graph}");
    }
    assert!(!graph.contains("a:1_monitor_0"));
}

#[test]
fn a_start_that_was_asked_for_before_learns_its_place() {
    let small = Small {
        options: &NO_FENCING,
        nodes: &["node1", "node2"],
        resources: &clone(
            "c",
            &[("promotable", "true"), ("globally-unique", "true")],
            &format!(r#"<primitive id="a" {STATEFUL}/>"#),
        ),
        constraints: r#"<rsc_location id="l" rsc="c" node="node1" score="1000"/>"#,
        status: &[("node2", history("a:1", STATEFUL, "promote", 0, ""))],
        ..Small::default()
    };
    let graph = small.graph("one-try");
    assert!(
        graph.contains(r#"operation="start" operation_key="a:1_start_0" on_node="node1""#),
        "{graph}"
    );
}

#[test]
fn too_few_block_what_is_merely_ordered_after_them() {
    let set = |inside: &str, kind: &str| {
        format!(
            r#"<rsc_order id="o"{kind}><resource_set id="s" require-all="false">{inside}</resource_set><resource_set id="t"><resource_ref id="b"/></resource_set></rsc_order>"#
        )
    };
    let of_x = r#"<resource_ref id="x"/>"#;
    let two = r#"<rsc_order id="o" first="c" then="b" kind="Serialize"/>"#;
    for (order, gate) in [
        (two.to_owned(), "clone-one-or-more:o"),
        (set(of_x, r#" kind="Optional""#), "one-or-more:s"),
        (set("", ""), "one-or-more:s"),
    ] {
        let min = clone(
            "c",
            &[("clone-min", "2")],
            &format!(r#"<primitive id="a" {DUMMY}/>"#),
        );
        let small = Small {
            options: &NO_FENCING,
            nodes: &["node1"],
            resources: &format!(r#"{min}{}<primitive id="b" {DUMMY}/>"#, off("x")),
            constraints: &order,
            ..Small::default()
        };
        let blocked = format!("Start b ( node1 ) due to unrunnable {gate} (blocked)");
        assert!(small.planned().contains(&blocked), "{:?}", small.planned());
    }
}

#[test]
fn a_group_that_cannot_start_blocked_nobody() {
    let small = Small {
        options: &NO_FENCING,
        nodes: &["node1"],
        resources: &format!(
            r#"{}<group id="g"><primitive id="a" {DUMMY}/></group><primitive id="b" {DUMMY}/>"#,
            off("x")
        ),
        constraints: r#"<rsc_order id="o" first="x" then="g"/><rsc_colocation id="k" rsc="b" with-rsc="g" score="INFINITY"/>"#,
        ..Small::default()
    };
    assert!(!small.graph("").contains("b_start_0"));
    assert!(small.graph("lenient-groups").contains("b_start_0"));
}

#[test]
fn what_was_told_of_a_stop_that_fencing_implies_stays() {
    let failed = history("old", DUMMY, "stop", 1, &digest());
    let small = Small {
        options: &[("have-watchdog", "true")],
        nodes: &["node1", "node2"],
        resources: &clone(
            "c",
            &[("notify", "true"), ("target-role", "Stopped")],
            &format!(r#"<primitive id="a" {DUMMY}/>"#),
        ),
        status: &[("node1", started("a") + &failed), ("node2", started("a"))],
        ..Small::default()
    };
    let graph = small.graph("");
    assert_eq!(graph.matches(r#"notify_stop_resource="a:0""#).count(), 2);
    assert!(graph.contains(r#"notify_active_resource="a:0 a:1""#));
}

#[test]
fn the_role_shows_of_what_stops_and_was_to_be_promoted() {
    let inside = format!(
        r#"<group id="g"><primitive id="a" {STATEFUL}><operations><op id="p" name="promote" interval="0s" on-fail="block"/></operations></primitive><primitive id="b" {STATEFUL}/></group>"#
    );
    let promoted = |rc: u8| history("a", STATEFUL, "promote", rc, "");
    let small = Small {
        options: &NO_FENCING,
        nodes: &["node1", "node2"],
        resources: &clone("c", &[("promotable", "true")], &inside),
        status: &[
            ("node1", promoted(0)),
            (
                "node2",
                promoted(1) + &history("b", STATEFUL, "start", 0, ""),
            ),
        ],
        ..Small::default()
    };
    let planned = small.planned();
    let stops = |l: &String| l.starts_with("Stop b:1 ( Started node2 ) ");
    assert!(planned.iter().any(stops), "{planned:?}");
}

#[test]
fn instances_without_a_place_stay_in_their_order() {
    let small = Small {
        options: &[
            ("stonith-enabled", "false"),
            ("enable-startup-probes", "false"),
        ],
        nodes: &["node1", "node2", "node3"],
        resources: &format!(
            "{}{}",
            clone(
                "cx",
                &[("target-role", "Stopped")],
                &format!(r#"<primitive id="x" {DUMMY}/>"#)
            ),
            clone(
                "c",
                &[("promotable", "true")],
                &format!(r#"<primitive id="a" {STATEFUL}/>"#)
            )
        ),
        constraints: r#"<rsc_location id="l" rsc="c" node="node3" score="1000"/><rsc_colocation id="k" rsc="c" with-rsc="cx" score="INFINITY"/>"#,
        status: &["node1", "node2", "node3"].map(|node| {
            let history = history("a", STATEFUL, "start", 0, &digest());
            (node, history)
        }),
        ..Small::default()
    };
    let lines = small.planned();
    let names: Vec<&str> = lines
        .iter()
        .filter_map(|l| l.split_whitespace().nth(1))
        .collect();
    assert_eq!(names, ["a:2", "a:0", "a:1"]);
}

/// 2.1.5 migrates the copy that is to stop onto the one that is to stay.
#[test]
fn what_is_active_on_several_nodes_does_not_migrate() {
    let small = Small {
        options: &NO_FENCING,
        nodes: &["node1", "node2"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}><meta_attributes id="m"><nvpair id="u" name="multiple-active" value="stop_unexpected"/><nvpair id="i" name="allow-migrate" value="true"/></meta_attributes></primitive>"#
        ),
        constraints: r#"<rsc_location id="l" rsc="a" node="node2" score="100"/>"#,
        status: &[("node1", started("a")), ("node2", started("a"))],
        ..Small::default()
    };
    assert!(
        !small.graph("").contains("migrate"),
        "{:?}",
        small.planned()
    );
    assert!(small.graph("").contains("a_stop_0"));
    assert!(small.graph("migrating-copies").contains("a_migrate_to_0"));
}

/// An entry of a history, as [`history`] has one.
fn entry(id: &str, operation: &str, interval_ms: u32, call: i32, rc: u8) -> String {
    let status = if call < 0 { -1 } else { 0 };
    let key = format!("5:1:0:{}", small::UUID);
    format!(
        r#"<lrm_rsc_op id="{id}_{operation}_{interval_ms}" operation_key="{id}_{operation}_{interval_ms}" operation="{operation}" crm_feature_set="3.16.1" transition-key="{key}" transition-magic="{status}:{rc};{key}" call-id="{call}" rc-code="{rc}" op-status="{status}" interval="{interval_ms}" last-rc-change="1789997000"{}/>"#,
        digest()
    )
}

#[test]
fn what_is_older_than_a_promotion_under_way_is_not_cancelled() {
    let cancels = |call: i32, rc: u8| {
        let monitor = entry("a", "monitor", 11_000, 11, 0);
        let promote = entry("a", "promote", 0, call, rc);
        let small = Small {
            options: &[("stonith-enabled", "false"), ("maintenance-mode", "true")],
            nodes: &["node1"],
            resources: &clone(
                "c",
                &[("promotable", "true")],
                &format!(
                    r#"<primitive id="a" {STATEFUL}><operations><op id="m" name="monitor" interval="11s" role="Unpromoted"/></operations></primitive>"#
                ),
            ),
            status: &[(
                "node1",
                format!(r#"<lrm_resource id="a" {STATEFUL}>{promote}{monitor}</lrm_resource>"#),
            )],
            ..Small::default()
        };
        small.graph("").contains(r#"operation="cancel""#)
    };
    assert!(cancels(10, 0));
    assert!(!cancels(12, 0));
    assert!(!cancels(-1, 193), "what is under way has no call id yet");
}

#[test]
fn a_promoted_member_of_a_group_that_is_not_promoted_is_unpromoted() {
    let monitors = |second: &str| {
        let promoted = history("a", STATEFUL, "promote", 0, &digest());
        let small = Small {
            options: &NO_FENCING,
            nodes: &["node1"],
            resources: &clone(
                "c",
                &[("promotable", "true"), ("is-managed", "false")],
                &format!(
                    r#"<group id="g"><primitive id="a" {STATEFUL}><operations><op id="m" name="monitor" interval="10s" role="Promoted"/></operations></primitive>{second}</group>"#
                ),
            ),
            status: &[("node1", promoted)],
            ..Small::default()
        };
        small.graph("").contains("a_monitor_10000")
    };
    assert!(monitors(""));
    assert!(!monitors(&format!(r#"<primitive id="b" {STATEFUL}/>"#)));
}

#[test]
fn the_ticket_of_a_promoted_role_makes_all_nodes_known() {
    let available = |ticket: &str| {
        let small = Small {
            options: &[("stonith-enabled", "false"), ("symmetric-cluster", "false")],
            nodes: &["node1", "node2"],
            resources: &clone(
                "c",
                &[("promotable", "true"), ("notify", "true")],
                &format!(r#"<primitive id="a" {STATEFUL}/>"#),
            ),
            constraints: &format!(
                r#"<rsc_location id="l" rsc="c" node="node2" score="100"/>{ticket}"#
            ),
            status: &[("node1", history("a", STATEFUL, "monitor", 7, &digest()))],
            ..Small::default()
        };
        small
            .graph("")
            .contains(r#"notify_available_uname="node1 node2""#)
    };
    assert!(!available(""));
    assert!(available(
        r#"<rsc_ticket id="t" rsc="c" rsc-role="Promoted" ticket="T" loss-policy="demote"/>"#
    ));
}

#[test]
fn what_depends_without_influence_is_blocked_as_well() {
    let small = Small {
        options: &[("stonith-enabled", "false"), ("no-quorum-policy", "demote")],
        nodes: &["node1"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}/>{}"#,
            clone(
                "c",
                &[("promotable", "true")],
                &format!(r#"<primitive id="b" {STATEFUL}/>"#)
            )
        ),
        constraints: r#"<rsc_colocation id="k" rsc="c" rsc-role="Unpromoted" with-rsc="a" score="INFINITY" influence="false"/>"#,
        status: &[(
            "node1",
            started("a") + &history("b", STATEFUL, "start", 0, &digest()),
        )],
        ..Small::default()
    };
    let graph = run(&small.cib().with_attr("have-quorum", "0"), NOW_S, false).graph;
    assert!(graph.to_xml(1).contains("b_stop_0"));
}

#[test]
fn where_it_is_and_cannot_be_stopped_nothing_watches_for_it_to_be_stopped() {
    let small = Small {
        options: &NO_FENCING,
        nodes: &["node1", "node2", "node3"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}><meta_attributes id="u"><nvpair id="v" name="is-managed" value="false"/></meta_attributes><operations><op id="m" name="monitor" interval="12s" role="Stopped"/></operations></primitive>"#
        ),
        status: &[("node1", started("a")), ("node2", started("a"))],
        ..Small::default()
    };
    let graph = small.graph("");
    let watched_on = |node: &str| {
        graph.contains(&format!(
            r#"operation_key="a_monitor_12000" on_node="{node}""#
        ))
    };
    assert!(!watched_on("node2"));
    assert!(watched_on("node3"));
}
