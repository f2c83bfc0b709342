//! Resources.

use super::*;

pub(super) static RESOURCES: Rule = rule(
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

pub(super) static PRIMITIVE: Rule = rule(
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

pub(super) static TEMPLATE: Rule = rule(
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

pub(super) static OPERATIONS: Rule = rule(
    "operations",
    &[may("id", Id), may("id-ref", IdRef)],
    &[child(&OP, Many)],
)
.by_reference();
pub(super) static OP: Rule = rule(
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
pub(super) static GROUP: Rule = rule(
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
pub(super) static CLONE: Rule = rule("clone", WITH_ID, CLONE_CONTENT).further(cloned);
pub(super) static MASTER: Rule = rule("master", WITH_ID, CLONE_CONTENT).further(cloned);

fn cloned(clone: &Element, _: SchemaVersion) -> Option<(String, String)> {
    let count = clone.children_named("primitive").count() + clone.children_named("group").count();
    (count != 1).then(|| {
        (
            format!("there are {count} resources in it"),
            "exactly one <primitive> or <group> is cloned".to_owned(),
        )
    })
}

pub(super) static BUNDLE: Rule = rule(
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
pub(super) static DOCKER: Rule = rule("docker", CONTAINER_ATTRS, &[]);
pub(super) static RKT: Rule = rule("rkt", CONTAINER_ATTRS, &[]);
pub(super) static PODMAN: Rule = rule("podman", CONTAINER_ATTRS, &[]);

pub(super) static NETWORK: Rule = rule(
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
pub(super) static PORT_MAPPING: Rule = rule(
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

pub(super) static STORAGE: Rule = rule("storage", &[], &[child(&STORAGE_MAPPING, Many)]);
pub(super) static STORAGE_MAPPING: Rule = rule(
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
