//! A cluster in a lab whose only fencing is ssh: to a hypervisor, which proves that a node is off, and to
//! the nodes themselves, which proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // nothing here but tests

use std::{fs, os::unix::fs::PermissionsExt, thread::sleep, time::Duration};
use tests::{
    CommandLab,
    cluster::{Cluster, NODES, eventually},
    executable, is_root, sshd,
};

const HYPERVISOR: &str = "guest1";
const WEB: &str = r#"<primitive id="web" class="ocf" provider="systole" type="Audited"><operations><op id="web-monitor" name="monitor" interval="1s" timeout="10s"/></operations></primitive>"#;

/// One line to the lab's power switch, its answer on standard output.
const TALK: &str = r#"#!/usr/bin/perl
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => '/run/lab/fence.sock') or die $!;
print $s qq({"op":"$ARGV[0]","node":"$ARGV[1]"}\n);
print scalar <$s>;
"#;

/// libvirt's tool on the hypervisor: machine `vm-NODE` is the lab's node.
const VIRSH: &str = r#"#!/bin/sh
shift 2
verb=$1
for name; do :; done
node=${name#vm-}
case "$verb" in
domstate)
  case "$(/run/lab/ssh/talk status "$node")" in
  *'"power":"off"'*) echo 'shut off (destroyed)' ;;
  *'"power":"on"'*) echo 'running (booted)' ;;
  *) echo "error: failed to get domain '$name'" >&2; exit 1 ;;
  esac ;;
destroy) case "$(/run/lab/ssh/talk off "$node")" in *'"ok":true'*) ;; *) exit 1 ;; esac ;;
start) case "$(/run/lab/ssh/talk on "$node")" in *'"ok":true'*) ;; *) exit 1 ;; esac ;;
*) exit 1 ;;
esac
"#;

/// Runs nothing but our `virsh`, our way of going, and what tells lives apart.
const FORCED: &str = r#"#!/bin/sh
case "$SSH_ORIGINAL_COMMAND" in
'LC_ALL=C virsh '*) PATH=/run/lab/ssh/bin:/usr/bin:/bin exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
'/run/lab/ssh/talk off '*) exec sh -c "$SSH_ORIGINAL_COMMAND" ;;
'cat /proc/sys/kernel/random/boot_id') exec $SSH_ORIGINAL_COMMAND ;;
*) echo "not to be run here: $SSH_ORIGINAL_COMMAND" >&2; exit 99 ;;
esac
"#;

const CONFIGURATION: &str = "Port 22\nHostKey /run/lab/ssh/host\nPidFile none\nAuthorizedKeysFile /run/lab/ssh/key.pub\n\
    StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
    PermitRootLogin yes\nUseDNS no\nForceCommand /run/lab/ssh/forced\n";

fn prepare(lab: &CommandLab) {
    let dir = lab.dir().join("shared/ssh");
    fs::create_dir_all(dir.join("bin")).unwrap();
    for (name, text) in [("talk", TALK), ("bin/virsh", VIRSH), ("forced", FORCED)] {
        fs::write(dir.join(name), text).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(dir.join("config"), CONFIGURATION).unwrap();
    let made = lab.sh(
        HYPERVISOR,
        "cd /run/lab/ssh && ssh-keygen -q -t ed25519 -N '' -f host && ssh-keygen -q -t ed25519 -N '' -f key && \
         (printf '* '; cat host.pub) > known_hosts",
    );
    assert_eq!(made.code, Some(0), "{}", made.text);
}

fn serve(lab: &CommandLab, machine: &str) {
    let started = lab.sh(
        machine,
        "mkdir -p /run/sshd && /usr/sbin/sshd -f /run/lab/ssh/config -E /run/sshd/log",
    );
    assert_eq!(started.code, Some(0), "{machine}: {}", started.text);
}

/// A device that logs in with our key.
fn device(id: &str, more: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("identity_file", "/run/lab/ssh/key"),
        (
            "ssh_options",
            "-F /dev/null -o UserKnownHostsFile=/run/lab/ssh/known_hosts -o GlobalKnownHostsFile=/dev/null",
        ),
    ];
    pairs.extend(more);
    let pairs: String = pairs
        .iter()
        .map(|(n, v)| format!(r#"<nvpair id="{id}-{n}" name="{n}" value="{v}"/>"#))
        .collect();
    format!(
        r#"<primitive id="{id}" class="stonith" type="ssh"><instance_attributes id="{id}-params">{pairs}</instance_attributes></primitive>"#
    )
}

fn cluster(test: &str) -> Option<Cluster> {
    let program = executable(test)?;
    if !sshd::is_installed(test) {
        return None;
    }
    if !is_root() {
        println!(
            "skipped: {test}: sshd in a node needs more than one user, which only root can give"
        );
        return None;
    }
    let cluster = Cluster::with(&program, &["--guests", "1"], WEB, "");
    prepare(&cluster.lab);
    Some(cluster)
}

fn other(node: &str) -> &'static str {
    NODES.into_iter().find(|n| *n != node).unwrap()
}

#[test]
fn a_crashed_node_is_fenced_through_its_hypervisor() {
    let Some(cluster) = cluster("a crash fenced through a hypervisor") else {
        return;
    };
    serve(&cluster.lab, HYPERVISOR);
    let map = "alpha:vm-alpha;beta:vm-beta;gamma:vm-gamma";
    let kvm = device("kvm", &[("hypervisor", HYPERVISOR), ("pcmk_host_map", map)]);
    cluster.configure(&format!("{kvm}{WEB}"), "");
    cluster.rest();
    let status = cluster.on(NODES[0], "crm_mon -1");
    assert!(
        status.contains("kvm") && !status.contains("Failed"),
        "{status}"
    );
    let before = cluster.place("web");
    let asked = other(&before);
    let killed = cluster.lab.lab("kill", &[&before]);
    assert_eq!(killed.code, Some(0), "{}", killed.text);
    eventually("web runs elsewhere", || {
        cluster.places().get("web").is_some_and(|p| *p != before)
    });
    let history = cluster.on(
        asked,
        &format!("stonith_admin --history {before} --output-as=xml"),
    );
    assert!(
        history.contains("kvm") && history.contains("verified-off"),
        "{history}"
    );
    // Switched on again, it comes back by itself.
    eventually("all are members again", || {
        let shown = cluster.lab.sh(asked, "crm_mon -1").text;
        shown.contains("Online: [ alpha beta gamma ]")
    });
    cluster.places();
}

#[test]
fn a_node_that_was_only_asked_keeps_its_resources_until_its_new_life() {
    let Some(cluster) = cluster("a node that was only asked") else {
        return;
    };
    NODES.iter().for_each(|node| serve(&cluster.lab, node));
    let ask = device(
        "ask",
        &[
            ("hostlist", "alpha beta gamma"),
            ("reboot_command", "/run/lab/ssh/talk off {node}"),
            ("power_timeout", "10s"),
        ],
    );
    cluster.configure(&format!("{ask}{WEB}"), "");
    cluster.rest();
    let before = cluster.place("web");
    let asked = other(&before);
    let reboot = cluster.lab.sh(
        asked,
        &format!("stonith_admin --reboot {before} --timeout 30s"),
    );
    assert!(reboot.text.contains("with ask: asked"), "{}", reboot.text);
    // It is off, as we know and nobody in the cluster does.
    for _ in 0..20 {
        assert_eq!(cluster.places().get("web"), None, "nothing is proven");
        sleep(Duration::from_millis(250));
    }
    let on = cluster.lab.lab("on", &[&before]);
    assert_eq!(on.code, Some(0), "{}", on.text);
    eventually("web runs again", || cluster.places().contains_key("web"));
}
