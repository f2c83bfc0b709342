//! Fencing over ssh, with a real `sshd`: what is proven, what is not, and what is said about it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use proto::fencing::{
    FenceReply, FenceRequest, HistoryRequest, MonitorRequest, fencing_client::FencingClient,
};
use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tests::{
    executable, leftovers, run,
    sshd::{Pretends, Sshd, is_installed},
};
use tonic::transport::Channel;
use transport::{
    config::Config,
    identity::{Authority, KeyRequest},
};

/// A fencing daemon with one device, which logs in to an sshd.
struct Fencing {
    sshd: Sshd,
    dir: tempfile::TempDir,
    daemon: Child,
    client: FencingClient<Channel>,
}

impl Fencing {
    /// Nothing, with a word about it, if something is missing here.
    async fn with(test: &str, pretends: Pretends, more: &[(&str, &str)]) -> Option<Self> {
        let program = executable(test).filter(|_| is_installed(test))?;
        let sshd = Sshd::start(pretends);
        let mut parameters = sshd.login();
        if pretends == Pretends::Hypervisor {
            parameters.push(("hypervisor".into(), "127.0.0.1".into()));
        }
        parameters.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        parameters.extend(more.iter().map(|(n, v)| ((*n).into(), (*v).into())));
        let dir = tempfile::tempdir().unwrap();
        let config = configure(dir.path(), &cib(&parameters));
        let log = File::create(dir.path().join("log")).unwrap();
        let daemon = Command::new(program)
            .args(["stonithd", "--config"])
            .arg(dir.path().join("systole.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut fencing = Self {
            client: unconnected(),
            sshd,
            dir,
            daemon,
        };
        fencing.client = fencing.connect(&config).await;
        Some(fencing)
    }

    async fn connect(&self, config: &Config) -> FencingClient<Channel> {
        let socket = config.paths.stonithd_socket();
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match transport::local::connect(&socket, 1_000).await {
                Ok(channel) => return FencingClient::new(channel),
                Err(e) => assert!(Instant::now() < until, "{e}: {}", self.log()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn fence(&mut self, action: &str, timeout_ms: u64) -> FenceReply {
        let order = FenceRequest {
            intent: format!("i-{action}"),
            target: "n2".into(),
            life_number: 1,
            action: action.into(),
            timeout_ms,
            term: 1,
            origin: "test".into(),
            ..FenceRequest::default()
        };
        self.client.execute(order).await.unwrap().into_inner()
    }

    /// What a monitor of the device complains about.
    async fn monitor(&mut self) -> Result<(), String> {
        let request = MonitorRequest {
            device: "d".into(),
            timeout_ms: 10_000,
        };
        let reply = self.client.monitor(request).await.unwrap().into_inner();
        match reply.ok {
            true => Ok(()),
            false => Err(reply.reason),
        }
    }

    async fn grades(&mut self) -> Vec<(String, String)> {
        let history = self.client.history(HistoryRequest::default()).await;
        let entries = history.unwrap().into_inner().entries;
        entries.into_iter().map(|e| (e.state, e.grade)).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn machine(&self) -> String {
        let state = fs::read_to_string(self.sshd.path("machines/vm-2")).unwrap();
        state.trim().to_owned()
    }
}

impl Drop for Fencing {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// Stands where the real one will be.
fn unconnected() -> FencingClient<Channel> {
    FencingClient::new(Channel::from_static("http://127.0.0.1:1").connect_lazy())
}

fn cib(parameters: &[(String, String)]) -> String {
    let pair = |(at, (name, value)): (usize, &(String, String))| {
        let value = value.replace('&', "&amp;").replace('<', "&lt;");
        let value = value.replace('"', "&quot;");
        format!(r#"<nvpair id="p{at}" name="{name}" value="{value}"/>"#)
    };
    let pairs: String = parameters.iter().enumerate().map(pair).collect();
    format!(
        r#"<cib><configuration><nodes/><resources><primitive id="d" class="stonith" type="ssh"><instance_attributes id="i">{pairs}</instance_attributes><meta_attributes id="m"><nvpair id="t" name="trusted" value="true"/></meta_attributes></primitive></resources><constraints/></configuration><status/></cib>"#
    )
}

fn configure(dir: &Path, cib: &str) -> Config {
    let (identity, state) = (dir.join("identity"), dir.join("state"));
    for made in [&identity, &state] {
        fs::create_dir_all(made).unwrap();
    }
    let authority = Authority::create("test", "c1").unwrap();
    authority.save(&identity).unwrap();
    let request = KeyRequest::new("n1").unwrap();
    let certificate = authority.sign(&request.csr_pem, "n1").unwrap();
    request
        .save(&identity, &certificate, authority.certificate_pem())
        .unwrap();
    fs::write(state.join("cib.xml"), cib).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (d, port) = (dir.display(), listener.local_addr().unwrap().port());
    let text = format!(
        "[cluster]\nname = \"test\"\nid = \"c1\"\n[node]\nname = \"n1\"\nraft_id = 1\naddresses = [\"127.0.0.1\"]\n\
         [ports]\nstonithd = {port}\n[paths]\nidentity_dir = \"{d}/identity\"\nstate_dir = \"{d}/state\"\nrun_dir = \"{d}/run\"\n"
    );
    let path = dir.join("systole.toml");
    fs::write(&path, &text).unwrap();
    Config::parse(&text, &path).unwrap()
}

const MAP: (&str, &str) = ("pcmk_host_map", "n2:vm-2");

#[tokio::test]
async fn off_through_the_hypervisor_is_verified() {
    let test = "off through a hypervisor";
    let Some(mut f) = Fencing::with(test, Pretends::Hypervisor, &[MAP]).await else {
        return;
    };
    f.monitor().await.unwrap();
    let reply = f.fence("off", 20_000).await;
    assert!(reply.done, "{reply:?}\n{}", f.log());
    assert_eq!(
        (reply.grade.as_str(), reply.device.as_str()),
        ("verified-off", "d")
    );
    assert_eq!(f.machine(), "shut off (destroyed)");
    println!("off and verify over ssh: {} ms", reply.elapsed_ms);
    // The machine is off already: libvirt complains, and off is proven all the same; then it is switched on.
    let reply = f.fence("reboot", 20_000).await;
    assert_eq!(reply.grade, "verified-off", "{reply:?}\n{}", f.log());
    let until = Instant::now() + Duration::from_secs(10);
    while f.machine() != "running (booted)" {
        assert!(Instant::now() < until, "never on again: {}", f.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let reply = f.fence("on", 20_000).await;
    assert!(reply.done, "{reply:?}");
    let asked = f.sshd.asked();
    let wanted = "LC_ALL=C virsh -c 'qemu:///system' destroy 'vm-2'";
    assert!(asked.contains(&wanted.to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_machine_that_stays_on_is_not_fenced() {
    let more = [MAP, ("power_timeout", "1s"), ("pcmk_off_retries", "0")];
    let test = "a machine that stays on";
    let Some(mut f) = Fencing::with(test, Pretends::Hypervisor, &more).await else {
        return;
    };
    f.sshd.write("stuck", "");
    let reply = f.fence("off", 20_000).await;
    assert!(
        !reply.done && reply.reason.contains("still says \"on\" after \"off\""),
        "{reply:?}"
    );
    assert_eq!(f.grades().await, [("failed".to_owned(), String::new())]);
    assert_eq!(f.machine(), "running (booted)");
    // Gone from here is not off: it runs on elsewhere.
    fs::remove_file(f.sshd.path("stuck")).unwrap();
    f.sshd.write("machines/vm-2", "shut off (migrated)\n");
    let reply = f.fence("reboot", 20_000).await;
    assert!(!reply.done, "{reply:?}");
    assert!(f.monitor().await.unwrap_err().contains("migrated"));
    // Neither is a machine that the hypervisor does not know.
    fs::remove_file(f.sshd.path("machines/vm-2")).unwrap();
    let reply = f.fence("reboot", 20_000).await;
    assert!(
        !reply.done && reply.reason.contains("failed to get domain"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_command_that_hangs_is_ended() {
    let test = "a hung command";
    let Some(mut f) = Fencing::with(test, Pretends::Hypervisor, &[MAP]).await else {
        return;
    };
    f.sshd.write("hang", "");
    let before = Instant::now();
    let reply = f.fence("off", 8_000).await;
    let took = before.elapsed();
    assert!(!reply.done && reply.reason.contains("unknown"), "{reply:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    let key = f.sshd.path("key").display().to_string();
    let clients = || -> Vec<String> {
        let left = leftovers(&key, Path::new("/nonexistent"));
        left.into_iter().filter(|l| l.contains("/ssh ")).collect()
    };
    let until = Instant::now() + Duration::from_secs(5);
    while !clients().is_empty() {
        assert!(Instant::now() < until, "left: {:?}", clients());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(fs::metadata(f.sshd.path("hung")).is_ok(), "it had begun");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_in_words() {
    let more = [MAP, ("pcmk_off_retries", "0")];
    let test = "refused by a hypervisor";
    let Some(mut f) = Fencing::with(test, Pretends::Hypervisor, &more).await else {
        return;
    };
    let of = |key: &str| fs::read_to_string(f.sshd.path(key)).unwrap();
    let line = |key: &str| format!("[127.0.0.1]:{} {}", f.sshd.port, of(key));
    let (right, wrong, good) = (line("host.pub"), line("other.pub"), of("key.pub"));
    let other = of("other.pub");

    f.sshd.known("");
    let said = f.monitor().await.unwrap_err();
    assert!(
        said.contains("host key of 127.0.0.1 is not known") && said.contains("ssh-keyscan -p"),
        "{said}"
    );
    f.sshd.known(&wrong);
    let said = f.monitor().await.unwrap_err();
    assert!(said.contains("another than the known one"), "{said}");
    let reply = f.fence("off", 10_000).await;
    assert!(
        !reply.done && reply.reason.contains("another than the known one"),
        "{reply:?}"
    );
    f.sshd.known(&right);

    f.sshd.write("authorized", &other);
    let said = f.monitor().await.unwrap_err();
    assert!(said.contains("refuses the key"), "{said}");
    f.sshd.write("authorized", &good);

    let key = f.sshd.path("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = f.monitor().await.unwrap_err();
    assert!(said.contains("chmod 600"), "{said}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let virsh = f.sshd.path("bin/virsh");
    fs::rename(&virsh, f.sshd.path("elsewhere")).unwrap();
    let said = f.monitor().await.unwrap_err();
    assert!(said.contains("is missing on 127.0.0.1"), "{said}");
    fs::rename(f.sshd.path("elsewhere"), &virsh).unwrap();
    f.monitor().await.unwrap();

    assert!(f.sshd.asked().iter().all(|a| !a.contains("destroy")));
    assert_eq!(f.machine(), "running (booted)");
}

#[tokio::test]
async fn names_and_slips_reach_no_shell() {
    let test = "names in commands";
    let more = [
        ("pcmk_host_map", "n2:vm-2'`touch$IFS/tmp/x`'"),
        ("hypervizor", "kvm1"),
        ("pcmk_off_retries", "0"),
    ];
    let Some(mut f) = Fencing::with(test, Pretends::Hypervisor, &more).await else {
        return;
    };
    let reply = f.fence("off", 10_000).await;
    assert!(
        !reply.done && reply.reason.contains("cannot be put into a command"),
        "{reply:?}"
    );
    assert_eq!(f.sshd.asked(), Vec::<String>::new());
    let said = f.monitor().await.unwrap_err();
    assert!(
        said.contains("does not know the parameter hypervizor"),
        "{said}"
    );
}

#[tokio::test]
async fn nobody_answers() {
    let test = "a hypervisor that does not answer";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let more = [MAP, ("ip_port", port.as_str()), ("pcmk_off_retries", "1")];
    let Some(mut f) = Fencing::with(test, Pretends::Hypervisor, &more).await else {
        return;
    };
    let reply = f.fence("off", 10_000).await;
    assert!(
        !reply.done
            && reply.reason.contains("does not answer on port")
            && reply.reason.contains("2 tries"),
        "{reply:?}"
    );
}

const NODE: (&str, &str) = ("pcmk_host_map", "n2:127.0.0.1");

#[tokio::test]
async fn a_node_that_goes_was_asked_and_no_more() {
    let test = "a node that is asked";
    let Some(mut f) = Fencing::with(test, Pretends::Node, &[NODE]).await else {
        return;
    };
    f.monitor().await.unwrap();
    let reply = f.fence("reboot", 20_000).await;
    assert!(reply.done, "{reply:?}\n{}", f.log());
    // Although the device is declared trusted.
    assert_eq!(reply.grade, "asked");
    let asked = f.sshd.asked();
    assert_eq!(asked.last().unwrap(), "echo b > /proc/sysrq-trigger");
    let log = f.log();
    for words in [
        "which proves nothing",
        "'trusted' has no effect",
        "does not answer there any more",
    ] {
        assert!(log.contains(words), "'{words}' is missing in\n{log}");
    }
    // It does not answer now: nobody can ask it again.
    let reply = f.fence("off", 3_000).await;
    assert!(
        !reply.done && reply.reason.contains("cannot be asked"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_node_in_another_life_was_asked_and_no_more() {
    let test = "a node that is back at once";
    let Some(mut f) = Fencing::with(test, Pretends::Node, &[NODE]).await else {
        return;
    };
    f.sshd.write("fate", "returns");
    let reply = f.fence("off", 20_000).await;
    assert_eq!(
        (reply.done, reply.grade.as_str()),
        (true, "asked"),
        "{reply:?}"
    );
    assert!(
        f.sshd
            .asked()
            .contains(&"echo o > /proc/sysrq-trigger".to_owned())
    );
    assert!(f.log().contains("answers in another life"), "{}", f.log());
}

#[tokio::test]
async fn a_node_that_lives_on_is_not_fenced() {
    let test = "a node that does not go";
    let more = [
        NODE,
        ("power_timeout", "3s"),
        ("pcmk_off_retries", "0"),
        ("reboot_command", "/sbin/go now"),
    ];
    let Some(mut f) = Fencing::with(test, Pretends::Node, &more).await else {
        return;
    };
    f.sshd.write("fate", "stays");
    let reply = f.fence("reboot", 20_000).await;
    assert!(
        !reply.done && reply.reason.contains("still answers in the same life"),
        "{reply:?}"
    );
    assert!(f.sshd.asked().contains(&"/sbin/go now".to_owned()));
    f.sshd.write("fate", "refuses");
    let reply = f.fence("off", 20_000).await;
    assert!(
        !reply.done && reply.reason.contains("Permission denied by the test"),
        "{reply:?}"
    );
}

#[test]
fn it_describes_itself() {
    let Some(program) = executable("the metadata of ssh") else {
        return;
    };
    let admin = |args: &[&str]| {
        let mut command = Command::new(&program);
        run(
            command.arg("stonith_admin").args(args),
            Duration::from_secs(20),
        )
    };
    let listed = admin(&["--list-installed"]);
    assert!(
        listed.text.lines().any(|l| l.trim() == "ssh"),
        "{}",
        listed.text
    );
    let said = admin(&["--metadata", "--agent", "ssh"]);
    assert_eq!(said.code, Some(0), "{}", said.text);
    for words in [
        "<resource-agent name=\"ssh\"",
        "THIS PROVES NOTHING",
        "name=\"validate-all\"",
    ] {
        assert!(said.text.contains(words), "{}", said.text);
    }
}
