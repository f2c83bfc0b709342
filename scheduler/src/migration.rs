//! Live migration: moving without a stop, when nothing stands against it.

use crate::{
    actions,
    model::{Cluster, NodeIx, Role, RscIx, Task, ar},
    ordering::order_tasks,
};

/// Whether a resource may migrate from where it is to where it is going.
pub(crate) fn possible(c: &Cluster, rsc: RscIx, current: Option<NodeIx>) -> bool {
    let r = &c.rscs[rsc];
    let (Some(current), Some(target)) = (current, r.assigned) else {
        return false;
    };
    r.managed
        && !r.failed
        && !r.start_pending
        && current != target
        && r.next_role > Role::Stopped
        && (r.running_on.len() <= 1 || r.partial_target.is_some() || c.earlier.migrating_copies)
        && !c.nodes[current].unclean
        && c.nodes[current].online
        && migratable_here(c, rsc)
}

fn migratable_here(c: &Cluster, rsc: RscIx) -> bool {
    c.rscs[rsc].migratable
}

/// Makes the two halves of a migration; stop and start remain as its frame.
pub(crate) fn create(c: &mut Cluster, rsc: RscIx, current: Option<NodeIx>) {
    let (Some(current), Some(target)) = (current, c.rscs[rsc].assigned) else {
        return;
    };
    let start = actions::start(c, rsc, Some(target), true);
    let stop = actions::stop(c, rsc, current, true);
    let partial = c.rscs[rsc].partial_target.is_some();
    let from = actions::action(
        c,
        rsc,
        Task::MigrateFrom,
        0,
        Some(target),
        c.acts[start].optional,
    );
    let to = (!partial).then(|| {
        actions::action(
            c,
            rsc,
            Task::MigrateTo,
            0,
            Some(current),
            c.acts[start].optional,
        )
    });
    let source_name = c.nodes[current].name.clone();
    let target_name = c.nodes[target].name.clone();
    let needs = c.acts[start].needs;
    c.acts[start].migratable = true;
    c.acts[stop].migratable = true;
    c.acts[start].pseudo = true;
    for act in to.into_iter().chain([from]) {
        let a = &mut c.acts[act];
        a.migratable = true;
        a.extra.push(("migrate_source", source_name.clone()));
        a.extra.push(("migrate_target", target_name.clone()));
    }
    // Where the last half remains, it needs what the start needs; else the first does.
    c.acts[to.unwrap_or(from)].needs = needs;
    if let Some(to) = to {
        if !c.rscs[rsc].is_remote {
            c.acts[to].extra.push(("record_pending", "true".to_owned()));
        }
        order_tasks(c, rsc, Task::Monitor, rsc, Task::MigrateTo, ar::ORDERED);
        order_tasks(
            c,
            rsc,
            Task::MigrateTo,
            rsc,
            Task::MigrateFrom,
            ar::ORDERED | ar::UNMIGRATABLE_THEN_BLOCKS,
        );
    } else {
        order_tasks(c, rsc, Task::Monitor, rsc, Task::MigrateFrom, ar::ORDERED);
    }
    order_tasks(
        c,
        rsc,
        Task::MigrateFrom,
        rsc,
        Task::Stop,
        ar::ORDERED | ar::UNMIGRATABLE_THEN_BLOCKS,
    );
    order_tasks(
        c,
        rsc,
        Task::MigrateFrom,
        rsc,
        Task::Start,
        ar::ORDERED | ar::UNMIGRATABLE_THEN_BLOCKS | ar::FIRST_ELSE_THEN,
    );
}
