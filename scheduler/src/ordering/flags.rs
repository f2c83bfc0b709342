//! What an action is, seen from an edge: required or not, possible or not. For a collection that follows
//! from the actions of its parts.

use crate::{
    model::{ActIx, Cluster, Kind, NodeIx, RscIx, Task},
    ordering::{first_action, original_task},
};

/// What an action is, seen from an edge.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) optional: bool,
    pub(super) runnable: bool,
}

/// What an action is, given the node of the other end.
pub(super) fn of(c: &mut Cluster, act: ActIx, node: Option<NodeIx>) -> Flags {
    let Some(rsc) = c.acts[act].rsc else {
        return own(c, act);
    };
    let anywhere = of_rsc(c, rsc, act, None);
    if node.is_none() || c.rscs[rsc].kind != Kind::Clone {
        return anywhere;
    }
    let mut flags = of_rsc(c, rsc, act, node);
    // A clone can act if any of its instances can, wherever that is.
    flags.runnable |= anywhere.runnable;
    flags
}

fn own(c: &Cluster, act: ActIx) -> Flags {
    Flags {
        optional: c.acts[act].optional,
        runnable: c.acts[act].runnable,
    }
}

/// What an action of a resource is, considering what is inside the resource.
pub(super) fn of_rsc(c: &mut Cluster, rsc: RscIx, act: ActIx, node: Option<NodeIx>) -> Flags {
    match c.rscs[rsc].kind {
        Kind::Primitive => own(c, act),
        Kind::Group => of_group(c, rsc, act, node),
        Kind::Clone | Kind::Bundle => of_collective(c, rsc, act, node),
    }
}

/// The operation of the parts that an action of a collection stands for.
pub(crate) fn base_task(c: &Cluster, act: ActIx) -> Task {
    let a = &c.acts[act];
    if !matches!(a.task, Task::Notify | Task::Notified) {
        return original_task(a.task);
    }
    let named = a
        .extra
        .iter()
        .find(|(name, _)| *name == "notify_key_operation");
    named.map_or(a.task, |(_, op)| original_task(Task::parse(op)))
}

/// What a clone's actions are follows from its instances once more, when everything else is settled: what nobody asked
/// for since may have to be done by now, or not be possible any more.
pub(super) fn settle(c: &mut Cluster) {
    for rsc in 0..c.rscs.len() {
        if c.rscs[rsc].kind != Kind::Clone {
            continue;
        }
        for at in (0..c.rscs[rsc].actions.len()).rev() {
            of(c, c.rscs[rsc].actions[at], None);
        }
    }
}

/// The instances whose actions an action of a collection stands for: containers start and stop, what is inside is
/// promoted, demoted and notified.
fn concerned(c: &Cluster, rsc: RscIx, task: Task) -> Vec<RscIx> {
    let inside = matches!(
        task,
        Task::Promote
            | Task::Promoted
            | Task::Demote
            | Task::Demoted
            | Task::Notify
            | Task::Notified
    );
    let child = c.rscs[rsc].bundle.as_ref().and_then(|b| b.child);
    match child.filter(|_| inside) {
        Some(child) => c.rscs[child].children.clone(),
        None => crate::bundle::instances(c, rsc),
    }
}

/// The operation of a collection's instances that an action of it stands for: groups have completions of their own.
pub(crate) fn part_task(c: &Cluster, rsc: RscIx, act: ActIx) -> Task {
    let first = crate::bundle::instances(c, rsc).first().copied();
    let a = &c.acts[act];
    if first.is_none_or(|r| c.rscs[r].kind == Kind::Primitive) {
        return base_task(c, act);
    }
    if !matches!(a.task, Task::Notify | Task::Notified) {
        return a.task;
    }
    let mut told = a.extra.iter();
    let named = told.find(|(name, _)| *name == "notify_key_operation");
    named.map_or(a.task, |(_, op)| Task::parse(op))
}

fn of_group(c: &mut Cluster, rsc: RscIx, act: ActIx, node: Option<NodeIx>) -> Flags {
    let mut flags = Flags {
        optional: true,
        runnable: true,
    };
    let task = base_task(c, act);
    for at in 0..c.rscs[rsc].children.len() {
        let member = c.rscs[rsc].children[at];
        let Some(found) = first_action(c, member, task, node) else {
            if !matches!(task, Task::Stop | Task::Demote) {
                flags.runnable = false;
            }
            continue;
        };
        let m = own(c, found);
        if flags.optional && !m.optional {
            flags.optional = false;
            c.acts[act].optional = false;
        }
        if c.acts[act].task != task && flags.runnable && !m.runnable {
            flags.runnable = false;
            c.acts[act].runnable = false;
        }
    }
    flags
}

fn of_collective(c: &mut Cluster, rsc: RscIx, act: ActIx, node: Option<NodeIx>) -> Flags {
    let mut flags = Flags {
        optional: true,
        runnable: true,
    };
    let mut any_runnable = false;
    let task = part_task(c, rsc, act);
    for instance in concerned(c, rsc, c.acts[act].task) {
        let wanted = node.filter(|_| c.rscs[instance].kind == Kind::Primitive);
        let Some(found) = first_action(c, instance, task, wanted) else {
            continue;
        };
        let m = of_rsc(c, instance, found, node);
        if flags.optional && !m.optional {
            flags.optional = false;
            c.acts[act].optional = false;
        }
        any_runnable |= m.runnable;
    }
    if !any_runnable {
        flags.runnable = false;
        if node.is_none() {
            c.acts[act].runnable = false;
        }
    }
    flags
}
