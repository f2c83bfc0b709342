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

mod constraints;
mod resources;
mod values;

use Count::{Any as Many, Maybe, Once, Some as AtLeastOne};
use Kind::{Any, Boolean, Count as Number, Id, IdRef, Level, OneOf, Role, Score, Versioned};
use constraints::CONSTRAINTS;
use resources::RESOURCES;
use values::{CLUSTER_PROPERTY_SET, INSTANCE_ATTRIBUTES, META_ATTRIBUTES, RULE, UTILIZATION};

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
