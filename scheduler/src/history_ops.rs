//! Reads operation histories: what each resource is doing on a node, and what went wrong there.

pub(crate) mod at_rest;
pub(crate) mod digested;
mod entry;
mod find;
mod migration;
mod state;

use std::cmp::Ordering;

use cib::Element;

use crate::{
    actions, merge,
    model::{Cluster, Kind, NodeIx, OnFail, Role, RscIx, Task},
    resources,
    score::{self, INFINITY},
};

/// Execution states of operations.
mod exec {
    pub(super) const PENDING: i64 = -1;
    pub(super) const DONE: i64 = 0;
    pub(super) const CANCELLED: i64 = 1;
    pub(super) const NOT_SUPPORTED: i64 = 3;
    pub(super) const ERROR: i64 = 4;
    pub(super) const ERROR_HARD: i64 = 5;
    pub(super) const ERROR_FATAL: i64 = 6;
    pub(super) const NOT_INSTALLED: i64 = 7;
    pub(super) const NO_FENCE_DEVICE: i64 = 10;
    pub(super) const NO_SECRETS: i64 = 12;
}

/// Exit codes of agents.
mod ocf {
    pub(super) const OK: i64 = 0;
    pub(super) const INVALID_PARAM: i64 = 2;
    pub(super) const UNIMPLEMENTED: i64 = 3;
    pub(super) const INSUFFICIENT: i64 = 4;
    pub(super) const NOT_INSTALLED: i64 = 5;
    pub(super) const NOT_CONFIGURED: i64 = 6;
    pub(super) const NOT_RUNNING: i64 = 7;
    pub(super) const PROMOTED: i64 = 8;
    pub(super) const FAILED_PROMOTED: i64 = 9;
    pub(super) const DEGRADED: i64 = 190;
    pub(super) const DEGRADED_PROMOTED: i64 = 191;
}

/// Words of the histories, which are most of a large document.
pub(crate) mod word {
    use cib::Word;

    pub(crate) const CALL_ID: Word = Word::new("call-id");
    pub(crate) const CLASS: Word = Word::new("class");
    pub(crate) const INTERVAL: Word = Word::new("interval");
    pub(crate) const LAST_RC_CHANGE: Word = Word::new("last-rc-change");
    pub(crate) const LAST_RUN: Word = Word::new("last-run");
    pub(crate) const LRM_RESOURCE: Word = Word::new("lrm_resource");
    pub(crate) const LRM_RSC_OP: Word = Word::new("lrm_rsc_op");
    pub(crate) const ON_NODE: Word = Word::new("on_node");
    pub(crate) const OPERATION: Word = Word::new("operation");
    pub(crate) const OP_STATUS: Word = Word::new("op-status");
    pub(crate) const PROVIDER: Word = Word::new("provider");
    pub(crate) const RC_CODE: Word = Word::new("rc-code");
    pub(crate) const TRANSITION_KEY: Word = Word::new("transition-key");
    pub(crate) const TRANSITION_MAGIC: Word = Word::new("transition-magic");
    pub(crate) const TYPE: Word = Word::new("type");
}

/// One entry, read.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'e> {
    pub(crate) xml: &'e Element,
    pub(crate) task: Task,
    pub(crate) name: &'e str,
    pub(crate) interval_ms: u32,
    pub(crate) status: i64,
    pub(crate) rc: i64,
    pub(crate) target_rc: i64,
    pub(crate) changed_s: Option<i64>,
}

impl Entry<'_> {
    /// Whether it is the one entry that is kept of the last failure.
    pub(crate) fn is_last_failure(&self) -> bool {
        self.xml
            .id()
            .is_some_and(|id| id.ends_with("_last_failure_0"))
    }

    /// Whether the agent is missing on the node.
    pub(crate) fn agent_missing(&self) -> bool {
        self.status == exec::NOT_INSTALLED
    }

    /// A probe where the agent is missing: the resource is not running there.
    fn is_masked_probe(&self) -> bool {
        let rc = || self.xml.get(word::RC_CODE).and_then(score::leading_integer);
        self.is_probe() && (self.status == exec::NOT_INSTALLED || rc() == Some(ocf::NOT_INSTALLED))
    }

    pub(crate) fn is_probe(&self) -> bool {
        self.task == Task::Monitor && self.interval_ms == 0
    }

    fn key(&self) -> String {
        format!("{}_{}", self.name, self.interval_ms)
    }
}

/// Running sum over the entries of one resource on one node.
struct State<'e> {
    on_fail: OnFail,
    last_failure: Option<&'e Element>,
    last_failure_key: String,
}

/// Reads the histories of all resources on a node.
pub(crate) fn unpack_node(c: &mut Cluster, node: NodeIx, state: &Element) {
    let Some(resources) = histories_in(state) else {
        return;
    };
    if let Some(recall) = &mut c.recall {
        let key = state.id().unwrap_or("");
        let known = recall.histories.remove(key);
        let known = known.unwrap_or_else(|| recall.known_before(key));
        let known = digested::unpack_node(c, node, resources, known);
        if let Some(recall) = &mut c.recall {
            recall.histories.insert(key.to_owned(), known);
        }
        return;
    }
    let mut removed_containers = Vec::new();
    for xml in resources.children().filter(|x| x.is(word::LRM_RESOURCE)) {
        if let Some(rsc) = unpack_resource(c, node, xml)
            && xml.attr("container").is_some()
            && c.rscs[rsc].removed
        {
            removed_containers.push((rsc, xml));
        }
    }
    for (rsc, xml) in removed_containers {
        link_removed_filler(c, rsc, xml);
    }
}

/// The element of all histories on a node.
pub(crate) fn histories_in(state: &Element) -> Option<&Element> {
    state.child("lrm")?.child("lrm_resources")
}

/// A removed connection stays tied to the container its history names.
fn link_removed_filler(c: &mut Cluster, rsc: RscIx, xml: &Element) {
    let container = xml
        .attr("container")
        .and_then(|id| c.rsc_ids.get(id))
        .copied();
    if let Some(container) = container {
        c.rscs[rsc].removed_filler = true;
        if c.rscs[container].removed && c.rscs[rsc].container.is_none() {
            resources::attach_guest(c, container, rsc);
        }
    }
}

fn unpack_resource(c: &mut Cluster, node: NodeIx, xml: &Element) -> Option<RscIx> {
    let id = xml.id()?;
    let entries = read_entries(xml);
    let lock = xml.attr("shutdown-lock").and_then(score::leading_integer);
    if entries.is_empty() && lock.is_none() {
        return None;
    }
    let found = find::resource(c, node, id);
    unpack_entries(c, node, xml, entries, found)
}

/// Takes the entries of a history into account, which is that of the resource that was `found`.
fn unpack_entries(
    c: &mut Cluster,
    node: NodeIx,
    xml: &Element,
    mut entries: Vec<Entry>,
    found: Option<RscIx>,
) -> Option<RscIx> {
    if entries.is_empty() && found.is_none() {
        return None;
    }
    let lock = xml.attr("shutdown-lock").and_then(score::leading_integer);
    let rsc = match found {
        Some(rsc) => rsc,
        None => find::create_removed(c, xml),
    };
    if let Some(at_s) = lock {
        read_lock(c, rsc, node, at_s);
    }
    if entries.iter().any(|e| is_leftover(e, &entries)) {
        let kept = entries.iter().filter(|e| !is_leftover(e, &entries));
        entries = kept.copied().collect();
    }
    let mut entries = by_age(entries);
    let saved_role = c.rscs[rsc].role;
    c.rscs[rsc].role = Role::Unknown;
    let mut state = State {
        on_fail: OnFail::Ignore,
        last_failure: None,
        last_failure_key: String::new(),
    };
    for entry in &mut entries {
        entry::unpack(c, rsc, node, entry, &mut state);
    }
    let (start, stop) = active_since(&entries);
    process_recurring(c, rsc, node, &entries, start, stop);
    conclude(c, rsc, node, state.on_fail, saved_role);
    Some(rsc)
}

/// Draws the conclusions from a history of which `role` and `next_role` are known.
fn conclude(c: &mut Cluster, rsc: RscIx, node: NodeIx, on_fail: OnFail, saved_role: Role) {
    state::process(c, rsc, node, on_fail);
    if let Some(wanted) = target_role(c, rsc) {
        let next = c.rscs[rsc].next_role;
        if next == Role::Unknown || wanted < next {
            c.rscs[rsc].next_role = wanted;
        }
    }
    if saved_role > c.rscs[rsc].role {
        c.rscs[rsc].role = saved_role;
    }
}

fn read_entries(resource: &Element) -> Vec<Entry<'_>> {
    let entries = resource.children().filter(|x| x.is(word::LRM_RSC_OP));
    entries.filter_map(read_entry).collect()
}

/// Reads an entry in one pass over its attributes: large documents are mostly entries.
fn read_entry(xml: &Element) -> Option<Entry<'_>> {
    let mut name = None;
    let (mut key, mut magic) = (None, None);
    let (mut interval, mut status, mut rc) = (None, None, None);
    let (mut changed, mut run) = (None, None);
    for (word, value) in xml.words() {
        let Some(word) = word else {
            continue;
        };
        match word {
            word::OPERATION => name = Some(value),
            word::TRANSITION_KEY => key = Some(value),
            word::TRANSITION_MAGIC => magic = Some(value),
            word::INTERVAL => interval = score::leading_integer(value),
            word::OP_STATUS => status = score::leading_integer(value),
            word::RC_CODE => rc = score::leading_integer(value),
            word::LAST_RC_CHANGE => changed = score::leading_integer(value),
            word::LAST_RUN => run = score::leading_integer(value),
            _ => {}
        }
    }
    let name = name?;
    let key = key.or_else(|| magic?.split_once(';').map(|(_, key)| key));
    Some(Entry {
        xml,
        task: Task::parse(name),
        name,
        interval_ms: interval.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(0),
        status: status.unwrap_or(exec::DONE),
        rc: rc.unwrap_or(0),
        target_rc: key.and_then(target_rc).unwrap_or(-1),
        changed_s: changed.or(run).filter(|at| *at > 0),
    })
}

/// The exit code that a key `ACTION:TRANSITION:RC:MAKER` says was expected.
fn target_rc(key: &str) -> Option<i64> {
    let mut parts = key.splitn(4, ':');
    let rc = parts.nth(2)?;
    parts.next()?;
    score::leading_integer(rc)
}

/// A recurring operation that counts as under way though its failure is known: only the failure was recorded.
fn is_leftover(entry: &Entry, all: &[Entry]) -> bool {
    let its_failure = |e: &Entry| {
        e.is_last_failure()
            && (e.name, e.interval_ms) == (entry.name, entry.interval_ms)
            && e.xml.get(word::TRANSITION_KEY) == entry.xml.get(word::TRANSITION_KEY)
    };
    entry.status == exec::PENDING && entry.interval_ms > 0 && all.iter().any(its_failure)
}

/// Entries from the oldest on; of equals the later in the document comes first.
fn by_age(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.reverse();
    merge::sort_by(entries, &mut |a, b| newer(a.xml, b.xml, true))
}

/// Whether one entry is newer than another (then greater). On one node call ids tell, between nodes times; what is
/// still under way is placed by its transition.
fn newer(a: &Element, b: &Element, same_node: bool) -> Ordering {
    use Ordering::{Equal, Greater, Less};
    if a.id() == b.id() {
        return Equal;
    }
    let same_node = match (a.get(word::ON_NODE), b.get(word::ON_NODE)) {
        (Some(x), Some(y)) => x == y,
        _ => same_node,
    };
    let call = |e: &Element| {
        let id = e.get(word::CALL_ID).and_then(score::leading_integer);
        id.unwrap_or(-1)
    };
    let (x, y) = (call(a), call(b));
    if x == -1 && y == -1 {
        return Equal;
    }
    if same_node && x >= 0 && y >= 0 && x != y {
        return x.cmp(&y);
    }
    if x >= 0 && y >= 0 {
        let when = |e: &Element| e.attr("last-rc-change").and_then(score::leading_integer);
        return match (when(a), when(b)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => Equal,
        };
    }
    let (Some((number_a, maker_a)), Some((number_b, maker_b))) = (transition(a), transition(b))
    else {
        return Equal;
    };
    if maker_a != maker_b || number_a == number_b {
        // Of different makers, or in one transition: what is pending comes last.
        return match (x == -1, y == -1) {
            (_, true) => Less,
            (true, false) => Greater,
            _ => Equal,
        };
    }
    match (number_a, number_b) {
        (_, -1) => Less,
        (-1, _) => Greater,
        (x, y) => x.cmp(&y),
    }
}

/// Number of the transition an entry comes from, and who made it.
fn transition(xml: &Element) -> Option<(i64, &str)> {
    let magic = xml.attr("transition-magic")?;
    let key = magic.split_once(';').map_or(magic, |(_, key)| key);
    let mut parts = key.split(':');
    let number = parts.nth(1).and_then(score::leading_integer)?;
    Some((number, parts.nth(1)?))
}

fn read_lock(c: &mut Cluster, rsc: RscIx, node: NodeIx, at_s: i64) {
    let limit_s = c.options.shutdown_lock_limit_ms / 1000;
    if limit_s > 0 && c.now_s > at_s.saturating_add(limit_s) {
        clear_history(c, rsc, node);
    } else {
        c.rscs[rsc].lock_node = Some(node);
        c.rscs[rsc].lock_time_s = at_s;
        if limit_s > 0 {
            let until = at_s.saturating_add(limit_s).saturating_add(1);
            c.recheck.note(c.now_s, until);
        }
    }
}

/// Asks for a resource's history on a node to be erased.
pub(crate) fn clear_history(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let key = format!("{}_lrm_delete_0", c.rscs[rsc].id);
    let ix = actions::keyed_action(c, rsc, Task::LrmDelete, key, Some(node), false);
    if !c.acts[ix].on_dc {
        c.acts[ix].extra.push(("on_fail", "ignore".to_owned()));
    }
    c.acts[ix].on_dc = true;
    c.acts[ix].optional = false;
    c.acts[ix].runnable = true;
}

/// Makes the recurring operations that are active, as optional ones.
fn process_recurring(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entries: &[Entry],
    start: i64,
    stop: i64,
) {
    if start < stop || !c.nodes[node].online {
        return;
    }
    for (at, entry) in entries.iter().enumerate() {
        let recurs = entry.interval_ms > 0 && entry.task == Task::Monitor;
        let live = recurs && at as i64 >= start && entry.xml.get(word::OP_STATUS) != Some("-1");
        if live {
            actions::action(c, rsc, Task::Monitor, entry.interval_ms, Some(node), true);
        }
    }
}

/// Forbids a resource, and all inside it, a node (or all).
pub(crate) fn ban(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, id: &str) {
    crate::assign::add_node_score(c, rsc, node, -INFINITY, id);
}

/// An id without the number of an instance.
pub(crate) fn base_name(id: &str) -> &str {
    match id.rsplit_once(':') {
        Some((base, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            base
        }
        _ => id,
    }
}

/// Which entries count since the resource last started: positions after which recurring operations are live.
fn active_since(entries: &[Entry]) -> (i64, i64) {
    let mut stop: i64 = -1;
    let mut start: i64 = -1;
    let mut implied_start: i64 = -1;
    let mut implied_promoted: i64 = -1;
    for (at, entry) in entries.iter().enumerate() {
        let at = at as i64;
        match entry.task {
            Task::Stop if entry.xml.get(word::OP_STATUS) == Some("0") => stop = at,
            Task::Start | Task::MigrateFrom => start = at,
            _ if implied_start <= stop
                && entry.task == Task::Monitor
                && (entry.rc == ocf::OK || entry.rc == ocf::PROMOTED) =>
            {
                implied_start = at;
            }
            Task::Promote | Task::Demote => implied_promoted = at,
            _ => {}
        }
    }
    if start == -1 {
        start = if implied_promoted != -1 {
            implied_promoted
        } else {
            implied_start
        };
    }
    (start, stop)
}

fn target_role(c: &mut Cluster, rsc: RscIx) -> Option<Role> {
    if !c.rscs[rsc].has_target_role {
        return None;
    }
    let text = c.rscs[rsc].meta.get("target-role")?.clone();
    if text.eq_ignore_ascii_case("started") || text.eq_ignore_ascii_case("default") {
        return None;
    }
    let Some(role) = Role::parse(&text) else {
        c.problem(format!(
            "resource '{}': target-role '{text}' is not a role; Started is used",
            c.rscs[rsc].id
        ));
        return None;
    };
    if role > Role::Started {
        let top = c.uber_parent(rsc, false);
        if !c.rscs[top].promotable {
            return None;
        }
        if role > Role::Unpromoted {
            return None;
        }
    }
    Some(role)
}

/// Applies target roles of resources that have no history anywhere.
pub(crate) fn apply_target_roles(c: &mut Cluster) {
    for rsc in 0..c.rscs.len() {
        if c.rscs[rsc].kind == Kind::Primitive
            && c.rscs[rsc].next_role == Role::Unknown
            && let Some(role) = target_role(c, rsc)
        {
            c.rscs[rsc].next_role = role;
        }
    }
}

/// The entries of a resource's history that count, the oldest first: none, if it stopped since.
pub(crate) fn live(xml: &Element) -> Vec<&Element> {
    let entries = by_age(read_entries(xml));
    let (start, stop) = active_since(&entries);
    if start < stop {
        return Vec::new();
    }
    let from = usize::try_from(start).unwrap_or(0);
    entries.into_iter().skip(from).map(|e| e.xml).collect()
}
