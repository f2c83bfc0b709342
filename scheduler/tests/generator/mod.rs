//! Random configurations with a status: a pure function from a seed to a document.
//!
//! Most documents use few features at once, so that what two programs decide differently is easily understood.
//! The documents are valid under the schema `pacemaker-3.9`, use the spelling `stonith-*`, and every name in a
//! constraint exists. It must never depend on anything but the seed: a seed written down names one document.

mod constraints;
mod dice;
mod history;
mod resources;

use dice::Dice;
use std::fmt::Write as _;

/// Seconds since the epoch to decide at: 2026-09-21T14:13:20Z.
pub(crate) const NOW_S: i64 = 1_790_000_000;

/// What a document may make use of, besides primitives and nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
    Groups,
    Clones,
    Promotable,
    ClonedGroups,
    UniqueClones,
    CloneOptions,
    Notify,
    Location,
    LocationRules,
    LocationPatterns,
    Discovery,
    Colocation,
    ColocationRoles,
    ColocationSets,
    ColocationAttribute,
    Influence,
    Order,
    OrderSets,
    OrderRoles,
    Tickets,
    Stickiness,
    FailCounts,
    OnFail,
    Failed,
    TargetRole,
    Unmanaged,
    Maintenance,
    Standby,
    Utilization,
    Health,
    Priority,
    NoQuorum,
    Migratable,
    Pending,
    OfflineNodes,
    UncleanNodes,
    Orphans,
    ChangedParameters,
    Asymmetric,
    Devices,
    Requires,
    MultipleActive,
    StopAll,
    NoStartupProbes,
    ProbedStopped,
    Misplaced,
    Shutdown,
}

impl Feature {
    const ALL: &'static [Self] = &[
        Self::Groups,
        Self::Clones,
        Self::Promotable,
        Self::ClonedGroups,
        Self::UniqueClones,
        Self::CloneOptions,
        Self::Notify,
        Self::Location,
        Self::LocationRules,
        Self::LocationPatterns,
        Self::Discovery,
        Self::Colocation,
        Self::ColocationRoles,
        Self::ColocationSets,
        Self::ColocationAttribute,
        Self::Influence,
        Self::Order,
        Self::OrderSets,
        Self::OrderRoles,
        Self::Tickets,
        Self::Stickiness,
        Self::FailCounts,
        Self::OnFail,
        Self::Failed,
        Self::TargetRole,
        Self::Unmanaged,
        Self::Maintenance,
        Self::Standby,
        Self::Utilization,
        Self::Health,
        Self::Priority,
        Self::NoQuorum,
        Self::Migratable,
        Self::Pending,
        Self::OfflineNodes,
        Self::UncleanNodes,
        Self::Orphans,
        Self::ChangedParameters,
        Self::Asymmetric,
        Self::Devices,
        Self::Requires,
        Self::MultipleActive,
        Self::StopAll,
        Self::NoStartupProbes,
        Self::ProbedStopped,
        Self::Misplaced,
        Self::Shutdown,
    ];
}

/// How a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Online,
    /// Left in order.
    Offline,
    /// Lost.
    Unclean,
    /// Joining.
    Pending,
    /// Nothing is known of it.
    Unseen,
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) standing: Standing,
}

/// What is known while a document is made.
pub(crate) struct Maker {
    pub(crate) dice: Dice,
    features: Vec<Feature>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) resources: Vec<resources::Top>,
    fencing: bool,
    ids: u32,
}

impl Maker {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let wanted = match dice.below(10) {
            0..=4 => dice.range(1, 3),
            5..=7 => dice.range(3, 5),
            _ => dice.range(5, 10),
        };
        let features = (0..wanted)
            .filter_map(|_| dice.pick(Feature::ALL).copied())
            .collect();
        Self {
            dice,
            features,
            nodes: Vec::new(),
            resources: Vec::new(),
            fencing: false,
            ids: 0,
        }
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// True this many times of a hundred, if the document has the feature.
    pub(crate) fn on(&mut self, feature: Feature, percent: u64) -> bool {
        self.has(feature) && self.dice.percent(percent)
    }

    pub(crate) fn id(&mut self, what: &str) -> String {
        self.ids += 1;
        format!("{what}-{}", self.ids)
    }

    /// A block of name-value pairs, or nothing if there are none.
    pub(crate) fn pairs(&mut self, block: &str, pairs: &[(String, String)]) -> String {
        if pairs.is_empty() {
            return String::new();
        }
        let id = self.id(block);
        let mut out = format!("<{block} id=\"{id}\">");
        for (name, value) in pairs {
            let _ = write!(
                out,
                "<nvpair id=\"{id}-{}\" name=\"{name}\" value=\"{value}\"/>",
                name.replace('#', ".")
            );
        }
        let _ = write!(out, "</{block}>");
        out
    }

    fn make_nodes(&mut self) {
        let count = self.dice.range(2, 4) + u64::from(self.dice.percent(15));
        for number in 1..=count {
            let standing = if self.on(Feature::OfflineNodes, 35) {
                Standing::Offline
            } else if number > 1 && self.on(Feature::UncleanNodes, 35) {
                match self.dice.below(10) {
                    0..=6 => Standing::Unclean,
                    7..=8 => Standing::Pending,
                    _ => Standing::Unseen,
                }
            } else {
                Standing::Online
            };
            self.nodes.push(Node {
                name: format!("node{number}"),
                standing,
            });
        }
    }

    fn options(&mut self) -> String {
        let watchdog = self.dice.percent(4);
        let mut pairs = vec![pair("have-watchdog", watchdog)];
        self.fencing = self.has(Feature::Devices) || self.dice.percent(45);
        pairs.push(pair("stonith-enabled", self.fencing));
        let policies = ["stop", "freeze", "ignore", "demote", "suicide"];
        let policy = match self.has(Feature::NoQuorum) {
            true => self.dice.one_of(&policies),
            false => "stop",
        };
        pairs.push(pair("no-quorum-policy", policy));
        if self.has(Feature::Asymmetric) {
            pairs.push(pair("symmetric-cluster", "false"));
        }
        if self.on(Feature::Maintenance, 30) {
            pairs.push(pair("maintenance-mode", "true"));
        }
        if self.has(Feature::Utilization) {
            let strategies = ["default", "utilization", "minimal", "balanced"];
            pairs.push(pair("placement-strategy", self.dice.one_of(&strategies)));
        }
        if self.has(Feature::Health) {
            let strategies = ["migrate-on-red", "only-green", "progressive", "custom"];
            pairs.push(pair("node-health-strategy", self.dice.one_of(&strategies)));
            for (name, value) in [("green", "10"), ("yellow", "-5"), ("red", "-100")] {
                if self.dice.percent(30) {
                    pairs.push(pair(&format!("node-health-{name}"), value));
                }
            }
            if self.dice.percent(20) {
                pairs.push(pair("node-health-base", "5"));
            }
        }
        if self.on(Feature::Priority, 40) {
            pairs.push(pair("priority-fencing-delay", "15s"));
        }
        if self.on(Feature::StopAll, 60) {
            pairs.push(pair("stop-all-resources", "true"));
        }
        if self.has(Feature::NoStartupProbes) {
            pairs.push(pair("enable-startup-probes", "false"));
        }
        if self.on(Feature::Orphans, 30) {
            let name = self
                .dice
                .one_of(&["stop-orphan-resources", "stop-orphan-actions"]);
            pairs.push(pair(name, "false"));
        }
        if self.on(Feature::UncleanNodes, 20) {
            pairs.push(pair("startup-fencing", "false"));
        }
        if self.on(Feature::UncleanNodes, 20) {
            let action = self.dice.one_of(&["off", "reboot"]);
            pairs.push(pair("stonith-action", action));
        }
        if self.on(Feature::UncleanNodes, 20) {
            pairs.push(pair("concurrent-fencing", "true"));
        }
        if self.on(Feature::Failed, 20) {
            pairs.push(pair("start-failure-is-fatal", "false"));
        }
        if self.on(Feature::Shutdown, 30) {
            pairs.push(pair("shutdown-lock", "true"));
        }
        let block = self.pairs("cluster_property_set", &pairs);
        format!("<crm_config>{block}</crm_config>")
    }

    fn node_list(&mut self) -> String {
        let mut out = String::from("<nodes>");
        for number in 0..self.nodes.len() {
            let mut attributes = Vec::new();
            if self.on(Feature::Standby, 40) {
                attributes.push(pair("standby", "on"));
            }
            if self.on(Feature::Maintenance, 30) {
                attributes.push(pair("maintenance", "true"));
            }
            let named = [Feature::LocationRules, Feature::ColocationAttribute]
                .iter()
                .any(|f| self.has(*f));
            if named && self.dice.percent(85) {
                attributes.push(pair("site", self.dice.one_of(&["a", "b"])));
                attributes.push(pair("weight", self.dice.one_of(&["1", "10", "100"])));
            }
            if self.on(Feature::Health, 40) {
                let colour = self.dice.one_of(&["red", "yellow", "green", "-20", "30"]);
                attributes.push(pair("#health-disk", colour));
            }
            let mut inside = self.pairs("instance_attributes", &attributes);
            if self.has(Feature::Utilization) {
                let room = self.dice.range(1, 6).to_string();
                let memory = (self.dice.range(1, 4) * 1024).to_string();
                let room = [pair("cpu", &room), pair("memory", &memory)];
                inside += &self.pairs("utilization", &room);
            }
            let name = &self.nodes[number].name;
            let _ = write!(
                out,
                "<node id=\"{}\" uname=\"{name}\">{inside}</node>",
                number + 1
            );
        }
        out + "</nodes>"
    }

    fn defaults(&mut self) -> String {
        let mut out = String::new();
        let mut pairs = Vec::new();
        if self.on(Feature::Stickiness, 60) {
            let stickiness = self.dice.one_of(&["1", "10", "100", "INFINITY", "-10"]);
            pairs.push(pair("resource-stickiness", stickiness));
        }
        if self.on(Feature::FailCounts, 50) {
            let threshold = self.dice.one_of(&["1", "2", "3", "5"]);
            pairs.push(pair("migration-threshold", threshold));
        }
        let block = self.pairs("meta_attributes", &pairs);
        if !block.is_empty() {
            let _ = write!(out, "<rsc_defaults>{block}</rsc_defaults>");
        }
        if self.on(Feature::OnFail, 20) {
            let value = self.dice.one_of(&["ignore", "block", "restart", "standby"]);
            let block = self.pairs("meta_attributes", &[pair("on-fail", value)]);
            let _ = write!(out, "<op_defaults>{block}</op_defaults>");
        }
        out
    }
}

pub(crate) fn pair(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// The document of a seed.
#[must_use]
pub(crate) fn document(seed: u64) -> String {
    let mut maker = Maker::new(seed);
    maker.make_nodes();
    let quorum = !maker.on(Feature::NoQuorum, 70);
    let options = maker.options();
    let nodes = maker.node_list();
    maker.resources = resources::choose(&mut maker);
    let resources = resources::write(&mut maker);
    let constraints = constraints::write(&mut maker);
    let defaults = maker.defaults();
    let status = history::write(&mut maker);
    format!(
        "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" admin_epoch=\"0\" epoch=\"{}\" \
         num_updates=\"1\" have-quorum=\"{}\" dc-uuid=\"1\" cib-last-written=\"Mon Sep 21 12:00:00 2026\">\
         <configuration>{options}{nodes}{resources}{constraints}{defaults}</configuration>{status}</cib>",
        seed + 1,
        u8::from(quorum)
    )
}
