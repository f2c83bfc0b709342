//! The member's side of a join.

use super::{addresses, digest, ports, wire};
use crate::{
    config::{Config, Member, Ports},
    identity::{self, Authority},
    tls,
};
use proto::{
    PROTOCOL_VERSION,
    join::{
        JoinReply, JoinRequest, LeaveReply, LeaveRequest,
        join_server::{Join, JoinServer},
    },
};
use std::{net::IpAddr, path::PathBuf, sync::Arc};
use tonic::{Request, Response, Status};
use tracing::{info, warn};

/// Somebody who showed a token and wants to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// SHA-256 of the secret it showed, hexadecimal.
    pub digest: String,
    /// Its name.
    pub node: String,
    /// One address for each link.
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    pub ports: Ports,
}

/// The cluster's agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Identity of the new member in the log.
    pub raft_id: u64,
    /// Everybody, the new one included.
    pub members: Vec<Member>,
}

/// Who decides: the cluster, through `Request::Join` and `Request::RemoveMember`.
#[tonic::async_trait]
pub trait Admission: Send + Sync + 'static {
    /// Uses up the token and makes the node a member; an error says in words why not (token
    /// unknown, used, expired; name taken; no quorum).
    async fn admit(&self, applicant: Applicant) -> Result<Admitted, String>;

    /// Removes a member that has left in order; an error says in words why not.
    async fn remove(&self, node: &str) -> Result<(), String>;
}

/// Serves `join.Join`.
pub struct JoinService {
    cluster_name: String,
    cluster_id: String,
    node: String,
    identity_dir: PathBuf,
    version: String,
    feature_level: u32,
    admission: Arc<dyn Admission>,
}

impl JoinService {
    /// For the node that `config` describes. `version` is the program's, `feature_level` the one
    /// the cluster has committed to.
    #[must_use]
    pub fn new(
        config: &Config,
        version: &str,
        feature_level: u32,
        admission: Arc<dyn Admission>,
    ) -> Self {
        Self {
            cluster_name: config.cluster.name.clone(),
            cluster_id: config.cluster.id.clone(),
            node: config.node.name.clone(),
            identity_dir: config.paths.identity_dir.clone(),
            version: version.to_owned(),
            feature_level,
            admission,
        }
    }

    /// For tonic's `add_service`.
    #[must_use]
    pub fn server(self) -> JoinServer<Self> {
        JoinServer::new(self)
    }

    /// Nothing is used up before everything else is known to be right: a token is good once.
    async fn decide(&self, request: JoinRequest) -> Result<JoinReply, Status> {
        self.check_versions(&request)?;
        let authority = self.authority()?;
        let invalid = |reason: String| Status::invalid_argument(reason);
        let certificate_pem = authority
            .sign(&request.csr_pem, &request.node)
            .map_err(|e| invalid(e.to_string()))?;
        let applicant = Applicant {
            digest: digest(&request.token),
            node: request.node,
            addresses: addresses(&request.addresses).map_err(invalid)?,
            ports: ports(request.ports).map_err(invalid)?,
        };
        if applicant.addresses.is_empty() {
            return Err(invalid("a node needs at least one address".to_owned()));
        }
        let admitted = self
            .admission
            .admit(applicant)
            .await
            .map_err(Status::permission_denied)?;
        Ok(JoinReply {
            cluster_name: self.cluster_name.clone(),
            cluster_id: self.cluster_id.clone(),
            certificate_pem,
            ca_pem: authority.certificate_pem().to_owned(),
            raft_id: admitted.raft_id,
            members: admitted
                .members
                .into_iter()
                .map(wire::Member::from)
                .collect(),
        })
    }

    pub(super) fn check_versions(&self, request: &JoinRequest) -> Result<(), Status> {
        let (node, theirs) = (&request.node, &request.version);
        let (us, ours) = (&self.node, &self.version);
        if request.protocol != PROTOCOL_VERSION {
            let their_protocol = request.protocol;
            return Err(Status::failed_precondition(format!(
                "'{node}' has version {theirs} (protocol {their_protocol}), member '{us}' has version {ours} (protocol {PROTOCOL_VERSION}): install versions with the same protocol"
            )));
        }
        if request.feature_level < self.feature_level {
            let (level, required) = (request.feature_level, self.feature_level);
            return Err(Status::failed_precondition(format!(
                "'{node}' has version {theirs} (feature level {level}), the cluster uses level {required} (member '{us}' has version {ours}): upgrade '{node}'"
            )));
        }
        Ok(())
    }

    fn authority(&self) -> Result<Authority, Status> {
        match Authority::load(&self.identity_dir) {
            Ok(Some(authority)) => Ok(authority),
            Ok(None) => {
                let keeper = identity::keeper(&self.identity_dir)
                    .map_or_else(String::new, |node| format!(" ('{node}')"));
                Err(Status::failed_precondition(format!(
                    "member '{}' does not have the cluster's CA key: join through the member where the cluster was made{keeper}",
                    self.node
                )))
            }
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }
}

#[tonic::async_trait]
impl Join for JoinService {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinReply>, Status> {
        let remote = tls::peer(request.extensions())?.remote;
        let request = request.into_inner();
        let node = request.node.clone();
        match self.decide(request).await {
            Ok(reply) => {
                let id = reply.raft_id;
                info!(
                    "node '{node}' ({remote}) joined the cluster with Raft id {id}; it starts with `systole cluster start` there"
                );
                Ok(Response::new(reply))
            }
            Err(status) => {
                warn!(
                    "join of node '{node}' from {remote} refused: {}",
                    status.message()
                );
                Err(status)
            }
        }
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveReply>, Status> {
        let peer = tls::peer(request.extensions())?;
        let node = &peer.node;
        if node.is_empty() {
            let reason = "only a node itself can have itself removed here, by its certificate";
            return Err(Status::unauthenticated(reason));
        }
        match self.admission.remove(node).await {
            Ok(()) => {
                info!(
                    "node '{node}' ({}) has left and is no member any more",
                    peer.remote
                );
                Ok(Response::new(LeaveReply {}))
            }
            Err(reason) => {
                warn!("node '{node}' ({}) is not removed: {reason}", peer.remote);
                Err(Status::failed_precondition(reason))
            }
        }
    }
}
