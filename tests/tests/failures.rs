//! What a failure leads to, as the configuration says; when the cluster keeps its hands off; and what comes from
//! templates, defaults, sets and rules, on a running cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{fs, thread::sleep, time::Duration};
use tests::{
    cluster::{Cluster, NODES, eventually},
    executable,
};

/// Longer than it takes to notice a failure and to act on it: the monitors run every second.
const NOTICED: Duration = Duration::from_secs(3);

fn web(monitor: &str, meta: &str) -> String {
    format!(
        r#"<primitive id="web" class="ocf" provider="systole" type="Audited"><meta_attributes id="web-meta">{meta}</meta_attributes><operations><op id="web-monitor" name="monitor" interval="1s" timeout="10s" {monitor}/></operations></primitive>"#
    )
}

fn meta(name: &str, value: &str) -> String {
    format!(r#"<nvpair id="web-meta-{name}" name="{name}" value="{value}"/>"#)
}

fn pid_file(resource: &str) -> String {
    format!("/run/resource-agents/Audited-{resource}.pid")
}

/// Where the service's process lives.
fn home(cluster: &Cluster, resource: &str) -> Option<String> {
    let lives = format!("kill -0 $(cat {})", pid_file(resource));
    let on = |node: &&&str| cluster.lab.sh(node, &lives).code == Some(0);
    NODES.iter().find(on).map(|n| (*n).to_owned())
}

/// Ends the service behind the cluster's back.
fn crash(cluster: &Cluster, resource: &str) -> String {
    let node = home(cluster, resource).unwrap();
    cluster.on(&node, &format!("kill -9 $(cat {})", pid_file(resource)));
    node
}

fn all_at(cluster: &Cluster, fits: impl Fn(&str) -> bool) -> bool {
    let mut three = ["one", "two", "three"].iter();
    three.all(|r| home(cluster, r).is_some_and(|n| fits(&n)))
}

fn fail_count(cluster: &Cluster, node: &str) -> String {
    let told = cluster.on("alpha", &format!("crm_failcount --query -r web -N {node}"));
    let value = told.split("value=").nth(1).unwrap_or_default();
    value.trim().to_owned()
}

fn fenced(cluster: &Cluster) -> usize {
    let events = fs::read_to_string(cluster.lab.dir().join("events.jsonl")).unwrap();
    events.matches("fence-request").count()
}

fn all_online(cluster: &Cluster, asked: &str) {
    eventually("all are members", || {
        let shown = cluster.lab.sh(asked, "crm_mon -1").text;
        shown.contains("Online: [ alpha beta gamma ]")
    });
}

fn runs_again(cluster: &Cluster) {
    eventually("web runs", || home(cluster, "web").is_some());
    cluster.rest();
}

#[test]
fn nothing_is_touched_while_somebody_works_on_it() {
    let Some(program) = executable("maintenance") else {
        return;
    };
    let cluster = Cluster::with(&program, &[], &web("", ""), "");
    let place = cluster.place("web");
    let attribute = format!("crm_attribute --node {place} --name maintenance");
    let parameter = "crm_resource --resource web --meta";
    for (set, unset) in [
        (
            "crm_attribute --type crm_config --name maintenance-mode --update true".to_owned(),
            "crm_attribute --type crm_config --name maintenance-mode --delete".to_owned(),
        ),
        (
            format!("{attribute} --update on"),
            format!("{attribute} --delete"),
        ),
        (
            format!("{parameter} --set-parameter is-managed --parameter-value false"),
            format!("{parameter} --delete-parameter is-managed"),
        ),
        (
            format!("{parameter} --set-parameter maintenance --parameter-value true"),
            format!("{parameter} --delete-parameter maintenance"),
        ),
    ] {
        cluster.on("beta", &set);
        cluster.rest();
        let before = cluster.events(0).len();
        assert_eq!(crash(&cluster, "web"), place, "{set}");
        sleep(NOTICED);
        assert_eq!(cluster.events(before), [], "{set}");
        assert_eq!(home(&cluster, "web"), None, "{set}");
        cluster.on("beta", &unset);
        runs_again(&cluster);
        assert_eq!(home(&cluster, "web"), Some(place.clone()), "after {unset}");
        cluster.on("beta", "crm_resource --cleanup --resource web");
    }
    assert_eq!(fenced(&cluster), 0);
}

#[test]
fn failures_count_until_they_are_old_or_cleaned_up() {
    let Some(program) = executable("fail counts") else {
        return;
    };
    let limits = meta("migration-threshold", "1") + &meta("failure-timeout", "5s");
    let cluster = Cluster::with(&program, &[], &web("", &limits), "");
    let first = crash(&cluster, "web");
    eventually("web runs elsewhere", || {
        home(&cluster, "web").is_some_and(|n| n != first)
    });
    assert_eq!(fail_count(&cluster, &first), "1");
    let shown = cluster.on("alpha", "crm_mon -1 --failcounts");
    assert!(shown.contains("migration-threshold=1"), "{shown}");
    eventually("the failure is forgotten", || {
        fail_count(&cluster, &first) == "0"
    });
    let timeout = "crm_resource --resource web --meta --delete-parameter failure-timeout";
    cluster.on("alpha", timeout);
    cluster.rest();
    let second = crash(&cluster, "web");
    eventually("web runs elsewhere again", || {
        home(&cluster, "web").is_some_and(|n| n != second)
    });
    sleep(NOTICED * 2);
    assert_eq!(fail_count(&cluster, &second), "1", "it does not get old");
    assert!(
        cluster
            .on("alpha", "crm_mon -1")
            .contains("Failed Resource Actions")
    );
    cluster.on("gamma", "crm_resource --cleanup --resource web");
    cluster.rest();
    assert_eq!(fail_count(&cluster, &second), "0");
    let shown = cluster.on("alpha", "crm_mon -1");
    assert!(!shown.contains("Failed Resource Actions"), "{shown}");
    // Looked at anew without having failed: it is found and runs on.
    let before = cluster.events(0).len();
    cluster.on("gamma", "crm_resource --refresh --resource web");
    cluster.rest();
    assert_eq!(cluster.events(before), []);
}

#[test]
fn each_operation_says_what_its_failure_means() {
    let Some(program) = executable("on-fail") else {
        return;
    };
    let cluster = Cluster::with(&program, &[], "", "");
    for (on_fail, expected) in [
        ("ignore", "nothing"),
        ("block", "nothing"),
        ("stop", "nothing"),
        ("restart", "here"),
        ("standby", "elsewhere"),
        ("fence", "elsewhere"),
    ] {
        cluster.add(&web(&format!(r#"on-fail="{on_fail}""#), ""));
        runs_again(&cluster);
        let (before, shots) = (cluster.events(0).len(), fenced(&cluster));
        let node = crash(&cluster, "web");
        let other = NODES.iter().find(|n| **n != node).unwrap();
        match expected {
            "nothing" => {
                sleep(NOTICED);
                let started = cluster.events(before);
                assert!(
                    started.iter().all(|(e, ..)| e != "start"),
                    "{on_fail}: {started:?}"
                );
            }
            "here" => {
                runs_again(&cluster);
                assert_eq!(home(&cluster, "web"), Some(node));
            }
            _ => eventually(&format!("on-fail={on_fail}: web runs elsewhere"), || {
                home(&cluster, "web").is_some_and(|n| n != node)
            }),
        }
        let shown = cluster.on(other, "crm_mon -1");
        match on_fail {
            "block" => assert!(shown.contains("blocked"), "{shown}"),
            "standby" => assert!(shown.contains("standby (on-fail)"), "{shown}"),
            _ => {}
        }
        assert_eq!(
            fenced(&cluster) - shots,
            usize::from(on_fail == "fence"),
            "{on_fail}"
        );
        all_if_fenced(&cluster, on_fail, other);
        cluster.on(other, "crm_resource --cleanup --resource web");
        runs_again(&cluster);
        cluster.on(
            other,
            "cibadmin --delete --xml-text '<primitive id=\"web\"/>'",
        );
        eventually("web is gone", || home(&cluster, "web").is_none());
        cluster.on(other, "crm_resource --wait");
    }
}

fn all_if_fenced(cluster: &Cluster, on_fail: &str, asked: &str) {
    if on_fail == "fence" {
        all_online(cluster, asked);
        cluster.on(asked, "crm_resource --wait");
    }
}

#[test]
fn templates_defaults_sets_and_rules() {
    let Some(program) = executable("templates and rules") else {
        return;
    };
    let template = r#"<template id="audited" class="ocf" provider="systole" type="Audited"><operations><op id="audited-monitor" name="monitor" interval="1s" timeout="10s"/></operations></template>"#;
    let members: String = ["one", "two", "three"]
        .map(|id| format!(r#"<primitive id="{id}" template="audited"/>"#))
        .concat();
    let constraints = r#"<rsc_order id="in-turn"><resource_set id="in-turn-set" sequential="true"><resource_ref id="one"/><resource_ref id="two"/><resource_ref id="three"/></resource_set></rsc_order><rsc_colocation id="at-one-place" score="INFINITY"><resource_set id="at-one-place-set" sequential="true"><resource_ref id="one"/><resource_ref id="two"/><resource_ref id="three"/></resource_set></rsc_colocation><rsc_location id="where-the-disks-are" rsc="one"><rule id="disks" score="INFINITY"><expression id="disks-1" attribute="disks" operation="gte" type="integer" value="2"/></rule></rsc_location>"#;
    let cluster = Cluster::with(&program, &[], &format!("{template}{members}"), constraints);
    let begun = cluster.events(0);
    let mine = begun.iter().map(|(_, r, _)| r.as_str());
    let mine: Vec<&str> = mine
        .filter(|r| ["one", "two", "three"].contains(r))
        .collect();
    assert_eq!(mine, ["one", "two", "three"]);
    let place = cluster.place("one");
    let other = NODES.iter().find(|n| **n != place).unwrap();
    cluster.on(
        "alpha",
        &format!("crm_attribute --node {other} --name disks --update 10"),
    );
    eventually("all three follow the rule", || {
        all_at(&cluster, |n| n == *other)
    });
    cluster.rest();
    // The monitor comes from the template, the threshold from the defaults, for this type only.
    let defaults = r#"<meta_attributes id="of-type"><rule id="of-type-rule" score="0"><rsc_expression id="of-type-1" class="ocf" provider="systole" type="Audited"/></rule><nvpair id="of-type-threshold" name="migration-threshold" value="1"/></meta_attributes>"#;
    cluster.on(
        "alpha",
        &format!("cibadmin --modify --allow-create --scope rsc_defaults --xml-text '{defaults}'"),
    );
    cluster.rest();
    assert_eq!(crash(&cluster, "three"), **other);
    eventually("all three leave where one has failed once", || {
        all_at(&cluster, |n| n != *other)
    });
}
