//! Small clusters whose outcome was observed from Pacemaker's `crm_simulate` (2.1.5), one for each rule that the
//! differential over random configurations taught.

mod small;

use scheduler::view::View;

use small::{DUMMY, NOW_S, STATEFUL, Small, UUID, digest, history};

#[test]
fn a_cluster_that_is_to_fence_and_cannot_starts_nothing() {
    let resources = format!(r#"<primitive id="rsc1" {DUMMY}/>"#);
    let planned = |options: &[(&str, &str)]| {
        Small {
            options,
            nodes: &["node1"],
            resources: &resources,
            ..Small::default()
        }
        .planned()
    };
    assert!(planned(&[]).is_empty());
    for options in [("stonith-enabled", "false"), ("have-watchdog", "true")] {
        assert_eq!(planned(&[options]), ["Start rsc1 ( node1 )"]);
    }
}

#[test]
fn a_history_without_a_digest_is_of_other_parameters() {
    let resources = format!(r#"<primitive id="rsc1" {DUMMY}/>"#);
    let planned = |more: &str| {
        Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            status: &[("node1", history("rsc1", DUMMY, "start", 0, more))],
            ..Small::default()
        }
        .planned()
    };
    assert!(planned(&digest()).is_empty());
    assert_eq!(
        planned(""),
        ["Restart rsc1 ( node1 ) due to resource definition change"]
    );
}

#[test]
fn what_is_promoted_after_a_restart_is_called_a_restart() {
    let resources = format!(
        r#"<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes><primitive id="rsc1" {STATEFUL}/></clone>"#
    );
    let score = r#"<nvpair id="s" name="master-rsc1" value="10"/>|"#;
    let started = history("rsc1", STATEFUL, "start", 0, "");
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &resources,
        status: &[("node1", format!("{score}{started}"))],
        ..Small::default()
    };
    assert_eq!(
        small.planned(),
        ["Restart rsc1:0 ( Unpromoted -> Promoted node1 ) due to resource definition change"]
    );
}

#[test]
fn an_agent_missing_for_a_member_bans_the_member_alone() {
    let resources = format!(
        r#"<group id="grp1"><primitive id="rsc1" {DUMMY}/><primitive id="rsc2" {DUMMY}/></group>"#
    );
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &resources,
        status: &[("node1", history("rsc1", DUMMY, "monitor", 5, ""))],
        ..Small::default()
    };
    let run = scheduler::run(&small.cib(), NOW_S, true);
    let has = |what: &str| run.scores.iter().any(|line| line.ends_with(what));
    assert!(has("grp1 allocation score on node1: 0"), "{:?}", run.scores);
    assert!(has("rsc1 allocation score on node1: -INFINITY"));
    assert!(has("rsc2 allocation score on node1: 0"));
}

#[test]
fn as_few_nodes_as_possible_does_not_mean_where_it_is() {
    let resources = format!(r#"<primitive id="rsc1" {DUMMY}/>"#);
    let planned = |strategy: &str| {
        Small {
            options: &[
                ("stonith-enabled", "false"),
                ("placement-strategy", strategy),
            ],
            nodes: &["node1", "node2"],
            resources: &resources,
            status: &[("node2", history("rsc1", DUMMY, "start", 0, &digest()))],
            ..Small::default()
        }
        .planned()
    };
    assert_eq!(planned("minimal"), ["Move rsc1 ( node2 -> node1 )"]);
    assert!(planned("default").is_empty());
}

#[test]
fn what_is_in_maintenance_is_not_watched_while_stopped() {
    let planned = |maintenance: &str| {
        let resources = format!(
            r#"<primitive id="rsc1" {DUMMY}><meta_attributes id="m"><nvpair id="n" name="maintenance" value="{maintenance}"/><nvpair id="t" name="target-role" value="Stopped"/></meta_attributes><operations><op id="w" name="monitor" interval="12s" timeout="20s" role="Stopped"/></operations></primitive>"#
        );
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            ..Small::default()
        };
        let graph = scheduler::run(&small.cib(), NOW_S, false).graph;
        graph.to_xml(0).contains("rsc1_monitor_12000")
    };
    assert!(planned("false"));
    assert!(!planned("true"));
}

#[test]
fn what_must_not_be_promoted_counts_as_disabled() {
    let disabled = |role: &str| {
        let resources = format!(
            r#"<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/><nvpair id="t" name="target-role" value="{role}"/></meta_attributes><primitive id="rsc1" {STATEFUL}/></clone>"#
        );
        let small = Small {
            nodes: &["node1", "node2"],
            resources: &resources,
            ..Small::default()
        };
        View::of_status(&small.cib(), NOW_S).summary.counts.disabled
    };
    assert_eq!(disabled("Unpromoted"), 2);
    assert_eq!(disabled("Started"), 0);
}

#[test]
fn a_number_has_the_colour_of_its_score() {
    let health = |value: &str| {
        let attributes = format!(
            r##"<instance_attributes id="a"><nvpair id="h" name="#health-disk" value="{value}"/></instance_attributes>"##
        );
        let small = Small {
            options: &[("node-health-strategy", "migrate-on-red")],
            nodes: &["node1"],
            node_attributes: &attributes,
            ..Small::default()
        };
        View::of_status(&small.cib(), NOW_S).nodes[0].health
    };
    assert_eq!((health("red"), health("yellow"), health("-20")), (-1, 0, 1));
    let health = |value: &str| {
        let attributes = format!(
            r##"<instance_attributes id="a"><nvpair id="h" name="#health-disk" value="{value}"/></instance_attributes>"##
        );
        let small = Small {
            options: &[
                ("node-health-strategy", "custom"),
                ("node-health-red", "-30"),
                ("node-health-yellow", "-10"),
                ("node-health-green", "10"),
            ],
            nodes: &["node1"],
            node_attributes: &attributes,
            ..Small::default()
        };
        View::of_status(&small.cib(), NOW_S).nodes[0].health
    };
    assert_eq!((health("-40"), health("-20"), health("-5")), (-1, 0, 1));
}

#[test]
fn what_needs_fencing_is_recovered_from_where_it_was_first() {
    let resources = format!(
        r#"<primitive id="fencing1" class="stonith" type="fence_xvm"/><primitive id="rsc1" {DUMMY}/>"#
    );
    let failed = |node: &'static str, task: &str| {
        let history = format!(
            r#"<lrm_resource id="rsc1" {DUMMY}><lrm_rsc_op id="rsc1_last_0" operation_key="rsc1_{task}_0" operation="{task}" crm_feature_set="3.16.1" transition-key="5:1:0:{UUID}" transition-magic="0:1;5:1:0:{UUID}" on_node="{node}" call-id="10" rc-code="1" op-status="0" interval="0" last-rc-change="1789997000"/></lrm_resource>"#
        );
        (node, history)
    };
    let small = Small {
        nodes: &["node1", "node2", "node3"],
        resources: &resources,
        status: &[failed("node1", "stop"), failed("node2", "monitor")],
        ..Small::default()
    };
    let lines = scheduler::run(&small.cib(), NOW_S, false).transition_summary;
    let recovers = |line: &&String| line.starts_with("Recover") && line.contains("rsc1");
    let line = lines.iter().find(recovers).unwrap();
    // The first node will be fenced, since the stop failed there.
    assert!(line.contains("node1 ->"), "{line}");
}

#[test]
fn where_nothing_may_run_a_clone_is_only_where_it_is_known() {
    let stopped = |symmetric: &str| {
        let resources = format!(r#"<clone id="c"><primitive id="rsc1" {DUMMY}/></clone>"#);
        let small = Small {
            options: &[("symmetric-cluster", symmetric)],
            nodes: &["node1", "node2"],
            resources: &resources,
            ..Small::default()
        };
        let view = View::of_status(&small.cib(), NOW_S);
        let clone = view.resources.iter().find(|r| r.id == "c").unwrap();
        clone.allowed.len()
    };
    assert_eq!((stopped("true"), stopped("false")), (2, 0));
}

/// The plan of a cluster of one node without fencing.
fn on_one_node(resources: &str, history: String) -> String {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources,
        status: &[("node1", history)],
        ..Small::default()
    };
    scheduler::run(&small.cib(), NOW_S, false).graph.to_xml(0)
}

#[test]
fn a_number_that_a_unique_clone_has_no_more_is_cleaned_up_as_a_resource_of_its_own() {
    let resources = format!(
        r#"<clone id="c"><meta_attributes id="m"><nvpair id="u" name="globally-unique" value="true"/><nvpair id="x" name="clone-max" value="1"/></meta_attributes><primitive id="rsc1" {DUMMY}/></clone>"#
    );
    let history = format!(
        r#"<lrm_resource id="rsc1:2" {DUMMY}><lrm_rsc_op id="rsc1:2_last_0" operation_key="rsc1:2_monitor_0" operation="monitor" crm_feature_set="3.16.1" transition-key="5:1:7:{UUID}" transition-magic="0:7;5:1:7:{UUID}" on_node="node1" call-id="10" rc-code="7" op-status="0" interval="0"/></lrm_resource>"#
    );
    let graph = on_one_node(&resources, history);
    let delete = graph.split("rsc1:2_delete_0").nth(1).unwrap();
    let delete = delete.split("</rsc_op>").next().unwrap();
    assert!(!delete.contains("CRM_meta_clone_max"), "{delete}");
}

#[test]
fn an_unmanaged_instance_keeps_its_monitor_as_unpromoted() {
    let resources = format!(
        r#"<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/><nvpair id="u" name="is-managed" value="false"/></meta_attributes><primitive id="rsc1" {STATEFUL}><operations><op id="w" name="monitor" interval="11s" timeout="20s" role="Unpromoted"/></operations></primitive></clone>"#
    );
    let op = |task: &str, interval: u32, call: u8| {
        format!(
            r#"<lrm_rsc_op id="rsc1_{task}_{interval}" operation_key="rsc1_{task}_{interval}" operation="{task}" crm_feature_set="3.16.1" transition-key="5:1:0:{UUID}" transition-magic="0:0;5:1:0:{UUID}" on_node="node1" call-id="{call}" rc-code="0" op-status="0" interval="{interval}" last-rc-change="1789997000"/>"#
        )
    };
    let history = format!(
        r#"<lrm_resource id="rsc1" {STATEFUL}>{}{}</lrm_resource>"#,
        op("start", 0, 10),
        op("monitor", 11000, 11)
    );
    let graph = on_one_node(&resources, history);
    assert!(!graph.contains("operation=\"cancel\""), "{graph}");
}

#[test]
fn what_a_rule_need_not_look_at_does_not_wake_the_cluster() {
    let recheck = |operation: &str| {
        let resources = format!(
            r#"<primitive id="rsc1" {DUMMY}><meta_attributes id="m"><rule id="r" score="1" boolean-op="{operation}"><date_expression id="e" operation="gt" start="2020-01-01"/><date_expression id="f" operation="lt" end="2027-01-01"/></rule><nvpair id="n" name="priority" value="1"/></meta_attributes></primitive>"#
        );
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            ..Small::default()
        };
        scheduler::schedule(&small.cib(), NOW_S).recheck_at_s
    };
    assert!(recheck("and").is_some());
    assert_eq!(recheck("or"), None);
}

#[test]
fn a_rule_of_which_one_part_is_enough_adds_to_what_the_node_is_worth() {
    let resources = format!(r#"<primitive id="rsc1" {DUMMY}/>"#);
    let score = |operation: &str, offline: &[&str]| {
        let constraints = format!(
            r##"<rsc_location id="l" rsc="rsc1"><rule id="r" score="100" boolean-op="{operation}"><expression id="e" attribute="#uname" operation="defined"/></rule></rsc_location>"##
        );
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1", "node2"],
            resources: &resources,
            constraints: &constraints,
            offline,
            ..Small::default()
        };
        small.scores("rsc1", &[])
    };
    assert_eq!(score("and", &["node2"]), ["100", "100"]);
    assert_eq!(score("or", &["node2"]), ["100", "-INFINITY"]);
    assert_eq!(score("or", &[]), ["100", "100"]);
}

#[test]
fn only_a_set_that_says_so_is_a_sequence_for_other_sets() {
    let resources: String = ["a", "b", "c"]
        .iter()
        .map(|id| format!(r#"<primitive id="{id}" {DUMMY}/>"#))
        .collect();
    let waits = |said: &str| {
        let constraints = format!(
            r#"<rsc_order id="o"><resource_set id="s0" {said}><resource_ref id="a"/><resource_ref id="b"/></resource_set><resource_set id="s1"><resource_ref id="c"/></resource_set></rsc_order>"#
        );
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            constraints: &constraints,
            ..Small::default()
        };
        let graph = scheduler::run(&small.cib(), NOW_S, false).graph.to_xml(0);
        let start = graph
            .split("<synapse ")
            .find(|s| {
                let set = s.split("</action_set>").next().unwrap_or(s);
                set.contains("\"c_start_0\"")
            })
            .unwrap();
        let inputs = start.split("</action_set>").nth(1).unwrap();
        (
            inputs.contains("\"a_start_0\""),
            inputs.contains("\"b_start_0\""),
        )
    };
    assert_eq!(waits(""), (true, true));
    assert_eq!(waits(r#"sequential="true""#), (false, true));
}

#[test]
fn a_fail_count_that_is_about_to_be_wiped_bans_no_more() {
    let resources = format!(r#"<primitive id="rsc1" {DUMMY}/>"#);
    let score = |digest: &str| {
        let failed = history("rsc1", DUMMY, "start", 1, digest);
        let failed = failed.replace("rsc1_last_0", "rsc1_last_failure_0");
        let count = r##"<nvpair id="f" name="fail-count-rsc1#start_0" value="INFINITY"/>|"##;
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            status: &[("node1", format!("{count}{failed}"))],
            ..Small::default()
        };
        small.scores("rsc1", &[])
    };
    assert_eq!(score(&digest()), ["-INFINITY"]);
    // It failed with other parameters.
    let other = r#" op-digest="00000000000000000000000000000000""#;
    assert_eq!(score(other), ["0"]);
}

#[test]
fn an_ignored_failure_makes_counts_on_all_nodes_void() {
    let score = |on_fail: &str| {
        let resources = format!(
            r#"<primitive id="rsc1" {DUMMY}><operations><op id="s" name="stop" interval="0" on-fail="{on_fail}"/></operations></primitive>"#
        );
        let count = r##"<nvpair id="f" name="fail-count-rsc1#stop_0" value="INFINITY"/>|"##;
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1", "node2"],
            resources: &resources,
            status: &[
                ("node1", history("rsc1", DUMMY, "stop", 1, "")),
                ("node2", count.to_owned()),
            ],
            ..Small::default()
        };
        small.scores("rsc1", &[])
    };
    assert_eq!(score("ignore"), ["0", "0"]);
    assert_eq!(score("restart"), ["-INFINITY", "-INFINITY"]);
}

#[test]
fn what_goes_nowhere_stops_for_lack_of_a_node_however_often_it_is_active() {
    let resources = format!(
        r#"<primitive id="rsc1" {DUMMY}><meta_attributes id="m"><nvpair id="n" name="multiple-active" value="stop_unexpected"/></meta_attributes></primitive>"#
    );
    let planned = |constraints: &str| {
        let up = || history("rsc1", DUMMY, "start", 0, &digest());
        Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1", "node2"],
            resources: &resources,
            constraints,
            status: &[("node1", up()), ("node2", up())],
            ..Small::default()
        }
        .planned()
    };
    let nowhere = r#"<rsc_location id="a" rsc="rsc1" node="node1" score="-INFINITY"/><rsc_location id="b" rsc="rsc1" node="node2" score="-INFINITY"/>"#;
    let stops = planned(nowhere);
    assert_eq!(stops.len(), 2, "{stops:?}");
    assert!(
        stops
            .iter()
            .all(|l| l.ends_with("due to node availability")),
        "{stops:?}"
    );
}

/// A promotable clone `c` of `rsc1`, with what else is inside the clone and what is said of the primitive.
fn promotable(more: &str, inside: &str) -> String {
    format!(
        r#"<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/>{more}</meta_attributes><primitive id="rsc1" {STATEFUL}>{inside}</primitive></clone>"#
    )
}

#[test]
fn what_was_promoted_with_other_parameters_goes_down_and_comes_up() {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &promotable("", ""),
        status: &[("node1", history("rsc1", STATEFUL, "promote", 0, ""))],
        ..Small::default()
    };
    assert_eq!(
        small.planned(),
        ["Restart rsc1:0 ( Promoted -> Unpromoted node1 ) due to resource definition change"]
    );
}

#[test]
fn instances_that_are_promoted_are_as_important_as_their_clone() {
    let priority =
        |id: &str, value: u32| format!(r#"<nvpair id="{id}" name="priority" value="{value}"/>"#);
    let inside = format!(
        r#"<meta_attributes id="q">{}</meta_attributes>"#,
        priority("q1", 100)
    );
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &promotable(&priority("p1", 10), &inside),
        ..Small::default()
    };
    let graph = scheduler::run(&small.cib(), NOW_S, false).graph.to_xml(1);
    let synapses: Vec<&str> = graph.split("<synapse").collect();
    let of = |key: &str| synapses.iter().find(|s| s.contains(key)).unwrap();
    assert!(of("rsc1:0_start_0").contains(r#"priority="10""#), "{graph}");
}

#[test]
fn a_failed_stop_does_not_put_its_node_on_standby() {
    let operation =
        r#"<operations><op id="o" name="stop" interval="0" on-fail="standby"/></operations>"#;
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2"],
        resources: &format!(r#"<primitive id="rsc1" {DUMMY}>{operation}</primitive>"#),
        status: &[("node1", history("rsc1", DUMMY, "stop", 1, ""))],
        ..Small::default()
    };
    assert!(small.planned().is_empty(), "{:?}", small.planned());
}

#[test]
fn the_name_of_what_is_in_a_clone_stands_for_it_once_it_has_a_history() {
    let resources = format!(r#"<clone id="c"><primitive id="rsc1" {DUMMY}/></clone>"#);
    let scores = |status: &[(&str, String)]| {
        Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            constraints: r#"<rsc_location id="l" rsc="rsc1" node="node1" score="70"/>"#,
            status,
            ..Small::default()
        }
        .scores("rsc1:0", &[])
    };
    assert_eq!(scores(&[]), ["0"]);
    assert_eq!(
        scores(&[("node1", history("rsc1", DUMMY, "monitor", 7, ""))]),
        ["70"]
    );
}

fn clears_a_fail_count(small: &Small) -> bool {
    let graph = scheduler::run(&small.cib(), NOW_S, false).graph.to_xml(1);
    graph.contains("clear_failcount")
}

#[test]
fn what_is_in_no_clone_shares_its_fail_count_with_nobody() {
    let clears = |count: &str| {
        let count =
            format!(r#"<nvpair id="f" name="fail-count-{count}#monitor_10000" value="1"/>|"#);
        clears_a_fail_count(&Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1", "node2"],
            status: &[
                ("node1", count),
                ("node2", history("rsc3:3", DUMMY, "monitor", 7, "")),
            ],
            ..Small::default()
        })
    };
    assert!(clears("rsc3:3"));
    assert!(!clears("rsc3:2"));
}

#[test]
fn no_fail_count_is_cleared_on_a_node_that_is_off() {
    const DEVICE: &str = r#"class="stonith" type="fence_xvm""#;
    let clears = |offline: &[&str]| {
        let failed = history("rsc1", DEVICE, "start", 1, &digest())
            .replace("rsc1_last_0", "rsc1_last_failure_0");
        clears_a_fail_count(&Small {
            options: &[("stonith-enabled", "true")],
            nodes: &["node1", "node2"],
            resources: &format!(
                r#"<primitive id="rsc1" {DEVICE}><instance_attributes id="i"><nvpair id="p" name="fake" value="1"/></instance_attributes></primitive>"#
            ),
            status: &[("node2", failed)],
            offline,
            ..Small::default()
        })
    };
    assert!(clears(&[]));
    assert!(!clears(&["node2"]));
}

#[test]
fn instances_that_go_by_one_name_in_histories_are_not_taken_for_one() {
    let resources = format!(
        r#"<clone id="c"><group id="g"><primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}/></group></clone>"#
    );
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2"],
        resources: &resources,
        status: &[
            ("node1", history("a:0", DUMMY, "start", 0, &digest())),
            ("node2", history("b:0", DUMMY, "start", 0, &digest())),
        ],
        ..Small::default()
    };
    let graph = scheduler::run(&small.cib(), NOW_S, false).graph;
    let text = graph.to_xml(1);
    let starts = text.matches(r#"operation="start" operation_key="b:0_start_0""#);
    assert!(starts.count() >= 2, "{text}");
    assert!(text.contains(r#"operation_key="b:0_stop_0" internal_operation_key="b:1_stop_0""#));
    assert_eq!(scheduler::lint(&graph), [""; 0]);
}

#[test]
fn no_fail_count_is_cleared_on_a_node_that_is_to_be_fenced() {
    const DEVICE: &str = r#"class="stonith" type="fence_xvm""#;
    let clears = |rc: u8| {
        let failed = history("dev", DEVICE, "start", 1, &digest())
            .replace("dev_last_0", "dev_last_failure_0");
        clears_a_fail_count(&Small {
            options: &[("stonith-enabled", "true")],
            nodes: &["node1", "node2"],
            resources: &format!(
                r#"<primitive id="dev" {DEVICE}><instance_attributes id="i"><nvpair id="p" name="fake" value="1"/></instance_attributes></primitive><primitive id="a" {DUMMY}/>"#
            ),
            status: &[("node2", failed + &history("a", DUMMY, "stop", rc, ""))],
            ..Small::default()
        })
    };
    assert!(clears(0));
    assert!(!clears(1), "a failed stop is fenced for");
}

#[test]
fn a_stop_without_a_reason_of_its_own_has_that_of_the_start_that_cannot_be() {
    let primitives = ["a", "b"].map(|id| format!(r#"<primitive id="{id}" {DUMMY}/>"#));
    let resources = format!(
        r#"{}<clone id="cc"><primitive id="c" {DUMMY}/></clone><clone id="cd"><meta_attributes id="m"><nvpair id="i" name="interleave" value="true"/></meta_attributes><primitive id="d" {DUMMY}/></clone>"#,
        primitives.concat()
    );
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &resources,
        constraints: r#"<rsc_colocation id="k" rsc="cc" with-rsc="b" score="-INFINITY"/><rsc_order id="o"><resource_set id="o0"><resource_ref id="a"/><resource_ref id="cc"/></resource_set><resource_set id="o1"><resource_ref id="cd"/></resource_set></rsc_order>"#,
        status: &[("node1", history("d", DUMMY, "start", 0, &digest()))],
        ..Small::default()
    };
    let planned = small.planned();
    assert!(
        planned.contains(&"Stop d:0 ( node1 ) due to required a start".to_owned()),
        "{planned:?}"
    );
}

fn active_on_two(nodes: &'static [&'static str], resources: &str) -> Small<'static> {
    let resources = format!(
        r#"<primitive id="a" {DUMMY}><meta_attributes id="m"><nvpair id="u" name="multiple-active" value="stop_unexpected"/></meta_attributes>{resources}</primitive>"#
    );
    Small {
        options: &[("stonith-enabled", "false")],
        nodes,
        resources: resources.leak(),
        ..Small::default()
    }
}

#[test]
fn what_leaves_several_nodes_for_another_is_started_there() {
    let small = Small {
        constraints: r#"<rsc_location id="l" rsc="a" node="node2" score="100"/>"#,
        status: &["node1", "node3"].map(|n| (n, history("a", DUMMY, "start", 0, &digest()))),
        ..active_on_two(&["node1", "node2", "node3"], "")
    };
    let real = |text: &str| {
        text.contains(r#"operation="start" operation_key="a_start_0" on_node="node2""#)
    };
    let (now, before) = (small.graph(""), small.graph("expected-anywhere"));
    assert!(real(&now), "{now}");
    assert!(!real(&before), "{before}");
}

#[test]
fn a_monitor_goes_with_the_start_of_what_is_unmanaged_and_active_twice() {
    let monitor =
        r#"<operations><op id="o" name="monitor" interval="10s" timeout="20s"/></operations>"#;
    // It runs as configured, and would be left alone.
    let watched = format!(
        r#"<lrm_resource id="a" {DUMMY}><lrm_rsc_op id="a_monitor_10000" operation_key="a_monitor_10000" operation="monitor" crm_feature_set="3.16.1" transition-key="6:1:0:{UUID}" transition-magic="0:0;6:1:0:{UUID}" call-id="11" rc-code="0" op-status="0" interval="10000" last-rc-change="1789997100" op-digest="4811cef7f7f94e3a35a70be7916cb2fd"/></lrm_resource>"#
    );
    let small = Small {
        options: &[],
        status: &[
            ("node1", watched),
            ("node2", history("a", DUMMY, "start", 0, &digest())),
        ],
        ..active_on_two(&["node1", "node2"], monitor)
    };
    // To be fenced, and nothing to fence with: nobody is stopped.
    let text = small.graph("");
    assert!(
        text.contains(r#"operation_key="a_monitor_10000""#),
        "{text}"
    );
    assert!(
        !text.contains(r#"operation_key="a_stop_0" on_node"#),
        "{text}"
    );
}

#[test]
fn an_earlier_rule_holds_for_failures_on_record() {
    let resources = format!(
        r#"<primitive id="a" {DUMMY}><operations><op id="o" name="stop" interval="0s" timeout="20s" on-fail="standby"/></operations></primitive><primitive id="dev" class="stonith" type="fence_xvm"/>"#
    );
    let small = Small {
        nodes: &["node1"],
        resources: &resources,
        status: &[("node1", history("a", DUMMY, "stop", 1, ""))],
        ..Small::default()
    };
    let told = r#"CRM_meta_on_fail="standby""#;
    assert!(!small.graph("").contains(told));
    assert!(small.graph("on-fail-as-it-stands").contains(told));
}

#[test]
fn instances_that_stop_follow_the_next_that_stops_or_all() {
    let resources = format!(
        r#"<clone id="c"><meta_attributes id="m"><nvpair id="o" name="ordered" value="true"/></meta_attributes><primitive id="a" {DUMMY}/></clone>"#
    );
    let ban = |node: &str| {
        format!(r#"<rsc_location id="l-{node}" rsc="c" node="{node}" score="-INFINITY"/>"#)
    };
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2", "node3", "node4"],
        resources: &resources,
        constraints: &["node1", "node2", "node4"].map(ban).concat(),
        status: &["node1", "node2", "node3", "node4"]
            .map(|n| (n, history("a", DUMMY, "start", 0, &digest()))),
        ..Small::default()
    };
    let waits = |text: &str, of: &str| {
        let step = text.split("<synapse").find(|s| {
            s.split("<inputs")
                .next()
                .is_some_and(|action| action.contains(of))
        });
        step.map_or(0, |s| s.matches(r#"operation_key="a_stop_0""#).count() - 1)
    };
    let first = r#"internal_operation_key="a:0_stop_0""#;
    assert_eq!(waits(&small.graph(""), first), 2);
    assert_eq!(waits(&small.graph("next-instance"), first), 1);
}

#[test]
fn a_history_on_a_node_that_counts_for_nothing_gives_no_instance_its_name() {
    let resources = format!(r#"<clone id="c"><primitive id="a" {DUMMY}/></clone>"#);
    let names = |offline: &[&str]| {
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1", "node2"],
            resources: &resources,
            offline,
            status: &[("node2", history("a", DUMMY, "monitor", 5, ""))],
            ..Small::default()
        };
        scheduler::run(&small.cib(), NOW_S, false)
            .graph
            .known_instances
    };
    assert!(names(&[]).contains("a"));
    assert!(names(&["node2"]).is_empty());
}

#[test]
fn what_a_clone_has_to_do_follows_from_its_instances_to_the_end() {
    let small = Small {
        options: &[("have-watchdog", "true")],
        nodes: &["node1", "node2"],
        resources: &format!(
            r#"<clone id="c"><group id="g"><primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}/></group></clone>"#
        ),
        status: &[
            ("node1", history("a", DUMMY, "start", 0, "")),
            ("node2", history("b", DUMMY, "start", 0, "")),
        ],
        ..Small::default()
    };
    let text = small.graph("group-gaps");
    assert!(
        text.contains(r#"operation="stopped" operation_key="c_stopped_0""#),
        "{text}"
    );
}

#[test]
fn a_node_that_is_off_is_worth_nothing_to_what_is_told_of_it_later() {
    let score = |symmetric: &str| {
        let small = Small {
            options: &[("symmetric-cluster", symmetric), ("have-watchdog", "true")],
            nodes: &["node1"],
            resources: &format!(r#"<primitive id="a" {DUMMY}/>"#),
            node_attributes: r#"<instance_attributes id="n"><nvpair id="m" name="maintenance" value="true"/></instance_attributes>"#,
            offline: &["node1"],
            status: &[("node1", history("a", DUMMY, "start", 0, &digest()))],
            ..Small::default()
        };
        small.scores("a", &[])
    };
    // In an opt-in cluster nobody was told that it may be there until it was found there.
    assert_eq!(score("false"), ["-INFINITY"]);
    assert_eq!(score("true"), ["INFINITY"]);
}

#[test]
fn what_is_blocked_names_the_instance_that_cannot_start() {
    let clone = |id: &str, inside: &str| {
        format!(
            r#"<clone id="{id}"><meta_attributes id="m-{id}"><nvpair id="p-{id}" name="promotable" value="true"/></meta_attributes><primitive id="{inside}" {STATEFUL}/></clone>"#
        )
    };
    let attributes = |node: &'static str, text: &str| (node, text.to_owned());
    let a = history("a", STATEFUL, "promote", 0, &digest());
    let b = history("b", STATEFUL, "start", 0, &digest());
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node4"],
        resources: &(clone("ca", "a") + &clone("cb", "b")),
        constraints: r#"<rsc_colocation id="k" rsc="ca" with-rsc="cb" score="INFINITY"/><rsc_colocation id="l" rsc="cb" with-rsc="ca" score="INFINITY" with-rsc-role="Promoted"/>"#,
        status: &[attributes("node1", &(a + &b)), attributes("node4", &b)],
        ..Small::default()
    };
    let planned = small.planned();
    let because = planned
        .iter()
        .find_map(|l| l.split_once("colocation with "));
    assert!(
        because.is_some_and(|(_, of)| of.starts_with("a:") || of.starts_with("b:")),
        "{planned:?}"
    );
}

#[test]
fn nothing_is_asked_of_a_node_that_is_unclean() {
    let cancels = |rc: u8| {
        let monitor = history("a", DUMMY, "monitor", 0, &digest())
            .replace("a_monitor_0", "a_monitor_10000")
            .replace(r#"interval="0""#, r#"interval="10000""#)
            .replace("5:1:7", "5:1:0");
        let small = Small {
            options: &[("have-watchdog", "true")],
            nodes: &["node1"],
            resources: &format!(
                r#"<primitive id="a" {DUMMY}><operations><op id="m" name="monitor" interval="10s"/></operations></primitive>"#
            ),
            node_attributes: r#"<instance_attributes id="n"><nvpair id="i" name="maintenance" value="true"/></instance_attributes>"#,
            status: &[(
                "node1",
                monitor + &history("old", DUMMY, "stop", rc, &digest()),
            )],
            ..Small::default()
        };
        small.graph("").contains(r#"operation="cancel""#)
    };
    assert!(cancels(0));
    assert!(!cancels(1), "a failed stop leaves the node unclean");
}

#[test]
fn what_needs_nothing_restarts_without_a_reason() {
    let planned = |requires: &str| {
        let resources = format!(
            r#"<primitive id="rsc1" {DUMMY}><meta_attributes id="m"><nvpair id="r" name="requires" value="{requires}"/></meta_attributes></primitive>"#
        );
        Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &resources,
            status: &[("node1", history("rsc1", DUMMY, "start", 0, ""))],
            ..Small::default()
        }
        .planned()
    };
    assert_eq!(planned("nothing"), ["Restart rsc1 ( node1 )"]);
    assert_eq!(
        planned("quorum"),
        ["Restart rsc1 ( node1 ) due to resource definition change"]
    );
}

#[test]
fn what_cannot_start_is_not_promoted_either() {
    let resources = format!(
        r#"<clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes><primitive id="rsc1" {STATEFUL}/></clone>"#
    );
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &resources,
        status: &[(
            "node1",
            r#"<nvpair id="s" name="master-rsc1" value="10"/>|"#.to_owned(),
        )],
        ..Small::default()
    };
    let mut cib = small.cib();
    cib.set_attr("have-quorum", "0");
    let lines = scheduler::run(&cib, NOW_S, false).transition_summary;
    let line = lines.first().map_or("", String::as_str);
    // Why it does not start is not why it is not promoted.
    assert!(line.starts_with("Promote "), "{lines:?}");
    assert!(line.ends_with(") blocked"), "{lines:?}");
}

#[test]
fn a_group_chooses_by_the_wishes_of_its_last_member() {
    let resources = format!(
        r#"<group id="g"><primitive id="a" {DUMMY}/><primitive id="z" {DUMMY}/></group><primitive id="b" {DUMMY}/>"#
    );
    let small = Small {
        options: &[
            ("stonith-enabled", "false"),
            ("placement-strategy", "utilization"),
        ],
        nodes: &["node1", "node2"],
        resources: &resources,
        constraints: r#"<rsc_location id="k" rsc="a" node="node1" score="-INFINITY"/><rsc_location id="l" rsc="g" node="node2" score="-INFINITY"/>"#,
        status: &[(
            "node1",
            history("a", DUMMY, "start", 0, &digest()) + &history("b", DUMMY, "start", 0, ""),
        )],
        ..Small::default()
    };
    // Where the group itself may be does not count: it comes first, as it was configured.
    assert_eq!(
        small.planned(),
        [
            "Stop a ( node1 ) due to node availability",
            "Restart b ( node1 ) due to resource definition change"
        ]
    );
}

#[test]
fn what_migrates_waits_for_the_probe_of_what_has_to_stop_before() {
    let resources = format!(
        r#"<group id="g"><primitive id="a" {DUMMY}><meta_attributes id="m"><nvpair id="y" name="allow-migrate" value="true"/></meta_attributes></primitive><primitive id="b" {DUMMY}/></group>"#
    );
    let running = |id: &str| history(id, DUMMY, "start", 0, &digest());
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2"],
        resources: &resources,
        constraints: r#"<rsc_location id="l" rsc="g" node="node1" score="INFINITY"/>"#,
        status: &[("node2", running("a") + &running("b"))],
        ..Small::default()
    };
    let text = small.graph("");
    let migrate = text.split("<synapse").find(|s| {
        let action = s.split("<inputs").next().unwrap_or_default();
        action.contains(r#"operation_key="a_migrate_to_0""#)
    });
    let inputs = migrate
        .and_then(|s| s.split("<inputs").nth(1))
        .unwrap_or_default();
    assert!(
        inputs.contains(r#"operation_key="b_monitor_0" on_node="node1""#),
        "{text}"
    );
}

#[test]
fn stops_are_told_first_of_those_that_fencing_implies() {
    let resources = format!(
        r#"<primitive id="dev" class="stonith" type="fence_xvm"/><clone id="c"><meta_attributes id="m"><nvpair id="n" name="notify" value="true"/></meta_attributes><primitive id="a" {DUMMY}/></clone>"#
    );
    let small = Small {
        nodes: &["node1", "node2"],
        resources: &resources,
        constraints: r#"<rsc_location id="l" rsc="c" node="node1" score="-INFINITY"/>"#,
        status: &[
            ("node1", history("a", DUMMY, "start", 0, &digest())),
            ("node2", history("a", DUMMY, "stop", 1, &digest())),
        ],
        ..Small::default()
    };
    let text = small.graph("");
    let stop = text.split("<synapse").find_map(|s| {
        let action = s.split("<inputs").next()?;
        let stops = action.contains(r#"operation_key="a_stop_0""#);
        let real = stops && action.contains("<rsc_op");
        real.then_some(action)
    });
    let stop = stop.unwrap_or_default();
    assert!(stop.contains(r#"notify_stop_uname="node2""#), "{text}");
    assert!(
        stop.contains(r#"notify_active_uname="node1 node2""#),
        "{text}"
    );
}

#[test]
fn who_may_be_asked_alone_is_so_whatever_the_role() {
    let scores = |constraint: &str| {
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1", "node2"],
            resources: &format!(r#"<primitive id="a" {STATEFUL}/>"#),
            constraints: constraint,
            ..Small::default()
        };
        small.scores("a", &[])
    };
    let of_role = |role: &str| {
        format!(
            r#"<rsc_location id="l" rsc="a" node="node1" score="5"{role} resource-discovery="exclusive"/>"#
        )
    };
    assert_eq!(scores(&of_role("")), ["5", "-INFINITY"]);
    // The node is named for another role, or none is named at all: nowhere may it be then.
    let nowhere = ["-INFINITY", "-INFINITY"];
    assert_eq!(scores(&of_role(r#" role="Promoted""#)), nowhere);
    let no_node = r##"<rsc_location id="l" rsc="a" resource-discovery="exclusive"><rule id="r" score="5"><expression id="e" attribute="#uname" operation="eq" value="nobody"/></rule></rsc_location>"##;
    assert_eq!(scores(no_node), nowhere);
}

#[test]
fn a_ticket_whose_loss_stops_stops_in_any_role() {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &promotable("", ""),
        constraints: r#"<rsc_ticket id="t" rsc="c" rsc-role="Promoted" ticket="t1" loss-policy="stop"/>"#,
        status: &[("node1", history("rsc1", STATEFUL, "start", 0, &digest()))],
        ..Small::default()
    };
    assert_eq!(
        small.planned(),
        ["Stop rsc1:0 ( Unpromoted node1 ) due to node availability"]
    );
}

#[test]
fn a_fence_device_that_was_removed_is_one() {
    let small = Small {
        nodes: &["node1"],
        resources: &format!(r#"<primitive id="a" {DUMMY}/>"#),
        status: &[(
            "node1",
            history(
                "fencing",
                r#"class="stonith" type="fence_xvm""#,
                "start",
                0,
                &digest(),
            ),
        )],
        ..Small::default()
    };
    assert!(
        small.planned().iter().any(|l| l == "Start a ( node1 )"),
        "{:?}",
        small.planned()
    );
}

#[test]
fn a_demotion_fails_as_what_watches_the_promoted_resource() {
    let planned = |on_fail: &str| {
        let monitor = format!(
            r#"<operations><op id="w" name="monitor" interval="10s" role="Promoted" on-fail="{on_fail}"/></operations>"#
        );
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &promotable("", &monitor),
            status: &[("node1", history("rsc1", STATEFUL, "demote", 1, &digest()))],
            ..Small::default()
        };
        small.planned()
    };
    assert!(planned("ignore").is_empty());
    assert_eq!(planned("restart"), ["Recover rsc1:0 ( Unpromoted node1 )"]);
}

#[test]
fn of_instances_without_a_place_none_comes_first() {
    let clone = |id: &str, more: &str| {
        format!(r#"<clone id="c{id}">{more}<primitive id="{id}" {STATEFUL}/></clone>"#)
    };
    let promotable = r#"<meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes>"#;
    let at = |node: &'static str| (node, history("a", STATEFUL, "start", 0, &digest()));
    let small = Small {
        options: &[
            ("stonith-enabled", "false"),
            ("symmetric-cluster", "false"),
            ("enable-startup-probes", "false"),
        ],
        nodes: &["node1", "node2"],
        resources: &(clone("b", "") + &clone("a", promotable)),
        constraints: r#"<rsc_location id="l" rsc="ca" node="node2" score="50"/><rsc_colocation id="k" rsc="ca" with-rsc="cb" score="INFINITY"/>"#,
        status: &[at("node1"), at("node2")],
        ..Small::default()
    };
    // The one that might have stayed was seen to first, and is still the first when both have no place.
    let order: Vec<String> = small
        .planned()
        .iter()
        .filter_map(|l| l.split_whitespace().nth(1).map(str::to_owned))
        .collect();
    assert_eq!(order, ["a:1", "a:0"]);
}

#[test]
fn what_requires_nothing_starts_for_no_reason() {
    let planned = |policy: &str| {
        Small {
            options: &[("stonith-enabled", "false"), ("no-quorum-policy", policy)],
            nodes: &["node1"],
            resources: &format!(r#"<primitive id="rsc1" {DUMMY}/>"#),
            status: &[("node1", history("rsc1", DUMMY, "start", 0, ""))],
            ..Small::default()
        }
        .planned()
    };
    let reason = "Restart rsc1 ( node1 ) due to resource definition change";
    assert_eq!(planned("stop"), [reason]);
    assert_eq!(planned("ignore"), ["Restart rsc1 ( node1 )"]);
}
