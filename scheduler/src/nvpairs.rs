//! Blocks of name-value pairs: which apply, which comes first, and where `id-ref` leads.

use std::{cell::OnceCell, collections::BTreeMap};

use cib::Element;

use crate::{
    rules::{self, Context, Recheck},
    score,
};

/// Finds elements of the document by id, for references.
pub(crate) struct Ids<'a> {
    root: &'a Element,
    index: OnceCell<BTreeMap<&'a str, &'a Element>>,
}

impl<'a> Ids<'a> {
    pub(crate) fn new(root: &'a Element) -> Self {
        Self {
            root,
            index: OnceCell::new(),
        }
    }

    /// The element that defines an id.
    pub(crate) fn find(&self, id: &str) -> Option<&'a Element> {
        self.index
            .get_or_init(|| {
                let mut index = BTreeMap::new();
                for element in self.root.descendants() {
                    if let Some(id) = element.id() {
                        index.entry(id).or_insert(element);
                    }
                }
                index
            })
            .get(id)
            .copied()
    }

    /// The element itself, or the one its `id-ref` names.
    pub(crate) fn resolve<'p>(&'p self, element: &'p Element) -> Option<&'p Element> {
        match element.attr("id-ref") {
            Some(id) => self.find(id),
            None => Some(element),
        }
    }
}

/// Reads all blocks called `kind` under `parent` into `out`; what is there already stays.
pub(crate) fn unpack(
    ids: &Ids,
    parent: &Element,
    kind: &str,
    first: Option<&str>,
    ctx: &Context,
    recheck: &mut Recheck,
    out: &mut BTreeMap<String, String>,
) {
    for block in sorted_blocks(ids, parent, kind, first) {
        if rules::block_applies(block, ctx, recheck) {
            read_pairs(ids, block, out);
        }
    }
}

/// Whether any block called `kind` under `parent` depends on a rule.
pub(crate) fn has_rules(ids: &Ids, parent: &Element, kind: &str) -> bool {
    parent
        .children_named(kind)
        .filter_map(|block| ids.resolve(block))
        .any(|block| block.child("rule").is_some())
}

fn sorted_blocks<'p>(
    ids: &'p Ids,
    parent: &'p Element,
    kind: &'p str,
    first: Option<&str>,
) -> Vec<&'p Element> {
    // Of blocks that weigh the same, the later one counts.
    let mut blocks: Vec<&Element> = parent
        .children_named(kind)
        .rev()
        .filter_map(|block| ids.resolve(block))
        .collect();
    let rank = |block: &Element| {
        let leads = first.is_some() && block.id() == first;
        let score = block.attr("score").and_then(score::parse).unwrap_or(0);
        (!leads, -i64::from(score))
    };
    blocks.sort_by_key(|block| rank(block));
    blocks
}

fn read_pairs(ids: &Ids, block: &Element, out: &mut BTreeMap<String, String>) {
    for pair in block.children_named("nvpair") {
        let Some(target) = ids.resolve(pair) else {
            continue;
        };
        let name = pair.attr("name").or_else(|| target.attr("name"));
        let (Some(name), Some(value)) = (name, target.attr("value")) else {
            continue;
        };
        if value == "#default" || out.contains_key(name) {
            continue;
        }
        out.insert(name.to_owned(), value.to_owned());
    }
}
