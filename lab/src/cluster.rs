//! A cluster on the nodes of a lab, made the way people make one: `systole cluster init` on the first node,
//! a token, `systole cluster join` on the others, `systole supervise` on each; then a configuration.

use crate::{
    client::Client,
    error::{LabError, While, said},
    events::Event,
    init,
    layout::{IN_NODE_ROOT, IN_NODE_SHARED},
    remote::Lab,
    wait::wait_for,
};
use crmd_core::{request::Request, view::NodeView};
use std::{collections::BTreeMap, fs, time::Duration};

/// The configuration of the demo and the drills.
pub(crate) const EXAMPLE: &str = include_str!("../../examples/three-nodes/cib.xml");
/// Sections of a configuration that are loaded, in this order; nodes come from joining.
const SECTIONS: [&str; 4] = ["crm_config", "rsc_defaults", "constraints", "resources"];
/// A tool's own work.
const TOOL_LIMIT: Duration = Duration::from_secs(30);
/// A question to a daemon.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// Until everybody is a member and everything runs.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A cluster in a lab.
pub(crate) struct Cluster<'a> {
    /// Where it lives.
    pub(crate) lab: &'a Lab,
}

impl<'a> Cluster<'a> {
    /// Of a lab that has one.
    pub(crate) fn new(lab: &'a Lab) -> Self {
        Self { lab }
    }

    /// Makes one; `progress` is told each step.
    pub(crate) fn make(
        lab: &'a Lab,
        configuration: &str,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, LabError> {
        let cluster = Self { lab };
        let Some((first, others)) = lab.spec().nodes.split_first() else {
            return said("a lab without nodes has no cluster");
        };
        progress(&format!("{first} makes a cluster"));
        cluster.enter(first, &["cluster", "init", "--name", "lab"])?;
        cluster.supervise(first)?;
        cluster.wait_leader(first)?;
        for node in others {
            progress(&format!("{node} joins"));
            let told = cluster.tool(first, &["cluster", "token"])?;
            let Some(join) = told
                .lines()
                .find_map(|l| l.trim().strip_prefix("systole cluster join "))
            else {
                return said(format!(
                    "'systole cluster token' on {first} said: {}",
                    told.trim()
                ));
            };
            let words: Vec<&str> = ["cluster", "join"]
                .into_iter()
                .chain(join.split_whitespace())
                .collect();
            cluster.enter(node, &words)?;
            cluster.supervise(node)?;
        }
        cluster.wait_members()?;
        progress("the configuration is loaded");
        cluster.load(first, configuration)?;
        progress("resources start");
        cluster.settle()?;
        Ok(cluster)
    }

    /// Runs a program of ours in a node; its output if it went well.
    fn tool(&self, node: &str, words: &[&str]) -> Result<String, LabError> {
        let program = format!("{IN_NODE_SHARED}/bin/systole");
        let all: Vec<&str> = std::iter::once(program.as_str())
            .chain(words.iter().copied())
            .collect();
        let told = self.lab.exec(node, &all, TOOL_LIMIT)?;
        if told.code == 0 {
            return Ok(told.text);
        }
        let verb = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        said(format!(
            "'systole {verb}' on {node} ended with code {}: {}",
            told.code,
            told.text.trim()
        ))
    }

    /// `init` or `join`: the node's files lie below its own directory, and the agents we ship in the lab's.
    fn enter(&self, node: &str, words: &[&str]) -> Result<(), LabError> {
        let addresses: Vec<String> = self
            .lab
            .spec()
            .addresses(node)?
            .iter()
            .map(ToString::to_string)
            .collect();
        let addresses = addresses.join(",");
        let place = [
            "--node",
            node,
            "--address",
            &addresses,
            "--root",
            IN_NODE_ROOT,
        ];
        let all: Vec<&str> = words.iter().copied().chain(place).collect();
        self.tool(node, &all)?;
        let file = self.lab.layout().node(node).join("etc/systole.toml");
        let text = fs::read_to_string(&file).during(|| format!("read {}", file.display()))?;
        let agents = format!("[paths]\nagents_dirs = [\"{IN_NODE_SHARED}/agents\"]");
        let lines = text.lines().filter(|l| !l.starts_with("agents_dirs"));
        let text: String = lines
            .map(|l| format!("{}\n", if l == "[paths]" { &agents } else { l }))
            .collect();
        fs::write(&file, text).during(|| format!("write {}", file.display()))
    }

    fn supervise(&self, node: &str) -> Result<(), LabError> {
        let file = init::service_file(&self.lab.layout().node(node));
        let words = format!("{IN_NODE_SHARED}/bin/systole\nsupervise\n");
        // The node's first process looks for it all the time: it must never see half of it.
        let whole = file.with_extension("new");
        fs::write(&whole, words)
            .and_then(|()| fs::rename(&whole, &file))
            .during(|| format!("write {}", file.display()))
    }

    /// A node's daemon.
    pub(crate) fn client(&self, node: &str) -> Result<Client, LabError> {
        Client::new(self.lab.layout(), node)
    }

    fn wait_leader(&self, node: &str) -> Result<(), LabError> {
        let client = self.client(node)?;
        wait_for(
            &format!("{node} becomes coordinator"),
            TOOL_LIMIT,
            POLL,
            || {
                let view = client.state(ASK_LIMIT)?;
                let online = view
                    .members
                    .iter()
                    .any(|m| &*m.node == node && m.state == "online");
                Ok((view.quorate && view.coordinator.is_some() && online).then_some(()))
            },
        )
    }

    /// What the coordinator sees, asked wherever somebody answers.
    pub(crate) fn view(&self) -> Result<NodeView, LabError> {
        let mut last = LabError::Said("no node runs".into());
        for node in &self.lab.spec().nodes {
            match self.client(node)?.state(ASK_LIMIT) {
                Ok(view) if view.coordinator.as_deref() == Some(view.node.as_str()) => {
                    return Ok(view);
                }
                Ok(_) => last = LabError::Said("there is no coordinator".into()),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Digests of the configuration, node by node.
    pub(crate) fn digests(&self) -> Result<Vec<String>, LabError> {
        let nodes = self.lab.spec().nodes.iter();
        let digest = |node: &String| Ok(self.client(node)?.state(ASK_LIMIT)?.digest);
        nodes.map(digest).collect()
    }

    /// Waits until all nodes have the same configuration.
    pub(crate) fn same_digest(&self) -> Result<(), LabError> {
        let what = "the same configuration on all nodes";
        wait_for(what, SETTLE_LIMIT, POLL * 10, || {
            let mut digests = self.digests()?;
            digests.dedup();
            Ok((digests.len() == 1).then_some(()))
        })
    }

    /// The coordinator's client.
    pub(crate) fn coordinator(&self) -> Result<Client, LabError> {
        let view = self.view()?;
        self.client(&view.node)
    }

    /// Everybody is online.
    pub(crate) fn wait_members(&self) -> Result<(), LabError> {
        wait_for("every node a member", SETTLE_LIMIT, POLL, || {
            let view = self.view()?;
            let online = view.members.iter().filter(|m| m.state == "online").count();
            Ok((online >= self.lab.spec().nodes.len()).then_some(()))
        })
    }

    fn load(&self, node: &str, configuration: &str) -> Result<(), LabError> {
        let document = cib::Element::parse(configuration)
            .map_err(|e| LabError::Said(format!("configuration: {e}")))?;
        let sections = document.child("configuration");
        let client = self.client(node)?;
        for name in SECTIONS {
            if let Some(section) = sections.and_then(|s| s.child(name)) {
                client.change("replace", name, &section.to_xml(), TOOL_LIMIT)?;
            }
        }
        Ok(())
    }

    /// Audited resources that are configured.
    pub(crate) fn audited(&self) -> Result<Vec<String>, LabError> {
        let cib = self.coordinator()?.cib(ASK_LIMIT)?;
        let primitives = cib
            .descendants()
            .filter(|e| e.name() == "primitive" && e.attr("type") == Some("Audited"));
        Ok(primitives
            .filter_map(|e| e.id().map(str::to_owned))
            .collect())
    }

    /// Everybody is online, everything audited is active, and nothing is left to do. Where everything runs.
    pub(crate) fn settle(&self) -> Result<BTreeMap<String, String>, LabError> {
        self.wait_members()?;
        let wanted = wait_for(
            "the configuration to be readable",
            SETTLE_LIMIT,
            POLL,
            || self.audited().map(Some),
        )?;
        let active = wait_for("every resource active", SETTLE_LIMIT, POLL, || {
            let active = self.lab.audit()?.active;
            Ok(wanted
                .iter()
                .all(|r| active.contains_key(r))
                .then_some(active))
        })?;
        wait_for("nothing left to do", SETTLE_LIMIT, POLL, || {
            let view = self.view()?;
            Ok(view.idle.then_some(()))
        })?;
        Ok(active)
    }

    /// The configuration is changed by the coordinator.
    pub(crate) fn change(&self, action: &str, section: &str, xml: &str) -> Result<(), LabError> {
        self.coordinator()?.change(action, section, xml, TOOL_LIMIT)
    }

    /// Failures of a resource are forgotten.
    pub(crate) fn cleanup(&self, resource: &str) -> Result<(), LabError> {
        let request = Request::Cleanup {
            resource: Some(resource.into()),
            node: None,
            failed_only: true,
        };
        self.coordinator()?.call(&request, TOOL_LIMIT).map(drop)
    }

    /// The last start of a resource.
    pub(crate) fn last_start(&self, resource: &str) -> Result<Event, LabError> {
        let events = self.lab.audit_events()?;
        let last = events
            .into_iter()
            .rev()
            .find(|e| e.event == "start" && e.resource == resource);
        last.ok_or_else(|| LabError::Said(format!("{resource} was never started")))
    }
}
