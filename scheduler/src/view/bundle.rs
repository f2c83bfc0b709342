//! What is special about bundles.

use super::{Bundle, Replica};
use crate::model::{Cluster, RscIx};

/// The replicas of a bundle with everything that belongs to each.
pub(super) fn read(c: &Cluster, rsc: RscIx) -> Option<Bundle> {
    let settings = c.rscs[rsc].bundle.as_deref()?;
    let xml = c.rscs[rsc].xml.as_ref();
    let engine = xml.and_then(|x| x.children().find(|e| e.attr("image").is_some()));
    let replicas = settings.replicas.iter().enumerate();
    Some(Bundle {
        engine: engine.map_or("", |e| e.name()).to_owned(),
        image: engine
            .and_then(|e| e.attr("image"))
            .unwrap_or_default()
            .to_owned(),
        replicas: replicas.map(|(n, r)| replica(c, rsc, n, r)).collect(),
    })
}

fn replica(c: &Cluster, bundle: RscIx, number: usize, r: &crate::model::Replica) -> Replica {
    let _ = bundle;
    Replica {
        number,
        address: None,
        ip: None,
        child: r.child,
        container: r.container,
        remote: r.node.and_then(|n| c.nodes[n].connection),
    }
}
