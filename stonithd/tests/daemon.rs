//! Real daemons with real certificates, fencing through a lab's power switch.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use proto::fencing::{
    AskRequest, CanRequest, DevicesRequest, FenceReply, FenceRequest, HistoryRequest,
    MonitorRequest, WitnessRequest, fencing_client::FencingClient,
};
use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use stonithd::Daemon;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixListener,
};
use tonic::transport::Channel;
use transport::{
    config::Config,
    identity::{Authority, KeyRequest},
};

/// A power switch: what it was told, and who is off.
#[derive(Clone, Default)]
struct Switch {
    told: Arc<Mutex<Vec<String>>>,
}

impl Switch {
    fn start(path: &Path) -> Self {
        let switch = Self::default();
        let listener = UnixListener::bind(path).unwrap();
        let server = switch.clone();
        tokio::spawn(async move {
            let mut off = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let question: serde_json::Value = serde_json::from_str(&line).unwrap();
                let op = question["op"].as_str().unwrap().to_owned();
                let node = question["node"].as_str().unwrap().to_owned();
                server.told.lock().unwrap().push(format!("{op} {node}"));
                match op.as_str() {
                    "off" => off.push(node.clone()),
                    "on" => off.retain(|n| *n != node),
                    _ => {}
                }
                let power = if off.contains(&node) { "off" } else { "on" };
                let answer = match op.as_str() {
                    "list" => r#"{"ok":true,"nodes":["n1","n2","n3"]}"#.to_owned(),
                    _ if node == "broken" => r#"{"ok":false,"error":"no such machine"}"#.to_owned(),
                    _ => format!(r#"{{"ok":true,"power":"{power}"}}"#),
                };
                let answer = format!("{answer}\n");
                stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
            }
        });
        switch
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

/// Directories and certificates of a cluster on loopback.
struct Cluster {
    dir: TempDir,
    authority: Authority,
    /// Port of each node's fencing daemon.
    ports: Vec<(String, u16)>,
}

impl Cluster {
    fn new(nodes: &[&str]) -> Self {
        let ports = nodes.iter().map(|n| ((*n).to_owned(), free_port()));
        Self {
            dir: TempDir::new().unwrap(),
            authority: Authority::create("test", "c1").unwrap(),
            ports: ports.collect(),
        }
    }

    fn switch(&self) -> Switch {
        Switch::start(&self.dir.path().join("power.sock"))
    }

    /// `bans`: nodes that must not use the device.
    fn config(&self, node: &str, bans: &[&str]) -> Config {
        let dir = self.dir.path().join(node);
        let identity = dir.join("identity");
        fs::create_dir_all(&identity).unwrap();
        self.authority.save(&identity).unwrap();
        let request = KeyRequest::new(node).unwrap();
        let certificate = self.authority.sign(&request.csr_pem, node).unwrap();
        request
            .save(&identity, &certificate, self.authority.certificate_pem())
            .unwrap();
        let state = dir.join("state");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("cib.xml"), self.cib(bans)).unwrap();
        let text = self.toml(node, &dir);
        Config::parse(&text, Path::new("systole.toml")).unwrap()
    }

    fn toml(&self, node: &str, dir: &Path) -> String {
        let (port, others): (Vec<_>, Vec<_>) = self.ports.iter().partition(|(n, _)| n == node);
        let d = dir.display();
        let mut text = format!(
            "[cluster]\nname = \"test\"\nid = \"c1\"\n[node]\nname = \"{node}\"\nraft_id = 99\naddresses = [\"127.0.0.1\"]\n\
             [ports]\nstonithd = {}\n[paths]\nidentity_dir = \"{d}/identity\"\nstate_dir = \"{d}/state\"\nrun_dir = \"{d}/run\"\n",
            port[0].1
        );
        for (at, (other, port)) in others.iter().enumerate() {
            text.push_str(&format!(
                "[[members]]\nnode = \"{other}\"\nraft_id = {}\naddresses = [\"127.0.0.1\"]\nports = {{ stonithd = {port} }}\n",
                at + 1
            ));
        }
        text
    }

    fn cib(&self, bans: &[&str]) -> String {
        let bans: String = bans
            .iter()
            .map(|n| {
                format!(r#"<rsc_location id="ban-{n}" rsc="power" node="{n}" score="-INFINITY"/>"#)
            })
            .collect();
        format!(
            r#"<cib><configuration><nodes/><resources><primitive id="power" class="stonith" type="lab"><instance_attributes id="i"><nvpair id="s" name="socket" value="{}/power.sock"/></instance_attributes></primitive></resources><constraints>{bans}</constraints></configuration><status/></cib>"#,
            self.dir.path().display()
        )
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn client(config: &Config) -> FencingClient<Channel> {
    let path = config.paths.stonithd_socket();
    FencingClient::new(transport::local::connect(&path, 1_000).await.unwrap())
}

fn order(intent: &str, target: &str, action: &str) -> FenceRequest {
    FenceRequest {
        intent: intent.into(),
        target: target.into(),
        life_number: 1,
        action: action.into(),
        timeout_ms: 5_000,
        term: 1,
        origin: "test".into(),
        ..FenceRequest::default()
    }
}

async fn execute(client: &mut FencingClient<Channel>, order: FenceRequest) -> FenceReply {
    client.execute(order).await.unwrap().into_inner()
}

/// Waits until the device has said whom it can fence: before that it is tried for anybody.
async fn listed(client: &mut FencingClient<Channel>) {
    for _ in 0..200 {
        let reply = client.devices(DevicesRequest {}).await.unwrap();
        let devices = reply.into_inner().devices;
        if devices.iter().any(|d| !d.targets.is_empty()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the device has said nothing");
}

/// Waits for something that happens on its own, for two seconds at most.
async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..200 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_is_verified_and_then_the_node_is_switched_on() {
    let cluster = Cluster::new(&["n1"]);
    let switch = cluster.switch();
    let config = cluster.config("n1", &[]);
    let _daemon = Daemon::start(&config).await.unwrap();
    let mut client = client(&config).await;
    listed(&mut client).await;
    assert_eq!(switch.told(), ["list "]);

    let reply = execute(&mut client, order("i1", "n2", "reboot")).await;
    assert!(reply.done, "{reply:?}");
    assert_eq!(
        (
            reply.grade.as_str(),
            reply.device.as_str(),
            reply.by_node.as_str()
        ),
        ("verified-off", "power", "n1")
    );
    eventually(|| switch.told() == ["list ", "off n2", "status n2", "on n2"]).await;

    let devices = client
        .devices(DevicesRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(devices.devices[0].targets, ["n1", "n2", "n3"]);
    let can = CanRequest {
        target: "n9".into(),
        action: "off".into(),
    };
    assert!(
        client
            .can(can)
            .await
            .unwrap()
            .into_inner()
            .devices
            .is_empty()
    );
    let history = client.history(HistoryRequest::default()).await.unwrap();
    let entry = history.into_inner().entries.remove(0);
    assert_eq!(
        (entry.state.as_str(), entry.grade.as_str()),
        ("done", "verified-off")
    );
    let witness = client.witness(WitnessRequest {}).await.unwrap();
    assert_eq!(witness.into_inner().life_number, 1);
    let monitor = MonitorRequest {
        device: "power".into(),
        timeout_ms: 0,
    };
    assert!(client.monitor(monitor).await.unwrap().into_inner().ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_share_of_the_time_is_small() {
    let cluster = Cluster::new(&["n1"]);
    let _switch = cluster.switch();
    let config = cluster.config("n1", &[]);
    let _daemon = Daemon::start(&config).await.unwrap();
    let mut client = client(&config).await;
    listed(&mut client).await;
    let mut times = Vec::new();
    for n in 0..30 {
        let before = Instant::now();
        let reply = execute(&mut client, order(&format!("i{n}"), "n2", "off")).await;
        times.push(before.elapsed());
        assert!(reply.done);
    }
    times.sort();
    println!(
        "off and verify: median {:?}, worst {:?}",
        times[15], times[29]
    );
    assert!(times[15] < Duration::from_millis(50), "{times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_hands_it_to_one_that_can() {
    let cluster = Cluster::new(&["n1", "n2"]);
    let switch = cluster.switch();
    let bans = ["n1"];
    let (first, second) = (cluster.config("n1", &bans), cluster.config("n2", &bans));
    let _first = Daemon::start(&first).await.unwrap();
    let second = Daemon::start(&second).await.unwrap();
    eventually(|| switch.told() == ["list "]).await;

    let mut client = client(&first).await;
    let reply = execute(&mut client, order("i1", "n3", "off")).await;
    assert!(reply.done, "{reply:?}");
    assert_eq!(
        (reply.by_node.as_str(), reply.device.as_str()),
        ("n2", "power")
    );
    assert_eq!(switch.told(), ["list ", "off n3", "status n3"]);

    drop(second);
    let reply = execute(&mut client, order("i2", "n3", "off")).await;
    assert!(
        !reply.done && reply.reason.contains("no device"),
        "{reply:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_and_an_older_term_are_said() {
    let cluster = Cluster::new(&["n1"]);
    let switch = cluster.switch();
    let config = cluster.config("n1", &[]);
    let _daemon = Daemon::start(&config).await.unwrap();
    let mut client = client(&config).await;
    listed(&mut client).await;
    let mut unknown = order("i1", "elsewhere", "off");
    unknown.term = 7;
    let reply = execute(&mut client, unknown).await;
    assert!(
        !reply.done && reply.reason.contains("elsewhere"),
        "{reply:?}"
    );
    let reply = execute(&mut client, order("i2", "n2", "off")).await;
    assert!(!reply.done && reply.reason.contains("term 7"), "{reply:?}");
    assert!(switch.told().iter().all(|t| t.starts_with("list")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_ask_goes_through_crmd() {
    let cluster = Cluster::new(&["n1"]);
    let config = cluster.config("n1", &[]);
    let _daemon = Daemon::start(&config).await.unwrap();
    let mut client = client(&config).await;
    let ask = AskRequest {
        target: "n2".into(),
        action: "off".into(),
        client: "test".into(),
        ..AskRequest::default()
    };
    let status = client.ask(ask).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().contains("crmd"), "{status:?}");
}
