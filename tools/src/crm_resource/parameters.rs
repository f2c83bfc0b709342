//! Parameters, meta-attributes and utilization of resources: shown, set and deleted.

use super::{
    arguments::Arguments,
    config::{self, Definition},
};
use crate::common::{Failure, exit, names, output::Output, source::Source};
use cib::{
    Element,
    edit::{Action, Operation},
};

/// Which attributes of a resource are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Instance,
    Meta,
    Utilization,
    /// Of the definition itself.
    Element,
}

impl Kind {
    fn of(arguments: &Arguments) -> Self {
        let property = arguments.get_property.is_some() || arguments.set_property.is_some();
        if arguments.meta {
            Self::Meta
        } else if arguments.utilization {
            Self::Utilization
        } else if arguments.element || property {
            Self::Element
        } else {
            Self::Instance
        }
    }

    fn set(self) -> &'static str {
        match self {
            Self::Instance | Self::Element => "instance_attributes",
            Self::Meta => "meta_attributes",
            Self::Utilization => "utilization",
        }
    }
}

/// Names of attribute and sets, as asked for.
struct Wanted<'a> {
    kind: Kind,
    name: &'a str,
    set: Option<&'a str>,
    id: Option<&'a str>,
    /// Exactly the resource that was named, none of its parts or parents.
    exactly: bool,
}

/// A name-value pair in its set.
struct Pair<'d> {
    set: &'d Element,
    pair: &'d Element,
}

impl<'d> Pair<'d> {
    fn id(&self) -> &'d str {
        self.pair.id().unwrap_or_default()
    }
}

/// `--get-parameter`.
///
/// # Errors
/// There is no such resource.
pub(super) fn get(
    document: &Element,
    resource: &str,
    name: &str,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let wanted = wanted(name, arguments);
    let definition = Definition::named(document, resource)?;
    let value = match wanted.kind {
        Kind::Element => definition.element.attr(name).map(str::to_owned),
        _ => effective(document, &definition, &wanted),
    };
    match value {
        Some(value) => {
            output.line(&value);
            output.element(item(name, &value));
        }
        None => output.message(format!("Attribute '{name}' not found for '{resource}'")),
    }
    Ok(exit::OK)
}

fn item(name: &str, value: &str) -> Element {
    let mut item = Element::new("item").with_attr("name", name);
    item.push_node(cib::Node::Text(value.into()));
    let list = Element::new("list").with_attr("name", "Attributes");
    list.with_child(item)
}

fn wanted<'a>(name: &'a str, arguments: &'a Arguments) -> Wanted<'a> {
    Wanted {
        kind: Kind::of(arguments),
        name,
        set: arguments.set_name.as_deref(),
        id: arguments.nvpair.as_deref(),
        exactly: arguments.force,
    }
}

/// A meta-attribute's value as it counts.
pub(super) fn meta(document: &Element, definition: &Definition, name: &str) -> Option<String> {
    let wanted = Wanted {
        kind: Kind::Meta,
        name,
        set: None,
        id: None,
        exactly: false,
    };
    effective(document, definition, &wanted)
}

/// The value that counts: its own, its template's, of meta-attributes those of what it is in and
/// the defaults of all resources.
fn effective(document: &Element, definition: &Definition, wanted: &Wanted) -> Option<String> {
    let own = |element: &Element| {
        let pair = pairs(element, wanted).into_iter().next()?;
        pair.pair.attr("value").map(str::to_owned)
    };
    let template = definition.element.attr("template").and_then(|id| {
        document
            .child("configuration")?
            .child("resources")?
            .find_id(id)
    });
    let found = own(definition.element).or_else(|| own(template?));
    if wanted.kind != Kind::Meta {
        return found;
    }
    let inherited = || definition.parents.iter().find_map(|p| own(p));
    let defaults = || {
        let defaults = document.child("configuration")?.child("rsc_defaults")?;
        own(defaults)
    };
    found.or_else(inherited).or_else(defaults)
}

/// Pairs of this name directly in an element's sets; references to other sets are followed by the
/// cluster only.
fn pairs<'d>(element: &'d Element, wanted: &Wanted) -> Vec<Pair<'d>> {
    let sets = element.children_named(wanted.kind.set());
    let sets = sets.filter(|s| wanted.set.is_none() || s.id() == wanted.set);
    sets.flat_map(|set| {
        let pairs = set.children_named("nvpair");
        pairs.map(move |pair| Pair { set, pair })
    })
    .filter(|p| p.pair.attr("name") == Some(wanted.name))
    .filter(|p| wanted.id.is_none() || p.pair.id() == wanted.id)
    .collect()
}

/// All pairs of this name in a resource and its parts.
fn pairs_below<'d>(element: &'d Element, wanted: &Wanted) -> Vec<Pair<'d>> {
    let parts = element.children().filter(|e| config::is_resource(e));
    let mut found: Vec<Pair<'d>> = parts.flat_map(|part| pairs_below(part, wanted)).collect();
    found.extend(pairs(element, wanted));
    found
}

/// `--set-parameter`.
///
/// # Errors
/// There is no such resource, or the change is refused.
pub(super) fn set(
    source: &mut Source,
    resource: &str,
    name: &str,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let Some(value) = &arguments.parameter_value else {
        return Err(Failure::usage(
            "You need to supply a value with the -v option",
        ));
    };
    let wanted = wanted(name, arguments);
    let document = source.document()?;
    let definition = Definition::named(&document, resource)?;
    if wanted.kind == Kind::Element {
        let mut element = definition.element.clone();
        element.set_attr(name, value);
        replace(source, &definition, element)?;
        output.line(&format!("Set attribute: name={name} value={value}"));
        return Ok(exit::OK);
    }
    let mut settings = Element::new("resource-settings");
    for id in targets(&document, &definition, &wanted, "update", output)? {
        let mut seen = vec![id.clone()];
        write(source, &id, &wanted, value, output, &mut settings)?;
        if arguments.recursive {
            follow(
                source,
                &id,
                &wanted,
                value,
                output,
                &mut settings,
                &mut seen,
            )?;
        }
    }
    output.element(settings);
    Ok(exit::OK)
}

/// Writes the definition back. An attribute that is the same as before counts as an edit, as in the
/// field: whoever compares versions sees that it was asked for.
fn replace(source: &mut Source, definition: &Definition, element: Element) -> Result<(), Failure> {
    if element == *definition.element {
        return source.apply(&Operation::new(Action::Bump, None));
    }
    source.apply(&Operation::new(Action::Replace, Some(element)).in_section("resources"))
}

/// The same for everything that must be where it is.
fn follow(
    source: &mut Source,
    resource: &str,
    wanted: &Wanted,
    value: &str,
    output: &mut Output,
    settings: &mut Element,
    seen: &mut Vec<String>,
) -> Result<(), Failure> {
    let document = source.document()?;
    let constraints = document
        .child("configuration")
        .and_then(|c| c.child("constraints"));
    let followers: Vec<String> = constraints
        .into_iter()
        .flat_map(|c| c.children_named("rsc_colocation"))
        .filter(|c| c.attr("with-rsc") == Some(resource))
        .filter(|c| !c.attr("score").unwrap_or_default().starts_with('-'))
        .filter_map(|c| c.attr("rsc").map(str::to_owned))
        .collect();
    for follower in followers {
        if !seen.contains(&follower) {
            seen.push(follower.clone());
            write(source, &follower, wanted, value, output, settings)?;
            follow(source, &follower, wanted, value, output, settings, seen)?;
        }
    }
    Ok(())
}

/// Sets it in exactly this resource.
fn write(
    source: &mut Source,
    resource: &str,
    wanted: &Wanted,
    value: &str,
    output: &mut Output,
    settings: &mut Element,
) -> Result<(), Failure> {
    let document = source.document()?;
    let definition = Definition::named(&document, resource)?;
    let element = definition.element;
    let kind = wanted.kind.set();
    let present = pairs(element, wanted).into_iter().next();
    let made_set = || format!("{resource}-{kind}");
    let set_id = match &present {
        Some(found) => found.set.id().unwrap_or_default().to_owned(),
        None => wanted.set.map_or_else(made_set, str::to_owned),
    };
    let made_id = || format!("{set_id}-{}", names::sanitized(wanted.name));
    let id = match &present {
        Some(found) => found.id().to_owned(),
        None => wanted.id.map_or_else(made_id, str::to_owned),
    };
    let pair = Element::new("nvpair")
        .with_attr("id", &id)
        .with_attr("name", wanted.name)
        .with_attr("value", value);
    let set = Element::new(kind).with_attr("id", &set_id).with_child(pair);
    let owner = Element::new(element.name()).with_attr("id", definition.id());
    let mut edit = Operation::new(Action::Modify, Some(owner.clone().with_child(set.clone())))
        .in_section("resources");
    edit.allow_create = true;
    source.apply(&edit)?;
    let within = match present {
        Some(_) => String::new(),
        None => format!(" set={set_id}"),
    };
    let name = wanted.name;
    output.line(&format!(
        "Set '{resource}' option: id={id}{within} name={name} value={value}"
    ));
    settings.push(owner.with_child(set));
    Ok(())
}

/// `--delete-parameter`.
///
/// # Errors
/// There is no such resource or attribute, or the change is refused.
pub(super) fn delete(
    source: &mut Source,
    resource: &str,
    name: &str,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let wanted = wanted(name, arguments);
    let document = source.document()?;
    let definition = Definition::named(&document, resource)?;
    if wanted.kind == Kind::Element {
        let mut element = definition.element.clone();
        element.remove_attr(name);
        replace(source, &definition, element)?;
        output.line(&format!("Deleted attribute: {name}"));
        return Ok(exit::OK);
    }
    let mut settings = Element::new("resource-settings");
    for id in targets(&document, &definition, &wanted, "delete", output)? {
        let target = Definition::named(&document, &id)?;
        let found = pairs(target.element, &wanted);
        let Some(found) = found.first() else {
            return Err(Failure::no_such(format!(
                "Attribute '{name}' not found for '{id}'"
            )));
        };
        let pair = Element::new("nvpair").with_attr("id", found.id());
        source.apply(&Operation::new(Action::Delete, Some(pair)).in_section("resources"))?;
        let found = found.id();
        output.line(&format!("Deleted '{id}' option: id={found} name={name}"));
        let gone = Element::new("nvpair").with_attr("id", found);
        settings.push(
            Element::new(target.element.name())
                .with_attr("id", &id)
                .with_child(gone.with_attr("name", name)),
        );
    }
    output.element(settings);
    Ok(exit::OK)
}

/// The resources whose attribute is meant. A clone's meta-attributes are those of its part, and the
/// other way round, wherever the attribute is set already; `--force` takes the named one.
fn targets(
    document: &Element,
    definition: &Definition,
    wanted: &Wanted,
    doing: &str,
    output: &mut Output,
) -> Result<Vec<String>, Failure> {
    let own = vec![definition.id().to_owned()];
    if wanted.exactly || wanted.kind != Kind::Meta {
        return Ok(own);
    }
    tell_several(definition, wanted, output);
    let name = wanted.name;
    let is_set = |element: &Element| !pairs(element, wanted).is_empty();
    if let Some(parent) = definition.parent() {
        let bundle = parent.name() == "bundle";
        let shared = config::is_clone(parent) || bundle;
        if !shared || is_set(definition.element) {
            return Ok(own);
        }
        let parent_id = parent.id().unwrap_or_default();
        // What is in a bundle runs as a clone that stands in no configuration.
        let parent_id = if bundle {
            format!("{parent_id}-clone")
        } else {
            parent_id.to_owned()
        };
        output.line(&format!(
            "Performing {doing} of '{name}' on '{parent_id}', the parent of '{}'",
            definition.id()
        ));
        Definition::named(document, &parent_id)?;
        return Ok(vec![parent_id]);
    }
    if config::is_clone(definition.element)
        && let Some(child) = definition.children().find(|child| is_set(child))
    {
        let child = child.id().unwrap_or_default();
        output.line(&format!(
            "A value for '{name}' already exists in child '{child}', performing {doing} on that \
             instead of '{}'",
            definition.id()
        ));
        return Ok(vec![child.to_owned()]);
    }
    let mut all: Vec<String> = Vec::new();
    if definition.element.name() == "group" {
        let set = definition.children().filter(|child| is_set(child));
        all.extend(set.filter_map(|child| child.id().map(str::to_owned)));
    }
    // From a group it is deleted where it is; set, it is set for the whole too.
    if doing == "update" || all.is_empty() || is_set(definition.element) {
        all.extend(own);
    }
    Ok(all)
}

fn tell_several(definition: &Definition, wanted: &Wanted, output: &mut Output) {
    let all = pairs_below(definition.top(), wanted);
    if all.len() < 2 {
        return;
    }
    output.line(&format!("Multiple attributes match name={}", wanted.name));
    for found in all {
        let value = found.pair.attr("value").unwrap_or_default();
        output.line(&format!("  Value: {value} \t(id={})", found.id()));
    }
    output.line("");
}
