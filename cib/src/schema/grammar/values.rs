//! Sets of names and values, and the rules that say when they hold.

use super::*;

// Sets of names and values.
const SET_ATTRS: &[Attr] = &[must("id", Id), may("id-ref", IdRef), may("score", Score)];
const SET_CONTENT: &[Child] = &[child(&RULE, Maybe), child(&NVPAIR, Many)];

pub(super) static CLUSTER_PROPERTY_SET: Rule = rule("cluster_property_set", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);
pub(super) static META_ATTRIBUTES: Rule = rule("meta_attributes", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);
pub(super) static INSTANCE_ATTRIBUTES: Rule = rule("instance_attributes", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);
pub(super) static UTILIZATION: Rule = rule("utilization", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);

pub(super) static NVPAIR: Rule = rule(
    "nvpair",
    &[
        must("id", Id),
        may("id-ref", IdRef).since(1, 3),
        must("name", Any),
        may("value", Any),
    ],
    &[],
)
.by_reference()
.further(|nvpair, _| {
    let reference = nvpair.attr("id-ref").is_some();
    let own = ["id", "value"]
        .into_iter()
        .find(|name| nvpair.attr(name).is_some());
    match own {
        Some(own) if reference => Some((
            format!("it has both 'id-ref' and '{own}'"),
            "keep one: a reference takes its value from the element it names".to_owned(),
        )),
        _ => None,
    }
});

fn set_reference(set: &Element, _: SchemaVersion) -> Option<(String, String)> {
    let reference = set.attr("id-ref").is_some();
    (reference && (set.attrs().len() > 1 || set.children().next().is_some())).then(|| {
        (
            "it has 'id-ref' and more besides".to_owned(),
            "keep one: a reference takes everything from the element it names".to_owned(),
        )
    })
}

// Rules: whether a set of values or a constraint holds. A static, as it contains itself.
pub(super) static RULE_CONTENT: [Child; 5] = [
    child(&EXPRESSION, Many),
    child(&DATE_EXPRESSION, Many),
    child(&RSC_EXPRESSION, Many).since(3, 4),
    child(&OP_EXPRESSION, Many).since(3, 4),
    child(&RULE, Many),
];

pub(super) static RULE: Rule = rule(
    "rule",
    &[
        must("id", Id),
        may("id-ref", IdRef),
        may("score", Score),
        may("score-attribute", Any),
        may("boolean-op", OneOf(&["or", "and"])),
        may("role", Any),
    ],
    &RULE_CONTENT,
)
.by_reference()
.further(rule_content);

fn rule_content(rule: &Element, version: SchemaVersion) -> Option<(String, String)> {
    if rule.attr("id-ref").is_some() {
        return None;
    }
    let scores = ["score", "score-attribute"]
        .into_iter()
        .filter(|name| rule.attr(name).is_some())
        .count();
    if scores > 1 {
        return Some((
            "it has both 'score' and 'score-attribute'".to_owned(),
            "keep one of them".to_owned(),
        ));
    }
    if scores == 0 && version < SchemaVersion(3, 9) {
        return Some((
            "the attribute 'score' is missing".to_owned(),
            "add it: score=\"INFINITY\", for example".to_owned(),
        ));
    }
    rule.children().next().is_none().then(|| {
        (
            "there is no expression in it".to_owned(),
            "at least one <expression>, <date_expression> or <rule> is needed".to_owned(),
        )
    })
}

pub(super) static EXPRESSION: Rule = rule(
    "expression",
    &[
        must("id", Id),
        must("attribute", Any),
        must(
            "operation",
            OneOf(&[
                "lt",
                "gt",
                "lte",
                "gte",
                "eq",
                "ne",
                "defined",
                "not_defined",
            ]),
        ),
        may("value", Any),
        may(
            "type",
            Versioned(|version| {
                let mut types = vec!["string", "number", "version"];
                if version >= SchemaVersion(3, 5) {
                    types.push("integer");
                }
                types
            }),
        ),
        may("value-source", OneOf(&["literal", "param", "meta"])).since(2, 9),
    ],
    &[],
);

pub(super) static DATE_EXPRESSION: Rule = rule(
    "date_expression",
    &[
        must("id", Id),
        must("operation", OneOf(&["in_range", "gt", "lt", "date_spec"])),
        may("start", Any),
        may("end", Any),
    ],
    &[child(&DURATION, Maybe), child(&DATE_SPEC, Maybe)],
)
.further(date_expression);

fn date_expression(date: &Element, _: SchemaVersion) -> Option<(String, String)> {
    let has = |name: &str| date.attr(name).is_some() || date.child(name).is_some();
    let (right, example) = match date.attr("operation")? {
        "in_range" => (
            (has("end") && !has("duration")) || (has("start") && has("duration") && !has("end")),
            "give end=, start= and end=, or start= and a <duration>",
        ),
        "gt" => (has("start") && !has("end"), "give start="),
        "lt" => (has("end") && !has("start"), "give end="),
        "date_spec" => (has("date_spec"), "put a <date_spec> into it"),
        _ => return None,
    };
    (!right).then(|| {
        (
            "what the operation compares with is missing or too much".to_owned(),
            example.to_owned(),
        )
    })
}

const DATE_ATTRS: &[Attr] = &[
    must("id", Id),
    may("hours", Any),
    may("monthdays", Any),
    may("weekdays", Any),
    may("yearsdays", Any),
    may("yeardays", Any),
    may("months", Any),
    may("weeks", Any),
    may("years", Any),
    may("weekyears", Any),
    may("moon", Any).before(4, 0),
    may("minutes", Any).since(3, 8),
    may("seconds", Any).since(3, 8),
    may("days", Any).since(3, 8),
];

pub(super) static DATE_SPEC: Rule = rule("date_spec", DATE_ATTRS, &[]);
pub(super) static DURATION: Rule = rule("duration", DATE_ATTRS, &[]);

pub(super) static RSC_EXPRESSION: Rule = rule(
    "rsc_expression",
    &[
        must("id", Id),
        may("class", Any),
        may("provider", Any),
        may("type", Any),
    ],
    &[],
);

pub(super) static OP_EXPRESSION: Rule = rule(
    "op_expression",
    &[must("id", Id), must("name", Any), may("interval", Any)],
    &[],
);
