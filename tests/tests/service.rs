//! A web server behind a floating address, with Debian's own agents: an HTTP client on a machine outside the
//! cluster sees it before, during and after every kind of loss.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tests::{
    cluster::{Cluster, NODES, eventually},
    executable, is_root,
};

const ADDRESS: &str = "192.0.2.100";
const CLIENT: &str = "guest1";
/// Answers in a row after which the service is there again.
const STEADY: usize = 20;

const RESOURCES: &str = r#"<group id="site">
  <primitive id="address" class="ocf" provider="heartbeat" type="IPaddr2">
    <instance_attributes id="address-params">
      <nvpair id="address-ip" name="ip" value="192.0.2.100"/>
      <nvpair id="address-mask" name="cidr_netmask" value="24"/>
      <nvpair id="address-nic" name="nic" value="link0"/>
    </instance_attributes>
    <operations><op id="address-monitor" name="monitor" interval="10s" timeout="20s"/></operations>
  </primitive>
  <primitive id="server" class="ocf" provider="heartbeat" type="nginx">
    <instance_attributes id="server-params">
      <nvpair id="server-file" name="configfile" value="/run/node/nginx.conf"/>
    </instance_attributes>
    <operations><op id="server-monitor" name="monitor" interval="10s" timeout="20s"/></operations>
  </primitive>
</group>"#;

/// Asks for the page all the time, as soon as the answer before has come.
struct Client {
    child: Child,
    log: std::path::PathBuf,
}

impl Client {
    fn start(cluster: &Cluster, program: &Path) -> Self {
        let ask = format!(
            "while [ ! -e /run/node/stop ]; do \
             answer=$(curl -s -m 0.5 --connect-timeout 0.2 http://{ADDRESS}/ || echo error); \
             echo \"$(date +%s%3N) $answer\" >> /run/node/answers; sleep 0.01; done"
        );
        let child = Command::new(program)
            .args(["lab", "exec", "--dir"])
            .arg(cluster.lab.dir())
            .args([CLIENT, "bash", "-c", &ask])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let log = cluster.lab.dir().join("nodes").join(CLIENT).join("answers");
        Self { child, log }
    }

    /// When it asked and who answered (`error`: nobody).
    fn answers(&self) -> Vec<(u64, String)> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = text.lines().filter_map(|l| l.split_once(' '));
        lines
            .filter_map(|(at, who)| Some((at.parse().ok()?, who.to_owned())))
            .collect()
    }

    /// Who answers steadily, if anybody does.
    fn steady(&self, since: usize) -> Option<String> {
        let answers = self.answers();
        let last = answers.get(since..)?;
        let last = last.get(last.len().checked_sub(STEADY)?..)?;
        let who = &last.last()?.1;
        (who != "error" && last.iter().all(|(_, w)| w == who)).then(|| who.clone())
    }

    fn wait_steady(&self, since: usize) -> String {
        let mut who = None;
        eventually("steady answers", || {
            who = self.steady(since);
            who.is_some()
        });
        who.unwrap()
    }

    /// Errors since then, and the longest time without an answer in milliseconds.
    fn toll(&self, since: usize) -> (usize, u64) {
        let answers = self.answers();
        let since = &answers[since.saturating_sub(1)..];
        let errors = since.iter().filter(|(_, w)| w == "error").count();
        let good: Vec<u64> = since
            .iter()
            .filter(|(_, w)| w != "error")
            .map(|(at, _)| *at)
            .collect();
        let longest = good.windows(2).map(|w| w[1] - w[0]).max();
        (errors, longest.unwrap_or_default())
    }

    fn end(mut self, cluster: &Cluster) {
        cluster.on(CLIENT, "touch /run/node/stop");
        let until = Instant::now() + Duration::from_secs(5);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the client does not end");
            sleep(Duration::from_millis(10));
        }
    }
}

fn prepare(cluster: &Cluster) {
    for node in NODES {
        let configuration = format!(
            "user root; worker_processes 1; pid /run/nginx.pid; error_log /run/node/nginx.log; events {{}} \
             http {{ access_log off; client_body_temp_path /tmp; proxy_temp_path /tmp; fastcgi_temp_path /tmp; \
             uwsgi_temp_path /tmp; scgi_temp_path /tmp; \
             server {{ listen 80; location / {{ return 200 {node}; }} }} }}"
        );
        let file = cluster
            .lab
            .dir()
            .join("nodes")
            .join(node)
            .join("nginx.conf");
        fs::write(file, configuration).unwrap();
    }
}

#[test]
fn an_http_client_outside_sees_the_service_through_every_loss() {
    let Some(program) = executable("a web server behind an address") else {
        return;
    };
    for file in [
        "/usr/sbin/nginx",
        "/usr/bin/curl",
        "/usr/lib/ocf/resource.d/heartbeat/IPaddr2",
    ] {
        if !Path::new(file).exists() {
            println!("skipped: a web server behind an address: {file} is not installed");
            return;
        }
    }
    if !is_root() {
        println!(
            "skipped: a web server behind an address: nginx wants to change users, which needs root"
        );
        return;
    }
    let cluster = Cluster::with(&program, &["--guests", "1"], "", "");
    prepare(&cluster);
    cluster.add(RESOURCES);
    cluster.rest();
    let client = Client::start(&cluster, &program);
    let mut home = client.wait_steady(0);
    println!("HTTP client outside the cluster, an answer every 10 ms and more:");
    for loss in ["node-crash", "node-silent", "planned-move"] {
        let before = client.answers().len();
        let other = NODES.iter().find(|n| **n != home).unwrap();
        let constraint =
            format!(r#"<rsc_location id="away" rsc="site" node="{other}" score="INFINITY"/>"#);
        match loss {
            "node-crash" => assert_eq!(cluster.lab.lab("kill", &[&home]).code, Some(0)),
            "node-silent" => assert_eq!(cluster.lab.lab("silence", &[&home]).code, Some(0)),
            _ => drop(cluster.on(
                other,
                &format!("cibadmin -C -o constraints -X '{constraint}'"),
            )),
        }
        let mut now = home.clone();
        eventually(&format!("another node answers after {loss}"), || {
            now = client.steady(before).unwrap_or_else(|| home.clone());
            now != home
        });
        let (errors, longest) = client.toll(before);
        println!("  {loss:<13} {home} -> {now}: {errors} errors, {longest} ms between two answers");
        eventually("all are members", || {
            cluster
                .on(&now, "crm_mon -1")
                .contains("Online: [ alpha beta gamma ]")
        });
        cluster.on(&now, "crm_resource --wait");
        if loss != "planned-move" {
            assert!(errors > 0, "{loss} cannot go unnoticed");
        }
        home = now;
    }
    client.end(&cluster);
}
