//! Alerts and metrics of a cluster: who is told of what, that an agent that hangs delays nothing, and what a scrape
//! shows before and after a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tests::{
    cluster::{Cluster, NODES, eventually},
    executable,
};

const WEB: &str = r#"<primitive id="web" class="ocf" provider="systole" type="Audited"><operations><op id="web-monitor" name="monitor" interval="1s" timeout="10s"/></operations></primitive>"#;

/// Writes its variables as a line into a file of its node: in one write, for several may write at once.
const TELLS: &str = "line=$(env | grep '^CRM_alert_\\|^mood=' | sort | tr '\\n' '|')\necho \"$line\" >> /run/lab/agents/told.$(hostname)";

/// An event as an agent was told of it.
type Told = BTreeMap<String, String>;

struct Alerted {
    cluster: Cluster,
}

impl Alerted {
    fn up(program: &Path, agents: &[(&str, &str)], alerts: &str) -> Self {
        let alerted = Self {
            cluster: Cluster::with(program, &[], WEB, ""),
        };
        for (name, body) in agents {
            let path = alerted.shared(name);
            fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Agents run as a user that may not make files there.
        let files = NODES.map(|node| format!("told.{node}"));
        for name in files.iter().map(String::as_str).chain(["alerts.log"]) {
            let path = alerted.shared(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        }
        alerted.on(
            "alpha",
            &format!(
                "cibadmin --create --scope configuration --xml-text '<alerts>{alerts}</alerts>'"
            ),
        );
        alerted
    }

    fn shared(&self, name: &str) -> PathBuf {
        self.cluster.lab.dir().join("shared/agents").join(name)
    }

    fn on(&self, node: &str, command: &str) -> String {
        self.cluster.on(node, command)
    }

    fn log(&self, node: &str) -> String {
        let node = self.cluster.lab.dir().join("nodes").join(node);
        fs::read_to_string(node.join("log/systole.log")).unwrap_or_default()
    }

    /// What the agents of a node were told.
    fn told(&self, node: &str) -> Vec<Told> {
        let text = fs::read_to_string(self.shared(&format!("told.{node}"))).unwrap_or_default();
        let lines = text.lines().filter(|l| !l.is_empty());
        let variable = |v: &str| {
            let (name, value) = v.split_once('=')?;
            let name = name.strip_prefix("CRM_alert_").unwrap_or(name);
            Some((name.to_owned(), value.to_owned()))
        };
        lines
            .map(|l| l.split('|').filter_map(variable).collect())
            .collect()
    }

    /// Those about this: `name=value` each.
    fn about(&self, node: &str, wanted: &[(&str, &str)]) -> Vec<Told> {
        let fits = |t: &Told| {
            let has = |(name, value): &(&str, &str)| t.get(*name).is_some_and(|v| v == value);
            wanted.iter().all(has)
        };
        let mut told = self.told(node);
        told.retain(fits);
        told
    }

    /// Waits until a node was told this, and returns it; it was told once.
    fn once(&self, node: &str, wanted: &[(&str, &str)]) -> Told {
        eventually(&format!("{node} is told {wanted:?}"), || {
            !self.about(node, wanted).is_empty()
        });
        let told = self.about(node, wanted);
        assert_eq!(told.len(), 1, "{told:?}");
        told.into_iter().next().unwrap()
    }

    fn coordinator(&self) -> &'static str {
        let text = self.on("alpha", "crmadmin -D");
        let named = NODES.into_iter().find(|n| text.contains(n));
        named.unwrap_or_else(|| panic!("{text}"))
    }

    fn others(&self, than: &str) -> [&'static str; 2] {
        let others: Vec<&'static str> = NODES.into_iter().filter(|n| *n != than).collect();
        others.try_into().unwrap()
    }
}

const ALL: &str = r#"<alert id="all" path="/run/lab/agents/tells">
    <select><select_attributes><attribute id="sel-ping" name="ping"/></select_attributes><select_fencing/><select_nodes/><select_resources/></select>
    <instance_attributes id="all-i"><nvpair id="all-mood" name="mood" value="calm"/></instance_attributes>
    <recipient id="all-r" value="ops"/></alert>
    <alert id="file" path="/run/lab/agents/alert_file.sh"><recipient id="file-r" value="/run/lab/agents/alerts.log"/></alert>"#;

/// The agent that comes with the program.
fn file_agent() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agents/alerts/alert_file.sh");
    fs::read_to_string(path).unwrap()
}

#[test]
fn every_node_is_told_what_concerns_it_and_once() {
    let Some(program) = executable("alerts") else {
        return;
    };
    let agents = [("tells", TELLS), ("alert_file.sh", &file_agent())];
    let alerted = Alerted::up(&program, &agents, ALL);
    let home = alerted.cluster.place("web");
    let others = alerted.others(&home);

    alerted.on("alpha", "attrd_updater -n ping -U 42 -N beta");
    alerted.on("alpha", "attrd_updater -n silence -U 42 -N beta");
    let coordinator = alerted.coordinator();
    let told = alerted.once(coordinator, &[("kind", "attribute")]);
    let expected = [
        ("attribute_name", "ping"),
        ("attribute_value", "42"),
        ("node", "beta"),
        ("recipient", "ops"),
        ("mood", "calm"),
    ];
    for (name, value) in expected {
        assert_eq!(told[name], value, "{told:?}");
    }
    for node in alerted.others(coordinator) {
        assert!(alerted.about(node, &[("kind", "attribute")]).is_empty());
    }

    // Somebody stops the service behind the cluster's back.
    let ended = alerted.cluster.lab.agent(&home, "web", "stop");
    assert_eq!(ended.code, Some(0), "{}", ended.text);
    let failed = [("kind", "resource"), ("task", "monitor"), ("rc", "7")];
    let told = alerted.once(&home, &failed);
    assert_eq!(told["rsc"], "web");
    assert_eq!(told["interval"], "1000");
    assert_eq!(told["target_rc"], "0");
    assert_eq!(told["status"], "0");
    assert_eq!(told["desc"], "not running");
    assert_eq!(told["node"], home);
    let epoch: u64 = told["timestamp_epoch"].parse().unwrap();
    assert!(epoch > 1_700_000_000, "{told:?}");
    assert_eq!(told["timestamp_usec"].len(), 6);
    assert_eq!(told["timestamp"].len(), "12:34:56.123456".len(), "{told:?}");
    alerted.once(&home, &[("kind", "resource"), ("task", "stop")]);
    alerted.once(&home, &[("kind", "resource"), ("task", "start")]);
    alerted.cluster.rest();
    for node in others {
        let told = alerted.about(node, &[("kind", "resource")]);
        assert!(told.is_empty(), "{node} ran nothing: {told:?}");
    }

    let killed = alerted.cluster.lab.lab("kill", &[&home]);
    assert_eq!(killed.code, Some(0), "{}", killed.text);
    for node in others {
        let told = alerted.once(node, &[("kind", "fencing")]);
        assert_eq!(told["node"], home);
        assert_eq!(told["task"], "reboot");
        assert_eq!(told["rc"], "0");
        assert!(
            told["desc"].contains(&format!("reboot of {home}")),
            "{told:?}"
        );
        let lost = [("kind", "node"), ("node", home.as_str()), ("desc", "lost")];
        alerted.once(node, &lost);
    }
    eventually("the service runs elsewhere", || {
        let told = |node: &&str| {
            !alerted
                .about(node, &[("task", "start"), ("rsc", "web")])
                .is_empty()
        };
        others.iter().any(told)
    });
    for node in others {
        let back = [
            ("kind", "node"),
            ("node", home.as_str()),
            ("desc", "member"),
        ];
        alerted.once(node, &back);
    }
    alerted.cluster.rest();
    for node in others {
        assert_eq!(alerted.about(node, &[("kind", "fencing")]).len(), 1);
        let told = alerted.told(node);
        let numbers: Vec<u64> = told
            .iter()
            .map(|t| t["node_sequence"].parse().unwrap())
            .collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(
            sorted.len(),
            numbers.len(),
            "each event has its own number: {told:?}"
        );
    }
    let fenced = alerted.about(&home, &[("kind", "fencing")]);
    assert!(
        fenced.is_empty(),
        "its own fencing is no news to it: {fenced:?}"
    );

    let file = fs::read_to_string(alerted.shared("alerts.log")).unwrap();
    for part in [
        format!("monitor every 1000 ms of web on {home} FAILED: not running"),
        format!("node {home} is lost"),
        format!("fencing of {home}, exit code 0"),
    ] {
        assert!(file.contains(&part), "{part} in {file}");
    }
}

const HANGS: &str = r#"<alert id="hangs" path="/run/lab/agents/hangs"><meta_attributes id="h-m"><nvpair id="h-t" name="timeout" value="2s"/></meta_attributes></alert>
    <alert id="gone" path="/run/lab/agents/nowhere"/>
    <alert id="tells" path="/run/lab/agents/tells"/>"#;

#[test]
fn a_hung_agent_is_ended_at_its_time_and_delays_nothing() {
    let Some(program) = executable("hung alert agents") else {
        return;
    };
    let hangs = "trap '' TERM\necho 'dialling the modem' >&2\nsleep 876543 &\nsleep 876543";
    let agents = [("hangs", hangs), ("tells", TELLS)];
    let alerted = Alerted::up(&program, &agents, HANGS);
    let home = alerted.cluster.place("web");
    let before = Instant::now();
    alerted.cluster.lab.agent(&home, "web", "stop");
    alerted.once(&home, &[("task", "monitor"), ("rc", "7")]);
    alerted.once(&home, &[("task", "start")]);
    let took = before.elapsed();
    // A monitor's interval, a stop, a start; several calls of the hung one have not ended by then.
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(alerted.cluster.place("web"), home);
    eventually("the hung agent is ended and named", || {
        let log = alerted.log(&home);
        log.lines().any(|l| {
            l.contains("alert hangs")
                && l.contains("did not end within 2000 ms")
                && l.contains("dialling the modem")
        })
    });
    eventually("nothing of it is left", || {
        let left = alerted.cluster.lab.sh(&home, "pgrep -f '[s]leep 876543'");
        left.code == Some(1)
    });
    let log = alerted.log(&home);
    let missing: Vec<&str> = log
        .lines()
        .filter(|l| l.contains("alert gone") && l.contains("nowhere"))
        .collect();
    assert_eq!(missing.len(), 1, "said once: {missing:?}");
    let lost = NODES.iter().any(|n| alerted.log(n).contains(": lost"));
    assert!(!lost, "nobody was taken for lost");
}

const FLOODED: &str = r#"<alert id="hangs" path="/run/lab/agents/hangs"><select><select_attributes/></select></alert>
    <alert id="tells" path="/run/lab/agents/tells"/>"#;

#[test]
fn more_events_than_an_agent_can_take_are_dropped_and_said() {
    let Some(program) = executable("a flood of alerts") else {
        return;
    };
    let agents = [("hangs", "sleep 765432"), ("tells", TELLS)];
    let alerted = Alerted::up(&program, &agents, FLOODED);
    let home = alerted.cluster.place("web");
    let others = alerted.others(&home);
    let flood = "for i in $(seq 300); do attrd_updater -n flood -U $i || exit 1; done";
    alerted.on(others[0], flood);
    let coordinator = alerted.coordinator();
    eventually("the coordinator says that it drops events", || {
        let log = alerted.log(coordinator);
        log.lines()
            .any(|l| l.contains("events are dropped") && l.contains("hangs"))
    });
    for node in NODES {
        let lost = alerted.log(node).contains(": lost");
        assert!(!lost, "{node} took nobody for lost");
    }
    let before = Instant::now();
    let killed = alerted.cluster.lab.lab("kill", &[&home]);
    assert_eq!(killed.code, Some(0), "{}", killed.text);
    eventually("the service runs elsewhere and that is told", || {
        let told = |node: &&str| {
            !alerted
                .about(node, &[("task", "start"), ("rsc", "web")])
                .is_empty()
        };
        others.iter().any(told)
    });
    let took = before.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    for node in others {
        alerted.once(node, &[("kind", "fencing"), ("node", &home)]);
    }
}

/// The value of a sample; nothing if it is not there.
fn figure(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|l| l.strip_prefix(sample));
    line.and_then(|rest| rest.trim().parse().ok())
}

#[test]
fn a_scrape_shows_a_failure() {
    let Some(program) = executable("metrics") else {
        return;
    };
    let alerted = Alerted::up(&program, &[("tells", TELLS)], ALL_TELLS);
    let home = alerted.cluster.place("web");
    let off = alerted
        .cluster
        .lab
        .sh(&home, "curl -sS http://127.0.0.1:9664/metrics");
    assert_ne!(off.code, Some(0), "off unless asked for: {}", off.text);
    for node in NODES {
        let config = "/run/node/etc/systole.toml";
        alerted.on(
            node,
            &format!("printf '\\n[metrics]\\nlisten = \"127.0.0.1:9664\"\\n' >> {config}"),
        );
        // Its supervisor starts it anew.
        alerted.on(node, "kill -KILL $(pgrep -f '^crmd --config')");
        eventually("metrics", || scrape(&alerted, node).is_some());
    }
    let online = |node: &&str| format!("systole_member{{node=\"{node}\",state=\"online\"}}");
    eventually("every member is shown", || {
        let text = scrape(&alerted, &home).unwrap_or_default();
        let shown = |node| figure(&text, &online(node)) == Some(1.0);
        NODES.iter().all(shown) && figure(&text, "systole_quorate") == Some(1.0)
    });
    alerted.cluster.rest();
    let before = scrape(&alerted, &home).unwrap();
    let value = |text: &str, sample: &str| {
        figure(text, sample).unwrap_or_else(|| panic!("{sample} is missing in\n{text}"))
    };
    assert_eq!(value(&before, "systole_quorate"), 1.0);
    assert!(value(&before, "systole_raft_term") >= 1.0);
    assert!(value(&before, "systole_raft_applied_index") >= 1.0);
    let started = format!("systole_resources{{node=\"{home}\",state=\"started\"}}");
    assert!(value(&before, &started) >= 1.0);
    let failures = format!("systole_fail_count{{node=\"{home}\",resource=\"web\"}}");
    assert_eq!(figure(&before, &failures), None);

    alerted.cluster.lab.agent(&home, "web", "stop");
    alerted.once(&home, &[("task", "monitor"), ("rc", "7")]);
    alerted.once(&home, &[("task", "start")]);
    alerted.cluster.rest();
    let after = scrape(&alerted, &home).unwrap();
    assert_eq!(value(&after, &failures), 1.0);
    let failed = "systole_operations_total{operation=\"monitor\",result=\"failed\"}";
    assert!(value(&after, failed) >= 1.0);
    let starts = "systole_operations_total{operation=\"start\",result=\"ok\"}";
    assert!(value(&after, starts) >= 1.0);
    assert!(value(&after, "systole_alerts_total{alert=\"tells\"}") >= 3.0);
    let head = alerted.on(
        &home,
        "curl -sS -i http://127.0.0.1:9664/metrics | head -20",
    );
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let refused = "curl -sS -o /dev/null -w '%{http_code}' ";
    let post = alerted.on(
        &home,
        &format!("{refused} -d x http://127.0.0.1:9664/metrics"),
    );
    assert_eq!(post, "405");
    let other = alerted.on(&home, &format!("{refused} http://127.0.0.1:9664/"));
    assert_eq!(other, "404");

    let killed = alerted.cluster.lab.lab("kill", &[&home]);
    assert_eq!(killed.code, Some(0), "{}", killed.text);
    let others = alerted.others(&home);
    for node in others {
        eventually("the fencing is counted", || {
            let text = scrape(&alerted, node).unwrap_or_default();
            let sample = "systole_fencing_total{action=\"reboot\",result=\"confirmed\"}";
            figure(&text, sample) == Some(1.0)
                && figure(&text, "systole_member_losses_total") >= Some(1.0)
        });
    }
    let committed = others.iter().any(|node| {
        let text = scrape(&alerted, node).unwrap_or_default();
        value(&text, "systole_commit_duration_seconds_count") >= 2.0
    });
    assert!(
        committed,
        "the coordinator has committed an intent and a result"
    );
}

const ALL_TELLS: &str = r#"<alert id="tells" path="/run/lab/agents/tells"/>"#;

fn scrape(alerted: &Alerted, node: &str) -> Option<String> {
    let curl = "curl -sSf --max-time 5 http://127.0.0.1:9664/metrics";
    let ended = alerted.cluster.lab.sh(node, curl);
    (ended.code == Some(0)).then_some(ended.text)
}
