//! Lets what one action must or cannot do spread along the edges until nothing changes.
//!
//! Every edge says how its ends bear on each other (`model::ar`). Work is kept on a stack of its own, so that a
//! long chain of orderings needs no deep recursion, and each action is looked at a bounded number of times, so that
//! a ring of orderings ends.

use super::{
    find_actions, first_action,
    flags::{self, Flags},
    is_parent, order_actions, original_task,
};
use crate::{
    actions, colocation, deep, instances,
    model::{ActIx, Cluster, Kind, NodeIx, Role, RscIx, Task, ar},
    score::INFINITY,
};

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

/// Which properties an edge may change.
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

/// One edge with its context.
#[derive(Clone, Copy)]
struct Edge {
    first: ActIx,
    then: ActIx,
    node: Option<NodeIx>,
    /// What the first action is, seen from here.
    ff: Flags,
    filter: Filter,
    kind: u32,
}

/// Most updates of one action: a ring of orderings ends there.
const MAX_UPDATES: u32 = 2_000;

/// Most updates within each other: what would go deeper is done later.
const MAX_DEPTH: u32 = 40;

enum Step {
    Update(ActIx),
    /// The next edge (counted from the newest down) into an action.
    Links {
        then: ActIx,
        left: usize,
        was_runnable: bool,
        changed: bool,
    },
}

#[derive(Default)]
pub(super) struct Updater {
    /// Updates so far, by action.
    counts: Vec<u32>,
    stack: Vec<Step>,
    /// How many updates are within each other.
    depth: u32,
}

impl Updater {
    /// Applies the edges of all actions.
    pub(super) fn update_all(&mut self, c: &mut Cluster) {
        for act in (0..c.acts.len()).rev() {
            self.update(c, act);
        }
    }

    /// Keeps everything from starting that must be with something that cannot start.
    pub(super) fn block_all_dependents(&mut self, c: &mut Cluster) {
        for act in (0..c.acts.len()).rev() {
            self.block_dependents(c, act);
            self.run(c);
        }
    }

    fn update(&mut self, c: &mut Cluster, act: ActIx) {
        self.later(act);
        self.run(c);
    }

    fn later(&mut self, act: ActIx) {
        self.stack.push(Step::Update(act));
    }

    /// Looks at actions again before anything else, the last first.
    fn at_once(&mut self, c: &mut Cluster, acts: Vec<ActIx>) {
        let steps = acts.into_iter().map(Step::Update);
        if self.depth >= MAX_DEPTH {
            return self.stack.extend(steps);
        }
        self.depth += 1;
        let waiting = std::mem::replace(&mut self.stack, steps.collect());
        self.run(c);
        self.stack = waiting;
        self.depth -= 1;
    }

    /// What comes after an action is looked at again.
    fn later_after(&mut self, c: &Cluster, act: ActIx) {
        for link in &c.acts[act].after {
            self.stack.push(Step::Update(link.other));
        }
    }

    fn run(&mut self, c: &mut Cluster) {
        while let Some(step) = self.stack.pop() {
            match step {
                Step::Update(act) => self.begin(c, act),
                Step::Links {
                    then,
                    left,
                    was_runnable,
                    changed,
                } => self.links(c, then, left, was_runnable, changed),
            }
        }
    }

    fn begin(&mut self, c: &mut Cluster, then: ActIx) {
        if self.counts.len() < c.acts.len() {
            self.counts.resize(c.acts.len(), 0);
        }
        self.counts[then] += 1;
        let a = &c.acts[then];
        let waits = !a.before.is_empty() || a.min_runnable;
        if self.counts[then] > MAX_UPDATES || !waits {
            return;
        }
        let was_runnable = c.acts[then].runnable;
        if c.acts[then].min_runnable {
            c.acts[then].runnable_before = 0;
            c.acts[then].required_before = c.acts[then].required_before.max(1);
            c.acts[then].runnable = false;
        }
        let left = c.acts[then].before.len();
        self.links(c, then, left, was_runnable, false);
    }

    fn links(
        &mut self,
        c: &mut Cluster,
        then: ActIx,
        mut left: usize,
        was_runnable: bool,
        mut changed: bool,
    ) {
        while left > 0 {
            left -= 1;
            let first = c.acts[then].before[left].other;
            let one = self.apply_link(c, then, left);
            changed |= one.then;
            if one.first {
                self.stack.push(Step::Links {
                    then,
                    left,
                    was_runnable,
                    changed,
                });
                self.later(first);
                self.later_after(c, first);
                return;
            }
        }
        if c.acts[then].min_runnable {
            changed = was_runnable != c.acts[then].runnable;
        }
        if changed {
            if was_runnable && !c.acts[then].runnable {
                self.block_dependents(c, then);
            }
            self.later_after(c, then);
            self.later(then);
        }
    }

    fn apply_link(&mut self, c: &mut Cluster, then: ActIx, at: usize) -> Changed {
        let link = c.acts[then].before[at];
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
        if is_at_rest(c, original, then, link.flags) {
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
        if first == original {
            let ff = flags::of(c, first, then_node);
            let tf = flags::of(c, then, first_node);
            return self.apply_flags(c, first, then, ff, tf, at);
        }
        let mut changed = Changed::default();
        if order_actions(c, first, then, link.flags) {
            c.acts[then].before[at].flags = 0;
            changed.then = true;
        }
        changed
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
        let mut flags = c.acts[then].before[at].flags;
        let (first_rsc, then_rsc) = (c.acts[first].rsc, c.acts[then].rsc);
        let mut node = c.acts[then].node;
        if flags & ar::FIRST_IMPLIES_SAME_NODE_THEN != 0 {
            flags = flags & !ar::FIRST_IMPLIES_SAME_NODE_THEN | ar::FIRST_IMPLIES_THEN;
            node = c.acts[first].node;
        }
        let edge = |filter: Filter, kind: u32| Edge {
            first,
            then,
            node,
            ff,
            filter,
            kind,
        };
        let has = |kind: u32| flags & kind != 0;
        let mut changed = Changed::default();
        if has(ar::FIRST_IMPLIES_THEN) {
            match then_rsc {
                Some(rsc) => {
                    changed |= self.ordered(c, rsc, edge(Filter::Optional, ar::FIRST_IMPLIES_THEN));
                }
                None if !ff.optional && c.acts[then].optional => {
                    c.acts[then].optional = false;
                    changed.then = true;
                }
                None => {}
            }
        }
        if let Some(rsc) = then_rsc.filter(|_| has(ar::INTERMEDIATE_STOP)) {
            changed |= self.ordered(c, rsc, edge(Filter::Both, ar::INTERMEDIATE_STOP));
        }
        if has(ar::THEN_IMPLIES_FIRST) {
            match first_rsc {
                Some(rsc) => {
                    changed |= self.ordered(c, rsc, edge(Filter::Optional, ar::THEN_IMPLIES_FIRST));
                }
                None if !ff.optional && c.acts[first].runnable => {
                    c.acts[first].runnable = false;
                    changed.first = true;
                }
                None => {}
            }
        }
        if let Some(rsc) = then_rsc.filter(|_| has(ar::PROMOTED_THEN_IMPLIES_FIRST)) {
            let e = edge(Filter::Optional, ar::PROMOTED_THEN_IMPLIES_FIRST);
            changed |= self.ordered(c, rsc, e);
        }
        if has(ar::MIN_RUNNABLE) {
            match then_rsc {
                Some(rsc) => {
                    changed |= self.ordered(c, rsc, edge(Filter::Runnable, ar::MIN_RUNNABLE));
                }
                None if ff.runnable => changed.then |= count_runnable(c, then),
                None => {}
            }
        }
        if let Some(rsc) = then_rsc.filter(|_| has(ar::NESTED_REMOTE_PROBE)) {
            let active = first_rsc.is_some_and(|r| !c.rscs[r].running_on.is_empty());
            if !ff.runnable && active {
                // The remote node is up already: what it runs can be found out whatever becomes of this.
                c.acts[then].before[at].flags = 0;
            } else {
                let e = edge(Filter::Runnable, ar::UNRUNNABLE_FIRST_BLOCKS);
                changed |= self.ordered(c, rsc, e);
            }
        }
        if has(ar::UNRUNNABLE_FIRST_BLOCKS) {
            match then_rsc {
                Some(rsc) => {
                    let e = edge(Filter::Runnable, ar::UNRUNNABLE_FIRST_BLOCKS);
                    changed |= self.ordered(c, rsc, e);
                }
                None if !ff.runnable && c.acts[then].runnable => {
                    c.acts[then].runnable = false;
                    changed.then = true;
                }
                None => {}
            }
        }
        let rest = [
            (ar::UNMIGRATABLE_THEN_BLOCKS, Filter::Optional),
            (ar::FIRST_ELSE_THEN, Filter::Optional),
            (ar::ORDERED, Filter::Runnable),
            (ar::ASYMMETRIC, Filter::Runnable),
        ];
        for (kind, filter) in rest {
            if let Some(rsc) = then_rsc.filter(|_| has(kind)) {
                changed |= self.ordered(c, rsc, edge(filter, kind));
            }
        }
        if has(ar::FIRST_IMPLIES_THEN_GRAPHED) && c.acts[first].runnable && !ff.optional {
            c.acts[then].print_always = true;
        }
        if has(ar::THEN_IMPLIES_FIRST_GRAPHED) && !tf.optional {
            c.acts[first].print_always = true;
        }
        let implying = ar::FIRST_IMPLIES_THEN | ar::THEN_IMPLIES_FIRST | ar::INTERMEDIATE_STOP;
        let stuck = has(implying)
            && c.acts[first].task == Task::Stop
            && !c.acts[first].runnable
            && first_rsc.is_some_and(|r| !c.rscs[r].managed && c.rscs[r].blocked);
        if stuck && c.acts[then].runnable {
            c.acts[then].runnable = false;
            changed.then = true;
        }
        changed
    }

    /// Applies one kind of edge, on behalf of a resource, to its action and to those of its parts.
    fn ordered(&mut self, c: &mut Cluster, rsc: RscIx, edge: Edge) -> Changed {
        match c.rscs[rsc].kind {
            Kind::Primitive => self.primitive(c, edge),
            Kind::Group => self.group(c, rsc, edge),
            Kind::Clone | Kind::Bundle => self.collective(c, edge),
        }
    }

    fn primitive(&mut self, c: &mut Cluster, edge: Edge) -> Changed {
        let changed = apply(c, edge);
        let in_something = c.acts[edge.then]
            .rsc
            .is_some_and(|r| c.rscs[r].parent.is_some());
        if changed.then && in_something {
            self.at_once(c, vec![edge.then]);
        }
        changed
    }

    fn group(&mut self, c: &mut Cluster, group: RscIx, edge: Edge) -> Changed {
        let mut changed = self.primitive(c, edge);
        if c.acts[edge.then].rsc != Some(group) {
            return changed;
        }
        let task = c.acts[edge.then].task;
        for at in 0..c.rscs[group].children.len() {
            let member = c.rscs[group].children[at];
            if let Some(then) = first_action(c, member, task, edge.node) {
                changed |= self.ordered(c, member, Edge { then, ..edge });
            }
        }
        changed
    }

    fn collective(&mut self, c: &mut Cluster, edge: Edge) -> Changed {
        let Some(then_rsc) = c.acts[edge.then].rsc else {
            return Changed::default();
        };
        if can_interleave(c, edge.first, edge.then) {
            return self.interleaved(c, edge);
        }
        let mut changed = self.primitive(c, edge);
        let task = c.acts[edge.then].task;
        for instance in crate::bundle::instances(c, then_rsc) {
            let Some(then) = first_action(c, instance, task, edge.node) else {
                continue;
            };
            if !flags::of_rsc(c, instance, then, edge.node).runnable {
                continue;
            }
            let one = self.ordered(c, instance, Edge { then, ..edge });
            if one.then {
                let after = c.acts[then].after.iter().map(|l| l.other).collect();
                self.at_once(c, after);
            }
            changed |= one;
        }
        changed
    }

    /// Each instance waits for the one beside it only.
    fn interleaved(&mut self, c: &mut Cluster, edge: Edge) -> Changed {
        let mut changed = Changed::default();
        let (Some(first_rsc), Some(then_rsc)) = (c.acts[edge.first].rsc, c.acts[edge.then].rsc)
        else {
            return changed;
        };
        let key = c.key_of(edge.first);
        let current = key.ends_with("_stopped_0") || key.ends_with("_demoted_0");
        let first_task = flags::part_task(c, first_rsc, edge.first);
        let then_task = c.acts[edge.then].task;
        for then_instance in crate::bundle::instances(c, then_rsc) {
            let found = instances::compatible(c, then_instance, first_rsc, Role::Unknown, current);
            let Some(first_instance) = found else {
                let must = edge.kind & (ar::UNRUNNABLE_FIRST_BLOCKS | ar::FIRST_IMPLIES_THEN) != 0;
                if must && !current {
                    changed.then |= instances::give_up(c, then_instance);
                }
                continue;
            };
            let first = instance_action(c, first_instance, first_task, edge.node, true);
            let then = instance_action(c, then_instance, then_task, edge.node, false);
            let (Some(first), Some(then)) = (first, then) else {
                continue;
            };
            if order_actions(c, first, then, edge.kind) {
                changed.first = true;
                changed.then = true;
            }
            let ff = flags::of_rsc(c, first_instance, first, edge.node);
            let pair = Edge {
                first,
                then,
                ff,
                ..edge
            };
            let one = self.ordered(c, then_instance, pair);
            changed |= one;
        }
        changed
    }

    /// A start that cannot happen keeps those from starting that must be with it.
    fn block_dependents(&mut self, c: &mut Cluster, act: ActIx) {
        let a = &c.acts[act];
        if a.runnable || !matches!(a.task, Task::Start | Task::Promote) {
            return;
        }
        let Some(own) = a.rsc else {
            return;
        };
        let (mut rsc, task) = (own, a.task);
        while let Some(parent) = c.rscs[rsc].parent {
            rsc = parent;
        }
        if c.earlier.lenient_groups && c.rscs[rsc].kind == Kind::Group {
            return;
        }
        // A collection fails those that go with it only when no part of it can do what they need.
        let fails = |part: &RscIx| {
            first_action(c, *part, task, None).is_some_and(|ix| !c.acts[ix].runnable)
        };
        if !c.rscs[rsc].children.iter().all(fails) {
            return;
        }
        for ix in colocation::bound_to(c, rsc) {
            let col = &c.colocations[ix];
            let bears = (col.primary_role == Role::Promoted) == (task == Task::Promote);
            if col.score < INFINITY || !bears {
                continue;
            }
            let blocked = if col.dependent_role == Role::Promoted {
                Task::Promote
            } else {
                Task::Start
            };
            let dependent = col.dependent;
            deep::step(|| self.mark_blocked(c, dependent, own, blocked));
        }
    }

    fn mark_blocked(&mut self, c: &mut Cluster, rsc: RscIx, because: RscIx, task: Task) {
        for act in find_actions(c, rsc, task, 0) {
            if c.acts[act].runnable {
                c.acts[act].runnable = false;
                let text = format!("colocation with {}", c.rscs[because].id);
                actions::set_reason(c, act, &text, false);
                self.block_dependents(c, act);
                self.at_once(c, vec![act]);
            }
        }
        for at in 0..c.rscs[rsc].children.len() {
            self.mark_blocked(c, c.rscs[rsc].children[at], because, task);
        }
    }
}

/// Whether an edge within one primitive has nothing to say: neither end has to be done, and both could be.
fn is_at_rest(c: &Cluster, first: ActIx, then: ActIx, flags: u32) -> bool {
    let (first, then) = (&c.acts[first], &c.acts[then]);
    let within = then.rsc.filter(|_| first.rsc == then.rsc);
    within.is_some_and(|rsc| c.rscs[rsc].kind == Kind::Primitive)
        && first.optional
        && then.optional
        && first.runnable
        && then.runnable
        && flags & ar::UNMIGRATABLE_THEN_BLOCKS == 0
}

/// One more of those a gate waits for can be done; whether that opened it.
fn count_runnable(c: &mut Cluster, gate: ActIx) -> bool {
    let a = &mut c.acts[gate];
    a.runnable_before += 1;
    let opens = a.runnable_before >= a.required_before && !a.runnable;
    a.runnable |= opens;
    opens
}

/// Applies one kind of edge to two actions as they are.
fn apply(c: &mut Cluster, edge: Edge) -> Changed {
    let Edge {
        first,
        then,
        ff,
        filter,
        kind,
        ..
    } = edge;
    let snapshot = |c: &Cluster, ix: ActIx| {
        let a = &c.acts[ix];
        (a.optional, a.runnable, a.migratable, a.pseudo)
    };
    let (first_was, then_was) = (snapshot(c, first), snapshot(c, then));
    match kind {
        ar::ASYMMETRIC => asymmetric(c, first, then),
        ar::THEN_IMPLIES_FIRST if !c.acts[then].optional => {
            // Only what the parts of a collection already have to do is required of it as a whole: a primitive that
            // has to go along does so because it cannot start again (recorded: monitor-recovery).
            if !ff.optional {
                require(c, first, then);
            }
            keep_migratable_alike(c, first, then);
        }
        ar::PROMOTED_THEN_IMPLIES_FIRST => {
            let promoted = c.acts[then]
                .rsc
                .is_some_and(|r| c.rscs[r].role == Role::Promoted);
            if promoted && !c.acts[then].optional {
                require(c, first, then);
                keep_migratable_alike(c, first, then);
            }
        }
        ar::UNMIGRATABLE_THEN_BLOCKS => {
            if !(c.acts[then].migratable && c.acts[then].runnable) {
                block(c, first, then);
            }
            if !c.acts[then].optional {
                require(c, first, then);
            }
        }
        ar::FIRST_ELSE_THEN if !c.acts[first].runnable => {
            unmigrate(c, then, first);
            c.acts[then].pseudo = false;
        }
        ar::UNRUNNABLE_FIRST_BLOCKS if c.acts[then].runnable && !ff.runnable => {
            block(c, then, first);
            unmigrate(c, then, first);
        }
        ar::FIRST_IMPLIES_THEN if !ff.optional && !c.acts[first].migratable => {
            require(c, then, first);
        }
        ar::INTERMEDIATE_STOP => restart(c, first, then, filter),
        _ => {}
    }
    Changed {
        first: snapshot(c, first) != first_was,
        then: snapshot(c, then) != then_was,
    }
}

/// Makes an action required because of another.
fn require(c: &mut Cluster, act: ActIx, because: ActIx) {
    if c.acts[act].optional {
        c.acts[act].optional = false;
        explain(c, act, because, "required", false);
    }
}

fn block(c: &mut Cluster, act: ActIx, because: ActIx) {
    if c.acts[act].runnable {
        c.acts[act].runnable = false;
        explain(c, act, because, "unrunnable", false);
    }
}

fn unmigrate(c: &mut Cluster, act: ActIx, because: ActIx) {
    if c.acts[act].migratable {
        c.acts[act].migratable = false;
        explain(c, act, because, "unmigrateable", true);
    }
}

fn keep_migratable_alike(c: &mut Cluster, first: ActIx, then: ActIx) {
    if !c.acts[then].migratable {
        unmigrate(c, first, then);
    }
}

/// An action of another resource is a reason worth telling.
fn explain(c: &mut Cluster, act: ActIx, because: ActIx, how: &str, overwrite: bool) {
    if c.acts[act].rsc == c.acts[because].rsc {
        return;
    }
    let task = c.acts[because]
        .name
        .clone()
        .unwrap_or_else(|| c.acts[because].task.text().into());
    let text = match c.acts[because].rsc {
        Some(other) => format!("{how} {} {task}", c.rscs[other].id),
        None => format!("{how} {task}"),
    };
    actions::set_reason(c, act, &text, overwrite);
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
        block(c, then, first);
    }
}

/// Stop and start of one resource: the second needs the first when it is needed itself.
fn restart(c: &mut Cluster, first: ActIx, then: ActIx, filter: Filter) {
    let required = filter.optional() && !c.acts[then].optional;
    let managed = c.acts[then].rsc.is_some_and(|r| c.rscs[r].managed);
    let same = c.acts[then].rsc == c.acts[first].rsc;
    let stuck = filter.runnable() && !c.acts[then].runnable && managed && same;
    if !required && !stuck {
        return;
    }
    if c.acts[first].runnable || !c.acts[then].optional {
        require(c, first, then);
    }
    keep_migratable_alike(c, first, then);
    if !c.acts[first].optional && !c.acts[first].runnable {
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
    a.node
}

/// What others have to wait for: a collection has started when its "running" is reached.
fn completion_of(c: &Cluster, act: ActIx) -> ActIx {
    let a = &c.acts[act];
    let Some(rsc) = a.rsc.filter(|r| c.rscs[*r].kind != Kind::Primitive) else {
        return act;
    };
    let done = match a.task {
        Task::Start => Task::Running,
        Task::Stop => Task::Stopped,
        Task::Promote => Task::Promoted,
        Task::Demote => Task::Demoted,
        Task::Running | Task::Stopped | Task::Promoted | Task::Demoted => a.task,
        _ => return act,
    };
    let collective = matches!(c.rscs[rsc].kind, Kind::Clone | Kind::Bundle);
    if !(c.rscs[rsc].notify && collective) {
        return first_action(c, rsc, done, None).unwrap_or(act);
    }
    let key = format!("{}_confirmed-post_notify_{}_0", c.rscs[rsc].id, done.text());
    let found = |ix: &ActIx| c.acts[*ix].key.as_deref() == Some(key.as_str());
    let of_rsc = &c.rscs[rsc].actions;
    of_rsc.iter().copied().find(found).unwrap_or(act)
}

fn instance_action(
    c: &Cluster,
    instance: RscIx,
    task: Task,
    node: Option<NodeIx>,
    for_first: bool,
) -> Option<ActIx> {
    let base = original_task(task);
    let inside = if for_first {
        base != Task::Stop
    } else {
        matches!(base, Task::Promote | Task::Demote)
    };
    let bundled = crate::bundle::bundled_in_container(c, instance).filter(|_| inside);
    match bundled {
        Some(bundled) => first_action(c, bundled, task, None),
        None => first_action(c, instance, task, node),
    }
}

fn can_interleave(c: &Cluster, first: ActIx, then: ActIx) -> bool {
    let (Some(a), Some(b)) = (c.acts[first].rsc, c.acts[then].rsc) else {
        return false;
    };
    let collective = |r: RscIx| matches!(c.rscs[r].kind, Kind::Clone | Kind::Bundle);
    if a == b || !collective(a) || !collective(b) {
        return false;
    }
    let decisive = match c.acts[then].task {
        Task::Stop | Task::Demote => a,
        _ => b,
    };
    crate::score::is_true(c.rscs[decisive].meta.get("interleave").map(String::as_str))
}
