//! Makes the actions that take every resource from where it is to where it should be,
//! and the orderings within a resource.

use crate::{
    actions, constraints, migration,
    model::{Cluster, Kind, MultiplyActive, NodeIx, Role, RscIx, Task, ar},
    ordering::{first_action, order_actions, order_tasks},
    recurring,
    score::INFINITY,
};

/// Orderings that hold within each resource.
pub(crate) fn internal_constraints(c: &mut Cluster) {
    for at in 0..c.top.len() {
        internal(c, c.top[at]);
    }
}

pub(crate) fn internal(c: &mut Cluster, rsc: RscIx) {
    match c.rscs[rsc].kind {
        Kind::Primitive => internal_primitive(c, rsc),
        Kind::Group => internal_group(c, rsc),
        Kind::Clone => internal_clone(c, rsc),
        Kind::Bundle => crate::bundle::internal(c, rsc),
    }
}

fn internal_primitive(c: &mut Cluster, rsc: RscIx) {
    if !c.rscs[rsc].managed {
        return;
    }
    order_tasks(
        c,
        rsc,
        Task::Stop,
        rsc,
        Task::Start,
        ar::ORDERED | ar::FIRST_IMPLIES_THEN | ar::INTERMEDIATE_STOP,
    );
    let promotable = c
        .clone_of(rsc)
        .is_some_and(|clone| c.rscs[clone].promotable);
    if promotable || c.rscs[rsc].role > Role::Unpromoted {
        order_tasks(
            c,
            rsc,
            Task::Demote,
            rsc,
            Task::Stop,
            ar::ORDERED | ar::PROMOTED_THEN_IMPLIES_FIRST,
        );
        order_tasks(
            c,
            rsc,
            Task::Start,
            rsc,
            Task::Promote,
            ar::UNRUNNABLE_FIRST_BLOCKS,
        );
    }
    // A history is not erased on a node where the resource is about to be probed.
    order_tasks(
        c,
        rsc,
        Task::LrmDelete,
        rsc,
        Task::Monitor,
        ar::IF_ON_SAME_NODE | ar::THEN_CANCELS_FIRST,
    );
    crate::unfencing::internal(c, rsc);
    crate::utilization::order(c, rsc);
    crate::remote::internal(c, rsc);
}

/// How a group's members follow each other.
struct GroupState {
    group: RscIx,
    ordered: bool,
    colocated: bool,
    promotable: bool,
    previous: Option<RscIx>,
    last_active: Option<RscIx>,
}

fn internal_group(c: &mut Cluster, rsc: RscIx) {
    let mut state = GroupState {
        group: rsc,
        ordered: c.is_group_ordered(rsc),
        colocated: c.is_group_colocated(rsc),
        promotable: c
            .clone_of(rsc)
            .is_some_and(|clone| c.rscs[clone].promotable),
        previous: None,
        last_active: None,
    };
    order_tasks(c, rsc, Task::Stopped, rsc, Task::Start, ar::ORDERED);
    let blocks = ar::UNRUNNABLE_FIRST_BLOCKS;
    order_tasks(c, rsc, Task::Start, rsc, Task::Running, blocks);
    order_tasks(c, rsc, Task::Stop, rsc, Task::Stopped, blocks);
    for member in c.rscs[rsc].children.clone() {
        internal(c, member);
        group_member(c, &mut state, member);
    }
}

fn group_member(c: &mut Cluster, state: &mut GroupState, member: RscIx) {
    let group = state.group;
    let (mut down, mut post_down) = (
        ar::THEN_IMPLIES_FIRST_GRAPHED,
        ar::FIRST_IMPLIES_THEN_GRAPHED,
    );
    match state.previous {
        None if state.ordered => {
            down |= ar::ORDERED;
            post_down = ar::FIRST_IMPLIES_THEN;
        }
        Some(previous) if state.colocated => {
            let (id, influence) = ("#group-members".into(), c.rscs[member].critical);
            let (dependent, primary) = ((member, Role::Unknown), (previous, Role::Unknown));
            constraints::new(c, &id, None, INFINITY, dependent, primary, influence);
        }
        _ => {}
    }
    let up = ar::UNRUNNABLE_FIRST_BLOCKS | ar::FIRST_IMPLIES_THEN | ar::FIRST_IMPLIES_THEN_GRAPHED;
    let graphed = ar::THEN_IMPLIES_FIRST_GRAPHED;
    if state.promotable {
        order_tasks(c, group, Task::Demote, member, Task::Demote, down);
        order_tasks(c, member, Task::Demote, group, Task::Demoted, post_down);
        order_tasks(c, member, Task::Promote, group, Task::Promoted, up);
        order_tasks(c, group, Task::Promote, member, Task::Promote, graphed);
    }
    order_tasks(c, group, Task::Stop, member, Task::Stop, down);
    order_tasks(c, member, Task::Stop, group, Task::Stopped, post_down);
    order_tasks(c, group, Task::Start, member, Task::Start, graphed);
    order_tasks(c, member, Task::Start, group, Task::Running, up);
    if !state.ordered {
        let each = ar::ORDERED | ar::UNRUNNABLE_FIRST_BLOCKS | graphed;
        order_tasks(c, group, Task::Start, member, Task::Start, each);
        if state.promotable {
            order_tasks(c, group, Task::Promote, member, Task::Promote, each);
        }
    } else if let Some(previous) = state.previous {
        order_members(c, previous, member, state.promotable);
    }
    if !c.rscs[member].running_on.is_empty() {
        // A group with a gap still stops from its end.
        let gap = state
            .previous
            .is_some_and(|previous| c.rscs[previous].running_on.is_empty());
        if let Some(last) = state.last_active.filter(|_| state.ordered && gap) {
            order_tasks(c, member, Task::Stop, last, Task::Stop, ar::ORDERED);
        }
        state.last_active = Some(member);
    }
    state.previous = Some(member);
}

fn order_members(c: &mut Cluster, previous: RscIx, member: RscIx, promotable: bool) {
    let implied = ar::FIRST_IMPLIES_THEN | ar::UNRUNNABLE_FIRST_BLOCKS;
    order_tasks(c, previous, Task::Start, member, Task::Start, implied);
    let restart = ar::ORDERED | ar::INTERMEDIATE_STOP;
    order_tasks(c, member, Task::Stop, previous, Task::Stop, restart);
    let gap = !c.rscs[member].running_on.is_empty() && c.rscs[previous].running_on.is_empty();
    if gap && !c.earlier.group_gaps {
        // Something later in the group is up without what it stands on: down with it first.
        let flags = ar::THEN_IMPLIES_FIRST | ar::UNRUNNABLE_FIRST_BLOCKS;
        order_tasks(c, member, Task::Stop, previous, Task::Start, flags);
    }
    if promotable {
        order_tasks(c, previous, Task::Promote, member, Task::Promote, implied);
        order_tasks(c, member, Task::Demote, previous, Task::Demote, ar::ORDERED);
    }
}

fn internal_clone(c: &mut Cluster, rsc: RscIx) {
    order_tasks(c, rsc, Task::Stopped, rsc, Task::Start, ar::ORDERED);
    order_tasks(
        c,
        rsc,
        Task::Start,
        rsc,
        Task::Running,
        ar::UNRUNNABLE_FIRST_BLOCKS,
    );
    order_tasks(
        c,
        rsc,
        Task::Stop,
        rsc,
        Task::Stopped,
        ar::UNRUNNABLE_FIRST_BLOCKS,
    );
    if c.rscs[rsc].promotable {
        order_tasks(c, rsc, Task::Demoted, rsc, Task::Stop, ar::ORDERED);
        order_tasks(
            c,
            rsc,
            Task::Running,
            rsc,
            Task::Promote,
            ar::UNRUNNABLE_FIRST_BLOCKS,
        );
    }
    let ordered = c.rscs[rsc].clone.ordered;
    let children = match ordered {
        true => by_number(c, rsc),
        false => c.rscs[rsc].children.clone(),
    };
    for (at, child) in children.iter().copied().enumerate() {
        internal(c, child);
        let graphed = ar::THEN_IMPLIES_FIRST_GRAPHED;
        let begin = ar::UNRUNNABLE_FIRST_BLOCKS | graphed;
        let done = ar::FIRST_IMPLIES_THEN_GRAPHED;
        order_tasks(c, rsc, Task::Start, child, Task::Start, begin);
        order_tasks(c, child, Task::Start, rsc, Task::Running, done);
        order_tasks(c, rsc, Task::Stop, child, Task::Stop, graphed);
        order_tasks(c, child, Task::Stop, rsc, Task::Stopped, done);
        if !ordered {
            continue;
        }
        // Only some instances may start or stop: each goes after every earlier one.
        let count = if c.earlier.next_instance {
            1
        } else {
            children.len()
        };
        for later in children[at + 1..].iter().copied().take(count) {
            order_tasks(c, child, Task::Start, later, Task::Start, ar::ORDERED);
            order_tasks(c, later, Task::Stop, child, Task::Stop, ar::ORDERED);
        }
    }
    if c.rscs[rsc].promotable {
        internal_promotable(c, rsc, &children, ordered);
    }
}

/// The instances of a clone, by number.
fn by_number(c: &Cluster, clone: RscIx) -> Vec<RscIx> {
    let mut children = c.rscs[clone].children.clone();
    children.sort_by_key(|child| crate::instances::number(c, *child));
    children
}

/// Of an ordered clone's instances that have to start or stop, each waits for the next that has to (2.1.5).
fn chain_instances(c: &mut Cluster, clone: RscIx) {
    let (mut started, mut stopped) = (None, None);
    for instance in by_number(c, clone) {
        let due = |task| first_action(c, instance, task, None).filter(|ix| !c.acts[*ix].optional);
        let (stop, start) = (due(Task::Stop), due(Task::Start));
        if let Some(stop) = stop
            && let Some(earlier) = stopped.replace(stop)
        {
            order_actions(c, stop, earlier, ar::ORDERED);
        }
        if let Some(start) = start
            && let Some(earlier) = started.replace(start)
        {
            order_actions(c, earlier, start, ar::ORDERED);
        }
    }
}

/// Changes of role wait for those that free what they need.
pub(crate) fn promotable_restart(c: &mut Cluster, rsc: RscIx) {
    for (first, then) in [
        (Task::Stopped, Task::Start),
        (Task::Stopped, Task::Promote),
        (Task::Demoted, Task::Stop),
        (Task::Demoted, Task::Start),
        (Task::Demoted, Task::Promote),
        (Task::Running, Task::Promote),
        (Task::Demote, Task::Demoted),
    ] {
        order_tasks(c, rsc, first, rsc, then, ar::ORDERED);
    }
}

fn internal_promotable(c: &mut Cluster, rsc: RscIx, children: &[RscIx], ordered: bool) {
    promotable_restart(c, rsc);
    let (graphed, done) = (
        ar::THEN_IMPLIES_FIRST_GRAPHED,
        ar::FIRST_IMPLIES_THEN_GRAPHED,
    );
    let mut previous: Option<RscIx> = None;
    for child in children.iter().copied() {
        order_tasks(c, child, Task::Demote, child, Task::Promote, ar::ORDERED);
        order_tasks(c, rsc, Task::Promote, child, Task::Promote, graphed);
        order_tasks(c, child, Task::Promote, rsc, Task::Promoted, done);
        order_tasks(c, rsc, Task::Demote, child, Task::Demote, graphed);
        order_tasks(c, child, Task::Demote, rsc, Task::Demoted, done);
        if let Some(last) = previous.filter(|_| ordered) {
            order_tasks(c, last, Task::Promote, child, Task::Promote, ar::ORDERED);
            order_tasks(c, child, Task::Demote, last, Task::Demote, ar::ORDERED);
        }
        previous = Some(child);
    }
}

/// Makes the actions of all resources.
pub(crate) fn all(c: &mut Cluster) {
    for at in 0..c.top.len() {
        forget_failures_of_removed(c, c.top[at]);
    }
    for at in 0..c.top.len() {
        create(c, c.top[at]);
    }
}

fn forget_failures_of_removed(c: &mut Cluster, rsc: RscIx) {
    if !c.rscs[rsc].removed || c.rscs[rsc].kind != Kind::Primitive {
        return;
    }
    for node in 0..c.nodes.len() {
        if c.nodes[node].online && crate::failures::count(c, rsc, node, true).count > 0 {
            let clear = actions::clear_failcount(c, rsc, node, "it is removed");
            crate::ordering::order_action_task(c, clear, rsc, Task::Stop, ar::ORDERED);
        }
    }
}

pub(crate) fn create(c: &mut Cluster, rsc: RscIx) {
    match c.rscs[rsc].kind {
        Kind::Primitive => primitive(c, rsc),
        Kind::Group => group(c, rsc),
        Kind::Clone => {
            collective(c, rsc);
            if c.rscs[rsc].promotable {
                promotable(c, rsc);
            }
        }
        Kind::Bundle => crate::bundle::create(c, rsc),
    }
}

/// A pseudo-action of a collection.
pub(crate) fn pseudo(
    c: &mut Cluster,
    rsc: RscIx,
    task: Task,
    optional: bool,
    runnable: bool,
) -> usize {
    let ix = actions::action(c, rsc, task, 0, None, optional);
    let a = &mut c.acts[ix];
    a.pseudo = true;
    a.runnable = runnable;
    ix
}

fn group(c: &mut Cluster, rsc: RscIx) {
    for member in c.rscs[rsc].children.clone() {
        create(c, member);
    }
    for task in [Task::Start, Task::Running, Task::Stop, Task::Stopped] {
        pseudo(c, rsc, task, true, true);
    }
    let promotable = c
        .clone_of(rsc)
        .is_some_and(|clone| c.rscs[clone].promotable);
    if promotable {
        for task in [Task::Demote, Task::Demoted, Task::Promote, Task::Promoted] {
            pseudo(c, rsc, task, true, true);
        }
    }
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Motion {
    pub(crate) starting: bool,
    pub(crate) stopping: bool,
    pub(crate) promoting: bool,
    pub(crate) demoting: bool,
    pub(crate) active: bool,
    /// One and the same instance stops and starts.
    pub(crate) restarting: bool,
}

/// What the instances of a collection are about to do.
pub(crate) fn motion(c: &Cluster, rsc: RscIx, out: &mut Motion) {
    for child in &c.rscs[rsc].children {
        motion(c, *child, out);
    }
    let r = &c.rscs[rsc];
    if r.kind != Kind::Primitive {
        return;
    }
    out.active |= !r.running_on.is_empty();
    let (mut starts, mut stops) = (false, false);
    for ix in &r.actions {
        let a = &c.acts[*ix];
        if a.optional {
            continue;
        }
        match a.task {
            Task::Start if a.runnable => starts = true,
            Task::Stop if a.pseudo || a.runnable => stops = true,
            Task::Promote => out.promoting = true,
            Task::Demote => out.demoting = true,
            _ => {}
        }
    }
    out.starting |= starts;
    out.stopping |= stops;
    out.restarting |= starts && stops;
}

pub(crate) fn collective(c: &mut Cluster, rsc: RscIx) {
    for child in crate::bundle::instances(c, rsc) {
        create(c, child);
    }
    let mut state = Motion::default();
    for child in crate::bundle::instances(c, rsc) {
        motion(c, child, &mut state);
    }
    let start = pseudo(c, rsc, Task::Start, !state.starting, true);
    let started = pseudo(
        c,
        rsc,
        Task::Running,
        !state.starting,
        state.active || state.starting,
    );
    c.acts[started].priority = INFINITY;
    let stop = pseudo(c, rsc, Task::Stop, !state.stopping, true);
    let stopped = pseudo(c, rsc, Task::Stopped, !state.stopping, true);
    c.acts[stopped].priority = INFINITY;
    c.acts[stop].migratable = !state.restarting;
    if c.rscs[rsc].notify && c.rscs[rsc].kind == Kind::Clone {
        crate::notify::create_pair(c, rsc, Task::Start, start, started);
        crate::notify::create_pair(c, rsc, Task::Stop, stop, stopped);
        crate::notify::chain(c, rsc, Task::Stop, Task::Start);
    }
    if c.earlier.next_instance && c.rscs[rsc].clone.ordered && c.rscs[rsc].kind == Kind::Clone {
        chain_instances(c, rsc);
    }
}

fn promotable(c: &mut Cluster, rsc: RscIx) {
    let mut state = Motion::default();
    for child in c.rscs[rsc].children.clone() {
        motion(c, child, &mut state);
    }
    let promote = pseudo(c, rsc, Task::Promote, !state.promoting, true);
    let promoted = pseudo(c, rsc, Task::Promoted, !state.promoting, true);
    c.acts[promoted].priority = INFINITY;
    let demote = pseudo(c, rsc, Task::Demote, !state.demoting, true);
    let demoted = pseudo(c, rsc, Task::Demoted, !state.demoting, true);
    c.acts[demoted].priority = INFINITY;
    if c.rscs[rsc].notify {
        crate::notify::create_pair(c, rsc, Task::Promote, promote, promoted);
        crate::notify::create_pair(c, rsc, Task::Demote, demote, demoted);
        crate::notify::chain(c, rsc, Task::Demote, Task::Promote);
        crate::notify::chain(c, rsc, Task::Demote, Task::Stop);
        crate::notify::chain(c, rsc, Task::Stop, Task::Promote);
        crate::notify::chain(c, rsc, Task::Start, Task::Promote);
        crate::notify::chain(c, rsc, Task::Demote, Task::Start);
    }
}

/// Next role on the way from one to another.
fn step(from: Role, to: Role) -> Role {
    use Role::{Promoted, Started, Stopped, Unknown, Unpromoted};
    match (from, to) {
        (Unknown, Unknown) => Unknown,
        (Unknown, _) | (_, Unknown) => Stopped,
        (Stopped, Stopped) => Stopped,
        (Stopped, Started) => Started,
        (Stopped, Unpromoted | Promoted) => Unpromoted,
        (Started, Stopped) => Stopped,
        (Started, to) => to,
        (Unpromoted, Stopped | Started) => Stopped,
        (Unpromoted, to) => to,
        (Promoted, Promoted) => Promoted,
        (Promoted, _) => Unpromoted,
    }
}

fn transition(
    c: &mut Cluster,
    rsc: RscIx,
    node: Option<NodeIx>,
    from: Role,
    to: Role,
    optional: bool,
) {
    use Role::{Promoted, Started, Stopped, Unknown, Unpromoted};
    match (from, to) {
        (Started | Unpromoted, Stopped) => stop(c, rsc, optional),
        (Promoted, Unpromoted) | (Promoted, Stopped | Started) => demote(c, rsc, optional),
        (Unknown | Stopped, Started | Unpromoted) => start(c, rsc, node, optional),
        (Started | Unpromoted, Promoted) => promote(c, rsc, node, optional),
        _ => {}
    }
}

fn primitive(c: &mut Cluster, rsc: RscIx) {
    if c.rscs[rsc].next_role == Role::Unknown {
        let assigned = c.rscs[rsc].assigned.is_some();
        let promotable = c
            .clone_of(rsc)
            .is_some_and(|clone| c.rscs[clone].promotable);
        c.rscs[rsc].next_role = match (assigned, promotable) {
            (false, _) => Role::Stopped,
            (true, false) => Role::Started,
            (true, true) => Role::Unpromoted,
        };
    }
    if c.rscs[rsc].role == Role::Unknown {
        c.rscs[rsc].role = Role::Stopped;
    }
    let (current, all_active, clean_active) = c.active_node(rsc);
    for node in c.rscs[rsc].dangling_migrations.clone() {
        actions::stop(c, rsc, node, false);
    }
    let mut multiply_active = false;
    let mut need_stop = false;
    let mut migrate = c.rscs[rsc].migratable;
    let (target, source) = (c.rscs[rsc].partial_target, c.rscs[rsc].partial_source);
    let assigned = c.rscs[rsc].assigned;
    let continues = all_active == 2
        && source.is_some()
        && current == source
        && target.is_some()
        && target == assigned
        && [source, target]
            .iter()
            .flatten()
            .all(|n| c.rscs[rsc].running_on.contains(n));
    if !continues && (source.is_some() || target.is_some()) {
        if all_active > 2 {
            multiply_active = true;
        } else {
            // What was begun is not carried on: everything is stopped and started anew.
            need_stop = true;
        }
        if all_active > 1 {
            need_stop = true;
        }
        c.rscs[rsc].partial_source = None;
        c.rscs[rsc].partial_target = None;
        migrate = false;
    } else if !continues {
        multiply_active = match c.rscs[rsc].requires {
            crate::model::Requires::Fencing | crate::model::Requires::Unfencing => all_active > 1,
            _ => clean_active > 1,
        };
    }
    if multiply_active {
        match c.rscs[rsc].multiply_active {
            MultiplyActive::StopStart => need_stop = true,
            MultiplyActive::StopUnexpected => {
                need_stop = true;
                c.rscs[rsc].stop_unexpected = true;
            }
            _ => {}
        }
    } else {
        c.rscs[rsc].stop_unexpected = false;
    }
    if c.rscs[rsc].start_pending {
        let ix = actions::start(c, rsc, assigned, true);
        c.acts[ix].print_always = true;
    }
    let moving = current.is_some()
        && assigned.is_some()
        && current != assigned
        && c.rscs[rsc].next_role > Role::Stopped;
    if moving {
        need_stop = true;
    } else if c.rscs[rsc].failed {
        if c.rscs[rsc].stop_if_failed {
            need_stop = true;
        } else {
            // Only what failed is redone, below.
        }
    } else if c.rscs[rsc].blocked {
        need_stop = true;
    } else if c.rscs[rsc].role > Role::Started && current.is_some() && assigned.is_some() {
        let ix = actions::start(c, rsc, assigned, true);
        if !c.acts[ix].optional {
            need_stop = true;
        }
    }
    let need_promote = c.rscs[rsc].failed && c.rscs[rsc].next_role == Role::Promoted;
    restart(c, rsc, current, need_stop, need_promote);
    advance(c, rsc);
    recurring::create(c, rsc);
    if migrate && migration::possible(c, rsc, current) {
        migration::create(c, rsc, current);
    }
}

/// Down and up again where it is, in case that is needed.
fn restart(
    c: &mut Cluster,
    rsc: RscIx,
    current: Option<NodeIx>,
    need_stop: bool,
    need_promote: bool,
) {
    let was = c.rscs[rsc].role;
    let mut role = was;
    while role != Role::Stopped {
        let next = step(role, Role::Stopped);
        if role == next {
            break;
        }
        transition(c, rsc, current, role, next, !need_stop);
        role = next;
    }
    let target = c.rscs[rsc].assigned;
    // Without quorum a step up may lower what it should be.
    while was <= c.rscs[rsc].next_role && role != was && !c.rscs[rsc].blocked {
        let next = step(role, was);
        if next == role {
            break;
        }
        let required = need_stop || next == Role::Promoted && need_promote;
        transition(c, rsc, target, role, next, !required);
        role = next;
    }
}

/// From what it is to what it should be.
fn advance(c: &mut Cluster, rsc: RscIx) {
    let mut role = c.rscs[rsc].role;
    let (next_role, node) = (c.rscs[rsc].next_role, c.rscs[rsc].assigned);
    while role != next_role {
        let next = step(role, next_role);
        if next == role {
            break;
        }
        transition(c, rsc, node, role, next, false);
        role = next;
    }
}

fn stop(c: &mut Cluster, rsc: RscIx, optional: bool) {
    for node in c.rscs[rsc].running_on.clone() {
        if c.rscs[rsc].stop_unexpected
            && c.rscs[rsc].assigned == Some(node)
            && c.rscs[rsc].next_role > Role::Stopped
        {
            continue;
        }
        if c.rscs[rsc].partial_target == Some(node) && c.rscs[rsc].assigned == Some(node) {
            continue;
        }
        let ix = actions::stop(c, rsc, node, optional);
        if c.rscs[rsc].assigned.is_none() {
            actions::set_reason(c, ix, "node availability", false);
        } else if c.rscs[rsc].stop_unexpected {
            actions::set_reason(c, ix, "being multiply active", false);
        }
        if !c.rscs[rsc].managed {
            c.acts[ix].runnable = false;
        }
        if c.options.remove_after_stop {
            clean_up(c, rsc, node, optional);
        }
    }
}

fn start(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, optional: bool) {
    let ix = actions::start(c, rsc, node, true);
    if let Some(node) = node {
        crate::unfencing::order(c, rsc, node, ix, ar::FIRST_IMPLIES_THEN);
    }
    if c.acts[ix].runnable && !optional {
        c.acts[ix].optional = false;
    }
    if expected_there(c, rsc, node) {
        c.acts[ix].pseudo = true;
    }
}

/// Has the history of a resource on a node erased, after its stop.
pub(crate) fn clean_up(c: &mut Cluster, rsc: RscIx, node: NodeIx, optional: bool) {
    if c.rscs[rsc].failed || c.nodes[node].unclean || !c.nodes[node].online {
        return;
    }
    actions::action(c, rsc, Task::Delete, 0, Some(node), optional);
    let flags = if optional {
        ar::FIRST_IMPLIES_THEN
    } else {
        ar::ORDERED
    };
    order_tasks(c, rsc, Task::Stop, rsc, Task::Delete, flags);
    order_tasks(c, rsc, Task::Delete, rsc, Task::Start, flags);
}

fn expected_there(c: &Cluster, rsc: RscIx, node: Option<NodeIx>) -> bool {
    let r = &c.rscs[rsc];
    r.stop_unexpected
        && r.running_on.len() > 1
        && (c.earlier.expected_anywhere || node.is_some_and(|n| r.running_on.contains(&n)))
        && r.next_role > Role::Stopped
}

fn promote(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, optional: bool) {
    let starts = crate::ordering::find_actions(c, rsc, Task::Start, 0);
    let runnable = starts
        .iter()
        .filter(|ix| c.acts[**ix].node == node)
        .all(|ix| c.acts[*ix].runnable);
    if runnable {
        let ix = actions::promote(c, rsc, node, optional);
        if expected_there(c, rsc, node) {
            c.acts[ix].pseudo = true;
        }
        return;
    }
    for ix in crate::ordering::find_actions(c, rsc, Task::Promote, 0) {
        c.acts[ix].runnable = false;
    }
}

fn demote(c: &mut Cluster, rsc: RscIx, optional: bool) {
    for node in c.rscs[rsc].running_on.clone() {
        if expected_there(c, rsc, Some(node)) && c.rscs[rsc].assigned == Some(node) {
            continue;
        }
        actions::demote(c, rsc, node, optional);
    }
}
