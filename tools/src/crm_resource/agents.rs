//! What agents there are, what they say, and running them past the cluster.

use super::{
    arguments::Arguments,
    config::{self, Definition},
    operations::agent_code,
    state::State,
};
use crate::{
    common::{Failure, exit, output::Output},
    stonith_admin::installed,
};
use cib::{Element, Node};
use ocf_runner::{Action, Config, Outcome, Runner, Status};
use scheduler::view::Kind;
use std::{collections::BTreeMap, time::Duration};

/// Standards of agents that this cluster runs.
const STANDARDS: [&str; 5] = ["ocf", "lsb", "service", "systemd", "stonith"];
/// How long an agent may take if nothing is said.
const TIMEOUT_MS: u64 = 20_000;
/// For the metadata of a fence agent.
const METADATA_LIMIT: Duration = Duration::from_secs(30);

/// Agents from where the daemons take them, if this node is configured.
fn runner() -> Runner {
    let mut config = Config {
        capture_bytes: 1 << 20,
        ..Config::default()
    };
    if let Ok(node) = transport::config::Config::load(&transport::config::path(None)) {
        config.ocf_root = node.paths.ocf_root;
        config.extra_dirs = node.paths.agents_dirs;
        config.scratch_dir = Some(node.paths.run_dir.join("resource-agents"));
    }
    Runner::new(config)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(exit::ERROR, format!("cannot start: {e}")))
}

fn items(parent: Element, name: &str, names: &[String]) -> Element {
    names.iter().fold(parent, |parent, item| {
        let mut element = Element::new(name);
        element.push_node(Node::Text(item.as_str().into()));
        parent.with_child(element)
    })
}

fn tell(names: &[String], list: Element, item: &str, output: &mut Output) -> u8 {
    names.iter().for_each(|name| output.line(name));
    output.element(items(list, item, names));
    exit::OK
}

/// `--list-standards`.
pub(super) fn standards(output: &mut Output) -> u8 {
    let names: Vec<String> = STANDARDS.iter().map(|s| (*s).to_owned()).collect();
    let list = Element::new("list")
        .with_attr("name", "standards")
        .with_attr("count", names.len().to_string());
    tell(&names, list, "item", output)
}

/// `--list-ocf-providers`, and with an agent `--list-ocf-alternatives`.
///
/// # Errors
/// Nobody provides it.
pub(super) fn providers(agent: Option<&str>, output: &mut Output) -> Result<u8, Failure> {
    let runner = runner();
    let mut names = runner.providers();
    let mut list = Element::new("providers");
    match agent {
        Some(agent) => {
            names.retain(|p| runner.agents(p).iter().any(|a| a == agent));
            list.set_attr("for", agent);
        }
        None => list.set_attr("standard", "ocf"),
    }
    if names.is_empty() {
        let what = agent.unwrap_or("OCF");
        return Err(Failure::no_such(format!("No providers found for {what}")));
    }
    Ok(tell(&names, list, "provider", output))
}

/// `--list-agents`.
///
/// # Errors
/// There are none.
pub(super) fn agents(spec: &str, output: &mut Output) -> Result<u8, Failure> {
    let runner = runner();
    let (standard, provider) = match spec.split_once(':') {
        Some((standard, provider)) => (standard, Some(provider)),
        None => (spec, None),
    };
    let names: Vec<String> = match (standard, provider) {
        ("ocf", Some(provider)) => runner.agents(provider),
        ("ocf", None) => {
            let mut names: Vec<String> = runner
                .providers()
                .iter()
                .flat_map(|provider| runner.agents(provider))
                .collect();
            names.sort();
            names.dedup();
            names
        }
        ("stonith", _) => installed::names(),
        ("lsb", _) => init_scripts(runner.config()),
        ("systemd", _) => units(runner.config()),
        ("service", _) => {
            let mut names = init_scripts(runner.config());
            names.extend(units(runner.config()));
            names
        }
        _ => Vec::new(),
    };
    if names.is_empty() {
        return Err(Failure::no_such(format!("No agents found for {spec}")));
    }
    let mut list = Element::new("agents").with_attr("standard", standard);
    if let Some(provider) = provider {
        list.set_attr("provider", provider);
    }
    Ok(tell(&names, list, "agent", output))
}

fn init_scripts(config: &Config) -> Vec<String> {
    let files = std::fs::read_dir(&config.init_dir)
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| file.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && name != "README")
        .collect();
    names.sort();
    names
}

/// Units as systemd lists them; none where it does not run.
fn units(config: &Config) -> Vec<String> {
    let listed = std::process::Command::new(&config.systemctl)
        .args([
            "list-unit-files",
            "--type=service",
            "--no-legend",
            "--plain",
            "--no-pager",
        ])
        .stderr(std::process::Stdio::null())
        .output();
    let text = listed.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let text = text.unwrap_or_default();
    let names = text.lines().filter_map(|l| l.split_whitespace().next());
    names
        .filter_map(|n| n.strip_suffix(".service"))
        .filter(|n| !n.ends_with('@'))
        .map(str::to_owned)
        .collect()
}

/// `--show-metadata`.
///
/// # Errors
/// There is no such agent, or it does not answer.
pub(super) fn metadata(spec: &str, output: &mut Output) -> Result<u8, Failure> {
    let parts: Vec<&str> = spec.split(':').collect();
    let text = match parts.as_slice() {
        ["ocf", provider, kind] => runtime()?
            .block_on(runner().metadata(provider, kind))
            .map(|(text, _)| text)
            .map_err(|e| Failure::no_such(format!("Metadata query for {spec} failed: {e}")))?,
        ["stonith", kind] => runtime()?
            .block_on(installed::metadata(kind, METADATA_LIMIT))
            .map_err(|e| Failure::no_such(format!("Metadata query for {spec} failed: {e}")))?,
        _ => {
            return Err(Failure::usage(format!(
                "'{spec}' is not an agent with metadata: write it as in ocf:heartbeat:IPaddr2 \
                 or stonith:fence_ipmilan"
            )));
        }
    };
    output.line(text.trim_end());
    let mut metadata = Element::new("metadata").with_attr("class", parts[0]);
    metadata.push_node(Node::Text(text.into()));
    output.element(metadata);
    Ok(exit::OK)
}

/// The instance parameters of a primitive as they stand in the configuration, its template's
/// first.
pub(super) fn parameters(document: &Element, definition: &Definition) -> BTreeMap<String, String> {
    let template = definition.element.attr("template").and_then(|id| {
        document
            .child("configuration")?
            .child("resources")?
            .find_id(id)
    });
    let mut found = BTreeMap::new();
    for element in template.into_iter().chain([definition.element]) {
        let sets = element.children_named("instance_attributes");
        for pair in sets.flat_map(|s| s.children_named("nvpair")) {
            if let (Some(name), Some(value)) = (pair.attr("name"), pair.attr("value")) {
                found
                    .entry(name.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        }
    }
    // Of several values the resource's own counts.
    for set in definition.element.children_named("instance_attributes") {
        for pair in set.children_named("nvpair") {
            if let (Some(name), Some(value)) = (pair.attr("name"), pair.attr("value")) {
                found.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    found
}

/// `NAME=VALUE` words.
///
/// # Errors
/// One is not.
pub(super) fn overrides(words: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let split = |word: &String| {
        let pair = word.split_once('=').filter(|(name, _)| !name.is_empty());
        pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .ok_or_else(|| Failure::usage(format!("'{word}' is not NAME=VALUE")))
    };
    words.iter().map(split).collect()
}

/// What is run, and on whose behalf.
struct Job {
    resource: String,
    /// As people name it: `validate`, `start`, `check`.
    title: &'static str,
    operation: &'static str,
    class: String,
    provider: Option<String>,
    kind: String,
    parameters: BTreeMap<String, String>,
    overrides: Vec<(String, String)>,
}

/// `--validate` of an agent that no resource stands for.
///
/// # Errors
/// Something needed is missing.
pub(super) fn validate_agent(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    let missing =
        |what: &str| Failure::usage(format!("--validate without a resource needs {what}"));
    let class = arguments.class.clone().ok_or_else(|| missing("--class"))?;
    let kind = arguments.agent.clone().ok_or_else(|| missing("--agent"))?;
    if class == "ocf" && arguments.provider.is_none() {
        return Err(missing("--provider"));
    }
    let mut parameters: BTreeMap<String, String> = std::env::vars()
        .filter_map(|(name, value)| Some((name.strip_prefix("OCF_RESKEY_")?.to_owned(), value)))
        .collect();
    parameters.extend(overrides(&arguments.options)?);
    let job = Job {
        resource: "test".to_owned(),
        title: "validate",
        operation: "validate-all",
        class,
        provider: arguments.provider.clone(),
        kind,
        parameters,
        overrides: overrides(&arguments.overrides)?,
    };
    run(job, arguments, output)
}

/// `--validate`, `--force-start` and their like.
///
/// # Errors
/// The resource is not known, is no primitive, or it would be dangerous.
pub(super) fn force(
    state: &State,
    resource: &str,
    arguments: &Arguments,
    own_node: &str,
    output: &mut Output,
) -> Result<u8, Failure> {
    let place = state.find_any(resource)?;
    let primitive = state.view.primitives(place).first().copied();
    let r = primitive.and_then(|p| state.resource(p));
    let (Some(primitive), Some(r)) = (primitive, r) else {
        return Err(Failure::usage(format!("'{resource}' holds no primitive")));
    };
    let shown = state.resource(place).map(|r| r.kind);
    let (title, operation) = chosen(arguments);
    if shown == Some(Kind::Group) && operation != "validate-all" {
        return Err(Failure::usage(format!(
            "'{resource}' is a group: name one of its members"
        )));
    }
    if matches!(operation, "start" | "promote") {
        refuse_second(state, primitive, own_node, arguments.force)?;
    }
    let definition = state
        .definition(primitive)
        .ok_or_else(|| config::not_found(resource))?;
    let template = definition.element.attr("template").and_then(|id| {
        state
            .document
            .child("configuration")?
            .child("resources")?
            .find_id(id)
    });
    let attr = |name: &str| {
        let own = definition.element.attr(name);
        own.or_else(|| template?.attr(name)).map(str::to_owned)
    };
    let job = Job {
        resource: r.name.clone(),
        title,
        operation,
        class: attr("class").unwrap_or_default(),
        provider: attr("provider"),
        kind: attr("type").unwrap_or_default(),
        parameters: parameters(&state.document, &definition),
        overrides: overrides(&arguments.overrides)?,
    };
    run(job, arguments, output)
}

fn chosen(arguments: &Arguments) -> (&'static str, &'static str) {
    let choices = [
        (arguments.force_start, ("start", "start")),
        (arguments.force_stop, ("stop", "stop")),
        (arguments.force_demote, ("demote", "demote")),
        (arguments.force_promote, ("promote", "promote")),
        (arguments.force_check, ("check", "monitor")),
    ];
    let found = choices.into_iter().find(|(given, _)| *given);
    found.map_or(("validate", "validate-all"), |(_, names)| names)
}

/// What the cluster has elsewhere must not be started here.
fn refuse_second(
    state: &State,
    primitive: usize,
    own_node: &str,
    force: bool,
) -> Result<(), Failure> {
    let in_clone = state
        .resource(state.view.top_of(primitive))
        .is_some_and(|r| matches!(r.kind, Kind::Clone | Kind::Bundle));
    if in_clone && !force {
        let text = "It is not safe to start or promote an instance of a clone past the cluster: \
                    say --force if you know that it may run here";
        return Err(Failure::new(exit::UNSAFE, text));
    }
    let elsewhere = state
        .view
        .locations(primitive)
        .into_iter()
        .find_map(|node| {
            let node = state.view.nodes.get(node)?;
            (node.name != own_node).then(|| node.name.clone())
        });
    match elsewhere {
        Some(node) if !in_clone => Err(Failure::new(
            exit::UNSAFE,
            format!("it runs on {node}: running it here too may destroy its data"),
        )),
        _ => Ok(()),
    }
}

fn run(job: Job, arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    let timeout_ms = match &arguments.timeout {
        None => TIMEOUT_MS,
        Some(text) => ocf_runner::metadata::parse_ms(text)
            .ok_or_else(|| Failure::usage(format!("'{text}' is no time: write it as in 20s")))?,
    };
    let mut parameters = job.parameters.clone();
    parameters.extend(job.overrides.iter().cloned());
    parameters
        .entry("CRM_meta_timeout".to_owned())
        .or_insert_with(|| timeout_ms.to_string());
    let action = Action {
        resource: job.resource.clone(),
        class: job.class.clone(),
        provider: job.provider.clone(),
        kind: job.kind.clone(),
        operation: job.operation.to_owned(),
        timeout_ms,
        parameters,
        ..Action::default()
    };
    let outcome = runtime()?.block_on(runner().run(&action, |_, _| {}));
    report(&job, &outcome, arguments, output);
    match u8::try_from(outcome.rc) {
        Ok(exit::OK) => Ok(exit::OK),
        Ok(code) => Err(Failure::new(
            code,
            format!("Error performing operation: {}", agent_code(outcome.rc)),
        )),
        Err(_) => Err(Failure::new(exit::ERROR, "the agent gave no exit code")),
    }
}

fn report(job: &Job, outcome: &Outcome, arguments: &Arguments, output: &mut Output) {
    let agent = match &job.provider {
        Some(provider) => format!("{}:{provider}:{}", job.class, job.kind),
        None => format!("{}:{}", job.class, job.kind),
    };
    let about = match arguments.resource {
        Some(_) => format!("{} for {} ({agent})", job.title, job.resource),
        None => format!("{} ({agent})", job.title),
    };
    let meaning = agent_code(outcome.rc);
    let reason = match outcome.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    output.line(&format!(
        "Operation {about} returned {} ({meaning}){reason}",
        outcome.rc
    ));
    if arguments.common.verbose > 0 {
        for (title, text) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
            text.lines()
                .for_each(|line| output.line(&format!(" > {title}: {line}")));
        }
    }
    let mut element = Element::new("resource-agent-action").with_attr("action", job.title);
    if arguments.resource.is_some() {
        element.set_attr("rsc", &job.resource);
    }
    element.set_attr("class", &job.class);
    element.set_attr("type", &job.kind);
    if let Some(provider) = &job.provider {
        element.set_attr("provider", provider);
    }
    let overrides = job
        .overrides
        .iter()
        .fold(Element::new("overrides"), |all, (n, v)| {
            all.with_child(
                Element::new("override")
                    .with_attr("name", n)
                    .with_attr("value", v),
            )
        });
    let (code, message) = execution(outcome.status);
    let mut status = Element::new("agent-status")
        .with_attr("code", outcome.rc.to_string())
        .with_attr("message", meaning)
        .with_attr("execution_code", code)
        .with_attr("execution_message", message);
    if !outcome.reason.is_empty() {
        status.set_attr("reason", &outcome.reason);
    }
    output.element(element.with_child(overrides).with_child(status));
}

/// How the execution ended: number and words of the field.
fn execution(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Done => ("0", "Done"),
        Status::Cancelled => ("1", "Cancelled"),
        Status::TimedOut => ("2", "Timed Out"),
        Status::NotSupported => ("3", "Not Supported"),
        Status::Error => ("4", "Error"),
        Status::NotInstalled => ("7", "Not installed"),
    }
}
