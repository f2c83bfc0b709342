//! Keeps orderings, turns them into edges between actions, and lets what one action must or cannot do
//! spread along the edges until nothing changes.

use crate::{
    actions, colocation, instances,
    model::{ActIx, Cluster, End, Kind, Link, NodeIx, Ordering, Role, RscIx, Task, ar},
};

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

/// Actions of a resource for an operation.
pub(crate) fn find_actions(c: &Cluster, rsc: RscIx, task: Task, interval_ms: u32) -> Vec<ActIx> {
    c.rscs[rsc]
        .actions
        .iter()
        .copied()
        .filter(|ix| {
            let a = &c.acts[*ix];
            a.task == task && a.interval_ms == interval_ms && a.key.is_none() && a.name.is_none()
        })
        .collect()
}

/// The first action of a resource for an operation, on a node if one is given.
pub(crate) fn first_action(
    c: &Cluster,
    rsc: RscIx,
    task: Task,
    node: Option<NodeIx>,
) -> Option<ActIx> {
    let mut fallback = None;
    for ix in &c.rscs[rsc].actions {
        let a = &c.acts[*ix];
        if a.task != task || a.key.is_some() && !matches!(task, Task::Notify | Task::Notified) {
            continue;
        }
        if node.is_none() || a.node == node {
            return Some(*ix);
        }
        if a.node.is_none() && fallback.is_none() {
            fallback = Some(*ix);
        }
    }
    fallback
}

/// Applies all orderings.
pub(crate) fn apply_all(c: &mut Cluster) {
    let all = std::mem::take(&mut c.orderings);
    for ordering in &all {
        apply_one(c, ordering);
    }
    for ordering in &all {
        for extra in for_migrations(c, ordering) {
            let exists = |c: &Cluster, end: &End| {
                end.rsc
                    .is_some_and(|r| !find_actions(c, r, end.task, 0).is_empty())
            };
            if exists(c, &extra.first) && exists(c, &extra.then) {
                apply_one(c, &extra);
            }
        }
    }
    let mut updater = Updater::default();
    for act in 0..c.acts.len() {
        updater.update(c, act);
    }
    c.orderings = all;
    crate::probes::order(c);
    for at in 0..c.rscs.len() {
        block_dependents_of(c, at);
    }
    for act in 0..c.acts.len() {
        updater.update(c, act);
    }
    disable_invalid(c);
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
        (Some(act), _) => vec![act],
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

/// What changed when an edge was applied.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Changed {
    first: bool,
    then: bool,
}

impl std::ops::BitOrAssign for Changed {
    fn bitor_assign(&mut self, other: Self) {
        self.first |= other.first;
        self.then |= other.then;
    }
}

/// What an action is, seen from an edge.
#[derive(Clone, Copy)]
struct Flags {
    optional: bool,
    runnable: bool,
}

/// Most updates of one action: a loop of orderings ends there.
const MAX_UPDATES: u32 = 2_000;

#[derive(Default)]
struct Updater {
    /// Updates so far, by action.
    counts: Vec<u32>,
    depth: usize,
    queue: Vec<ActIx>,
}

impl Updater {
    /// Applies all edges that lead to an action, and follows what changes.
    fn update(&mut self, c: &mut Cluster, act: ActIx) {
        self.queue.push(act);
        if self.depth > 0 {
            return;
        }
        self.depth = 1;
        while let Some(next) = self.queue.pop() {
            if self.counts.len() < c.acts.len() {
                self.counts.resize(c.acts.len(), 0);
            }
            self.counts[next] += 1;
            if self.counts[next] <= MAX_UPDATES {
                self.update_one(c, next);
            }
        }
        self.depth = 0;
    }

    fn update_one(&mut self, c: &mut Cluster, then: ActIx) {
        if c.acts[then].before.is_empty() {
            return;
        }
        let before = (
            c.acts[then].optional,
            c.acts[then].runnable,
            c.acts[then].migratable,
        );
        let mut changed = Changed::default();
        if c.acts[then].min_runnable {
            c.acts[then].runnable_before = 0;
            c.acts[then].required_before = c.acts[then].required_before.max(1);
            c.acts[then].runnable = false;
        }
        let mut at = 0;
        while at < c.acts[then].before.len() {
            changed |= self.apply_link(c, then, at);
            at += 1;
        }
        if c.acts[then].min_runnable {
            let now = (
                c.acts[then].optional,
                c.acts[then].runnable,
                c.acts[then].migratable,
            );
            changed.then = now != before;
        }
        if changed.then {
            if before.1 && !c.acts[then].runnable {
                block_dependents(c, then);
            }
            self.queue
                .extend(c.acts[then].after.iter().map(|l| l.other));
            self.queue.push(then);
        }
    }

    fn apply_link(&mut self, c: &mut Cluster, then: ActIx, at: usize) -> Changed {
        let link = c.acts[then].before[at];
        if link.flags == 0 {
            return Changed::default();
        }
        let original = link.other;
        let first_node = node_for_order(c, original);
        let then_node = node_for_order(c, then);
        if link.flags & ar::IF_ON_SAME_NODE != 0
            && let (Some(a), Some(b)) = (first_node, then_node)
            && a != b
        {
            c.acts[then].before[at].flags = 0;
            return Changed::default();
        }
        if c.acts[original].rsc.is_some()
            && link.flags & ar::THEN_CANCELS_FIRST != 0
            && !c.acts[then].optional
        {
            c.acts[original].optional = true;
            if c.acts[original].task == Task::ReloadAgent
                && let Some(rsc) = c.acts[original].rsc
            {
                c.rscs[rsc].reload = false;
            }
        }
        let mut first = original;
        if let (Some(a), Some(b)) = (c.acts[first].rsc, c.acts[then].rsc)
            && a != b
            && !is_parent(c, a, b)
        {
            first = completion_of(c, first);
        }
        if first != original {
            if order_actions(c, first, then, link.flags) {
                c.acts[then].before[at].flags = 0;
            }
            return Changed::default();
        }
        let first_flags = flags_for(c, first, then_node);
        let then_flags = flags_for(c, then, first_node);
        let changed = self.apply_flags(c, first, then, first_flags, then_flags, at);
        if changed.first {
            self.queue
                .extend(c.acts[first].after.iter().map(|l| l.other));
            self.queue.push(first);
        }
        Changed {
            first: false,
            then: changed.then,
        }
    }

    fn apply_flags(
        &mut self,
        c: &mut Cluster,
        first: ActIx,
        then: ActIx,
        ff: Flags,
        tf: Flags,
        at: usize,
    ) -> Changed {
        let mut changed = Changed::default();
        let mut flags = c.acts[then].before[at].flags;
        let then_rsc = c.acts[then].rsc;
        let first_rsc = c.acts[first].rsc;
        let mut node = c.acts[then].node;
        if flags & ar::FIRST_IMPLIES_SAME_NODE_THEN != 0 {
            flags = flags & !ar::FIRST_IMPLIES_SAME_NODE_THEN | ar::FIRST_IMPLIES_THEN;
            node = c.acts[first].node;
        }
        if flags & ar::FIRST_IMPLIES_THEN != 0 {
            match then_rsc {
                Some(rsc) => {
                    changed |= self.ordered(
                        c,
                        rsc,
                        first,
                        then,
                        node,
                        ff,
                        Filter::Optional,
                        ar::FIRST_IMPLIES_THEN,
                    )
                }
                None if !ff.optional && c.acts[then].optional => {
                    c.acts[then].optional = false;
                    changed.then = true;
                }
                None => {}
            }
        }
        if flags & ar::INTERMEDIATE_STOP != 0
            && let Some(rsc) = then_rsc
        {
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Both,
                ar::INTERMEDIATE_STOP,
            );
        }
        if flags & ar::THEN_IMPLIES_FIRST != 0
            && let Some(rsc) = first_rsc
        {
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Optional,
                ar::THEN_IMPLIES_FIRST,
            )
        }
        if flags & ar::PROMOTED_THEN_IMPLIES_FIRST != 0
            && let Some(rsc) = then_rsc
        {
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Optional,
                ar::PROMOTED_THEN_IMPLIES_FIRST,
            );
        }
        if flags & ar::MIN_RUNNABLE != 0 {
            if then_rsc.is_some() {
                // Only pseudo-actions count their predecessors.
            } else if ff.runnable {
                c.acts[then].runnable_before += 1;
                if c.acts[then].runnable_before >= c.acts[then].required_before
                    && !c.acts[then].runnable
                {
                    c.acts[then].runnable = true;
                    changed.then = true;
                }
            }
        }
        if flags & ar::NESTED_REMOTE_PROBE != 0
            && let Some(rsc) = then_rsc
        {
            let active = first_rsc.is_some_and(|r| !c.rscs[r].running_on.is_empty());
            if !c.acts[first].runnable && active {
                c.acts[then].before[at].flags = 0;
                return changed;
            }
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Runnable,
                ar::UNRUNNABLE_FIRST_BLOCKS,
            );
        }
        if flags & ar::UNRUNNABLE_FIRST_BLOCKS != 0 {
            match then_rsc {
                Some(rsc) => {
                    changed |= self.ordered(
                        c,
                        rsc,
                        first,
                        then,
                        node,
                        ff,
                        Filter::Runnable,
                        ar::UNRUNNABLE_FIRST_BLOCKS,
                    );
                }
                None if !ff.runnable && c.acts[then].runnable => {
                    c.acts[then].runnable = false;
                    changed.then = true;
                }
                None => {}
            }
        }
        if flags & ar::UNMIGRATABLE_THEN_BLOCKS != 0
            && let Some(rsc) = then_rsc
        {
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Optional,
                ar::UNMIGRATABLE_THEN_BLOCKS,
            );
        }
        if flags & ar::FIRST_ELSE_THEN != 0
            && let Some(rsc) = then_rsc
        {
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Optional,
                ar::FIRST_ELSE_THEN,
            );
        }
        if flags & ar::ASYMMETRIC != 0
            && let Some(rsc) = then_rsc
        {
            changed |= self.ordered(
                c,
                rsc,
                first,
                then,
                node,
                ff,
                Filter::Runnable,
                ar::ASYMMETRIC,
            );
        }
        if flags & ar::FIRST_IMPLIES_THEN_GRAPHED != 0 && c.acts[first].runnable && !ff.optional {
            c.acts[then].print_always = true;
        }
        if flags & ar::THEN_IMPLIES_FIRST_GRAPHED != 0 && c.acts[then].runnable && !tf.optional {
            c.acts[first].print_always = true;
        }
        let implying = ar::FIRST_IMPLIES_THEN | ar::THEN_IMPLIES_FIRST | ar::INTERMEDIATE_STOP;
        let stuck = flags & implying != 0
            && c.acts[first].task == Task::Stop
            && !c.acts[first].runnable
            && first_rsc.is_some_and(|r| !c.rscs[r].managed && c.rscs[r].blocked);
        if stuck && c.acts[then].runnable {
            c.acts[then].runnable = false;
            changed.then = true;
        }
        changed
    }

    #[expect(clippy::too_many_arguments, reason = "one edge with its context")]
    fn ordered(
        &mut self,
        c: &mut Cluster,
        rsc: RscIx,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        ff: Flags,
        filter: Filter,
        kind: u32,
    ) -> Changed {
        match c.rscs[rsc].kind {
            Kind::Primitive => primitive(c, first, then, ff, filter, kind),
            Kind::Group => self.group(c, rsc, first, then, node, ff, filter, kind),
            Kind::Clone | Kind::Bundle => self.collective(c, first, then, node, ff, filter, kind),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one edge with its context")]
    fn group(
        &mut self,
        c: &mut Cluster,
        group: RscIx,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        ff: Flags,
        filter: Filter,
        kind: u32,
    ) -> Changed {
        let mut changed = primitive(c, first, then, ff, filter, kind);
        if c.acts[then].rsc != Some(group) {
            return changed;
        }
        let task = c.acts[then].task;
        for at in 0..c.rscs[group].children.len() {
            let member = c.rscs[group].children[at];
            if let Some(act) = first_action(c, member, task, node) {
                let one = self.ordered(c, member, first, act, node, ff, filter, kind);
                if one.then {
                    self.queue.push(act);
                    self.queue.extend(c.acts[act].after.iter().map(|l| l.other));
                }
                changed |= one;
            }
        }
        changed
    }

    #[expect(clippy::too_many_arguments, reason = "one edge with its context")]
    fn collective(
        &mut self,
        c: &mut Cluster,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        ff: Flags,
        filter: Filter,
        kind: u32,
    ) -> Changed {
        let Some(then_rsc) = c.acts[then].rsc else {
            return Changed::default();
        };
        if can_interleave(c, first, then) {
            return self.interleaved(c, first, then, node, filter, kind);
        }
        let mut changed = primitive(c, first, then, ff, filter, kind);
        let task = c.acts[then].task;
        for instance in instances_of(c, then_rsc) {
            let Some(act) = first_action(c, instance, task, node) else {
                continue;
            };
            if !flags_for_rsc(c, instance, act, node).runnable {
                continue;
            }
            let one = self.ordered(c, instance, first, act, node, ff, filter, kind);
            if one.then {
                self.queue.push(act);
                self.queue.extend(c.acts[act].after.iter().map(|l| l.other));
            }
            changed |= one;
        }
        changed
    }

    fn interleaved(
        &mut self,
        c: &mut Cluster,
        first: ActIx,
        then: ActIx,
        node: Option<NodeIx>,
        filter: Filter,
        kind: u32,
    ) -> Changed {
        let mut changed = Changed::default();
        let (Some(first_rsc), Some(then_rsc)) = (c.acts[first].rsc, c.acts[then].rsc) else {
            return changed;
        };
        let first_task = original_task(c.acts[first].task);
        let current = matches!(first_task, Task::Stop | Task::Demote);
        for then_instance in instances_of(c, then_rsc) {
            let found = instances::compatible(c, then_instance, first_rsc, Role::Unknown, current);
            let Some(first_instance) = found else {
                let must = kind & (ar::UNRUNNABLE_FIRST_BLOCKS | ar::THEN_IMPLIES_FIRST) != 0;
                if must && !current && colocation::location(c, then_instance).is_some() {
                    instances::give_up(c, then_instance);
                    changed.then = true;
                }
                continue;
            };
            let then_task = c.acts[then].task;
            let a = instance_action(c, first_instance, first_task, None);
            let b = instance_action(c, then_instance, then_task, node);
            let (Some(a), Some(b)) = (a, b) else {
                continue;
            };
            if order_actions(c, a, b, kind) {
                changed.first = true;
                changed.then = true;
            }
            let ff = flags_for_rsc(c, first_instance, a, node);
            let one = self.ordered(c, then_instance, a, b, node, ff, filter, kind);
            if one.then {
                self.queue.push(b);
                self.queue.extend(c.acts[b].after.iter().map(|l| l.other));
            }
            if one.first {
                self.queue.push(a);
                self.queue.extend(c.acts[a].after.iter().map(|l| l.other));
            }
            changed |= one;
        }
        changed
    }
}

fn instances_of(c: &Cluster, rsc: RscIx) -> Vec<RscIx> {
    crate::bundle::instances(c, rsc)
}

fn instance_action(
    c: &Cluster,
    instance: RscIx,
    task: Task,
    node: Option<NodeIx>,
) -> Option<ActIx> {
    let holder = match task {
        Task::Promote | Task::Promoted | Task::Demote | Task::Demoted => {
            crate::bundle::bundled_in_container(c, instance).unwrap_or(instance)
        }
        _ => instance,
    };
    let node = if holder == instance { node } else { None };
    first_action(c, holder, original_task(task), node)
        .or_else(|| first_action(c, holder, task, node))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    Optional,
    Runnable,
    Both,
}

impl Filter {
    fn optional(self) -> bool {
        self != Self::Runnable
    }

    fn runnable(self) -> bool {
        self != Self::Optional
    }
}

/// Applies one kind of edge to two actions as they are.
fn primitive(
    c: &mut Cluster,
    first: ActIx,
    then: ActIx,
    ff: Flags,
    filter: Filter,
    kind: u32,
) -> Changed {
    let snapshot = |c: &Cluster, ix: ActIx| {
        let a = &c.acts[ix];
        (a.optional, a.runnable, a.migratable, a.pseudo)
    };
    let (first_was, then_was) = (snapshot(c, first), snapshot(c, then));
    match kind {
        ar::ASYMMETRIC => asymmetric(c, first, then),
        ar::THEN_IMPLIES_FIRST if !c.acts[then].optional => {
            if filter.optional() && c.acts[first].optional {
                require(c, first, then);
            }
            if c.acts[first].migratable && !c.acts[then].migratable {
                c.acts[first].migratable = false;
            }
        }
        ar::PROMOTED_THEN_IMPLIES_FIRST => {
            let promoted = c.acts[then]
                .rsc
                .is_some_and(|r| c.rscs[r].role == Role::Promoted);
            if promoted && !c.acts[then].optional {
                require(c, first, then);
                if c.acts[first].migratable && !c.acts[then].migratable {
                    c.acts[first].migratable = false;
                }
            }
        }
        ar::UNMIGRATABLE_THEN_BLOCKS => {
            let t = &c.acts[then];
            if !(t.migratable && t.runnable) {
                c.acts[first].runnable = false;
            }
            if !c.acts[then].optional {
                require(c, first, then);
            }
        }
        ar::FIRST_IMPLIES_THEN if c.acts[then].optional && !ff.optional => {
            require(c, then, first);
        }
        ar::INTERMEDIATE_STOP => restart(c, first, then, filter),
        ar::FIRST_ELSE_THEN if !c.acts[first].runnable => {
            c.acts[then].migratable = false;
            c.acts[then].pseudo = false;
        }
        ar::UNRUNNABLE_FIRST_BLOCKS if c.acts[then].runnable && !ff.runnable => {
            block(c, then, first);
            c.acts[then].migratable = false;
        }
        _ => {}
    }
    Changed {
        first: snapshot(c, first) != first_was,
        then: snapshot(c, then) != then_was,
    }
}

/// Makes an action required because of another.
fn require(c: &mut Cluster, act: ActIx, because: ActIx) {
    if !c.acts[act].optional {
        return;
    }
    c.acts[act].optional = false;
    explain(c, act, because, "required");
}

fn block(c: &mut Cluster, act: ActIx, because: ActIx) {
    c.acts[act].runnable = false;
    explain(c, act, because, "unrunnable");
}

fn explain(c: &mut Cluster, act: ActIx, because: ActIx, how: &str) {
    let Some(rsc) = c.acts[act].rsc else {
        return;
    };
    if c.acts[act].reason.is_some() && how == "required" {
        return;
    }
    let text = match c.acts[because].rsc {
        Some(other) if other == rsc => return,
        Some(other) => format!("{how} {} {}", c.rscs[other].id, c.acts[because].task.text()),
        None => format!("{how} {}", c.key_of(because)),
    };
    if c.acts[act].reason.is_none() {
        c.acts[act].reason = Some(text.into());
    }
}

fn asymmetric(c: &mut Cluster, first: ActIx, then: ActIx) {
    let Some(rsc) = c.acts[then].rsc else {
        return;
    };
    let role = c.state(rsc, true);
    let t = &c.acts[then];
    if role == Role::Stopped && t.task == Task::Stop {
        return;
    }
    if role >= Role::Started && t.task == Task::Start && t.optional {
        let nodes = c.active_nodes(rsc);
        if t.node.is_some() && nodes.len() == 1 && t.node == nodes.first().copied() {
            return;
        }
    }
    if !c.acts[first].runnable {
        require(c, then, first);
        if c.acts[then].runnable {
            block(c, then, first);
        }
    }
}

fn restart(c: &mut Cluster, first: ActIx, then: ActIx, filter: Filter) {
    let required = filter.optional() && !c.acts[then].optional;
    let managed = c.acts[then].rsc.is_some_and(|r| c.rscs[r].managed);
    let same = c.acts[then].rsc == c.acts[first].rsc;
    let stuck = filter.runnable() && !c.acts[then].runnable && managed && same;
    if !required && !stuck {
        return;
    }
    if c.acts[first].runnable && c.acts[first].optional {
        require(c, first, then);
        if stuck && c.acts[first].reason.is_none() {
            c.acts[first].reason = c.acts[then].reason.clone();
        }
    }
    if !c.acts[then].optional {
        require(c, first, then);
    }
    if !c.acts[then].migratable {
        c.acts[first].migratable = false;
    }
    if !c.acts[first].optional && !c.acts[first].runnable && c.acts[then].runnable {
        block(c, then, first);
    }
}

/// Node that counts for "on the same node".
fn node_for_order(c: &Cluster, act: ActIx) -> Option<NodeIx> {
    let a = &c.acts[act];
    if let Some(rsc) = a.rsc.filter(|_| a.task == Task::Start)
        && c.rscs[rsc].kind == Kind::Group
    {
        return colocation::location(c, rsc);
    }
    if a.task == Task::MigrateTo {
        // What it needs, it needs where it goes.
        let target = a.extra.iter().find(|(name, _)| *name == "migrate_target");
        if let Some(target) = target.and_then(|(_, name)| c.node_names.get(name)) {
            return Some(*target);
        }
    }
    a.node
}

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

/// What others have to wait for: a collection has started when its "running" is reached.
fn completion_of(c: &Cluster, act: ActIx) -> ActIx {
    let a = &c.acts[act];
    let Some(rsc) = a.rsc else {
        return act;
    };
    if c.rscs[rsc].kind == Kind::Primitive {
        return act;
    }
    let done = match a.task {
        Task::Start => Task::Running,
        Task::Stop => Task::Stopped,
        Task::Promote => Task::Promoted,
        Task::Demote => Task::Demoted,
        Task::Running | Task::Stopped | Task::Promoted | Task::Demoted => a.task,
        _ => return act,
    };
    if c.rscs[rsc].notify {
        let key = format!("{}_confirmed-post_notify_{}_0", c.rscs[rsc].id, done.text());
        let found = c.rscs[rsc]
            .actions
            .iter()
            .copied()
            .find(|ix| c.acts[*ix].key.as_deref() == Some(key.as_str()));
        if let Some(found) = found {
            return found;
        }
    }
    first_action(c, rsc, done, None).unwrap_or(act)
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

fn flags_for(c: &mut Cluster, act: ActIx, node: Option<NodeIx>) -> Flags {
    let Some(rsc) = c.acts[act].rsc else {
        return own_flags(c, act);
    };
    let mut flags = flags_for_rsc(c, rsc, act, None);
    if node.is_some() && matches!(c.rscs[rsc].kind, Kind::Clone | Kind::Bundle) {
        flags.runnable = flags_for_rsc(c, rsc, act, node).runnable;
    }
    flags
}

fn own_flags(c: &Cluster, act: ActIx) -> Flags {
    Flags {
        optional: c.acts[act].optional,
        runnable: c.acts[act].runnable,
    }
}

/// What an action of a resource is, considering what is inside the resource.
fn flags_for_rsc(c: &mut Cluster, rsc: RscIx, act: ActIx, node: Option<NodeIx>) -> Flags {
    match c.rscs[rsc].kind {
        Kind::Primitive => own_flags(c, act),
        Kind::Group => group_flags(c, rsc, act, node),
        Kind::Clone | Kind::Bundle => collective_flags(c, rsc, act, node),
    }
}

fn group_flags(c: &mut Cluster, rsc: RscIx, act: ActIx, node: Option<NodeIx>) -> Flags {
    let mut flags = Flags {
        optional: true,
        runnable: true,
    };
    let own = c.acts[act].task;
    let task = original_task(own);
    for at in 0..c.rscs[rsc].children.len() {
        let member = c.rscs[rsc].children[at];
        match first_action(c, member, task, node) {
            Some(found) => {
                let m = own_flags(c, found);
                if flags.optional && !m.optional {
                    flags.optional = false;
                    c.acts[act].optional = false;
                }
                if task != own && !m.runnable {
                    flags.runnable = false;
                    c.acts[act].runnable = false;
                }
            }
            None if !matches!(task, Task::Stop | Task::Demote) => flags.runnable = false,
            None => {}
        }
    }
    flags
}

fn collective_flags(c: &mut Cluster, rsc: RscIx, act: ActIx, node: Option<NodeIx>) -> Flags {
    let mut flags = Flags {
        optional: true,
        runnable: true,
    };
    let mut any_runnable = false;
    let task = original_task(c.acts[act].task);
    let key_is_own = !matches!(
        task,
        Task::Start | Task::Stop | Task::Promote | Task::Demote
    );
    if key_is_own {
        return own_flags(c, act);
    }
    for instance in instances_of(c, rsc) {
        let wanted = if c.rscs[instance].kind == Kind::Primitive {
            node
        } else {
            None
        };
        let holder = match task {
            Task::Promote | Task::Demote => {
                crate::bundle::bundled_in_container(c, instance).unwrap_or(instance)
            }
            _ => instance,
        };
        let wanted = if holder == instance { wanted } else { None };
        let Some(found) = first_action(c, holder, task, wanted) else {
            continue;
        };
        let m = flags_for_rsc(c, holder, found, node);
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

fn can_interleave(c: &Cluster, first: ActIx, then: ActIx) -> bool {
    let (Some(a), Some(b)) = (c.acts[first].rsc, c.acts[then].rsc) else {
        return false;
    };
    let collective = |r: RscIx| matches!(c.rscs[r].kind, Kind::Clone | Kind::Bundle);
    if a == b || !collective(a) || !collective(b) {
        return false;
    }
    let decisive = match c.acts[first].task {
        Task::Stop | Task::Demote | Task::Stopped | Task::Demoted
            if matches!(c.acts[first].task, Task::Stop | Task::Demote) =>
        {
            a
        }
        _ => b,
    };
    match original_task(c.acts[first].task) {
        Task::Stop | Task::Demote => interleave(c, a),
        _ => interleave(c, decisive),
    }
}

fn interleave(c: &Cluster, rsc: RscIx) -> bool {
    crate::score::is_true(c.rscs[rsc].meta.get("interleave").map(String::as_str))
}

/// A start that cannot happen keeps those from starting that must be with it.
fn block_dependents_of(c: &mut Cluster, rsc: RscIx) {
    for at in 0..c.rscs[rsc].actions.len() {
        let act = c.rscs[rsc].actions[at];
        block_dependents(c, act);
    }
}

fn block_dependents(c: &mut Cluster, act: ActIx) {
    let a = &c.acts[act];
    if a.runnable || !matches!(a.task, Task::Start | Task::Promote) || a.interval_ms != 0 {
        return;
    }
    let Some(mut rsc) = a.rsc else {
        return;
    };
    let is_start = a.task == Task::Start;
    if let Some(parent) = c.rscs[rsc].parent {
        if c.rscs[parent].kind == Kind::Group && !c.is_group_colocated(parent) {
            return;
        }
        if c.rscs[parent].kind == Kind::Group {
            rsc = parent;
        }
    }
    let dependents: Vec<usize> = c.rscs[rsc].with_this.clone();
    for ix in dependents {
        let col = &c.colocations[ix];
        if col.score < crate::score::INFINITY || col.dependent == rsc {
            continue;
        }
        if col.primary_role != Role::Unknown && (is_start && col.primary_role == Role::Promoted) {
            continue;
        }
        if !is_start && col.primary_role != Role::Promoted {
            continue;
        }
        let task = if col.dependent_role == Role::Promoted {
            Task::Promote
        } else {
            Task::Start
        };
        let dependent = col.dependent;
        mark_blocked(c, dependent, rsc, task);
    }
}

fn explain_colocation(c: &mut Cluster, act: ActIx, primary: RscIx) {
    let text = format!("colocation with {}", c.rscs[primary].id);
    c.acts[act].reason = Some(text.into());
}

fn mark_blocked(c: &mut Cluster, rsc: RscIx, because: RscIx, task: Task) {
    for child in c.rscs[rsc].children.clone() {
        mark_blocked(c, child, because, task);
    }
    if c.rscs[rsc].kind != Kind::Primitive {
        return;
    }
    for act in find_actions(c, rsc, task, 0) {
        if c.acts[act].runnable && !c.acts[act].optional {
            c.acts[act].runnable = false;
            explain_colocation(c, act, because);
        }
    }
}

/// Edges that cannot hold are cut: a probe waits for nothing that waits for it.
fn disable_invalid(c: &mut Cluster) {
    for act in 0..c.acts.len() {
        if c.acts[act].task != Task::Monitor && c.acts[act].task != Task::LoadStopped {
            continue;
        }
    }
}
