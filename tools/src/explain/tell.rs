//! The answer for people, short and the main thing first, and for programs.

use cib::Element;
use scheduler::explain::{Contribution, Explanation, NodeReasons, Place, Reason, Role, show_score};
use serde_json::{Value, json};

use super::{Answer, edit::Edit, remedy::Goal, remedy::Remedy};
use crate::common::output::Output;

/// How many changes of other resources are told.
const MAX_ELSEWHERE: usize = 20;

/// The answer in one sentence.
pub(super) fn headline(e: &Explanation, on: Option<&str>) -> String {
    let name = &e.resource;
    if let Some(node) = on {
        return headline_on(e, node);
    }
    let Some(first) = e.decided.first() else {
        return format!("{name} does not run: {}.", main_reason(e));
    };
    let where_now: Vec<&str> = e.current.iter().map(|p| p.node.as_str()).collect();
    let where_then: Vec<String> = e.decided.iter().map(shown_place).collect();
    let then = where_then.join(", ");
    let stays = e
        .decided
        .iter()
        .all(|p| where_now.contains(&p.node.as_str()))
        && e.current.len() == e.decided.len();
    let mut line = if stays {
        format!("{name} runs on {then} and stays there.")
    } else if e.current.is_empty() {
        format!("{name} starts on {then}.")
    } else if e.current.len() == 1 && e.decided.len() == 1 {
        let verb = if e.plan.iter().any(|l| l.starts_with("Migrate")) {
            "migrates"
        } else {
            "moves"
        };
        format!(
            "{name} {verb} from {} to {}.",
            where_now.join(", "),
            shown_place(first)
        )
    } else {
        format!(
            "{name} runs on {}, and will on {then}.",
            where_now.join(", ")
        )
    };
    for wait in &e.waits {
        line.push_str(&format!(" But {}.", wait.text));
    }
    line
}

/// As [`headline`], for the question that was asked.
fn first_line(answer: &Answer, e: &Explanation) -> String {
    let on = answer.on.as_deref();
    if !answer.promoted {
        return headline(e, on);
    }
    let name = &e.resource;
    let promoted: Vec<&str> = e
        .promotion
        .iter()
        .filter(|row| row.is_chosen)
        .map(|row| row.node.as_str())
        .collect();
    let row = e.promotion.iter().find(|row| Some(row.node.as_str()) == on);
    match (on, row) {
        (Some(node), Some(row)) if row.is_chosen => format!("{name} is promoted on {node}."),
        (Some(node), Some(row)) => match row.blockers.first() {
            Some(reason) => format!("{name} is not promoted on {node}: {}.", named(reason)),
            None => format!("{name} is not promoted on {node}."),
        },
        (Some(_), None) => headline(e, on),
        (None, _) if !promoted.is_empty() => {
            format!("{name} is promoted on {}.", promoted.join(", "))
        }
        (None, _) => {
            let first = e.promotion.iter().find_map(|row| row.blockers.first());
            let why = first.map_or_else(|| "nothing runs".to_owned(), named);
            format!("{name} is not promoted anywhere: {why}.")
        }
    }
}

fn headline_on(e: &Explanation, node: &str) -> String {
    let name = &e.resource;
    let Some(row) = e.nodes.iter().find(|row| row.node == node) else {
        return format!("{name} is not on {node}.");
    };
    if row.is_chosen {
        let score = row.score.map_or_else(String::new, |s| {
            format!(", where its score is {}", show_score(s))
        });
        let now = e.current.iter().any(|p| p.node == node);
        let verb = if now { "runs" } else { "will run" };
        return format!("{name} {verb} on {node}{score}.");
    }
    let reasons: Vec<String> = e.blockers.iter().chain(&row.blockers).map(named).collect();
    let now = e.current.iter().any(|p| p.node == node);
    let verb = if now { "leaves" } else { "is not on" };
    match reasons.first() {
        Some(reason) => format!("{name} {verb} {node}: {reason}."),
        None => format!("{name} {verb} {node}."),
    }
}

fn shown_place(place: &Place) -> String {
    match place.role {
        Role::Promoted => format!("{} (promoted)", place.node),
        _ => place.node.clone(),
    }
}

/// Why it does not run at all: what holds everywhere, else what most nodes have in common, else that every node has
/// something against it.
fn main_reason(e: &Explanation) -> String {
    if let Some(reason) = e.blockers.first() {
        return named(reason);
    }
    let firsts: Vec<&Reason> = e.nodes.iter().filter_map(|r| r.blockers.first()).collect();
    match firsts.as_slice() {
        [] => "the cluster says no reason".to_owned(),
        [first, rest @ ..] if rest.iter().all(|r| *r == *first) => named(first),
        _ => {
            let each: Vec<String> = e
                .nodes
                .iter()
                .filter_map(|row| Some(format!("{}: {}", row.node, named(row.blockers.first()?))))
                .collect();
            format!("every node is out ({})", each.join("; "))
        }
    }
}

/// A reason with the id of what it comes from.
fn named(reason: &Reason) -> String {
    match &reason.id {
        Some(id) if !says(&reason.text, id) => format!("{} [{id}]", reason.text),
        _ => reason.text.clone(),
    }
}

/// Whether a text has an id in it as a word of its own.
fn says(text: &str, id: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    text.match_indices(id).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + id.len()..].chars();
        // A colon or full stop ends a word unless the word goes on after it.
        let joined = match (after.next(), after.next()) {
            (Some(':' | '.'), Some(next)) => goes_on(next),
            (Some(':' | '.') | None, _) => false,
            (Some(next), _) => goes_on(next),
        };
        !joined && !before.is_some_and(goes_on)
    })
}

/// Everything, for people.
pub(super) fn text(answer: &Answer, cib: &Element, output: &mut Output) {
    let e = &answer.explanation;
    if !answer.edits.is_empty() {
        let all: Vec<String> = answer.edits.iter().map(ToString::to_string).collect();
        output.line(&format!("If {}:", all.join(", and ")));
    }
    output.line(&first_line(answer, e));
    if let Some(before) = &answer.before {
        let was = first_line(answer, before);
        output.line(&format!("Without that: {was}"));
        changed_rows(before, e, output);
    }
    if !answer.elsewhere.is_empty() {
        output.line("\nOther resources would:");
        for line in answer.elsewhere.iter().take(MAX_ELSEWHERE) {
            output.line(&format!("  {line}"));
        }
        let more = answer.elsewhere.len().saturating_sub(MAX_ELSEWHERE);
        if more > 0 {
            output.line(&format!("  … and {more} more"));
        }
    }
    if let Some(member) = e.member.as_ref().filter(|m| **m != e.resource) {
        output.line(&format!("\nIts place is that of its member {member}."));
    }
    table(e, answer.on.as_deref(), output);
    promotion(e, output);
    blockers(e, answer.on.as_deref(), output);
    remedies(answer, cib, output);
}

/// Nodes whose scores a supposition changes.
fn changed_rows(before: &Explanation, after: &Explanation, output: &mut Output) {
    for row in &after.nodes {
        let was = before.nodes.iter().find(|b| b.node == row.node);
        let was = was.and_then(|w| w.score);
        if was != row.score {
            let shown = |s: Option<i32>| s.map_or_else(|| "none".to_owned(), show_score);
            let (was, is) = (shown(was), shown(row.score));
            output.line(&format!("  {}: score {was} -> {is}", row.node));
        }
    }
}

fn table(e: &Explanation, on: Option<&str>, output: &mut Output) {
    let node_width = e
        .nodes
        .iter()
        .map(|r| r.node.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let is_wanted = e.nodes.iter().any(|row| row.is_wanted);
    output.line(match is_wanted {
        true => "\nScores (>: it would be there if it could run)",
        false => "\nScores (*: it will be there)",
    });
    for row in &e.nodes {
        let mark = match (row.is_chosen, row.is_wanted) {
            (true, _) => '*',
            (false, true) => '>',
            _ => ' ',
        };
        let score = row.score.map_or_else(|| "-".to_owned(), show_score);
        let instance = if row.instance == e.resource || e.member.as_ref() == Some(&row.instance) {
            String::new()
        } else {
            format!("  ({})", row.instance)
        };
        let pointer = if on == Some(row.node.as_str()) {
            "  <--"
        } else {
            ""
        };
        output.line(&format!(
            "{mark} {:<node_width$}  {score:>9}{instance}{pointer}",
            row.node
        ));
        for part in &row.contributions {
            output.line(&format!(
                "  {:<node_width$}  {:>9}  {}",
                "",
                shown_amount(part),
                with_id(&part.reason)
            ));
        }
    }
}

/// Who is promoted, with the scores that decided it.
fn promotion(e: &Explanation, output: &mut Output) {
    if e.promotion.is_empty() {
        return;
    }
    output.line("\nPromotion (*: it will be promoted)");
    let width = e.promotion.iter().map(|r| r.node.len()).max().unwrap_or(4);
    for row in &e.promotion {
        let mark = if row.is_chosen { '*' } else { ' ' };
        let score = row.score.map_or_else(|| "-".to_owned(), show_score);
        let (node, instance) = (&row.node, &row.instance);
        output.line(&format!("{mark} {node:<width$}  {score:>9}  ({instance})"));
        for part in &row.contributions {
            let (amount, text) = (shown_amount(part), with_id(&part.reason));
            output.line(&format!("  {:<width$}  {amount:>9}  {text}", ""));
        }
        for reason in &row.blockers {
            let text = with_id(reason);
            output.line(&format!(
                "  {:<width$}  {:>9}  not promoted: {text}",
                "", ""
            ));
        }
    }
}

fn shown_amount(part: &Contribution) -> String {
    let score = show_score(part.amount);
    if part.replaces {
        format!("={score}")
    } else if part.amount >= 0 {
        format!("+{score}")
    } else {
        score
    }
}

/// The id first, as people look for it.
fn with_id(reason: &Reason) -> String {
    match &reason.id {
        Some(id) if !says(&reason.text, id) => format!("{id}: {}", reason.text),
        _ => reason.text.clone(),
    }
}

fn blockers(e: &Explanation, on: Option<&str>, output: &mut Output) {
    let rows = e.nodes.iter().filter(|row| match on {
        Some(node) => row.node == node,
        None => !row.blockers.is_empty(),
    });
    let mut lines: Vec<String> = e
        .blockers
        .iter()
        .chain(&e.waits)
        .map(|reason| format!("  everywhere: {}", with_id(reason)))
        .collect();
    for row in rows {
        let each = row.blockers.iter().map(with_id);
        lines.extend(each.map(|text| format!("  {}: {text}", row.node)));
    }
    if !lines.is_empty() {
        output.line("\nBlocked by");
        for line in lines {
            output.line(&line);
        }
    }
}

fn remedies(answer: &Answer, cib: &Element, output: &mut Output) {
    if answer.search.is_none() {
        return;
    }
    let wanted = wanted(answer);
    let Some((first, rest)) = answer.remedies().split_first() else {
        if answer.cut_short() {
            output.line(&format!("\nNo change was found {wanted} in the time given to the search; --search-time SECONDS gives it more."));
        } else {
            output.line(&format!("\nNo single change was found {wanted}."));
        }
        return;
    };
    output.line(&format!("\nWhat to do {wanted} (tried on a copy)"));
    remedy(first, cib, output);
    for other in rest {
        output.line("  or");
        remedy(other, cib, output);
    }
}

fn wanted(answer: &Answer) -> String {
    let name = &answer.explanation.resource;
    match &answer.goal {
        Goal::Run => format!("so that {name} runs"),
        Goal::On(node) => format!("so that {name} runs on {node}"),
        Goal::Promoted(Some(node)) => format!("so that {name} is promoted on {node}"),
        Goal::Promoted(None) => format!("so that {name} is promoted"),
        Goal::Away(node) => format!("so that {name} leaves {node}"),
        Goal::Different if answer.promoted => {
            format!("so that {name} is promoted elsewhere")
        }
        Goal::Different => format!("so that {name} runs elsewhere"),
        Goal::NoWait => format!("so that {name} need not wait"),
    }
}

fn remedy(remedy: &Remedy, cib: &Element, output: &mut Output) {
    for edit in &remedy.edits {
        output.line(&format!("  {}", instruction(edit, cib)));
    }
    output.line(&format!("    then it runs on {}", places(&remedy.after)));
}

fn places(all: &[Place]) -> String {
    let mut nodes: Vec<String> = all.iter().map(shown_place).collect();
    nodes.dedup();
    nodes.join(", ")
}

/// The command, as it can be typed; where there is none, what to do.
fn instruction(edit: &Edit, cib: &Element) -> String {
    let Some((words, _)) = edit.command(cib) else {
        return edit.in_words();
    };
    let command = words
        .iter()
        .map(|w| quoted(w))
        .collect::<Vec<_>>()
        .join(" ");
    match edit {
        Edit::Fenced(_) => format!("{}:\n  {command}", edit.in_words()),
        _ => command,
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Everything, for programs.
pub(super) fn json(answer: &Answer, cib: &Element) -> String {
    let e = &answer.explanation;
    let remedies: Vec<Value> = answer
        .remedies()
        .iter()
        .map(|r| json_remedy(r, cib))
        .collect();
    let mut value = json!({
        "resource": e.resource,
        "kind": e.kind,
        "answer": first_line(answer, e),
        "current": json_places(&e.current),
        "decided": json_places(&e.decided),
        "plan": e.plan.iter().map(|l| l.trim()).collect::<Vec<_>>(),
        "blockers": e.blockers.iter().map(json_reason).collect::<Vec<_>>(),
        "waits": e.waits.iter().map(json_reason).collect::<Vec<_>>(),
        "nodes": e.nodes.iter().map(json_node).collect::<Vec<_>>(),
        "promotion": e.promotion.iter().map(json_node).collect::<Vec<_>>(),
        "goal": wanted(answer),
        "remedies": remedies,
        "search_cut_short": answer.cut_short(),
    });
    if let Some(object) = value.as_object_mut() {
        if let Some(member) = &e.member {
            object.insert("member".to_owned(), json!(member));
        }
        if let Some(node) = &answer.on {
            object.insert("on".to_owned(), json!(node));
        }
        if let Some(before) = &answer.before {
            let edits: Vec<String> = answer.edits.iter().map(ToString::to_string).collect();
            object.insert("if".to_owned(), json!(edits));
            object.insert("before".to_owned(), json!(json_places(&before.decided)));
            object.insert("elsewhere".to_owned(), json!(answer.elsewhere));
        }
    }
    format!("{value:#}")
}

/// One line for each resource that does not run, for programs.
pub(super) fn overview_json(all: &[Explanation]) -> String {
    let each = all
        .iter()
        .map(|e| json!({ "resource": e.resource, "kind": e.kind, "answer": headline(e, None) }));
    format!("{:#}", Value::from(each.collect::<Vec<_>>()))
}

fn json_places(all: &[Place]) -> Vec<Value> {
    let one = |p: &Place| json!({ "node": p.node, "role": p.role.text(), "instance": p.instance });
    all.iter().map(one).collect()
}

fn json_reason(reason: &Reason) -> Value {
    let mut value = json!({ "why": reason.why.as_str(), "text": reason.text });
    if let Some(object) = value.as_object_mut() {
        for (name, text) in [
            ("id", &reason.id),
            ("rule", &reason.rule),
            ("about", &reason.about),
        ] {
            if let Some(text) = text {
                object.insert(name.to_owned(), json!(text));
            }
        }
        for (name, wanted, have) in &reason.amounts {
            let amount = json!({ "name": name, "wanted": wanted, "have": have });
            let list = object.entry("amounts").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(amount);
            }
        }
    }
    value
}

fn json_node(row: &NodeReasons) -> Value {
    let part = |p: &Contribution| {
        let mut value = json_reason(&p.reason);
        if let Some(object) = value.as_object_mut() {
            object.insert("amount".to_owned(), json!(show_score(p.amount)));
            if p.replaces {
                object.insert("replaces".to_owned(), json!(true));
            }
        }
        value
    };
    json!({
        "node": row.node,
        "instance": row.instance,
        "score": row.score.map(show_score),
        "chosen": row.is_chosen,
        "wanted": row.is_wanted,
        "contributions": row.contributions.iter().map(part).collect::<Vec<_>>(),
        "blockers": row.blockers.iter().map(json_reason).collect::<Vec<_>>(),
    })
}

fn json_remedy(remedy: &Remedy, cib: &Element) -> Value {
    let steps: Vec<Value> = remedy
        .edits
        .iter()
        .map(|edit| match edit.command(cib) {
            Some((words, on_file)) => {
                json!({ "if": edit.to_string(), "command": words, "works_on_file": on_file })
            }
            None => json!({ "if": edit.to_string(), "do": edit.in_words() }),
        })
        .collect();
    json!({ "steps": steps, "after": json_places(&remedy.after) })
}

/// Everything as XML.
pub(super) fn xml(answer: &Answer, cib: &Element) -> Element {
    let e = &answer.explanation;
    let mut out = overview_xml(e);
    out.set_attr("answer", first_line(answer, e));
    for (name, all) in [("current", &e.current), ("decided", &e.decided)] {
        let mut list = Element::new(name);
        for place in all {
            list.push(xml_place(place));
        }
        out.push(list);
    }
    for reason in e.blockers.iter().chain(&e.waits) {
        out.push(xml_reason("blocker", reason));
    }
    for row in &e.nodes {
        out.push(xml_node("node", row));
    }
    for row in &e.promotion {
        out.push(xml_node("promotion", row));
    }
    if answer.cut_short() {
        out.set_attr("search-cut-short", "true");
    }
    for remedy in answer.remedies() {
        let mut element = Element::new("remedy");
        for edit in &remedy.edits {
            let mut step = Element::new("step").with_attr("if", edit.to_string());
            match edit.command(cib) {
                Some(_) => step.set_attr("command", instruction(edit, cib)),
                None => step.set_attr("do", edit.in_words()),
            }
            element.push(step);
        }
        for place in &remedy.after {
            element.push(xml_place(place));
        }
        out.push(element);
    }
    for line in &answer.elsewhere {
        out.push(Element::new("elsewhere").with_attr("action", line));
    }
    out
}

/// The answer alone, as XML.
pub(super) fn overview_xml(e: &Explanation) -> Element {
    Element::new("explanation")
        .with_attr("resource", &e.resource)
        .with_attr("kind", e.kind)
        .with_attr("answer", headline(e, None))
}

fn xml_place(place: &Place) -> Element {
    Element::new("place")
        .with_attr("node", &place.node)
        .with_attr("role", place.role.text())
        .with_attr("instance", &place.instance)
}

fn xml_reason(name: &str, reason: &Reason) -> Element {
    let mut element = Element::new(name).with_attr("why", reason.why.as_str());
    for (name, text) in [
        ("id", &reason.id),
        ("rule", &reason.rule),
        ("about", &reason.about),
    ] {
        if let Some(text) = text {
            element.set_attr(name, text);
        }
    }
    element.with_attr("text", &reason.text)
}

fn xml_node(name: &str, row: &NodeReasons) -> Element {
    let mut element = Element::new(name)
        .with_attr("name", &row.node)
        .with_attr("instance", &row.instance)
        .with_attr("chosen", row.is_chosen.to_string());
    if let Some(score) = row.score {
        element.set_attr("score", show_score(score));
    }
    for part in &row.contributions {
        let mut contribution = xml_reason("contribution", &part.reason);
        contribution.set_attr("amount", show_score(part.amount));
        element.push(contribution);
    }
    for reason in &row.blockers {
        element.push(xml_reason("blocker", reason));
    }
    element
}
