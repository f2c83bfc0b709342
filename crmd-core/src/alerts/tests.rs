use super::*;
use expect_test::{Expect, expect};

const FULL: &str = r#"<cib><configuration><alerts>
  <alert id="log" path="/agents/log.sh" description="for the log">
    <meta_attributes id="m"><nvpair id="m1" name="timeout" value="15s"/><nvpair id="m2" name="timestamp-format" value="%s"/></meta_attributes>
    <instance_attributes id="i"><nvpair id="i1" name="debug" value="off"/><nvpair id="i2" name="level" value="low"/></instance_attributes>
    <recipient id="r1" value="/var/log/alerts"/>
    <recipient id="r2" value="ops@example.org">
      <meta_attributes id="rm"><nvpair id="rm1" name="timeout" value="500ms"/></meta_attributes>
      <instance_attributes id="ri"><nvpair id="ri1" name="level" value="high"/></instance_attributes>
    </recipient>
    <recipient id="r3" value="off"><meta_attributes id="om"><nvpair id="om1" name="enabled" value="false"/></meta_attributes></recipient>
  </alert>
</alerts></configuration></cib>"#;

fn outcome(rc: i32, status: ExecStatus) -> AgentOutcome {
    AgentOutcome {
        rc,
        status,
        reason: String::new(),
        started_wall_s: 100,
        exec_ms: 42,
        queue_ms: 0,
    }
}

fn operation(name: &str, interval_ms: u64, target_rc: i32, outcome: AgentOutcome) -> Event {
    Event::Resource {
        node: "alpha".into(),
        resource: "web".into(),
        operation: name.into(),
        interval_ms,
        target_rc,
        outcome,
    }
}

fn lost() -> Event {
    Event::Node {
        node: "beta".into(),
        id: "2".into(),
        member: false,
    }
}

fn attribute(name: &str, value: Option<&str>) -> Event {
    Event::Attribute {
        node: "beta".into(),
        id: "2".into(),
        name: name.into(),
        value: value.map(Into::into),
    }
}

fn fencing(result: Result<Grade, String>) -> Event {
    Event::Fencing {
        target: "beta".into(),
        action: "reboot".into(),
        origin: "the cluster".into(),
        device: result
            .as_ref()
            .map_or(String::new(), |_| "fence-lab".into()),
        by: result.is_ok().then(|| "alpha".into()),
        result,
    }
}

fn called(document: &str, event: &Event) -> Vec<Call> {
    let document = Element::parse(document).unwrap();
    let teller = Teller {
        version: "0.1",
        sequence: 7,
        now_s: 1_000_000,
    };
    calls(&document, event, teller)
}

fn check(document: &str, event: &Event, expected: Expect) {
    let mut text = String::new();
    for call in called(document, event) {
        writeln!(
            text,
            "{}: {} within {} ms, {}",
            call.alert, call.path, call.timeout_ms, call.timestamp_format
        )
        .unwrap();
        for (name, value) in call.environment {
            writeln!(text, "  {name}={value}").unwrap();
        }
    }
    expected.assert_eq(&text);
}

fn plain(inside: &str) -> String {
    format!(
        r#"<cib><configuration><alerts><alert id="a" path="/a">{inside}</alert></alerts></configuration></cib>"#
    )
}

#[test]
fn a_lost_node_for_every_recipient() {
    check(
        FULL,
        &lost(),
        expect![[r#"
            log: /agents/log.sh within 15000 ms, %s
              CRM_alert_desc=lost
              CRM_alert_kind=node
              CRM_alert_node=beta
              CRM_alert_node_sequence=7
              CRM_alert_nodeid=2
              CRM_alert_recipient=/var/log/alerts
              CRM_alert_version=0.1
              debug=off
              level=low
            log: /agents/log.sh within 500 ms, %s
              CRM_alert_desc=lost
              CRM_alert_kind=node
              CRM_alert_node=beta
              CRM_alert_node_sequence=7
              CRM_alert_nodeid=2
              CRM_alert_recipient=ops@example.org
              CRM_alert_version=0.1
              debug=off
              level=high
        "#]],
    );
}

#[test]
fn a_failed_monitor_without_recipient() {
    let event = operation("monitor", 10_000, 0, outcome(7, ExecStatus::Done));
    check(
        &plain(""),
        &event,
        expect![[r#"
            a: /a within 30000 ms, %H:%M:%S.%06N
              CRM_alert_desc=not running
              CRM_alert_exec_time=42
              CRM_alert_interval=10000
              CRM_alert_kind=resource
              CRM_alert_node=alpha
              CRM_alert_node_sequence=7
              CRM_alert_rc=7
              CRM_alert_rsc=web
              CRM_alert_status=0
              CRM_alert_target_rc=0
              CRM_alert_task=monitor
              CRM_alert_version=0.1
        "#]],
    );
}

#[test]
fn a_start_that_took_too_long() {
    let event = operation("start", 0, 0, outcome(0, ExecStatus::TimedOut));
    check(
        &plain(""),
        &event,
        expect![[r#"
            a: /a within 30000 ms, %H:%M:%S.%06N
              CRM_alert_desc=timed out
              CRM_alert_exec_time=42
              CRM_alert_interval=0
              CRM_alert_kind=resource
              CRM_alert_node=alpha
              CRM_alert_node_sequence=7
              CRM_alert_rc=1
              CRM_alert_rsc=web
              CRM_alert_status=2
              CRM_alert_target_rc=0
              CRM_alert_task=start
              CRM_alert_version=0.1
        "#]],
    );
}

#[test]
fn fencing_that_worked_and_that_failed() {
    check(
        &plain(""),
        &fencing(Ok(Grade::VerifiedOff)),
        expect![[r#"
            a: /a within 30000 ms, %H:%M:%S.%06N
              CRM_alert_desc=reboot of beta by alpha with fence-lab for the cluster: OK (verified off)
              CRM_alert_kind=fencing
              CRM_alert_node=beta
              CRM_alert_node_sequence=7
              CRM_alert_rc=0
              CRM_alert_task=reboot
              CRM_alert_version=0.1
        "#]],
    );
    check(
        &plain(""),
        &fencing(Err("no device".into())),
        expect![[r#"
            a: /a within 30000 ms, %H:%M:%S.%06N
              CRM_alert_desc=reboot of beta for the cluster: failed: no device
              CRM_alert_kind=fencing
              CRM_alert_node=beta
              CRM_alert_node_sequence=7
              CRM_alert_rc=-5
              CRM_alert_task=reboot
              CRM_alert_version=0.1
        "#]],
    );
}

#[test]
fn a_deleted_attribute() {
    check(
        &plain("<select><select_attributes/></select>"),
        &attribute("ping", None),
        expect![[r#"
            a: /a within 30000 ms, %H:%M:%S.%06N
              CRM_alert_attribute_name=ping
              CRM_alert_attribute_value=
              CRM_alert_kind=attribute
              CRM_alert_node=beta
              CRM_alert_node_sequence=7
              CRM_alert_nodeid=2
              CRM_alert_version=0.1
        "#]],
    );
}

/// Which kinds reach an agent, by what it selects.
#[test]
fn only_what_was_chosen_is_told() {
    let events = [
        ("node", lost()),
        ("fencing", fencing(Ok(Grade::Human))),
        (
            "resource",
            operation("stop", 0, 0, outcome(0, ExecStatus::Done)),
        ),
        ("ping", attribute("ping", Some("1"))),
        ("load", attribute("load", Some("2"))),
    ];
    let cases = [
        ("", "node fencing resource"),
        ("<select/>", "node fencing resource"),
        ("<select><select_nodes/></select>", "node"),
        (
            "<select><select_fencing/><select_resources/></select>",
            "fencing resource",
        ),
        ("<select><select_attributes/></select>", "ping load"),
        (
            r#"<select><select_attributes><attribute id="x" name="load"/></select_attributes></select>"#,
            "load",
        ),
        (
            r#"<meta_attributes id="m"><nvpair id="n" name="enabled" value="false"/></meta_attributes>"#,
            "",
        ),
    ];
    for (inside, expected) in cases {
        let told = events
            .iter()
            .filter(|(_, e)| !called(&plain(inside), e).is_empty());
        let told: Vec<&str> = told.map(|(name, _)| *name).collect();
        assert_eq!(told.join(" "), expected, "{inside}");
    }
}

#[test]
fn a_probe_is_told_only_when_it_surprises() {
    let probe = |rc| operation("monitor", 0, 7, outcome(rc, ExecStatus::Done));
    assert!(called(&plain(""), &probe(7)).is_empty());
    assert_eq!(called(&plain(""), &probe(0)).len(), 1);
}

#[test]
fn rules_choose_among_parameters() {
    let rule = |year: u32| {
        plain(&format!(
            r#"<instance_attributes id="i"><rule id="r" score="1"><date_expression id="d" operation="gt" start="{year}-01-01"/></rule><nvpair id="n" name="night" value="yes"/></instance_attributes>"#
        ))
    };
    let has = |document: &str| {
        called(document, &lost())[0]
            .environment
            .contains_key("night")
    };
    assert!(has(&rule(1969)));
    assert!(!has(&rule(2030)));
}

#[test]
fn mistakes_are_named() {
    let document = r#"<cib><configuration><alerts>
      <alert id="a" path="agent.sh"/>
      <alert id="b" path="/b"><meta_attributes id="m"><nvpair id="n" name="timeout" value="soon"/></meta_attributes>
        <recipient id="r" value="x"><instance_attributes id="i"><nvpair id="p" name="a=b" value="1"/></instance_attributes></recipient></alert>
      <alert id="c" path="/c"/></alerts></configuration></cib>"#;
    let found = problems(&Element::parse(document).unwrap(), 0).join("\n");
    expect![[r#"
        alert a: path 'agent.sh' does not begin with '/': it cannot be run; give the whole path
        alert b: timeout 'soon' is no time: 30000 ms are taken; write a number with a unit, like 30s
        alert b: 'a=b' cannot be the name of an environment variable: it is left out"#]]
    .assert_eq(&found);
    let call = &called(document, &lost())[1];
    assert_eq!(call.timeout_ms, DEFAULT_TIMEOUT_MS);
    assert!(!call.environment.contains_key("a=b"));
}
