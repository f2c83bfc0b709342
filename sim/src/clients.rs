//! People and programs: they ask random nodes for things, and remember what was acknowledged.

use crate::{
    configuration::change,
    truth::Truth,
    world::{Event, World},
};
use cib::Element;
use crmd_core::{
    input::{ClientId, Input},
    request::{RefusalKind, Request, Response},
};

/// How long a client waits.
const PATIENCE_MS: u64 = 14_000;
/// Between two looks of the administrator at his list.
pub(crate) const TASK_EVERY_MS: u64 = 250;
/// Different keys the clients write.
const KEYS: u64 = 20;
const SET: &str = "sim-writes";

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    node: usize,
    purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// First of the administrator's list.
    Task,
    /// A write that must not be lost once acknowledged.
    Write(u64),
    /// Whatever happens to it.
    Noise,
}

impl World<'_> {
    /// The administrator asks for the next thing on the list until it is acknowledged.
    pub(crate) fn next_task(&mut self) {
        self.list_repairs();
        let open = self.asked.values().any(|a| a.purpose == Purpose::Task);
        if !open && let Some(request) = self.tasks.front().cloned() {
            self.ask(request, Purpose::Task);
        }
    }

    /// A client asks for something, and another one later.
    pub(crate) fn next_client(&mut self) {
        if self.healed {
            return;
        }
        let every_ms = self.universe.client_every_ms;
        let wait_ms = self.rng.range(every_ms / 2, every_ms * 3 / 2);
        self.after(wait_ms, Event::Client);
        match self.rng.below(10) {
            0..7 => {
                let node = self.any_running();
                self.write(node);
            }
            7 => self.standby(),
            8 => self.attribute(),
            _ => self.location(),
        }
    }

    /// A client of this node writes.
    pub(crate) fn write(&mut self, node: Option<usize>) {
        let Some(node) = node.filter(|n| self.hosts[*n].daemon.is_some() && !self.healed) else {
            return;
        };
        let key = format!("{SET}-{}", self.rng.below(KEYS));
        let write = self.fresh();
        let value = format!("v{write}");
        let pair = format!(r#"<nvpair id="{key}" name="{key}" value="{value}"/>"#);
        let set = format!(r#"<cluster_property_set id="{SET}">{pair}</cluster_property_set>"#);
        let (request, value) = if self.rng.chance(200) {
            let pair = format!(r#"<nvpair id="{key}"/>"#);
            (change("delete", "crm_config", pair), None)
        } else {
            (change("modify", "crm_config", set), Some(value))
        };
        self.tell(Truth::Write { write, key, value });
        self.ask_at(node, request, Purpose::Write(write));
    }

    fn standby(&mut self) {
        let node = self.rng.index(self.hosts.len());
        let value = if self.rng.chance(400) { "on" } else { "off" };
        if let Some(request) = self.standby_of(node, value) {
            self.ask(request, Purpose::Noise);
        }
    }

    fn standby_of(&self, node: usize, value: &str) -> Option<Request> {
        let name = &self.hosts[node].name;
        let document = self
            .hosts
            .iter()
            .find_map(|h| h.daemon.as_ref())?
            .core
            .document();
        let nodes = document.child("configuration")?.child("nodes")?;
        let id = nodes
            .children()
            .find(|n| n.attr("uname") == Some(name))?
            .id()?;
        let pair = format!(r#"<nvpair id="nodes-{id}-standby" name="standby" value="{value}"/>"#);
        let set = format!(r#"<instance_attributes id="nodes-{id}">{pair}</instance_attributes>"#);
        let xml = format!(r#"<node id="{id}" uname="{name}">{set}</node>"#);
        Some(change("modify", "nodes", xml))
    }

    fn attribute(&mut self) {
        let node = self.rng.index(self.hosts.len());
        let value = self.rng.below(100);
        let request = Request::Attribute {
            node: self.hosts[node].name.clone(),
            name: "sim-attribute".to_owned(),
            value: Some(value.to_string()),
        };
        self.ask(request, Purpose::Noise);
    }

    fn location(&mut self) {
        let node = self.rng.index(self.hosts.len());
        let rsc = self.rng.pick(&self.resources).cloned().unwrap_or_default();
        let id = format!("sim-prefers-{rsc}");
        let xml = format!(
            r#"<rsc_location id="{id}" rsc="{rsc}" node="{}" score="200"/>"#,
            self.hosts[node].name
        );
        let request = if self.rng.chance(250) {
            change(
                "delete",
                "constraints",
                format!(r#"<rsc_location id="{id}"/>"#),
            )
        } else {
            change("modify", "constraints", xml)
        };
        self.ask(request, Purpose::Noise);
    }

    /// What an administrator does when everything is mended, as soon as a daemon knows the nodes:
    /// nobody in standby, failures forgotten.
    fn list_repairs(&mut self) {
        let all = 0..self.hosts.len();
        let awake: Option<Vec<Request>> = all.map(|node| self.standby_of(node, "off")).collect();
        let Some(awake) = awake.filter(|_| self.repairs_due) else {
            return;
        };
        self.repairs_due = false;
        self.tasks.extend(awake);
        self.tasks.push_back(Request::Cleanup {
            resource: None,
            node: None,
            failed_only: false,
        });
    }

    /// An administrator stops a node in order.
    pub(crate) fn ask_to_leave(&mut self, node: usize) {
        self.note(Some(node), format_args!("is asked to leave"));
        self.ask_at(node, Request::Leave, Purpose::Noise);
    }

    /// An administrator has a node fenced, whatever it is doing.
    pub(crate) fn ask_to_fence(&mut self, target: usize) {
        let target = self.hosts[target].name.clone();
        self.note(None, format_args!("somebody wants {target} to be fenced"));
        let request = Request::Fence {
            target,
            action: "reboot".to_owned(),
            timeout_ms: 10_000,
            origin: "root/sim".to_owned(),
        };
        self.ask(request, Purpose::Noise);
    }

    fn ask(&mut self, request: Request, purpose: Purpose) {
        if let Some(node) = self.any_running() {
            self.ask_at(node, request, purpose);
        }
    }

    fn any_running(&mut self) -> Option<usize> {
        let running = (0..self.hosts.len()).filter(|n| self.hosts[*n].daemon.is_some());
        let running: Vec<usize> = running.collect();
        self.rng.pick(&running).copied()
    }

    fn ask_at(&mut self, node: usize, request: Request, purpose: Purpose) {
        let Some(epoch) = self.hosts[node].epoch() else {
            return;
        };
        let client = self.fresh();
        self.asked.insert(client, Asked { node, purpose });
        let input = Input::Client { client, request };
        self.after(0, Event::ForDaemon { node, epoch, input });
        self.after(PATIENCE_MS, Event::Patience { client, epoch });
    }

    /// The client gives up; what it asked for may still happen.
    pub(crate) fn impatient(&mut self, client: ClientId, epoch: u64) {
        let Some(asked) = self.asked.remove(&client) else {
            return;
        };
        let (node, input) = (asked.node, Input::ClientGone { client });
        self.after(0, Event::ForDaemon { node, epoch, input });
    }

    /// All clients of a daemon that is gone know nothing more.
    pub(crate) fn forget_clients(&mut self, node: usize) {
        self.asked.retain(|_, a| a.node != node);
    }

    /// An answer.
    pub(crate) fn replied(&mut self, client: ClientId, response: &Response) {
        let Some(asked) = self.asked.remove(&client) else {
            return;
        };
        let kind = match response {
            Response::Refused(refusal) => Some(refusal.kind),
            _ => None,
        };
        let certain = matches!(
            kind,
            Some(RefusalKind::NotFound | RefusalKind::Exists | RefusalKind::Invalid)
        );
        match asked.purpose {
            Purpose::Write(write) if kind.is_none() => self.tell(Truth::Acknowledged { write }),
            Purpose::Write(write) if certain => self.tell(Truth::Refused { write }),
            Purpose::Task if kind.is_none() => {
                self.tasks.pop_front();
            }
            _ => {}
        }
    }
}

/// The clients' values in a document.
pub(crate) fn values(document: &Element) -> Vec<(String, String)> {
    let set = document
        .child("configuration")
        .and_then(|c| c.child("crm_config"))
        .and_then(|c| c.children().find(|s| s.id() == Some(SET)));
    let pairs = set.into_iter().flat_map(|s| s.children());
    let pair = |p: &Element| Some((p.id()?.to_owned(), p.attr("value")?.to_owned()));
    pairs.filter_map(pair).collect()
}
