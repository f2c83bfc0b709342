//! Who does not belong does not get in, and both sides say why; a configuration that is not right is
//! refused with its place and reason, and the old one stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use crmd_core::request::{CibChange, Request, Response};
use proto::{
    local::{CallRequest, QueryRequest, local_client::LocalClient},
    peer::{Hello, peer_client::PeerClient},
};
use std::{
    fs, thread,
    time::{Duration, Instant},
};
use tests::{CommandLab, Ended, executable};
use transport::{
    config::Timing,
    identity::Identity,
    tls::{Connector, Target},
};

/// Files of a node's daemons, as the node sees them.
const ROOT: &str = "/run/node/root";
/// Tells this program, run inside a node, what to greet with: cluster's id, name, protocol.
const CRAFTED: &str = "SYSTOLE_TEST_CRAFTED";

/// A lab whose first node has a cluster of its own.
fn founded(test: &str) -> Option<CommandLab> {
    let program = executable(test)?;
    let lab = CommandLab::up(&program, &["--bare"]);
    make(&lab, "alpha", "192.0.2.1", "lab");
    start(&lab, "alpha");
    Some(lab)
}

fn make(lab: &CommandLab, node: &str, address: &str, name: &str) {
    let made = lab.sh(
        node,
        &format!("systole cluster init --name {name} --address {address} --root {ROOT}"),
    );
    assert_eq!(made.code, Some(0), "{}", made.text);
}

/// Has the node's first process keep the daemons up, and waits for crmd where it leads.
fn start(lab: &CommandLab, node: &str) {
    let file = lab.dir().join("nodes").join(node).join("etc/service");
    fs::write(file, "/run/lab/bin/systole\nsupervise\n").unwrap();
    eventually(&format!("crmd of {node} with quorum"), || {
        let status = lab.sh(node, "systole cluster status");
        let member = status.text.contains(&format!("{node} ")) && status.text.contains("online");
        (status.text.contains("with quorum") && member).then_some(())
    });
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match look() {
            Some(found) => return found,
            None if Instant::now() > deadline => panic!("{what} did not happen within 20 s"),
            None => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// What a node's daemons said.
fn log(lab: &CommandLab, node: &str) -> String {
    fs::read_to_string(lab.dir().join("nodes").join(node).join("log/systole.log"))
        .unwrap_or_default()
}

fn wait_log(lab: &CommandLab, node: &str, part: &str) -> String {
    let found = eventually(
        &format!("a line with '{part}' in the log of {node}"),
        || {
            log(lab, node)
                .lines()
                .find(|l| l.contains(part))
                .map(str::to_owned)
        },
    );
    println!("{node}: {found}");
    found
}

/// The arguments of `join` that a token command prints.
fn token(lab: &CommandLab, more: &str) -> String {
    let told = lab.sh("alpha", &format!("systole cluster token {more}"));
    let line = told
        .text
        .lines()
        .find_map(|l| l.trim().strip_prefix("systole cluster join "));
    line.unwrap_or_else(|| panic!("no token: {}", told.text))
        .to_owned()
}

fn join(lab: &CommandLab, node: &str, address: &str, words: &str) -> Ended {
    lab.sh(
        node,
        &format!("systole cluster join {words} --address {address} --root {ROOT}"),
    )
}

#[test]
fn a_token_works_once_and_not_for_ever() {
    let Some(lab) = founded("tokens") else { return };
    let once = token(&lab, "");
    let first = join(&lab, "beta", "192.0.2.2", &once);
    assert_eq!(first.code, Some(0), "{}", first.text);
    let again = join(&lab, "gamma", "192.0.2.3", &once);
    assert_eq!(again.code, Some(1), "{}", again.text);
    assert!(again.text.contains("token"), "{}", again.text);
    wait_log(&lab, "alpha", "gamma");
    let short = token(&lab, "--valid 1s");
    thread::sleep(Duration::from_millis(2100));
    let late = join(&lab, "gamma", "192.0.2.3", &short);
    assert_eq!(late.code, Some(1), "{}", late.text);
    assert!(late.text.contains("token"), "{}", late.text);
    println!("used: {}\nexpired: {}", again.text.trim(), late.text.trim());
    let good = token(&lab, "");
    assert_eq!(
        join(&lab, "gamma", "192.0.2.3", &good).code,
        Some(0),
        "a good one still works"
    );
}

#[test]
fn a_member_of_another_cluster_is_refused_on_both_sides() {
    let Some(lab) = founded("another cluster") else {
        return;
    };
    make(&lab, "beta", "192.0.2.2", "other");
    // Somebody pointed the stranger at us.
    let file = lab.dir().join("nodes/beta/etc/systole.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str("\n[[members]]\nnode = \"alpha\"\nraft_id = 2\naddresses = [\"192.0.2.1\"]\n");
    fs::write(&file, text).unwrap();
    let file = lab.dir().join("nodes/beta/etc/service");
    fs::write(file, "/run/lab/bin/systole\nsupervise\n").unwrap();
    let there = crafted(&lab, "beta", "lab", 1);
    assert!(there.contains("another cluster"), "{there}");
    let here = wait_log(&lab, "alpha", "another cluster");
    assert!(here.contains("192.0.2.2"), "the stranger is named: {here}");
}

#[test]
fn another_protocol_is_refused_and_both_versions_are_named() {
    let Some(lab) = founded("another protocol") else {
        return;
    };
    let words = token(&lab, "");
    assert_eq!(join(&lab, "beta", "192.0.2.2", &words).code, Some(0));
    let told = crafted(&lab, "beta", "lab", 99);
    assert!(
        told.contains("speaks protocol 99 (version 99.0.0)"),
        "{told}"
    );
    assert!(
        told.contains(&format!("speaks protocol {}", proto::PROTOCOL_VERSION)),
        "{told}"
    );
    let here = wait_log(&lab, "alpha", "protocol 99");
    assert!(here.contains("version 99.0.0"), "{here}");
}

#[test]
fn another_name_of_the_cluster_is_refused_and_both_are_named() {
    let Some(lab) = founded("another name") else {
        return;
    };
    let words = token(&lab, "");
    assert_eq!(join(&lab, "beta", "192.0.2.2", &words).code, Some(0));
    let told = crafted(&lab, "beta", "elsewhere", proto::PROTOCOL_VERSION);
    assert!(
        told.contains("calls the cluster 'elsewhere', here it is called 'lab'"),
        "{told}"
    );
    let here = wait_log(&lab, "alpha", "'elsewhere'");
    assert!(here.contains("'lab'"), "{here}");
}

/// Runs [`crafted_greeting`] inside a node, with that node's own identity.
fn crafted(lab: &CommandLab, node: &str, cluster: &str, protocol: u32) -> String {
    let program = lab.dir().join("shared/bin/crafted");
    fs::copy(std::env::current_exe().unwrap(), program).unwrap();
    let config =
        fs::read_to_string(lab.dir().join("nodes").join(node).join("etc/systole.toml")).unwrap();
    let id = config
        .lines()
        .find_map(|l| l.strip_prefix("id = \""))
        .unwrap()
        .trim_end_matches('"');
    let words = format!(
        "{CRAFTED}={id},{cluster},{protocol} /run/lab/bin/crafted --exact crafted_greeting --nocapture"
    );
    let told = lab.sh(node, &words).text;
    println!("{told}");
    told
}

/// Not a test of its own: the stranger, which runs inside a node where it finds an identity.
#[test]
fn crafted_greeting() {
    let Ok(told) = std::env::var(CRAFTED) else {
        return;
    };
    let [cluster_id, cluster_name, protocol] =
        told.split(',').collect::<Vec<_>>().try_into().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = "beta";
        let dir = std::path::Path::new(ROOT).join("etc/systole");
        let identity = Identity::load(&dir, node, cluster_id).unwrap();
        let connector = Connector::new(&identity, &Timing::default()).unwrap();
        let address = "192.0.2.1:5560".parse().unwrap();
        let target = Target {
            address,
            node: "alpha",
            from: None,
        };
        let connection = match connector.connect(&target).await {
            Ok(connection) => connection,
            Err(e) => return println!("not connected: {e}"),
        };
        let hello = Hello {
            cluster_name: cluster_name.into(),
            cluster_id: cluster_id.into(),
            node: node.into(),
            version: "99.0.0".into(),
            protocol: protocol.parse().unwrap(),
            raft_id: 2,
            life_number: 1,
            life_id: "crafted".into(),
            incarnation: 1,
            ..Hello::default()
        };
        match PeerClient::new(connection.channel).greet(hello).await {
            Ok(_) => println!("greeted"),
            Err(status) => println!("refused: {}", status.message()),
        }
    });
}

/// Replaces the resources over the local socket; the answer's text.
fn replace(lab: &CommandLab, xml: &str) -> Result<(), String> {
    let change = CibChange {
        action: "replace".into(),
        section: Some("resources".into()),
        xpath: None,
        xml: xml.into(),
        allow_create: false,
        origin: "tests".into(),
    };
    let request = serde_json::to_vec(&Request::Cib(change)).unwrap();
    local(lab, async |mut client| {
        let call = CallRequest {
            request,
            timeout_ms: 10_000,
        };
        let reply = client
            .call(call)
            .await
            .map_err(|s| s.message().to_owned())?
            .into_inner();
        match serde_json::from_slice(&reply.response).unwrap() {
            Response::Refused(refusal) => Err(refusal.text),
            _ => Ok(()),
        }
    })
}

fn resources(lab: &CommandLab) -> String {
    local(lab, async |mut client| {
        let query = QueryRequest {
            xpath: "//resources".into(),
        };
        client.query(query).await.unwrap().into_inner().xml
    })
}

fn local<T>(
    lab: &CommandLab,
    deed: impl AsyncFnOnce(LocalClient<tonic::transport::Channel>) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let socket = lab.dir().join("nodes/alpha/run/systole/crmd.sock");
        deed(LocalClient::new(
            transport::local::connect(&socket, 2000).await.unwrap(),
        ))
        .await
    })
}

#[test]
fn a_configuration_that_is_not_right_is_refused_and_the_old_one_stays() {
    let Some(lab) = founded("bad configurations") else {
        return;
    };
    let good = r#"<resources><primitive id="web" class="ocf" provider="systole" type="Dummy"/></resources>"#;
    assert_eq!(replace(&lab, good), Ok(()));
    let before = resources(&lab);
    assert!(before.contains("web"), "{before}");
    let cases = [
        (
            "not closed",
            "<resources>\n<primitive id=\"db\" class=\"ocf\">\n</resources>",
            "3",
        ),
        (
            "not an element",
            "<resources>\n\n<primitve id=\"db\" class=\"ocf\" type=\"Dummy\"/>\n</resources>",
            "primitve",
        ),
        (
            "no class",
            "<resources>\n<primitive id=\"db\" type=\"Dummy\"/>\n</resources>",
            "db",
        ),
        (
            "an id twice",
            "<resources>\n<primitive id=\"db\" class=\"ocf\" provider=\"x\" type=\"y\"/>\n<primitive id=\"db\" class=\"ocf\" provider=\"x\" type=\"y\"/>\n</resources>",
            "db",
        ),
    ];
    for (case, xml, part) in cases {
        let refusal = replace(&lab, xml).expect_err(case);
        println!("{case}: {refusal}");
        assert!(
            refusal.contains(part),
            "{case}: '{part}' is not named in: {refusal}"
        );
        assert_eq!(
            resources(&lab),
            before,
            "{case}: the old configuration stays"
        );
    }
}
