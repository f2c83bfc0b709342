//! Scores of resources with several colocations: 3.0.2 sees to what must be first.

use super::super::compare::{Part, Said};
use cib::Element;
use std::collections::BTreeMap;

/// As [`super::explain`]: where the same is done, and all that differs are scores of resources that take part in
/// colocations that must be and in others.
pub(super) fn explain(cib: &Element, ours: &mut Said, peer: &Said, met: &mut Vec<&'static str>) {
    let lines = super::scores_alone(ours, peer);
    let both = of_both_kinds(cib);
    let known = |line: &String| {
        let line = line.trim_start_matches(['-', '+', ' ']);
        let id = line.split(" allocation score on ").next().unwrap_or(line);
        id != line && both.iter().any(|b| b == id)
    };
    if !lines.is_empty() && lines.iter().all(known) {
        met.push("what must be together or apart is seen to first");
        ours.remove(&Part::Scores);
    }
}

/// Resources with colocations of both kinds; sets are left to others.
fn of_both_kinds(cib: &Element) -> Vec<String> {
    let mut kinds: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for colocation in cib.descendants().filter(|e| e.name() == "rsc_colocation") {
        let score = colocation.attr("score").unwrap_or_default();
        let must = matches!(score, "INFINITY" | "+INFINITY" | "-INFINITY");
        for rsc in ["rsc", "with-rsc"]
            .iter()
            .filter_map(|a| colocation.attr(a))
        {
            let (musts, wishes) = kinds.entry(rsc).or_default();
            *musts |= must;
            *wishes |= !must;
        }
    }
    let both = kinds.into_iter().filter(|(_, (a, b))| *a && *b);
    both.map(|(id, _)| id.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scores_of_resources_with_both_kinds() {
        let document = |score: &str| {
            let text = format!(
                r#"<cib><rsc_colocation id="1" rsc="a" with-rsc="b" score="INFINITY"/><rsc_colocation id="2" rsc="a" with-rsc="c" score="{score}"/></cib>"#
            );
            Element::parse(&text).unwrap()
        };
        let said = |graph: &str, score: &str| {
            Said::from([
                (Part::Graph, vec![graph.to_owned()]),
                (Part::Summary, Vec::new()),
                (Part::Scores, vec![score.to_owned()]),
            ])
        };
        let met = |document: &Element, graph: &str, rsc: &str| {
            let mut met = Vec::new();
            let line = |n: u8| format!("{rsc} allocation score on n: {n}");
            explain(
                document,
                &mut said("g", &line(1)),
                &said(graph, &line(2)),
                &mut met,
            );
            met.len()
        };
        assert_eq!(met(&document("10"), "g", "a"), 1);
        assert_eq!(met(&document("10"), "g", "b"), 0);
        assert_eq!(met(&document("10"), "h", "a"), 0);
        assert_eq!(met(&document("-INFINITY"), "g", "a"), 0);
    }
}
