//! The people at the cluster: an administrator who makes it and gives it its configuration, writers who
//! change the configuration at any member and remember what was acknowledged, an observer who compares
//! what the members show.

use crate::{
    network::MachineId,
    world::{Order, World},
};
use crmd::Client;
use crmd_core::{
    entry::Ports,
    request::{CibChange, Request, Response},
    view::NodeView,
};
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
    for request in first_requests(count) {
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

fn change(action: &str, section: &str, xml: String) -> Request {
    Request::Cib(CibChange {
        action: action.to_owned(),
        section: Some(section.to_owned()),
        xpath: None,
        xml,
        allow_create: true,
        origin: "root/sim-shell".to_owned(),
    })
}

fn first_requests(machines: usize) -> Vec<Request> {
    let options = [
        ("stonith-enabled", "true"),
        ("no-quorum-policy", "stop"),
        ("stonith-timeout", "10s"),
        ("cluster-delay", "10s"),
    ];
    let nvpairs: String = options
        .iter()
        .map(|(n, v)| format!(r#"<nvpair id="opt-{n}" name="{n}" value="{v}"/>"#))
        .collect();
    let options = format!(
        r#"<cluster_property_set id="cib-bootstrap-options">{nvpairs}</cluster_property_set>"#
    );
    vec![
        change("modify", "crm_config", options),
        change("replace", "resources", resources(machines)),
    ]
}

fn resources(machines: usize) -> String {
    let hosts: Vec<String> = (1..=machines).map(|n| format!("node{n}")).collect();
    let fencing = format!(
        r#"<primitive id="fencing" class="stonith" type="fence_sim"><instance_attributes id="fencing-params"><nvpair id="fencing-hosts" name="pcmk_host_list" value="{}"/></instance_attributes>{}</primitive>"#,
        hosts.join(" "),
        operations("fencing", 20),
    );
    let primitives: String = RESOURCES
        .iter()
        .map(|id| {
            let operations = operations(id, 6);
            format!(r#"<primitive id="{id}" class="ocf" provider="heartbeat" type="Dummy">{operations}</primitive>"#)
        })
        .collect();
    format!("<resources>{fencing}{primitives}</resources>")
}

fn operations(id: &str, monitor_s: u64) -> String {
    let op = |name: &str, interval_s: u64, timeout_s: u64| {
        format!(
            r#"<op id="{id}-{name}-{interval_s}" name="{name}" interval="{interval_s}s" timeout="{timeout_s}s"/>"#
        )
    };
    let list = [
        op("start", 0, 5),
        op("stop", 0, 5),
        op("monitor", monitor_s, 4),
    ];
    format!("<operations>{}</operations>", list.concat())
}
