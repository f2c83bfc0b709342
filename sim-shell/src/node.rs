//! The programs of a machine, as turmoil runs them, each in a place of its own so that it can be killed
//! alone: the real shells of crmd and stonithd, and a supervisor's port.

use crate::{
    machine,
    network::{MachineId, SimulatedNetwork},
    world::{Order, Program, World},
};
use crmd::daemon::StartError;
use sim::truth::Truth;
use std::{future::pending, time::Duration};
use tokio::time::sleep;
use transport::{config::Config, config::Ports, net::Network};

/// Between two looks whether a daemon may start.
const LOOK: Duration = Duration::from_millis(5);

/// crmd of a machine: started when the machine has power and its supervisor says so, then run until it
/// ends or is killed by the harness, which throws this task away.
pub(crate) async fn crmd(world: World, own: MachineId) -> turmoil::Result {
    let config = may_start(&world, own, Program::Crmd).await;
    let place = world.lock().machines.get(own).map(|m| m.place());
    if let Some(place) = place {
        world.tell(&Truth::Lives(place));
    }
    let machine = machine::for_crmd(&world, own);
    let started = crmd::daemon::Daemon::start_on(machine, &config).await;
    let reason = match started {
        Ok(daemon) => {
            let client = daemon.client();
            if let Some(machine) = world.lock().machines.get_mut(own) {
                machine.client = Some(client);
            }
            let ending = daemon.run().await;
            format!("{ending:?}")
        }
        Err(error) => {
            judge(&world, own, &error);
            format!("it did not start: {error}")
        }
    };
    ended(&world, own, Program::Crmd, reason).await
}

/// stonithd of a machine, likewise.
pub(crate) async fn stonithd(world: World, own: MachineId) -> turmoil::Result {
    let config = may_start(&world, own, Program::Stonithd).await;
    let machine = machine::for_stonithd(&world, own);
    let reason = match stonithd::Daemon::start_on(machine, &config).await {
        Ok(daemon) => daemon.broken().await,
        Err(error) => {
            world.violated(format!(
                "stonithd of node{} does not come up: {error}",
                own + 1
            ));
            format!("it did not start: {error}")
        }
    };
    ended(&world, own, Program::Stonithd, reason).await
}

async fn may_start(world: &World, own: MachineId, program: Program) -> Config {
    loop {
        if let Some(config) = config(world, own, program) {
            return config;
        }
        sleep(LOOK).await;
    }
}

fn config(world: &World, own: MachineId, program: Program) -> Option<Config> {
    let now = turmoil::sim_elapsed()?;
    let world = world.lock();
    let machine = world.machines.get(own)?;
    let starts = match program {
        Program::Crmd => machine.crmd_starts,
        Program::Stonithd => machine.stonithd_starts,
    };
    let may = machine.on && starts.is_some_and(|at| at <= now);
    machine.config.clone().filter(|_| may)
}

async fn ended(world: &World, machine: MachineId, program: Program, reason: String) -> ! {
    world.lock().orders.push_back(Order::Ended {
        machine,
        program,
        reason,
    });
    pending().await
}

/// Only a disk whose power goes in this moment, or that has no room, may keep a daemon from starting.
fn judge(world: &World, own: MachineId, error: &StartError) {
    let excused = {
        let world = world.lock();
        let disk = world.machines.get(own).map(|m| m.disk.clone());
        disk.is_some_and(|d| d.is_out() || d.is_full())
    };
    if !excused {
        world.violated(format!("node{} does not come up: {error}", own + 1));
    }
}

/// The port of the supervisor: it closes at once, and that says that the machine lives.
pub(crate) async fn supervisor(world: World, own: MachineId) -> turmoil::Result {
    let network = SimulatedNetwork::new(own, world.lock().wires.clone());
    while !world.lock().machines.get(own).is_some_and(|m| m.alive) {
        sleep(LOOK).await;
    }
    let address = crate::network::supervisor_address(own);
    let witness = network.listen((address, Ports::default().witness).into())?;
    while witness.accept().await.is_ok() {}
    Ok(())
}
