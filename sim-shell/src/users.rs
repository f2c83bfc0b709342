//! The people at the cluster: an administrator who makes it and gives it its configuration, writers who
//! change the configuration at any member and remember what was acknowledged, an observer who compares
//! what the members show.

use crate::{
    network::MachineId,
    switches::{BMC, KIND, OUTLETS},
    world::{Order, World},
};
use crmd::Client;
use crmd_core::{
    entry::Ports,
    request::{Request, Response},
    view::NodeView,
};
use sim::configuration::{self, change};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{sleep, timeout};

/// How long a person waits for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Between two attempts of the administrator.
const AGAIN: Duration = Duration::from_millis(100);

/// Between two clean-ups once nothing fails any more.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// Between two looks of the observer.
const LOOK: Duration = Duration::from_millis(250);

/// Writers at once.
const WRITERS: u64 = 3;

/// Primitives that must never be active twice.
pub(crate) const RESOURCES: [&str; 4] = ["r1", "r2", "r3", "r4"];

/// Everybody.
pub(crate) async fn all(world: World) -> turmoil::Result {
    for writer in 1..=WRITERS {
        tokio::spawn(write(world.clone(), writer));
    }
    tokio::spawn(observe(world.clone()));
    administer(&world).await;
    clean_up(&world).await
}

/// Makes the cluster: further members by token, then the configuration.
async fn administer(world: &World) {
    let count = world.lock().machines.len();
    for machine in 1..count {
        let raft_id = join(world, machine).await;
        {
            let mut world = world.lock();
            if let Some(config) = &mut world.machines[machine].config {
                config.node.raft_id = raft_id;
            }
            world.orders.push_back(Order::Boot(machine));
        }
        until_online(world, machine + 1).await;
    }
    let wiring = Wiring::draw(world, count);
    tracing::info!("harness: {wiring:?}");
    for request in first_requests(count, &wiring) {
        while !matches!(
            ask(world, 0, request.clone()).await,
            Some(Response::Cib { .. })
        ) {
            sleep(AGAIN).await;
        }
    }
    world.lock().formed = true;
}

/// Once nothing fails any more, failures of before are forgotten, as a person would have it.
async fn clean_up(world: &World) -> turmoil::Result {
    loop {
        sleep(CLEAN_UP).await;
        if !world.lock().healed {
            continue;
        }
        let everything = Request::Cleanup {
            resource: None,
            node: None,
            failed_only: true,
        };
        let machines = world.lock().machines.len();
        for machine in 0..machines {
            if ask(world, machine, everything.clone()).await.is_some() {
                break;
            }
        }
    }
}

async fn join(world: &World, machine: MachineId) -> u64 {
    let (node, address) = {
        let world = world.lock();
        let name = world.machines[machine].name.clone();
        (name, crate::network::address(machine).to_string())
    };
    let digest = format!("{machine:064x}");
    loop {
        let token = Request::MakeToken {
            digest: digest.clone(),
            valid_s: 600,
        };
        let wish = Request::Join {
            digest: digest.clone(),
            node: node.as_str().into(),
            addresses: vec![address.clone()],
            ports: Ports::default(),
        };
        if ask(world, 0, token).await == Some(Response::Done)
            && let Some(Response::Joined { member, .. }) = ask(world, 0, wish).await
        {
            return member.raft_id;
        }
        sleep(AGAIN).await;
    }
}

async fn until_online(world: &World, count: usize) {
    loop {
        let view = match client(world, 0) {
            Some(client) => client.view().await.ok(),
            None => None,
        };
        if view.is_some_and(|v| v.quorate && online(&v) == count) {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// How many members a node shows as online.
#[must_use]
pub(crate) fn online(view: &NodeView) -> usize {
    let online = view.members.iter().filter(|m| m.state == "online");
    online.count()
}

fn client(world: &World, machine: MachineId) -> Option<Client> {
    world.lock().machines.get(machine)?.client.clone()
}

async fn ask(world: &World, machine: MachineId, request: Request) -> Option<Response> {
    let client = client(world, machine)?;
    client.call(request, PATIENCE).await.ok()
}

/// Changes the configuration at members in turn, for as long as the run lasts.
async fn write(world: World, writer: u64) {
    for number in 1.. {
        let pause_ms = world.draw(20..=400);
        sleep(Duration::from_millis(pause_ms)).await;
        let (formed, quiet, machines) = {
            let world = world.lock();
            (world.formed, world.quiet, world.machines.len() as u64)
        };
        if !formed || quiet {
            continue;
        }
        let machine = world.draw(0..=machines - 1) as MachineId;
        let id = format!("w{writer}-{number}");
        let answer = ask(&world, machine, set(&id)).await;
        let mut world = world.lock();
        match answer {
            Some(Response::Cib { .. }) => {
                world.count("writes acknowledged");
                world.acknowledged.insert(id);
            }
            Some(_) => world.count("writes refused"),
            None => world.count("writes unanswered"),
        }
    }
}

fn set(id: &str) -> Request {
    change(
        "modify",
        "crm_config",
        format!(
            "<cluster_property_set id=\"written\"><nvpair id=\"{id}\" name=\"{id}\" value=\"1\"/></cluster_property_set>"
        ),
    )
}

/// Members that have applied the same part of the log have the same configuration.
async fn observe(world: World) {
    let mut digests: BTreeMap<u64, (String, String)> = BTreeMap::new();
    loop {
        sleep(LOOK).await;
        let count = world.lock().machines.len();
        for machine in 0..count {
            let seen = view(&world, machine).await;
            world.lock().views[machine].clone_from(&seen);
            let Some(view) = seen else {
                continue;
            };
            let known = digests
                .entry(view.applied)
                .or_insert_with(|| (view.digest.clone(), view.node.clone()));
            if known.0 != view.digest {
                world.violated(format!(
                    "at index {} {} has digest {}, {} had {}",
                    view.applied, view.node, view.digest, known.1, known.0
                ));
            }
        }
    }
}

/// What a node shows, if it answers soon.
async fn view(world: &World, machine: MachineId) -> Option<NodeView> {
    let client = client(world, machine)?;
    timeout(LOOK, client.view()).await.ok()?.ok()
}

/// How the machines' power is wired up, and who may switch it.
#[derive(Debug)]
struct Wiring {
    /// With a topology: both outlets together, then the controller; else the controller alone.
    levels: bool,
    /// The devices say themselves whom they can fence.
    listed: bool,
    /// Nodes that must not use a device.
    bans: Vec<(&'static str, String)>,
}

impl Wiring {
    fn draw(world: &World, machines: usize) -> Self {
        let levels = world.happens(600);
        let listed = world.happens(300);
        let devices: &[&str] = if levels { &OUTLETS } else { &[BMC] };
        let mut bans = Vec::new();
        for device in devices {
            if world.happens(500) {
                let node = world.draw(1..=machines as u64);
                bans.push((*device, format!("node{node}")));
            }
        }
        Self {
            levels,
            listed,
            bans,
        }
    }

    fn devices(&self, machines: usize) -> String {
        let hosts: Vec<String> = match self.listed {
            true => Vec::new(),
            false => (1..=machines).map(|n| format!("node{n}")).collect(),
        };
        let outlets: &[&str] = if self.levels { &OUTLETS } else { &[] };
        let ids = outlets.iter().chain(&[BMC]);
        ids.map(|id| configuration::device(id, KIND, &hosts))
            .collect()
    }

    fn topology(&self) -> String {
        let outlets = OUTLETS.join(",");
        let level = |index: u32, devices: &str| {
            format!(
                r#"<fencing-level id="level-{index}" target-pattern="node.*" index="{index}" devices="{devices}"/>"#
            )
        };
        let levels = match self.levels {
            true => [level(1, &outlets), level(2, BMC)].concat(),
            false => String::new(),
        };
        format!("<fencing-topology>{levels}</fencing-topology>")
    }

    fn constraints(&self) -> String {
        let bans = self.bans.iter().map(|(device, node)| {
            format!(
                r#"<rsc_location id="ban-{device}" rsc="{device}" node="{node}" score="-INFINITY"/>"#
            )
        });
        format!("<constraints>{}</constraints>", bans.collect::<String>())
    }
}

fn first_requests(machines: usize, wiring: &Wiring) -> Vec<Request> {
    let names = RESOURCES.map(str::to_owned);
    let resources = configuration::all(&wiring.devices(machines), &names);
    vec![
        change("modify", "crm_config", configuration::options("stop")),
        change("replace", "resources", resources),
        change("replace", "fencing-topology", wiring.topology()),
        change("replace", "constraints", wiring.constraints()),
    ]
}
