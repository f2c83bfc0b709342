//! Each kind of resource in a cluster of three real nodes: it fails over when its node crashes and when its
//! node goes to standby. Order and place are read from what the audited agents wrote outside the nodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::collections::BTreeMap;
use tests::{
    cluster::{Cluster, NODES, eventually},
    executable,
};

/// Takes the node away for good or for a while, and waits until `moved`.
fn lose(
    cluster: &Cluster,
    how: Loss,
    node: &str,
    moved: impl Fn(&BTreeMap<String, String>) -> bool,
) {
    match how {
        Loss::Crash => {
            assert_eq!(cluster.lab.lab("kill", &[node]).code, Some(0));
        }
        Loss::Standby => {
            let other = NODES.iter().find(|n| **n != node).unwrap();
            cluster.on(other, &format!("crm_attribute -N {node} -n standby -v on"));
        }
    }
    eventually(&format!("moved after {how:?} of {node}"), || {
        moved(&cluster.places())
    });
    if how == Loss::Crash {
        eventually(&format!("{node} is a member again"), || {
            let other = NODES.iter().find(|n| **n != node).unwrap();
            let shown = cluster.on(other, "crm_mon -1");
            shown.contains("Online: [ alpha beta gamma ]")
        });
    }
    cluster.on(
        NODES.iter().find(|n| **n != node).unwrap(),
        "crm_resource --wait",
    );
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Crash,
    Standby,
}

fn audited(id: &str, more: &str) -> String {
    format!(
        r#"<primitive id="{id}" class="ocf" provider="systole" type="Audited">{more}<operations><op id="{id}-monitor" name="monitor" interval="1s" timeout="10s"/></operations></primitive>"#
    )
}

fn per_node(id: &str) -> String {
    format!(
        r#"<instance_attributes id="{id}-params"><nvpair id="{id}-per-node" name="per_node" value="true"/></instance_attributes>"#
    )
}

/// The order of these things among everything that happened; each must have happened once.
fn positions(events: &[(String, String, String)], wanted: &[(&str, &str)]) -> Vec<usize> {
    let found = wanted.iter().map(|(event, resource)| {
        let mut at = events
            .iter()
            .enumerate()
            .filter(|(_, (e, r, _))| e == event && r == resource);
        let (Some((position, _)), None) = (at.next(), at.next()) else {
            panic!("{event} of {resource} not exactly once in {events:?}");
        };
        position
    });
    found.collect()
}

fn in_order(events: &[(String, String, String)], wanted: &[(&str, &str)]) {
    let positions = positions(events, wanted);
    assert!(positions.is_sorted(), "{wanted:?} in {events:?}");
}

/// Two services that start one after the other at one place, whatever keeps them so.
fn first_and_second(cluster: &Cluster) {
    in_order(
        &cluster.events(0),
        &[("start", "first"), ("start", "second")],
    );
    for how in [Loss::Crash, Loss::Standby] {
        let home = cluster.place("first");
        assert_eq!(cluster.place("second"), home);
        let before = cluster.events(0).len();
        lose(cluster, how, &home, |places| {
            let first = places.get("first");
            first.is_some_and(|n| *n != home) && places.get("second") == first
        });
        let events = cluster.events(before);
        in_order(&events, &[("start", "first"), ("start", "second")]);
        if how == Loss::Standby {
            in_order(
                &events,
                &[
                    ("stop", "second"),
                    ("stop", "first"),
                    ("start", "first"),
                    ("start", "second"),
                ],
            );
        }
    }
}

#[test]
fn a_group_moves_as_one_and_in_order() {
    let Some(program) = executable("a group") else {
        return;
    };
    let members = audited("first", "") + &audited("second", "");
    let group = format!(r#"<group id="both">{members}</group>"#);
    first_and_second(&Cluster::with(&program, &[], &group, ""));
}

#[test]
fn a_colocated_and_ordered_pair_moves_together() {
    let Some(program) = executable("a pair") else {
        return;
    };
    let pair = audited("second", "") + &audited("first", "");
    let constraints = r#"<rsc_colocation id="together" rsc="second" with-rsc="first" score="INFINITY"/><rsc_order id="in-order" first="first" then="second"/>"#;
    first_and_second(&Cluster::with(&program, &[], &pair, constraints));
}

#[test]
fn a_clone_loses_one_instance_and_the_others_run_on() {
    let Some(program) = executable("a clone") else {
        return;
    };
    let clone = format!(
        r#"<clone id="everywhere">{}</clone>"#,
        audited("each", &per_node("each"))
    );
    let cluster = Cluster::with(&program, &[], &clone, "");
    let everywhere = |places: &BTreeMap<String, String>, but: &str| {
        let on = |n: &&&str| places.contains_key(&format!("each@{n}"));
        let count = NODES.iter().filter(on).count();
        count == 3 - usize::from(!but.is_empty()) && !places.contains_key(&format!("each@{but}"))
    };
    assert!(everywhere(&cluster.places(), ""), "{:?}", cluster.places());
    let before = cluster.events(0).len();
    lose(&cluster, Loss::Crash, "beta", |places| {
        everywhere(places, "") && cluster.events(before).len() == 1
    });
    let back = ("start".into(), "each@beta".into(), "beta".into());
    assert_eq!(cluster.events(before), [back], "nothing but its return");
    let before = cluster.events(0).len();
    lose(&cluster, Loss::Standby, "gamma", |places| {
        everywhere(places, "gamma")
    });
    let stopped = ("stop".into(), "each@gamma".into(), "gamma".into());
    assert_eq!(cluster.events(before), [stopped]);
}

#[test]
fn a_promoted_instance_is_one_and_another_follows_it() {
    let Some(program) = executable("a promotable clone") else {
        return;
    };
    let meta = r#"<meta_attributes id="roles-meta"><nvpair id="roles-promotable" name="promotable" value="true"/><nvpair id="roles-notify" name="notify" value="true"/></meta_attributes>"#;
    let operations = r#"<operations><op id="role-monitor" name="monitor" interval="2s" timeout="10s" role="Unpromoted"/><op id="role-monitor-promoted" name="monitor" interval="1s" timeout="10s" role="Promoted"/></operations>"#;
    let primitive = format!(
        r#"<primitive id="role" class="ocf" provider="systole" type="Audited">{}{operations}</primitive>"#,
        per_node("role")
    );
    let cluster = Cluster::with(
        &program,
        &[],
        &format!(r#"<clone id="roles">{meta}{primitive}</clone>"#),
        "",
    );
    for how in [Loss::Crash, Loss::Standby] {
        eventually("one is promoted", || {
            cluster.places().contains_key("role-promoted")
        });
        let home = cluster.place("role-promoted");
        let before = cluster.events(0).len();
        lose(&cluster, how, &home, |places| {
            places.get("role-promoted").is_some_and(|n| *n != home)
        });
        let events = cluster.events(before);
        positions(&events, &[("start", "role-promoted")]);
        if how == Loss::Standby {
            let instance = format!("role@{home}");
            in_order(&events, &[("stop", "role-promoted"), ("stop", &instance)]);
            in_order(
                &events,
                &[("stop", "role-promoted"), ("start", "role-promoted")],
            );
        }
    }
}

#[test]
fn a_migratable_resource_is_migrated_and_started_after_a_crash() {
    let Some(program) = executable("a migratable resource") else {
        return;
    };
    let meta = r#"<meta_attributes id="guest-meta"><nvpair id="guest-migrate" name="allow-migrate" value="true"/></meta_attributes>"#;
    let cluster = Cluster::with(&program, &[], &audited("guest", meta), "");
    for how in [Loss::Crash, Loss::Standby] {
        let home = cluster.place("guest");
        lose(&cluster, how, &home, |places| {
            places.get("guest").is_some_and(|n| *n != home)
        });
        let now = cluster.place("guest");
        let history = cluster.on(&now, "cibadmin --query --scope status");
        let migrated = r#"operation_key="guest_migrate_from_0" operation="migrate_from""#;
        assert_eq!(
            history.contains(migrated),
            how == Loss::Standby,
            "{how:?}: {history}"
        );
    }
}
