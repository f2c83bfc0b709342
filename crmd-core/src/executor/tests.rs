use super::*;

struct Bench {
    executor: Executor,
    own: Own,
    out: Vec<Command>,
    number: u64,
}

fn life() -> Life {
    Life {
        number: 1,
        id: "boot".into(),
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono_ms: ms,
        wall_s: 1_000,
    }
}

fn done(rc: i32) -> AgentOutcome {
    AgentOutcome {
        rc,
        status: ExecStatus::Done,
        reason: String::new(),
        started_wall_s: 1_000,
        exec_ms: 1,
        queue_ms: 0,
    }
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            executor: Executor::new("n".into(), life(), 1),
            own: Own::new(life(), 1),
            out: Vec::new(),
            number: 0,
        };
        bench
            .executor
            .set_lease(at(0), true, &mut bench.own, &mut bench.out);
        bench
    }

    fn run(&mut self, term: Term, operation: &str, interval_ms: u64) -> Vec<ExecId> {
        self.number += 1;
        let action = AgentAction {
            resource: "r".into(),
            class: "ocf".into(),
            provider: Some("systole".into()),
            kind: "Dummy".into(),
            operation: operation.into(),
            interval_ms,
            timeout_ms: 1_000,
            parameters: BTreeMap::new(),
        };
        let order = Order {
            number: self.number,
            transition_key: format!("{}:1:0:u", self.number),
            kind: OrderKind::Run {
                action,
                target_rc: 0,
                record: BTreeMap::new(),
            },
        };
        self.order(term, order)
    }

    fn order(&mut self, term: Term, order: Order) -> Vec<ExecId> {
        let from = "dc".into();
        let (own, out) = (&mut self.own, &mut self.out);
        self.executor
            .order(at(0), &from, term, &life(), order, own, out);
        self.started()
    }

    fn done(&mut self, ms: u64, exec: ExecId, rc: i32) -> Vec<ExecId> {
        let (own, out) = (&mut self.own, &mut self.out);
        self.executor.agent_done(at(ms), exec, &done(rc), own, out);
        self.started()
    }

    fn tick(&mut self, ms: u64) -> Vec<ExecId> {
        self.executor.tick(at(ms), &mut self.own, &mut self.out);
        self.started()
    }

    fn started(&mut self) -> Vec<ExecId> {
        let started = self.out.iter().filter_map(|c| match c {
            Command::RunAgent { exec, .. } => Some(*exec),
            _ => None,
        });
        let execs = started.collect();
        self.out.clear();
        execs
    }
}

#[test]
fn one_operation_at_a_time_and_recurring_ones_from_completion() {
    let mut b = Bench::new();
    let start = b.run(1, "start", 0);
    assert_eq!(start.len(), 1);
    assert!(b.run(1, "monitor", 1_000).is_empty(), "the start runs");
    let monitor = b.done(10, start[0], 0);
    assert_eq!(monitor.len(), 1);
    assert!(b.done(50, monitor[0], 0).is_empty());
    assert_eq!(b.executor.deadline(), Some(1_050));
    assert!(b.tick(1_049).is_empty());
    let again = b.tick(1_050);
    assert_eq!(again.len(), 1);
    let before = b.own.stamp().clone();
    b.done(1_060, again[0], 0);
    assert_eq!(
        *b.own.stamp(),
        before,
        "an unchanged result is not recorded"
    );
    let third = b.tick(2_060);
    b.done(2_061, third[0], 7);
    assert_eq!(b.own.known().attributes["fail-count-r#monitor_1000"], "1");
    let stop = b.run(1, "stop", 0);
    b.done(2_100, stop[0], 0);
    assert_eq!(
        b.executor.deadline(),
        None,
        "a stop ends recurring operations"
    );
}

#[test]
fn orders_of_older_terms_and_other_lives_are_refused() {
    let mut b = Bench::new();
    assert!(b.executor.adopt(5, &mut b.out));
    assert!(b.run(4, "start", 0).is_empty());
    let messages = b.executor.take_messages();
    assert!(matches!(
        messages[..],
        [(_, Message::OrderRefused { term: 4, .. })]
    ));
    assert!(!b.executor.adopt(4, &mut b.out));
    assert_eq!(b.run(5, "start", 0).len(), 1);
}

#[test]
fn what_the_coordinator_has_given_up_does_not_begin_later() {
    let mut b = Bench::new();
    let stop = b.run(1, "stop", 0);
    assert!(b.run(1, "start", 0).is_empty(), "it waits for the stop");
    b.executor.void(1, 4);
    assert!(b.done(5, stop[0], 0).is_empty(), "the start was dropped");
    assert!(b.run(1, "start", 0).is_empty(), "the third came too late");
    let refused = |m: &(NodeName, Message)| matches!(m.1, Message::OrderRefused { .. });
    assert_eq!(
        b.executor
            .take_messages()
            .iter()
            .filter(|m| refused(m))
            .count(),
        2
    );
    assert_eq!(
        b.run(1, "start", 0).len(),
        1,
        "the fourth is a new decision"
    );
}

#[test]
fn a_repeated_order_is_acknowledged_and_not_done_twice() {
    let mut b = Bench::new();
    let first = b.run(1, "start", 0);
    assert_eq!(first.len(), 1);
    b.number -= 1;
    assert!(b.run(1, "start", 0).is_empty());
    assert!(b.done(5, first[0], 0).is_empty());
}

#[test]
fn a_new_term_drops_what_has_not_begun_and_nothing_is_brought_up_without_a_lease() {
    let mut b = Bench::new();
    let stop = b.run(1, "stop", 0);
    assert!(b.run(1, "start", 0).is_empty());
    b.executor.adopt(2, &mut b.out);
    assert!(b.done(5, stop[0], 0).is_empty(), "the start was dropped");
    b.executor.set_lease(at(6), false, &mut b.own, &mut b.out);
    assert!(b.run(2, "start", 0).is_empty());
    b.executor.set_lease(at(7), true, &mut b.own, &mut b.out);
    assert_eq!(b.started().len(), 1);
}

#[test]
fn a_restarted_daemon_resumes_monitors_and_probes_what_was_under_way() {
    let mut b = Bench::new();
    let mut journal = Vec::new();
    let keep = |journal: &mut Vec<JournalRecord>, out: &mut Vec<Command>| {
        for command in out.drain(..) {
            match command {
                Command::Journal(r) | Command::RunAgent { record: r, .. } => journal.push(r),
                _ => {}
            }
        }
    };
    let order = |number, operation: &str, interval_ms| Order {
        number,
        transition_key: format!("{number}:1:0:u"),
        kind: OrderKind::Run {
            action: AgentAction {
                resource: "r".into(),
                class: "ocf".into(),
                provider: None,
                kind: "Dummy".into(),
                operation: operation.into(),
                interval_ms,
                timeout_ms: 1_000,
                parameters: BTreeMap::new(),
            },
            target_rc: 0,
            record: BTreeMap::new(),
        },
    };
    let from: NodeName = "dc".into();
    let exec = 1 << 32;
    for (number, operation, interval) in [(1, "start", 0), (2, "monitor", 1_000)] {
        b.executor.order(
            at(0),
            &from,
            1,
            &life(),
            order(number, operation, interval),
            &mut b.own,
            &mut b.out,
        );
        b.executor
            .agent_done(at(1), exec + number - 1, &done(0), &mut b.own, &mut b.out);
        keep(&mut journal, &mut b.out);
    }
    let records = journal.clone();
    let mut own = Own::new(life(), 2);
    records.iter().for_each(|r| own.recover(r));
    let mut again = Executor::new("n".into(), life(), 2);
    again.recover(at(5), &records, &own);
    assert_eq!(again.term(), 1);
    assert_eq!(again.deadline(), Some(5), "the monitor goes on");
    again.tick(at(5), &mut own, &mut b.out);
    assert_eq!(b.started().len(), 1);

    b.executor.order(
        at(9),
        &from,
        1,
        &life(),
        order(3, "stop", 0),
        &mut b.own,
        &mut b.out,
    );
    keep(&mut journal, &mut b.out);
    let mut own = Own::new(life(), 3);
    journal.iter().for_each(|r| own.recover(r));
    let mut third = Executor::new("n".into(), life(), 3);
    third.recover(at(20), &journal, &own);
    assert_eq!(third.deadline(), None, "the stop had ended the monitor");
    third.begin_all(at(20), &mut own, &mut b.out);
    let Some(Command::RunAgent { exec, action, .. }) = b.out.pop() else {
        panic!("no probe");
    };
    assert_eq!(
        (action.operation.as_str(), action.interval_ms),
        ("monitor", 0)
    );
    third.agent_done(at(21), exec, &done(7), &mut own, &mut b.out);
    let entry = own.known().resources["r"]
        .child("lrm_rsc_op")
        .unwrap()
        .clone();
    assert_eq!(entry.attr("operation"), Some("monitor"));
    assert_eq!(entry.attr("rc-code"), Some("7"));
    assert!(
        own.known().attributes.is_empty(),
        "a probe that finds it stopped is no failure"
    );
}

#[test]
fn values_are_reckoned() {
    let s = |t: &str| Some(t.to_owned());
    assert_eq!(evaluated(None, s("x++")), s("1"));
    assert_eq!(evaluated(Some(&"4".into()), s("x+=3")), s("7"));
    assert_eq!(evaluated(Some(&"INFINITY".into()), s("x++")), s("INFINITY"));
    assert_eq!(evaluated(Some(&"4".into()), s("5")), s("5"));
}
