//! Connections between nodes: mutual TLS 1.3 over TCP, for tonic.
//!
//! A server:
//! ```no_run
//! # async fn f(config: transport::config::Config, identity: transport::identity::Identity) -> Result<(), Box<dyn std::error::Error>> {
//! use transport::tls::{PeerListener, PeerInfo};
//! let sockets = config.bind_sockets(config.ports.crmd);
//! let incoming = PeerListener::bind(&sockets, &identity, &config.timing)?;
//! // tonic::transport::Server::builder().add_service(…).serve_with_incoming(incoming).await?;
//! // in a call: let peer: &PeerInfo = transport::tls::peer(request.extensions())?;
//! # Ok(()) }
//! ```
//! A client:
//! ```no_run
//! # async fn f(config: transport::config::Config, identity: transport::identity::Identity) -> Result<(), Box<dyn std::error::Error>> {
//! use transport::tls::{Connector, Ending, Target};
//! let connector = Connector::new(&identity, &config.timing)?;
//! let target = Target { address: "192.0.2.12:5560".parse()?, node: "node2", from: None };
//! let mut connection = connector.connect(&target).await?;
//! // let client = proto::peer::peer_client::PeerClient::new(connection.channel.clone());
//! if let Ending::ByPeer(why) = connection.ended().await {
//!     println!("node2 closed the connection: {why}"); // news, not silence
//! }
//! # Ok(()) }
//! ```
//! A [`Connection`] never reconnects by itself: when it has ended, its channel only answers errors,
//! and whoever owns it decides what that means.

mod connect;
mod listen;
mod verify;
mod watched;

pub use connect::{ConnectError, Connection, Connector, Probe, Target, probe_tcp};
pub use listen::{ListenError, PeerInfo, PeerListener, PeerStream, listen_tcp, peer};
pub use watched::Ending;

pub(crate) use connect::pinned_channel;
pub(crate) use verify::check;

use crate::config::Timing;
use rustix::net::sockopt;
use std::{io, os::fd::AsFd, time::Duration};

/// Cuts TCP's long tail on a connection between nodes.
pub(crate) fn tune(socket: impl AsFd, timing: &Timing) -> io::Result<()> {
    let user_timeout = u32::try_from(timing.tcp_user_timeout_ms).unwrap_or(u32::MAX);
    let seconds = |s: u32| Duration::from_secs(u64::from(s.max(1)));
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, seconds(timing.tcp_keepalive_idle_s))?;
    sockopt::set_tcp_keepintvl(&socket, seconds(timing.tcp_keepalive_interval_s))?;
    sockopt::set_tcp_keepcnt(&socket, timing.tcp_keepalive_probes.max(1))?;
    sockopt::set_tcp_user_timeout(&socket, user_timeout)?;
    Ok(())
}

#[cfg(test)]
mod tests;
