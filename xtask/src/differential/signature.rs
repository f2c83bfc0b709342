//! Short names for differences, so that those with one cause stand together.

use super::compare::Part;
use cib::Element;
use std::collections::BTreeSet;

/// What the lines say, without names and numbers.
pub(crate) fn of_difference(part: Part, lines: &[String]) -> String {
    let kinds: BTreeSet<String> = lines.iter().map(|l| plain(part, l)).collect();
    let some: Vec<String> = kinds.into_iter().take(3).collect();
    format!("{}: {}", part.name(), some.join(" | "))
}

fn plain(part: Part, line: &str) -> String {
    let words = line
        .split(['<', '('])
        .next()
        .unwrap_or(line)
        .split_whitespace();
    let words = words.filter(|w| !w.contains("on_node") && !w.contains("internal_operation_key"));
    let words = words.filter(|w| part != Part::Graph || !w.starts_with('['));
    let text: Vec<String> = words.map(nameless).collect();
    text.join(" ").chars().take(110).collect()
}

/// A word without what differs from document to document.
fn nameless(word: &str) -> String {
    let mut out = String::new();
    let mut digits = false;
    for c in word.chars() {
        match (c.is_ascii_digit(), digits) {
            (true, true) => {}
            (true, false) => out.push('9'),
            (false, _) => out.push(c),
        }
        digits = c.is_ascii_digit();
    }
    out
}

/// Which elements, options and states a small document is made of.
pub(crate) fn of_document(text: &str) -> String {
    let Ok(cib) = Element::parse(text) else {
        return String::new();
    };
    let mut words = BTreeSet::new();
    for element in cib.descendants() {
        match element.name() {
            "nvpair" => {
                let value = |name| element.attr(name).unwrap_or_default();
                words.insert(format!("{}={}", nameless(value("name")), value("value")));
            }
            "primitive" | "group" | "clone" => {
                words.insert(element.name().to_owned());
            }
            "lrm_rsc_op" => {
                let value = |name| element.attr(name).unwrap_or_default();
                words.insert(format!("did:{}:{}", value("operation"), value("rc-code")));
            }
            name if name.starts_with("rsc_") => {
                let roles: Vec<String> = element
                    .attrs()
                    .filter(|(n, _)| {
                        !["id", "rsc", "with-rsc", "first", "then", "node"].contains(n)
                    })
                    .map(|(n, v)| format!("{n}={v}"))
                    .collect();
                words.insert(format!("{name}[{}]", roles.join(",")));
            }
            _ => {}
        }
    }
    words.into_iter().collect::<Vec<_>>().join(" ")
}
