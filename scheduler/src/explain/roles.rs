//! Why an instance of a promotable clone is promoted, or is not.

use super::{
    Contribution, NodeReasons, Reason, Why, describe, leader, obstacles, runs_on, show_score,
};
use crate::{
    colocation,
    model::{Cluster, Kind, NodeIx, Role, RscIx, Task},
    options::NoQuorum,
    score::{self, INFINITY},
};

/// One row for each instance that is placed, the first to be promoted in front.
pub(super) fn promotion(c: &mut Cluster, clone: RscIx) -> Vec<NodeReasons> {
    if c.rscs[clone].kind != Kind::Clone || !c.rscs[clone].promotable {
        return Vec::new();
    }
    let mut instances = c.rscs[clone].children.clone();
    instances.sort_by_key(|i| std::cmp::Reverse(c.rscs[*i].sort_index));
    let rows = instances.into_iter();
    rows.filter_map(|instance| row(c, clone, instance))
        .collect()
}

fn row(c: &mut Cluster, clone: RscIx, instance: RscIx) -> Option<NodeReasons> {
    let node = colocation::location(c, instance)?;
    let part = leader(c, instance);
    let runs = runs_on(c, part);
    let is_promoted = runs.is_some_and(|(_, role)| role == Role::Promoted);
    let mut contributions = contributions(c, clone, instance, node);
    contributions.retain(|part| part.amount != 0 || part.replaces);
    let mut row = NodeReasons {
        node: c.nodes[node].name.clone(),
        instance: c.rscs[instance].id.clone(),
        score: Some(c.rscs[instance].sort_index),
        is_chosen: is_promoted,
        contributions,
        ..NodeReasons::default()
    };
    if !is_promoted {
        row.blockers = blockers(c, clone, instance, part, &row.contributions);
    }
    Some(row)
}

/// What an instance's score is made of.
fn contributions(
    c: &mut Cluster,
    clone: RscIx,
    instance: RscIx,
    node: NodeIx,
) -> Vec<Contribution> {
    let stays = !c.rscs[instance].managed && c.state(instance, false) == Role::Promoted;
    if stays {
        let text = "it is promoted, and the cluster may not change that";
        return vec![Contribution {
            amount: INFINITY,
            replaces: false,
            reason: Reason::new(Why::Unmanaged, text),
        }];
    }
    let own = describe::priorities(c, instance, node);
    let sum = own.iter().fold(0, |sum, part| match part.replaces {
        true => part.amount,
        false => score::add(sum, part.amount),
    });
    if sum < 0 {
        // Then nothing else counts.
        return own;
    }
    // What the clone as a whole thinks of the node counts, then the instance's own, then the wishes of others.
    let mut all = describe::contributions(c, clone, node);
    all.extend(own);
    all.extend(describe::beside(c, clone, node, sum));
    all.extend(describe::role_wishes(c, clone, node));
    all
}

fn blockers(
    c: &Cluster,
    clone: RscIx,
    instance: RscIx,
    part: RscIx,
    contributions: &[Contribution],
) -> Vec<Reason> {
    let bans = contributions.iter().filter(|p| p.amount <= -INFINITY);
    let mut out: Vec<Reason> = bans.map(|part| part.reason.clone()).collect();
    if out.is_empty() && c.rscs[instance].sort_index < 0 {
        let against = contributions.iter().find(|part| part.amount < 0);
        out.extend(against.map(|part| part.reason.clone()));
    }
    if !c.quorate && c.options.no_quorum == NoQuorum::Freeze {
        let text = "the cluster has no quorum, and no-quorum-policy is freeze";
        out.push(Reason::new(Why::NoQuorum, text).id("no-quorum-policy"));
    }
    if !out.is_empty() {
        return out;
    }
    if c.state(instance, false) == Role::Promoted {
        out.extend(obstacles::cannot(c, part, Task::Promote));
        return out;
    }
    let settings = &c.rscs[clone].clone;
    if settings.promoted_placed >= settings.promoted_max {
        let max = settings.promoted_max;
        let text = format!("promoted-max lets {max} be promoted, and others have a higher score");
        let mut reason = Reason::new(Why::PromotedMax, text).id("promoted-max");
        reason.about = Some(c.rscs[clone].id.clone());
        reason.amounts = vec![("promoted-max".to_owned(), i64::from(max) + 1, max.into())];
        out.push(reason);
    } else {
        let score = show_score(c.rscs[instance].sort_index);
        out.push(Reason::new(Why::Other, format!("its score is {score}")));
    }
    out
}
