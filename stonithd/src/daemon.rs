//! Puts the daemon's parts together.

use crate::{
    configuration,
    driver::Driver,
    machine::Machine,
    peers::Peers,
    service::{Callers, Service},
};
use proto::fencing::fencing_server::FencingServer;
use stonithd_core::{Fencer, Settings};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::Stream;
use tonic::transport::{Server, server::Connected};
use transport::{
    config::{Config, ConfigError},
    identity::{Identity, IdentityError},
    life::{self, LifeError},
    local::{Door, LocalError},
    lock::{self, Lock, LockError},
    tls::{Connector, ListenError, PeerListener},
};

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Life(#[from] LifeError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// A running daemon; it ends when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    tasks: Vec<JoinHandle<()>>,
    broken: mpsc::Receiver<String>,
    _lock: Lock,
}

impl Daemon {
    /// Starts it: afterwards it answers on its socket and its port.
    ///
    /// # Errors
    /// What stands in the way, with file or address.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_on(Machine::real(), config).await
    }

    /// Starts it on this machine.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(machine: Machine, config: &Config) -> Result<Self, StartError> {
        let life = life::begin(&config.paths.state_dir, &config.paths.run_dir)?;
        let lock = lock::acquire(&config.paths.lock_file("stonithd"))?;
        let identity = Identity::load(
            &config.paths.identity_dir,
            &config.node.name,
            &config.cluster.id,
        )?;
        let network = machine.network.clone();
        let addresses = config.bind_sockets(config.ports.stonithd);
        let peer_listener =
            PeerListener::bind_over(&*network, &addresses, &identity, &config.timing)?;
        let local_listener = machine.doors.listen(&config.paths.stonithd_socket())?;
        let connector = Connector::new(&identity, &config.timing)?.over(network);
        let crmd = Door::new(
            machine.doors.clone(),
            config.paths.crmd_socket(),
            config.timing.local_connect_timeout_ms,
        );

        let (events, queue) = mpsc::unbounded_channel();
        let peers = Peers::new(connector);
        let fencer = Fencer::new(&config.node.name, Settings::default());
        let driver = Driver::new(fencer, &machine, peers.clone(), events.clone());
        configuration::from_files(config, &peers, &events);
        let service = Service {
            callers: Callers::Local,
            events: events.clone(),
            plugin: machine.plugin,
            node: config.node.name.clone(),
            life: life.clone(),
            crmd: crmd.clone(),
        };
        let for_peers = Service {
            callers: Callers::Peers,
            ..service.clone()
        };
        let (failed, broken) = mpsc::channel(2);
        let tasks = vec![
            tokio::spawn(driver.run(queue)),
            tokio::spawn(serve(service, local_listener, failed.clone())),
            tokio::spawn(serve(for_peers, peer_listener, failed)),
            tokio::spawn(configuration::follow(config.clone(), crmd, peers, events)),
        ];
        tracing::info!(
            node = config.node.name,
            cluster = config.cluster.name,
            life = life.number,
            at_ms = machine.clock.now().mono_ms,
            version = env!("CARGO_PKG_VERSION"),
            "stonithd runs"
        );
        Ok(Self {
            tasks,
            broken,
            _lock: lock,
        })
    }

    /// Waits until it cannot go on, and says why.
    pub async fn broken(mut self) -> String {
        self.broken
            .recv()
            .await
            .unwrap_or_else(|| "its servers have ended".to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn serve<S, I>(service: Service, incoming: I, failed: mpsc::Sender<String>)
where
    I: Stream<Item = std::io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    S::ConnectInfo: Clone + Send + Sync + 'static,
{
    let whom = service.callers;
    let served = Server::builder()
        .add_service(FencingServer::new(service))
        .serve_with_incoming(incoming)
        .await;
    let why = match served {
        Ok(()) => "its listener has ended".to_owned(),
        Err(error) => error.to_string(),
    };
    let _ = failed
        .send(format!("cannot serve {whom:?} callers any more: {why}"))
        .await;
}
