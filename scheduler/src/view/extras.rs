//! The cluster as a whole, its bans and tickets.

use std::collections::BTreeSet;

use super::{Ban, ClusterOptions, Counts, LastChange, NodeKind, Summary, Ticket, View, nodes};
use crate::{
    model::{Cluster, Kind, Role, Rsc},
    options::NoQuorum,
    score,
};

/// What there is to say about the whole.
pub(super) fn summary(c: &Cluster, view: &View) -> Summary {
    let option = |name: &str| c.options.raw.get(name).cloned();
    let places = nodes::places(c);
    let attr = |name: &str| c.cib.attr(name).unwrap_or_default().to_owned();
    Summary {
        stack: option("cluster-infrastructure"),
        dc_version: option("dc-version"),
        dc: c
            .dc
            .or_else(|| c.nodes.iter().position(|n| n.is_dc))
            .map(|ix| places[ix]),
        quorate: c.quorate,
        mixed_version: mixed(view),
        last_change: LastChange {
            time: attr("cib-last-written"),
            user: attr("update-user"),
            client: attr("update-client"),
            origin: attr("update-origin"),
        },
        counts: counts(c),
        options: ClusterOptions {
            fencing: c.options.fencing,
            fencing_timeout_ms: c.options.fencing_timeout_ms,
            symmetric: c.options.symmetric,
            no_quorum_policy: match c.options.no_quorum {
                NoQuorum::Stop => "stop",
                NoQuorum::Ignore => "ignore",
                NoQuorum::Freeze => "freeze",
                NoQuorum::Demote => "demote",
                NoQuorum::Fence => "fence",
            },
            maintenance: c.options.maintenance,
            stop_all: c.options.stop_all,
            priority_fencing_delay_ms: c.options.priority_fencing_delay_ms,
        },
    }
}

fn counts(c: &Cluster) -> Counts {
    // What was removed counts as long as it is there.
    let is_there = |r: &&Rsc| r.kind == Kind::Primitive && (!r.removed || r.role > Role::Stopped);
    let there = || c.rscs.iter().filter(is_there);
    let wants_stopped = |r: &&Rsc| {
        let target = r.meta.get("target-role");
        match target.and_then(|t| Role::parse(t)) {
            Some(Role::Stopped) => true,
            // What should never be promoted is not all that it could be.
            Some(Role::Unpromoted) => r
                .parent
                .and_then(|parent| c.clone_of(parent))
                .is_some_and(|clone| c.rscs[clone].promotable),
            _ => false,
        }
    };
    Counts {
        all: there().count(),
        disabled: there().filter(wants_stopped).count(),
        blocked: there().filter(|r| r.blocked).count(),
    }
}

fn mixed(view: &View) -> bool {
    let members = view.nodes.iter().filter(|n| n.kind == NodeKind::Member);
    let sets: BTreeSet<&str> = members.filter_map(|n| n.feature_set.as_deref()).collect();
    sets.len() > 1
}

/// What location constraints forbid; needs the constraints to be read.
pub(super) fn bans(c: &Cluster) -> Vec<Ban> {
    let places = nodes::places(c);
    let mut found = Vec::new();
    for (ix, location) in c.locations.iter().enumerate().rev() {
        let Some(resource) = c.rscs.iter().position(|r| r.locations.contains(&ix)) else {
            continue;
        };
        let forbidden = location.nodes.iter().filter(|(_, score)| *score < 0);
        let mut forbidden: Vec<(usize, i32)> = forbidden
            .map(|(node, score)| (places[*node], *score))
            .collect();
        forbidden.sort_unstable_by_key(|(node, _)| std::cmp::Reverse(*node));
        for (node, score) in forbidden {
            found.push(Ban {
                id: location.id.to_string(),
                resource,
                node,
                score,
                promoted_only: location.role == Role::Promoted,
            });
        }
    }
    found
}

/// Tickets by name.
pub(super) fn tickets(c: &Cluster) -> Vec<Ticket> {
    let states = c.cib.child("status").into_iter();
    let xml: Vec<_> = states
        .flat_map(|s| s.children_named("tickets"))
        .flat_map(|t| t.children_named("ticket_state"))
        .collect();
    let one = |(id, ticket): (&String, &crate::model::Ticket)| {
        let state = xml.iter().find(|x| x.id() == Some(id));
        let attrs = state.into_iter().flat_map(|s| s.attrs());
        let own = ["id", "standby", "last-granted"];
        Ticket {
            id: id.clone(),
            granted: ticket.granted,
            standby: ticket.standby,
            last_granted_s: state
                .and_then(|s| s.attr("last-granted"))
                .and_then(score::leading_integer),
            attributes: attrs
                .filter(|(name, _)| !own.contains(name))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    };
    c.tickets.iter().map(one).collect()
}
