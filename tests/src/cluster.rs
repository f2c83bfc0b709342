//! A cluster in a lab with the resources a test is about, asked and changed by the tools people use.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc
)] // only tests call this

use crate::CommandLab;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// Its members.
pub const NODES: [&str; 3] = ["alpha", "beta", "gamma"];

/// The lab's own fencing.
const FENCE: &str = r#"<primitive id="fence-lab" class="stonith" type="lab"><instance_attributes id="fence-lab-params"><nvpair id="fence-lab-socket" name="socket" value="/run/lab/fence.sock"/></instance_attributes></primitive>"#;

/// A lab whose cluster runs these resources and nothing else.
pub struct Cluster {
    /// Where it lives.
    pub lab: CommandLab,
}

impl Cluster {
    /// Boots it; returns when everything rests.
    ///
    /// # Panics
    /// With what was said if it does not come up.
    pub fn with(program: &Path, lab: &[&str], resources: &str, constraints: &str) -> Self {
        let lab = CommandLab::up(program, lab);
        let cluster = Self { lab };
        cluster.configure(&format!("{FENCE}{resources}"), constraints);
        cluster.rest();
        cluster
    }

    /// One more resource.
    pub fn add(&self, resource: &str) {
        self.on(
            NODES[0],
            &format!("cibadmin --create --scope resources --xml-text '{resource}'"),
        );
    }

    /// All of it in one change, so that nothing is placed without its constraints.
    pub fn configure(&self, resources: &str, constraints: &str) {
        let old = self.on(NODES[0], "cibadmin --query --scope configuration");
        let head = &old[..old.find("<resources").unwrap()];
        let xml = format!(
            "{head}<resources>{resources}</resources><constraints>{constraints}</constraints></configuration>"
        );
        self.on(
            NODES[0],
            &format!("cibadmin --replace --scope configuration --xml-text '{xml}'"),
        );
    }

    /// What a shell command says in a node; it must go well.
    pub fn on(&self, node: &str, command: &str) -> String {
        let ended = self.lab.sh(node, command);
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.text);
        ended.text
    }

    /// Waits until nothing is left to do.
    pub fn rest(&self) {
        self.on(NODES[0], "crm_resource --wait");
    }

    /// Where every audited service is active; the audit must have seen none active twice.
    pub fn places(&self) -> BTreeMap<String, String> {
        let audit = self.lab.audit();
        assert_eq!(audit.code, Some(0), "{}", audit.text);
        let lines = audit.text.lines();
        let pairs = lines.filter_map(|l| l.split_once(" is active on "));
        pairs
            .map(|(resource, node)| (resource.to_owned(), node.to_owned()))
            .collect()
    }

    /// Where this one is active.
    pub fn place(&self, resource: &str) -> String {
        let places = self.places();
        let place = places.get(resource).cloned();
        place.unwrap_or_else(|| panic!("{resource} is active nowhere: {places:?}"))
    }

    /// What the services did since: `start` and `stop`, the resource, the node.
    pub fn events(&self, since: usize) -> Vec<(String, String, String)> {
        let path = self.lab.dir().join("shared/audit/events");
        let text = fs::read_to_string(path).unwrap();
        let all = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            (field("event"), field("resource"), field("node"))
        });
        let told = all.filter(|(event, ..)| event == "start" || event == "stop");
        told.skip(since).collect()
    }
}

/// Waits for something to come about, for half a minute.
pub fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !look() {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(20));
    }
}
