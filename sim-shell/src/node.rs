//! The programs of a machine, as turmoil runs them: crmd's real shell in one place, the ports that
//! survive its end in the other.

use crate::{
    machine,
    network::{MachineId, SimulatedNetwork},
    world::{Order, World},
};
use crmd::daemon::{Daemon, StartError};
use std::{future::pending, time::Duration};
use tokio::{io::AsyncReadExt, time::sleep};
use transport::{
    config::Ports,
    net::{Listener, Network},
};

/// Between two looks whether a daemon may start.
const LOOK: Duration = Duration::from_millis(5);

/// crmd of a machine: started when the machine has power and its supervisor says so, then run until it
/// ends or is killed by the harness, which throws this task away.
pub(crate) async fn crmd(world: World, own: MachineId) -> turmoil::Result {
    let config = loop {
        if let Some(config) = may_start(&world, own) {
            break config;
        }
        sleep(LOOK).await;
    };
    let started = Daemon::start_on(machine::machine(&world, own), &config).await;
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
    let machine = own;
    world
        .lock()
        .orders
        .push_back(Order::Ended { machine, reason });
    pending().await
}

fn may_start(world: &World, own: MachineId) -> Option<transport::config::Config> {
    let now = turmoil::sim_elapsed()?;
    let mut world = world.lock();
    let machine = world.machines.get_mut(own)?;
    if !machine.on || machine.starts_at.is_none_or(|at| at > now) {
        return None;
    }
    machine.config.clone()
}

/// Only a disk whose power goes in this moment may keep a daemon from starting.
fn judge(world: &World, own: MachineId, error: &StartError) {
    let excused = {
        let world = world.lock();
        world.machines.get(own).is_some_and(|m| m.disk.is_out())
    };
    if !excused {
        world.violated(format!("node{} does not come up: {error}", own + 1));
    }
}

/// The ports of the fencing daemon and the supervisor: they say that the machine lives.
pub(crate) async fn base(world: World, own: MachineId) -> turmoil::Result {
    let network = SimulatedNetwork::new(own, world.lock().wires.clone());
    loop {
        let alive = world.lock().machines.get(own).is_some_and(|m| m.alive);
        if alive {
            break;
        }
        sleep(LOOK).await;
    }
    let ports = Ports::default();
    let address = crate::network::base_address(own);
    let fencing = network.listen((address, ports.stonithd).into())?;
    let witness = network.listen((address, ports.witness).into())?;
    tokio::join!(serve(fencing, true), serve(witness, false));
    Ok(())
}

/// Accepts; the fencing daemon then waits for the caller to speak, the supervisor closes at once.
async fn serve(listener: Box<dyn Listener>, waits: bool) {
    while let Ok((mut stream, _)) = listener.accept().await {
        if waits {
            tokio::spawn(async move { stream.read(&mut [0]).await.map(drop) });
        }
    }
}
