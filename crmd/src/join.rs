//! Lets a newcomer in: the join service of `transport` asks here, the coordinator decides.

use crate::local_server::Calls;
use crmd_core::{
    entry::{Member as CoreMember, Ports as CorePorts},
    request::{Request, Response},
};
use transport::{
    config::{Member, Ports},
    join::{Admission, Admitted, Applicant},
};

/// Carries an applicant's wish to the core.
#[derive(Debug)]
pub(crate) struct Admissions {
    calls: Calls,
}

impl Admissions {
    /// By these calls.
    pub(crate) fn new(calls: Calls) -> Self {
        Self { calls }
    }
}

#[tonic::async_trait]
impl Admission for Admissions {
    async fn remove(&self, node: &str) -> Result<(), String> {
        let request = Request::RemoveMember { node: node.into() };
        let answer = self.calls.call(request, None).await;
        match answer.map_err(|status| status.message().to_owned())? {
            Response::Refused(refusal) => Err(refusal.text),
            _ => Ok(()),
        }
    }

    async fn admit(&self, applicant: Applicant) -> Result<Admitted, String> {
        let request = Request::Join {
            digest: applicant.digest,
            node: applicant.node.as_str().into(),
            addresses: applicant
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect(),
            ports: to_core(applicant.ports),
        };
        let answer = self.calls.call(request, None).await;
        match answer.map_err(|status| status.message().to_owned())? {
            Response::Joined { member, members } => Ok(Admitted {
                raft_id: member.raft_id,
                members: members.iter().map(from_core).collect::<Result<_, _>>()?,
            }),
            Response::Refused(refusal) => Err(refusal.text),
            other => Err(format!("an answer that does not fit: {other:?}")),
        }
    }
}

pub(crate) fn to_core(ports: Ports) -> CorePorts {
    CorePorts {
        crmd: ports.crmd,
        stonithd: ports.stonithd,
        join: ports.join,
        witness: ports.witness,
    }
}

fn from_core(member: &CoreMember) -> Result<Member, String> {
    let addresses = member.addresses.iter().map(|a| {
        a.parse()
            .map_err(|_| format!("'{a}' of {} is no address", member.node))
    });
    Ok(Member {
        node: member.node.to_string(),
        raft_id: member.raft_id,
        addresses: addresses.collect::<Result<_, _>>()?,
        ports: Ports {
            crmd: member.ports.crmd,
            stonithd: member.ports.stonithd,
            join: member.ports.join,
            witness: member.ports.witness,
        },
    })
}
