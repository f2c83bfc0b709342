//! Carrying out one transition graph: what may begin now, what is under way, what is done.
//!
//! Never decides what the graph should say; once aborted it begins nothing more, and what is under
//! way completes first.

use scheduler::graph::{Action, ActionKind, Graph};
use std::collections::{BTreeMap, BTreeSet};

/// A graph under way.
#[derive(Debug)]
pub(crate) struct Transition {
    /// Counts up in a coordinator's term.
    pub id: u64,
    graph: Graph,
    states: BTreeMap<u32, State>,
    aborted: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    UnderWay { deadline_ms: Option<u64> },
    Done,
    Failed,
}

/// Whether what waits for an action in this state need wait no longer.
#[cfg(not(feature = "break-double-start"))]
fn passes(state: State) -> bool {
    state == State::Done
}

#[cfg(feature = "break-double-start")]
fn passes(state: State) -> bool {
    matches!(state, State::Done | State::UnderWay { .. })
}

/// Whether an action may be dispatched now; one that may not stays waiting.
pub(crate) type Gate<'a> = &'a dyn Fn(&Action) -> bool;

impl Transition {
    /// Nothing has begun.
    pub(crate) fn new(id: u64, graph: Graph) -> Self {
        let actions = graph.synapses.iter().flat_map(|s| &s.actions);
        let states = actions.map(|a| (a.id, State::Waiting)).collect();
        Self {
            id,
            graph,
            states,
            aborted: None,
        }
    }

    /// Its graph.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Takes out everything that may begin now, highest priority first; points in the order only
    /// (pseudo events) are passed through. What is returned counts as under way.
    pub(crate) fn begin(&mut self, gate: Gate<'_>) -> Vec<Action> {
        let mut begun = Vec::new();
        while self.aborted.is_none() {
            let Some((action, pseudo)) = self.next(gate) else {
                break;
            };
            if pseudo {
                self.states.insert(action.id, State::Done);
                continue;
            }
            self.states
                .insert(action.id, State::UnderWay { deadline_ms: None });
            begun.push(action);
        }
        begun
    }

    fn next(&self, gate: Gate<'_>) -> Option<(Action, bool)> {
        let limit = self.graph.batch_limit as usize;
        let full = limit > 0 && self.under_way().count() >= limit;
        let open = self.graph.synapses.iter().filter(|s| {
            s.inputs
                .iter()
                .all(|id| self.states.get(id).is_none_or(|s| passes(*s)))
        });
        let actions = open.flat_map(|s| s.actions.iter().map(move |a| (s.priority, a)));
        let waiting = actions.filter(|(_, a)| self.states.get(&a.id) == Some(&State::Waiting));
        let able = waiting.filter(|(_, a)| a.kind == ActionKind::Pseudo || (!full && gate(a)));
        let best = able
            .max_by_key(|(priority, a)| (a.kind == ActionKind::Pseudo, *priority, u32::MAX - a.id));
        best.map(|(_, a)| (a.clone(), a.kind == ActionKind::Pseudo))
    }

    /// The action was dispatched and must be over by then.
    pub(crate) fn set_deadline(&mut self, id: u32, deadline_ms: u64) {
        if let Some(state @ State::UnderWay { .. }) = self.states.get_mut(&id) {
            *state = State::UnderWay {
                deadline_ms: Some(deadline_ms),
            };
        }
    }

    /// An action went well. Returns whether it was under way.
    pub(crate) fn complete(&mut self, id: u32) -> bool {
        self.end(id, State::Done)
    }

    /// An action failed: what waits for it never begins.
    pub(crate) fn fail(&mut self, id: u32) -> bool {
        self.end(id, State::Failed)
    }

    fn end(&mut self, id: u32, state: State) -> bool {
        match self.states.get_mut(&id) {
            Some(s @ State::UnderWay { .. }) => {
                *s = state;
                true
            }
            _ => false,
        }
    }

    /// Begins nothing more.
    pub(crate) fn abort(&mut self, reason: &str) {
        if self.aborted.is_none() {
            self.aborted = Some(reason.to_owned());
        }
    }

    /// Why it was aborted.
    pub(crate) fn aborted(&self) -> Option<&str> {
        self.aborted.as_deref()
    }

    /// The actions under way.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = &Action> {
        let actions = self.graph.synapses.iter().flat_map(|s| &s.actions);
        actions.filter(|a| matches!(self.states.get(&a.id), Some(State::UnderWay { .. })))
    }

    /// One of its actions.
    pub(crate) fn action(&self, id: u32) -> Option<&Action> {
        let mut actions = self.graph.synapses.iter().flat_map(|s| &s.actions);
        actions.find(|a| a.id == id)
    }

    /// The actions whose deadline has come.
    pub(crate) fn overdue(&self, now_ms: u64) -> Vec<u32> {
        let due = |s: &State| matches!(s, State::UnderWay { deadline_ms: Some(d) } if *d <= now_ms);
        let ids = self.states.iter().filter(|(_, s)| due(s));
        ids.map(|(id, _)| *id).collect()
    }

    /// The next deadline.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let deadlines = self.states.values().filter_map(|s| match s {
            State::UnderWay { deadline_ms } => *deadline_ms,
            _ => None,
        });
        deadlines.min()
    }

    /// Whether nothing is under way and nothing more can begin, whatever the gate says.
    pub(crate) fn is_over(&self) -> bool {
        self.under_way().next().is_none()
            && (self.aborted.is_some() || self.next(&|_| true).is_none())
    }

    /// Nodes with an action that has not ended well.
    pub(crate) fn unfinished_nodes(&self) -> BTreeSet<&str> {
        let actions = self.graph.synapses.iter().flat_map(|s| &s.actions);
        let open = actions.filter(|a| self.states.get(&a.id) != Some(&State::Done));
        open.filter_map(|a| a.node.as_deref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scheduler::graph::Synapse;

    fn graph(spec: &[(u32, ActionKind, i32, &[u32])]) -> Graph {
        let synapse = |(id, kind, priority, inputs): &(u32, ActionKind, i32, &[u32])| Synapse {
            id: *id,
            priority: *priority,
            actions: vec![Action {
                id: *id,
                kind: *kind,
                ..Action::default()
            }],
            inputs: inputs.to_vec(),
        };
        Graph {
            synapses: spec.iter().map(synapse).collect(),
            ..Graph::default()
        }
    }

    fn ids(actions: &[Action]) -> Vec<u32> {
        actions.iter().map(|a| a.id).collect()
    }

    #[test]
    fn order_priority_and_pseudo_events() {
        use ActionKind::{Pseudo, Resource};
        let mut t = Transition::new(
            1,
            graph(&[
                (1, Resource, 0, &[]),
                (2, Resource, 10, &[]),
                (3, Pseudo, 0, &[1, 2]),
                (4, Resource, 0, &[3]),
            ]),
        );
        assert_eq!(ids(&t.begin(&|_| true)), [2, 1]);
        assert!(t.begin(&|_| true).is_empty());
        assert!(t.complete(1) && !t.complete(1));
        t.complete(2);
        assert_eq!(ids(&t.begin(&|_| true)), [4]);
        assert!(!t.is_over());
        t.complete(4);
        assert!(t.is_over());
    }

    #[test]
    fn failures_abort_and_limits_hold() {
        use ActionKind::Resource;
        let mut g = graph(&[
            (1, Resource, 0, &[]),
            (2, Resource, 0, &[]),
            (3, Resource, 0, &[1]),
        ]);
        g.batch_limit = 1;
        let mut t = Transition::new(1, g);
        assert_eq!(ids(&t.begin(&|_| true)), [1]);
        t.set_deadline(1, 50);
        assert_eq!((t.overdue(49), t.overdue(50)), (vec![], vec![1]));
        t.fail(1);
        assert_eq!(ids(&t.begin(&|a| a.id != 2)), [0u32; 0], "gated");
        assert!(!t.is_over(), "2 may still begin");
        t.abort("why");
        assert!(t.is_over());
        assert!(t.begin(&|_| true).is_empty());
    }
}
