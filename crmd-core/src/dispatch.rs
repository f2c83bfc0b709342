//! Gives the steps of a transition to those who carry them out, and recognises what comes back.

use crate::{
    command::{AgentAction, Severity},
    document::Standing,
    executor::FAIL_OFFSET,
    ids::{NodeName, Stamp, Term},
    journal::JournalRecord,
    message::{Message, Order, OrderKind},
    node::Node,
    transition::Transition,
};
use cib::Element;
use scheduler::graph::{Action, ActionKind};
use std::collections::BTreeMap;

/// Used where the graph gives no time-out for an operation.
const DEFAULT_TIMEOUT_MS: u64 = 20_000;
/// Used where the graph gives none for fencing.
const DEFAULT_FENCING_MS: u64 = 60_000;

/// An order under way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    node: NodeName,
    order: Order,
    /// Step it belongs to: transition and action.
    step: Option<(u64, u32)>,
    /// Piece of a client's work it belongs to.
    pub(crate) work: Option<u64>,
    pub(crate) taken: bool,
    pub(crate) next_ms: u64,
    /// Carried out; counts once this status is held.
    done: Option<Stamp>,
}

impl Node {
    /// Begins every step that may begin now.
    pub(crate) fn dispatch(&mut self) {
        loop {
            let Some(mut transition) = self.coordinator.as_mut().and_then(|c| c.transition.take())
            else {
                return;
            };
            let begun = transition.begin(&|action| self.may_begin(action));
            let id = transition.id;
            if let Some(c) = &mut self.coordinator {
                c.transition = Some(transition);
            }
            if begun.is_empty() {
                return;
            }
            for action in begun {
                self.carry_out(id, &action);
            }
        }
    }

    fn may_begin(&self, action: &Action) -> bool {
        let Some(c) = &self.coordinator else {
            return false;
        };
        if is_fencing(action) {
            return self.may_fence(action);
        }
        if !c.settled {
            return false;
        }
        let Some(name) = action.node.as_deref().filter(|_| is_ordered(action)) else {
            return true;
        };
        let name: NodeName = name.into();
        let Some(identity) = self.identity_of(&name) else {
            return false;
        };
        let member = self.state.members.get(&name);
        self.is_ready(&name) && member.is_some_and(|m| m.is_active_in(&identity.life))
    }

    fn may_fence(&self, action: &Action) -> bool {
        let ms = self.ms();
        let (Some(c), Some(target)) = (&self.coordinator, action.node.as_deref()) else {
            return false;
        };
        let waited = c
            .backoff
            .get(target)
            .is_none_or(|(_, next_ms)| *next_ms <= ms);
        waited && c.fence_hold_ms <= ms
    }

    fn carry_out(&mut self, transition: u64, action: &Action) {
        let step = Some((transition, action.id));
        let node: NodeName = action.node.as_deref().unwrap_or_default().into();
        let resource = action
            .resource
            .as_ref()
            .map(|r| r.id.clone())
            .unwrap_or_default();
        match (action.kind, action.operation.as_str()) {
            (_, "stonith") => self.fence_step(step, action, &node),
            (_, "clear_failcount") => self.clear_failcount(transition, action.id, &node, &resource),
            (_, "delete" | "lrm_delete") => {
                self.order(
                    &node,
                    OrderKind::Forget { resource },
                    String::new(),
                    step,
                    None,
                );
            }
            (_, "cancel") => self.cancel_step(step, action, &node, resource),
            (ActionKind::Resource, _) => self.run_step(transition, action, &node),
            _ => self.step_complete(transition, action.id),
        }
    }

    fn fence_step(&mut self, step: Option<(u64, u32)>, action: &Action, node: &NodeName) {
        let what = action
            .attributes
            .get("stonith_action")
            .map_or("reboot", String::as_str);
        let timeout_ms = self
            .transition()
            .map_or(0, |t| t.graph().fencing_timeout_ms);
        let timeout_ms = if timeout_ms == 0 {
            DEFAULT_FENCING_MS
        } else {
            timeout_ms
        };
        let what = what.to_owned();
        if self.fencing_enabled() || what == "on" {
            self.fence(node, &what, timeout_ms, "the cluster", step, None);
        } else if let Some((transition, id)) = step {
            self.step_complete(transition, id);
        }
    }

    fn transition(&self) -> Option<&Transition> {
        self.coordinator.as_ref()?.transition.as_ref()
    }

    fn step_complete(&mut self, transition: u64, action: u32) {
        if let Some(t) = self.transition_mut(transition) {
            t.complete(action);
        }
    }

    fn transition_mut(&mut self, id: u64) -> Option<&mut Transition> {
        let transition = self.coordinator.as_mut()?.transition.as_mut()?;
        (transition.id == id).then_some(transition)
    }

    fn clear_failcount(&mut self, transition: u64, action: u32, node: &NodeName, resource: &str) {
        for name in self.fail_counts(node, resource) {
            let kind = OrderKind::SetAttribute { name, value: None };
            self.order(node, kind, String::new(), None, None);
        }
        self.step_complete(transition, action);
    }

    /// The attributes that count a resource's failures on a node.
    pub(crate) fn fail_counts(&self, node: &str, resource: &str) -> Vec<String> {
        let known = self.known(node).map(|k| k.attributes.keys());
        let of_resource = |name: &String| {
            let rest = name
                .strip_prefix("fail-count-")
                .or_else(|| name.strip_prefix("last-failure-"));
            let rest = rest.unwrap_or_default();
            rest == resource
                || rest
                    .strip_prefix(resource)
                    .is_some_and(|r| r.starts_with('#'))
        };
        known
            .into_iter()
            .flatten()
            .filter(|n| of_resource(n))
            .cloned()
            .collect()
    }

    fn cancel_step(
        &mut self,
        step: Option<(u64, u32)>,
        action: &Action,
        node: &NodeName,
        resource: String,
    ) {
        let get = |name: &str| action.attributes.get(name).cloned();
        let kind = OrderKind::CancelRecurring {
            resource,
            operation: get("CRM_meta_operation").unwrap_or_else(|| "monitor".to_owned()),
            interval_ms: get("CRM_meta_interval")
                .and_then(|v| v.parse().ok())
                .unwrap_or(0),
        };
        self.order(node, kind, String::new(), step, None);
    }

    fn run_step(&mut self, transition: u64, action: &Action, node: &NodeName) {
        let Some(agent) = agent_action(action) else {
            self.step_complete(transition, action.id);
            return;
        };
        let number = |name: &str| {
            action
                .attributes
                .get(name)
                .and_then(|v| v.parse::<i32>().ok())
        };
        let target_rc = number("CRM_meta_op_target_rc").unwrap_or(0);
        let me = self.me().clone();
        let (Some(t), Some(c)) = (self.transition(), &self.coordinator) else {
            return;
        };
        let key = format!("{}:{transition}:{target_rc}:{}", action.id, c.uuid(&me));
        let offset = match agent.operation.as_str() {
            "start" => t.graph().failed_start_offset.clone(),
            "stop" => t.graph().failed_stop_offset.clone(),
            _ => "1".to_owned(),
        };
        let delay_ms = t.graph().cluster_delay_ms;
        let mut record = digests(action);
        record.insert(FAIL_OFFSET.to_owned(), offset);
        let deadline_ms = self.ms() + agent.timeout_ms + delay_ms;
        if let Some(t) = self.transition_mut(transition) {
            t.set_deadline(action.id, deadline_ms);
        }
        self.log(Severity::Info, format!("{} on {node}", action.key));
        let kind = OrderKind::Run {
            action: agent,
            target_rc,
            record,
        };
        self.order(node, kind, key, Some((transition, action.id)), None);
    }

    /// Gives an order to a node, this one among them.
    pub(crate) fn order(
        &mut self,
        node: &NodeName,
        kind: OrderKind,
        transition_key: String,
        step: Option<(u64, u32)>,
        work: Option<u64>,
    ) {
        let next_ms = self.ms() + self.settings.order_resend_ms;
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let number = c.next_order;
        c.next_order += 1;
        let order = Order {
            number,
            transition_key,
            kind,
        };
        let sent = Sent {
            node: node.clone(),
            order,
            step,
            work,
            taken: false,
            next_ms,
            done: None,
        };
        c.orders.insert(number, sent);
        self.send_order(number);
    }

    fn send_order(&mut self, number: u64) {
        let Some(c) = &self.coordinator else {
            return;
        };
        let (Some(sent), term) = (c.orders.get(&number), c.term) else {
            return;
        };
        let (node, order) = (sent.node.clone(), sent.order.clone());
        let Some(identity) = self.identity_of(&node) else {
            return;
        };
        let life = identity.life;
        if node == *self.me() {
            self.executor.order(
                self.now,
                &node,
                term,
                &life,
                order,
                &mut self.own,
                &mut self.out,
            );
        } else {
            self.send(&node, Message::Order { term, life, order });
        }
    }

    pub(crate) fn order_leave(&mut self, node: &NodeName) {
        self.order(node, OrderKind::Leave, String::new(), None, None);
    }

    /// Sends again what was not acknowledged.
    pub(crate) fn resend_orders(&mut self) {
        let ms = self.ms();
        let again_ms = ms + self.settings.order_resend_ms;
        let Some(c) = &mut self.coordinator else {
            return;
        };
        let mut due = Vec::new();
        for (number, sent) in c
            .orders
            .iter_mut()
            .filter(|(_, s)| !s.taken && s.next_ms <= ms)
        {
            sent.next_ms = again_ms;
            due.push(*number);
        }
        for number in due {
            self.send_order(number);
        }
    }

    fn sent(&mut self, from: &NodeName, term: Term, number: u64) -> Option<&mut Sent> {
        let c = self.coordinator.as_mut().filter(|c| c.term == term)?;
        c.orders.get_mut(&number).filter(|s| s.node == *from)
    }

    /// It will be carried out. One whose end is told by a message only is sent again until that has
    /// come: the message may be lost.
    pub(crate) fn order_taken(&mut self, from: &NodeName, term: Term, number: u64) {
        if let Some(sent) = self.sent(from, term, number) {
            sent.taken = matches!(sent.order.kind, OrderKind::Run { .. } | OrderKind::Leave);
        }
    }

    pub(crate) fn order_refused(&mut self, from: &NodeName, term: Term, number: u64, reason: &str) {
        if self.sent(from, term, number).is_none() {
            return;
        }
        let text = format!("{from} did not take order {number}: {reason}");
        self.log(Severity::Warning, text.clone());
        self.end_order(number, Err(&text));
    }

    /// It counts once the coordinator holds the status that came of it.
    pub(crate) fn order_done(&mut self, from: &NodeName, term: Term, number: u64, stamp: Stamp) {
        let Some(sent) = self.sent(from, term, number) else {
            return;
        };
        sent.taken = true;
        sent.done = Some(stamp);
        self.settle_orders(from);
    }

    fn settle_orders(&mut self, node: &NodeName) {
        let Some(held) = self.known(node).map(|k| k.stamp.clone()) else {
            return;
        };
        let Some(c) = &self.coordinator else {
            return;
        };
        let done = c.orders.iter().filter(|(_, s)| {
            s.node == *node && s.done.as_ref().is_some_and(|stamp| *stamp <= held)
        });
        let numbers: Vec<u64> = done.map(|(n, _)| *n).collect();
        for number in numbers {
            self.end_order(number, Ok(()));
        }
    }

    fn end_order(&mut self, number: u64, result: Result<(), &str>) {
        let Some(sent) = self
            .coordinator
            .as_mut()
            .and_then(|c| c.orders.remove(&number))
        else {
            return;
        };
        if let Some((transition, action)) = sent.step
            && let Some(t) = self.transition_mut(transition)
        {
            match result {
                Ok(()) => t.complete(action),
                Err(_) => t.fail(action),
            };
        }
        if let Err(reason) = result
            && sent.step.is_some()
        {
            self.mark_dirty(reason);
        }
        if let Some(work) = sent.work {
            self.work_order_over(work, result);
        }
    }

    /// Nothing more will come of what a node was ordered.
    pub(crate) fn fail_orders_to(&mut self, node: &NodeName, reason: &str) {
        let Some(c) = &self.coordinator else {
            return;
        };
        let orders = c.orders.iter().filter(|(_, s)| s.node == *node);
        let numbers: Vec<u64> = orders.map(|(n, _)| *n).collect();
        let text = format!("{node}: {reason}");
        for number in numbers {
            self.end_order(number, Err(&text));
        }
    }

    /// Steps that took longer than they may: their nodes are asked anew, so that what was not begun
    /// cannot begin after something else was decided.
    pub(crate) fn overdue(&mut self) {
        let ms = self.ms();
        let Some(transition) = self
            .coordinator
            .as_ref()
            .and_then(|c| c.transition.as_ref())
        else {
            return;
        };
        let id = transition.id;
        let late = transition.overdue(ms).into_iter();
        let late: Vec<Action> = late.filter_map(|a| transition.action(a).cloned()).collect();
        for action in late {
            self.log(
                Severity::Error,
                format!("{}: no result in time; deciding anew", action.key),
            );
            if let Some(t) = self.transition_mut(id) {
                t.fail(action.id);
            }
            self.forget_step(id, action.id);
            self.mark_dirty("an action took too long");
            if let Some(node) = action.node {
                self.give_up_orders_to(&node.as_str().into());
            }
        }
    }

    fn give_up_orders_to(&mut self, node: &NodeName) {
        if node != self.me() {
            self.ask(node);
        } else if let Some(c) = &self.coordinator {
            self.executor.void(c.term, c.next_order);
        }
    }

    fn forget_step(&mut self, transition: u64, action: u32) {
        if let Some(c) = &mut self.coordinator {
            c.orders.retain(|_, s| s.step != Some((transition, action)));
        }
    }

    /// A node's status changed: results of steps are recognised by their transition key, anything
    /// else means that the world moved. `whole`: it replaces what was held.
    pub(crate) fn node_status_changed(
        &mut self,
        node: &NodeName,
        changes: &[JournalRecord],
        whole: bool,
    ) {
        self.isolated_moved(node);
        self.alert_attributes(node, changes, whole);
        if self.coordinator.is_none() {
            return;
        }
        for change in changes {
            let expected = match change {
                JournalRecord::Resource { resource, xml: Some(_) } => self.results_of(node, resource),
                JournalRecord::Resource { resource, xml: None } => {
                    self.is_ordered(node, |k| matches!(k, OrderKind::Forget { resource: r } if r == resource))
                }
                JournalRecord::Attribute { name, value } => self.is_ordered(node, |k| {
                    value.is_none() && matches!(k, OrderKind::SetAttribute { name: n, value: None } if n == name)
                }),
                _ => true,
            };
            if (!expected || whole) && self.standing(node) != Standing::Offline {
                self.mark_dirty(&format!(
                    "the status of {node} changed: {}",
                    described(change)
                ));
            }
        }
        self.settle_orders(node);
    }

    fn is_ordered(&self, node: &NodeName, kind: impl Fn(&OrderKind) -> bool) -> bool {
        let orders = self.coordinator.iter().flat_map(|c| c.orders.values());
        let mut mine = orders.filter(|s| s.node == *node && s.work.is_none());
        mine.any(|s| kind(&s.order.kind))
    }

    /// Whether the history of this resource says something that a step expects, or is its result.
    fn results_of(&mut self, node: &NodeName, resource: &str) -> bool {
        let Some(element) = self
            .known(node)
            .and_then(|k| k.resources.get(resource))
            .cloned()
        else {
            return false;
        };
        let cancelling = self.is_ordered(
            node,
            |k| matches!(k, OrderKind::CancelRecurring { resource: r, .. } if r == resource),
        );
        let mut expected = cancelling;
        for entry in element.children_named("lrm_rsc_op") {
            expected |= self.result_in(node, entry);
        }
        expected
    }

    fn result_in(&mut self, node: &NodeName, entry: &Element) -> bool {
        let me = self.me().clone();
        let (Some(c), Some(key)) = (&self.coordinator, entry.attr("transition-key")) else {
            return false;
        };
        let mut parts = key.splitn(4, ':');
        let mut number = || parts.next().and_then(|p| p.parse::<u64>().ok());
        let (Some(action), Some(transition), Some(target_rc)) = (number(), number(), number())
        else {
            return false;
        };
        if parts.next() != Some(c.uuid(&me).as_str()) {
            return false;
        }
        let sent = c.orders.iter().find(|(_, s)| {
            s.node == *node
                && s.order.transition_key == key
                && s.step
                    .is_some_and(|(t, a)| t == transition && u64::from(a) == action)
        });
        let Some((number, _)) = sent else {
            return false;
        };
        let number = *number;
        let code = |name: &str| {
            entry
                .attr(name)
                .and_then(|v| v.parse::<i64>().ok())
                .unwrap_or(0)
        };
        match code("op-status") {
            -1 => {
                self.order_taken(node, self.executor.term(), number);
            }
            0 if u64::try_from(code("rc-code")) == Ok(target_rc) => self.end_order(number, Ok(())),
            _ => {
                let text = format!(
                    "{} on {node} did not end as expected",
                    entry.attr("operation_key").unwrap_or(key)
                );
                self.end_order(number, Err(&text));
            }
        }
        true
    }
}

fn is_fencing(action: &Action) -> bool {
    action.kind == ActionKind::Cluster && action.operation == "stonith"
}

/// Whether a step needs an order to its node.
fn is_ordered(action: &Action) -> bool {
    let ordered = ["delete", "lrm_delete", "cancel", "clear_failcount"];
    action.kind == ActionKind::Resource || ordered.contains(&action.operation.as_str())
}

/// The agent's action that a step asks for.
pub(crate) fn agent_action(action: &Action) -> Option<AgentAction> {
    let resource = action.resource.as_ref()?;
    let number = |name: &str| {
        action
            .attributes
            .get(name)
            .and_then(|v| v.parse::<u64>().ok())
    };
    Some(AgentAction {
        resource: resource.id.clone(),
        class: resource.class.clone(),
        provider: resource.provider.clone(),
        kind: resource.kind.clone(),
        operation: action.operation.clone(),
        interval_ms: number("CRM_meta_interval").unwrap_or(0),
        timeout_ms: number("CRM_meta_timeout").unwrap_or(DEFAULT_TIMEOUT_MS),
        parameters: action.attributes.clone(),
    })
}

/// Digests by which a change of parameters is noticed later: of the agent's own parameters, and of the
/// time-out too where the operation recurs.
fn digests(action: &Action) -> BTreeMap<String, String> {
    let recurring = scheduler::history::interval_ms(action) > 0;
    let counts =
        |name: &str| !scheduler::digest::is_meta(name) || (recurring && name == "CRM_meta_timeout");
    let parameters = action.attributes.iter().filter(|(name, _)| counts(name));
    let parameters = parameters.map(|(name, value)| (name.as_str(), value.as_str()));
    let digest = scheduler::digest::of_parameters(parameters);
    [("op-digest".to_owned(), digest)].into()
}

fn described(change: &JournalRecord) -> String {
    match change {
        JournalRecord::Resource { resource, .. } => format!("history of {resource}"),
        JournalRecord::Attribute { name, value } => {
            format!("{name}={}", value.as_deref().unwrap_or("(none)"))
        }
        _ => "its records".to_owned(),
    }
}
