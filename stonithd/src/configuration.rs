//! Follows the cluster's configuration through the local crmd; what is known stays known while crmd is away.

use crate::{
    driver::{Event, Events},
    peers::Peers,
};
use cib::Element;
use proto::local::{StateRequest, WatchRequest, local_client::LocalClient};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use stonithd_core::Input;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use transport::{config::Config, local::Door};

/// Largest configuration.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// How long crmd may be away without a word about it: it starts together with us.
const QUIET: Duration = Duration::from_secs(3);

/// Between two attempts while both are only starting: a node that has just come back may have to
/// fence another at once, and knows its devices only from crmd.
const EAGER: Duration = Duration::from_millis(10);

/// For an answer of the local crmd that needs nobody else.
const STATE_LIMIT: Duration = Duration::from_secs(5);

/// The parts of crmd's view that matter here; what an older crmd does not say is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct View {
    term: u64,
    members: Vec<MemberView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MemberView {
    node: String,
    life: u64,
    addresses: Vec<IpAddr>,
    ports: Option<PortsView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PortsView {
    stonithd: u16,
}

/// What is known before crmd answers: the last `cib.xml` and the members of the configuration file.
pub(crate) fn from_files(config: &Config, peers: &Peers, events: &Events) {
    let members = config.members.iter().map(|m| {
        let socket = |a: &IpAddr| SocketAddr::new(*a, m.ports.stonithd);
        (m.node.clone(), m.addresses.iter().map(socket).collect())
    });
    peers.learn(members.collect());
    let path = config.paths.cib();
    match std::fs::read_to_string(&path) {
        Ok(text) => take(&text, events, &path.display().to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => tracing::warn!(
            "{}: {e}; devices are known once crmd answers",
            path.display()
        ),
    }
}

/// Follows crmd for ever.
pub(crate) async fn follow(config: Config, crmd: Door, peers: Peers, events: Events) {
    let reconnect = Duration::from_millis(config.timing.reconnect_interval_ms);
    let mut away = Away::default();
    loop {
        match watch(&config, &crmd, &peers, &events, &mut away).await {
            Ok(()) => tracing::info!("crmd has ended the conversation; asking again"),
            Err(reason) => away.tell(&reason),
        }
        if events.is_closed() {
            return;
        }
        sleep(if away.is_short() { EAGER } else { reconnect }).await;
    }
}

/// How long crmd has been away, and whether that was said.
#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
    told: bool,
}

impl Away {
    /// Whether it may be starting.
    fn is_short(&self) -> bool {
        self.since.is_none_or(|since| since.elapsed() <= QUIET)
    }

    /// Says so once, and not while both daemons are only starting.
    fn tell(&mut self, reason: &str) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if !self.told && since.elapsed() > QUIET {
            tracing::warn!(
                "no configuration from crmd: {reason}; fencing goes on with the devices known before, and crmd is asked again and again"
            );
            self.told = true;
        }
    }
}

async fn watch(
    config: &Config,
    crmd: &Door,
    peers: &Peers,
    events: &Events,
    away: &mut Away,
) -> Result<(), String> {
    let channel = crmd.connect().await.map_err(|e| e.to_string())?;
    let mut client = LocalClient::new(channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let watching = client.watch(WatchRequest { status: false }).await;
    let mut documents = watching.map_err(|e| e.message().to_owned())?.into_inner();
    *away = Away::default();
    while let Some(document) = documents
        .message()
        .await
        .map_err(|e| e.message().to_owned())?
    {
        take(&document.xml, events, "the local crmd");
        members(config, channel.clone(), peers, events).await;
    }
    Ok(())
}

fn take(xml: &str, events: &Events, whence: &str) {
    match Element::parse(xml) {
        Ok(cib) => {
            let _ = events.send(Event::Input(Input::Configuration(cib)));
        }
        Err(e) => tracing::error!(
            "the configuration from {whence} cannot be read: {e}; fencing goes on with the devices known before"
        ),
    }
}

/// Who the members are and in which lives.
async fn members(config: &Config, channel: Channel, peers: &Peers, events: &Events) {
    let mut client = LocalClient::new(channel);
    let Ok(Ok(reply)) = timeout(STATE_LIMIT, client.state(StateRequest {})).await else {
        return;
    };
    let view: View = serde_json::from_slice(&reply.into_inner().state).unwrap_or_default();
    let _ = events.send(Event::Input(Input::TermSeen(view.term)));
    let mut addresses = BTreeMap::new();
    for member in view.members {
        let (node, number) = (member.node.clone(), member.life);
        if number > 0 {
            let _ = events.send(Event::Input(Input::LifeSeen { node, number }));
        }
        if member.node != config.node.name {
            let port = member.ports.map_or(config.ports.stonithd, |p| p.stonithd);
            let sockets = member.addresses.iter().map(|a| SocketAddr::new(*a, port));
            addresses.insert(member.node, sockets.collect());
        }
    }
    peers.learn(addresses);
}
