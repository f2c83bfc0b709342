//! What a daemon tells its alert agents, and that it tells it once.

#![allow(clippy::unwrap_used)] // nothing here but tests

use cib::Element;
use crmd_core::{
    Identity, Node,
    command::{AgentAction, Command},
    entry::{Entry, Grade, Member, Ports},
    ids::{Life, NodeName, Now, Stamp},
    input::{AgentOutcome, ExecStatus, Input},
    journal::JournalRecord,
    message::{Beat, Message, NodeStatus, Order, OrderKind},
    settings::Settings,
    state::Replicated,
};

/// When the daemon began, seconds since the epoch.
const BEGAN_S: i64 = 1_800_000_000;

fn life(name: &str, number: u64) -> Life {
    Life {
        number,
        id: name.to_owned(),
    }
}

fn member(name: &str, raft_id: u64) -> Member {
    Member {
        node: name.into(),
        raft_id,
        addresses: vec!["192.0.2.1".to_owned()],
        ports: Ports::default(),
    }
}

/// Node a, whose cluster has an alert for everything.
struct Daemon {
    node: Node,
    ms: u64,
    index: u64,
    commands: Vec<Command>,
}

impl Daemon {
    fn new() -> Self {
        let identity = Identity {
            node: "a".into(),
            life: life("a", 1),
            incarnation: 1,
            version: "test".to_owned(),
            member: member("a", 1),
        };
        let now = Now {
            mono_ms: 1_000,
            wall_s: BEGAN_S,
        };
        let mut daemon = Self {
            node: Node::new(identity, Settings::default(), now),
            ms: 1_000,
            index: 1,
            commands: Vec::new(),
        };
        let mut state = Replicated::default();
        let alerts = r#"<alerts><alert id="all" path="/all"><select><select_attributes/><select_fencing/><select_nodes/><select_resources/></select></alert></alerts>"#;
        let configuration = state.cib.child_mut("configuration").unwrap();
        configuration.push(Element::parse(alerts).unwrap());
        daemon.give(Input::SnapshotInstalled {
            snapshot: state.snapshot(),
            index: 1,
        });
        for (raft_id, name) in (1..).zip(["a", "b"]) {
            daemon.apply(Entry::MemberAdded(member(name, raft_id)));
        }
        daemon
    }

    fn give(&mut self, input: Input) {
        let wall_s = BEGAN_S + i64::try_from(self.ms / 1_000).unwrap();
        let now = Now {
            mono_ms: self.ms,
            wall_s,
        };
        self.node.handle(now, input);
        while let Some(command) = self.node.poll_command() {
            self.commands.push(command);
        }
    }

    fn apply(&mut self, entry: Entry) {
        self.index += 1;
        let index = self.index;
        self.give(Input::Applied { index, entry });
    }

    fn hear_b(&mut self, message: Message) {
        let from: NodeName = "b".into();
        self.give(Input::Received { from, message });
    }

    fn beat(&mut self, number: u64) {
        self.hear_b(Message::Beat(Beat {
            term: 0,
            coordinator: None,
            stamp: stamp(number, 0),
            heard: ["a".into()].into(),
            sent_ms: self.ms,
            echo_ms: None,
            lease_ms: 0,
            load: 0.0,
            storage_failing: false,
        }));
    }

    /// Time passes, a wake-up at a time.
    fn wait(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.ms += 100;
            self.give(Input::Tick);
        }
    }

    /// What was told since the last look: for each call the interesting variables.
    fn told(&mut self) -> Vec<String> {
        let calls = self.commands.drain(..).filter_map(|c| match c {
            Command::Alert(calls) => Some(calls),
            _ => None,
        });
        let show = |call: crmd_core::alerts::Call| {
            let names = [
                "node_sequence",
                "kind",
                "node",
                "rsc",
                "task",
                "desc",
                "attribute_name",
                "attribute_value",
            ];
            let values = names
                .iter()
                .filter_map(|n| call.environment.get(&format!("CRM_alert_{n}")));
            values.cloned().collect::<Vec<_>>().join(" ")
        };
        calls.flatten().map(show).collect()
    }
}

fn stamp(number: u64, sequence: u64) -> Stamp {
    Stamp {
        life: life("b", number),
        incarnation: 1,
        sequence,
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn members_that_come_go_and_boot_are_told_once() {
    let mut daemon = Daemon::new();
    daemon.wait(20_000);
    assert_eq!(daemon.told(), NOTHING, "b was never there");
    daemon.beat(1);
    daemon.beat(1);
    assert_eq!(daemon.told(), ["1 node b member"]);
    daemon.wait(20_000);
    assert_eq!(daemon.told(), ["2 node b lost"]);
    daemon.beat(1);
    assert_eq!(daemon.told(), ["3 node b member"]);
    daemon.beat(2);
    assert_eq!(daemon.told(), ["4 node b lost", "5 node b member"]);
    daemon.apply(Entry::MemberRemoved { node: "b".into() });
    assert_eq!(daemon.told(), ["6 node b lost"]);
}

fn fence(daemon: &mut Daemon, intent: &str, at_s: i64) {
    daemon.apply(Entry::FenceIntent {
        intent: intent.to_owned(),
        target: "b".into(),
        life_number: 1,
        action: "reboot".to_owned(),
        deadline_s: at_s + 60,
        origin: "the cluster".to_owned(),
    });
    fenced(daemon, intent, at_s);
}

fn fenced(daemon: &mut Daemon, intent: &str, at_s: i64) {
    daemon.apply(Entry::FenceResult {
        intent: intent.to_owned(),
        target: "b".into(),
        life_number: 1,
        result: Ok(Grade::VerifiedOff),
        device: "pdu".to_owned(),
        by: Some("a".into()),
        at_s,
    });
}

#[test]
fn fencing_is_told_once_and_not_when_it_was_before_this_daemon() {
    let mut daemon = Daemon::new();
    daemon.beat(1);
    daemon.told();
    fence(&mut daemon, "i1", BEGAN_S - 10);
    assert_eq!(
        daemon.told(),
        ["2 node b lost"],
        "replayed: only the member is news"
    );
    fence(&mut daemon, "i2", BEGAN_S);
    fenced(&mut daemon, "i2", BEGAN_S + 2);
    let expected =
        "3 fencing b reboot reboot of b by a with pdu for the cluster: OK (verified off)";
    assert_eq!(daemon.told(), [expected]);
}

#[test]
fn attributes_are_told_when_they_change() {
    let mut daemon = Daemon::new();
    daemon.beat(1);
    daemon.told();
    let attributes = [("ping".to_owned(), "1".to_owned())].into();
    daemon.hear_b(Message::StatusFull(NodeStatus {
        stamp: stamp(1, 1),
        resources: [].into(),
        attributes,
    }));
    assert_eq!(daemon.told(), NOTHING, "it was so before");
    let change = JournalRecord::Attribute {
        name: "ping".to_owned(),
        value: Some("2".to_owned()),
    };
    let delta = |sequence, change: &JournalRecord| Message::StatusDelta {
        from: stamp(1, sequence - 1),
        to: stamp(1, sequence),
        changes: vec![change.clone()],
    };
    daemon.hear_b(delta(2, &change));
    assert_eq!(daemon.told(), NOTHING, "the coordinator tells it");
    daemon.give(Input::LeaderReady { term: 1 });
    let change = JournalRecord::Attribute {
        name: "ping".to_owned(),
        value: Some("3".to_owned()),
    };
    daemon.hear_b(delta(3, &change));
    daemon.hear_b(delta(3, &change));
    assert_eq!(daemon.told(), ["2 attribute b ping 3"]);
}

fn run(daemon: &mut Daemon, number: u64, operation: &str, interval_ms: u64, target_rc: i32) {
    let action = AgentAction {
        resource: "web".to_owned(),
        class: "ocf".to_owned(),
        provider: Some("systole".to_owned()),
        kind: "Dummy".to_owned(),
        operation: operation.to_owned(),
        interval_ms,
        timeout_ms: 20_000,
        parameters: [].into(),
    };
    daemon.hear_b(Message::Order {
        term: 1,
        life: life("a", 1),
        order: Order {
            number,
            transition_key: format!("1:1:{target_rc}:u"),
            kind: OrderKind::Run {
                action,
                target_rc,
                record: [].into(),
            },
        },
    });
}

/// What was begun last ends.
fn end(daemon: &mut Daemon, rc: i32) -> Vec<String> {
    let begun = daemon.commands.iter().rev().find_map(|c| match c {
        Command::RunAgent { exec, .. } => Some(*exec),
        _ => None,
    });
    daemon.commands.clear();
    let outcome = AgentOutcome {
        rc,
        status: ExecStatus::Done,
        reason: String::new(),
        started_wall_s: BEGAN_S,
        exec_ms: 5,
        queue_ms: 0,
    };
    daemon.give(Input::AgentDone {
        exec: begun.unwrap(),
        outcome,
    });
    let mut told = daemon.told();
    told.retain(|t| t.contains("resource"));
    told
}

#[test]
fn operations_are_told_where_they_ran_and_monitors_when_they_change() {
    let mut daemon = Daemon::new();
    daemon.beat(1);
    daemon.told();
    run(&mut daemon, 1, "monitor", 0, 7);
    assert_eq!(end(&mut daemon, 7), NOTHING, "an expected probe");
    run(&mut daemon, 2, "stop", 0, 0);
    assert_eq!(end(&mut daemon, 0), ["2 resource a web stop ok"]);
    run(&mut daemon, 3, "monitor", 300, 0);
    assert_eq!(end(&mut daemon, 0), ["3 resource a web monitor ok"]);
    daemon.wait(500);
    assert_eq!(end(&mut daemon, 0), NOTHING, "as before");
    daemon.wait(500);
    let failed = end(&mut daemon, 7);
    assert!(
        failed[0].ends_with("resource a web monitor not running"),
        "{failed:?}"
    );
}
