//! Whole lives of a [`Fencer`] with devices, other nodes and clocks that do as they please. Whatever they do:
//! everybody who asks is answered exactly once and in time, and nothing is called off that no device called off.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use stonithd_core::*;

/// Small, and the same everywhere (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const CONFIGURATION: &str = r#"<cib><configuration>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/><node id="3" uname="n3"/></nodes>
<resources>
<primitive id="here" class="stonith" type="fence_a"><instance_attributes id="a"><nvpair id="a1" name="pcmk_host_list" value="n2 n3"/></instance_attributes></primitive>
<primitive id="there" class="stonith" type="fence_a"><instance_attributes id="b"><nvpair id="b1" name="pcmk_host_list" value="n1 n2 n3"/></instance_attributes></primitive>
<primitive id="lists" class="stonith" type="lab"/>
</resources>
<constraints><rsc_location id="l" rsc="there" node="n1" score="-INFINITY"/></constraints>
<fencing-topology><fencing-level id="f1" index="1" target="n3" devices="here,there"/><fencing-level id="f2" index="2" target="n3" devices="lists"/></fencing-topology>
</configuration></cib>"#;

/// What the world knows.
#[derive(Default)]
struct World {
    now: Now,
    calls: BTreeMap<u64, Call>,
    asks: BTreeSet<u64>,
    relays: BTreeMap<u64, Order>,
    /// By client: whom it wanted fenced, how often it was answered.
    asked: BTreeMap<u64, (String, u32)>,
    /// When a device or another node last said that a target is off.
    off_at: BTreeMap<String, u64>,
}

impl World {
    fn drain(&mut self, fencer: &mut Fencer, seed: u64) {
        while let Some(command) = fencer.poll_command() {
            match command {
                Command::Call { run, call } => drop(self.calls.insert(run, call)),
                Command::Ask { ask, .. } => drop(self.asks.insert(ask)),
                Command::Relay { relay, order } => {
                    assert_ne!(order.to, "n1", "seed {seed}: relayed to ourselves");
                    drop(self.relays.insert(relay, order));
                }
                Command::Reply { client, reply } => self.answered(client, &reply, seed),
                Command::Log { .. } => {}
            }
        }
    }

    fn answered(&mut self, client: u64, reply: &Reply, seed: u64) {
        let (target, answers) = self.asked.get_mut(&client).unwrap();
        *answers += 1;
        assert_eq!(
            *answers, 1,
            "seed {seed}: client {client} was answered twice"
        );
        if reply.result == Ok(Grade::VerifiedOff) {
            // Whoever joined the operation may have asked after the proof, so its own start counts.
            let began = self.now.mono_ms - reply.elapsed_ms;
            let off_at = self.off_at.get(target).copied();
            assert!(
                off_at.is_some_and(|at| at >= began),
                "seed {seed}: {target} was not seen off since {began} but {off_at:?}"
            );
        }
    }

    fn event(&mut self, random: &mut Random) -> Option<Input> {
        Some(match random.below(10) {
            0 => {
                let client = self.asked.len() as u64;
                let target = random.pick(&["n1", "n2", "n3", "n4"]);
                self.asked.insert(client, (target.to_owned(), 0));
                Input::Request {
                    client,
                    request: Request {
                        intent: format!("i{client}"),
                        target: target.to_owned(),
                        action: random.pick(&["reboot", "off", "on"]).to_owned(),
                        timeout_ms: 1_000 + random.below(20_000),
                        relayed: random.below(4) == 0,
                        ..Request::default()
                    },
                }
            }
            1..=5 => {
                let run = *self.calls.keys().nth(random.below(8) as usize)?;
                let call = self.calls.remove(&run)?;
                let result = self.result(&call, random);
                Input::Called { run, result }
            }
            6 => {
                let ask = *self.asks.first()?;
                let node = random.pick(&["n2", "n3"]).to_owned();
                let devices = match random.below(2) {
                    0 => Vec::new(),
                    _ => vec!["there".to_owned(), "here".to_owned()],
                };
                Input::Offered {
                    ask,
                    offer: Offer { node, devices },
                }
            }
            7 => Input::AskEnded {
                ask: self.asks.pop_first()?,
            },
            8 => {
                let (relay, order) = self.relays.pop_first()?;
                let result = match random.below(3) {
                    0 => Err("no".to_owned()),
                    _ => {
                        let at = self.now.mono_ms;
                        self.off_at.insert(order.request.target.clone(), at);
                        Ok(Reply {
                            result: Ok(Grade::VerifiedOff),
                            device: "there".to_owned(),
                            by_node: order.to,
                            elapsed_ms: 1,
                        })
                    }
                };
                Input::Relayed { relay, result }
            }
            _ => {
                self.now.mono_ms += random.below(1_500);
                Input::Tick
            }
        })
    }

    fn result(&mut self, call: &Call, random: &mut Random) -> CallResult {
        match (call.verb, random.below(6)) {
            (_, 0) => CallResult::Failed("broken".to_owned()),
            (_, 1) => CallResult::Unsupported,
            (Verb::Status, 2) => CallResult::Status(Power::On),
            (Verb::Status, _) => {
                self.off_at.insert(call.target.clone(), self.now.mono_ms);
                CallResult::Status(Power::Off)
            }
            (Verb::List, n) => {
                let all = ["n2", "n3", "n4"].map(str::to_owned);
                CallResult::Targets(all[..(n as usize - 2).min(3)].to_vec())
            }
            _ => CallResult::Done,
        }
    }
}

fn live(seed: u64) -> usize {
    let mut random = Random(seed);
    let mut world = World::default();
    let mut fencer = Fencer::new("n1", Settings::default());
    let cib = cib::Element::parse(CONFIGURATION).unwrap();
    fencer.handle(world.now, Input::Configuration(cib));
    for _ in 0..400 {
        world.drain(&mut fencer, seed);
        if let Some(input) = world.event(&mut random) {
            fencer.handle(world.now, input);
        }
    }
    // From now on nothing answers any more: only the deadlines that the core itself names.
    let mut wakes = 0;
    loop {
        world.drain(&mut fencer, seed);
        let Some(due) = fencer.poll_timeout() else {
            break;
        };
        world.now.mono_ms = world.now.mono_ms.max(due);
        fencer.handle(world.now, Input::Tick);
        wakes += 1;
        assert!(wakes < 10_000, "seed {seed}: it does not come to rest");
    }
    for (client, (target, answers)) in &world.asked {
        assert_eq!(
            *answers, 1,
            "seed {seed}: client {client} ({target}) was not answered"
        );
    }
    world.asked.len()
}

#[test]
fn whatever_happens_everybody_is_answered_and_nothing_is_claimed() {
    let requests: usize = (0..400).map(live).sum();
    assert!(requests > 4_000, "only {requests} requests were made");
}
