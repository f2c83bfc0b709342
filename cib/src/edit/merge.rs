//! Merging one element into another, and which elements are the same one.

use crate::Element;

/// Same name, and same id if the wanted element has one.
pub(super) fn is_match(element: &Element, wanted: &Element) -> bool {
    element.name() == wanted.name() && wanted.id().is_none_or(|id| element.id() == Some(id))
}

/// Same name, and every attribute of the wanted element.
pub(super) fn has_all_of(element: &Element, wanted: &Element) -> bool {
    element.name() == wanted.name()
        && wanted
            .attrs()
            .all(|(name, value)| element.attr(name) == Some(value))
}

/// Sets the attributes of `given` in `target` and does the same with every child, adding those
/// that are not there yet.
pub(super) fn merge(target: &mut Element, given: &Element) {
    for (name, value) in given.attrs() {
        let value = count_on(name, value, target.attr(name));
        target.set_attr(name, value);
    }
    for child in given.children() {
        let same = target.children().position(|c| is_match(c, child));
        match same.and_then(|at| target.children_mut().nth(at)) {
            Some(present) => merge(present, child),
            None => target.push(resolved(child)),
        }
    }
}

/// The element as it is when nothing was there before: `x++` is then 1.
pub(super) fn resolved(given: &Element) -> Element {
    let mut result = given.clone();
    let needs = |e: &Element| e.attrs().any(|(n, v)| count_on(n, v, None) != v);
    if needs(given) || given.descendants().any(needs) {
        result.retain_children(|_| false);
        result.clear_attrs();
        merge(&mut result, given);
    }
    result
}

/// Largest score; values beyond it are cut off.
const INFINITY: i64 = 1_000_000;

/// `name++` and `name+=N` count on from the present value of the attribute `name`, everything
/// else is the new value.
fn count_on(name: &str, value: &str, present: Option<&str>) -> String {
    let step = value.strip_prefix(name).and_then(|rest| match rest {
        "++" => Some(1),
        _ => rest.strip_prefix("+=").map(score),
    });
    match step {
        Some(step) => {
            let sum = score(present.unwrap_or("0")) + step;
            sum.clamp(-INFINITY, INFINITY).to_string()
        }
        None => value.to_owned(),
    }
}

/// A score; what is none counts as 0.
fn score(text: &str) -> i64 {
    match text.trim() {
        "INFINITY" | "+INFINITY" => INFINITY,
        "-INFINITY" => -INFINITY,
        number => number
            .parse()
            .map_or(0, |n: i64| n.clamp(-INFINITY, INFINITY)),
    }
}
