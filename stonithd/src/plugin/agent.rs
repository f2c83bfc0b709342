//! Fence agents (`fence_*`), as their API describes them: parameters as `name=value` lines on standard
//! input, never in argv or the environment, where others could read a password.

use super::{Plugin, failed};
use cib::Element;
use futures::future::BoxFuture;
use process::{End, Finished, Program};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use stonithd_core::{Call, CallResult, Power, Verb};
use tokio::sync::Mutex;

/// Where agents find their helpers.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin";

/// Output kept, in bytes: lists of targets can be long.
const CAPTURE: usize = 256 * 1024;

/// Exit code of `status` for "off".
const STATUS_OFF: i32 = 2;

/// All agents of this machine.
#[derive(Debug)]
pub(super) struct Agents {
    dirs: Vec<PathBuf>,
    /// What agents said about themselves.
    known: Mutex<BTreeMap<String, Arc<About>>>,
}

/// What matters of an agent's metadata.
#[derive(Debug, Default)]
struct About {
    parameters: BTreeSet<String>,
    actions: BTreeSet<String>,
}

impl Agents {
    pub(super) fn new(dirs: Vec<PathBuf>) -> Self {
        Self {
            dirs,
            known: Mutex::default(),
        }
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, kind: &str) -> bool {
        self.find(kind).is_ok()
    }

    fn find(&self, kind: &str) -> Result<PathBuf, String> {
        if !kind.starts_with("fence_") || kind.contains(['/', '\0']) {
            return Err(format!(
                "there is no plugin '{kind}' (built in: lab, ssh; fence agents are called fence_...)"
            ));
        }
        let tried: Vec<PathBuf> = self.dirs.iter().map(|dir| dir.join(kind)).collect();
        let found = tried.iter().find(|path| path.is_file()).cloned();
        found.ok_or_else(|| format!("fence agent {kind} is not installed on this node"))
    }

    async fn run(&self, call: &Call) -> Result<CallResult, String> {
        let path = self.find(&call.kind)?;
        let about = self.about(&call.kind, &path, call.timeout_ms).await;
        if !about.actions.is_empty() && !about.actions.contains(&call.action) {
            return Ok(CallResult::Unsupported);
        }
        let done = program(&path, call.timeout_ms)
            .stdin(input(call, &about))
            .run()
            .await
            .map_err(|e| e.to_string())?;
        Ok(result(call, &done))
    }

    /// Asked once; an agent that does not say is taken to be able to do everything.
    async fn about(&self, kind: &str, path: &PathBuf, timeout_ms: u64) -> Arc<About> {
        let mut known = self.known.lock().await;
        if let Some(about) = known.get(kind) {
            return Arc::clone(about);
        }
        let asked = program(path, timeout_ms)
            .stdin("action=metadata\n")
            .run()
            .await;
        let about = match asked {
            Ok(done) if done.end == End::Exited(0) => read(&done.stdout.text()),
            _ => None,
        };
        let Some(about) = about.map(Arc::new) else {
            tracing::warn!(agent = kind, "the fence agent does not describe itself");
            return Arc::default();
        };
        known.insert(kind.to_owned(), Arc::clone(&about));
        about
    }
}

impl Plugin for Agents {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, CallResult> {
        Box::pin(async move { self.run(call).await.unwrap_or_else(failed) })
    }
}

fn program(path: &PathBuf, timeout_ms: u64) -> Program {
    Program::new(path)
        .clear_env()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .directory("/")
        .capture_bytes(CAPTURE)
        .deadline(Duration::from_millis(timeout_ms))
}

fn input(call: &Call, about: &About) -> String {
    let mut lines = vec![("action", call.action.as_str())];
    let port_name = match call.host_argument.as_str() {
        "" if about.parameters.contains("plug") => "plug",
        "" => "port",
        other => other,
    };
    if !call.port.is_empty() {
        lines.push(("nodename", &call.target));
        // A parameter that is configured goes before what we would say.
        if port_name != "none" && !call.parameters.contains_key(port_name) {
            lines.push((port_name, &call.port));
        }
    }
    lines.extend(
        call.parameters
            .iter()
            .filter(|(name, _)| *name != "action")
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let usable =
        |(name, value): &(&str, &str)| !name.contains(['\n', '=']) && !value.contains('\n');
    let text = lines.into_iter().filter(usable);
    text.map(|(name, value)| format!("{name}={value}\n"))
        .collect()
}

fn result(call: &Call, done: &Finished) -> CallResult {
    let code = match done.end {
        End::Exited(code) => code,
        End::TimedOut => {
            return failed(format!(
                "{} did not end within {} ms",
                call.kind, call.timeout_ms
            ));
        }
        End::Signalled(signal) => {
            return failed(format!("{} was ended by signal {signal}", call.kind));
        }
        End::Cancelled => return failed(format!("{} was cancelled", call.kind)),
    };
    match (call.verb, code) {
        (Verb::Status, 0) => CallResult::Status(Power::On),
        (Verb::Status, STATUS_OFF) => CallResult::Status(Power::Off),
        (Verb::List, 0) => CallResult::Targets(targets(&done.stdout.text())),
        (_, 0) => CallResult::Done,
        (_, code) => {
            let said = done.stderr.text();
            let last = said.lines().rev().map(str::trim).find(|l| !l.is_empty());
            failed(format!(
                "{} {} ended with code {code}: {}",
                call.kind,
                call.action,
                last.unwrap_or("it said nothing")
            ))
        }
    }
}

/// Lines `PORT` or `PORT,ALIAS`: both names are good.
fn targets(text: &str) -> Vec<String> {
    text.lines()
        .flat_map(|line| line.split(',').take(2))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn read(metadata: &str) -> Option<About> {
    let root = Element::parse(metadata.trim_start()).ok()?;
    let names = |section: &str, item: &'static str| -> BTreeSet<String> {
        root.child(section)
            .into_iter()
            .flat_map(|s| s.children_named(item).filter_map(|e| e.attr("name")))
            .map(str::to_owned)
            .collect()
    };
    Some(About {
        parameters: names("parameters", "parameter"),
        actions: names("actions", "action"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// Keeps its state in a file and shows what it was given.
    const AGENT: &str = r#"#!/bin/sh
while IFS= read -r line; do
  case "$line" in
  action=*) action=${line#action=} ;;
  plug=*) plug=${line#plug=} ;;
  password=*) password=${line#password=} ;;
  state=*) state=${line#state=} ;;
  esac
done
case "$action" in
metadata) echo '<?xml version="1.0" ?><resource-agent name="fence_t"><parameters><parameter name="plug"/></parameters><actions><action name="off"/><action name="on"/><action name="status"/><action name="list"/></actions></resource-agent>' ;;
off) [ "$password" = secret ] || { echo "Login failed" >&2; exit 1; }; echo "$plug" > "$state" ;;
on) rm -f "$state" ;;
status) [ -f "$state" ] && exit 2; exit 0 ;;
list) echo "1,n1"; echo "2,n2" ;;
*) exit 1 ;;
esac
"#;

    fn call(verb: Verb, password: &str, state: &str) -> Call {
        let parameters = [("password", password), ("state", state)];
        Call {
            device: "d".into(),
            kind: "fence_t".into(),
            verb,
            action: verb.word().into(),
            target: "n2".into(),
            port: "2".into(),
            host_argument: String::new(),
            parameters: parameters
                .iter()
                .map(|(n, v)| ((*n).into(), (*v).into()))
                .collect(),
            known: BTreeMap::new(),
            timeout_ms: 5_000,
        }
    }

    #[tokio::test]
    async fn an_agent_is_spoken_to_on_its_input() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("fence_t");
        fs::write(&path, AGENT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let agents = Agents::new(vec![dir.path().to_owned()]);
        let state = dir.path().join("state").display().to_string();
        let run = async |verb, password: &str| agents.call(&call(verb, password, &state)).await;
        assert_eq!(
            run(Verb::List, "").await,
            CallResult::Targets(vec!["1".into(), "n1".into(), "2".into(), "n2".into()])
        );
        assert_eq!(
            run(Verb::Off, "wrong").await,
            CallResult::Failed("fence_t off ended with code 1: Login failed".into())
        );
        assert_eq!(run(Verb::Status, "").await, CallResult::Status(Power::On));
        assert_eq!(run(Verb::Off, "secret").await, CallResult::Done);
        assert_eq!(fs::read_to_string(&state).unwrap(), "2\n");
        assert_eq!(run(Verb::Status, "").await, CallResult::Status(Power::Off));
        assert_eq!(run(Verb::On, "").await, CallResult::Done);
        assert_eq!(run(Verb::Reboot, "").await, CallResult::Unsupported);
    }

    #[tokio::test]
    async fn names_cannot_lead_elsewhere() {
        let agents = Agents::new(vec!["/usr/sbin".into()]);
        let mut other = call(Verb::Off, "", "");
        for kind in ["fence_/../../bin/sh", "reboot", "fence_not_there"] {
            other.kind = kind.into();
            assert!(matches!(agents.call(&other).await, CallResult::Failed(_)));
        }
    }
}
