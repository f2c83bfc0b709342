//! The resources of a document.

use super::{Feature, Maker, pair};
use std::fmt::Write as _;

/// What kind of clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A primitive or group by itself.
    Plain,
    Clone,
    Promotable,
}

/// Something that may stand in a constraint.
pub(crate) struct Top {
    /// Its id in constraints.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// Id of the group, if there is one.
    pub(crate) group: Option<String>,
    pub(crate) members: Vec<String>,
    pub(crate) unique: bool,
    /// A fencing device.
    pub(crate) device: bool,
    /// Instances in all; 0 is one for each node.
    pub(crate) clone_max: u64,
}

/// Which resources there are.
pub(crate) fn choose(maker: &mut Maker) -> Vec<Top> {
    let mut out = Vec::new();
    if maker.has(Feature::Devices) || maker.fencing && maker.dice.percent(95) {
        for number in 1..=maker.dice.range(1, 2) {
            out.push(Top {
                id: format!("fencing{number}"),
                kind: Kind::Plain,
                group: None,
                members: vec![format!("fencing{number}")],
                unique: false,
                device: true,
                clone_max: 0,
            });
        }
    }
    let count = maker.dice.range(1, 4) + u64::from(maker.dice.percent(30));
    let mut primitives = 0;
    for number in 1..=count {
        let top = one(maker, number, &mut primitives);
        out.push(top);
    }
    out
}

fn one(maker: &mut Maker, number: u64, primitives: &mut u64) -> Top {
    let roles = [
        Feature::Promotable,
        Feature::ColocationRoles,
        Feature::OrderRoles,
    ];
    let promotable = roles.iter().any(|f| maker.has(*f)) && maker.dice.percent(55);
    let kind = if promotable {
        Kind::Promotable
    } else if (maker.has(Feature::Clones)
        || maker.has(Feature::CloneOptions)
        || maker.has(Feature::UniqueClones))
        && maker.dice.percent(50)
    {
        Kind::Clone
    } else {
        Kind::Plain
    };
    let grouped = match kind {
        Kind::Plain => maker.on(Feature::Groups, 60),
        _ => maker.on(Feature::ClonedGroups, 60),
    };
    let mut next = || {
        *primitives += 1;
        format!("rsc{primitives}")
    };
    let members: Vec<String> = match grouped {
        true => (0..maker.dice.range(2, 3)).map(|_| next()).collect(),
        false => vec![next()],
    };
    let group = grouped.then(|| format!("grp{number}"));
    let inner = group.clone().unwrap_or_else(|| members[0].clone());
    let id = match kind {
        Kind::Plain => inner,
        _ => format!("{inner}-clone"),
    };
    let unique = kind != Kind::Plain && maker.on(Feature::UniqueClones, 60);
    let clone_max = match maker.has(Feature::CloneOptions) || unique {
        true if maker.dice.percent(50) => maker.dice.range(1, 3),
        _ => 0,
    };
    Top {
        id,
        kind,
        group,
        members,
        unique,
        device: false,
        clone_max,
    }
}

/// The section.
pub(crate) fn write(maker: &mut Maker) -> String {
    let tops = std::mem::take(&mut maker.resources);
    let mut out = String::from("<resources>");
    for top in &tops {
        write_top(maker, top, &mut out);
    }
    maker.resources = tops;
    out + "</resources>"
}

fn write_top(maker: &mut Maker, top: &Top, out: &mut String) {
    let cloned = top.kind != Kind::Plain;
    if cloned {
        let _ = write!(out, "<clone id=\"{}\">", top.id);
        let mut meta = clone_meta(maker, top);
        meta.extend(common_meta(maker, top));
        *out += &maker.pairs("meta_attributes", &meta);
    }
    if let Some(group) = &top.group {
        let _ = write!(out, "<group id=\"{group}\">");
        if !cloned || maker.dice.percent(15) {
            let meta = common_meta(maker, top);
            *out += &maker.pairs("meta_attributes", &meta);
        }
    }
    let alone = top.group.is_none() && !cloned;
    for member in &top.members {
        let meta = match alone || maker.dice.percent(20) {
            true => common_meta(maker, top),
            false => Vec::new(),
        };
        write_primitive(maker, top, member, &meta, out);
    }
    if top.group.is_some() {
        *out += "</group>";
    }
    if cloned {
        *out += "</clone>";
    }
}

fn clone_meta(maker: &mut Maker, top: &Top) -> Vec<(String, String)> {
    let mut meta = Vec::new();
    if top.kind == Kind::Promotable {
        meta.push(pair("promotable", "true"));
        if maker.has(Feature::CloneOptions) && maker.dice.percent(40) {
            meta.push(pair("promoted-max", maker.dice.range(1, 2)));
        }
        if maker.on(Feature::UniqueClones, 15) {
            meta.push(pair("promoted-node-max", "2"));
        }
    }
    if top.unique {
        meta.push(pair("globally-unique", "true"));
        if maker.dice.percent(50) {
            meta.push(pair("clone-node-max", maker.dice.range(1, 3)));
        }
    }
    if top.clone_max > 0 {
        meta.push(pair("clone-max", top.clone_max));
    }
    if maker.dice.percent(40) || maker.on(Feature::CloneOptions, 40) {
        meta.push(pair("interleave", "true"));
    }
    if maker.on(Feature::CloneOptions, 30) {
        meta.push(pair("ordered", "true"));
    }
    if maker.on(Feature::CloneOptions, 20) {
        meta.push(pair("clone-min", maker.dice.range(1, 2)));
    }
    if maker.on(Feature::Notify, 70) {
        meta.push(pair("notify", "true"));
    }
    meta
}

fn common_meta(maker: &mut Maker, top: &Top) -> Vec<(String, String)> {
    let mut meta = Vec::new();
    let mut maybe = |maker: &mut Maker, feature, percent, name: &str, values: &[&'static str]| {
        if maker.on(feature, percent) {
            let value = maker.dice.one_of(values);
            meta.push(pair(name, value));
        }
    };
    use Feature as F;
    maybe(
        maker,
        F::Stickiness,
        40,
        "resource-stickiness",
        &["0", "1", "50", "1000", "INFINITY", "-5"],
    );
    maybe(
        maker,
        F::FailCounts,
        30,
        "migration-threshold",
        &["1", "2", "3"],
    );
    maybe(
        maker,
        F::FailCounts,
        20,
        "failure-timeout",
        &["60s", "1800s", "7200s"],
    );
    let roles: &[&str] = match top.kind {
        Kind::Promotable => &["Stopped", "Started", "Unpromoted", "Promoted"],
        _ => &["Stopped", "Stopped", "Started"],
    };
    maybe(maker, F::TargetRole, 45, "target-role", roles);
    maybe(maker, F::Unmanaged, 40, "is-managed", &["false"]);
    maybe(maker, F::Maintenance, 25, "maintenance", &["true"]);
    maybe(maker, F::Priority, 60, "priority", &["1", "5", "10", "100"]);
    maybe(
        maker,
        F::Requires,
        40,
        "requires",
        &["nothing", "quorum", "fencing"],
    );
    maybe(
        maker,
        F::MultipleActive,
        60,
        "multiple-active",
        &["stop_start", "stop_only", "block", "stop_unexpected"],
    );
    maybe(maker, F::Influence, 35, "critical", &["false"]);
    if top.kind == Kind::Plain {
        maybe(maker, F::Migratable, 75, "allow-migrate", &["true"]);
    }
    meta
}

fn write_primitive(
    maker: &mut Maker,
    top: &Top,
    id: &str,
    meta: &[(String, String)],
    out: &mut String,
) {
    let kind = match (top.device, top.kind) {
        (true, _) => "class=\"stonith\" type=\"fence_xvm\"",
        (_, Kind::Promotable) => "class=\"ocf\" provider=\"pacemaker\" type=\"Stateful\"",
        _ => "class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"",
    };
    let _ = write!(out, "<primitive id=\"{id}\" {kind}>");
    *out += &maker.pairs("meta_attributes", meta);
    if maker.on(Feature::ChangedParameters, 50) {
        let value = maker.dice.one_of(&["1", "2"]);
        let parameters = [pair("fake", value)];
        *out += &maker.pairs("instance_attributes", &parameters);
    }
    if maker.on(Feature::Utilization, 80) {
        let cpu = maker.dice.range(1, 3);
        let mut room = vec![pair("cpu", cpu)];
        if maker.dice.percent(50) {
            room.push(pair("memory", maker.dice.range(1, 2) * 1024));
        }
        *out += &maker.pairs("utilization", &room);
    }
    *out += &operations(maker, top, id);
    *out += "</primitive>";
}

fn operations(maker: &mut Maker, top: &Top, id: &str) -> String {
    let mut out = String::from("<operations>");
    let mut op = |maker: &mut Maker, name: &str, interval: &str, more: &str| {
        let fails: &[&str] = match name {
            "stop" => &["block", "ignore", "fence"],
            "promote" | "demote" => &["block", "stop", "restart", "demote", "fence"],
            "start" => &["block", "stop", "ignore", "restart", "fence"],
            _ => &[
                "block", "stop", "ignore", "restart", "standby", "fence", "demote",
            ],
        };
        let mut more = more.to_owned();
        let fencing = maker.fencing;
        if maker.on(Feature::OnFail, 35) {
            let value = maker.dice.one_of(fails);
            let demotes = value == "demote" && name == "monitor" && top.kind != Kind::Promotable;
            if !demotes && (value != "fence" || fencing) {
                let _ = write!(more, " on-fail=\"{value}\"");
            }
        }
        let _ = write!(
            out,
            "<op id=\"{id}-{name}-{interval}\" name=\"{name}\" interval=\"{interval}\" timeout=\"20s\"{more}/>"
        );
    };
    if top.kind == Kind::Promotable {
        op(maker, "monitor", "10s", " role=\"Promoted\"");
        op(maker, "monitor", "11s", " role=\"Unpromoted\"");
    } else {
        op(maker, "monitor", "10s", "");
    }
    if maker.has(Feature::OnFail) {
        for name in ["start", "stop"] {
            op(maker, name, "0s", "");
        }
        if top.kind == Kind::Promotable {
            op(maker, "demote", "0s", "");
            op(maker, "promote", "0s", "");
        }
    }
    if maker.dice.percent(3) {
        op(maker, "monitor", "12s", " role=\"Stopped\"");
    }
    out + "</operations>"
}
