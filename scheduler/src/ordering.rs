//! Keeps orderings, turns them into edges between actions, and lets what one action must or cannot do
//! spread along the edges until nothing changes.

mod flags;
mod update;

use crate::{
    actions,
    model::{ActIx, Cluster, End, Link, NodeIx, Ordering, Role, RscIx, Task, ar},
};
use smallvec::{SmallVec, smallvec};
use update::Updater;

/// Adds an edge between two actions. Whether it was new.
pub(crate) fn order_actions(c: &mut Cluster, first: ActIx, then: ActIx, flags: u32) -> bool {
    if flags == 0 || first == then {
        return false;
    }
    if c.acts[first]
        .after
        .iter()
        .any(|l| l.other == then && l.flags & flags != 0)
    {
        return false;
    }
    c.acts[first].after.push(Link { other: then, flags });
    c.acts[then].before.push(Link {
        other: first,
        flags,
    });
    true
}

fn task_end(rsc: RscIx, task: Task) -> End {
    End {
        rsc: Some(rsc),
        task,
        interval_ms: 0,
        act: None,
    }
}

fn act_end(c: &Cluster, act: ActIx) -> End {
    End {
        rsc: c.acts[act].rsc,
        act: Some(act),
        ..End::default()
    }
}

/// Orders the operations of two resources.
pub(crate) fn order_tasks(
    c: &mut Cluster,
    first: RscIx,
    first_task: Task,
    then: RscIx,
    then_task: Task,
    flags: u32,
) {
    push(
        c,
        task_end(first, first_task),
        task_end(then, then_task),
        flags,
    );
}

/// Orders a resource's operation before one action.
pub(crate) fn order_task_action(
    c: &mut Cluster,
    first: RscIx,
    first_task: Task,
    then: ActIx,
    flags: u32,
) {
    let end = act_end(c, then);
    push(c, task_end(first, first_task), end, flags);
}

/// Orders one action before a resource's operation.
pub(crate) fn order_action_task(
    c: &mut Cluster,
    first: ActIx,
    then: RscIx,
    then_task: Task,
    flags: u32,
) {
    let end = act_end(c, first);
    push(c, end, task_end(then, then_task), flags);
}

fn push(c: &mut Cluster, first: End, then: End, flags: u32) {
    c.orderings.push(Ordering { first, then, flags });
}

/// A few actions: there is hardly ever more than one of a kind.
pub(crate) type Acts = SmallVec<[ActIx; 4]>;

/// Actions of a resource for an operation.
pub(crate) fn find_actions(c: &Cluster, rsc: RscIx, task: Task, interval_ms: u32) -> Acts {
    actions_for(c, rsc, task, interval_ms).collect()
}

/// As [`find_actions`], one by one.
pub(crate) fn actions_for(
    c: &Cluster,
    rsc: RscIx,
    task: Task,
    interval_ms: u32,
) -> impl Iterator<Item = ActIx> {
    c.rscs[rsc].actions_of(task).filter(move |ix| {
        let a = &c.acts[*ix];
        a.interval_ms == interval_ms && a.key.is_none() && a.name.is_none()
    })
}

/// The newest action of a resource for an operation, on a node if one is given.
pub(crate) fn first_action(
    c: &Cluster,
    rsc: RscIx,
    task: Task,
    node: Option<NodeIx>,
) -> Option<ActIx> {
    c.rscs[rsc].actions_of(task).rev().find(|ix| {
        let a = &c.acts[*ix];
        let keyed = a.key.is_some() && !matches!(task, Task::Notify | Task::Notified);
        !keyed && (node.is_none() || a.node == node)
    })
}

/// Applies all orderings: edges first, then what follows from them.
pub(crate) fn apply_all(c: &mut Cluster) {
    let mut all = std::mem::take(&mut c.orderings);
    for ordering in &all {
        apply_one(c, ordering);
    }
    let mut extras = Vec::new();
    let migratable = c.rscs.iter().any(|r| r.migratable);
    for ordering in all.iter().filter(|_| migratable) {
        for extra in for_migrations(c, ordering) {
            let exists = |c: &Cluster, end: &End| {
                end.rsc
                    .is_some_and(|r| actions_for(c, r, end.task, 0).next().is_some())
            };
            if exists(c, &extra.first) && exists(c, &extra.then) {
                apply_one(c, &extra);
                extras.push(extra);
            }
        }
    }
    all.append(&mut extras);
    c.orderings = all;
    let mut updater = Updater::default();
    updater.block_all_dependents(c);
    crate::probes::order(c);
    updater.update_all(c);
    flags::settle(c);
}

/// Orderings of starts and stops hold for migrations as well.
fn for_migrations(c: &Cluster, o: &Ordering) -> Vec<Ordering> {
    let (Some(first), Some(then)) = (o.first.rsc, o.then.rsc) else {
        return Vec::new();
    };
    if o.first.act.is_some() || o.then.act.is_some() || first == then || !c.rscs[then].migratable {
        return Vec::new();
    }
    if is_parent(c, first, then) || is_parent(c, then, first) {
        return Vec::new();
    }
    let mut flags = o.flags;
    let both = c.rscs[first].migratable;
    let make = |a: Task, b: Task, flags: u32| Ordering {
        first: task_end(first, a),
        then: task_end(then, b),
        flags,
    };
    let partial = c.rscs[then].partial_target.is_some();
    let mut out = Vec::new();
    match (o.first.task, o.then.task) {
        (Task::Start, Task::Start) => {
            if both {
                out.push(make(Task::MigrateFrom, Task::MigrateTo, flags));
                flags |= ar::IF_FIRST_UNMIGRATABLE;
            }
            out.push(make(Task::Start, Task::MigrateTo, flags));
        }
        (Task::Stop, Task::Stop) => {
            if both {
                flags |= ar::IF_FIRST_UNMIGRATABLE;
            }
            out.push(make(Task::Stop, Task::MigrateTo, flags));
            if partial {
                out.push(make(Task::Stop, Task::MigrateFrom, flags));
            }
        }
        (Task::Promote, Task::Start) => out.push(make(Task::Promote, Task::MigrateTo, flags)),
        (Task::Demote, Task::Stop) => {
            out.push(make(Task::Demote, Task::MigrateTo, flags));
            if partial {
                out.push(make(Task::Demote, Task::MigrateFrom, flags));
            }
        }
        _ => {}
    }
    out
}

fn apply_one(c: &mut Cluster, o: &Ordering) {
    match (o.first.rsc, o.first.act) {
        (Some(rsc), None) => {
            let mut firsts = find_actions(c, rsc, o.first.task, o.first.interval_ms);
            if firsts.is_empty() {
                if o.then.rsc == Some(rsc) {
                    return;
                }
                let state = c.state(rsc, true);
                if o.first.task == Task::Stop && state <= Role::Stopped {
                    return;
                }
                if o.first.task == Task::Demote && state == Role::Unpromoted {
                    return;
                }
                firsts.push(actions::action(
                    c,
                    rsc,
                    o.first.task,
                    o.first.interval_ms,
                    None,
                    true,
                ));
            }
            for first in firsts {
                order_then(c, Some(first), o);
            }
        }
        (_, Some(first)) => order_then(c, Some(first), o),
        (None, None) => order_then(c, None, o),
    }
}

fn order_then(c: &mut Cluster, first: Option<ActIx>, o: &Ordering) {
    let thens = match (o.then.act, o.then.rsc) {
        (Some(act), _) => smallvec![act],
        (None, Some(rsc)) => find_actions(c, rsc, o.then.task, o.then.interval_ms),
        _ => return,
    };
    let mut flags = o.flags;
    if let (Some(first), Some(rsc)) = (first, o.then.rsc) {
        let dangling = c.acts[first].rsc == Some(rsc)
            && c.acts[first].task == Task::Stop
            && is_dangling(c, first);
        if dangling {
            flags &= !ar::FIRST_IMPLIES_THEN;
        }
    }
    for then in thens {
        match first {
            Some(first) => {
                order_actions(c, first, then, flags);
            }
            None => c.acts[then].runnable = false,
        }
    }
}

fn is_dangling(c: &Cluster, act: ActIx) -> bool {
    let a = &c.acts[act];
    match (a.rsc, a.node) {
        (Some(rsc), Some(node)) => c.rscs[rsc].dangling_migrations.contains(&node),
        _ => false,
    }
}

/// Whether `parent` is above `child`.
fn is_parent(c: &Cluster, parent: RscIx, child: RscIx) -> bool {
    let mut at = c.rscs[child].parent;
    while let Some(ix) = at {
        if ix == parent {
            return true;
        }
        at = c.rscs[ix].parent;
    }
    false
}

/// The operation a completion stands for.
pub(crate) fn original_task(task: Task) -> Task {
    match task {
        Task::Running => Task::Start,
        Task::Stopped => Task::Stop,
        Task::Promoted => Task::Promote,
        Task::Demoted => Task::Demote,
        other => other,
    }
}
