//! A patch for people: a line for each thing that changed.

use cib::{Element, patch};

/// The lines: versions, what went, what came, what was set.
pub(super) fn lines(diff: &Element) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some((from, to)) = patch::versions(diff) {
        lines.push(format!("Diff: --- {from} 2"));
        let digest = diff.attr("digest").unwrap_or("(no digest)");
        lines.push(format!("Diff: +++ {to} {digest}"));
    }
    for change in diff.children_named("change") {
        let path = change.attr("path").unwrap_or_default();
        match change.attr("operation").unwrap_or_default() {
            "delete" => lines.push(format!("-- {path}")),
            "create" => lines.extend(created(change, path)),
            "move" => {
                let position = change.attr("position").unwrap_or_default();
                lines.push(format!("+~ {path} moved to offset {position}"));
            }
            _ => lines.extend(modified(change, path)),
        }
    }
    lines
}

fn created(change: &Element, path: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for element in change.children() {
        for (at, line) in element.to_xml().lines().enumerate() {
            let lead = if at == 0 {
                format!("++ {path}: ")
            } else {
                "++ ".to_owned()
            };
            lines.push(format!("{lead} {line}"));
        }
    }
    lines
}

fn modified(change: &Element, path: &str) -> Vec<String> {
    let mut set = Vec::new();
    let mut unset = Vec::new();
    let list = change.child("change-list");
    for attribute in list.into_iter().flat_map(Element::children) {
        let name = attribute.attr("name").unwrap_or_default();
        match attribute.attr("value") {
            Some(value) if attribute.attr("operation") == Some("set") => {
                set.push(format!("@{name}={value}"));
            }
            _ => unset.push(format!("@{name}")),
        }
    }
    let line = |sign: &str, parts: &[String]| format!("{sign}  {path}:  {}", parts.join(", "));
    let mut lines = Vec::new();
    if !set.is_empty() {
        lines.push(line("+", &set));
    }
    if !unset.is_empty() {
        lines.push(line("-", &unset));
    }
    lines
}
