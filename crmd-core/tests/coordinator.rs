//! A coordinator, seen from outside: when it asks to be woken, what it answers from its own copy, and what it
//! commits together.

use crmd_core::{
    Identity, Node,
    command::{Command, ProposalId},
    entry::{Entry, Member, Ports},
    ids::{Life, NodeName, Now, Stamp},
    input::{Input, ProposeError},
    message::{Beat, Message},
    request::{CibChange, Request, Response},
    settings::Settings,
};

fn member(name: &str, raft_id: u64) -> Member {
    Member {
        node: name.into(),
        raft_id,
        addresses: vec!["192.0.2.1".to_owned()],
        ports: Ports::default(),
    }
}

fn life(name: &str) -> Life {
    Life {
        number: 1,
        id: name.to_owned(),
    }
}

fn at(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        wall_s: 1_800_000_000,
    }
}

fn beat(from: &str, sent_ms: u64) -> Input {
    let from: NodeName = from.into();
    let message = Message::Beat(Beat {
        term: 2,
        coordinator: Some("a".into()),
        stamp: Stamp {
            life: life(&from),
            incarnation: 1,
            sequence: 0,
        },
        heard: ["a".into()].into(),
        sent_ms,
        echo_ms: Some(sent_ms),
        lease_ms: 0,
        load: 0.0,
        storage_failing: false,
    });
    Input::Received { from, message }
}

fn give(node: &mut Node, now: Now, input: Input) {
    node.handle(now, input);
    while node.poll_command().is_some() {}
}

/// How often it asks to be woken between two moments.
fn wakes(node: &mut Node, from_ms: u64, to_ms: u64) -> u32 {
    let mut count = 0;
    let mut now_ms = from_ms;
    while let Some(due_ms) = node.poll_timeout() {
        now_ms = due_ms.max(now_ms);
        if now_ms >= to_ms {
            break;
        }
        give(node, at(now_ms), Input::Tick);
        count += 1;
        assert!(count < 10_000, "at {now_ms} ms");
    }
    count
}

/// Node a, a moment ago acknowledged by b and c.
fn coordinator() -> Node {
    let identity = Identity {
        node: "a".into(),
        life: life("a"),
        incarnation: 1,
        version: "test".to_owned(),
        member: member("a", 1),
    };
    let mut node = Node::new(identity, Settings::default(), at(1_000));
    // It will want the third one to vote, too, and never hear that it does.
    let voters = vec![[1, 2].into()];
    let learners = [3].into();
    give(
        &mut node,
        at(1_000),
        Input::RaftMembers { voters, learners },
    );
    for (index, name) in (1..).zip(["a", "b", "c"]) {
        let entry = Entry::MemberAdded(member(name, index));
        give(&mut node, at(1_000), Input::Applied { index, entry });
    }
    let (term, leader) = (2, Some("a".into()));
    give(&mut node, at(1_000), Input::Leader { term, leader });
    give(&mut node, at(1_000), Input::LeaderReady { term });
    for name in ["b", "c"] {
        node.handle(at(1_000), beat(name, 1_000));
    }
    commit_all(&mut node, at(1_000));
    node
}

#[test]
fn a_coordinator_that_lost_its_quorum_sleeps_between_its_beats() {
    let beats = 10_000 / Settings::default().heartbeat_interval_ms;
    let mut node = coordinator();
    wakes(&mut node, 1_000, 10_000);
    let count = wakes(&mut node, 10_000, 20_000);
    assert!(
        u64::from(count) <= 4 * beats,
        "{count} wakes in ten seconds"
    );
}

/// Commits what it proposes, until it proposes nothing more.
fn commit_all(node: &mut Node, now: Now) {
    node.handle(now, Input::Tick);
    let mut index = 3;
    while let Some(command) = node.poll_command() {
        if let Command::Propose { proposal, entry } = command {
            index += 1;
            node.handle(now, Input::Applied { index, entry });
            let result = Ok(index);
            node.handle(now, Input::Proposed { proposal, result });
        }
    }
}

#[test]
fn what_changes_nothing_is_answered_only_when_it_still_leads() {
    let mut node = coordinator();
    let change = CibChange {
        action: "delete".to_owned(),
        section: Some("crm_config".to_owned()),
        xpath: None,
        xml: r#"<nvpair id="absent"/>"#.to_owned(),
        allow_create: false,
        origin: "root/test".to_owned(),
    };
    let (client, request) = (7, Request::Cib(change));
    node.handle(at(1_100), Input::Client { client, request });
    let mut confirmation = None;
    while let Some(command) = node.poll_command() {
        match command {
            Command::Propose {
                proposal,
                entry: Entry::Blank,
            } => confirmation = Some(proposal),
            Command::Reply { .. } => panic!("answered although another may lead: {command:?}"),
            _ => {}
        }
    }
    let proposal = confirmation.expect("it asks the log");
    let result = Ok(9);
    node.handle(at(1_150), Input::Proposed { proposal, result });
    let mut commands = std::iter::from_fn(|| node.poll_command());
    assert!(commands.any(|c| matches!(c, Command::Reply { client: 7, .. })));
}

fn create(id: &str) -> Request {
    Request::Cib(CibChange {
        action: "create".to_owned(),
        section: Some("crm_config".to_owned()),
        xpath: None,
        xml: format!(r#"<cluster_property_set id="{id}"/>"#),
        allow_create: false,
        origin: "root/test".to_owned(),
    })
}

type Proposed = (ProposalId, Entry);

/// What it proposes, and whom it answers.
fn done(node: &mut Node) -> (Vec<Proposed>, Vec<(u64, Response)>) {
    let (mut proposed, mut answered) = (Vec::new(), Vec::new());
    while let Some(command) = node.poll_command() {
        match command {
            Command::Propose { proposal, entry } => proposed.push((proposal, entry)),
            Command::Reply { client, response } => answered.push((client, response)),
            _ => {}
        }
    }
    (proposed, answered)
}

fn commit(node: &mut Node, index: u64, (proposal, entry): &Proposed) {
    let (now, proposal, entry) = (at(1_200), *proposal, entry.clone());
    node.handle(now, Input::Applied { index, entry });
    let result = Ok(index);
    node.handle(now, Input::Proposed { proposal, result });
}

#[test]
fn changes_that_wait_are_committed_together_and_refusals_after_them() {
    let mut node = coordinator();
    for (client, id) in [(1, "first"), (2, "second"), (3, "third"), (4, "second")] {
        let request = create(id);
        node.handle(at(1_100), Input::Client { client, request });
    }
    let (proposed, answered) = done(&mut node);
    assert_eq!(answered, [], "nothing is committed yet");
    let [first] = &proposed[..] else {
        panic!("one entry at a time: {proposed:?}");
    };
    commit(&mut node, 10, first);
    let (proposed, answered) = done(&mut node);
    let [(1, Response::Cib { version })] = answered[..] else {
        panic!("the first is committed: {answered:?}");
    };
    let [(_, Entry::Cib { requests, .. }), (_, Entry::Blank)] = &proposed[..] else {
        panic!("those that waited, then the proof for the refusal: {proposed:?}");
    };
    assert_eq!(requests.len(), 2);
    commit(&mut node, 11, &proposed[0]);
    let version = (version.0, version.1 + 2, 0);
    assert_eq!(
        done(&mut node).1,
        [2, 3].map(|client| (client, Response::Cib { version }))
    );
    commit(&mut node, 12, &proposed[1]);
    let (_, answered) = done(&mut node);
    assert!(matches!(answered[..], [(4, Response::Refused(_))]));
}

#[test]
fn those_whose_changes_are_not_committed_ask_the_next_coordinator() {
    let mut node = coordinator();
    for (client, id) in [(1, "first"), (2, "second")] {
        let request = create(id);
        node.handle(at(1_100), Input::Client { client, request });
    }
    let (proposed, _) = done(&mut node);
    let proposal = proposed[0].0;
    let result = Err(ProposeError::NotLeader(Some("b".into())));
    node.handle(at(1_150), Input::Proposed { proposal, result });
    assert_eq!(done(&mut node).1, [], "they are carried there");
}
