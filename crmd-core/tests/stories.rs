//! Stories that once broke a simulated cluster, told again to one core: what must not happen does not,
//! whatever the seeds of tomorrow draw. The other members are words put into its ears.

use crmd_core::{
    Identity, Node,
    command::{AgentAction, Command, ProposalId},
    entry::{Entry, Grade, Member, Ports},
    ids::{Life, NodeName, Now, RaftId, Stamp},
    input::{AgentOutcome, ExecStatus, Input, ProposeError},
    message::{Beat, Message, NodeStatus, Order, OrderKind},
    request::{CibChange, Request},
    settings::Settings,
};
use std::collections::{BTreeMap, BTreeSet};

/// So many intents are refused at once; a core that goes on in the same moment shall not end the test's stack.
const REFUSALS: usize = 100;

/// Of the coordinator in every story.
const TERM: u64 = 2;

/// A core among members that say what they are told to.
struct Stage {
    node: Node,
    now_ms: u64,
    index: u64,
    /// Members that are heard.
    heard: BTreeSet<&'static str>,
    leader: &'static str,
    /// The log takes no intent to fence.
    refuses_intents: bool,
    /// What it proposed, and when.
    intents: Vec<(u64, ProposalId)>,
    /// Whom it wanted to vote.
    voters: Vec<BTreeSet<RaftId>>,
    /// What it said to others.
    said: Vec<(NodeName, Message)>,
    /// Agents it ran: resource and operation.
    ran: Vec<(String, String)>,
}

fn member(name: &str, raft_id: RaftId) -> Member {
    Member {
        node: name.into(),
        raft_id,
        addresses: vec!["192.0.2.1".to_owned()],
        ports: Ports::default(),
    }
}

fn stamp(name: &str) -> Stamp {
    let id = name.to_owned();
    Stamp {
        life: Life { number: 1, id },
        incarnation: 1,
        sequence: 0,
    }
}

fn well() -> AgentOutcome {
    AgentOutcome {
        rc: 0,
        status: ExecStatus::Done,
        reason: String::new(),
        started_wall_s: 1_800_000_000,
        exec_ms: 1,
        queue_ms: 0,
    }
}

impl Stage {
    /// Node a of a, b and c, all of which vote and are heard.
    fn new() -> Self {
        let identity = Identity {
            node: "a".into(),
            life: stamp("a").life,
            incarnation: 1,
            version: "test".to_owned(),
            member: member("a", 1),
        };
        let now = Now {
            mono_ms: 1_000,
            wall_s: 1_800_000_000,
        };
        let mut stage = Self {
            node: Node::new(identity, Settings::default(), now),
            now_ms: 1_000,
            index: 0,
            heard: BTreeSet::from(["b", "c"]),
            leader: "a",
            refuses_intents: false,
            intents: Vec::new(),
            voters: Vec::new(),
            said: Vec::new(),
            ran: Vec::new(),
        };
        stage.tell(Input::RaftMembers {
            voters: vec![[1, 2, 3].into()],
            learners: BTreeSet::new(),
        });
        for (raft_id, name) in (1..).zip(["a", "b", "c"]) {
            stage.apply(Entry::MemberAdded(member(name, raft_id)));
        }
        stage
    }

    /// The same, leading and with everybody admitted.
    fn coordinating() -> Self {
        let mut stage = Self::new();
        let leader = Some("a".into());
        stage.tell(Input::Leader { term: TERM, leader });
        stage.tell(Input::LeaderReady { term: TERM });
        stage.pass(1_000);
        stage
    }

    fn now(&self) -> Now {
        Now {
            mono_ms: self.now_ms,
            wall_s: 1_800_000_000 + (self.now_ms / 1_000) as i64,
        }
    }

    fn tell(&mut self, input: Input) {
        self.node.handle(self.now(), input);
        while let Some(command) = self.node.poll_command() {
            self.carry_out(command);
        }
    }

    fn apply(&mut self, entry: Entry) {
        self.index += 1;
        let index = self.index;
        self.tell(Input::Applied { index, entry });
    }

    fn hear(&mut self, from: &str, message: Message) {
        let from = from.into();
        self.tell(Input::Received { from, message });
    }

    fn ask(&mut self, request: Request) {
        let client = 1;
        self.tell(Input::Client { client, request });
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Propose { proposal, entry } => self.propose(proposal, entry),
            Command::Schedule { run, cib, now_s } => {
                let decision = Box::new(scheduler::schedule(&cib, now_s));
                self.tell(Input::Scheduled { run, decision });
            }
            Command::ChangeVoters { voters, learners } => {
                self.voters.push(voters.clone());
                let voters = vec![voters];
                self.tell(Input::RaftMembers { voters, learners });
            }
            Command::RunAgent { exec, action, .. } => {
                self.ran.push((action.resource, action.operation));
                let outcome = well();
                self.tell(Input::AgentDone { exec, outcome });
            }
            Command::Send { to, message } => {
                let asked = matches!(message, Message::Ask { .. });
                self.said.push((to.clone(), message));
                if asked && self.heard.contains(&*to) {
                    let status = NodeStatus {
                        stamp: stamp(&to),
                        ..NodeStatus::default()
                    };
                    self.hear(&to, Message::Answer { term: TERM, status });
                }
            }
            Command::Log { text, .. } => println!("{} ms: {text}", self.now_ms),
            _ => {}
        }
    }

    fn propose(&mut self, proposal: ProposalId, entry: Entry) {
        if matches!(entry, Entry::FenceIntent { .. }) && self.refuses_intents {
            self.intents.push((self.now_ms, proposal));
            if self.intents.len() > REFUSALS {
                return;
            }
            let result = Err(ProposeError::Failed("the disk is full".to_owned()));
            return self.tell(Input::Proposed { proposal, result });
        }
        self.apply(entry);
        let result = Ok(self.index);
        self.tell(Input::Proposed { proposal, result });
    }

    /// Time passes: those who are heard beat, the core is woken when it wants to be.
    fn pass(&mut self, length_ms: u64) {
        let end_ms = self.now_ms + length_ms;
        while self.now_ms < end_ms {
            self.now_ms += 10;
            if self.now_ms.is_multiple_of(200) {
                for name in self.heard.clone() {
                    self.beat(name);
                }
            }
            if self
                .node
                .poll_timeout()
                .is_some_and(|due| due <= self.now_ms)
            {
                self.tell(Input::Tick);
            }
        }
    }

    fn beat(&mut self, from: &str) {
        let beat = Beat {
            term: TERM,
            coordinator: Some(self.leader.into()),
            stamp: stamp(from),
            heard: self
                .heard
                .iter()
                .map(|n| (*n).into())
                .chain(["a".into()])
                .collect(),
            sent_ms: self.now_ms,
            echo_ms: Some(self.now_ms),
            lease_ms: if from == self.leader { 2_000 } else { 0 },
            load: 0.0,
            storage_failing: false,
        };
        self.hear(from, Message::Beat(beat));
    }

    /// Numbers of the orders to a member, and of what each question to it makes void.
    fn orders(&self, to: &str) -> (Vec<u64>, Vec<u64>) {
        let (mut orders, mut asks) = (Vec::new(), Vec::new());
        for (name, message) in &self.said {
            match message {
                Message::Order { order, .. } if **name == *to => orders.push(order.number),
                Message::Ask { next_order, .. } if **name == *to => asks.push(*next_order),
                _ => {}
            }
        }
        (orders, asks)
    }
}

/// sim-shell, seeds 3, 8 and 12 of its first version: a log that takes nothing refuses at once, and the
/// coordinator tried to commit the same intent over and over in one moment.
#[test]
fn an_intent_that_was_not_committed_is_tried_again_but_not_at_once() {
    let mut stage = Stage::coordinating();
    stage.refuses_intents = true;
    stage.ask(options());
    stage.ask(device());
    stage.pass(500);
    stage.heard.remove("b");
    stage.pass(5_000);
    let times: Vec<u64> = stage.intents.iter().map(|(at_ms, _)| *at_ms).collect();
    assert!(times.len() > 3, "it is tried again and again: {times:?}");
    let pauses: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(pauses.iter().all(|p| *p >= 200), "pauses: {pauses:?}");
}

/// sim, seed 2592: a leader whose own life was over by the log voted itself out, and fell with that entry
/// in its log alone; nobody could be elected any more.
#[test]
fn a_leader_never_votes_itself_out() {
    let mut stage = Stage::coordinating();
    stage.apply(Entry::FenceResult {
        intent: "b-1-1".to_owned(),
        target: "a".into(),
        life_number: 1,
        result: Ok(Grade::VerifiedOff),
        device: "power".to_owned(),
        by: Some("b".into()),
        at_s: 1_800_000_000,
    });
    // Somebody else may go.
    stage.heard.remove("b");
    stage.pass(5_000);
    let without: Vec<_> = stage.voters.iter().filter(|v| !v.contains(&1)).collect();
    assert!(without.is_empty(), "voters without itself: {without:?}");
}

/// sim, seed 22760, the coordinator's side: it gives up what it ordered a member that it lost, and when
/// that member is back in the same life it says so before it orders anything else.
#[test]
fn what_was_ordered_before_a_member_was_lost_is_void_when_it_is_back() {
    let mut stage = Stage::coordinating();
    stage.refuses_intents = true;
    stage.ask(resource());
    stage.pass(600);
    let (orders, _) = stage.orders("b");
    let last = *orders.last().expect("b is to probe the resource");
    stage.heard.remove("b");
    stage.pass(3_000);
    let (given, asked) = stage.orders("b");
    stage.heard.insert("b");
    stage.pass(1_000);
    let (orders, asks) = stage.orders("b");
    let question = asks.get(asked.len()).expect("it is asked first");
    assert!(*question > last, "{question} voids {last}");
    let new = orders.iter().skip(given.len());
    let older: Vec<&u64> = new.filter(|number| *number < question).collect();
    assert!(
        older.is_empty(),
        "ordered again under old numbers: {older:?}"
    );
}

fn resource() -> Request {
    let xml = r#"<primitive id="r" class="ocf" provider="heartbeat" type="Dummy"/>"#;
    create("resources", xml)
}

fn device() -> Request {
    let xml = r#"<primitive id="power" class="stonith" type="lab"/>"#;
    create("resources", xml)
}

/// Who is lost is fenced; nobody waits for what b and c never say.
fn options() -> Request {
    let xml = r#"<cluster_property_set id="o"><nvpair id="s" name="stonith-enabled" value="true"/><nvpair id="p" name="enable-startup-probes" value="false"/></cluster_property_set>"#;
    create("crm_config", xml)
}

fn create(section: &str, xml: &str) -> Request {
    Request::Cib(CibChange {
        action: "create".to_owned(),
        section: Some(section.to_owned()),
        xpath: None,
        xml: xml.to_owned(),
        allow_create: false,
        origin: "root/test".to_owned(),
    })
}

/// seed 22760, the member's side: an order that comes after a question that made it void is never begun.
#[test]
fn a_void_order_that_comes_late_is_never_begun() {
    let mut stage = Stage::new();
    stage.leader = "b";
    let leader = Some("b".into());
    stage.tell(Input::Leader { term: TERM, leader });
    stage.pass(1_000);
    let ask = |next_order| Message::Ask {
        term: TERM,
        next_order,
    };
    stage.hear("b", ask(8));
    stage.hear("b", order(7, "late"));
    stage.pass(2_000);
    assert_eq!(stage.ran, [], "what b gave up begins all the same");
    stage.hear("b", order(8, "next"));
    stage.pass(100);
    let next = ("next".to_owned(), "start".to_owned());
    assert_eq!(stage.ran, [next]);
}

fn order(number: u64, resource: &str) -> Message {
    let action = AgentAction {
        resource: resource.to_owned(),
        class: "ocf".to_owned(),
        provider: Some("heartbeat".to_owned()),
        kind: "Dummy".to_owned(),
        operation: "start".to_owned(),
        interval_ms: 0,
        timeout_ms: 20_000,
        parameters: BTreeMap::new(),
    };
    Message::Order {
        term: TERM,
        life: stamp("a").life,
        order: Order {
            number,
            transition_key: format!("{number}:1:0:00000000-0000-0000-0000-000000000000"),
            kind: OrderKind::Run {
                action,
                target_rc: 0,
                record: BTreeMap::new(),
            },
        },
    }
}
