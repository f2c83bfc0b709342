//! What would have to change: proposes changes for each thing that blocks a resource, tries each by running the
//! scheduler on the changed document, and keeps those after which it is as asked. What is printed is never a guess.

use std::time::Instant;

use cib::Element;
use scheduler::explain::{self, Explanation, NodeReasons, Place, Reason, Why};

use super::edit::{Edit, base};
use crate::{
    common::nodes,
    crm_simulate::{inject::NodeChange, options::TicketChange},
};

/// How many proposals are tried at most; each costs a run of the scheduler.
const MAX_TRIES: usize = 40;
/// How many remedies are told.
const MAX_TOLD: usize = 3;
/// How far it is followed what other resources wait for.
const MAX_DEPTH: usize = 3;
/// How many things may have to be changed together.
const MAX_STEPS: usize = 4;

/// What a change is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It runs.
    Run,
    /// It runs on this node.
    On(String),
    /// It is promoted, on this node if one is named.
    Promoted(Option<String>),
    /// It does not run on this node.
    Away(String),
    /// It runs elsewhere, or on more nodes.
    Different,
    /// It does not wait for fencing.
    NoWait,
}

/// Changes after which the goal is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remedy {
    /// What to change, in this order.
    pub(super) edits: Vec<Edit>,
    /// Where the resource is then.
    pub(super) after: Vec<Place>,
}

/// A document, a moment, and the resource in question.
pub(super) struct Case<'a> {
    pub(super) cib: &'a Element,
    pub(super) now_s: i64,
    pub(super) resource: &'a str,
    /// No change is tried after this.
    pub(super) until: Instant,
}

/// What a search came to.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The one to try first in front.
    pub(super) remedies: Vec<Remedy>,
    /// It ended because its time was over; there may be more.
    pub(super) cut_short: bool,
}

impl Case<'_> {
    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// What an explanation calls for: what was asked about, or that it runs at all.
pub(super) fn goal(explanation: &Explanation, on: Option<&str>, promoted: bool) -> Goal {
    if promoted {
        let there = |p: &Place| on.is_none_or(|node| p.node == node);
        let is = |p: &Place| p.role == explain::Role::Promoted && there(p);
        return if explanation.decided.iter().any(is) {
            Goal::Different
        } else {
            Goal::Promoted(on.map(str::to_owned))
        };
    }
    if let Some(node) = on {
        let there = explanation.decided.iter().any(|p| p.node == node);
        return if there {
            Goal::Away(node.to_owned())
        } else {
            Goal::On(node.to_owned())
        };
    }
    if explanation.decided.is_empty() {
        Goal::Run
    } else if explanation.waits.is_empty() {
        Goal::Different
    } else {
        Goal::NoWait
    }
}

/// Looks for remedies.
pub(super) fn find(case: &Case, explanation: &Explanation, goal: &Goal) -> Search {
    let mut tried: Vec<Vec<Edit>> = Vec::new();
    let mut out = Vec::new();
    let mut cut_short = false;
    for edits in proposals(case, explanation, goal, 0) {
        if tried.len() >= MAX_TRIES || out.len() >= MAX_TOLD {
            break;
        }
        if case.is_late() {
            cut_short = true;
            break;
        }
        if edits.is_empty() || tried.contains(&edits) {
            continue;
        }
        if let Some(after) = attempt(case, goal, &explanation.decided, &edits) {
            out.push(Remedy {
                edits: edits.clone(),
                after,
            });
        }
        tried.push(edits);
    }
    if out.is_empty() && !cut_short {
        out.extend(together(case, explanation, goal));
        cut_short = out.is_empty() && case.is_late();
    }
    Search {
        remedies: out,
        cut_short,
    }
}

/// Where it is after changes, if that is what is wanted and there is time to try.
fn attempt(case: &Case, goal: &Goal, now: &[Place], edits: &[Edit]) -> Option<Vec<Place>> {
    if case.is_late() {
        return None;
    }
    let changed = changed(case.cib, edits, case.now_s)?;
    let after = if *goal == Goal::NoWait {
        let explanation = explain::explain(&changed, case.now_s, case.resource)?;
        let done = explanation.waits.is_empty() && !explanation.decided.is_empty();
        return done.then_some(explanation.decided);
    } else {
        explain::outcome(&changed, case.now_s, case.resource)?
    };
    let places = |all: &[Place]| -> Vec<(String, explain::Role)> {
        all.iter().map(|p| (p.node.clone(), p.role)).collect()
    };
    let reached = match goal {
        Goal::Run => !after.is_empty(),
        Goal::On(node) => after.iter().any(|p| p.node == *node),
        Goal::Promoted(on) => {
            let there = |p: &Place| on.as_ref().is_none_or(|node| p.node == *node);
            let promoted = |p: &Place| p.role == explain::Role::Promoted && there(p);
            after.iter().any(promoted) && places(&after) != places(now)
        }
        Goal::Away(node) => !after.is_empty() && after.iter().all(|p| p.node != *node),
        Goal::Different | Goal::NoWait => after.len() >= now.len() && places(&after) != places(now),
    };
    reached.then_some(after)
}

/// The document after changes. `None`: one of them cannot be made.
pub(super) fn changed(cib: &Element, edits: &[Edit], now_s: i64) -> Option<Element> {
    let mut changed = cib.clone();
    for edit in edits {
        edit.apply(&mut changed, now_s).ok()?;
    }
    Some(changed)
}

/// Several things are in the way: takes away one after the other until the goal is reached, then leaves out what was
/// not needed.
fn together(case: &Case, explanation: &Explanation, goal: &Goal) -> Option<Remedy> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut explanation = explanation.clone();
    let before = explanation.decided.clone();
    for _ in 0..MAX_STEPS {
        let cib = changed(case.cib, &edits, case.now_s)?;
        let now = Case { cib: &cib, ..*case };
        let all = proposals(&now, &explanation, goal, 0);
        if !edits.is_empty()
            && let Some((last, after)) = all
                .iter()
                .take(MAX_TRIES)
                .find_map(|e| Some((e, attempt(&now, goal, &before, e)?)))
        {
            edits.extend(last.iter().cloned());
            return Some(only_needed(case, goal, &before, Remedy { edits, after }));
        }
        let new = |e: &&Vec<Edit>| !e.is_empty() && !e.iter().any(|edit| edits.contains(edit));
        edits.extend(all.iter().find(new)?.iter().cloned());
        let cib = changed(case.cib, &edits, case.now_s)?;
        explanation = explain::explain(&cib, case.now_s, case.resource)?;
    }
    None
}

/// Leaves out what was not needed.
fn only_needed(case: &Case, goal: &Goal, before: &[Place], mut remedy: Remedy) -> Remedy {
    let mut at = 0;
    while at < remedy.edits.len() && remedy.edits.len() > 1 {
        let mut edits = remedy.edits.clone();
        edits.remove(at);
        if let Some(after) = attempt(case, goal, before, &edits) {
            remedy = Remedy { edits, after };
        } else {
            at += 1;
        }
    }
    remedy
}

/// Changes that might do, the mildest first.
fn proposals(case: &Case, explanation: &Explanation, goal: &Goal, depth: usize) -> Vec<Vec<Edit>> {
    let mut out = Vec::new();
    let reasons = explanation.blockers.iter().chain(&explanation.waits);
    for reason in reasons {
        out.extend(of_reason(case, explanation, reason, None, goal, depth));
    }
    match goal {
        Goal::Promoted(on) => out.extend(of_roles(case, explanation, on.as_deref(), depth)),
        Goal::Different => out.extend(of_roles(case, explanation, None, depth)),
        _ => {}
    }
    let rows = explanation.nodes.iter().filter(|row| match goal {
        Goal::On(node) | Goal::Promoted(Some(node)) => row.node == *node && !row.is_chosen,
        _ => !row.is_chosen,
    });
    // What is up needs less than what is down.
    let (up, down): (Vec<&NodeReasons>, Vec<&NodeReasons>) =
        rows.partition(|row| !row.blockers.iter().any(|r| is_down(r.why)));
    for row in up.into_iter().chain(down) {
        for reason in &row.blockers {
            out.extend(of_reason(case, explanation, reason, Some(row), goal, depth));
        }
    }
    if let Goal::Away(node) = goal {
        let others = explanation.nodes.iter().filter(|row| row.node != *node);
        let moves = others.map(|row| vec![move_to(explanation, &row.node)]);
        out.extend(moves);
        out.push(vec![Edit::Standby(node.clone(), true)]);
    }
    if let Goal::On(node) = goal {
        out.push(vec![move_to(explanation, node)]);
    }
    out
}

/// What could be done so that an instance that runs is promoted too.
fn of_roles(
    case: &Case,
    explanation: &Explanation,
    on: Option<&str>,
    depth: usize,
) -> Vec<Vec<Edit>> {
    let goal = Goal::Promoted(on.map(str::to_owned));
    let rows = explanation.promotion.iter();
    let rows = rows.filter(|row| !row.is_chosen && on.is_none_or(|node| row.node == node));
    let mut out = Vec::new();
    for row in rows {
        for reason in &row.blockers {
            let edits = match reason.why {
                Why::Promotion => {
                    let name = reason.id.clone().unwrap_or_default();
                    let score = Some("10".to_owned());
                    vec![vec![Edit::Attribute(row.node.clone(), name, score)]]
                }
                Why::PromotedMax => {
                    let clone = explanation.resource.clone();
                    let mut both = vec![vec![Edit::Promote(clone, row.node.clone())]];
                    both.extend(clone_limit(explanation, reason));
                    both
                }
                _ => of_reason(case, explanation, reason, Some(row), &goal, depth),
            };
            out.extend(edits);
        }
        let clone = explanation.resource.clone();
        out.push(vec![Edit::Promote(clone, row.node.clone())]);
    }
    out
}

fn is_down(why: Why) -> bool {
    matches!(
        why,
        Why::Offline | Why::Unclean | Why::Pending | Why::Leaving
    )
}

fn move_to(explanation: &Explanation, node: &str) -> Edit {
    Edit::Move(explanation.resource.clone(), node.to_owned())
}

/// What could be done about one reason.
fn of_reason(
    case: &Case,
    explanation: &Explanation,
    reason: &Reason,
    row: Option<&NodeReasons>,
    goal: &Goal,
    depth: usize,
) -> Vec<Vec<Edit>> {
    let cib = case.cib;
    let about = reason.about.clone().unwrap_or_default();
    let node = row.map(|r| r.node.clone()).unwrap_or_default();
    // The primitive it is about, as constraints and fail counts name it.
    let part = row.map_or(explanation.member.as_deref(), |r| Some(r.instance.as_str()));
    let part = base(part.unwrap_or(&explanation.resource)).to_owned();
    let deletion = || Some(vec![Edit::Without(to_delete(cib, reason)?)]);
    let one = |edit: Edit| vec![vec![edit]];
    match reason.why {
        Why::Location | Why::Discovery => deletion().into_iter().collect(),
        Why::Colocation | Why::Ordering | Why::Group => {
            let mut out = of_other(case, &about, goal, depth);
            out.extend(deletion().filter(|_| reason.why != Why::Group));
            out
        }
        Why::Negative => {
            let parts = row.into_iter().flat_map(|r| &r.contributions);
            let against = parts.filter(|part| part.amount < 0);
            let mut out: Vec<Vec<Edit>> = against
                .flat_map(|part| of_reason(case, explanation, &part.reason, row, goal, depth))
                .collect();
            out.push(vec![move_to(explanation, &node)]);
            out
        }
        Why::Outscored | Why::Tie => {
            let mut out = one(move_to(explanation, &node));
            out.extend(of_winner(cib, explanation, &about));
            out
        }
        Why::OptIn => one(move_to(explanation, &node)),
        Why::Health => health(cib, &node),
        Why::FailCount => {
            let mut out = one(Edit::ForgetFailures(part.clone(), about.clone()));
            let reached = reason.amounts.first().map_or(0, |(_, count, _)| *count);
            if reached < 1_000_000 {
                let enough = (reached + 1).to_string();
                let name = "migration-threshold".to_owned();
                out.push(vec![Edit::Meta(holder(cib, &part, &name), name, enough)]);
            }
            out
        }
        Why::StopFailed
        | Why::HardError
        | Why::FailureBan
        | Why::FailureStop
        | Why::Blocked
        | Why::MultipleActive => {
            let on = if about.is_empty() { node } else { about };
            one(Edit::CleanUp(part, on))
        }
        Why::TargetRole => one(meta(cib, &part, "target-role", "Started")),
        Why::Unmanaged => match reason.id.as_deref() {
            Some("maintenance") => one(meta(cib, &part, "maintenance", "false")),
            Some(_) => one(meta(cib, &part, "is-managed", "true")),
            None => Vec::new(),
        },
        Why::MaintenanceMode | Why::StopAll => {
            let name = reason.id.clone().unwrap_or_default();
            one(Edit::Setting(name, "false".to_owned()))
        }
        Why::Ticket => one(Edit::Ticket(ticket_change(cib, &about), about)),
        Why::Capacity => vec![
            reason
                .amounts
                .iter()
                .map(|(name, need, free)| {
                    let total = capacity(cib, &node, name) + need - free;
                    Edit::Capacity(node.clone(), name.clone(), total.to_string())
                })
                .collect(),
        ],
        Why::ShutdownLock => one(Edit::Node(NodeChange::Up, about)),
        Why::CloneMax | Why::CloneNodeMax | Why::PromotedMax => clone_limit(explanation, reason),
        Why::Offline | Why::Pending | Why::Leaving => one(Edit::Node(NodeChange::Up, node)),
        Why::Unclean => vec![
            vec![Edit::Node(NodeChange::Up, node.clone())],
            vec![Edit::Fenced(node)],
        ],
        Why::Fencing => one(Edit::Fenced(about)),
        Why::Standby => one(Edit::Standby(node, false)),
        Why::StandbyOnFail => failed_there(cib, &node),
        Why::NodeMaintenance => {
            let on = if about.is_empty() { node } else { about };
            one(Edit::Attribute(on, "maintenance".to_owned(), None))
        }
        Why::NoQuorum => quorum(cib),
        Why::Stickiness
        | Why::Dependent
        | Why::Promotion
        | Why::CloneBanned
        | Why::Removed
        | Why::Remote
        | Why::Bundle
        | Why::NodeScore
        | Why::Other => Vec::new(),
    }
}

/// The rule a reason comes from, or the constraint if that has no other.
fn to_delete(cib: &Element, reason: &Reason) -> Option<String> {
    let id = reason.id.clone()?;
    let constraint = cib.find_id(&id);
    let rules = constraint.map_or(0, |c| c.children_named("rule").count());
    match &reason.rule {
        Some(rule) if rules > 1 => Some(rule.clone()),
        _ => Some(id),
    }
}

/// What could be done for another resource that this one needs.
fn of_other(case: &Case, other: &str, goal: &Goal, depth: usize) -> Vec<Vec<Edit>> {
    if depth >= MAX_DEPTH || other.is_empty() {
        return Vec::new();
    }
    let Some(explanation) = explain::explain(case.cib, case.now_s, other) else {
        return Vec::new();
    };
    let other_case = Case {
        resource: other,
        ..*case
    };
    let goal = match goal {
        _ if explanation.decided.is_empty() => Goal::Run,
        Goal::On(node) => Goal::On(node.clone()),
        _ => return Vec::new(),
    };
    proposals(&other_case, &explanation, &goal, depth + 1)
}

/// What makes another node better: constraints that prefer it, and that it runs there.
fn of_winner(cib: &Element, explanation: &Explanation, winner: &str) -> Vec<Vec<Edit>> {
    let row = explanation.nodes.iter().find(|row| row.node == winner);
    let parts = row.into_iter().flat_map(|row| &row.contributions);
    let mut out = Vec::new();
    for part in parts.filter(|part| part.amount > 0) {
        match (part.reason.why, to_delete(cib, &part.reason)) {
            (Why::Location, Some(id)) => out.push(vec![Edit::Without(id)]),
            (Why::Stickiness, _) => out.push(vec![Edit::Meta(
                explanation.resource.clone(),
                "resource-stickiness".to_owned(),
                "0".to_owned(),
            )]),
            _ => {}
        }
    }
    out
}

fn clone_limit(explanation: &Explanation, reason: &Reason) -> Vec<Vec<Edit>> {
    let clone = match &reason.about {
        Some(clone) => clone.clone(),
        None => explanation.resource.clone(),
    };
    let name = reason.id.clone().unwrap_or_else(|| "clone-max".to_owned());
    let more = reason.amounts.first().map_or(2, |(_, more, _)| *more);
    vec![vec![Edit::Meta(clone, name, more.to_string())]]
}

/// The resource whose meta-attribute decides: itself, or what it is part of, wherever one is set.
fn holder(cib: &Element, resource: &str, name: &str) -> String {
    let mut at = resource.to_owned();
    loop {
        let own = cib.find_id(&at).is_some_and(|e| has_meta(e, name));
        if own {
            return at;
        }
        match parent_id(cib, &at) {
            Some(parent) => at = parent,
            None => return resource.to_owned(),
        }
    }
}

fn has_meta(element: &Element, name: &str) -> bool {
    let blocks = element.children_named("meta_attributes");
    let mut pairs = blocks.flat_map(Element::children);
    pairs.any(|pair| pair.attr("name") == Some(name))
}

fn parent_id(cib: &Element, id: &str) -> Option<String> {
    let resources = cib.child("configuration")?.child("resources")?;
    let holds = |e: &&Element| e.children().any(|c| c.id() == Some(id));
    let mut all = resources
        .descendants()
        .filter(|e| !std::ptr::eq(*e, resources));
    all.find(holds)?.id().map(str::to_owned)
}

fn meta(cib: &Element, resource: &str, name: &str, value: &str) -> Edit {
    Edit::Meta(
        holder(cib, resource, name),
        name.to_owned(),
        value.to_owned(),
    )
}

fn ticket_change(cib: &Element, ticket: &str) -> TicketChange {
    let tickets = cib.child("status").and_then(|s| s.child("tickets"));
    let mut all = tickets.into_iter().flat_map(Element::children);
    let state = all.find(|t| t.id() == Some(ticket));
    let granted = state.is_some_and(|t| t.attr("granted") == Some("true"));
    if granted {
        TicketChange::Activate
    } else {
        TicketChange::Grant
    }
}

/// What a node is said to have of something.
fn capacity(cib: &Element, node: &str, name: &str) -> i64 {
    let node = cib
        .child("configuration")
        .and_then(|c| c.child("nodes"))
        .into_iter()
        .flat_map(Element::children)
        .find(|n| n.attr("uname") == Some(node));
    let blocks = node
        .into_iter()
        .flat_map(|n| n.children_named("utilization"));
    let mut pairs = blocks.flat_map(Element::children);
    let pair = pairs.find(|p| p.attr("name") == Some(name));
    pair.and_then(|p| p.attr("value")?.parse().ok())
        .unwrap_or(0)
}

fn health(cib: &Element, node: &str) -> Vec<Vec<Edit>> {
    let Some(found) = nodes::find(cib, node) else {
        return Vec::new();
    };
    let permanent = cib
        .child("configuration")
        .and_then(|c| c.child("nodes"))
        .into_iter()
        .flat_map(Element::children)
        .filter(|n| n.id() == Some(&found.id))
        .flat_map(Element::descendants)
        .filter_map(|p| p.attr("name").map(str::to_owned));
    let transient = nodes::transient_attributes(cib, &found);
    let mut names: Vec<String> = transient
        .into_iter()
        .map(|(name, _)| name)
        .chain(permanent)
        .filter(|name| name.starts_with("#health"))
        .collect();
    names.sort();
    names.dedup();
    let attribute = |name: String| Edit::Attribute(node.to_owned(), name, None);
    let mut out: Vec<Vec<Edit>> = names.iter().cloned().map(|n| vec![attribute(n)]).collect();
    if names.len() > 1 {
        out.push(names.into_iter().map(attribute).collect());
    }
    out
}

/// Clean-ups of everything that failed on a node.
fn failed_there(cib: &Element, node: &str) -> Vec<Vec<Edit>> {
    let Some(found) = nodes::find(cib, node) else {
        return Vec::new();
    };
    let mut names: Vec<String> = nodes::transient_attributes(cib, &found)
        .into_iter()
        .filter_map(|(name, _)| name.strip_prefix("fail-count-").map(str::to_owned))
        .map(|rest| rest.split('#').next().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names.dedup();
    let clean = |name: String| vec![Edit::CleanUp(name, node.to_owned())];
    names.into_iter().map(clean).collect()
}

/// The fewest members that make a quorum, brought back.
fn quorum(cib: &Element) -> Vec<Vec<Edit>> {
    let members: Vec<String> = nodes::all(cib)
        .into_iter()
        .filter(|n| !n.is_remote())
        .map(|n| n.name)
        .collect();
    let online = |name: &String| {
        let states = cib.child("status").into_iter().flat_map(Element::children);
        states
            .filter(|s| s.attr("uname") == Some(name.as_str()))
            .any(|s| s.attr("in_ccm").is_some_and(|v| v != "false" && v != "0"))
    };
    let (up, down): (Vec<&String>, Vec<&String>) = members.iter().partition(|n| online(n));
    let missing = (members.len() / 2 + 1).saturating_sub(up.len());
    let back = down.into_iter().take(missing);
    let mut edits: Vec<Edit> = back
        .map(|node| Edit::Node(NodeChange::Up, node.clone()))
        .collect();
    edits.push(Edit::Quorum(true));
    // Ignoring the loss of quorum would do too, and may cost the data: it is not proposed.
    vec![edits]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const STOPPED: &str = r#"<cib><configuration><crm_config><cluster_property_set id="o">
        <nvpair id="o-s" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
        <nodes><node id="1" uname="n1"/></nodes>
        <resources><primitive id="web" class="ocf" provider="heartbeat" type="Dummy">
          <meta_attributes id="m"><nvpair id="m-t" name="target-role" value="Stopped"/></meta_attributes>
        </primitive></resources><constraints/></configuration>
        <status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
        </cib>"#;

    fn search(time: Duration) -> Search {
        let cib = Element::parse(STOPPED).unwrap();
        let case = Case {
            cib: &cib,
            now_s: 1_000,
            resource: "web",
            until: Instant::now() + time,
        };
        let explanation = explain::explain(&cib, 1_000, "web").unwrap();
        find(&case, &explanation, &Goal::Run)
    }

    #[test]
    fn a_search_whose_time_is_over_says_so() {
        let over = search(Duration::ZERO);
        assert!(over.cut_short && over.remedies.is_empty(), "{over:?}");
        let done = search(Duration::from_secs(600));
        assert!(!done.cut_short && !done.remedies.is_empty(), "{done:?}");
    }
}
