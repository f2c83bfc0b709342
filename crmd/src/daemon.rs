//! Puts the daemon's parts together and takes them apart again.

use crate::{
    agents::{self, Agents},
    alerts::{self, Alerts},
    cib_file::CibFile,
    driver::{Driver, Effects, Ending, Event, EventQueue, Events, Snapshot},
    fence_devices::FenceDevices,
    fencing::Fencing,
    join::{self, Admissions},
    journal::{Journal, JournalError},
    links::Links,
    local_server::{self, Calls, Client},
    log_store::{LogStore, OpenError},
    machine::Machine,
    membership::VoterChanges,
    metrics,
    peer_link::Patience,
    peer_server,
    raft_control::RaftControl,
    raft_net::RaftNets,
    raft_pace::Rhythm,
    raft_types::{PeerNode, Raft},
    state_machine::StateMachine,
    storage_watch,
    wire::Wire,
};
use crmd_core::{
    Identity as CoreIdentity, Node,
    entry::Member,
    ids::{Life, NodeName},
    settings::Settings,
};
use ocf_runner::Runner;
use openraft::SnapshotPolicy;
use proto::{PROTOCOL_VERSION, peer::Hello};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tonic::{service::Routes, transport::Server};
use transport::{
    config::{Config, ConfigError},
    identity::{Identity, IdentityError},
    join::JoinService,
    life::{self, LifeError},
    local::{Door, LocalError},
    lock::{self, Lock, LockError},
    tls::{Connector, ListenError, PeerListener},
};

/// Of the program, for people.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What members of one cluster must have in common beyond the protocol; raised by consensus only.
const FEATURE_LEVEL: u32 = 1;

/// Entries between two snapshots of the log.
const SNAPSHOT_EVERY: u64 = 500;

/// Entries kept behind a snapshot for followers that are a little late.
const KEPT_BEHIND: u64 = 100;

/// How long an agent that an earlier incarnation left at work may end by itself.
const LEFTOVER_PATIENCE: Duration = Duration::from_millis(500);

/// Between SIGTERM and SIGKILL of what does not.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// For Raft to end; its log is durable at every moment.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

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
    Journal(#[from] JournalError),
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error("Raft: {0}")]
    Raft(String),
    #[error("{path}: {source}")]
    File {
        path: std::path::PathBuf,
        source: std::io::Error,
    },
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    events: Events,
    client: Client,
    driver: JoinHandle<Ending>,
    servers: Vec<JoinHandle<()>>,
    alerts: Alerts,
    /// How long alert agents may take when the daemon ends.
    alerts_limit: Duration,
    raft: Raft,
    _lock: Lock,
}

impl Daemon {
    /// Starts it: afterwards it takes part in the cluster and answers on its socket.
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
        let host = life::begin(&config.paths.state_dir, &config.paths.run_dir)?;
        let lock = lock::acquire(&config.paths.lock_file("crmd"))?;
        let incarnation = life::next_incarnation(&config.paths.run_dir, "crmd", &host)?;
        let life = Life {
            number: host.number,
            id: host.id,
        };
        let node = recovered_node(&machine, config, &life, incarnation).await?;
        let (events, queue) = mpsc::unbounded_channel();
        let start = Start {
            machine,
            config,
            life: &life,
            hello: hello(config, &life, incarnation),
            identity: Identity::load(
                &config.paths.identity_dir,
                &config.node.name,
                &config.cluster.id,
            )?,
            events,
        };
        start.run(node, queue, lock).await
    }

    /// For tests and signals: ends the daemon; resources run on.
    pub fn stop(&self) {
        // A closed queue: it is ending already.
        let _ = self.events.send(Event::Stop(Ending::Asked));
    }

    /// What a tool of this node can ask, without its socket.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The way to the driver.
    pub(crate) fn events(&self) -> Events {
        self.events.clone()
    }

    /// Works until it shall end, and says why.
    pub async fn run(mut self) -> Ending {
        let ending = match (&mut self.driver).await {
            Ok(ending) => ending,
            Err(error) => Ending::Broken(format!("the driver has failed: {error}")),
        };
        for server in &self.servers {
            server.abort();
        }
        let alerts_limit = match ending {
            Ending::Broken(_) => Duration::ZERO,
            Ending::Asked | Ending::Left(_) => self.alerts_limit,
        };
        self.alerts.finish(alerts_limit).await;
        if timeout(SHUTDOWN_LIMIT, self.raft.shutdown()).await.is_err() {
            tracing::warn!("Raft did not end in time; its log is durable all the same");
        }
        ending
    }
}

/// The core with what an earlier incarnation of this life was doing.
async fn recovered_node(
    machine: &Machine,
    config: &Config,
    life: &Life,
    incarnation: u64,
) -> Result<(Node, Journal), StartError> {
    let path = config.paths.run_dir.join("crmd.journal");
    let (journal, recovered) = Journal::open(&path, life)?;
    match &machine.agents {
        Some(simulated) => simulated.settle().await,
        None => {
            let unfinished = &recovered.unfinished;
            agents::settle(unfinished, life, LEFTOVER_PATIENCE, LEFTOVER_GRACE).await;
        }
    }
    let identity = CoreIdentity {
        node: config.node.name.as_str().into(),
        life: life.clone(),
        incarnation,
        version: VERSION.to_owned(),
        member: own_member(config),
    };
    let settings: Settings = config.timing.core()?;
    let mut node = Node::new(identity, settings, machine.clock.now());
    node.recover(recovered.records);
    Ok((node, journal))
}

fn own_member(config: &Config) -> Member {
    Member {
        node: config.node.name.as_str().into(),
        raft_id: config.node.raft_id,
        addresses: config
            .node
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect(),
        ports: join::to_core(config.ports),
    }
}

fn hello(config: &Config, life: &Life, incarnation: u64) -> Hello {
    Hello {
        cluster_name: config.cluster.name.clone(),
        cluster_id: config.cluster.id.clone(),
        node: config.node.name.clone(),
        version: VERSION.to_owned(),
        protocol: PROTOCOL_VERSION,
        feature_level: FEATURE_LEVEL,
        raft_id: config.node.raft_id,
        life_number: life.number,
        life_id: life.id.clone(),
        incarnation,
        generation: String::new(),
    }
}

/// What the parts are made from.
struct Start<'a> {
    machine: Machine,
    config: &'a Config,
    life: &'a Life,
    hello: Hello,
    identity: Identity,
    events: Events,
}

impl Start<'_> {
    async fn run(
        self,
        (node, journal): (Node, Journal),
        queue: EventQueue,
        lock: Lock,
    ) -> Result<Daemon, StartError> {
        let store = LogStore::open(
            &self.config.paths.state_dir.join("raft.redb"),
            &self.machine.disk,
        )?;
        let links = self.links()?;
        let control = RaftControl::new(self.events.clone(), self.rhythm());
        let voters = Arc::new(VoterChanges::new());
        let empty = Snapshot {
            document: node.document(),
            configuration: 0,
            change: 0,
        };
        let (published_sender, published) = watch::channel(empty);
        // Bound before Raft starts, so that an address in use is found before anything happens.
        let client = self.client(published);
        let mut servers = self.serve(&links, &control, &client)?;
        let alerts = self.alerts();
        let effects = Effects {
            links: links.clone(),
            raft: control.clone(),
            voters: voters.clone(),
            journal,
            agents: Agents::new(
                self.runner(),
                self.fence_devices(),
                self.events.clone(),
                self.life,
                self.machine.agents.clone(),
            ),
            alerts: alerts.clone(),
            fencing: self.fencing(),
            cib_file: CibFile::start(
                &self.config.paths.state_dir,
                self.machine.work,
                store.health().clone(),
            ),
            published: published_sender,
            clock: self.machine.clock.clone(),
            network: self.machine.network.clone(),
            work: self.machine.work,
            remembered: crate::schedule::Remembered::default(),
            events: self.events.clone(),
        };
        let driver = tokio::spawn(Driver::new(node, effects).run(queue));
        let raft = self
            .raft(
                store.clone(),
                RaftNets::new(links.clone(), control.pace().clone()),
            )
            .await?;
        if self.founds(&store) {
            self.found(&raft).await?;
        }
        control.connect(raft.clone());
        let stall = Duration::from_millis(self.config.timing.storage_stall_ms);
        let health = store.health().clone();
        tokio::spawn(storage_watch::watch(
            health,
            control.pace().clone(),
            stall,
            self.events.clone(),
        ));
        voters.connect(raft.clone());
        if let Some(settings) = self.config.metrics {
            let sources = metrics::Sources {
                events: self.events.clone(),
                raft: control,
                links,
                alerts: alerts.clone(),
            };
            servers.push(tokio::spawn(metrics::serve(settings, sources)));
        }
        Ok(Daemon {
            events: self.events,
            client,
            driver,
            servers,
            alerts,
            alerts_limit: Duration::from_millis(self.config.alerts.finish_timeout_ms),
            raft,
            _lock: lock,
        })
    }

    fn links(&self) -> Result<Links, StartError> {
        let timing = &self.config.timing;
        let connector = Connector::new(&self.identity, timing)?.over(self.machine.network.clone());
        let greet = Duration::from_millis(timing.connect_timeout_ms);
        let wire = Wire::new(connector, self.hello.clone(), greet);
        let patience = Patience {
            pause: Duration::from_millis(timing.reconnect_interval_ms),
            stale: Duration::from_millis(timing.link_stale_ms),
            lost: Duration::from_millis(timing.failure_timeout_ms),
        };
        let own = NodeName::from(self.config.node.name.as_str());
        Ok(Links::new(own, wire, patience, self.events.clone()))
    }

    fn serve(
        &self,
        links: &Links,
        control: &RaftControl,
        client: &Client,
    ) -> Result<Vec<JoinHandle<()>>, StartError> {
        let config = self.config;
        let sockets = config.bind_sockets(config.ports.crmd);
        let network = &*self.machine.network;
        let peers = PeerListener::bind_over(network, &sockets, &self.identity, &config.timing)?;
        let peer_routes = peer_server::routes(
            self.hello.clone(),
            self.events.clone(),
            links.clone(),
            control.clone(),
        );
        let newcomers = PeerListener::bind_join_over(
            network,
            &config.bind_sockets(config.ports.join),
            &self.identity,
            &config.timing,
        )?;
        let admissions = Arc::new(Admissions::new(client.calls.clone()));
        let joins = JoinService::new(config, VERSION, FEATURE_LEVEL, admissions);
        let join_routes = Routes::new(joins.server());
        let tools = self.machine.doors.listen(&config.paths.crmd_socket())?;
        let tool_routes = local_server::routes(client.clone());
        Ok(vec![
            tokio::spawn(serve(
                "newcomers",
                newcomers,
                join_routes,
                self.events.clone(),
            )),
            tokio::spawn(serve("members", peers, peer_routes, self.events.clone())),
            tokio::spawn(serve("tools", tools, tool_routes, self.events.clone())),
        ])
    }

    /// The way to the fencing daemon of this node.
    fn fencing_door(&self) -> Door {
        Door::new(
            self.machine.doors.clone(),
            self.config.paths.stonithd_socket(),
            self.config.timing.local_connect_timeout_ms,
        )
    }

    fn client(&self, published: crate::driver::Published) -> Client {
        let limit = Duration::from_millis(self.config.timing.request_timeout_ms);
        Client {
            calls: Calls::new(self.events.clone(), limit),
            published,
        }
    }

    fn runner(&self) -> Runner {
        let paths = &self.config.paths;
        Runner::new(ocf_runner::Config {
            ocf_root: paths.ocf_root.clone(),
            extra_dirs: paths.agents_dirs.clone(),
            scratch_dir: Some(paths.run_dir.join("resource-agents")),
            ..ocf_runner::Config::default()
        })
    }

    fn fence_devices(&self) -> FenceDevices {
        FenceDevices::new(
            self.fencing_door(),
            self.config.paths.run_dir.join("fence-devices"),
        )
    }

    fn alerts(&self) -> Alerts {
        let settings = &self.config.alerts;
        let limits = alerts::Limits {
            parallel: settings.parallel,
            parallel_per_alert: settings.parallel_per_alert,
            queue_per_alert: settings.queue_per_alert,
        };
        Alerts::new(
            limits,
            &settings.user,
            &self.life.id,
            self.hello.incarnation > 1,
        )
    }

    fn fencing(&self) -> Fencing {
        Fencing::new(
            self.fencing_door(),
            self.config.node.name.as_str().into(),
            self.events.clone(),
        )
    }

    fn rhythm(&self) -> Rhythm {
        let timing = &self.config.timing;
        Rhythm {
            heartbeat: Duration::from_millis(timing.raft_heartbeat_ms),
            patience_min: Duration::from_millis(timing.raft_election_min_ms),
            patience_max: Duration::from_millis(timing.raft_election_max_ms),
        }
    }

    async fn raft(&self, store: LogStore, nets: RaftNets) -> Result<Raft, StartError> {
        let timing = &self.config.timing;
        let config = openraft::Config {
            cluster_name: self.config.cluster.name.clone(),
            heartbeat_interval: timing.raft_heartbeat_ms,
            // Who stands and when is `raft_pace`'s: of these only the second counts, as the time for which
            // those who heard the leader refuse their vote to others.
            enable_tick: false,
            election_timeout_min: timing.raft_election_min_ms - 1,
            election_timeout_max: timing.raft_election_min_ms,
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_EVERY),
            max_in_snapshot_log_to_keep: KEPT_BEHIND,
            backoff: "20ms 40ms 80ms ..200ms".to_owned(),
            ..openraft::Config::default()
        };
        let config = config
            .validate()
            .map_err(|e| StartError::Raft(e.to_string()))?;
        let machine = StateMachine::new(self.events.clone(), store.clone());
        Raft::new(
            self.config.node.raft_id,
            Arc::new(config),
            nets,
            store,
            machine,
        )
        .await
        .map_err(|e| StartError::Raft(e.to_string()))
    }

    /// Whether this daemon makes a new cluster: its node was given the first Raft id, `cluster init`
    /// left its `cib.xml`, nothing was ever in the log, and it never did so before. A node that lost its
    /// log must not make a second cluster (protocol.md, 17): it waits to be added under a new id.
    fn founds(&self, store: &LogStore) -> bool {
        let alone = self
            .config
            .members
            .iter()
            .all(|m| m.node == self.config.node.name);
        self.config.node.raft_id == 1
            && alone
            && store.is_pristine()
            && self.config.paths.cib().exists()
            && !self.founded_mark().exists()
    }

    async fn found(&self, raft: &Raft) -> Result<(), StartError> {
        let own = own_member(self.config);
        tracing::info!(node = %own.node, cluster = self.config.cluster.name, "making a new cluster with this node as its first member");
        let members = BTreeMap::from([(own.raft_id, PeerNode::from(&own))]);
        raft.initialize(members)
            .await
            .map_err(|e| StartError::Raft(e.to_string()))?;
        mark(&self.founded_mark(), &self.config.cluster.id)
    }

    fn founded_mark(&self) -> std::path::PathBuf {
        self.config.paths.state_dir.join("founded")
    }
}

fn mark(path: &Path, text: &str) -> Result<(), StartError> {
    std::fs::write(path, text).map_err(|source| StartError::File {
        path: path.to_owned(),
        source,
    })
}

/// Serves until aborted; a server that ends by itself ends the daemon.
async fn serve<I, S>(whom: &'static str, incoming: I, routes: Routes, events: Events)
where
    I: futures::Stream<Item = std::io::Result<S>> + Send,
    S: tonic::transport::server::Connected
        + tokio::io::AsyncRead
        + tokio::io::AsyncWrite
        + Unpin
        + Send
        + 'static,
    S::ConnectInfo: Clone + Send + Sync + 'static,
{
    let served = Server::builder()
        .add_routes(routes)
        .serve_with_incoming(incoming)
        .await;
    let why = match served {
        Ok(()) => "its listener has ended".to_owned(),
        Err(error) => error.to_string(),
    };
    let ending = Ending::Broken(format!("cannot serve {whom} any more: {why}"));
    let _ = events.send(Event::Stop(ending));
}

#[cfg(test)]
mod tests;
