//! Links between the nodes: a bridge for each in the lab's own network namespace, a pair of interfaces for
//! each node and link, and rules that drop what a cut link would have carried.

use crate::{
    error::{LabError, While, said},
    layout::Spec,
};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

/// `ip` and `nft` live where an ordinary user does not look.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A direction of a link that drops everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    /// Sender.
    pub(crate) from: String,
    /// Receiver.
    pub(crate) to: String,
    /// Which network.
    pub(crate) link: usize,
}

/// Makes the bridges.
pub(crate) fn lay(spec: &Spec) -> Result<(), LabError> {
    let mut batch = String::from("link set lo up\n");
    for link in 0..spec.links {
        let _ = writeln!(batch, "link add br{link} type bridge\nlink set br{link} up");
    }
    ip(&batch)
}

/// Plugs a node in; `pid` is a process in its network namespace.
pub(crate) fn plug(spec: &Spec, number: u8, pid: u32) -> Result<(), LabError> {
    let mut batch = String::new();
    for link in 0..spec.links {
        let mac = Spec::hardware_address(link, number);
        let (outer, inner) = (outer(number, link), inner(link));
        let _ = writeln!(
            batch,
            "link add {outer} type veth peer name {inner} address {mac} netns {pid}"
        );
        let _ = writeln!(batch, "link set {outer} master br{link} up");
    }
    ip(&batch)
}

/// Nothing passes a node's links any more.
pub(crate) fn silence(spec: &Spec, number: u8) -> Result<(), LabError> {
    let lines = (0..spec.links).map(|link| format!("link set {} down\n", outer(number, link)));
    ip(&lines.collect::<String>())
}

/// Takes a node's plugs out. The kernel may have done it already, when the last user of the node's
/// network ended.
pub(crate) fn unplug(spec: &Spec, number: u8) -> Result<(), LabError> {
    for link in 0..spec.links {
        match ip(&format!("link del {}\n", outer(number, link))) {
            Err(LabError::Said(reason)) if reason.contains("Cannot find device") => {}
            other => other?,
        }
    }
    Ok(())
}

/// Inside a node's network namespace: addresses.
pub(crate) fn address(spec: &Spec, number: u8) -> Result<(), LabError> {
    let mut batch = String::from("link set lo up\n");
    for link in 0..spec.links {
        let (address, inner) = (Spec::address(link, number), inner(link));
        let _ = writeln!(
            batch,
            "addr add {address}/24 dev {inner}\nlink set {inner} up"
        );
    }
    ip(&batch)
}

fn outer(number: u8, link: usize) -> String {
    format!("n{number}l{link}")
}

fn inner(link: usize) -> String {
    format!("link{link}")
}

/// Drops exactly what the cuts say, and nothing if there are none.
pub(crate) fn drop_only(spec: &Spec, cuts: &BTreeSet<Cut>) -> Result<(), LabError> {
    let mut rules = String::from("add table bridge lab\ndelete table bridge lab\n");
    rules.push_str("table bridge lab {\n chain cut {\n  type filter hook forward priority 0;\n");
    for cut in cuts {
        let from = Spec::hardware_address(cut.link, spec.number(&cut.from)?);
        let to = Spec::hardware_address(cut.link, spec.number(&cut.to)?);
        let _ = writeln!(rules, "  ether saddr {from} ether daddr {to} drop");
    }
    rules.push_str(" }\n}\n");
    feed("nft", &["-f", "-"], &rules)
}

fn ip(batch: &str) -> Result<(), LabError> {
    if batch.is_empty() {
        Ok(())
    } else {
        feed("ip", &["-batch", "-"], batch)
    }
}

fn feed(program: &str, args: &[&str], text: &str) -> Result<(), LabError> {
    let missing = || format!("start '{program}' (Debian: apt-get install iproute2 nftables)");
    let mut child = Command::new(program)
        .args(args)
        .env("PATH", PATH)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .during(missing)?;
    if let Some(mut input) = child.stdin.take() {
        input
            .write_all(text.as_bytes())
            .during(|| format!("tell {program} what to do"))?;
    }
    let output = child
        .wait_with_output()
        .during(|| format!("wait for {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    said(format!(
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}
