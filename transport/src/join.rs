//! How a node becomes a member: a token made by a member, a service that signs certificates, and
//! the client of `systole cluster join`.
//!
//! The newcomer knows the cluster only by its token: the fingerprint of the cluster's authority
//! (so it cannot be lured into another one) and a secret that is good once and for a while (so
//! nobody else gets in). Whether a token is good is decided by the cluster ([`Admission`]), which
//! keeps only digests.
//!
//! The member's side, inside crmd:
//! ```no_run
//! # async fn f(config: transport::config::Config, identity: transport::identity::Identity,
//! #   admission: std::sync::Arc<dyn transport::join::Admission>) -> Result<(), Box<dyn std::error::Error>> {
//! use transport::{join::JoinService, tls::PeerListener};
//! let sockets = config.bind_sockets(config.ports.join);
//! let incoming = PeerListener::bind_join(&sockets, &identity, &config.timing)?;
//! let service = JoinService::new(&config, env!("CARGO_PKG_VERSION"), 1, admission).server();
//! // tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
//! # Ok(()) }
//! ```

mod client;
mod service;
mod token;

pub use client::{JoinError, Joined, Newcomer, join, leave};
pub use service::{Admission, Admitted, Applicant, JoinService};
pub use token::{Token, TokenError, digest};

use crate::config::{Member, Ports};
use proto::join as wire;

impl From<Ports> for wire::Ports {
    fn from(ports: Ports) -> Self {
        Self {
            crmd: ports.crmd.into(),
            stonithd: ports.stonithd.into(),
            join: ports.join.into(),
            witness: ports.witness.into(),
        }
    }
}

/// Ports from the wire; absent ones are the defaults.
fn ports(wire: Option<wire::Ports>) -> Result<Ports, String> {
    let Some(wire) = wire else {
        return Ok(Ports::default());
    };
    let port = |name: &str, value: u32| match u16::try_from(value) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(format!("{value} is no port for {name}")),
    };
    Ok(Ports {
        crmd: port("crmd", wire.crmd)?,
        stonithd: port("stonithd", wire.stonithd)?,
        join: port("join", wire.join)?,
        witness: port("witness", wire.witness)?,
    })
}

impl From<Member> for wire::Member {
    fn from(member: Member) -> Self {
        Self {
            node: member.node,
            raft_id: member.raft_id,
            addresses: member.addresses.iter().map(ToString::to_string).collect(),
            ports: Some(member.ports.into()),
        }
    }
}

fn member(wire: wire::Member) -> Result<Member, String> {
    Ok(Member {
        addresses: addresses(&wire.addresses)?,
        ports: ports(wire.ports)?,
        node: wire.node,
        raft_id: wire.raft_id,
    })
}

fn addresses(wire: &[String]) -> Result<Vec<std::net::IpAddr>, String> {
    let address = |text: &String| {
        text.parse()
            .map_err(|_| format!("'{text}' is not an IP address"))
    };
    wire.iter().map(address).collect()
}

#[cfg(test)]
mod tests;
