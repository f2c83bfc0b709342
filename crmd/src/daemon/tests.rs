//! Whole daemons, over real TLS connections on 127.0.0.0/8, with real files.

use super::*;
use crmd_core::{
    request::{CibChange, Request, Response},
    view::NodeView,
};
use openraft::async_runtime::watch::WatchReceiver;
use proto::local::{CallRequest, QueryRequest, StateRequest, local_client::LocalClient};
use std::{
    net::{IpAddr, Ipv4Addr},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};
use tempfile::TempDir;
use tonic::transport::Channel;
use transport::identity::{Authority, KeyRequest};

/// Addresses of this test process's own, so that other tests may run beside it.
fn address(cluster: u8, node: u8) -> IpAddr {
    let process = (std::process::id() % 200) as u8 + 50;
    Ipv4Addr::new(127, process, cluster, node).into()
}

struct Cluster {
    dir: TempDir,
    authority: Authority,
    number: u8,
}

impl Cluster {
    fn new() -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        Self {
            dir: tempfile::tempdir().unwrap(),
            authority: Authority::create("test", "c1").unwrap(),
            number: NUMBER.fetch_add(1, Ordering::SeqCst),
        }
    }

    fn config(&self, number: u8) -> Config {
        let base = self.dir.path().join(format!("node{number}"));
        let address = address(self.number, number);
        let text = format!(
            "[cluster]\nname = \"test\"\nid = \"c1\"\n\
             [node]\nname = \"node{number}\"\nraft_id = {number}\naddresses = [\"{address}\"]\n\
             [paths]\nidentity_dir = \"{base}/etc\"\nstate_dir = \"{base}/lib\"\nrun_dir = \"{base}/run\"\n",
            base = base.display()
        );
        let config = Config::parse(&text, Path::new("test.toml")).unwrap();
        let key = KeyRequest::new(&config.node.name).unwrap();
        let certificate = self
            .authority
            .sign(&key.csr_pem, &config.node.name)
            .unwrap();
        key.save(
            &config.paths.identity_dir,
            &certificate,
            self.authority.certificate_pem(),
        )
        .unwrap();
        std::fs::create_dir_all(&config.paths.state_dir).unwrap();
        config
    }

    fn founder(&self) -> Config {
        let config = self.config(1);
        std::fs::write(config.paths.cib(), "<cib/>").unwrap();
        config
    }
}

async fn eventually(what: &str, mut check: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !check() {
        assert!(begin.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}

fn leads(daemon: &Daemon) -> bool {
    let metrics = daemon.raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.current_leader == Some(metrics.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_leads_alone_and_again_after_a_restart() {
    let cluster = Cluster::new();
    let config = cluster.founder();
    let daemon = Daemon::start(&config).await.unwrap();
    eventually("it leads", || leads(&daemon)).await;
    daemon.stop();
    assert_eq!(daemon.run().await, Ending::Asked);

    let daemon = Daemon::start(&config).await.unwrap();
    eventually("it leads again", || leads(&daemon)).await;
    daemon.stop();
    assert_eq!(daemon.run().await, Ending::Asked);

    // Its log is lost: it must not make a second cluster.
    std::fs::remove_file(config.paths.state_dir.join("raft.redb")).unwrap();
    let daemon = Daemon::start(&config).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert!(!leads(&daemon));
    daemon.stop();
    assert_eq!(daemon.run().await, Ending::Asked);
}

const CHILD: &str = "CRMD_TEST_CONFIG";

/// Not a test of its own: the process of a daemon in the tests below.
#[test]
fn child_that_is_a_daemon() {
    let Some(config) = std::env::var_os(CHILD) else {
        return;
    };
    let code = crate::main(vec!["--config".into(), config]);
    std::process::exit(if code == std::process::ExitCode::SUCCESS {
        0
    } else {
        1
    });
}

/// A daemon as a process of its own; killed when dropped.
struct Process {
    child: Child,
    config: Config,
}

impl Process {
    fn start(config: &Config) -> Self {
        let file = config.paths.state_dir.join("systole.toml");
        config.save(&file).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "daemon::tests::child_that_is_a_daemon",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, &file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            config: config.clone(),
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tries until the daemon listens.
    async fn client(&self) -> LocalClient<Channel> {
        let begin = Instant::now();
        loop {
            match transport::local::connect(&self.config.paths.crmd_socket(), 1_000).await {
                Ok(channel) => return LocalClient::new(channel),
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(10), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn call(&self, request: Request) -> Response {
        let request = serde_json::to_vec(&request).unwrap();
        let call = CallRequest {
            request,
            timeout_ms: 15_000,
        };
        let reply = self.client().await.call(call).await.unwrap().into_inner();
        serde_json::from_slice(&reply.response).unwrap()
    }

    async fn view(&self) -> NodeView {
        let reply = self.client().await.state(StateRequest {}).await.unwrap();
        serde_json::from_slice(&reply.into_inner().state).unwrap()
    }

    async fn document(&self) -> String {
        let query = QueryRequest::default();
        let reply = self.client().await.query(query).await.unwrap();
        reply.into_inner().xml
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_property(name: &str) -> Request {
    Request::Cib(CibChange {
        action: "modify".to_owned(),
        section: Some("crm_config".to_owned()),
        xpath: None,
        xml: format!(
            "<cluster_property_set id='options'>\
             <nvpair id='options-{name}' name='{name}' value='1'/></cluster_property_set>"
        ),
        allow_create: true,
        origin: "test".to_owned(),
    })
}

/// Waits until every daemon shows the same, quorate cluster of `online` nodes.
async fn settled(daemons: &[Process], online: usize) -> NodeView {
    let begin = Instant::now();
    loop {
        let mut views = Vec::new();
        for daemon in daemons {
            views.push(daemon.view().await);
        }
        let agreed = views.iter().all(|v| {
            let up = v.members.iter().filter(|m| m.state == "online").count();
            v.quorate
                && up == online
                && v.coordinator.is_some()
                && v.coordinator == views[0].coordinator
                && v.digest == views[0].digest
        });
        if agreed {
            return views.swap_remove(0);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{views:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn grow(cluster: &Cluster) -> Vec<Process> {
    let mut daemons = vec![Process::start(&cluster.founder())];
    settled(&daemons, 1).await;
    for number in [2, 3] {
        let mut config = cluster.config(number);
        let digest = format!("{number:064x}");
        let token = Request::MakeToken {
            digest: digest.clone(),
            valid_s: 60,
        };
        assert_eq!(daemons[0].call(token).await, Response::Done);
        let join = Request::Join {
            digest,
            node: config.node.name.as_str().into(),
            addresses: vec![config.node.addresses[0].to_string()],
            ports: join::to_core(config.ports),
        };
        match daemons[0].call(join).await {
            Response::Joined { member, .. } => config.node.raft_id = member.raft_id,
            other => panic!("{other:?}"),
        }
        daemons.push(Process::start(&config));
    }
    settled(&daemons, 3).await;
    daemons
}

/// Tokens, joins, a change from a follower, `kill -9` of the coordinator, another change at once, its
/// return; nothing acknowledged is lost.
#[tokio::test]
async fn a_cluster_grows_commits_and_survives_the_loss_of_its_coordinator() {
    let cluster = Cluster::new();
    let mut daemons = grow(&cluster).await;
    let answer = daemons[2].call(set_property("first")).await;
    assert!(matches!(answer, Response::Cib { .. }), "{answer:?}");
    settled(&daemons, 3).await;

    daemons[0].kill();
    let begin = Instant::now();
    let answer = daemons[2].call(set_property("second")).await;
    let took = begin.elapsed();
    println!("committed {} ms after the loss", took.as_millis());
    assert!(matches!(answer, Response::Cib { .. }), "{answer:?}");
    assert!(
        took < Duration::from_millis(1_200),
        "{took:?}: it waited for silence or a lease"
    );

    let config = daemons[0].config.clone();
    daemons[0] = Process::start(&config);
    settled(&daemons, 3).await;
    let answer = daemons[0].call(set_property("third")).await;
    assert!(matches!(answer, Response::Cib { .. }), "{answer:?}");
    settled(&daemons, 3).await;
    for daemon in &daemons {
        let document = daemon.document().await;
        for name in ["first", "second", "third"] {
            assert!(document.contains(&format!("options-{name}")), "{document}");
        }
    }
}
