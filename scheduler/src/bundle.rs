//! Bundles: replicas of a container, each with an address, a guest node and a resource inside.

use cib::Element;

use crate::model::{Cluster, Kind, RscIx};

/// Reads a bundle.
pub(crate) fn unpack(c: &mut Cluster, ix: RscIx, xml: &Element) {
    if c.for_view {
        return crate::bundle_parts::unpack(c, ix, xml);
    }
    let text = format!(
        "line {}: bundle '{}' is not scheduled",
        xml.line(),
        c.rscs[ix].id
    );
    c.problem(text);
}

/// Applies a location constraint to the parts of a bundle.
pub(crate) fn apply_location(_c: &mut Cluster, _rsc: RscIx, _ix: usize) {}

/// Places a bundle.
pub(crate) fn assign(c: &mut Cluster, rsc: RscIx, _stop_if_fail: bool) {
    c.rscs[rsc].unassigned = false;
}

/// Whether the constraints of a bundle hold for a part of it.
pub(crate) fn represents(_c: &Cluster, bundle: RscIx, part: RscIx) -> bool {
    bundle == part
}

/// Applies a colocation with a bundle.
pub(crate) fn as_primary(_c: &mut Cluster, _dependent: RscIx, _bundle: RscIx, _ix: usize) {}

/// The resource inside a bundle's container.
pub(crate) fn bundled_in_container(_c: &Cluster, _rsc: RscIx) -> Option<RscIx> {
    None
}

/// What counts as an instance of a clone or bundle.
pub(crate) fn instances(c: &Cluster, rsc: RscIx) -> Vec<RscIx> {
    match &c.rscs[rsc].bundle {
        Some(bundle) => bundle.replicas.iter().map(|r| r.container).collect(),
        None if c.rscs[rsc].kind == Kind::Primitive => vec![rsc],
        None => c.rscs[rsc].children.clone(),
    }
}

/// Orderings within a bundle.
pub(crate) fn internal(_c: &mut Cluster, _rsc: RscIx) {}

/// Makes the actions of a bundle.
pub(crate) fn create(_c: &mut Cluster, _rsc: RscIx) {}

/// Makes the probes of a bundle.
pub(crate) fn probe(_c: &mut Cluster, _rsc: RscIx, _node: usize) -> bool {
    false
}

/// The resources a bundle is made of.
pub(crate) fn parts(_c: &Cluster, _rsc: RscIx) -> Vec<RscIx> {
    Vec::new()
}
