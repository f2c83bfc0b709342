//! The constraints of a document; everything they name exists.

use super::{Feature, Maker, resources::Kind};
use std::fmt::Write as _;

/// The section.
pub(crate) fn write(maker: &mut Maker) -> String {
    let mut out = String::from("<constraints>");
    locations(maker, &mut out);
    colocations(maker, &mut out);
    orders(maker, &mut out);
    tickets(maker, &mut out);
    out + "</constraints>"
}

/// Any resource that is no device, and whether it is promotable.
fn any(maker: &mut Maker) -> Option<(String, bool)> {
    let plain: Vec<(String, bool)> = maker
        .resources
        .iter()
        .filter(|top| !top.device)
        .map(|top| (top.id.clone(), top.kind == Kind::Promotable))
        .collect();
    maker.dice.pick(&plain).cloned()
}

/// Two different resources, the earlier first.
fn two(maker: &mut Maker) -> Option<[(String, bool); 2]> {
    for _ in 0..8 {
        let (one, other) = (any(maker)?, any(maker)?);
        if one.0 != other.0 {
            return Some(match one.0 < other.0 {
                true => [one, other],
                false => [other, one],
            });
        }
    }
    None
}

fn score(maker: &mut Maker) -> &'static str {
    maker.dice.one_of(&[
        "INFINITY",
        "-INFINITY",
        "100",
        "50",
        "5",
        "-5",
        "-100",
        "1000",
    ])
}

fn mostly_together(maker: &mut Maker) -> &'static str {
    maker.dice.one_of(&[
        "INFINITY",
        "INFINITY",
        "INFINITY",
        "-INFINITY",
        "100",
        "20",
        "-20",
    ])
}

fn locations(maker: &mut Maker, out: &mut String) {
    let asymmetric = maker.has(Feature::Asymmetric);
    let wanted = [
        Feature::Location,
        Feature::Discovery,
        Feature::Misplaced,
        Feature::Asymmetric,
    ];
    if wanted.iter().any(|f| maker.has(*f)) {
        let most = if asymmetric { 6 } else { 3 };
        for _ in 0..maker.dice.range(1, most) {
            let Some((id, promotable)) = any(maker) else {
                continue;
            };
            let node = maker.dice.index(maker.nodes.len());
            let node = maker.nodes[node].name.clone();
            let mut more = String::new();
            if promotable && maker.dice.percent(40) {
                let role = maker.dice.one_of(&["Promoted", "Started", "Unpromoted"]);
                let _ = write!(more, " role=\"{role}\"");
            }
            if maker.on(Feature::Discovery, 70) {
                let how = maker.dice.one_of(&["never", "exclusive", "always"]);
                let _ = write!(more, " resource-discovery=\"{how}\"");
            }
            let (name, score) = (maker.id("loc"), score(maker));
            let _ = write!(
                out,
                "<rsc_location id=\"{name}\" rsc=\"{id}\" node=\"{node}\" score=\"{score}\"{more}/>"
            );
        }
    }
    if maker.has(Feature::LocationPatterns) {
        let pattern = maker.dice.one_of(&["^rsc[12]$", "rsc.*", "^grp", "clone$"]);
        let node = maker.dice.index(maker.nodes.len());
        let node = maker.nodes[node].name.clone();
        let (name, score) = (maker.id("loc"), score(maker));
        let _ = write!(
            out,
            "<rsc_location id=\"{name}\" rsc-pattern=\"{pattern}\" node=\"{node}\" score=\"{score}\"/>"
        );
    }
    if maker.has(Feature::LocationRules) {
        for _ in 0..maker.dice.range(1, 2) {
            rule(maker, out);
        }
    }
}

fn rule(maker: &mut Maker, out: &mut String) {
    let Some((id, promotable)) = any(maker) else {
        return;
    };
    let name = maker.id("loc");
    let score = match maker.dice.percent(10) {
        true => "score-attribute=\"weight\"".to_owned(),
        false => format!("score=\"{}\"", score(maker)),
    };
    let role = match promotable && maker.dice.percent(40) {
        true => " role=\"Promoted\"",
        false => "",
    };
    let both = maker.dice.one_of(&["and", "or"]);
    let _ = write!(
        out,
        "<rsc_location id=\"{name}\" rsc=\"{id}\"><rule id=\"{name}-rule\" {score}{role} boolean-op=\"{both}\">"
    );
    for number in 1..=maker.dice.range(1, 2) {
        let test = maker.dice.one_of(&[
            "<expression id=\"ID\" attribute=\"site\" operation=\"eq\" value=\"a\"/>",
            "<expression id=\"ID\" attribute=\"site\" operation=\"ne\" value=\"b\"/>",
            "<expression id=\"ID\" attribute=\"site\" operation=\"not_defined\"/>",
            "<expression id=\"ID\" attribute=\"#uname\" operation=\"eq\" value=\"node1\"/>",
            "<expression id=\"ID\" attribute=\"#uname\" operation=\"ne\" value=\"node2\"/>",
            "<expression id=\"ID\" attribute=\"weight\" operation=\"gte\" value=\"10\" type=\"number\"/>",
            "<date_expression id=\"ID\" operation=\"gt\" start=\"2020-01-01\"/>",
            "<date_expression id=\"ID\" operation=\"lt\" end=\"2027-01-01\"/>",
            "<date_expression id=\"ID\" operation=\"date_spec\"><date_spec id=\"ID-spec\" hours=\"9-16\" weekdays=\"1-5\"/></date_expression>",
        ]);
        *out += &test.replace("ID", &format!("{name}-e{number}"));
    }
    *out += "</rule></rsc_location>";
}

fn colocations(maker: &mut Maker, out: &mut String) {
    let wanted = [
        Feature::Colocation,
        Feature::ColocationRoles,
        Feature::ColocationAttribute,
        Feature::Influence,
    ];
    if wanted.iter().any(|f| maker.has(*f)) {
        for _ in 0..maker.dice.range(1, 2) {
            colocation(maker, out);
        }
    }
    if maker.has(Feature::ColocationSets) {
        let (name, score) = (maker.id("col"), mostly_together(maker));
        let _ = write!(out, "<rsc_colocation id=\"{name}\" score=\"{score}\">");
        sets(maker, &name, out, true);
        *out += "</rsc_colocation>";
    }
}

fn colocation(maker: &mut Maker, out: &mut String) {
    let Some([mut one, mut other]) = two(maker) else {
        return;
    };
    if maker.dice.percent(50) {
        std::mem::swap(&mut one, &mut other);
    }
    let mut more = String::new();
    if maker.has(Feature::ColocationRoles) {
        if one.1 && maker.dice.percent(60) {
            let role = maker.dice.one_of(&["Promoted", "Started", "Unpromoted"]);
            let _ = write!(more, " rsc-role=\"{role}\"");
        }
        if other.1 && maker.dice.percent(70) {
            let role = maker
                .dice
                .one_of(&["Promoted", "Promoted", "Started", "Unpromoted"]);
            let _ = write!(more, " with-rsc-role=\"{role}\"");
        }
    }
    if maker.on(Feature::ColocationAttribute, 70) {
        more += " node-attribute=\"site\"";
    }
    if maker.on(Feature::Influence, 60) {
        let value = maker.dice.one_of(&["true", "false"]);
        let _ = write!(more, " influence=\"{value}\"");
    }
    let (name, score) = (maker.id("col"), mostly_together(maker));
    let _ = write!(
        out,
        "<rsc_colocation id=\"{name}\" rsc=\"{}\" with-rsc=\"{}\" score=\"{score}\"{more}/>",
        one.0, other.0
    );
}

/// One or two sets, each resource at most once.
fn sets(maker: &mut Maker, name: &str, out: &mut String, colocation: bool) {
    let mut ids: Vec<String> = maker
        .resources
        .iter()
        .filter(|top| !top.device)
        .map(|top| top.id.clone())
        .collect();
    if ids.len() > 2 && maker.dice.percent(30) {
        let gone = maker.dice.index(ids.len());
        ids.remove(gone);
    }
    let split = match maker.dice.percent(50) {
        true => maker.dice.index(ids.len()),
        false => 0,
    };
    let (left, right) = ids.split_at(split);
    for (number, set) in [left, right].into_iter().enumerate() {
        if set.is_empty() {
            continue;
        }
        let mut more = String::new();
        if maker.dice.percent(50) {
            more += " sequential=\"false\"";
            if !colocation && maker.dice.percent(40) {
                more += " require-all=\"false\"";
            }
        }
        let _ = write!(out, "<resource_set id=\"{name}-set{number}\"{more}>");
        for id in set {
            let _ = write!(out, "<resource_ref id=\"{id}\"/>");
        }
        *out += "</resource_set>";
    }
}

fn orders(maker: &mut Maker, out: &mut String) {
    if maker.has(Feature::Order) || maker.has(Feature::OrderRoles) {
        for _ in 0..maker.dice.range(1, 2) {
            order(maker, out);
        }
    }
    if maker.has(Feature::OrderSets) {
        let name = maker.id("ord");
        let kind = maker.dice.one_of(&["Mandatory", "Mandatory", "Optional"]);
        let _ = write!(out, "<rsc_order id=\"{name}\" kind=\"{kind}\">");
        sets(maker, &name, out, false);
        *out += "</rsc_order>";
    }
}

fn order(maker: &mut Maker, out: &mut String) {
    let Some([one, other]) = two(maker) else {
        return;
    };
    let mut more = String::new();
    let mut symmetrical = true;
    if maker.has(Feature::OrderRoles) {
        for (which, promotable) in [("first", one.1), ("then", other.1)] {
            if promotable && maker.dice.percent(60) {
                let action = maker
                    .dice
                    .one_of(&["promote", "promote", "start", "demote"]);
                symmetrical &= action != "demote";
                let _ = write!(more, " {which}-action=\"{action}\"");
            } else if maker.dice.percent(10) {
                let action = maker.dice.one_of(&["start", "stop"]);
                symmetrical &= action != "stop";
                let _ = write!(more, " {which}-action=\"{action}\"");
            }
        }
    }
    if !symmetrical || maker.dice.percent(15) {
        more += " symmetrical=\"false\"";
    } else if maker.dice.percent(10) {
        more += " require-all=\"false\"";
    }
    let kind = maker
        .dice
        .one_of(&["Mandatory", "Mandatory", "Optional", "Serialize"]);
    if kind == "Serialize" {
        more = more.replace(" symmetrical=\"false\"", "");
    }
    let name = maker.id("ord");
    let _ = write!(
        out,
        "<rsc_order id=\"{name}\" first=\"{}\" then=\"{}\" kind=\"{kind}\"{more}/>",
        one.0, other.0
    );
}

fn tickets(maker: &mut Maker, out: &mut String) {
    if !maker.has(Feature::Tickets) {
        return;
    }
    for _ in 0..maker.dice.range(1, 2) {
        let Some((id, promotable)) = any(maker) else {
            return;
        };
        let ticket = maker.dice.one_of(&["ticketA", "ticketA", "ticketB"]);
        let policies: &[&str] = match maker.fencing {
            true => &["stop", "demote", "fence", "freeze"],
            false => &["stop", "demote", "freeze"],
        };
        let policy = maker.dice.one_of(policies);
        let role = match promotable && maker.dice.percent(50) {
            true => " rsc-role=\"Promoted\"",
            false => "",
        };
        let name = maker.id("tick");
        let _ = write!(
            out,
            "<rsc_ticket id=\"{name}\" rsc=\"{id}\" ticket=\"{ticket}\" loss-policy=\"{policy}\"{role}/>"
        );
    }
}
