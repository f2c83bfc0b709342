//! What fence agents this node has.

use process::{End, Program};
use std::{fs, path::Path, time::Duration};

/// Where fence agents are.
const DIRS: &[&str] = &["/usr/sbin", "/usr/local/sbin"];

/// Compiled into the fencing daemon.
const BUILT_IN: &[(&str, &str)] = &[("lab", LAB), ("ssh", stonithd::SSH_METADATA)];

const LAB: &str = r#"<?xml version="1.0"?>
<resource-agent name="lab" shortdesc="The power switch of a lab on this machine">
<longdesc>Switches the nodes of a lab made by `systole lab`. Off is answered when nothing of the node runs any more.</longdesc>
<parameters>
<parameter name="socket" unique="0" required="1">
<content type="string" />
<shortdesc lang="en">Unix socket of the lab's daemon, outside the nodes</shortdesc>
</parameter>
</parameters>
<actions>
<action name="on" />
<action name="off" />
<action name="status" />
<action name="list" />
<action name="monitor" />
</actions>
</resource-agent>
"#;

/// All of them, sorted.
pub(crate) fn names() -> Vec<String> {
    let built_in = BUILT_IN.iter().map(|(name, _)| (*name).to_owned());
    let installed = DIRS
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| name.starts_with("fence_"));
    let mut names: Vec<String> = built_in.chain(installed).collect();
    names.sort();
    names.dedup();
    names
}

/// What an agent says of itself.
pub(crate) async fn metadata(agent: &str, limit: Duration) -> Result<String, String> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(name, _)| *name == agent) {
        return Ok((*text).to_owned());
    }
    if !agent.starts_with("fence_") || agent.contains('/') {
        return Err(format!(
            "'{agent}' is not the name of a fence agent (--agent; see --list-installed)"
        ));
    }
    let paths = DIRS.iter().map(|dir| Path::new(dir).join(agent));
    let path = paths
        .into_iter()
        .find(|p| p.is_file())
        .ok_or_else(|| format!("fence agent {agent} is not installed on this node"))?;
    let done = Program::new(path)
        .stdin("action=metadata\n")
        .capture_bytes(4 << 20)
        .deadline(limit)
        .run()
        .await
        .map_err(|e| e.to_string())?;
    match done.end {
        End::Exited(0) => Ok(done.stdout.text()),
        other => Err(format!("{agent} did not describe itself: {other:?}")),
    }
}
