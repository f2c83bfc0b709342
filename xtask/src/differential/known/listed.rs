//! Nodes that 2.1.5 lists under `Stopped` beside the instance that it has just shown there.

const LISTED: &str =
    "a node that is off is not listed for a clone that has an unmanaged instance there";

/// Takes them out of what the peer says, where we do not say them.
pub(super) fn explain(ours: &[String], peer: &mut Vec<String>, met: &mut Vec<&'static str>) {
    let off = nodes_off(peer);
    // Names in the lines of the clone that is being read.
    let mut shown: Vec<String> = Vec::new();
    peer.retain_mut(|line| {
        if line.starts_with("* Clone Set:") {
            shown.clear();
        }
        let stopped = |(title, _): &(&str, Vec<&str>)| title.starts_with("* Stopped");
        let Some((title, nodes)) = list(line).filter(stopped) else {
            if line.contains("unmanaged") || line.contains("blocked") {
                shown.extend(line.split_whitespace().map(str::to_owned));
            }
            return true;
        };
        let is_in = |names: &[String], node: &str| names.iter().any(|name| name == node);
        let twice = |node: &&str| is_in(&off, node) && is_in(&shown, node);
        let kept: Vec<&str> = nodes.iter().copied().filter(|n| !twice(n)).collect();
        let text = format!("{title}: [ {} ]", kept.join(" "));
        let nothing = kept.is_empty();
        if kept.len() == nodes.len() || !nothing && !ours.contains(&text) {
            return true;
        }
        met.push(LISTED);
        *line = text;
        !nothing
    });
}

/// `TITLE: [ NODE NODE ]`
fn list(line: &str) -> Option<(&str, Vec<&str>)> {
    let (title, rest) = line.split_once(": [ ")?;
    Some((title, rest.strip_suffix(" ]")?.split(' ').collect()))
}

fn nodes_off(summary: &[String]) -> Vec<String> {
    let mut off: Vec<String> = Vec::new();
    for line in summary {
        let names = match list(line) {
            Some(("* OFFLINE", names)) => names,
            _ => {
                let node = line.strip_prefix("* Node ");
                let name = node.and_then(|l| l.strip_suffix(": UNCLEAN (offline)"));
                name.into_iter().collect()
            }
        };
        for name in names {
            if !off.iter().any(|known| known == name) {
                off.push(name.to_owned());
            }
        }
    }
    off
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: [&str; 3] = [
        "* OFFLINE: [ n2 ]",
        "* Clone Set: c [r] (unmanaged):",
        "* r (ocf:pacemaker:Dummy): Started n2 (unmanaged)",
    ];

    fn left(shown: &[&str], theirs: &str, ours: &str) -> Vec<String> {
        let lines = |last: &str| -> Vec<String> {
            let all = shown.iter().copied().chain([last]);
            all.map(str::to_owned).collect()
        };
        let mut peer = lines(theirs);
        explain(&lines(ours), &mut peer, &mut Vec::new());
        peer.split_off(shown.len())
    }

    #[test]
    fn only_what_is_off_and_shown_in_other_hands() {
        let (one, two) = ("* Stopped: [ n1 ]", "* Stopped: [ n1 n2 ]");
        assert_eq!(left(&SHOWN, two, one), [one]);
        assert_eq!(left(&SHOWN, two, two), [two]);
        assert_eq!(left(&SHOWN[..2], two, one), [two]);
        assert_eq!(left(&SHOWN[1..], two, one), [two]);
        assert!(left(&SHOWN, "* Stopped: [ n2 ]", "").is_empty());
    }
}
