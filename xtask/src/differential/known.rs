//! Changes between Pacemaker 2.1.5 and 3.0.2, by which the two programs may differ.
//!
//! Each is one precise pattern with a name; the evidence for each stands in docs/results/differential.md. A pattern
//! must match both what the peer says and what we say, so that nothing else hides behind it.

use super::compare::Part;

/// Takes known changes out of both; their names are added to `met`.
pub(crate) fn apply(
    part: Part,
    mut ours: Vec<String>,
    mut peer: Vec<String>,
    _document: &str,
    met: &mut Vec<&'static str>,
) -> (Vec<String>, Vec<String>) {
    match part {
        Part::Scores => {
            rename(
                &mut peer,
                &mut ours,
                |line| {
                    let (instance, score) = line.split_once(" promotion score on none: ")?;
                    (score == "0")
                        .then(|| format!("{instance} promotion score (inactive): -INFINITY"))
                },
                "the promotion score of an inactive instance is told as such",
                met,
            );
        }
        Part::Graph | Part::Summary => {}
    }
    ours.shrink_to_fit();
    (ours, peer)
}

/// Where the peer's line in its new wording is what we say, the new wording stands for both.
fn rename(
    peer: &mut [String],
    ours: &mut [String],
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
    peer.sort();
}
