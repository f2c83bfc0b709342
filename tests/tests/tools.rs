//! Every everyday command against a live cluster of three nodes, and what it does there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{
    thread::sleep,
    time::{Duration, Instant},
};
use tests::{CommandLab, executable};

const NODES: [&str; 3] = ["alpha", "beta", "gamma"];

/// A lab with its three services at rest.
struct Cluster {
    lab: CommandLab,
}

impl Cluster {
    fn up(test: &str) -> Option<Self> {
        let program = executable(test)?;
        let lab = CommandLab::up(&program, &[]);
        let cluster = Self { lab };
        cluster.rest();
        Some(cluster)
    }

    /// Runs a command in the first node; it must succeed.
    fn run(&self, command: &str) -> String {
        let ended = self.lab.sh(NODES[0], command);
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.text);
        ended.text
    }

    /// Runs a command that must end with this code.
    fn refused(&self, command: &str, code: i32) -> String {
        let ended = self.lab.sh(NODES[0], command);
        assert_eq!(ended.code, Some(code), "{command}: {}", ended.text);
        ended.text
    }

    /// Runs a command whose output must hold these words.
    fn tells(&self, command: &str, words: &[&str]) -> String {
        let text = self.run(command);
        for word in words {
            assert!(text.contains(word), "{command}: no '{word}' in {text}");
        }
        text
    }

    fn rest(&self) {
        self.run("crm_resource --wait");
    }

    /// Where a resource runs, by what the audited agents wrote outside the nodes.
    fn place(&self, resource: &str) -> String {
        let audit = self.lab.audit();
        assert_eq!(audit.code, Some(0), "{}", audit.text);
        let mut lines = audit.text.lines();
        let place = lines.find_map(|l| {
            let (name, node) = l.split_once(" is active on ")?;
            (name == resource).then(|| node.to_owned())
        });
        place.unwrap_or_else(|| panic!("{resource} is active nowhere: {}", audit.text))
    }

    /// How often a resource was started.
    fn starts(&self, resource: &str) -> usize {
        let path = self.lab.dir().join("shared/audit/events");
        let text = std::fs::read_to_string(path).unwrap();
        let events = text.lines().map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            (event["event"] == "start") && (event["resource"] == resource)
        });
        events.filter(|is| *is).count()
    }

    fn constraints(&self) -> String {
        self.run("cibadmin --query --scope constraints")
    }
}

fn other_than(node: &str) -> &'static str {
    NODES.iter().find(|n| **n != node).unwrap()
}

fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !look() {
        assert!(Instant::now() < until, "never: {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn resources_are_shown_moved_and_mended() {
    let Some(cluster) = Cluster::up("tools for resources") else {
        return;
    };
    cluster.tells(
        "crm_mon -1",
        &["Online: [ alpha beta gamma ]", "web", "Started"],
    );
    cluster.tells("crm_resource --list", &["web\t(ocf:systole:Audited):"]);
    let home = cluster.place("web");
    let located = cluster.run("crm_resource --locate --resource web");
    assert_eq!(
        located.trim(),
        format!("resource web is running on: {home}")
    );
    assert_eq!(cluster.run("crm_resource -W -r web -Q").trim(), home);
    cluster.tells(
        "crm_resource -q -r web",
        &["Resource XML:", r#"<primitive id="web""#],
    );
    cluster.tells("crm_resource --why -r web", &["Resource web is running"]);
    cluster.tells("crm_resource -O -r web", &["web_start_0", "Done"]);
    explaining(&cluster, &home);
    moving(&cluster, &home);
    settings(&cluster);
    mending(&cluster);
    let unknown = cluster.refused("crm_resource --locate -r nosuch", 105);
    assert!(unknown.contains("'nosuch' not found"), "{unknown}");
}

/// What is foretold happens, and what is advised helps.
fn explaining(cluster: &Cluster, home: &str) {
    let json = |question: &str| -> serde_json::Value {
        let text = cluster.run(&format!("systole explain web --json {question}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    };
    let place = |answer: &serde_json::Value| answer["decided"][0]["node"].clone();
    assert_eq!(place(&json("")), home);
    let foretold = place(&json(&format!("--if 'standby {home}'")));
    cluster.run(&format!("crm_standby -N {home} -v on"));
    cluster.rest();
    assert_eq!(foretold, cluster.place("web").as_str());
    let on = format!("--on {home}");
    cluster.tells(&format!("systole explain web {on}"), &["standby", "web"]);
    let answer = json(&on);
    let steps = answer["remedies"][0]["steps"].as_array();
    for step in steps.unwrap_or_else(|| panic!("nothing is advised: {answer:#}")) {
        let words = step["command"].as_array();
        let words = words.unwrap_or_else(|| panic!("no command is advised: {answer:#}"));
        let words: Vec<String> = words.iter().map(|w| format!("{w}")).collect();
        cluster.run(&words.join(" "));
    }
    cluster.rest();
    assert_eq!(cluster.place("web"), home, "{answer:#}");
    cluster.tells("crm_resource --why -V -r web", &["Scores", home]);
    cluster.tells(
        "systole explain",
        &["Every resource runs, or will when what is planned has been done."],
    );
    cluster.run("crm_resource --clear -r web");
    cluster.rest();
}

fn moving(cluster: &Cluster, home: &str) {
    let target = other_than(home);
    cluster.run(&format!("crm_resource --move -r web -N {target}"));
    cluster.rest();
    assert_eq!(cluster.place("web"), target);
    assert!(cluster.constraints().contains("cli-prefer-web"));
    cluster.tells("crm_resource -a -r web", &["cli-prefer-web", target]);
    cluster.refused(&format!("crm_resource --move -r web -N {target}"), 108);
    cluster.tells(
        "crm_resource --clear -r web",
        &["Removing constraint: cli-prefer-web"],
    );
    assert!(!cluster.constraints().contains("cli-prefer-web"));
    cluster.rest();
    let home = cluster.place("web");
    let ban = format!("cli-ban-web-on-{home}");
    cluster.tells("crm_resource --ban -r web", &[&ban]);
    cluster.rest();
    assert_ne!(cluster.place("web"), home);
    cluster.tells(
        "systole status || :",
        &[&ban, "crm_resource --clear -r web"],
    );
    cluster.run("crm_resource --clear -r web");
    cluster.refused("crm_resource --move -r web -N nosuch", 105);
}

fn settings(cluster: &Cluster) {
    for (kind, value) in [
        ("", "/run/x"),
        ("--meta", "Started"),
        ("--utilization", "3"),
    ] {
        let name = if kind == "--meta" {
            "target-role"
        } else {
            "state"
        };
        let of = format!("crm_resource -r web {kind}");
        cluster.tells(
            &format!("{of} -p {name} -v {value}"),
            &["Set 'web' option", value],
        );
        assert_eq!(cluster.run(&format!("{of} -g {name}")).trim(), value);
        cluster.tells(&format!("{of} -d {name}"), &["Deleted 'web' option"]);
        cluster.tells(&format!("{of} -g {name}"), &["not found"]);
        cluster.refused(&format!("{of} -d {name}"), 105);
    }
    cluster.run("crm_resource -r web --meta -p target-role -v Stopped");
    cluster.rest();
    cluster.tells(
        "crm_resource --why -r web",
        &["not running", "'web' should remain stopped"],
    );
    cluster.run("crm_resource -r web --meta -d target-role");
    cluster.rest();
    cluster.place("web");
}

fn mending(cluster: &Cluster) {
    let before = cluster.starts("web");
    cluster.tells("crm_resource --restart -r web", &["web was restarted"]);
    assert_eq!(cluster.starts("web"), before + 1);
    let xml = cluster.run("cibadmin --query --scope resources");
    assert!(!xml.contains("target-role"), "{xml}");
    let node = cluster.place("web");
    let stopped = cluster.lab.agent(&node, "web", "stop");
    assert_eq!(stopped.code, Some(0), "{}", stopped.text);
    let count = format!("crm_failcount -G -q -r web -N {node}");
    eventually("the failure is counted", || {
        cluster.run(&count).trim() != "0"
    });
    cluster.rest();
    cluster.tells("crm_mon -1f", &["web: migration-threshold", "fail-count=1"]);
    cluster.run(&format!("crm_failcount -D -r web -N {node}"));
    eventually("the count is forgotten", || {
        cluster.run(&count).trim() == "0"
    });
    cluster.run("crm_resource --cleanup -r web");
    cluster.rest();
    let mon = cluster.run("crm_mon -1");
    assert!(!mon.contains("web monitor"), "{mon}");
    cluster.run("crm_resource --refresh -r web");
    cluster.rest();
    cluster.place("web");
}

#[test]
fn a_move_with_a_lifetime_is_gone_when_it_has_ended() {
    let Some(cluster) = Cluster::up("a move with a lifetime") else {
        return;
    };
    let home = cluster.place("mail");
    let target = other_than(&home);
    let told = cluster.run(&format!(
        "crm_resource --move -r mail -N {target} --lifetime=PT5S"
    ));
    assert!(
        told.contains("Migration will take effect until: "),
        "{told}"
    );
    assert!(
        cluster
            .constraints()
            .contains("cli-prefer-lifetime-end-mail")
    );
    eventually("mail has moved", || {
        cluster.place_now("mail").as_deref() == Some(target)
    });
    eventually("the constraint is removed", || {
        !cluster.constraints().contains("cli-prefer-mail")
    });
    for node in NODES {
        let seen = cluster.lab.sh(node, "cibadmin --query --scope constraints");
        assert!(!seen.text.contains("cli-prefer"), "{node}: {}", seen.text);
    }
}

impl Cluster {
    /// Where a resource runs, if it does at this moment.
    fn place_now(&self, resource: &str) -> Option<String> {
        let text = self.lab.audit().text;
        let mut lines = text.lines();
        lines.find_map(|l| {
            let (name, node) = l.split_once(" is active on ")?;
            (name == resource).then(|| node.to_owned())
        })
    }
}

#[test]
fn attributes_nodes_and_the_cluster_are_shown_and_changed() {
    let Some(cluster) = Cluster::up("tools for attributes and nodes") else {
        return;
    };
    attributes(&cluster);
    standby(&cluster);
    tickets_and_shadows(&cluster);
    nodes(&cluster);
}

fn attributes(cluster: &Cluster) {
    cluster.run("crm_attribute -n my-option -v 5");
    assert_eq!(cluster.run("crm_attribute -n my-option -G -q").trim(), "5");
    cluster.tells(
        "crm_attribute -n my-option -D",
        &["Deleted crm_config attribute"],
    );
    cluster.refused("crm_attribute -n my-option -G", 105);
    cluster.run("crm_attribute -N beta -n rack -v r1");
    cluster.tells(
        "crm_attribute -N beta -n rack -G",
        &["scope=nodes name=rack value=r1"],
    );
    cluster.run("crm_attribute -N beta -n speed -l reboot -v 7");
    cluster.tells(
        "crm_attribute -N beta -n speed -l reboot -G",
        &["scope=status name=speed value=7"],
    );
    cluster.run("attrd_updater -N beta -n speed -U 8");
    cluster.tells(
        "attrd_updater -N beta -n speed -Q",
        &[r#"host="beta" value="8""#],
    );
    cluster.run("attrd_updater -N beta -n speed -D");
    cluster.refused("attrd_updater -N beta -n speed -Q", 105);
    cluster.run("OCF_RESOURCE_INSTANCE=web crm_master -v 100");
    cluster.tells(
        "OCF_RESOURCE_INSTANCE=web crm_master -G",
        &["name=master-web value=100"],
    );
    cluster.run("crm_attribute --promotion=web -D");
    cluster.refused("OCF_RESOURCE_INSTANCE=web crm_master -G", 105);
}

fn standby(cluster: &Cluster) {
    let home = cluster.place("web");
    cluster.run(&format!("crm_standby -N {home} -v on"));
    cluster.tells(&format!("crm_standby -N {home} -G"), &["value=on"]);
    eventually("its resources have left", || {
        cluster.place_now("web").is_some_and(|node| node != home)
    });
    cluster.rest();
    let status = cluster.refused("systole status", 1);
    let hint = format!("crm_standby -N {home} -D");
    assert!(status.contains(&hint), "{status}");
    let json = cluster.run("systole status --json || :");
    let json: serde_json::Value = serde_json::from_str(&json).expect(&json);
    assert_eq!(json["cluster"]["quorum"], true, "{json}");
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(3), "{json}");
    cluster.run(&format!("crm_standby -N {home} -D"));
    cluster.rest();
}

fn tickets_and_shadows(cluster: &Cluster) {
    cluster.refused("crm_ticket -t site -g", 4);
    cluster.run("crm_ticket -t site -g --force");
    cluster.tells("crm_ticket -l", &["site\tgranted"]);
    let beta = cluster.lab.sh("beta", "crm_ticket -t site -G granted");
    assert_eq!(beta.text.trim(), "true");
    cluster.run("crm_ticket -t site -r --force");
    cluster.tells("crm_ticket -l", &["site\trevoked"]);
    cluster.run("crm_ticket -t site -C");
    assert_eq!(cluster.run("crm_ticket -l").trim(), "");
    cluster.run("crm_shadow --batch --create plan");
    cluster.run("CIB_shadow=plan crm_attribute -n planned -v 1");
    cluster.refused("crm_attribute -n planned -G", 105);
    let diff = "CIB_shadow=plan crm_shadow --diff";
    assert!(cluster.refused(diff, 1).contains("planned"));
    cluster.run("crm_shadow --force --commit plan");
    cluster.tells("crm_attribute -n planned -G", &["value=1"]);
    cluster.run("crm_shadow --force --delete plan");
}

fn nodes(cluster: &Cluster) {
    assert_eq!(cluster.run("crm_node -n").trim(), "alpha");
    assert_eq!(cluster.run("crm_node -p").trim(), "alpha beta gamma");
    assert_eq!(cluster.run("crm_node -q").trim(), "1");
    cluster.tells(
        "crm_node -l",
        &["alpha member", "beta member", "gamma member"],
    );
    cluster.refused("crm_node -R gamma", 64);
    let leader = cluster.run("crmadmin -D -q");
    cluster.tells(
        "crmadmin -D",
        &[&format!("Designated Controller is: {}", leader.trim())],
    );
    cluster.tells(&format!("crmadmin -S {}", leader.trim()), &["ok"]);
    cluster.tells("crmadmin -N", &["cluster node: beta"]);
    cluster.run("crm_verify --live-check");
    cluster.tells("stonith_admin --list-registered", &["fence-lab"]);
    cluster.tells("cibadmin --query --scope nodes", &[r#"uname="gamma""#]);
    let xml = cluster.run("crm_resource --list --output-as=xml");
    assert!(
        xml.contains("<resources>") && xml.contains(r#"<status code="0""#),
        "{xml}"
    );
}
