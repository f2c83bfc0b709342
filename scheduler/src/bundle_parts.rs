//! What a bundle consists of: for each replica an address, a container, the connection to a guest node in it, and
//! an instance of the resource inside.

use std::net::IpAddr;

use cib::Element;

use crate::{
    model::{BundleSettings, Cluster, NodeKind, Replica, RscIx},
    nodes, resources, score,
};

/// Adds everything a bundle consists of to the tables.
pub(crate) fn unpack(c: &mut Cluster, bundle: RscIx, xml: &Element) {
    let Some(engine) = xml.children().find(|e| e.attr("image").is_some()) else {
        let text = format!(
            "line {}: bundle '{}' names no image; it is ignored",
            xml.line(),
            c.rscs[bundle].id
        );
        c.problem(text);
        return;
    };
    let number = |name: &str| {
        let value = engine.attr(name).and_then(score::leading_integer);
        value.and_then(|n| u32::try_from(n).ok())
    };
    let promoted_max = number("promoted-max").or_else(|| number("masters"));
    let promoted_max = promoted_max.unwrap_or(0);
    let replicas = number("replicas").unwrap_or(promoted_max).max(1);
    let per_host = number("replicas-per-host").unwrap_or(1).max(1);
    c.rscs[bundle].unique = per_host > 1;
    let plan = Plan {
        bundle,
        id: c.rscs[bundle].id.clone(),
        engine: engine.name().to_owned(),
        first_address: xml
            .child("network")
            .and_then(|n| n.attr("ip-range-start"))
            .and_then(|text| text.parse().ok()),
        is_reachable: xml.child("network").is_some_and(|n| {
            n.attr("ip-range-start").is_some() || n.attr("control-port").is_some()
        }),
    };
    let inner = xml.child("primitive").filter(|_| plan.is_reachable);
    let clone = inner.and_then(|inner| {
        let xml = clone_xml(&plan.id, inner, replicas, per_host, promoted_max);
        resources::create(c, &xml, Some(bundle), None)
    });
    c.rscs[bundle].children = clone.into_iter().collect();
    let mut all = Vec::new();
    for at in 0..replicas {
        let child = clone.and_then(|clone| {
            let at = usize::try_from(at).ok()?;
            c.rscs[clone].children.get(at).copied()
        });
        all.extend(replica(c, &plan, at, child));
    }
    c.rscs[bundle].bundle = Some(Box::new(BundleSettings {
        replicas: all,
        per_host,
    }));
}

/// What all replicas of a bundle have in common.
struct Plan {
    bundle: RscIx,
    id: String,
    engine: String,
    first_address: Option<IpAddr>,
    is_reachable: bool,
}

fn replica(c: &mut Cluster, plan: &Plan, at: u32, child: Option<RscIx>) -> Option<Replica> {
    let id = &plan.id;
    let address = plan.first_address.map(|first| after(first, at).to_string());
    let ip = address.as_ref().and_then(|address| {
        let xml = primitive(&format!("{id}-ip-{address}"), "heartbeat", "IPaddr2");
        resources::create(c, &xml, Some(plan.bundle), None)
    });
    let name = format!("{id}-{}-{at}", plan.engine);
    let xml = primitive(&name, "heartbeat", &plan.engine);
    let container = resources::create(c, &xml, Some(plan.bundle), None)?;
    let guest = format!("{id}-{at}");
    let remote = child.and_then(|_| {
        let node = nodes::create(c, &guest, &guest, NodeKind::Remote, 0);
        c.nodes[node].unclean = false;
        let xml = connection(&guest, &name);
        let remote = resources::create(c, &xml, Some(plan.bundle), None)?;
        resources::attach_guest(c, container, remote);
        Some(remote)
    });
    Some(Replica {
        container,
        child,
        node: remote.and_then(|r| c.rscs[r].remote_node),
        ip,
        remote,
        address,
    })
}

fn connection(guest: &str, container: &str) -> Element {
    let set = format!("{guest}-internal");
    let mut meta = Element::new("meta_attributes").with_attr("id", &set);
    for (name, value) in [("container", container), ("internal", "true")] {
        meta.push(pair(&set, name, value));
    }
    primitive(guest, "pacemaker", "remote").with_child(meta)
}

fn pair(set: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with_attr("id", format!("{set}-{name}"))
        .with_attr("name", name)
        .with_attr("value", value)
}

/// The address so many after another.
fn after(first: IpAddr, number: u32) -> IpAddr {
    match first {
        IpAddr::V4(address) => IpAddr::V4(u32::from(address).wrapping_add(number).into()),
        IpAddr::V6(address) => {
            IpAddr::V6(u128::from(address).wrapping_add(u128::from(number)).into())
        }
    }
}

fn primitive(id: &str, provider: &str, agent: &str) -> Element {
    Element::new("primitive")
        .with_attr("id", id)
        .with_attr("class", "ocf")
        .with_attr("provider", provider)
        .with_attr("type", agent)
}

/// The resource inside is a clone with an instance for each replica.
fn clone_xml(
    id: &str,
    inner: &Element,
    replicas: u32,
    per_host: u32,
    promoted_max: u32,
) -> Element {
    let set = format!("{id}-meta");
    let unique = if per_host > 1 { "true" } else { "false" };
    let mut meta = Element::new("meta_attributes")
        .with_attr("id", &set)
        .with_child(pair(&set, "ordered", "true"))
        .with_child(pair(&set, "clone-max", &replicas.to_string()))
        .with_child(pair(&set, "clone-node-max", &per_host.to_string()))
        .with_child(pair(&set, "globally-unique", unique));
    if promoted_max > 0 {
        meta.push(pair(&set, "promotable", "true"));
        meta.push(pair(&set, "promoted-max", &promoted_max.to_string()));
    }
    Element::new("clone")
        .with_attr("id", format!("{id}-clone"))
        .with_child(meta)
        .with_child(inner.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_each_other() {
        let first: IpAddr = "192.168.122.255".parse().unwrap();
        assert_eq!(after(first, 1).to_string(), "192.168.123.0");
        let first: IpAddr = "fd00::ff".parse().unwrap();
        assert_eq!(after(first, 2).to_string(), "fd00::101");
    }
}
