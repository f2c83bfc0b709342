//! A tiny scheduler for the simulator's own tests: probes, fences lost nodes, keeps every primitive
//! running somewhere. It knows no constraints and no scores; the real one is used for everything else.

use cib::Element;
use scheduler::{
    Decision,
    graph::{Action, ActionKind, Graph, ResourceRef, Synapse},
};
use std::collections::BTreeMap;

struct Seen<'a> {
    name: &'a str,
    online: bool,
    unclean: bool,
    /// It is to run nothing: it stands by, or it leaves.
    standby: bool,
    state: &'a Element,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Unknown,
    Stopped,
    Pending,
    Running { monitored: bool },
    Broken,
    StopFailed,
}

/// Decides.
pub(crate) fn schedule(cib: &Element, _now_s: i64) -> Decision {
    let nodes = nodes(cib);
    let mut plan = Plan::default();
    let quorum = cib.attr("have-quorum") == Some("1");
    let stops = !quorum && option(cib, "no-quorum-policy") == Some("stop");
    let primitives = cib
        .child("configuration")
        .and_then(|c| c.child("resources"))
        .into_iter()
        .flat_map(|r| r.children_named("primitive"));
    let primitives: Vec<&Element> = primitives.collect();
    let mut fences = BTreeMap::new();
    for node in &nodes {
        let stop_failed = |p: &&Element| at(node, p) == At::StopFailed;
        if quorum && (node.unclean || node.online && primitives.iter().any(stop_failed)) {
            fences.insert(node.name, plan.fence(node.name));
        }
    }
    for primitive in primitives {
        plan.primitive(primitive, &nodes, &fences, quorum, stops);
    }
    Decision {
        graph: plan.0,
        ..Decision::default()
    }
}

fn option<'a>(cib: &'a Element, name: &str) -> Option<&'a str> {
    let config = cib.child("configuration")?.child("crm_config")?;
    let mut pairs = config.descendants().filter(|e| e.name() == "nvpair");
    pairs.find(|p| p.attr("name") == Some(name))?.attr("value")
}

fn nodes(cib: &Element) -> Vec<Seen<'_>> {
    let listed = cib.child("configuration").and_then(|c| c.child("nodes"));
    let standby = |name: &str| {
        let node = listed?.children().find(|n| n.attr("uname") == Some(name))?;
        let mut pairs = node
            .descendants()
            .filter(|e| e.attr("name") == Some("standby"));
        pairs.next()?.attr("value").map(|v| v == "on")
    };
    let leaves = |state: &Element| {
        let mut pairs = state.descendants().filter(|e| e.name() == "nvpair");
        pairs.any(|p| p.attr("name") == Some("shutdown") && p.attr("value") != Some("0"))
    };
    let states = cib.child("status").into_iter().flat_map(|s| s.children());
    let seen = states.filter_map(|state| {
        let name = state.attr("uname")?;
        let is = |attribute: &str, value: &str| state.attr(attribute) == Some(value);
        let online = is("crmd", "online") && is("join", "member");
        Some(Seen {
            name,
            online,
            unclean: !online && is("expected", "member"),
            standby: standby(name).unwrap_or(false) || leaves(state),
            state,
        })
    });
    seen.collect()
}

fn at(node: &Seen<'_>, primitive: &Element) -> At {
    let Some(id) = primitive.id() else {
        return At::Unknown;
    };
    let mut resources = node
        .state
        .descendants()
        .filter(|e| e.name() == "lrm_resource");
    let Some(history) = resources.find(|r| r.id() == Some(id)) else {
        return At::Unknown;
    };
    let number = |e: &Element, name: &str| e.attr(name).and_then(|v| v.parse::<i64>().ok());
    let mut ops: Vec<&Element> = history.children().collect();
    ops.sort_by_key(|o| number(o, "call-id").unwrap_or(0));
    let mut now = At::Unknown;
    for op in ops {
        let monitor = op.attr("operation") == Some("monitor");
        let recurring = number(op, "interval").unwrap_or(0) > 0;
        let rc = number(op, "rc-code").unwrap_or(0);
        now = match (op.attr("operation").unwrap_or_default(), rc) {
            (_, 193) if recurring => now,
            (_, 193) => At::Pending,
            ("monitor", 0) => At::Running {
                monitored: recurring,
            },
            ("monitor", 7) if !recurring && !op.id().unwrap_or_default().contains("failure") => {
                At::Stopped
            }
            _ if monitor => At::Broken,
            ("start", 0) => At::Running { monitored: false },
            ("start", _) => At::Broken,
            ("stop", 0) => At::Stopped,
            ("stop", _) => At::StopFailed,
            _ => now,
        };
    }
    now
}

#[derive(Default)]
struct Plan(Graph);

impl Plan {
    fn push(&mut self, mut action: Action, inputs: Vec<u32>) -> u32 {
        let id = self.0.synapses.len() as u32 + 1;
        action.id = id;
        self.0.synapses.push(Synapse {
            id,
            priority: 0,
            actions: vec![action],
            inputs,
        });
        id
    }

    fn fence(&mut self, node: &str) -> u32 {
        let action = Action {
            kind: ActionKind::Cluster,
            operation: "stonith".to_owned(),
            key: format!("stonith-{node}-reboot"),
            node: Some(node.to_owned()),
            attributes: [("stonith_action".to_owned(), "reboot".to_owned())].into(),
            downed: vec![node.to_owned()],
            ..Action::default()
        };
        self.push(action, Vec::new())
    }

    fn operation(
        &mut self,
        primitive: &Element,
        node: &str,
        what: &str,
        interval_ms: u64,
        rc: i32,
        inputs: Vec<u32>,
    ) -> u32 {
        let text = |name: &str| primitive.attr(name).unwrap_or_default().to_owned();
        let attributes = [
            ("CRM_meta_timeout", "5000".to_owned()),
            ("CRM_meta_interval", interval_ms.to_string()),
            ("CRM_meta_op_target_rc", rc.to_string()),
        ];
        let action = Action {
            operation: what.to_owned(),
            key: format!("{}_{what}_{interval_ms}", text("id")),
            node: Some(node.to_owned()),
            resource: Some(ResourceRef {
                id: text("id"),
                long_id: None,
                class: text("class"),
                provider: primitive.attr("provider").map(str::to_owned),
                kind: text("type"),
            }),
            attributes: attributes.map(|(n, v)| (n.to_owned(), v)).into(),
            ..Action::default()
        };
        self.push(action, inputs)
    }

    fn primitive(
        &mut self,
        primitive: &Element,
        nodes: &[Seen<'_>],
        fences: &BTreeMap<&str, u32>,
        quorum: bool,
        stops: bool,
    ) {
        let id = primitive.id().unwrap_or_default();
        let places: Vec<(&Seen<'_>, At)> = nodes.iter().map(|n| (n, at(n, primitive))).collect();
        let alive = |n: &Seen<'_>| n.online && !fences.contains_key(n.name);
        let online = || places.iter().filter(|(n, _)| alive(n));
        if online().any(|(_, at)| *at == At::Pending) {
            return;
        }
        let mut before: Vec<u32> = fences.values().copied().collect();
        let unknown: Vec<&str> = online()
            .filter(|(_, at)| *at == At::Unknown)
            .map(|(n, _)| n.name)
            .collect();
        for node in &unknown {
            before.push(self.operation(primitive, node, "monitor", 0, 7, Vec::new()));
        }
        let failed = |n: &Seen<'_>| {
            let name = format!("fail-count-{id}#start");
            n.state
                .descendants()
                .any(|e| e.attr("name").is_some_and(|v| v.starts_with(&name)))
        };
        let able = |n: &Seen<'_>| alive(n) && !n.standby && !failed(n) && !stops;
        let running = |at: At| matches!(at, At::Running { .. });
        let stays = places
            .iter()
            .find(|(n, at)| able(n) && running(*at))
            .map(|(n, _)| n.name);
        for (node, at) in online() {
            let keep = stays == Some(node.name) && running(*at);
            if (running(*at) || *at == At::Broken) && !keep && (quorum || stops) {
                before.push(self.operation(primitive, node.name, "stop", 0, 0, Vec::new()));
            }
        }
        if let Some(node) = stays {
            let monitored = places
                .iter()
                .any(|(n, at)| n.name == node && *at == At::Running { monitored: true });
            if !monitored {
                self.operation(primitive, node, "monitor", 6_000, 0, Vec::new());
            }
            return;
        }
        if !quorum {
            return;
        }
        let spread = id.bytes().map(usize::from).sum::<usize>();
        let list: Vec<&str> = nodes.iter().filter(|n| able(n)).map(|n| n.name).collect();
        if let Some(node) = list.get(spread % list.len().max(1)) {
            let start = self.operation(primitive, node, "start", 0, 0, before);
            self.operation(primitive, node, "monitor", 6_000, 0, vec![start]);
        }
    }
}
