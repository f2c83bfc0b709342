//! The newcomer's side of a join.

use super::{Token, member};
use crate::{
    config::{Member, Ports, Timing},
    identity::{Identity, IdentityError, KeyRequest, fingerprint},
    tls::{ConnectError, Connector, Target, pinned_channel},
};
use proto::{
    PROTOCOL_VERSION,
    join::{JoinReply, JoinRequest, LeaveRequest, join_client::JoinClient},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};
use tokio::time::timeout;
use tonic::Code;

/// What a newcomer says of itself.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// Its name.
    pub node: String,
    /// One address for each link.
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    pub ports: Ports,
    /// Version of its program.
    pub version: String,
    /// Features it knows.
    pub feature_level: u32,
}

/// What a member answered, checked.
pub struct Joined {
    /// Name of the cluster.
    pub cluster_name: String,
    /// Its id.
    pub cluster_id: String,
    /// Identity of this node in the log.
    pub raft_id: u64,
    /// Everybody, this node included.
    pub members: Vec<Member>,
    key: KeyRequest,
    certificate_pem: String,
    ca_pem: String,
}

impl Joined {
    /// Writes the identity files durably.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn save_identity(&self, dir: &Path) -> Result<(), IdentityError> {
        self.key.save(dir, &self.certificate_pem, &self.ca_pem)
    }
}

/// Why a node did not become a member.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The member was not reached.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// It shows an authority other than the token's.
    #[error(
        "{address} does not belong to cluster '{cluster}' for which the token was made ({reason})"
    )]
    OtherCluster {
        /// Who was asked.
        address: SocketAddr,
        /// Named by the token.
        cluster: String,
        /// What TLS says.
        reason: String,
    },
    /// The cluster said no.
    #[error("the cluster refused: {0}")]
    Refused(String),
    /// It did not answer in time; the token may have been used up.
    #[error(
        "no answer within {0} ms: the token may be used up, look at the member's log and make another with `systole cluster token`"
    )]
    Silent(u64),
    /// It did not say in time whether this node is removed.
    #[error("no answer within {0} ms")]
    NoAnswer(u64),
    /// The answer cannot be true.
    #[error("the answer of the member is not usable: {0}")]
    Answer(String),
    /// No key could be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Asks the member at `address` to take this node into its cluster. Nothing is written.
///
/// # Errors
/// Every reason why not, in words fit for the person who typed the command.
pub async fn join(
    address: SocketAddr,
    token: &Token,
    newcomer: &Newcomer,
    timing: &Timing,
) -> Result<Joined, JoinError> {
    let key = KeyRequest::new(&newcomer.node)?;
    let channel = pinned_channel(address, &token.fingerprint, timing)
        .await
        .map_err(|error| told(address, token, error))?;
    let request = JoinRequest {
        token: token.secret.clone(),
        node: newcomer.node.clone(),
        addresses: newcomer.addresses.iter().map(ToString::to_string).collect(),
        csr_pem: key.csr_pem.clone(),
        version: newcomer.version.clone(),
        protocol: PROTOCOL_VERSION,
        feature_level: newcomer.feature_level,
        ports: Some(newcomer.ports.into()),
    };
    let limit = Duration::from_millis(timing.join_timeout_ms);
    let mut client = JoinClient::new(channel);
    let answer = timeout(limit, client.join(request))
        .await
        .map_err(|_| JoinError::Silent(timing.join_timeout_ms))?;
    match answer {
        Ok(reply) => check(reply.into_inner(), token, newcomer, key).map_err(JoinError::Answer),
        Err(status) if status.code() == Code::Unavailable => {
            let reason = format!("the connection broke ({})", status.message());
            Err(ConnectError::Closed { address, reason }.into())
        }
        Err(status) => Err(JoinError::Refused(status.message().to_owned())),
    }
}

/// Has the member `node` at `address` remove this node, which has left in order.
///
/// # Errors
/// Every reason why not, in words fit for the person who typed the command.
pub async fn leave(
    address: SocketAddr,
    node: &str,
    identity: &Identity,
    timing: &Timing,
) -> Result<(), JoinError> {
    let connector = Connector::new(identity, timing)?;
    let target = Target {
        address,
        node,
        from: None,
    };
    let connection = connector.connect(&target).await?;
    let limit = Duration::from_millis(timing.join_timeout_ms);
    let mut client = JoinClient::new(connection.channel);
    match timeout(limit, client.leave(LeaveRequest {})).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) => Err(JoinError::Refused(status.message().to_owned())),
        Err(_) => Err(JoinError::NoAnswer(timing.join_timeout_ms)),
    }
}

fn told(address: SocketAddr, token: &Token, error: ConnectError) -> JoinError {
    match error {
        ConnectError::Tls { reason, .. } => JoinError::OtherCluster {
            address,
            cluster: token.cluster_name.clone(),
            reason,
        },
        other => other.into(),
    }
}

fn check(
    reply: JoinReply,
    token: &Token,
    newcomer: &Newcomer,
    key: KeyRequest,
) -> Result<Joined, String> {
    let ca = CertificateDer::from_pem_slice(reply.ca_pem.as_bytes())
        .map_err(|e| format!("no CA certificate: {e}"))?;
    if fingerprint(&ca) != token.fingerprint {
        return Err("its CA is not the one of the token".to_owned());
    }
    if reply.cluster_name != token.cluster_name {
        return Err(format!(
            "it calls itself cluster '{}', the token is for '{}'",
            reply.cluster_name, token.cluster_name
        ));
    }
    let identity = key
        .identity(&reply.certificate_pem, &reply.ca_pem)
        .map_err(|e| e.to_string())?;
    let named = identity.named();
    if named.node != newcomer.node || named.cluster_id != reply.cluster_id {
        return Err(format!(
            "it certified node '{}' of cluster {}",
            named.node, named.cluster_id
        ));
    }
    let members: Result<_, _> = reply.members.into_iter().map(member).collect();
    Ok(Joined {
        cluster_name: reply.cluster_name,
        cluster_id: reply.cluster_id,
        raft_id: reply.raft_id,
        members: members?,
        key,
        certificate_pem: reply.certificate_pem,
        ca_pem: reply.ca_pem,
    })
}
