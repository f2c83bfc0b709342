//! What status tools show of a cluster: which sections, which nodes and resources, in which form.
//!
//! [`scheduler::view::View`] is the state; [`Show`] says how much of it is wanted and [`Filter`] of
//! what. [`text`], [`html`] and [`xml`] render it; [`status_text`] and [`status_xml`] give nodes and resources.
//! Nothing here reads the CIB, the clock or the network.

mod brief;
mod describe;
mod filter;
mod history;
mod html;
mod nodes;
mod outline;
mod resources;
mod sections;
mod summary;
mod xml;
mod xml_parts;

pub(crate) use filter::Filter;
pub(crate) use outline::Outline;
pub(crate) use sections::{Reader, Section, Sections};

use cib::Element;
use scheduler::view::{ClusterOptions, View};

/// How much to show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Show {
    /// Which sections.
    pub(crate) sections: Sections,
    /// Resources that do not run, too.
    pub(crate) inactive: bool,
    /// Resources under the nodes where they run.
    pub(crate) by_node: bool,
    /// Numbers instead of names.
    pub(crate) brief: bool,
    /// Identities of nodes, every instance, the hidden parts of bundles.
    pub(crate) detail: bool,
    /// When operations ran and how long they took.
    pub(crate) timing: bool,
    /// Bans of constraints whose ids begin so.
    pub(crate) ban_prefix: String,
}

/// What a running cluster says of itself; nothing of it is in a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// State of the cluster's daemons on this node.
    pub(crate) daemons: String,
    /// This node.
    pub(crate) node: String,
    /// Fencing, the newest first.
    pub(crate) fencing: Vec<Fencing>,
}

/// One fencing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fencing {
    /// Who was fenced.
    pub(crate) target: String,
    /// `reboot`, `off` or `on`.
    pub(crate) action: String,
    /// Which program on which node asked.
    pub(crate) client: String,
    /// The node that asked.
    pub(crate) origin: String,
    /// The node that did it; empty if nobody did.
    pub(crate) delegate: String,
    /// `success`, `failed` or `pending`.
    pub(crate) status: &'static str,
    /// When it ended, in seconds since the epoch.
    pub(crate) completed_s: i64,
}

/// What there is to show, of which state, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'v> {
    /// The state.
    pub(crate) view: &'v View,
    /// What a running cluster adds.
    pub(crate) live: Option<&'v Live>,
    /// Now, in seconds since the epoch.
    pub(crate) now_s: i64,
    /// How much.
    pub(crate) show: &'v Show,
    /// Of what.
    pub(crate) filter: &'v Filter,
}

/// Every wanted section as an outline.
fn outline(scene: &Scene<'_>) -> Vec<Outline> {
    let mut all = Vec::new();
    all.extend(summary::outline(scene));
    all.extend(nodes::outline(scene));
    all.extend(resources::outline(scene, true));
    all.extend(nodes::attributes(scene));
    all.extend(history::operations(scene));
    all.extend(history::failures(scene));
    all.extend(history::fencing(scene, "failed"));
    all.extend(summary::tickets(scene));
    all.extend(summary::bans(scene));
    all.extend(history::fencing(scene, "pending"));
    all.extend(history::fencing(scene, "success"));
    all
}

/// Everything wanted as text.
pub(crate) fn text(scene: &Scene<'_>) -> String {
    outline::text(&outline(scene), 0)
}

/// Everything wanted as a page.
pub(crate) fn html(scene: &Scene<'_>, head: &str) -> String {
    html::page(&outline(scene), head)
}

/// Everything wanted as XML.
pub(crate) fn xml(scene: &Scene<'_>) -> Vec<Element> {
    xml::elements(scene)
}

/// Nodes and resources as text, one line each, `depth` levels deep; with a last empty line.
pub(crate) fn status_text(scene: &Scene<'_>, depth: usize) -> String {
    let mut all: Vec<Outline> = Vec::new();
    all.extend(nodes::outline(scene));
    all.extend(resources::outline(scene, true));
    outline::text(&all, depth)
}

/// What keeps the cluster from managing anything, if something does.
pub(crate) fn management_text(options: &ClusterOptions) -> Option<String> {
    summary::management(options).map(|o| outline::text(&[o], 0))
}

/// Nodes and resources as XML.
pub(crate) fn status_xml(scene: &Scene<'_>) -> Vec<Element> {
    [xml::nodes(scene), xml::resources(scene)]
        .into_iter()
        .flatten()
        .collect()
}

/// One resource with its state and everything in it, as text.
pub(crate) fn resource_text(scene: &Scene<'_>, resource: usize) -> String {
    outline::text(&resources::resource(scene, resource), 0)
}

/// One resource with its state and everything in it, as XML.
pub(crate) fn resource_xml(scene: &Scene<'_>, resource: usize) -> Option<Element> {
    xml_parts::resource(scene, resource)
}

/// An outline as text.
pub(crate) fn outline_text(part: &Outline) -> String {
    outline::text(std::slice::from_ref(part), 0)
}
