//! Three whole daemons in one process, over real TLS connections on 127.0.0.0/8, with real files.

use super::*;
use openraft::async_runtime::watch::WatchReceiver;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU8, Ordering},
    time::Instant,
};
use tempfile::TempDir;
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

fn applied(daemon: &Daemon) -> u64 {
    let metrics = daemon.raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.last_applied.map_or(0, |id| id.index)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agree_and_two_go_on_at_once_when_the_leader_is_gone() {
    let cluster = Cluster::new();
    let configs = [cluster.founder(), cluster.config(2), cluster.config(3)];
    let mut daemons = Vec::new();
    for config in &configs {
        daemons.push(Daemon::start(config).await.unwrap());
    }
    eventually("the founder leads", || leads(&daemons[0])).await;
    for config in &configs[1..] {
        let node = PeerNode::from(&own_member(config));
        daemons[0]
            .raft
            .add_learner(config.node.raft_id, node, true)
            .await
            .unwrap();
    }
    let voters: std::collections::BTreeSet<u64> = [1, 2, 3].into();
    daemons[0]
        .raft
        .change_membership(voters, false)
        .await
        .unwrap();
    let index = applied(&daemons[0]);
    eventually("all have applied it", || {
        daemons.iter().all(|d| applied(d) >= index)
    })
    .await;

    let first = daemons.remove(0);
    first.stop();
    assert_eq!(first.run().await, Ending::Asked);
    let events = mpsc::unbounded_channel().0;
    let control = RaftControl::new(events);
    control.connect(daemons[0].raft.clone());
    control.campaign();
    let took = eventually("a new leader", || leads(&daemons[0])).await;
    println!("a new leader after {} ms", took.as_millis());
    assert!(
        took < Duration::from_millis(250),
        "{took:?}: it waited for a lease"
    );
    for daemon in daemons {
        daemon.stop();
        assert_eq!(daemon.run().await, Ending::Asked);
    }
}
