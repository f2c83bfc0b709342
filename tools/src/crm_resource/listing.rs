//! What there is and where it runs: `--list`, `--locate`, `--query-xml`.

use super::{
    arguments::Arguments,
    config::{self, Definition},
    state::State,
};
use crate::{
    common::{Failure, exit, output::Output},
    view::{self, Filter, Scene, Section, Sections, Show},
};
use cib::{Element, Node};
use scheduler::view::Kind;

fn show() -> Show {
    Show {
        sections: Sections::of(&[Section::Resources]),
        inactive: true,
        ..Show::default()
    }
}

/// `--list`.
pub(super) fn list(state: &State, output: &mut Output) {
    let show = Show {
        bare: true,
        ..show()
    };
    let filter = Filter::new(&state.view, None, None);
    let scene = Scene {
        view: &state.view,
        live: None,
        now_s: state.now_s,
        show: &show,
        filter: &filter,
    };
    for line in view::status_text(&scene, 0).lines() {
        output.line(line);
    }
    for element in view::status_xml(&scene) {
        output.element(element);
    }
}

/// `--list-raw`: every primitive, each instance with its number.
pub(super) fn list_raw(state: &State, output: &mut Output) {
    let all = state.view.top.iter();
    let primitives = all.flat_map(|top| state.view.primitives(*top));
    let names = primitives.filter_map(|place| state.resource(place).map(|r| r.id.as_str()));
    let mut list = Element::new("resources");
    for name in names {
        output.line(name);
        list.push(Element::new("resource").with_attr("id", name));
    }
    output.element(list);
}

/// `--list-cts`: for programs that test clusters.
pub(super) fn list_cts(state: &State, output: &mut Output) {
    for r in &state.view.resources {
        let kind = match r.kind {
            Kind::Primitive => "primitive",
            Kind::Group => "group",
            Kind::Clone => "clone",
            Kind::Bundle => "bundle",
        };
        let or_na =
            |text: Option<String>| text.filter(|t| !t.is_empty()).unwrap_or("NA".to_owned());
        let parent = or_na(r.parent.and_then(|p| Some(state.resource(p)?.id.clone())));
        let node = or_na(
            r.current
                .and_then(|n| Some(state.view.nodes.get(n)?.name.clone())),
        );
        let mut agent = r.agent.splitn(3, ':');
        let class = or_na(agent.next().map(str::to_owned));
        let rest: Vec<&str> = agent.collect();
        let (provider, kind_of) = match rest.as_slice() {
            [provider, kind] => ((*provider).to_owned(), (*kind).to_owned()),
            [kind] => ("NA".to_owned(), (*kind).to_owned()),
            _ => ("NA".to_owned(), "NA".to_owned()),
        };
        let managed = u64::from(r.managed) << 1;
        let flags = managed | u64::from(r.failed) << 4;
        output.line(&format!(
            "Resource: {kind} {} {} {parent} {provider} {class} {kind_of} {node} 1 {flags} \
             {flags:#018x}",
            r.id, r.name
        ));
    }
}

/// `--locate`.
///
/// # Errors
/// There is no such resource.
pub(super) fn locate(
    state: &State,
    name: &str,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let place = state.find(name)?;
    let places = state.places(place, name);
    if places.is_empty() {
        output.line_to_error(&format!("resource {name} is NOT running"));
    }
    let mut nodes = Element::new("nodes").with_attr("resource", name);
    for (node, promoted) in places {
        output.line(&match (arguments.quiet, promoted) {
            (true, _) => node.clone(),
            (false, true) => format!("resource {name} is running on: {node} Promoted"),
            (false, false) => format!("resource {name} is running on: {node}"),
        });
        let mut element = Element::new("node");
        if promoted {
            element.set_attr("state", "promoted");
        }
        element.push_node(Node::Text(node.into()));
        nodes.push(element);
    }
    output.element(nodes);
    Ok(exit::OK)
}

/// `--query-xml`, `--query-xml-raw`.
///
/// # Errors
/// There is no such resource.
pub(super) fn query(
    state: &State,
    name: &str,
    raw: bool,
    output: &mut Output,
) -> Result<u8, Failure> {
    let place = state.find_any(name)?;
    let definition = state
        .definition(place)
        .ok_or_else(|| config::not_found(name))?;
    let xml = match raw {
        true => definition.element.clone(),
        false => expanded(&state.document, &definition),
    };
    let text = xml.to_xml();
    let show = show();
    let filter = Filter::new(&state.view, None, None);
    let scene = Scene {
        view: &state.view,
        live: None,
        now_s: state.now_s,
        show: &show,
        filter: &filter,
    };
    for line in view::resource_text(&scene, place).lines() {
        output.line(line);
    }
    output.line("Resource XML:");
    output.line(text.trim_end());
    let mut content = Element::new("xml");
    content.push_node(Node::Text(text.into()));
    let mut shown = Element::new("resource_config");
    if let Some(resource) = view::resource_xml(&scene, place) {
        shown.push(resource);
    }
    output.element(shown.with_child(content));
    Ok(exit::OK)
}

/// With what a template gives it: its own content first, as the cluster takes it.
fn expanded(document: &Element, definition: &Definition) -> Element {
    let template = definition.element.attr("template").and_then(|id| {
        let resources = document.child("configuration")?.child("resources")?;
        resources
            .children_named("template")
            .find(|t| t.id() == Some(id))
    });
    let Some(template) = template else {
        return definition.element.clone();
    };
    let mut element = Element::new(definition.element.name());
    for (name, value) in template.attrs() {
        element.set_attr(name, value);
    }
    for (name, value) in definition.element.attrs() {
        if name != "template" {
            element.set_attr(name, value);
        }
    }
    for child in template.children().chain(definition.element.children()) {
        element.push(child.clone());
    }
    element
}
