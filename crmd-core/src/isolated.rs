//! A node without a quorum: follows `no-quorum-policy` on its own, within a bounded time.
//!
//! It runs the scheduler on its own view (itself alone, no quorum) and carries out only its own
//! stops and demotes. It never starts anything.

use crate::{
    command::{RunId, Severity},
    dispatch::agent_action,
    document::Standing,
    ids::NodeName,
    node::Node,
    transition::Transition,
};
use scheduler::{
    Decision,
    graph::{Action, ActionKind},
};
use std::collections::BTreeMap;

/// What is going on without a quorum.
#[derive(Debug, Default)]
pub(crate) struct Isolated {
    active: bool,
    dirty: bool,
    run: Option<RunId>,
    transition: Option<Transition>,
    /// Keys of what was begun, by action.
    begun: BTreeMap<String, u32>,
    count: u64,
}

impl Node {
    /// When a node that has no lease begins to act on it.
    fn isolated_from(&self) -> u64 {
        let end_ms = self.lease_until().unwrap_or(0);
        end_ms.max(self.woke_ms) + self.settings.quorum_grace_ms
    }

    pub(crate) fn isolated_deadline(&self) -> Option<u64> {
        let from_ms = self.isolated_from();
        (self.runs_anything() && !self.isolated.active && from_ms > self.ms()).then_some(from_ms)
    }

    fn runs_anything(&self) -> bool {
        !self.own.known().resources.is_empty()
    }

    pub(crate) fn isolated_step(&mut self) {
        if self.has_lease() {
            if std::mem::take(&mut self.isolated).active {
                let text = format!("{} has a quorum again", self.me());
                self.log(Severity::Info, text);
            }
            return;
        }
        if self.ms() < self.isolated_from() || !self.runs_anything() {
            return;
        }
        if !self.isolated.active {
            self.isolated.active = true;
            self.isolated.dirty = true;
            let policy = self.policy().to_owned();
            let text = format!(
                "{} has no quorum: following no-quorum-policy={policy}",
                self.me()
            );
            self.log(Severity::Error, text);
            self.executor.drop_queued("the node has no quorum");
        }
        if ["freeze", "ignore"].contains(&self.policy()) {
            return;
        }
        self.isolated_results();
        self.isolated_decide();
        self.isolated_dispatch();
    }

    fn policy(&self) -> &str {
        self.state.property("no-quorum-policy").unwrap_or("stop")
    }

    fn isolated_decide(&mut self) {
        let over = self
            .isolated
            .transition
            .as_ref()
            .is_none_or(Transition::is_over);
        if !self.isolated.dirty
            || self.isolated.run.is_some()
            || !over
            || self.executor.is_changing()
        {
            return;
        }
        let me = self.me().clone();
        let standings: Vec<(NodeName, Standing)> = self
            .state
            .members
            .keys()
            .map(|n| {
                (
                    n.clone(),
                    if *n == me {
                        Standing::Online
                    } else {
                        Standing::Offline
                    },
                )
            })
            .collect();
        let cib = self.assembled(&standings, None, false);
        self.isolated.dirty = false;
        self.isolated.run = Some(self.schedule(cib));
    }

    /// Returns whether the run was this one's.
    pub(crate) fn isolated_scheduled(&mut self, run: RunId, decision: &Decision) -> bool {
        if self.isolated.run.take_if(|r| *r == run).is_none() {
            return false;
        }
        self.isolated.count += 1;
        let id = self.isolated.count;
        self.isolated.transition = Some(Transition::new(id, decision.graph.clone()));
        self.isolated.begun.clear();
        true
    }

    fn isolated_dispatch(&mut self) {
        let me = self.me().clone();
        loop {
            let Some(mut transition) = self.isolated.transition.take() else {
                return;
            };
            let begun = transition.begin(&|action| !brings_up(action));
            let id = transition.id;
            self.isolated.transition = Some(transition);
            if begun.is_empty() {
                return;
            }
            for action in begun {
                self.isolated_begin(&me, id, &action);
            }
        }
    }

    /// What others would have to do is not waited for: nobody can be asked.
    fn isolated_begin(&mut self, me: &NodeName, transition: u64, action: &Action) {
        let mine = action.kind == ActionKind::Resource
            && action.node.as_deref() == Some(&**me)
            && ["stop", "demote"].contains(&action.operation.as_str());
        let agent = agent_action(action).filter(|_| mine);
        let Some(agent) = agent else {
            if let Some(t) = &mut self.isolated.transition {
                t.complete(action.id);
            }
            return;
        };
        let key = format!(
            "{}:{transition}:0:isolated-{}-{}",
            action.id, self.identity.incarnation, self.woke_ms
        );
        self.isolated.begun.insert(key.clone(), action.id);
        self.log(
            Severity::Warning,
            format!("{} on {me}, without a quorum", action.key),
        );
        self.executor
            .run_own(self.now, agent, key, &mut self.own, &mut self.out);
    }

    /// Finds the results of what was begun in this node's own history.
    fn isolated_results(&mut self) {
        let Some(transition) = &mut self.isolated.transition else {
            return;
        };
        let histories = self.own.known().resources.values();
        for entry in histories.flat_map(|h| h.children_named("lrm_rsc_op")) {
            let key = entry.attr("transition-key").unwrap_or_default();
            let (Some(id), Some(status)) = (self.isolated.begun.get(key), entry.attr("op-status"))
            else {
                continue;
            };
            match (status, entry.attr("rc-code")) {
                ("-1", _) => {}
                ("0", Some("0")) => {
                    transition.complete(*id);
                }
                _ => {
                    transition.fail(*id);
                }
            }
        }
    }

    pub(crate) fn isolated_moved(&mut self, node: &NodeName) {
        if *node == self.identity.node {
            self.isolated.dirty = true;
        }
    }
}

fn brings_up(action: &Action) -> bool {
    let up = ["start", "promote", "monitor", "migrate_to", "migrate_from"];
    action.kind == ActionKind::Resource && up.contains(&action.operation.as_str())
}
