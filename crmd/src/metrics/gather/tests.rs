use super::*;
use crmd_core::{
    figures::Executions,
    view::{MemberView, NodeView},
};
use std::collections::BTreeSet;

fn figures() -> Figures {
    let member = |node: &str, state: &str| MemberView {
        node: node.into(),
        state: state.to_owned(),
        silent_ms: 1_250,
        ..MemberView::default()
    };
    Figures {
        view: NodeView {
            node: "alpha".to_owned(),
            coordinator: Some("beta".into()),
            quorate: true,
            members: vec![member("alpha", "online"), member("beta", "online")],
            ..NodeView::default()
        },
        coordinates: false,
        storage_failing: false,
        resources: [(("alpha".into(), "started"), 2)].into(),
        fail_counts: [(("beta".into(), "web".to_owned()), 1_000_000)].into(),
        operations: [(
            ("monitor".to_owned(), "ok"),
            Executions {
                count: 4,
                total_ms: 1_500,
            },
        )]
        .into(),
        fencing: [(("reboot".to_owned(), "confirmed"), 1)].into(),
        fencing_pending: 0,
        transitions: 3,
        steps: 17,
        losses: 1,
        storage_troubles: 0,
    }
}

fn shown() -> String {
    let mut text = Text::default();
    let figures = figures();
    build(&mut text);
    members(&mut text, &figures);
    resources(&mut text, &figures);
    work(&mut text, &figures);
    fencing(&mut text, &figures);
    storage(&mut text, &figures);
    let count = Count {
        called: 5,
        failed: 1,
        timed_out: 1,
        dropped: 2,
    };
    alerts(&mut text, &[("log".to_owned(), count)].into());
    let link = LinkState {
        peer: "beta".to_owned(),
        link: 0,
        up: true,
        losses: 1,
    };
    links(&mut text, &[link]);
    text.finish()
}

#[test]
fn figures_have_their_names() {
    let text = shown();
    for line in [
        "systole_member{node=\"beta\",state=\"online\"} 1",
        "systole_member_silence_seconds{node=\"beta\"} 1.25",
        "systole_quorate 1",
        "systole_coordinates 0",
        "systole_coordinator{node=\"beta\"} 1",
        "systole_resources{node=\"alpha\",state=\"started\"} 2",
        "systole_fail_count{node=\"beta\",resource=\"web\"} 1000000",
        "systole_operations_total{operation=\"monitor\",result=\"ok\"} 4",
        "systole_operation_duration_seconds_sum{operation=\"monitor\",result=\"ok\"} 1.5",
        "systole_operation_duration_seconds_count{operation=\"monitor\",result=\"ok\"} 4",
        "systole_transitions_total 3",
        "systole_fencing_total{action=\"reboot\",result=\"confirmed\"} 1",
        "systole_alerts_failed_total{alert=\"log\",reason=\"timed-out\"} 1",
        "systole_alerts_dropped_total{alert=\"log\"} 2",
        "systole_link_losses_total{peer=\"beta\",link=\"0\"} 1",
        "systole_storage_stalls_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}

/// Every sample stands below the HELP and TYPE of its own figure, each figure stands there once, counters end in
/// `_total`, and values are numbers.
#[test]
fn the_form_is_right() {
    let text = shown();
    let mut seen = BTreeSet::new();
    let (mut name, mut helped) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            helped = rest.split(' ').next().unwrap().to_owned();
            assert!(seen.insert(helped.clone()), "{helped} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (of, kind) = rest.split_once(' ').unwrap();
            assert_eq!(of, helped);
            assert_eq!(kind == "counter", of.ends_with("_total"), "{line}");
            name = of.to_owned();
        } else {
            let sample = line.split(['{', ' ']).next().unwrap();
            let suffix = sample.strip_prefix(&name).unwrap();
            assert!(
                ["", "_sum", "_count", "_bucket"].contains(&suffix),
                "{line}"
            );
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(text.ends_with('\n'));
}
