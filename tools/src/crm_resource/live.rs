//! What only a running cluster can do: forget failures, wait, restart.

use super::{arguments::Arguments, config::Definition};
use crate::common::{
    Failure, exit, names,
    output::Output,
    source::{self, Source},
};
use cib::{
    Element,
    edit::{Action, Operation},
};
use crmd_core::request::Request;
use std::time::{Duration, Instant};

/// How long a stop or a start of --restart may take if nothing is said.
const RESTART_LIMIT: Duration = Duration::from_secs(10 * 60);

/// `--timeout`, as a duration.
///
/// # Errors
/// It is none.
fn limit(arguments: &Arguments) -> Result<Option<Duration>, Failure> {
    let Some(text) = &arguments.timeout else {
        return Ok(None);
    };
    let ms = ocf_runner::metadata::parse_ms(text)
        .ok_or_else(|| Failure::usage(format!("'{text}' is no time: write it as in 60s")))?;
    Ok(Some(Duration::from_millis(ms)))
}

/// `--wait`.
///
/// # Errors
/// The cluster has not come to rest in time.
pub(super) fn wait(source: &mut Source, arguments: &Arguments) -> Result<u8, Failure> {
    let limit = limit(arguments)?;
    rest(source, limit)?;
    Ok(exit::OK)
}

fn rest(source: &mut Source, limit: Option<Duration>) -> Result<(), Failure> {
    let answer = source.live()?.call(&Request::WaitIdle, limit);
    answer.map(drop).map_err(source::of_daemon)
}

/// `--cleanup` and `--refresh`. The history of a whole resource is forgotten even if one operation
/// is named: it is looked at anew either way.
///
/// # Errors
/// The resource or node is not known, or it is refused.
pub(super) fn clean(
    source: &mut Source,
    resource: Option<&str>,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let what = resource.unwrap_or("all resources");
    let on = arguments.node.as_deref().unwrap_or("all nodes");
    if source.is_file() {
        output.line(&format!(
            "Dry run: skipping clean-up of {what} on {on} due to CIB_file"
        ));
        return Ok(exit::OK);
    }
    let limit = limit(arguments)?;
    for resource in meant(source, resource, arguments.force)? {
        let request = Request::Cleanup {
            resource,
            node: arguments.node.as_deref().map(Into::into),
            failed_only: arguments.cleanup,
        };
        let answer = source.live()?.call(&request, limit);
        answer.map_err(source::of_daemon)?;
    }
    output.line(&format!("Cleaned up {what} on {on}"));
    Ok(exit::OK)
}

/// The histories that are meant: those of every primitive of what a resource is part of, with
/// `--force` of nothing but itself; one request for all of them if none is named.
fn meant(
    source: &mut Source,
    resource: Option<&str>,
    exactly: bool,
) -> Result<Vec<Option<String>>, Failure> {
    let Some(name) = resource else {
        return Ok(vec![None]);
    };
    let state = super::state::State::read(source)?;
    let named = state.find_any(name)?;
    let whole = if exactly {
        named
    } else {
        state.view.top_of(named)
    };
    let mut ids = Vec::new();
    for place in state.view.primitives(whole) {
        let id = Some(state.constrained_id(place));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// `--restart`: stopped by its target-role (on one node by a ban), started again by taking that
/// back, each followed to its end. What was configured before is restored whatever happens.
///
/// # Errors
/// The resource is not known or does not run, or the cluster did not come to rest in time.
pub(super) fn restart(
    source: &mut Source,
    resource: &str,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let state = super::state::State::read(source)?;
    let place = state.find(resource)?;
    if state.view.locations(place).is_empty() {
        let text = format!("{resource} is not running anywhere and so cannot be restarted");
        return Err(Failure::new(exit::UNSATISFIED, text));
    }
    let limit = limit(arguments)?.unwrap_or(RESTART_LIMIT);
    let until = Instant::now() + limit;
    source.live()?;
    let hold = match &arguments.node {
        Some(node) => Hold::ban(&state.constrained_id(place), node),
        None => {
            let definition = state
                .definition(place)
                .ok_or_else(|| super::config::not_found(resource))?;
            Hold::target_role(&definition)
        }
    };
    source.apply(&hold.set)?;
    let stopped = rest(source, Some(left(until)));
    let released = source.apply(&hold.release);
    stopped?;
    released?;
    rest(source, Some(left(until)))?;
    output.line(&format!("{resource} was restarted"));
    Ok(exit::OK)
}

fn left(until: Instant) -> Duration {
    let left = until.saturating_duration_since(Instant::now());
    left.max(Duration::from_secs(1))
}

/// An edit that keeps a resource from running, and the one that takes it back.
struct Hold {
    set: Operation,
    release: Operation,
}

impl Hold {
    fn target_role(definition: &Definition) -> Self {
        let id = definition.id();
        let element = definition.element;
        let sets = element.children_named("meta_attributes");
        let present = sets
            .flat_map(|s| s.children_named("nvpair").map(move |p| (s, p)))
            .find(|(_, p)| p.attr("name") == Some("target-role"));
        let set_id = present
            .and_then(|(s, _)| s.id())
            .map_or_else(|| format!("{id}-meta_attributes"), str::to_owned);
        let pair_id = present.and_then(|(_, p)| p.id()).map_or_else(
            || format!("{set_id}-{}", names::sanitized("target-role")),
            str::to_owned,
        );
        let with = |pair: Element| {
            let set = Element::new("meta_attributes").with_attr("id", &set_id);
            let owner = Element::new(element.name()).with_attr("id", id);
            let owner = owner.with_child(set.with_child(pair));
            let mut edit = Operation::new(Action::Modify, Some(owner)).in_section("resources");
            edit.allow_create = true;
            edit
        };
        let stopped = Element::new("nvpair")
            .with_attr("id", &pair_id)
            .with_attr("name", "target-role")
            .with_attr("value", "Stopped");
        let gone = Element::new("nvpair").with_attr("id", &pair_id);
        let release = match present {
            Some((_, before)) => with(before.clone()),
            None => Operation::new(Action::Delete, Some(gone)).in_section("resources"),
        };
        Self {
            set: with(stopped),
            release,
        }
    }

    fn ban(resource: &str, node: &str) -> Self {
        let id = format!("cli-ban-{resource}-on-{node}-restart");
        let ban = Element::new("rsc_location")
            .with_attr("id", &id)
            .with_attr("rsc", resource)
            .with_attr("node", node)
            .with_attr("score", "-INFINITY");
        let mut set = Operation::new(Action::Modify, Some(ban)).in_section("constraints");
        set.allow_create = true;
        let gone = Element::new("rsc_location").with_attr("id", &id);
        let release = Operation::new(Action::Delete, Some(gone)).in_section("constraints");
        Self { set, release }
    }
}

/// `--delete`: the definition.
///
/// # Errors
/// Its kind was not given, or the change is refused.
pub(super) fn delete(
    source: &mut Source,
    resource: &str,
    arguments: &Arguments,
) -> Result<u8, Failure> {
    let kind = arguments
        .resource_type
        .as_deref()
        .ok_or_else(|| Failure::usage("You need to specify a resource type with -t"))?;
    let named = Element::new(kind).with_attr("id", resource);
    source.apply(&Operation::new(Action::Delete, Some(named)).in_section("resources"))?;
    Ok(exit::OK)
}
