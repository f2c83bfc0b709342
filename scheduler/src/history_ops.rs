//! Reads operation histories: what each resource is doing on a node, and what went wrong there.

use std::rc::Rc;

use cib::Element;

use crate::{
    actions, failures, fencing,
    model::{
        Cluster, Kind, MultiplyActive, NodeIx, NodeKind, OnFail, OpMeta, Requires, Role, Rsc,
        RscIx, Task,
    },
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

/// One entry, read.
struct Entry<'e> {
    xml: &'e Element,
    task: Task,
    name: &'e str,
    interval_ms: u32,
    status: i64,
    rc: i64,
    target_rc: i64,
    call_id: i64,
    changed_s: Option<i64>,
}

impl Entry<'_> {
    fn is_probe(&self) -> bool {
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
    let Some(resources) = state
        .child("lrm")
        .and_then(|lrm| lrm.child("lrm_resources"))
    else {
        return;
    };
    let mut removed_containers = Vec::new();
    for xml in resources.children_named("lrm_resource") {
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
    let mut entries: Vec<Entry> = xml
        .children_named("lrm_rsc_op")
        .filter_map(read_entry)
        .collect();
    let lock = xml.attr("shutdown-lock").and_then(score::leading_integer);
    if entries.is_empty() && lock.is_none() {
        return None;
    }
    let found = find_resource(c, node, id);
    if entries.is_empty() && found.is_none() {
        return None;
    }
    let rsc = match found {
        Some(rsc) => rsc,
        None => create_removed(c, node, xml),
    };
    if let Some(at_s) = lock {
        read_lock(c, rsc, node, at_s);
    }
    entries.sort_by(by_call);
    let saved_role = c.rscs[rsc].role;
    c.rscs[rsc].role = Role::Unknown;
    let mut state = State {
        on_fail: OnFail::Ignore,
        last_failure: None,
        last_failure_key: String::new(),
    };
    for entry in &mut entries {
        unpack_entry(c, rsc, node, entry, &mut state);
    }
    let (start, stop) = active_since(&entries);
    process_recurring(c, rsc, node, &entries, start, stop);
    process_state(c, rsc, node, state.on_fail);
    if let Some(wanted) = target_role(c, rsc) {
        let next = c.rscs[rsc].next_role;
        if next == Role::Unknown || wanted < next {
            c.rscs[rsc].next_role = wanted;
        }
    }
    if saved_role > c.rscs[rsc].role {
        c.rscs[rsc].role = saved_role;
    }
    Some(rsc)
}

fn read_entry(xml: &Element) -> Option<Entry<'_>> {
    let name = xml.attr("operation")?;
    let number = |attr: &str| xml.attr(attr).and_then(score::leading_integer);
    let key = xml.attr("transition-key").or_else(|| {
        xml.attr("transition-magic")
            .and_then(|magic| magic.split_once(';'))
            .map(|(_, key)| key)
    });
    let target_rc = key
        .filter(|key| key.split(':').count() >= 4)
        .and_then(|key| key.split(':').nth(2))
        .and_then(score::leading_integer)
        .unwrap_or(-1);
    let interval = number("interval").unwrap_or(0);
    Some(Entry {
        xml,
        task: Task::parse(name),
        name,
        interval_ms: u32::try_from(interval).unwrap_or(0),
        status: number("op-status").unwrap_or(exec::DONE),
        rc: number("rc-code").unwrap_or(0),
        target_rc,
        call_id: number("call-id").unwrap_or(-1),
        changed_s: number("last-rc-change")
            .or_else(|| number("last-run"))
            .filter(|at| *at > 0),
    })
}

fn by_call(a: &Entry, b: &Entry) -> std::cmp::Ordering {
    use std::cmp::Ordering::Equal;
    if a.xml.id() == b.xml.id() {
        return Equal;
    }
    if a.call_id >= 0 && b.call_id >= 0 && a.call_id != b.call_id {
        return a.call_id.cmp(&b.call_id);
    }
    if a.call_id >= 0 && a.call_id == b.call_id {
        let by_time = match (a.changed_s, b.changed_s) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => Equal,
        };
        return by_time;
    }
    // One is still under way: what began later is newer.
    let number = |e: &Entry| {
        e.xml
            .attr("transition-key")
            .and_then(|key| key.split(':').nth(1))
            .and_then(score::leading_integer)
            .unwrap_or(-1)
    };
    let maker = |e: &Entry| {
        e.xml
            .attr("transition-key")
            .and_then(|key| key.split(':').nth(3))
            .unwrap_or("")
            .to_owned()
    };
    if maker(a) == maker(b) && number(a) != number(b) {
        return number(a).cmp(&number(b));
    }
    if maker(a) == maker(b) {
        // Same transition: the pending one follows its finished predecessor.
        return (a.call_id < 0).cmp(&(b.call_id < 0));
    }
    match (a.changed_s, b.changed_s) {
        (Some(x), Some(y)) if x != y => x.cmp(&y),
        _ => (a.call_id < 0).cmp(&(b.call_id < 0)),
    }
}

fn read_lock(c: &mut Cluster, rsc: RscIx, node: NodeIx, at_s: i64) {
    let limit_s = c.options.shutdown_lock_limit_ms / 1000;
    if limit_s > 0 && c.now_s > at_s + limit_s {
        clear_history(c, rsc, node);
    } else {
        c.rscs[rsc].lock_node = Some(node);
        c.rscs[rsc].lock_time_s = at_s;
        if limit_s > 0 {
            c.recheck.note(c.now_s, at_s + limit_s + 1);
        }
    }
}

/// Asks for a resource's history on a node to be erased.
pub(crate) fn clear_history(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let key = format!("{}_lrm_delete_0", c.rscs[rsc].id);
    let ix = actions::keyed_action(c, rsc, Task::LrmDelete, key, Some(node), false);
    c.acts[ix].on_dc = true;
    c.acts[ix].optional = false;
    c.acts[ix].runnable = true;
}

fn find_resource(c: &mut Cluster, node: NodeIx, id: &str) -> Option<RscIx> {
    let mut found = c.rsc_ids.get(id).copied();
    let mut clone = None;
    if let Some(rsc) = found {
        if c.rscs[rsc].kind != Kind::Primitive {
            return None;
        }
        let parent = c.uber_parent(rsc, false);
        if c.rscs[parent].kind == Kind::Clone && !c.rscs[parent].unique {
            clone = Some(parent);
        }
    } else {
        let base = base_name(id);
        let zero = c.rsc_ids.get(&format!("{base}:0")).copied();
        if let Some(rsc) = zero {
            let parent = c.uber_parent(rsc, false);
            if c.rscs[parent].kind == Kind::Clone && !c.rscs[parent].unique {
                clone = Some(parent);
            } else if c.rscs[parent].kind == Kind::Clone {
                // A number a unique clone does not have any more.
                return None;
            }
        }
    }
    if let Some(clone) = clone {
        let base = base_name(id).to_owned();
        // A bundled resource has its one place: the guest of its replica.
        if let Some(bundled) = bundled_instance(c, clone, node) {
            found = Some(bundled);
        } else {
            found = Some(find_anonymous(c, node, clone, &base));
        }
        if let Some(rsc) = found {
            c.rscs[rsc].history_id = Some(id.to_owned());
        }
    }
    found
}

fn bundled_instance(c: &Cluster, clone: RscIx, node: NodeIx) -> Option<RscIx> {
    let bundle = c.rscs[clone].parent?;
    let settings = c.rscs[bundle].bundle.as_ref()?;
    settings
        .replicas
        .iter()
        .find(|r| r.node == Some(node))
        .and_then(|r| r.child)
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

fn member_named(c: &Cluster, instance: RscIx, base: &str) -> Option<RscIx> {
    if c.rscs[instance].kind == Kind::Primitive {
        return (base_name(&c.rscs[instance].id) == base).then_some(instance);
    }
    c.rscs[instance]
        .children
        .iter()
        .copied()
        .find(|m| base_name(&c.rscs[*m].id) == base)
}

/// The instance that a history on this node speaks of: the one active here, else a free one, else a surplus one.
fn find_anonymous(c: &mut Cluster, node: NodeIx, clone: RscIx, base: &str) -> RscIx {
    let mut chosen = None;
    let mut free = None;
    let mut skip_free = false;
    for at in 0..c.rscs[clone].children.len() {
        let instance = c.rscs[clone].children[at];
        let locations = c.active_nodes(instance);
        if let Some(first) = locations.first() {
            if *first != node {
                continue;
            }
            chosen = member_named(c, instance, base);
            if let Some(rsc) = chosen {
                if !c.rscs[rsc].running_on.is_empty() {
                    skip_free = true;
                    chosen = None;
                }
                break;
            }
        } else if !skip_free && free.is_none() && !c.rscs[instance].blocked {
            free = member_named(c, instance, base);
            if free.is_some_and(|f| {
                c.rscs[f].known_on.iter().any(|n| *n != node) && pending_elsewhere(c, f, node)
            }) {
                free = None;
            }
        }
    }
    if chosen.is_none() && !skip_free {
        chosen = free;
    }
    if let Some(rsc) = chosen {
        let lost = !c.nodes[node].online || c.nodes[node].unclean;
        let fences = matches!(
            c.rscs[rsc].requires,
            Requires::Fencing | Requires::Unfencing
        );
        if !fences && lost && !c.is_guest(node) && !on_every_node(c, clone) {
            chosen = None;
        }
    }
    chosen.unwrap_or_else(|| surplus_instance(c, clone, base))
}

fn pending_elsewhere(c: &Cluster, rsc: RscIx, _node: NodeIx) -> bool {
    c.rscs[rsc].pending_op.is_some()
}

fn on_every_node(c: &Cluster, clone: RscIx) -> bool {
    let r = &c.rscs[clone];
    !r.unique && r.clone.max as usize == c.nodes.len()
}

/// An instance beyond those configured.
fn surplus_instance(c: &mut Cluster, clone: RscIx, base: &str) -> RscIx {
    let existing = c.rscs[clone].children.iter().copied().find(|i| {
        c.rscs[*i].removed
            && c.active_nodes(*i).is_empty()
            && member_named(c, *i, base)
                .is_some_and(|m| c.rscs[m].role <= Role::Stopped && c.rscs[m].known_on.is_empty())
    });
    let instance = existing.or_else(|| {
        let number = c.rscs[clone].clone.total;
        let added = resources::add_instance(c, clone, number)?;
        mark_removed(c, added);
        Some(added)
    });
    instance
        .and_then(|i| member_named(c, i, base))
        .unwrap_or(clone)
}

fn mark_removed(c: &mut Cluster, rsc: RscIx) {
    c.rscs[rsc].removed = true;
    for child in c.rscs[rsc].children.clone() {
        mark_removed(c, child);
    }
}

/// A resource that runs, or ran, but is not configured any more.
fn create_removed(c: &mut Cluster, node: NodeIx, xml: &Element) -> RscIx {
    let id = xml.id().unwrap_or("");
    let base = base_name(id);
    if let Some(zero) = c.rsc_ids.get(&format!("{base}:0")).copied() {
        let clone = c.uber_parent(zero, false);
        if c.rscs[clone].kind == Kind::Clone
            && c.rscs[clone].unique
            && c.rscs[clone].children.contains(&zero)
            && let Some(number) = id.rsplit_once(':').and_then(|(_, n)| n.parse().ok())
            && let Some(rsc) = resources::add_instance(c, clone, number)
        {
            mark_removed(c, rsc);
            return rsc;
        }
    }
    let mut fake = Element::new("primitive").with_attr("id", id);
    for name in ["class", "provider", "type"] {
        if let Some(value) = xml.attr(name) {
            fake.set_attr(name, value);
        }
    }
    let ix = match resources::create(c, &fake, None, None) {
        Some(ix) => ix,
        None => {
            c.rscs.push(Rsc {
                id: id.to_owned(),
                ..Rsc::default()
            });
            c.rscs.len() - 1
        }
    };
    c.top.push(ix);
    c.rscs[ix].removed = true;
    if c.rscs[ix].is_remote {
        removed_remote(c, ix);
    }
    if part_of_bundle(c, id) {
        // Bundles are not scheduled: what belongs to one is left as it is.
        c.rscs[ix].managed = false;
    } else if c.options.stop_removed {
        // Banned everywhere, so that it stops; probing it makes no sense.
        location_all(c, ix);
    } else {
        c.rscs[ix].managed = false;
    }
    let _ = node;
    ix
}

/// Whether a name is that of a part of a configured bundle.
fn part_of_bundle(c: &Cluster, id: &str) -> bool {
    c.rscs
        .iter()
        .filter(|r| r.kind == Kind::Bundle)
        .any(|bundle| {
            id.strip_prefix(bundle.id.as_str())
                .is_some_and(|rest| rest.starts_with('-'))
        })
}

fn removed_remote(c: &mut Cluster, ix: RscIx) {
    let id = c.rscs[ix].id.clone();
    let node = crate::nodes::create(c, &id, &id, NodeKind::Remote, 0);
    c.nodes[node].connection = Some(ix);
    c.nodes[node].shutdown = true;
    c.nodes[node].unclean = false;
    c.rscs[ix].remote_node = Some(node);
}

fn location_all(c: &mut Cluster, rsc: RscIx) {
    for node in 0..c.nodes.len() {
        ban(c, rsc, Some(node), "removed");
    }
}

/// Forbids a resource, and all inside it, a node (or all).
pub(crate) fn ban(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, id: &str) {
    crate::assign::add_node_score(c, rsc, node, -INFINITY, id);
}

fn unpack_entry<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &mut Entry<'e>,
    state: &mut State<'e>,
) {
    if entry.task == Task::Notify || entry.name == "notify" {
        return;
    }
    if entry.status == exec::CANCELLED {
        return;
    }
    if entry.rc == ocf::DEGRADED {
        entry.rc = ocf::OK;
    } else if entry.rc == ocf::DEGRADED_PROMOTED {
        entry.rc = ocf::PROMOTED;
    }
    let masked =
        entry.is_probe() && (entry.rc == ocf::NOT_INSTALLED || entry.status == exec::NOT_INSTALLED);
    let expired = failures::entry_expired(
        c,
        rsc,
        node,
        entry.xml,
        is_failure(entry),
        entry.task,
        entry.interval_ms,
        entry.changed_s,
        entry.rc,
    );
    remap(c, rsc, node, entry, state, expired);
    match entry.status {
        exec::PENDING => unpack_pending(c, rsc, node, entry),
        exec::DONE => unpack_success(c, rsc, node, entry, state),
        exec::NOT_INSTALLED | exec::ERROR_HARD | exec::ERROR_FATAL => {
            unpack_failure(c, rsc, node, entry, state, masked);
            hard_error(c, rsc, node, entry);
        }
        _ => unpack_failure(c, rsc, node, entry, state, masked),
    }
}

fn is_failure(entry: &Entry) -> bool {
    entry.status > exec::DONE
        || entry.status == exec::DONE && entry.target_rc >= 0 && entry.rc != entry.target_rc
}

/// Works out what an exit code means for this operation.
fn remap(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &mut Entry,
    state: &mut State,
    expired: bool,
) {
    let probe = entry.is_probe();
    if entry.status == exec::PENDING {
        return;
    }
    if entry.status == exec::DONE || entry.status == exec::ERROR {
        if entry.target_rc < 0 {
            // Written by something that did not say what it expected: take the code at its word.
        } else if entry.rc == entry.target_rc {
            entry.status = exec::DONE;
        } else {
            entry.status = exec::ERROR;
        }
    }
    let fatal_stop = entry.task == Task::Stop && !fencing::can_fence(c, node);
    match entry.rc {
        ocf::OK if probe && entry.target_rc == ocf::NOT_RUNNING => {
            entry.status = exec::DONE;
        }
        ocf::NOT_RUNNING if probe || entry.target_rc == entry.rc || !c.rscs[rsc].managed => {
            entry.status = exec::DONE;
            c.rscs[rsc].role = Role::Stopped;
            state.on_fail = OnFail::Ignore;
            c.rscs[rsc].next_role = Role::Unknown;
        }
        ocf::PROMOTED if probe && entry.rc != entry.target_rc => {
            entry.status = exec::DONE;
            c.rscs[rsc].role = Role::Promoted;
        }
        ocf::FAILED_PROMOTED => {
            if !expired {
                entry.status = exec::ERROR;
            }
            c.rscs[rsc].role = Role::Promoted;
        }
        ocf::NOT_CONFIGURED if !expired && entry.target_rc != entry.rc => {
            entry.status = exec::ERROR_FATAL
        }
        ocf::UNIMPLEMENTED if entry.interval_ms > 0 => entry.status = exec::NOT_SUPPORTED,
        ocf::NOT_INSTALLED | ocf::INVALID_PARAM | ocf::INSUFFICIENT | ocf::UNIMPLEMENTED
            if entry.status != exec::DONE || entry.target_rc < 0 =>
        {
            if fatal_stop {
                entry.status = exec::ERROR_FATAL;
            } else if !expired {
                entry.status = exec::ERROR_HARD;
            }
        }
        _ if entry.status == exec::DONE
            && entry.target_rc < 0
            && entry.rc != ocf::OK
            && entry.rc != ocf::NOT_RUNNING
            && entry.rc != ocf::PROMOTED =>
        {
            entry.status = exec::ERROR;
        }
        _ => {}
    }
    if expired && entry.status > exec::DONE {
        expire(c, rsc, entry);
    }
}

/// A failure that is too old to matter counts as the success it should have been.
fn expire(c: &mut Cluster, rsc: RscIx, entry: &mut Entry) {
    let _ = (c, rsc);
    entry.status = exec::DONE;
    if entry.target_rc >= 0 {
        entry.rc = entry.target_rc;
    }
}

fn hard_error(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    let top = if c.rscs[rsc].unique {
        rsc
    } else {
        c.uber_parent(rsc, false)
    };
    match entry.status {
        exec::ERROR_HARD | exec::NOT_INSTALLED => ban(c, top, Some(node), "hard-error"),
        exec::ERROR_FATAL => ban(c, top, None, "fatal-error"),
        _ => {}
    }
}

fn set_active(c: &mut Cluster, rsc: RscIx) {
    let top = c.uber_parent(rsc, false);
    c.rscs[rsc].role = if c.rscs[top].promotable {
        Role::Unpromoted
    } else {
        Role::Started
    };
}

fn unpack_pending(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    match entry.task {
        Task::Start => {
            c.rscs[rsc].start_pending = true;
            set_active(c, rsc);
        }
        Task::Promote => c.rscs[rsc].role = Role::Promoted,
        Task::MigrateTo => {
            if c.nodes[node].unclean {
                return pending_name(c, rsc, entry);
            }
            let target = entry
                .xml
                .attr("migrate_target")
                .and_then(|t| c.node_names.get(t))
                .copied();
            if let Some(target) = target.filter(|t| c.nodes[*t].online || c.is_remote_node(*t)) {
                let _ = target;
            }
            migrate_to_pending(c, rsc, node, entry);
        }
        _ => {}
    }
    pending_name(c, rsc, entry);
}

fn pending_name(c: &mut Cluster, rsc: RscIx, entry: &Entry) {
    let text = match entry.task {
        Task::Monitor if entry.interval_ms == 0 => return,
        Task::Monitor => "Monitoring",
        Task::Start => "Starting",
        Task::Stop => "Stopping",
        Task::MigrateTo => "Migrating",
        Task::MigrateFrom => "Migrating",
        Task::Promote => "Promoting",
        Task::Demote => "Demoting",
        _ => return,
    };
    if c.rscs[rsc].pending_op.is_none() {
        c.rscs[rsc].pending_op = Some(text.to_owned());
    }
}

/// A migration under way: active on the source, possibly on the target.
fn migrate_to_pending(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    c.rscs[rsc].role = Role::Started;
    let target = entry
        .xml
        .attr("migrate_target")
        .and_then(|t| c.node_names.get(t))
        .copied();
    let Some(target) = target else {
        return;
    };
    if c.nodes[node].online && !c.nodes[node].unclean {
        c.rscs[rsc].partial_target = Some(target);
        c.rscs[rsc].partial_source = Some(node);
    }
}

fn unpack_success<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &Entry<'e>,
    state: &mut State<'e>,
) {
    let mut clears = false;
    if entry.rc == ocf::NOT_INSTALLED {
        c.rscs[rsc].role = Role::Stopped;
    } else if entry.rc == ocf::NOT_RUNNING {
        clears = true;
    } else {
        match entry.task {
            Task::Monitor => {
                if state.last_failure.is_some() && state.last_failure_key == entry.key() {
                    clears = true;
                }
                if c.rscs[rsc].role < Role::Started {
                    set_active(c, rsc);
                }
            }
            Task::Start | Task::MigrateFrom => {
                set_active(c, rsc);
                clears = true;
            }
            Task::Stop => {
                c.rscs[rsc].role = Role::Stopped;
                clears = true;
            }
            Task::Promote => {
                c.rscs[rsc].role = Role::Promoted;
                clears = true;
            }
            Task::Demote => {
                clears = state.on_fail == OnFail::Demote;
                c.rscs[rsc].role = Role::Unpromoted;
            }
            Task::MigrateTo => migrate_to_success(c, rsc, node, entry),
            _ => {
                if c.rscs[rsc].role < Role::Started {
                    set_active(c, rsc);
                }
            }
        }
    }
    if clears {
        clear_past_failure(c, rsc, state);
    }
}

fn clear_past_failure(c: &mut Cluster, rsc: RscIx, state: &mut State) {
    match state.on_fail {
        OnFail::Stop | OnFail::Ban | OnFail::Standby | OnFail::Fence => {}
        OnFail::ResetRemote if c.rscs[rsc].remote_reconnect_ms > 0 => {}
        _ => {
            state.on_fail = OnFail::Ignore;
            c.rscs[rsc].next_role = Role::Unknown;
        }
    }
}

fn unpack_failure<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &Entry<'e>,
    state: &mut State<'e>,
    masked: bool,
) {
    state.last_failure = Some(entry.xml);
    state.last_failure_key = entry.key();
    let op = operation_settings(c, rsc, entry);
    if !masked && entry.status != exec::NOT_SUPPORTED {
        c.rscs[rsc].failures.push((node, entry.xml.clone()));
    }
    if entry.status != exec::NOT_SUPPORTED && (!masked || c.options.symmetric) {
        c.failed_ops.push((rsc, node, entry.xml.clone()));
    }
    if entry.status == exec::NOT_SUPPORTED {
        // The agent cannot do it; that is no failure of the resource.
        return;
    }
    if op.on_fail == OnFail::Ignore {
        c.rscs[rsc].ignored_failure = true;
    }
    if fencing::severity(state.on_fail) < fencing::severity(op.on_fail) {
        state.on_fail = op.on_fail;
    }
    match entry.task {
        Task::Stop => ban(c, rsc, Some(node), "__stop_fail__"),
        Task::MigrateTo => migrate_to_failure(c, rsc, node, entry),
        Task::MigrateFrom => migrate_from_failure(c, rsc, node, entry),
        Task::Promote => c.rscs[rsc].role = Role::Promoted,
        Task::Demote => {
            if op.on_fail == OnFail::Block {
                c.rscs[rsc].role = Role::Promoted;
                c.rscs[rsc].next_role = Role::Stopped;
            } else if entry.rc == ocf::NOT_RUNNING {
                c.rscs[rsc].role = Role::Stopped;
            } else {
                c.rscs[rsc].role = Role::Unpromoted;
            }
        }
        _ => {}
    }
    if entry.is_probe() && (entry.rc == ocf::NOT_INSTALLED || entry.status == exec::NOT_INSTALLED) {
        c.rscs[rsc].role = Role::Stopped;
    } else if c.rscs[rsc].role < Role::Started {
        set_active(c, rsc);
    }
    if op.fail_role == Some(Role::Stopped) {
        ban_everywhere(c, rsc);
    }
}

fn operation_settings(c: &mut Cluster, rsc: RscIx, entry: &Entry) -> Rc<OpMeta> {
    if entry.task != Task::Other {
        return actions::op_meta(c, rsc, entry.task, entry.interval_ms);
    }
    let found = actions::find_op(c, rsc, entry.name, entry.interval_ms, true);
    Rc::new(actions::read_op_meta(
        c,
        rsc,
        found,
        entry.name,
        entry.interval_ms,
    ))
}

fn ban_everywhere(c: &mut Cluster, rsc: RscIx) {
    let top = if c.is_anonymous_instance(rsc) {
        c.uber_parent(rsc, false)
    } else {
        rsc
    };
    ban(c, top, None, "fatal-error");
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
            Task::Stop if entry.status == exec::DONE || entry.rc == 0 => stop = at,
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
        start = if implied_start != -1 {
            implied_start
        } else {
            implied_promoted
        };
    }
    (start, stop)
}

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
        if (at as i64) < start
            || entry.interval_ms == 0
            || entry.xml.attr("op-status") == Some("-1")
        {
            continue;
        }
        if entry.task == Task::Monitor {
            actions::action(c, rsc, Task::Monitor, entry.interval_ms, Some(node), true);
        }
    }
}

fn target_role(c: &mut Cluster, rsc: RscIx) -> Option<Role> {
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

fn process_state(c: &mut Cluster, rsc: RscIx, node: NodeIx, on_fail: OnFail) {
    note_known(c, rsc, node);
    let saved = on_fail;
    let mut on_fail = on_fail;
    let active = c.rscs[rsc].role > Role::Stopped;
    if active && !c.nodes[node].online && !c.nodes[node].maintenance && c.rscs[rsc].managed {
        fence_for_active(c, rsc, node);
    }
    if !c.nodes[node].online {
        // It will be fenced or is gone; the failure says nothing about a later start.
        on_fail = OnFail::Ignore;
    }
    apply_on_fail(c, rsc, node, on_fail);
    if c.rscs[rsc].failed
        && c.rscs[rsc].is_remote
        && c.rscs[rsc].container.is_none()
        && let Some(remote) = c.rscs[rsc].remote_node
    {
        c.nodes[remote].unseen = false;
    }
    let role = c.rscs[rsc].role;
    if role != Role::Stopped && role != Role::Unknown {
        add_running(c, rsc, node, saved != OnFail::Ignore);
        match on_fail {
            OnFail::Ignore => {}
            OnFail::Demote | OnFail::Block => c.rscs[rsc].failed = true,
            _ => {
                c.rscs[rsc].failed = true;
                c.rscs[rsc].stop_if_failed = true;
            }
        }
    } else {
        for at in 0..c.rscs[rsc].actions.len() {
            let ix = c.rscs[rsc].actions[at];
            if c.acts[ix].task == Task::Stop && c.acts[ix].node == Some(node) {
                c.acts[ix].optional = true;
            }
        }
    }
    let r = &mut c.rscs[rsc];
    if r.role == Role::Stopped
        && r.partial_source == Some(node)
        && r.partial_target.is_some()
        && !r.running_on.is_empty()
    {
        r.role = Role::Started;
    }
}

fn note_known(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    if c.rscs[rsc].role == Role::Unknown {
        return;
    }
    let mut at = Some(rsc);
    while let Some(ix) = at {
        if !c.rscs[ix].known_on.contains(&node) {
            c.rscs[ix].known_on.push(node);
        }
        if c.rscs[ix].unique {
            break;
        }
        at = c.rscs[ix].parent;
    }
}

fn fence_for_active(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    let mut reason = format!("{} is thought to be active there", c.rscs[rsc].id);
    if c.is_guest(node) {
        if let Some(connection) = c.nodes[node].connection {
            c.rscs[connection].failed = true;
            c.rscs[connection].stop_if_failed = true;
        }
        fencing::fence_node(c, node, &reason, false);
        return;
    }
    if !c.options.fencing {
        return;
    }
    if c.is_remote_node(node) {
        let healthy = c.nodes[node].connection.is_some_and(|r| !c.rscs[r].failed);
        if healthy {
            // Fenced only if the connection cannot be brought up elsewhere.
            c.nodes[node].unseen = true;
            reason = format!(
                "{} is active there (fencing will be revoked if remote connection can be re-established elsewhere)",
                c.rscs[rsc].id
            );
        }
    }
    fencing::fence_node(c, node, &reason, false);
}

fn apply_on_fail(c: &mut Cluster, rsc: RscIx, node: NodeIx, on_fail: OnFail) {
    let active = !matches!(c.rscs[rsc].role, Role::Stopped | Role::Unknown);
    match on_fail {
        OnFail::Ignore => {}
        OnFail::Demote => {
            c.rscs[rsc].failed = true;
            actions::demote(c, rsc, node, false);
        }
        OnFail::Fence => {
            let reason = format!("{} failed there", c.rscs[rsc].id);
            fencing::fence_node(c, node, &reason, false);
        }
        OnFail::Standby => {
            c.nodes[node].standby = true;
            c.nodes[node].standby_onfail = true;
        }
        OnFail::Block => {
            c.rscs[rsc].managed = false;
            c.rscs[rsc].blocked = true;
        }
        OnFail::Ban => ban(c, rsc, Some(node), "__action_migration_auto__"),
        OnFail::Stop => c.rscs[rsc].next_role = Role::Stopped,
        OnFail::Restart => {
            if active {
                c.rscs[rsc].failed = true;
                c.rscs[rsc].stop_if_failed = true;
                actions::stop(c, rsc, node, false);
            }
        }
        OnFail::RestartContainer => {
            c.rscs[rsc].failed = true;
            c.rscs[rsc].stop_if_failed = true;
            if c.rscs[rsc].container.is_some() {
                c.stop_needed.push(rsc);
            } else if active {
                actions::stop(c, rsc, node, false);
            }
        }
        OnFail::ResetRemote => reset_remote(c, rsc, node),
    }
}

fn reset_remote(c: &mut Cluster, rsc: RscIx, node: NodeIx) {
    c.rscs[rsc].failed = true;
    c.rscs[rsc].stop_if_failed = true;
    if c.options.fencing
        && let Some(remote) = c.rscs[rsc]
            .remote_node
            .filter(|n| !c.nodes[*n].remote_was_fenced)
    {
        fencing::fence_node(c, remote, "remote connection is unrecoverable", false);
    }
    if c.rscs[rsc].role > Role::Stopped {
        actions::stop(c, rsc, node, false);
    }
    if c.rscs[rsc].remote_reconnect_ms > 0 {
        c.rscs[rsc].next_role = Role::Stopped;
    }
}

/// Records that a resource is active on a node.
pub(crate) fn add_running(c: &mut Cluster, rsc: RscIx, node: NodeIx, failed: bool) {
    if c.rscs[rsc].running_on.contains(&node) {
        return;
    }
    c.rscs[rsc].running_on.push(node);
    if c.rscs[rsc].kind == Kind::Primitive {
        c.nodes[node].running.push(rsc);
        if c.nodes[node].maintenance {
            c.rscs[rsc].managed = false;
            c.rscs[rsc].maintenance = true;
        }
    }
    let r = &c.rscs[rsc];
    if !r.managed {
        if r.kind == Kind::Primitive {
            crate::assign::add_node_score(c, rsc, Some(node), INFINITY, "not_managed_default");
        }
        return add_running_parent(c, rsc, node, failed);
    }
    let r = &c.rscs[rsc];
    if r.kind == Kind::Primitive && r.running_on.len() > 1 {
        too_active(c, rsc);
    }
    add_running_parent(c, rsc, node, failed);
}

fn add_running_parent(c: &mut Cluster, rsc: RscIx, node: NodeIx, failed: bool) {
    if let Some(parent) = c.rscs[rsc].parent {
        add_running(c, parent, node, failed);
    }
}

fn too_active(c: &mut Cluster, rsc: RscIx) {
    if c.rscs[rsc].partial_source.is_some() && c.rscs[rsc].multiply_active != MultiplyActive::Block
    {
        return;
    }
    if c.rscs[rsc].multiply_active != MultiplyActive::Block {
        return;
    }
    let mut all = vec![rsc];
    let parent = c.rscs[rsc].parent;
    if let Some(group) = parent.filter(|p| {
        matches!(c.rscs[*p].kind, Kind::Group | Kind::Bundle)
            && c.rscs[*p].multiply_active == MultiplyActive::Block
    }) {
        all.extend(c.rscs[group].children.clone());
    }
    for ix in all {
        c.rscs[ix].managed = false;
        c.rscs[ix].blocked = true;
    }
}

/// Position in the node's history of the newest finished operation of some kinds.
fn newest_call(
    c: &Cluster,
    rsc: RscIx,
    node: NodeIx,
    names: &[&str],
    ok_only: bool,
) -> Option<(i64, String)> {
    let id = c.history_id(rsc).to_owned();
    let history = node_history(c, node)?;
    let resource = history
        .children_named("lrm_resource")
        .find(|r| r.id() == Some(id.as_str()))?;
    let mut best: Option<(i64, String)> = None;
    for op in resource.children_named("lrm_rsc_op") {
        let name = op.attr("operation").unwrap_or("");
        if !names.contains(&name) {
            continue;
        }
        if ok_only && (op.attr("rc-code") != Some("0") || op.attr("op-status") != Some("0")) {
            continue;
        }
        let call = op
            .attr("call-id")
            .and_then(score::leading_integer)
            .unwrap_or(-1);
        if best.as_ref().is_none_or(|(known, _)| call > *known) {
            best = Some((call, op.attr("transition-key").unwrap_or("").to_owned()));
        }
    }
    best
}

fn node_history<'a>(c: &Cluster<'a>, node: NodeIx) -> Option<&'a Element> {
    let id = &c.nodes[node].id;
    c.cib
        .child("status")?
        .children_named("node_state")
        .find(|s| s.id() == Some(id.as_str()))?
        .child("lrm")?
        .child("lrm_resources")
}

fn history_entry<'a>(
    c: &Cluster<'a>,
    rsc: RscIx,
    node: NodeIx,
    op: &str,
    other: Option<(&str, &str)>,
) -> Option<&'a Element> {
    let id = c.history_id(rsc).to_owned();
    node_history(c, node)?
        .children_named("lrm_resource")
        .find(|r| r.id() == Some(id.as_str()))?
        .children_named("lrm_rsc_op")
        .filter(|e| e.attr("operation") == Some(op))
        .find(|e| other.is_none_or(|(attr, value)| e.attr(attr) == Some(value)))
}

/// Whether the history knows the resource as not running there since a point.
fn stopped_after(c: &Cluster, rsc: RscIx, node: NodeIx, than: &Element) -> bool {
    let after = than
        .attr("call-id")
        .and_then(score::leading_integer)
        .unwrap_or(-1);
    newest_call(c, rsc, node, &["stop"], true).is_some_and(|(call, _)| call > after)
}

fn known_not_running(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let id = c.history_id(rsc).to_owned();
    let Some(resource) = node_history(c, node).and_then(|h| {
        h.children_named("lrm_resource")
            .find(|r| r.id() == Some(id.as_str()))
    }) else {
        return true;
    };
    let newest = resource.children_named("lrm_rsc_op").max_by_key(|e| {
        e.attr("call-id")
            .and_then(score::leading_integer)
            .unwrap_or(-1)
    });
    newest.is_none_or(|e| {
        let rc = e.attr("rc-code").unwrap_or("");
        match e.attr("operation") {
            Some("stop") => rc == "0",
            Some("monitor") => rc == "7",
            _ => false,
        }
    })
}

/// Whether something newer than a migration happened to the resource on a node.
fn newer_state(c: &Cluster, rsc: RscIx, node: NodeIx, than: &Element, same_node: bool) -> bool {
    let id = c.history_id(rsc).to_owned();
    let Some(resource) = node_history(c, node).and_then(|h| {
        h.children_named("lrm_resource")
            .find(|r| r.id() == Some(id.as_str()))
    }) else {
        return false;
    };
    let call = |e: &Element| {
        e.attr("call-id")
            .and_then(score::leading_integer)
            .unwrap_or(-1)
    };
    let when = |e: &Element| {
        e.attr("last-rc-change")
            .and_then(score::leading_integer)
            .unwrap_or(0)
    };
    resource
        .children_named("lrm_rsc_op")
        .filter(|e| {
            let name = e.attr("operation").unwrap_or("");
            let recurring = e.attr("interval").is_some_and(|i| i != "0");
            (name == "monitor" && !recurring
                || name == "start"
                || name == "stop"
                || name == "migrate_from" && same_node
                || name == "migrate_to" && !same_node)
                && e.attr("op-status") != Some("-1")
        })
        .any(|e| {
            if same_node {
                call(e) > call(than)
            } else {
                when(e) > when(than)
            }
        })
}

fn migrate_to_success(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    let source = node;
    let (Some(_), Some(target_name)) = (
        entry.xml.attr("migrate_source"),
        entry.xml.attr("migrate_target"),
    ) else {
        return;
    };
    let Some(target) = c.node_names.get(target_name).copied() else {
        c.rscs[rsc].role = Role::Started;
        return;
    };
    if newer_state(c, rsc, source, entry.xml, true) {
        return;
    }
    let source_name = c.nodes[source].name.clone();
    let from = history_entry(
        c,
        rsc,
        target,
        "migrate_from",
        Some(("migrate_source", &source_name)),
    );
    let target_newer = newer_state(c, rsc, target, entry.xml, false);
    if let Some(from) = from
        && !from_is_older(from, entry.xml)
    {
        let rc = from.attr("rc-code").unwrap_or("");
        let status = from.attr("op-status").unwrap_or("0");
        if status == "-1" {
            // Being taken over right now.
            c.rscs[rsc].role = Role::Started;
            begin_partial(c, rsc, source, target);
            return;
        }
        if rc == "0" {
            // Complete but for the stop on the source.
            c.rscs[rsc].role = Role::Started;
            if !c.rscs[rsc].dangling_migrations.contains(&source) {
                c.rscs[rsc].dangling_migrations.push(source);
            }
            if stopped_after(c, rsc, target, from) {
                // It stopped there since; the source still needs its stop.
            }
            c.rscs[rsc].role = Role::Stopped;
            return;
        }
        // The target failed to take it over.
        c.rscs[rsc].role = Role::Started;
        if c.nodes[target].online {
            add_running(c, rsc, target, true);
        }
        return;
    }
    if target_newer {
        c.rscs[rsc].role = Role::Stopped;
        return;
    }
    c.rscs[rsc].role = Role::Started;
    if c.nodes[target].online {
        begin_partial(c, rsc, source, target);
    } else {
        // The target was lost before it took over: the source may be anything.
        c.rscs[rsc].failed = true;
        c.rscs[rsc].stop_if_failed = true;
        c.rscs[rsc].migratable = false;
    }
}

fn begin_partial(c: &mut Cluster, rsc: RscIx, source: NodeIx, target: NodeIx) {
    if c.nodes[target].online {
        c.rscs[rsc].partial_target = Some(target);
        c.rscs[rsc].partial_source = Some(source);
        add_running(c, rsc, target, false);
    }
}

fn from_is_older(from: &Element, to: &Element) -> bool {
    let when = |e: &Element| {
        e.attr("last-rc-change")
            .and_then(score::leading_integer)
            .unwrap_or(0)
    };
    when(from) < when(to)
}

fn migrate_to_failure(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    c.rscs[rsc].role = Role::Started;
    let Some(target) = entry
        .xml
        .attr("migrate_target")
        .and_then(|t| c.node_names.get(t))
        .copied()
    else {
        return;
    };
    let source_name = c.nodes[node].name.clone();
    let from = history_entry(
        c,
        rsc,
        target,
        "migrate_from",
        Some(("migrate_source", &source_name)),
    );
    if from.is_none() && c.nodes[target].online && !known_not_running(c, rsc, target) {
        add_running(c, rsc, target, false);
        return;
    }
    if !newer_state(c, rsc, target, entry.xml, false)
        && c.nodes[target].online
        && !known_not_running(c, rsc, target)
    {
        add_running(c, rsc, target, false);
    }
}

fn migrate_from_failure(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    c.rscs[rsc].role = Role::Started;
    let Some(source) = entry
        .xml
        .attr("migrate_source")
        .and_then(|t| c.node_names.get(t))
        .copied()
    else {
        return;
    };
    let target_name = c.nodes[node].name.clone();
    let to = history_entry(
        c,
        rsc,
        source,
        "migrate_to",
        Some(("migrate_target", &target_name)),
    );
    let stopped_at_source = to.is_some_and(|to| stopped_after(c, rsc, source, to));
    if !stopped_at_source
        && c.nodes[source].online
        && !newer_state(c, rsc, source, entry.xml, false)
    {
        add_running(c, rsc, source, true);
    }
}

/// The call-id from which on a resource's history counts; `None`: it stopped since.
pub(crate) fn live_from(xml: &Element) -> Option<i64> {
    let mut entries: Vec<Entry> = xml
        .children_named("lrm_rsc_op")
        .filter_map(read_entry)
        .collect();
    entries.sort_by(by_call);
    let (start, stop) = active_since(&entries);
    if start < stop {
        return None;
    }
    let at = usize::try_from(start).unwrap_or(0);
    Some(entries.get(at).map_or(-1, |e| e.call_id))
}
