//! Makes a document smaller as long as the two programs still differ in the same part.

use super::compare::{self, Part, Programs};
use cib::Element;

/// Where an element stands: positions among the children from the root down.
type Place = Vec<usize>;

/// A document from which nothing can be taken without the difference going away.
pub(crate) fn smallest(programs: &Programs, document: &str, part: Part, seed: u64) -> String {
    let Ok(mut best) = Element::parse(document) else {
        return document.to_owned();
    };
    let at_first = compare::one(programs, document, part, seed);
    let differs = |cib: &Element| {
        // The same difference: most of what is left was said at first too.
        let lines = compare::one(programs, &cib.to_xml_compact(), part, seed | 1);
        let same = lines.iter().filter(|l| at_first.contains(l)).count();
        same > 0 && same * 4 >= lines.len() * 3
    };
    loop {
        let before = size(&best);
        take_elements(&mut best, &differs);
        take_attributes(&mut best, &differs);
        if size(&best) == before {
            return best.to_xml();
        }
    }
}

fn size(element: &Element) -> usize {
    1 + element.attrs().len() + element.children().map(size).sum::<usize>()
}

/// Whole branches first, from the end: what came later hangs on what came before.
fn take_elements(best: &mut Element, differs: &impl Fn(&Element) -> bool) {
    // Sections stay.
    let mut depth = 3;
    loop {
        let mut places = Vec::new();
        at_depth(best, depth, &mut Vec::new(), &mut places);
        if places.is_empty() {
            return;
        }
        for place in places.iter().rev() {
            let mut smaller = best.clone();
            remove(&mut smaller, place);
            if smaller != *best && differs(&smaller) {
                *best = smaller;
            }
        }
        depth += 1;
    }
}

fn at_depth(element: &Element, depth: usize, here: &mut Place, out: &mut Vec<Place>) {
    if depth == 0 {
        out.push(here.clone());
        return;
    }
    for (position, child) in element.children().enumerate() {
        here.push(position);
        at_depth(child, depth - 1, here, out);
        here.pop();
    }
}

fn remove(element: &mut Element, place: &[usize]) {
    match place {
        [] => {}
        [last] => {
            if needed(element, *last) {
                return;
            }
            let mut position = 0;
            element.retain_children(|_| {
                position += 1;
                position != last + 1
            });
        }
        [first, rest @ ..] => {
            if let Some(child) = element.children_mut().nth(*first) {
                remove(child, rest);
            }
        }
    }
}

/// A clone, group or rule of nothing is no valid document, and programs differ about it for other reasons.
fn needed(element: &Element, position: usize) -> bool {
    let inside = |child: &Element| match element.name() {
        "clone" | "group" => matches!(child.name(), "primitive" | "group"),
        "rule" => true,
        _ => false,
    };
    let taken = element.children().nth(position);
    taken.is_some_and(inside) && element.children().filter(|c| inside(c)).count() == 1
}

/// Attributes of constraints and operations that need not be there.
const OPTIONAL: &[&str] = &[
    "role",
    "rsc-role",
    "with-rsc-role",
    "first-action",
    "then-action",
    "symmetrical",
    "require-all",
    "sequential",
    "influence",
    "node-attribute",
    "resource-discovery",
    "on-fail",
    "kind",
    "op-digest",
    "op-force-restart",
    "op-restart-digest",
];

fn take_attributes(best: &mut Element, differs: &impl Fn(&Element) -> bool) {
    for name in OPTIONAL {
        let mut number = 0;
        loop {
            let mut smaller = best.clone();
            let mut at = 0;
            if !strip(&mut smaller, name, &mut at, number) {
                break;
            }
            if differs(&smaller) {
                *best = smaller;
            } else {
                number += 1;
            }
        }
    }
}

/// Takes the attribute from the element that is the `wanted`th to have it.
fn strip(element: &mut Element, name: &str, at: &mut usize, wanted: usize) -> bool {
    if element.attr(name).is_some() {
        if *at == wanted {
            return element.remove_attr(name);
        }
        *at += 1;
    }
    element
        .children_mut()
        .any(|child| strip(child, name, at, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_not_needed() {
        let text = r#"<cib><configuration><s><a id="1"/><b id="2"><c id="3" role="x"/><d/></b></s></configuration></cib>"#;
        let mut cib = Element::parse(text).unwrap();
        let needs_c = |cib: &Element| cib.to_xml().contains("<c ");
        take_elements(&mut cib, &needs_c);
        take_attributes(&mut cib, &needs_c);
        assert_eq!(
            cib.to_xml_compact(),
            r#"<cib><configuration><s><b id="2"><c id="3"/></b></s></configuration></cib>"#
        );
    }

    #[test]
    fn leaves_something_in_a_clone() {
        let text = r#"<cib><configuration><s><clone id="1"><meta_attributes/><primitive id="2"/></clone></s></configuration></cib>"#;
        let mut cib = Element::parse(text).unwrap();
        take_elements(&mut cib, &|cib: &Element| cib.to_xml().contains("<clone "));
        assert_eq!(
            cib.to_xml_compact(),
            r#"<cib><configuration><s><clone id="1"><primitive id="2"/></clone></s></configuration></cib>"#
        );
    }
}
