//! Rules of 2.1.5 that 3.0.2 has changed and that ours can be asked to take as they were: what 2.1.5 says is then
//! recomputed, and all of it must be alike.

/// One of them.
pub(super) struct Rule {
    /// As `crm_simulate --earlier` knows it.
    name: &'static str,
    /// The known change, in words.
    pub(super) change: &'static str,
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "in-order",
        change: "what must be together or apart is seen to first",
    },
    Rule {
        name: "unyielding",
        change: "a resource leaves a place to the dependent that must not be with it and has no other",
    },
    Rule {
        name: "instances-alone",
        change: "what a clone would like to be with, and what is to be with it, counts for its instances",
    },
    Rule {
        name: "apart-in-any-role",
        change: "what is to be apart in a role may be together in another",
    },
    Rule {
        name: "last-link",
        change: "each colocation of a chain weighs a wish that comes through it",
    },
    Rule {
        name: "one-try",
        change: "an instance is tried again where it is, as if nothing had been tried",
    },
    Rule {
        name: "inactive-in-between",
        change: "instances without a place come last",
    },
    Rule {
        name: "fence-in-turn",
        change: "nodes are fenced at the same time unless that is switched off",
    },
    Rule {
        name: "next-instance",
        change: "instances of an ordered clone wait for all earlier ones",
    },
    Rule {
        name: "group-gaps",
        change: "a member of a group starts after the stop of a later one that is up without it",
    },
    Rule {
        name: "groups-twice",
        change: "wishes that come through a group count once, also before it is placed",
    },
    Rule {
        name: "plain-sums",
        change: "INFINITY and anything is INFINITY in the promotion scores of groups, too",
    },
    Rule {
        name: "same-node-as-clone",
        change: "what must be with a clone minds the node attribute",
    },
    Rule {
        name: "held-where-active",
        change: "a resource that is active on a node in maintenance is so everywhere",
    },
    Rule {
        name: "on-fail-as-it-stands",
        change: "an on-fail that cannot be is not told to the executor",
    },
    Rule {
        name: "expected-anywhere",
        change: "what leaves several nodes for another is started there",
    },
    Rule {
        name: "promoted-without",
        change: "what is to be promoted beside something is not without it",
    },
    Rule {
        name: "primaries-twice",
        change: "what promoted instances are to be with counts once for which are promoted",
    },
    Rule {
        name: "lenient-groups",
        change: "what must be with a group does not start without it",
    },
    Rule {
        name: "migrating-copies",
        change: "what is active on several nodes does not migrate to where it is",
    },
    Rule {
        name: "groups-unranked",
        change: "what promoted groups are to be with counts for which are promoted",
    },
    Rule {
        name: "told-beside-promoted",
        change: "no score is told where a promoted instance is that its dependent was never to be near",
    },
];

/// Asks for rules.
pub(super) fn arguments(rules: &[Rule]) -> Vec<&'static str> {
    let names = rules.iter().map(|rule| ["--earlier", rule.name]);
    names.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_asked_for_by_name() {
        let all = arguments(RULES);
        assert_eq!(all.len(), RULES.len() * 2);
        assert_eq!(arguments(&RULES[1..2]), ["--earlier", "unyielding"]);
    }
}
