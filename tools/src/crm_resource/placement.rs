//! `--move`, `--ban` and `--clear`: location constraints with well-known ids, for ever or for a while.

use super::{arguments::Arguments, state::State};
use crate::common::{
    Failure, exit,
    moment::{Duration, Moment},
    nodes::{self, Node},
    output::Output,
    source::Source,
};
use cib::{
    Element,
    edit::{Action, Operation},
};
use scheduler::view::Kind;

/// A constraint to be made.
struct Wish<'a> {
    resource: &'a str,
    node: &'a str,
    role: &'static str,
    /// When it ends.
    until: Option<Moment>,
}

/// `--move`.
///
/// # Errors
/// The resource or the node is not known, it is not clear from where to move, it is there already
/// (without `--force`), or the change is refused.
pub(super) fn move_it(
    source: &mut Source,
    state: &State,
    resource: usize,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let Some(node) = &arguments.node else {
        return leave(source, state, resource, arguments, output);
    };
    let node = known_node(&state.document, node)?;
    let id = state.constrained_id(resource);
    let current = state.current(resource, arguments.promoted);
    let mut away = current.clone();
    if current.as_deref() == Some(node.name.as_str()) {
        if !arguments.force {
            let text = format!(
                "Error performing operation: Requested item already exists: {id} is already \
                 active on {}",
                node.name
            );
            return Err(Failure::new(exit::EXISTS, text));
        }
        away = None;
    }
    let until = ending(arguments, output)?;
    clear_of(source, &state.document, &id, Some(&node.name), true)?;
    let wish = Wish {
        resource: &id,
        node: &node.name,
        role: role(arguments),
        until,
    };
    add(source, prefer(&wish))?;
    if let (true, Some(away)) = (arguments.force, away) {
        let wish = Wish {
            node: &away,
            ..wish
        };
        make_ban(source, &wish, arguments, output)?;
    }
    Ok(exit::OK)
}

fn known_node(document: &Element, name: &str) -> Result<Node, Failure> {
    nodes::find(document, name).ok_or_else(|| {
        Failure::no_such(format!(
            "Node '{name}' not found\nError performing operation: Node not found"
        ))
    })
}

fn role(arguments: &Arguments) -> &'static str {
    match arguments.promoted {
        true => "Promoted",
        false => "Started",
    }
}

/// `--move` without a node: away from where it is.
fn leave(
    source: &mut Source,
    state: &State,
    resource: usize,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let id = state.constrained_id(resource);
    match state.current(resource, arguments.promoted) {
        Some(node) => {
            let wish = Wish {
                resource: &id,
                node: &node,
                role: role(arguments),
                until: ending(arguments, output)?,
            };
            make_ban(source, &wish, arguments, output)?;
            Ok(exit::OK)
        }
        None => {
            let active = state.view.locations(resource).len();
            let promoted = state.promoted_on(resource).len();
            let r = &state.view.resources[resource];
            let count = match (r.kind, promoted) {
                (Kind::Clone | Kind::Bundle, p) if p > 0 => {
                    format!("active in {active} locations (promoted in {p})")
                }
                _ => format!("active in {active} locations"),
            };
            Err(Failure::usage(format!(
                "Resource '{id}' not moved: {count}.\nTo prevent '{id}' from running on a \
                 specific location, specify a node.\nTo prevent '{id}' from being promoted at a \
                 specific location, specify a node and the --promoted option."
            )))
        }
    }
}

/// `--ban`.
///
/// # Errors
/// As for [`move_it`].
pub(super) fn ban(
    source: &mut Source,
    state: &State,
    resource: usize,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let Some(node) = &arguments.node else {
        return leave(source, state, resource, arguments, output);
    };
    let node = known_node(&state.document, node)?;
    let wish = Wish {
        resource: &state.constrained_id(resource),
        node: &node.name,
        role: role(arguments),
        until: ending(arguments, output)?,
    };
    make_ban(source, &wish, arguments, output)?;
    Ok(exit::OK)
}

/// `--clear`: what [`move_it`] and [`ban`] have left.
///
/// # Errors
/// The node is not known, or the change is refused.
pub(super) fn clear(
    source: &mut Source,
    document: &Element,
    resource: Option<&str>,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    if let Some(node) = &arguments.node {
        known_node(document, node)?;
    }
    let now = Moment::now();
    let node = arguments.node.as_deref();
    let ours: Vec<&Element> = constraints(document)
        .filter(|c| is_ours(c, resource))
        .filter(|c| node.is_none() || node_of(c) == node)
        .filter(|c| !arguments.expired || ended(c, now))
        .collect();
    for constraint in ours {
        remove(source, constraint)?;
        let id = constraint.id().unwrap_or_default();
        output.line(&format!("Removing constraint: {id}"));
    }
    Ok(exit::OK)
}

fn constraints(document: &Element) -> impl Iterator<Item = &Element> {
    document
        .child("configuration")
        .and_then(|c| c.child("constraints"))
        .into_iter()
        .flat_map(|c| c.children_named("rsc_location"))
}

fn is_ours(constraint: &Element, resource: Option<&str>) -> bool {
    let id = constraint.id().unwrap_or_default();
    match resource {
        Some(resource) => {
            id == format!("cli-prefer-{resource}")
                || id.starts_with(&format!("cli-ban-{resource}-on-"))
        }
        None => id.starts_with("cli-prefer-") || id.starts_with("cli-ban-"),
    }
}

/// The node a constraint is about, in either of its forms.
fn node_of(constraint: &Element) -> Option<&str> {
    let in_rule = || {
        let mut parts = constraint.descendants();
        parts
            .find(|e| e.name() == "expression" && e.attr("attribute") == Some("#uname"))?
            .attr("value")
    };
    constraint.attr("node").or_else(in_rule)
}

/// Whether its time is over.
fn ended(constraint: &Element, now: Moment) -> bool {
    let mut dates = constraint
        .descendants()
        .filter(|e| e.name() == "date_expression");
    let end = dates.next().and_then(|d| Moment::parse(d.attr("end")?));
    end.is_some_and(|end| end.epoch_s() <= now.epoch_s())
}

/// Removes the preference for any node and the ban from this one.
fn clear_of(
    source: &mut Source,
    document: &Element,
    resource: &str,
    node: Option<&str>,
    prefers: bool,
) -> Result<(), Failure> {
    let prefer = format!("cli-prefer-{resource}");
    let ban = node.map(|node| format!("cli-ban-{resource}-on-{node}"));
    for constraint in constraints(document) {
        let id = constraint.id();
        if (prefers && id == Some(&prefer)) || (id.is_some() && id == ban.as_deref()) {
            remove(source, constraint)?;
        }
    }
    Ok(())
}

fn remove(source: &mut Source, constraint: &Element) -> Result<(), Failure> {
    let named = Element::new("rsc_location").with_attr("id", constraint.id().unwrap_or_default());
    source.apply(&Operation::new(Action::Delete, Some(named)).in_section("constraints"))
}

fn add(source: &mut Source, constraint: Element) -> Result<(), Failure> {
    let mut edit = Operation::new(Action::Modify, Some(constraint)).in_section("constraints");
    edit.allow_create = true;
    source.apply(&edit)
}

/// When the constraint ends, from `--lifetime`.
fn ending(arguments: &Arguments, output: &mut Output) -> Result<Option<Moment>, Failure> {
    let Some(text) = &arguments.lifetime else {
        return Ok(None);
    };
    let end = Duration::parse(text).and_then(|length| Moment::now().after(&length));
    let end = end.ok_or_else(|| {
        Failure::usage(format!(
            "'{text}' is no duration: write it as in PT1H, PT90M, P1D"
        ))
    })?;
    if !arguments.quiet {
        output.line(&format!("Migration will take effect until: {}", end.show()));
    }
    Ok(Some(end))
}

fn make_ban(
    source: &mut Source,
    wish: &Wish,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let Wish { resource, node, .. } = wish;
    let id = format!("cli-ban-{resource}-on-{node}");
    if !arguments.quiet {
        output.line(&format!(
            "WARNING: Creating rsc_location constraint '{id}' with a score of -INFINITY for \
             resource {resource} on {node}.\n\tThis will prevent {resource} from {doing} on {node} \
             until the constraint is removed using the clear option or by editing the CIB with an \
             appropriate tool.\n\tThis will be the case even if {node} is the last node in the \
             cluster",
            doing = match arguments.promoted {
                true => "being promoted",
                false => "running",
            }
        ));
    }
    let ids = [
        format!("{id}-rule"),
        format!("{id}-expr"),
        format!("{id}-lifetime"),
    ];
    add(source, location(&id, wish, "-INFINITY", &ids))
}

fn prefer(wish: &Wish) -> Element {
    let resource = wish.resource;
    let ids = [
        format!("cli-prefer-rule-{resource}"),
        format!("cli-prefer-expr-{resource}"),
        format!("cli-prefer-lifetime-end-{resource}"),
    ];
    location(&format!("cli-prefer-{resource}"), wish, "INFINITY", &ids)
}

/// A node and a score, or with an end a rule that says the same until then.
fn location(id: &str, wish: &Wish, score: &str, ids: &[String; 3]) -> Element {
    let constraint = Element::new("rsc_location")
        .with_attr("id", id)
        .with_attr("rsc", wish.resource)
        .with_attr("role", wish.role);
    let Some(until) = wish.until else {
        return constraint
            .with_attr("node", wish.node)
            .with_attr("score", score);
    };
    let [rule, expression, end] = ids;
    let node = Element::new("expression")
        .with_attr("id", expression)
        .with_attr("attribute", "#uname")
        .with_attr("operation", "eq")
        .with_attr("value", wish.node)
        .with_attr("type", "string");
    let end = Element::new("date_expression")
        .with_attr("id", end)
        .with_attr("operation", "lt")
        .with_attr("end", until.show());
    let rule = Element::new("rule")
        .with_attr("id", rule)
        .with_attr("score", score)
        .with_attr("boolean-op", "and")
        .with_child(node)
        .with_child(end);
    constraint.with_child(rule)
}
