//! Changes between Pacemaker 2.1.5 and 3.0.2, by which the two programs may differ.
//!
//! Each is one precise pattern with a name; the evidence for each stands in docs/results/differential.md. A pattern
//! must match what the peer says and what we say, so that nothing else hides behind it.

mod cancelled;
mod listed;

use super::compare::{Part, Said, difference};
use cib::Element;

const CAPITAL: &str = "a reason begins with a capital: Not installed";

/// Takes known changes out of what both say. The names of those that were met.
pub(crate) fn explain(document: &str, ours: &mut Said, peer: &mut Said) -> Vec<&'static str> {
    let mut met = Vec::new();
    if let Some(name) = aborted(peer) {
        ours.clear();
        return vec![name];
    }
    if let (Some(ours), Some(peer)) = (ours.get_mut(&Part::Summary), peer.get_mut(&Part::Summary)) {
        flags(ours, peer, &mut met);
        listed::explain(ours, peer, &mut met);
        reword(
            peer,
            ours,
            |line| {
                line.contains("(not installed)")
                    .then(|| line.replace("(not i", "(Not i"))
            },
            CAPITAL,
            &mut met,
        );
        reword(
            peer,
            ours,
            |line| {
                let (change, stop) = line.split_once(" due to unrunnable ")?;
                stop.ends_with(" stop")
                    .then(|| format!("{change} due to unmigrateable {stop}"))
            },
            "what cannot migrate since another has to stop is told so",
            &mut met,
        );
    }
    if let (Some(ours), Some(peer)) = (ours.get_mut(&Part::Graph), peer.get_mut(&Part::Graph)) {
        fencing_attributes(document, peer, ours, &mut met);
    }
    if let (Some(ours), Some(peer)) = (ours.get_mut(&Part::Scores), peer.get_mut(&Part::Scores)) {
        reword(
            peer,
            ours,
            |line| {
                let (instance, score) = line.split_once(" promotion score on none: ")?;
                Some(format!("{instance} promotion score (inactive): {score}"))
            },
            "the promotion score of an inactive instance is told as such",
            &mut met,
        );
        reword(
            peer,
            ours,
            |line| {
                let instance = line.strip_suffix(" promotion score on none: 0")?;
                Some(format!("{instance} promotion score (inactive): -INFINITY"))
            },
            "the promotion score of an inactive instance is told as such",
            &mut met,
        );
        peer.sort();
    }
    if let Ok(cib) = Element::parse(document) {
        cancelled::explain(&cib, ours, peer, &mut met);
    }
    instances(ours, peer, &mut met);
    met
}

/// Where the peer does not answer at all.
fn aborted(peer: &Said) -> Option<&'static str> {
    let all = || peer.values().flatten();
    let says = |what: &str| all().any(|l| l.contains(what));
    if says("An invalid transition was produced") {
        return Some("2.1.5 makes a transition that it calls invalid itself");
    }
    (says("Triggered fatal assertion") && says("add_sort_index_to_node_weight"))
        .then_some("2.1.5 aborts on a promoted instance whose node is not allowed")
}

/// In which lines of scores the two differ, if that is all in which they do.
fn scores_alone(ours: &Said, peer: &Said) -> Vec<String> {
    let same = |part: Part| match (ours.get(&part), peer.get(&part)) {
        (Some(ours), Some(peer)) => ours == peer,
        _ => false,
    };
    if !same(Part::Graph) || !same(Part::Summary) {
        return Vec::new();
    }
    match (ours.get(&Part::Scores), peer.get(&Part::Scores)) {
        (Some(mine), Some(theirs)) => difference(theirs, mine),
        _ => Vec::new(),
    }
}

/// Placing instances was written anew: which instance is tried where, and with which scores, differs in many cases
/// in which everything that is done is the same. Only that, and only of instances.
fn instances(ours: &mut Said, peer: &mut Said, met: &mut Vec<&'static str>) {
    let lines = scores_alone(ours, peer);
    if !lines.is_empty() && lines.iter().all(|l| is_of_instance(l)) {
        met.push("scores of a clone's instances while they are placed, with the same decision");
        ours.remove(&Part::Scores);
    }
}

/// `NAME:NUMBER allocation score on NODE: SCORE`, also of a group that is an instance.
fn is_of_instance(line: &str) -> bool {
    let line = line.trim_start_matches(['-', '+', ' ']);
    let name = line.split(" allocation score on ").next().unwrap_or(line);
    name != line
        && name.rsplit_once(':').is_some_and(|(_, number)| {
            !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
        })
}

/// Where the peer's line in its new wording is what we say there, the new wording stands for both.
fn reword(
    peer: &mut [String],
    ours: &[String],
    new: impl Fn(&str) -> Option<String>,
    name: &'static str,
    met: &mut Vec<&'static str>,
) {
    for line in peer.iter_mut() {
        if let Some(text) = new(line)
            && ours.contains(&text)
        {
            *line = text;
            met.push(name);
        }
    }
}

/// `unmanaged` became `maintenance` where that is why, and comes last.
fn flags(ours: &mut [String], peer: &mut [String], met: &mut Vec<&'static str>) {
    for line in ours.iter_mut() {
        let moved = line.contains("Clone Set:") && line.contains("disabled, unmanaged");
        if !line.contains("maintenance") && !moved {
            continue;
        }
        let plain = with_sorted_flags(line);
        // The two changes may meet in one line.
        let reads = |l: &String| with_sorted_flags(&l.replace("(not i", "(Not i")) == plain;
        let Some(theirs) = peer.iter_mut().find(|l| reads(l)) else {
            continue;
        };
        if theirs.contains("(not i") {
            met.push(CAPITAL);
        }
        theirs.clone_from(&plain);
        *line = plain;
        met.push("maintenance mode is shown as such, not as unmanaged");
    }
    // Those of the peer's lines that stand for several of ours.
    for line in peer.iter_mut() {
        let plain = with_sorted_flags(line);
        if ours.contains(&plain) {
            *line = plain;
        }
    }
}

/// A line with what stands in its last parentheses in order, and the old word for maintenance.
fn with_sorted_flags(line: &str) -> String {
    // A list of nodes may follow, or what is in a collection.
    let (rest, end) = match line.split_once(") [ ") {
        Some((rest, _)) => line.split_at(rest.len() + 1),
        None => (
            line.strip_suffix(':').unwrap_or(line),
            if line.ends_with(':') { ":" } else { "" },
        ),
    };
    let Some((before, list)) = rest.strip_suffix(')').and_then(|l| l.rsplit_once('(')) else {
        return line.to_owned();
    };
    let list = list.replace("maintenance", "unmanaged");
    let mut flags: Vec<&str> = list.split(", ").collect();
    flags.sort_unstable();
    flags.dedup();
    format!("{before}({}){end}", flags.join(", "))
}

/// The order to fence a node no longer carries all attributes of the node.
fn fencing_attributes(
    document: &str,
    peer: &mut [String],
    ours: &[String],
    met: &mut Vec<&'static str>,
) {
    let names = node_attributes(document);
    reword(
        peer,
        ours,
        |line| {
            if !line.contains("operation=stonith") {
                return None;
            }
            let kept = line.split(' ').filter_map(|word| {
                let name = word
                    .strip_prefix("CRM_meta_")
                    .and_then(|w| w.split('=').next());
                let of_node = name.is_some_and(|name| names.iter().any(|n| n == name));
                match (of_node, word.ends_with('>')) {
                    (false, _) => Some(word.to_owned()),
                    (true, false) => None,
                    (true, true) => Some(">".to_owned()),
                }
            });
            let text = kept.collect::<Vec<_>>().join(" ").replace(" >", ">");
            let text = text.replace("<downed>", "<downed >");
            (text != line).then_some(text)
        },
        "the order to fence a node no longer carries all attributes of the node",
        met,
    );
    peer.sort();
}

fn node_attributes(document: &str) -> Vec<String> {
    let Ok(cib) = Element::parse(document) else {
        return Vec::new();
    };
    let nodes = cib.child("configuration").and_then(|c| c.child("nodes"));
    let nodes = nodes.into_iter().flat_map(Element::descendants);
    let states = cib
        .child("status")
        .into_iter()
        .flat_map(Element::descendants);
    let states = states.filter(|e| e.name() == "transient_attributes");
    let transient = states.flat_map(Element::descendants);
    nodes
        .chain(transient)
        .filter(|e| e.name() == "nvpair")
        .filter_map(|e| e.attr("name"))
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|l| (*l).to_owned()).collect()
    }

    fn said(part: Part, text: &[&str]) -> Said {
        Said::from([(part, lines(text))])
    }

    #[test]
    fn maintenance_is_another_word() {
        let mut ours = said(
            Part::Summary,
            &["* r (promotable, disabled, maintenance):", "* s (blocked)"],
        );
        let mut peer = said(
            Part::Summary,
            &["* r (promotable, unmanaged, disabled):", "* s (blocked)"],
        );
        assert_eq!(explain("<cib/>", &mut ours, &mut peer).len(), 1);
        assert_eq!(ours, peer);
    }

    #[test]
    fn what_cannot_migrate_is_another_word() {
        let say = |how: &str| format!("* Move r ( a -> b ) due to {how} s stop");
        let (old, new) = (say("unrunnable"), say("unmigrateable"));
        let met = |ours: &str, peer: &str| {
            let mut peer = said(Part::Summary, &[peer]);
            explain("<cib/>", &mut said(Part::Summary, &[ours]), &mut peer).len()
        };
        assert_eq!(met(&new, &old), 1);
        assert_eq!(met(&old, &new), 0);
        assert_eq!(met(&new, &old.replace("stop", "start")), 0);
    }

    #[test]
    fn two_changes_in_one_line() {
        let mut peer = vec!["* r (a:b): Stopped (not installed) (unmanaged)".to_owned()];
        let mut ours = vec!["* r (a:b): Stopped (Not installed) (maintenance)".to_owned()];
        let mut met = Vec::new();
        flags(&mut ours, &mut peer, &mut met);
        assert_eq!(ours, peer);
        assert_eq!(met.len(), 2);
    }

    #[test]
    fn unmanaged_is_not_maintenance_the_other_way_round() {
        let mut ours = said(Part::Summary, &["* r (unmanaged)"]);
        let mut peer = said(Part::Summary, &["* r (disabled)"]);
        assert!(explain("<cib/>", &mut ours, &mut peer).is_empty());
        assert_ne!(ours, peer);
    }

    #[test]
    fn only_attributes_of_nodes_are_left_out() {
        let document = r#"<cib><configuration><nodes><node id="1"><instance_attributes id="a"><nvpair id="b" name="site" value="b"/></instance_attributes></node></nodes></configuration></cib>"#;
        let ours =
            "[0] crm_event operation=stonith <attributes CRM_meta_stonith_action=off> <downed >";
        let theirs = "[0] crm_event operation=stonith <attributes CRM_meta_stonith_action=off CRM_meta_site=b> <downed >";
        let mut peer = said(Part::Graph, &[theirs]);
        assert_eq!(
            explain(document, &mut said(Part::Graph, &[ours]), &mut peer).len(),
            1
        );
        let mut peer = said(Part::Graph, &[theirs]);
        assert!(explain("<cib/>", &mut said(Part::Graph, &[ours]), &mut peer).is_empty());
    }

    #[test]
    fn scores_of_instances_are_explained_only_where_the_decision_is_the_same() {
        let all = |graph: &str, score: &str| {
            let mut out = said(Part::Graph, &[graph]);
            out.extend(said(Part::Summary, &["s"]));
            out.extend(said(Part::Scores, &[score]));
            out
        };
        let theirs = "r:0 allocation score on n: 1";
        let mut ours = all("g", "r:0 allocation score on n: 0");
        assert_eq!(explain("<cib/>", &mut ours, &mut all("g", theirs)).len(), 1);
        let mut ours = all("g", "r:0 allocation score on n: 0");
        assert!(explain("<cib/>", &mut ours, &mut all("h", theirs)).is_empty());
        let mut ours = all("g", "r allocation score on n: 0");
        assert!(
            explain(
                "<cib/>",
                &mut ours,
                &mut all("g", "r allocation score on n: 1")
            )
            .is_empty()
        );
    }
}
