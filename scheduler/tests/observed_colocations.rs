//! Colocations in small clusters, whose outcome was observed from Pacemaker's `crm_simulate` (2.1.5), one for each
//! rule that the differential over random configurations taught; with the rules that were others in 2.1.5.

mod small;

use small::{DUMMY, STATEFUL, Small, digest, history, in_both};

#[test]
fn a_place_is_left_to_whom_has_no_other() {
    let resources = format!(r#"<primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}/>"#);
    let constraints = r#"<rsc_location id="l" rsc="a" node="node2" score="-INFINITY"/><rsc_colocation id="c" rsc="a" with-rsc="b" score="-20"/>"#;
    let (now, before) = in_both(&resources, constraints, "b", &["unyielding"]);
    assert_eq!(now, ["0", "20"]);
    assert_eq!(before, ["0", "0"]);
}

#[test]
fn what_a_clone_would_like_counts_for_its_instances() {
    let resources =
        format!(r#"<primitive id="b" {DUMMY}/><clone id="ca"><primitive id="a" {DUMMY}/></clone>"#);
    let constraint =
        |score: &str| format!(r#"<rsc_colocation id="c" rsc="ca" with-rsc="b" score="{score}"/>"#);
    let both = |score| in_both(&resources, &constraint(score), "a:0", &["instances-alone"]);
    let (now, before) = both("100");
    assert_eq!((now[0].as_str(), before[0].as_str()), ("100", "0"));
    // What is to be apart counted for them before too.
    let (now, before) = both("-100");
    assert_eq!(now[0], "-100");
    assert_eq!(now, before);
}

#[test]
fn what_is_apart_in_one_role_may_be_together_in_another() {
    let resources = format!(r#"<primitive id="b" {DUMMY}/><primitive id="a" {DUMMY}/>"#);
    let constraint = |score: &str| {
        format!(
            r#"<rsc_colocation id="c" rsc="a" with-rsc="b" with-rsc-role="Promoted" score="{score}"/>"#
        )
    };
    let both = |score| in_both(&resources, &constraint(score), "a", &["apart-in-any-role"]);
    let (now, before) = both("-20");
    assert_eq!((now[0].as_str(), before[0].as_str()), ("0", "-20"));
    let (now, before) = both("20");
    assert_eq!(now, ["0", "0"]);
    assert_eq!(now, before);
}

/// Primitives of these names.
fn primitives(ids: &str) -> String {
    let one = |id| format!(r#"<primitive id="{id}" {DUMMY}/>"#);
    ids.chars().map(one).collect()
}

/// Who is with whom, and how much.
fn with(pairs: &[(&str, &str, &str)]) -> String {
    let one = |(at, (rsc, with, score)): (usize, &(&str, &str, &str))| {
        format!(r#"<rsc_colocation id="c{at}" rsc="{rsc}" with-rsc="{with}" score="{score}"/>"#)
    };
    pairs.iter().enumerate().map(one).collect()
}

/// What a resource thinks of the second node.
fn on_node2(rsc: &str, score: &str) -> String {
    format!(r#"<rsc_location id="l-{rsc}" rsc="{rsc}" node="node2" score="{score}"/>"#)
}

#[test]
fn each_link_of_a_chain_weighs_a_wish() {
    let chain = |score: &str| with(&[("b", "a", "500"), ("c", "b", "500")]) + &on_node2("c", score);
    let both = |score| in_both(&primitives("abc"), &chain(score), "a", &["last-link"]);
    assert_eq!(both("100000").0[1], "1");
    assert_eq!(both("100000").1[1], "50");
    assert_eq!(both("-100000").1[1], "-50");
}

#[test]
fn a_listed_set_is_a_chain_the_other_way_round() {
    let members = ["a", "b", "c"].map(|id| format!(r#"<resource_ref id="{id}"/>"#));
    let nowhere = ["node1", "node2"].map(|node| {
        format!(r#"<rsc_location id="l-{node}" rsc="a" node="{node}" score="-INFINITY"/>"#)
    });
    let scores = |ordering: &str| {
        let constraints = format!(
            r#"<rsc_colocation id="s" score="INFINITY"><resource_set id="s0" {ordering}>{}</resource_set></rsc_colocation>{}"#,
            members.concat(),
            nowhere.concat()
        );
        in_both(&primitives("abc"), &constraints, "c", &[]).0
    };
    // The others go where the first is, and it is nowhere.
    assert_eq!(scores(""), ["-INFINITY", "-INFINITY"]);
    assert_eq!(scores(r#"ordering="group""#), scores(""));
    assert_eq!(scores(r#"ordering="listed""#), ["0", "0"]);
}

#[test]
fn primaries_are_placed_in_the_order_of_their_names() {
    let pairs = with(&[("d", "b", "100"), ("d", "a", "100")]);
    let constraints = pairs + &on_node2("a", "50");
    // Placed first, `a` draws the dependent, and with it `b`.
    let (b, _) = in_both(&primitives("dba"), &constraints, "b", &[]);
    assert_eq!(b, ["0", "1"]);
}

#[test]
fn what_may_be_promoted_where_is_no_wish_of_the_clone() {
    let resources = format!(
        r#"<primitive id="a" {DUMMY}/><clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes><primitive id="s" {STATEFUL}/></clone>"#
    );
    let constraints = r##"<rsc_location id="l" rsc="c"><rule id="r" role="Promoted" score="-INFINITY"><expression id="e" attribute="\#uname" operation="eq" value="node1"/></rule></rsc_location><rsc_colocation id="k" rsc="c" rsc-role="Promoted" with-rsc="a" score="INFINITY"/>"##;
    let (a, _) = in_both(&resources, constraints, "a", &[]);
    assert_eq!(a, ["0", "0"]);
}

#[test]
fn wishes_that_come_through_a_group_count_once() {
    let resources = format!(
        r#"<group id="g"><primitive id="a" {DUMMY}/><primitive id="b" {DUMMY}/></group>{}"#,
        primitives("xy")
    );
    let constraints = with(&[("g", "x", "INFINITY"), ("y", "g", "INFINITY")]) + &on_node2("y", "9");
    let (now, before) = in_both(&resources, &constraints, "x", &["groups-twice"]);
    assert_eq!((now[1].as_str(), before[1].as_str()), ("9", "18"));
    // 2.1.5 knew of them only once somebody had begun to place the group.
    let group = format!(r#"<group id="g"><primitive id="a" {DUMMY}/></group>"#);
    let resources = primitives("x") + &group + &primitives("y");
    let (now, before) = in_both(&resources, &constraints, "x", &["groups-twice"]);
    assert_eq!((now[1].as_str(), before[1].as_str()), ("9", "0"));
}

#[test]
fn an_instance_is_tried_again_where_it_is_as_if_nothing_had_been_tried() {
    let clone = |id: &str, inside: &str| {
        format!(
            r#"<clone id="{id}"><meta_attributes id="m-{id}"><nvpair id="i-{id}" name="interleave" value="true"/></meta_attributes><primitive id="{inside}" {DUMMY}/></clone>"#
        )
    };
    let resources = clone("ca", "a") + &clone("cb", "b");
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2"],
        resources: &resources,
        constraints: r#"<rsc_colocation id="c" rsc="ca" with-rsc="cb" score="-20"/>"#,
        status: &[("node1", history("a", DUMMY, "start", 0, ""))],
        ..Small::default()
    };
    // Twice, since it was tried twice: now it stays, then it moved.
    assert_eq!(small.scores("a:0", &[]), ["-19", "0", "1", "-INFINITY"]);
    assert_eq!(small.scores("a:0", &["one-try"]), ["-19", "0", "-19", "0"]);
}

#[test]
fn of_two_between_the_same_the_newest_comes_first_and_for_members_of_a_group_the_oldest() {
    let scores = |resources: &str, rsc: &str, of: &str| {
        let small = Small {
            options: &[("stonith-enabled", "false")],
            nodes: &["node1"],
            resources: &format!("{resources}{}", primitives("x")),
            constraints: &with(&[(of, "x", "20"), (of, "x", "-20")]),
            ..Small::default()
        };
        small.scores(rsc, &[])
    };
    // What would leave no node at all is taken back; after the other one it leaves a node.
    assert_eq!(scores(&primitives("a"), "a", "a"), ["20"]);
    let group = format!(r#"<group id="g">{}</group>"#, primitives("a"));
    assert_eq!(scores(&group, "a", "g"), ["0"]);
}

#[test]
fn what_is_to_be_promoted_beside_something_is_not_without_it() {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}/><clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes><primitive id="s" {STATEFUL}/></clone>"#
        ),
        constraints: r#"<rsc_location id="l" rsc="a" node="node1" score="-INFINITY"/><rsc_colocation id="k" rsc="c" rsc-role="Promoted" with-rsc="a" score="INFINITY"/>"#,
        ..Small::default()
    };
    let promotion = |earlier: &[&str]| {
        let shown = small.all_scores(earlier);
        shown
            .into_iter()
            .find(|l| l.starts_with("s:0 promotion score"))
    };
    let score = |of: &str| Some(format!("s:0 promotion score on node1: {of}"));
    assert_eq!(promotion(&[]), score("-INFINITY"));
    assert_eq!(promotion(&["promoted-without"]), score("-1"));
}

#[test]
fn what_nobody_placed_brings_no_score_to_what_goes_with_it() {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}/><clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/><nvpair id="u" name="is-managed" value="false"/></meta_attributes><primitive id="s" {STATEFUL}/></clone>"#
        ),
        constraints: r#"<rsc_colocation id="k" rsc="a" with-rsc="c" with-rsc-role="Promoted" score="INFINITY"/>"#,
        status: &[("node1", history("s", STATEFUL, "promote", 0, &digest()))],
        ..Small::default()
    };
    assert_eq!(small.scores("s:0", &[]), ["INFINITY"]);
    assert_eq!(small.scores("a", &[]), ["0"]);
}

#[test]
fn what_promoted_groups_are_to_be_with_counts_for_which_are_promoted() {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}/><clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes><group id="g"><primitive id="s" {STATEFUL}/></group></clone>"#
        ),
        constraints: r#"<rsc_colocation id="k" rsc="c" rsc-role="Promoted" with-rsc="a" score="-100"/>"#,
        ..Small::default()
    };
    let promotion = |earlier: &[&str]| {
        let shown = small.all_scores(earlier);
        shown
            .into_iter()
            .find(|l| l.starts_with("g:0 promotion score"))
    };
    let score = |of: &str| Some(format!("g:0 promotion score on node1: {of}"));
    assert_eq!(promotion(&[]), score("-101"));
    assert_eq!(promotion(&["groups-unranked"]), score("-1"));
}

fn needing(id: &str, cpu: u8) -> String {
    format!(
        r#"<primitive id="{id}" {DUMMY}><utilization id="u-{id}"><nvpair id="v-{id}" name="cpu" value="{cpu}"/></utilization></primitive>"#
    )
}

#[test]
fn where_a_resource_goes_there_is_room_for_an_instance_of_each_clone_that_must_be_with_it() {
    let group = format!(
        r#"<group id="g">{}{}</group>"#,
        needing("d", 1),
        needing("e", 2)
    );
    let clone = |id: &str, inside: &str| format!(r#"<clone id="{id}">{inside}</clone>"#);
    let clones = clone("c1", &needing("b", 1)) + &clone("c2", &group);
    let place = |cpu: u8| {
        let small = Small {
            options: &[
                ("stonith-enabled", "false"),
                ("placement-strategy", "minimal"),
            ],
            nodes: &["node1", "node2"],
            node_attributes: &format!(
                r#"<utilization id="n"><nvpair id="o" name="cpu" value="{cpu}"/></utilization>"#
            ),
            resources: &(needing("x", 1) + &needing("a", 1) + &clones),
            constraints: &(with(&[("c1", "a", "INFINITY"), ("c2", "c1", "INFINITY")])
                + r#"<rsc_location id="l" rsc="x" node="node1" score="INFINITY"/>"#),
            ..Small::default()
        };
        let planned = small.planned();
        planned.into_iter().find(|l| l.starts_with("Start a "))
    };
    // Five are needed, and one of node1 is taken.
    assert_eq!(place(5).as_deref(), Some("Start a ( node2 )"));
    assert_eq!(place(6).as_deref(), Some("Start a ( node1 )"));
}

#[test]
fn what_of_a_group_counts_for_the_order_is_what_its_last_member_thinks() {
    let ban = |rsc: &str, node: &str| {
        format!(r#"<rsc_location id="l-{rsc}" rsc="{rsc}" node="{node}" score="-INFINITY"/>"#)
    };
    let small = Small {
        options: &[
            ("stonith-enabled", "false"),
            ("placement-strategy", "utilization"),
        ],
        nodes: &["node1", "node2"],
        resources: &(needing("a", 1)
            + &format!(
                r#"<group id="g">{}{}</group>"#,
                needing("b", 1),
                needing("d", 1)
            )),
        constraints: &(ban("a", "node2") + &ban("b", "node1") + &ban("g", "node2")),
        ..Small::default()
    };
    let scores = small.all_scores(&[]);
    assert!(
        scores
            .first()
            .is_some_and(|l| l.starts_with("pcmk__group_assign: g ")),
        "{scores:?}"
    );
}

#[test]
fn only_what_is_apart_in_a_role_minds_it() {
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2"],
        resources: &format!(r#"<primitive id="r" {STATEFUL}/><primitive id="q" {DUMMY}/>"#),
        constraints: r#"<rsc_colocation id="k" rsc="q" with-rsc="r" with-rsc-role="Unpromoted" score="-20"/>"#,
        // It failed to be promoted, so it will be unpromoted.
        status: &[("node1", history("r", STATEFUL, "promote", 1, &digest()))],
        ..Small::default()
    };
    assert_eq!(small.scores("q", &[]), ["-20", "0"]);
    assert_eq!(small.scores("q", &["apart-in-any-role"]), ["0", "0"]);
}

#[test]
fn where_a_promoted_instance_is_that_something_was_never_to_be_near_no_score_is_told() {
    let small = Small {
        options: &[("stonith-enabled", "false"), ("symmetric-cluster", "false")],
        nodes: &["node1", "node2"],
        resources: &format!(
            r#"<primitive id="a" {DUMMY}/><clone id="c"><meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes><primitive id="s" {STATEFUL}/></clone>"#
        ),
        constraints: r#"<rsc_location id="l" rsc="a" node="node2" score="5"/><rsc_location id="n" rsc="c" node="node1" score="5"/><rsc_colocation id="k" rsc="a" with-rsc="c" with-rsc-role="Promoted" score="INFINITY"/>"#,
        status: &[(
            "node1",
            r#"<nvpair id="s" name="master-s" value="10"/>|"#.to_owned(),
        )],
        ..Small::default()
    };
    assert_eq!(small.scores("a", &[]), ["-INFINITY"]);
    let both = ["-INFINITY", "-INFINITY"];
    assert_eq!(small.scores("a", &["told-beside-promoted"]), both);
}

#[test]
fn a_wish_from_further_on_may_not_leave_no_node() {
    let clone = |id: &str, more: &str| {
        format!(r#"<clone id="c{id}">{more}<primitive id="{id}" {STATEFUL}/></clone>"#)
    };
    let promotable = r#"<meta_attributes id="m"><nvpair id="p" name="promotable" value="true"/></meta_attributes>"#;
    let b = history("b", STATEFUL, "start", 0, &digest());
    let score = r#"<nvpair id="s" name="master-a" value="10"/>|"#;
    let small = Small {
        options: &[("stonith-enabled", "false")],
        nodes: &["node1", "node2", "node3"],
        resources: &(primitives("x") + &clone("a", promotable) + &clone("b", "")),
        constraints: &(with(&[("ca", "x", "-INFINITY"), ("cb", "x", "INFINITY")])
            + r#"<rsc_location id="n" rsc="x" node="node3" score="10"/>"#),
        status: &[("node1", format!("{score}{b}")), ("node2", b.clone())],
        ..Small::default()
    };
    // That some instance is to be promoted on node1 does not put the one there last.
    let planned = small.planned();
    assert!(
        planned.iter().any(|l| l == "Move b:0 ( node1 -> node3 )"),
        "{planned:?}"
    );
}
