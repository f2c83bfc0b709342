//! Constraints.

use super::*;

pub(super) static CONSTRAINTS: Rule = rule(
    "constraints",
    &[],
    &[
        child(&RSC_LOCATION, Many),
        child(&RSC_COLOCATION, Many),
        child(&RSC_ORDER, Many),
        child(&RSC_TICKET, Many).since(1, 2),
    ],
);

pub(super) static LIFETIME: Rule = rule("lifetime", &[], &[child(&RULE, AtLeastOne)]);

pub(super) static RSC_LOCATION: Rule = rule(
    "rsc_location",
    &[
        must("id", Id),
        may("rsc", IdRef),
        may("rsc-pattern", Any).since(2, 6),
        may("role", Role),
        may("node", Any),
        may("score", Score),
        may("score-attribute", Any),
        may(
            "resource-discovery",
            OneOf(&["always", "never", "exclusive"]),
        )
        .since(2, 2),
    ],
    &[
        child(&RULE, Many),
        child(&RESOURCE_SET, Many).since(1, 2),
        child(&LIFETIME, Maybe).before(4, 0),
    ],
)
.further(location);

fn location(constraint: &Element, _: SchemaVersion) -> Option<(String, String)> {
    let has = |name: &str| constraint.attr(name).is_some();
    let sets = usize::from(constraint.child("resource_set").is_some());
    let whats = usize::from(has("rsc")) + usize::from(has("rsc-pattern")) + sets;
    if whats != 1 {
        return Some((
            "it does not say which resource, or says it more than once".to_owned(),
            "give one of rsc=, rsc-pattern= and <resource_set>".to_owned(),
        ));
    }
    let rules = constraint.child("rule").is_some();
    let scored = usize::from(has("score")) + usize::from(has("score-attribute"));
    let right = if rules {
        scored == 0 && !has("node")
    } else {
        has("node") && scored == 1
    };
    (!right).then(|| {
        (
            "it does not say where, or says it more than once".to_owned(),
            "give node= and score=, or <rule> elements".to_owned(),
        )
    })
}

pub(super) static RSC_COLOCATION: Rule = rule(
    "rsc_colocation",
    &[
        must("id", Id),
        may("rsc", IdRef),
        may("with-rsc", IdRef),
        may("score", Score),
        may("score-attribute", Any).before(3, 0),
        may("score-attribute-mangle", Any).before(3, 0),
        may("node-attribute", Any),
        may("rsc-role", Role),
        may("with-rsc-role", Role),
        may("influence", Any).since(3, 6),
    ],
    &[
        child(&RESOURCE_SET, Many),
        child(&LIFETIME, Maybe).before(4, 0),
    ],
)
.further(|constraint, _| {
    pair_or_sets(
        constraint,
        "rsc",
        "with-rsc",
        &["node-attribute", "rsc-role", "with-rsc-role"],
    )
});

pub(super) static RSC_ORDER: Rule = rule(
    "rsc_order",
    &[
        must("id", Id),
        may("first", IdRef),
        may("then", IdRef),
        may("first-action", OneOf(ACTIONS)),
        may("then-action", OneOf(ACTIONS)),
        may("kind", OneOf(KINDS)),
        may("score", Score),
        may("symmetrical", Boolean),
        may("require-all", Boolean).since(2, 3),
    ],
    &[
        child(&RESOURCE_SET, Many),
        child(&LIFETIME, Maybe).before(4, 0),
    ],
)
.further(|constraint, _| {
    if constraint.attr("score").is_some() && constraint.attr("kind").is_some() {
        return Some((
            "it has both 'score' and 'kind'".to_owned(),
            "keep 'kind'".to_owned(),
        ));
    }
    pair_or_sets(
        constraint,
        "first",
        "then",
        &["first-action", "then-action"],
    )
});

const ACTIONS: &[&str] = &["start", "promote", "demote", "stop"];
const KINDS: &[&str] = &["Optional", "Mandatory", "Serialize"];

/// Either two resources (with what belongs to them) or sets of them.
fn pair_or_sets(
    constraint: &Element,
    one: &str,
    other: &str,
    of_pairs: &[&str],
) -> Option<(String, String)> {
    let has = |name: &str| constraint.attr(name).is_some();
    let right = if constraint.child("resource_set").is_some() {
        !has(one) && !has(other) && !of_pairs.iter().any(|name| has(name))
    } else {
        has(one) && has(other)
    };
    (!right).then(|| {
        (
            "it does not say which resources, or says it more than once".to_owned(),
            format!("give {one}= and {other}=, or <resource_set> elements"),
        )
    })
}

pub(super) static RSC_TICKET: Rule = rule(
    "rsc_ticket",
    &[
        must("id", Id),
        may("rsc", IdRef),
        may("rsc-role", Role),
        must("ticket", Any),
        may("loss-policy", OneOf(&["stop", "demote", "fence", "freeze"])),
    ],
    &[child(&RESOURCE_SET, Many)],
)
.further(|constraint, _| {
    let sets = constraint.child("resource_set").is_some();
    (sets == constraint.attr("rsc").is_some()).then(|| {
        (
            "it does not say which resource, or says it more than once".to_owned(),
            "give rsc=, or <resource_set> elements".to_owned(),
        )
    })
});

pub(super) static RESOURCE_SET: Rule = rule(
    "resource_set",
    &[
        must("id", Id),
        may("id-ref", IdRef),
        may("sequential", Boolean),
        may("require-all", Boolean),
        may("ordering", OneOf(&["group", "listed"])).since(2, 1),
        may("action", OneOf(ACTIONS)),
        may("role", Role),
        may("score", Score),
        may("kind", OneOf(KINDS)).since(3, 0),
    ],
    &[child(&RESOURCE_REF, AtLeastOne)],
)
.by_reference();
pub(super) static RESOURCE_REF: Rule = rule("resource_ref", &[must("id", IdRef)], &[]);
