//! What may stand where, as one table from the document inwards.

use super::{SchemaVersion, values::Kind};
use crate::Element;

/// An element in its place.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) attrs: &'static [Attr],
    /// Elements in it; nothing if whatever is in it is not checked.
    pub(super) content: Option<&'static [Child]>,
    /// Whether it may stand for another by `id-ref`, and then needs nothing of its own.
    pub(super) by_reference: bool,
    /// What tables cannot say: what is wrong, and what would be right.
    pub(super) further: Option<Further>,
}

pub(super) type Further = fn(&Element, SchemaVersion) -> Option<(String, String)>;

pub(super) struct Attr {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) versions: Versions,
}

pub(super) struct Child {
    pub(super) rule: &'static Rule,
    pub(super) count: Count,
    pub(super) versions: Versions,
}

/// How often an element may stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Once,
    Maybe,
    Any,
    Some,
}

/// Versions in which something is known: from the first to before the second.
#[derive(Clone, Copy)]
pub(super) struct Versions(SchemaVersion, SchemaVersion);

impl Versions {
    const ALL: Self = Self(SchemaVersion(0, 0), SchemaVersion(u8::MAX, 0));

    pub(super) fn holds(self, version: SchemaVersion) -> bool {
        self.0 <= version && version < self.1
    }
}

const fn must(name: &'static str, kind: Kind) -> Attr {
    Attr {
        name,
        kind,
        required: true,
        versions: Versions::ALL,
    }
}

const fn may(name: &'static str, kind: Kind) -> Attr {
    Attr {
        required: false,
        ..must(name, kind)
    }
}

impl Attr {
    const fn since(mut self, major: u8, minor: u8) -> Self {
        self.versions.0 = SchemaVersion(major, minor);
        self
    }

    const fn before(mut self, major: u8, minor: u8) -> Self {
        self.versions.1 = SchemaVersion(major, minor);
        self
    }
}

const fn child(rule: &'static Rule, count: Count) -> Child {
    Child {
        rule,
        count,
        versions: Versions::ALL,
    }
}

impl Child {
    const fn since(mut self, major: u8, minor: u8) -> Self {
        self.versions.0 = SchemaVersion(major, minor);
        self
    }

    const fn before(mut self, major: u8, minor: u8) -> Self {
        self.versions.1 = SchemaVersion(major, minor);
        self
    }
}

const fn rule(name: &'static str, attrs: &'static [Attr], content: &'static [Child]) -> Rule {
    Rule {
        name,
        attrs,
        content: Some(content),
        by_reference: false,
        further: None,
    }
}

impl Rule {
    const fn by_reference(mut self) -> Self {
        self.by_reference = true;
        self
    }

    const fn further(mut self, check: Further) -> Self {
        self.further = Some(check);
        self
    }
}

use Count::{Any as Many, Maybe, Once, Some as AtLeastOne};
use Kind::{Any, Boolean, Count as Number, Id, IdRef, Level, OneOf, Role, Score, Versioned};

#[rustfmt::skip]
pub(super) static CIB: Rule = rule("cib", &[
    must("validate-with", Any), must("admin_epoch", Number), must("epoch", Number),
    must("num_updates", Number), may("cib-last-written", Any), may("update-origin", Any),
    may("update-client", Any), may("update-user", Any), may("execution-date", Any),
    may("have-quorum", Boolean), may("dc-uuid", Any), may("crm_feature_set", Any),
    may("remote-tls-port", Number), may("remote-clear-port", Number),
    may("no-quorum-panic", Boolean), may("cib_feature_revision", Any).before(2, 0),
    may("cib-feature-revision", Any), may("ignore_dtd", Boolean), may("generated", Boolean),
    may("num_peers", Number), may("cib_feature_revision_max", Any),
], &[child(&CONFIGURATION, Once), child(&STATUS, Once)]);

static STATUS: Rule = Rule {
    name: "status",
    attrs: &[],
    content: None,
    by_reference: false,
    further: None,
};

static CONFIGURATION: Rule = rule(
    "configuration",
    &[],
    &[
        child(&CRM_CONFIG, Once),
        child(&RSC_DEFAULTS, Maybe),
        child(&OP_DEFAULTS, Maybe),
        child(&NODES, Once),
        child(&RESOURCES, Once),
        child(&CONSTRAINTS, Once),
        child(&ACLS, Maybe),
        child(&FENCING_TOPOLOGY, Maybe).since(1, 2),
        child(&TAGS, Maybe).since(1, 3),
        child(&ALERTS, Maybe).since(2, 5),
    ],
);

static CRM_CONFIG: Rule = rule("crm_config", &[], &[child(&CLUSTER_PROPERTY_SET, Many)]);
static RSC_DEFAULTS: Rule = rule("rsc_defaults", &[], &[child(&META_ATTRIBUTES, Many)]);
static OP_DEFAULTS: Rule = rule("op_defaults", &[], &[child(&META_ATTRIBUTES, Many)]);

// Sets of names and values.
const SET_ATTRS: &[Attr] = &[must("id", Id), may("id-ref", IdRef), may("score", Score)];
const SET_CONTENT: &[Child] = &[child(&RULE, Maybe), child(&NVPAIR, Many)];

static CLUSTER_PROPERTY_SET: Rule = rule("cluster_property_set", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);
static META_ATTRIBUTES: Rule = rule("meta_attributes", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);
static INSTANCE_ATTRIBUTES: Rule = rule("instance_attributes", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);
static UTILIZATION: Rule = rule("utilization", SET_ATTRS, SET_CONTENT)
    .by_reference()
    .further(set_reference);

static NVPAIR: Rule = rule(
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
static RULE_CONTENT: [Child; 5] = [
    child(&EXPRESSION, Many),
    child(&DATE_EXPRESSION, Many),
    child(&RSC_EXPRESSION, Many).since(3, 4),
    child(&OP_EXPRESSION, Many).since(3, 4),
    child(&RULE, Many),
];

static RULE: Rule = rule(
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

static EXPRESSION: Rule = rule(
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

static DATE_EXPRESSION: Rule = rule(
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

static DATE_SPEC: Rule = rule("date_spec", DATE_ATTRS, &[]);
static DURATION: Rule = rule("duration", DATE_ATTRS, &[]);

static RSC_EXPRESSION: Rule = rule(
    "rsc_expression",
    &[
        must("id", Id),
        may("class", Any),
        may("provider", Any),
        may("type", Any),
    ],
    &[],
);

static OP_EXPRESSION: Rule = rule(
    "op_expression",
    &[must("id", Id), must("name", Any), may("interval", Any)],
    &[],
);

// Nodes.
static NODES: Rule = rule("nodes", &[], &[child(&NODE, Many)]);
static NODE: Rule = rule(
    "node",
    &[
        must("id", Any),
        must("uname", Any),
        may(
            "type",
            Versioned(|version| {
                if version < SchemaVersion(3, 0) {
                    vec!["normal", "member", "ping", "remote"]
                } else {
                    vec!["member", "ping", "remote"]
                }
            }),
        ),
        may("description", Any),
        may("score", Score),
    ],
    &[
        child(&INSTANCE_ATTRIBUTES, Many),
        child(&UTILIZATION, Many).since(1, 2),
    ],
);

// Resources.
static RESOURCES: Rule = rule(
    "resources",
    &[],
    &[
        child(&TEMPLATE, Many).since(1, 2),
        child(&PRIMITIVE, Many),
        child(&GROUP, Many),
        child(&CLONE, Many),
        child(&MASTER, Many).before(4, 0),
        child(&BUNDLE, Many).since(2, 8),
    ],
);

const PRIMITIVE_CONTENT: &[Child] = &[
    child(&META_ATTRIBUTES, Many),
    child(&INSTANCE_ATTRIBUTES, Many),
    child(&OPERATIONS, Maybe),
    child(&UTILIZATION, Many).since(1, 2),
];

static PRIMITIVE: Rule = rule(
    "primitive",
    &[
        must("id", Id),
        may("description", Any),
        may("class", Versioned(classes)),
        may("provider", Any),
        may("type", Any),
        may("template", IdRef).since(1, 2),
    ],
    PRIMITIVE_CONTENT,
)
.further(agent);

static TEMPLATE: Rule = rule(
    "template",
    &[
        must("id", Id),
        may("description", Any),
        must("class", Versioned(classes)),
        may("provider", Any),
        must("type", Any),
    ],
    PRIMITIVE_CONTENT,
)
.further(agent);

fn classes(version: SchemaVersion) -> Vec<&'static str> {
    let mut classes = vec!["ocf", "lsb", "stonith"];
    if version >= SchemaVersion(1, 2) {
        classes.extend(["systemd", "service"]);
    }
    if version < SchemaVersion(4, 0) {
        classes.extend(["heartbeat", "upstart"]);
        if version >= SchemaVersion(1, 2) {
            classes.push("nagios");
        }
    }
    classes
}

fn agent(resource: &Element, _: SchemaVersion) -> Option<(String, String)> {
    let has = |name: &str| resource.attr(name).is_some();
    if has("template") {
        return ["class", "provider", "type"]
            .into_iter()
            .find(|n| has(n))
            .map(|name| {
                (
                    format!("it has both 'template' and '{name}'"),
                    "keep one: a template brings its agent".to_owned(),
                )
            });
    }
    if let Some(name) = ["class", "type"].into_iter().find(|n| !has(n)) {
        return Some((
            format!("the attribute '{name}' is missing"),
            "name the agent, like class=\"ocf\" provider=\"heartbeat\" type=\"IPaddr2\"".to_owned(),
        ));
    }
    match (resource.attr("class"), has("provider")) {
        (Some("ocf"), false) => Some((
            "the attribute 'provider' is missing".to_owned(),
            "agents of class ocf have one: provider=\"heartbeat\", for example".to_owned(),
        )),
        (Some(class), true) if class != "ocf" => Some((
            format!("agents of class {class} have no provider"),
            "remove 'provider', or write class=\"ocf\"".to_owned(),
        )),
        _ => None,
    }
}

static OPERATIONS: Rule = rule(
    "operations",
    &[may("id", Id), may("id-ref", IdRef)],
    &[child(&OP, Many)],
)
.by_reference();
static OP: Rule = rule(
    "op",
    &[
        must("id", Id),
        must("name", Any),
        must("interval", Any),
        may("description", Any),
        may("start-delay", Any),
        may("interval-origin", Any),
        may("timeout", Any),
        may("enabled", Boolean),
        may("record-pending", Boolean),
        may("role", Role),
        may("requires", OneOf(&["nothing", "quorum", "fencing"])).before(3, 0),
        may(
            "on-fail",
            Versioned(|version| {
                let mut actions = vec![
                    "ignore",
                    "block",
                    "stop",
                    "restart",
                    "standby",
                    "fence",
                    "restart-container",
                ];
                if version >= SchemaVersion(3, 4) {
                    actions.push("demote");
                }
                actions
            }),
        ),
    ],
    &[
        child(&META_ATTRIBUTES, Many),
        child(&INSTANCE_ATTRIBUTES, Many),
    ],
)
.further(|op, _| {
    let both = op.attr("start-delay").is_some() && op.attr("interval-origin").is_some();
    both.then(|| {
        (
            "it has both 'start-delay' and 'interval-origin'".to_owned(),
            "keep one of them".to_owned(),
        )
    })
});

const WITH_ID: &[Attr] = &[must("id", Id), may("description", Any)];
static GROUP: Rule = rule(
    "group",
    WITH_ID,
    &[
        child(&META_ATTRIBUTES, Many),
        child(&INSTANCE_ATTRIBUTES, Many),
        child(&PRIMITIVE, AtLeastOne),
    ],
);

const CLONE_CONTENT: &[Child] = &[
    child(&META_ATTRIBUTES, Many),
    child(&INSTANCE_ATTRIBUTES, Many),
    child(&PRIMITIVE, Maybe),
    child(&GROUP, Maybe),
];
static CLONE: Rule = rule("clone", WITH_ID, CLONE_CONTENT).further(cloned);
static MASTER: Rule = rule("master", WITH_ID, CLONE_CONTENT).further(cloned);

fn cloned(clone: &Element, _: SchemaVersion) -> Option<(String, String)> {
    let count = clone.children_named("primitive").count() + clone.children_named("group").count();
    (count != 1).then(|| {
        (
            format!("there are {count} resources in it"),
            "exactly one <primitive> or <group> is cloned".to_owned(),
        )
    })
}

static BUNDLE: Rule = rule(
    "bundle",
    WITH_ID,
    &[
        child(&META_ATTRIBUTES, Many),
        child(&INSTANCE_ATTRIBUTES, Many),
        child(&DOCKER, Maybe),
        child(&RKT, Maybe).since(2, 10).before(4, 0),
        child(&PODMAN, Maybe).since(3, 2),
        child(&NETWORK, Maybe),
        child(&STORAGE, Maybe),
        child(&PRIMITIVE, Maybe),
    ],
)
.further(|bundle, _| {
    let kinds = ["docker", "rkt", "podman"];
    let count = bundle
        .children()
        .filter(|c| kinds.contains(&c.name()))
        .count();
    (count != 1).then(|| {
        (
            format!("it names {count} container technologies"),
            "exactly one is needed: <podman image=\"…\"/> or <docker image=\"…\"/>".to_owned(),
        )
    })
});

const CONTAINER_ATTRS: &[Attr] = &[
    must("image", Any),
    may("replicas", Number),
    may("replicas-per-host", Number),
    may("masters", Number).before(4, 0),
    may("promoted-max", Number).since(3, 0),
    may("run-command", Any),
    may("network", Any),
    may("options", Any),
];
static DOCKER: Rule = rule("docker", CONTAINER_ATTRS, &[]);
static RKT: Rule = rule("rkt", CONTAINER_ATTRS, &[]);
static PODMAN: Rule = rule("podman", CONTAINER_ATTRS, &[]);

static NETWORK: Rule = rule(
    "network",
    &[
        may("ip-range-start", Any),
        may("control-port", Number),
        may("host-interface", Any),
        may("host-netmask", Any),
        may("add-host", Boolean).since(3, 0),
    ],
    &[child(&PORT_MAPPING, Many)],
);
static PORT_MAPPING: Rule = rule(
    "port-mapping",
    &[
        must("id", Id),
        may("port", Number),
        may("internal-port", Number),
        may("range", Any),
    ],
    &[],
)
.further(|mapping, _| {
    let has = |name: &str| mapping.attr(name).is_some();
    let right = has("port") != has("range") && !(has("range") && has("internal-port"));
    (!right).then(|| {
        (
            "it does not say which ports".to_owned(),
            "give port= (and internal-port=), or range=".to_owned(),
        )
    })
});

static STORAGE: Rule = rule("storage", &[], &[child(&STORAGE_MAPPING, Many)]);
static STORAGE_MAPPING: Rule = rule(
    "storage-mapping",
    &[
        must("id", Id),
        may("source-dir", Any),
        may("source-dir-root", Any),
        must("target-dir", Any),
        may("options", Any),
    ],
    &[],
)
.further(|mapping, _| {
    let has = |name: &str| mapping.attr(name).is_some();
    (has("source-dir") == has("source-dir-root")).then(|| {
        (
            "it does not say which directory of the host".to_owned(),
            "give either source-dir= or source-dir-root=".to_owned(),
        )
    })
});

// Constraints.
static CONSTRAINTS: Rule = rule(
    "constraints",
    &[],
    &[
        child(&RSC_LOCATION, Many),
        child(&RSC_COLOCATION, Many),
        child(&RSC_ORDER, Many),
        child(&RSC_TICKET, Many).since(1, 2),
    ],
);

static LIFETIME: Rule = rule("lifetime", &[], &[child(&RULE, AtLeastOne)]);

static RSC_LOCATION: Rule = rule(
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

static RSC_COLOCATION: Rule = rule(
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
        may("influence", Boolean).since(3, 6),
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

static RSC_ORDER: Rule = rule(
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

static RSC_TICKET: Rule = rule(
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

static RESOURCE_SET: Rule = rule(
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
static RESOURCE_REF: Rule = rule("resource_ref", &[must("id", IdRef)], &[]);

// Fencing.
static FENCING_TOPOLOGY: Rule = rule("fencing-topology", &[], &[child(&FENCING_LEVEL, Many)]);
static FENCING_LEVEL: Rule = rule(
    "fencing-level",
    &[
        must("id", Id),
        may("target", Any),
        may("target-pattern", Any),
        may("target-attribute", Any).since(2, 4),
        may("target-value", Any).since(2, 4),
        must("index", Level),
        must("devices", Any),
    ],
    &[],
)
.further(|level, _| {
    let has = |name: &str| level.attr(name).is_some();
    let ways = [
        has("target"),
        has("target-pattern"),
        has("target-attribute") && has("target-value"),
    ];
    let right =
        ways.iter().filter(|w| **w).count() == 1 && has("target-attribute") == has("target-value");
    (!right).then(|| {
        (
            "it does not say which nodes, or says it more than once".to_owned(),
            "give target=, target-pattern=, or target-attribute= and target-value=".to_owned(),
        )
    })
});

// Access control.
static ACLS: Rule = rule(
    "acls",
    &[],
    &[
        child(&ACL_TARGET, Many).since(2, 0),
        child(&ACL_GROUP, Many).since(2, 0),
        child(&ACL_ROLE, Many),
        child(&ACL_USER, Many).since(1, 2).before(2, 0),
    ],
);
static ACL_USER: Rule = Rule {
    name: "acl_user",
    attrs: &[must("id", Id)],
    content: None,
    by_reference: false,
    further: None,
};
const ACL_SUBJECT: &[Attr] = &[must("id", Any), may("name", Any).since(3, 8)];
static ACL_TARGET: Rule = rule("acl_target", ACL_SUBJECT, &[child(&ROLE, Many)]);
static ACL_GROUP: Rule = rule("acl_group", ACL_SUBJECT, &[child(&ROLE, Many)]);
static ROLE: Rule = rule("role", &[must("id", IdRef)], &[]);
static ACL_ROLE: Rule = rule(
    "acl_role",
    &[must("id", Id), may("description", Any)],
    &[
        child(&ACL_PERMISSION, Many).since(2, 0),
        child(&READ, Many).before(2, 0),
        child(&WRITE, Many).before(2, 0),
        child(&DENY, Many).before(2, 0),
    ],
);
static READ: Rule = rule("read", OLD_PERMISSION, &[]);
static WRITE: Rule = rule("write", OLD_PERMISSION, &[]);
static DENY: Rule = rule("deny", OLD_PERMISSION, &[]);
const OLD_PERMISSION: &[Attr] = &[
    must("id", Id),
    may("tag", Any),
    may("ref", IdRef),
    may("xpath", Any),
    may("attribute", Any),
];
static ACL_PERMISSION: Rule = rule(
    "acl_permission",
    &[
        must("id", Id),
        must("kind", OneOf(&["read", "write", "deny"])),
        may("description", Any),
        may("xpath", Any),
        may("reference", IdRef),
        may("object-type", Any),
        may("attribute", Any),
    ],
    &[],
)
.further(|permission, _| {
    let ways = ["xpath", "reference", "object-type"];
    let count = ways.iter().filter(|w| permission.attr(w).is_some()).count();
    (count != 1).then(|| {
        (
            "it does not say to what, or says it more than once".to_owned(),
            "give one of xpath=, reference= and object-type=".to_owned(),
        )
    })
});

// Tags and alerts.
static TAGS: Rule = rule("tags", &[], &[child(&TAG, Many)]);
static TAG: Rule = rule("tag", &[must("id", Id)], &[child(&OBJ_REF, AtLeastOne)]);
// What a tag names may be anything by now, nodes too, and need not be there.
static OBJ_REF: Rule = rule(
    "obj_ref",
    &[must("id", IdRef).before(3, 4), must("id", Any).since(3, 4)],
    &[],
);

static ALERTS: Rule = rule("alerts", &[], &[child(&ALERT, Many)]);
static ALERT: Rule = rule(
    "alert",
    &[must("id", Id), may("description", Any), must("path", Any)],
    &[
        child(&SELECT, Maybe).since(2, 10),
        child(&META_ATTRIBUTES, Many),
        child(&INSTANCE_ATTRIBUTES, Many),
        child(&RECIPIENT, Many),
    ],
);
static RECIPIENT: Rule = rule(
    "recipient",
    &[must("id", Id), may("description", Any), must("value", Any)],
    &[
        child(&META_ATTRIBUTES, Many),
        child(&INSTANCE_ATTRIBUTES, Many),
    ],
);
static SELECT: Rule = rule(
    "select",
    &[],
    &[
        child(&SELECT_ATTRIBUTES, Maybe),
        child(&SELECT_FENCING, Maybe),
        child(&SELECT_NODES, Maybe),
        child(&SELECT_RESOURCES, Maybe),
    ],
);
static SELECT_ATTRIBUTES: Rule = rule("select_attributes", &[], &[child(&ATTRIBUTE, Many)]);
static ATTRIBUTE: Rule = rule("attribute", &[must("id", Id), must("name", Any)], &[]);
static SELECT_FENCING: Rule = rule("select_fencing", &[], &[]);
static SELECT_NODES: Rule = rule("select_nodes", &[], &[]);
static SELECT_RESOURCES: Rule = rule("select_resources", &[], &[]);
