//! Bad days: what a node or a cluster does when its disk, its files, its clock or its agents fail it, and
//! when machines come late, go for good or are new.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{
    CommandLab, Ended,
    cluster::{Cluster, NODES, eventually},
    executable,
};

/// Files of a node's daemons, as the node sees them.
const ROOT: &str = "/run/node/root";
const WEB: &str = r#"<primitive id="web" class="ocf" provider="systole" type="Audited"><operations><op id="web-monitor" name="monitor" interval="1s" timeout="10s"/></operations></primitive>"#;

fn node_dir(lab: &CommandLab, node: &str) -> PathBuf {
    lab.dir().join("nodes").join(node)
}

fn log(lab: &CommandLab, node: &str) -> String {
    fs::read_to_string(node_dir(lab, node).join("log/systole.log")).unwrap_or_default()
}

fn state(lab: &CommandLab, node: &str) -> PathBuf {
    node_dir(lab, node).join("root/var/lib/systole")
}

fn starts(cluster: &Cluster) -> usize {
    cluster.events(0).len()
}

/// How often anybody was fenced by the cluster.
fn shots(lab: &CommandLab) -> usize {
    let events = fs::read_to_string(lab.dir().join("events.jsonl")).unwrap();
    let by_others = |l: &&str| l.contains("fence-request") && !l.contains("by operator");
    events.lines().filter(by_others).count()
}

fn all_members(cluster: &Cluster, asked: &str) {
    eventually("all are members", || {
        let shown = cluster.lab.sh(asked, "crm_mon -1").text;
        shown.contains("Online: [ alpha beta gamma ]")
    });
}

fn set_option(cluster: &Cluster, node: &str, value: &str) -> Ended {
    cluster.lab.sh(
        node,
        &format!("crm_attribute --type crm_config --name bad-days --update '{value}'"),
    )
}

fn digests_agree(cluster: &Cluster) {
    eventually("the same configuration everywhere", || {
        let digest = |node: &&str| {
            let told = cluster
                .lab
                .sh(node, "cibadmin --query --scope configuration");
            (told.code == Some(0)).then_some(told.text)
        };
        let all: Vec<_> = NODES.iter().map(digest).collect();
        all.iter().all(|d| d.is_some() && *d == all[0])
    });
}

#[test]
fn with_every_disk_full_changes_are_refused_in_words_and_taken_again_later() {
    let Some(program) = executable("full disks") else {
        return;
    };
    let cluster = Cluster::with(&program, &["--disk-mib", "48"], WEB, "");
    let before = starts(&cluster);
    for node in NODES {
        let fill = format!("dd if=/dev/zero of={ROOT}/var/fill bs=16k 2>/dev/null; true");
        cluster.on(node, &fill);
    }
    let refused = |ended: &Ended| ended.code != Some(0) && ended.text.contains("is full");
    let big = "x".repeat(32 * 1024);
    let mut taken = 0;
    eventually("a change refused because of the disk", || {
        taken += 1;
        refused(&set_option(&cluster, "alpha", &format!("{taken}-{big}")))
    });
    for node in NODES {
        eventually(&format!("{node} says that its disk is full"), || {
            log(&cluster.lab, node).contains("is full")
        });
    }
    assert_eq!(cluster.places().len(), 1, "the service runs on");
    for node in NODES {
        cluster.on(node, &format!("rm {ROOT}/var/fill"));
    }
    eventually("a change taken", || {
        set_option(&cluster, "alpha", "again").code == Some(0)
    });
    digests_agree(&cluster);
    assert_eq!(starts(&cluster), before, "nothing was started or stopped");
    assert_eq!(shots(&cluster.lab), 0);
    for node in NODES {
        assert_eq!(log(&cluster.lab, node).matches("crmd started").count(), 1);
    }
}

#[test]
fn a_hung_agent_is_ended_with_all_it_started_and_its_last_words_are_told() {
    let Some(program) = executable("a hung agent") else {
        return;
    };
    let cluster = Cluster::with(&program, &[], WEB, "");
    let agent = cluster.lab.dir().join("shared/agents/systole/Hangs");
    let script = "#!/bin/sh\n\
        case $1 in\n\
        meta-data) echo '<resource-agent name=\"Hangs\"><version>1.1</version><actions><action name=\"start\" timeout=\"1s\"/><action name=\"monitor\" timeout=\"5s\"/><action name=\"stop\" timeout=\"5s\"/></actions></resource-agent>';;\n\
        start) echo 'waiting for the storage of pool seven' >&2; (trap '' TERM; exec -a hung-helper sleep 987654) & sleep 987654;;\n\
        monitor) exit 7;;\n\
        esac\n";
    fs::write(&agent, script.replace("#!/bin/sh", "#!/bin/bash")).unwrap();
    cluster.on("alpha", "chmod +x /run/lab/agents/systole/Hangs");
    cluster.add(
        r#"<primitive id="stuck" class="ocf" provider="systole" type="Hangs"><meta_attributes id="stuck-meta"><nvpair id="stuck-threshold" name="migration-threshold" value="1"/></meta_attributes><operations><op id="stuck-start" name="start" interval="0s" timeout="1s"/></operations></primitive>"#,
    );
    eventually("the log says what the agent was doing", || {
        NODES.iter().any(|node| {
            let log = log(&cluster.lab, node);
            log.lines().any(|l| {
                l.contains("stuck")
                    && l.contains("did not end within 1000 ms")
                    && l.contains("waiting for the storage of pool seven")
            })
        })
    });
    cluster.rest();
    for node in NODES {
        let left = cluster.lab.sh(node, "pgrep -af 987654 | grep -v pgrep");
        assert_eq!(left.text.trim(), "", "on {node}");
    }
    assert_eq!(cluster.places().len(), 1, "the other service runs on");
    let shown = cluster.on("alpha", "crm_mon -1");
    assert!(
        shown.contains("start of stuck did not end within 1000 ms"),
        "{shown}"
    );
}

#[test]
fn damaged_files_are_named_and_mended_from_the_cluster() {
    let Some(program) = executable("damaged files") else {
        return;
    };
    let cluster = Cluster::with(&program, &[], WEB, "");
    eventually("the copies are written", || {
        NODES
            .iter()
            .all(|n| state(&cluster.lab, n).join("cib.xml").exists())
    });

    // The copy of the configuration of one node, damaged while the node is off.
    assert_eq!(cluster.lab.lab("off", &["gamma", "--keep"]).code, Some(0));
    let copy = state(&cluster.lab, "gamma").join("cib.xml");
    fs::write(&copy, "<cib epoch=\"9\"><configurat").unwrap();
    assert_eq!(cluster.lab.lab("on", &["gamma"]).code, Some(0));
    all_members(&cluster, "alpha");
    eventually("the damaged copy is named", || {
        log(&cluster.lab, "gamma").contains("cib.xml is not used")
    });
    assert_eq!(set_option(&cluster, "gamma", "one").code, Some(0));
    eventually("the copy is whole again", || {
        fs::read_to_string(&copy).is_ok_and(|t| t.contains("bad-days"))
    });
    assert!(copy.with_extension("damaged.xml").exists());

    // Its log.
    assert_eq!(cluster.lab.lab("off", &["gamma", "--keep"]).code, Some(0));
    let raft = state(&cluster.lab, "gamma").join("raft.redb");
    let mut bytes = fs::read(&raft).unwrap();
    bytes.iter_mut().skip(4096).for_each(|b| *b = !*b);
    fs::write(&raft, bytes).unwrap();
    assert_eq!(cluster.lab.lab("on", &["gamma"]).code, Some(0));
    eventually("the damage is named, and the way out", || {
        let said = log(&cluster.lab, "gamma");
        said.contains("raft.redb is damaged") && said.contains("cluster join --force")
    });
    assert_eq!(cluster.places().len(), 1, "the service runs on");

    // As the message says.
    eventually("gamma can be removed", || {
        cluster
            .lab
            .sh("alpha", "systole cluster leave --node gamma")
            .code
            == Some(0)
    });
    eventually("the node is not listed any more", || {
        let nodes = cluster.on("alpha", "cibadmin --query --scope nodes");
        !nodes.contains("gamma")
    });
    let shots_before = shots(&cluster.lab);
    eventually("gamma joins again", || {
        join(&cluster.lab, "gamma", "192.0.2.3", "--force").code == Some(0)
    });
    supervise(&cluster.lab, "gamma");
    all_members(&cluster, "alpha");
    digests_agree(&cluster);
    assert_eq!(shots(&cluster.lab), shots_before);
}

/// Makes a machine a member with a new token; what runs there is stopped first.
fn join(lab: &CommandLab, node: &str, address: &str, more: &str) -> Ended {
    lab.sh(node, "systole cluster stop");
    join_through(lab, "alpha", node, &format!("{address} {more}"))
}

fn supervise(lab: &CommandLab, node: &str) {
    let toml = node_dir(lab, node).join("etc/systole.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let text: Vec<&str> = text
        .lines()
        .filter(|l| !l.starts_with("agents_dirs"))
        .collect();
    let text = text
        .join("\n")
        .replace("[paths]", "[paths]\nagents_dirs = [\"/run/lab/agents\"]");
    fs::write(toml, text).unwrap();
    fs::write(
        node_dir(lab, node).join("etc/service"),
        "/run/lab/bin/systole\nsupervise\n",
    )
    .unwrap();
}

#[test]
fn clocks_that_jump_change_nothing() {
    let Some(program) = executable("clocks that jump") else {
        return;
    };
    let preload = ["x86_64", "aarch64"]
        .map(|arch| format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketimeMT.so.1"));
    let Some(preload) = preload.iter().find(|p| Path::new(p).exists()) else {
        println!("skipped: clocks that jump: faketime is not installed");
        return;
    };
    let cluster = Cluster::with(&program, &[], WEB, "");
    // Every node's daemons begin anew with a clock that can be set.
    for node in NODES {
        let dir = node_dir(&cluster.lab, node);
        fs::write(dir.join("clock"), "+0\n").unwrap();
        let words = format!(
            "env\nLD_PRELOAD={preload}\nFAKETIME_TIMESTAMP_FILE=/run/node/clock\nFAKETIME_NO_CACHE=1\n\
             FAKETIME_DONT_FAKE_MONOTONIC=1\nDONT_FAKE_MONOTONIC=1\n/run/lab/bin/systole\nsupervise\n"
        );
        fs::write(dir.join("etc/service"), words).unwrap();
        assert_eq!(cluster.lab.lab("off", &[node]).code, Some(0));
        assert_eq!(cluster.lab.lab("on", &[node]).code, Some(0));
        let other = NODES.iter().find(|n| *n != &node).unwrap();
        let admitted = format!("{node} is admitted in life 2");
        eventually("the node is a member in its new life", || {
            let mut logs = NODES.iter().map(|n| log(&cluster.lab, n));
            logs.any(|log| log.contains(&admitted))
        });
        all_members(&cluster, other);
        cluster.on(other, "crm_resource --wait");
    }
    let (events, fenced, places) = (starts(&cluster), shots(&cluster.lab), cluster.places());
    for (node, jump) in [
        ("alpha", "+1d"),
        ("beta", "-3d"),
        ("gamma", "+2y"),
        ("alpha", "-1d"),
    ] {
        fs::write(
            node_dir(&cluster.lab, node).join("clock"),
            format!("{jump}\n"),
        )
        .unwrap();
        eventually(&format!("{node} says that its clock jumped"), || {
            log(&cluster.lab, node).contains("the wall clock jumped by")
        });
        for asked in NODES {
            assert_eq!(set_option(&cluster, asked, jump).code, Some(0), "{asked}");
        }
    }
    std::thread::sleep(std::time::Duration::from_secs(3));
    cluster.rest();
    all_members(&cluster, "beta");
    assert_eq!(cluster.places(), places);
    assert_eq!(starts(&cluster), events, "nothing was started or stopped");
    assert_eq!(shots(&cluster.lab), fenced, "nobody was fenced");
    digests_agree(&cluster);
}

#[test]
fn a_node_that_comes_back_late_catches_up_by_snapshot() {
    let Some(program) = executable("a node that comes back late") else {
        return;
    };
    let cluster = Cluster::with(&program, &[], WEB, "");
    assert_eq!(cluster.lab.lab("off", &["gamma", "--keep"]).code, Some(0));
    eventually("gamma is off", || {
        cluster
            .lab
            .sh("alpha", "crm_mon -1")
            .text
            .contains("OFFLINE: [ gamma ]")
    });
    // More changes than the log keeps for those who are late.
    cluster.on(
        "alpha",
        "for i in $(seq 1 1300); do echo \"<nvpair id='bad-days-option' name='bad-days' value='$i'/>\"; done > /run/node/changes; \
         cibadmin --create --scope crm_config --xml-text '<cluster_property_set id=\"bad-days\"><nvpair id=\"bad-days-option\" name=\"bad-days\" value=\"0\"/></cluster_property_set>'; \
         while read change; do cibadmin --modify --scope crm_config --xml-text \"$change\" || exit 1; done < /run/node/changes",
    );
    assert_eq!(cluster.lab.lab("on", &["gamma"]).code, Some(0));
    all_members(&cluster, "alpha");
    digests_agree(&cluster);
    assert!(
        cluster
            .on("gamma", "cibadmin --query --scope crm_config")
            .contains("value=\"1300\"")
    );
    let _ = cluster.places();
}

#[test]
fn a_node_goes_for_good_and_a_new_one_comes_while_resources_run() {
    let Some(program) = executable("a node goes and another comes") else {
        return;
    };
    let cluster = Cluster::with(&program, &["--guests", "1"], WEB, "");
    let home = cluster.place("web");
    let leaver = NODES.into_iter().rev().find(|n| *n != home).unwrap();
    let asked = NODES
        .into_iter()
        .find(|n| *n != leaver && *n != home)
        .unwrap();
    let (events, fenced) = (starts(&cluster), shots(&cluster.lab));
    cluster.on(leaver, "systole cluster leave");
    let _ = fs::remove_file(node_dir(&cluster.lab, leaver).join("etc/service"));
    eventually("it is gone", || {
        !cluster
            .on(asked, "cibadmin --query --scope nodes")
            .contains(leaver)
    });
    let joined = join_through(&cluster.lab, asked, "guest1", "192.0.2.4");
    assert_eq!(joined.code, Some(0), "{}", joined.text);
    supervise(&cluster.lab, "guest1");
    eventually("the new one is a member", || {
        let shown = cluster.lab.sh(asked, "crm_mon -1").text;
        let online = shown
            .lines()
            .find(|l| l.contains("Online:"))
            .unwrap_or_default();
        online.contains("guest1") && !online.contains(leaver)
    });
    cluster.on(asked, "crm_resource --wait");
    assert_eq!(starts(&cluster), events, "nothing was started or stopped");
    assert_eq!(shots(&cluster.lab), fenced, "nobody was fenced");

    // It counts: with it, one of the old ones may be lost.
    assert_eq!(cluster.lab.lab("kill", &[&home]).code, Some(0));
    eventually("the service runs elsewhere", || {
        cluster.places().get("web").is_some_and(|n| *n != home)
    });
}

fn join_through(lab: &CommandLab, member: &str, node: &str, address: &str) -> Ended {
    let token = lab.sh(member, "systole cluster token").text;
    let line = token
        .lines()
        .find(|l| l.contains("systole cluster join"))
        .unwrap_or_default();
    lab.sh(
        node,
        &format!("{line} --node {node} --address {address} --root {ROOT}"),
    )
}
