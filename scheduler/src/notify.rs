//! Notifications: what the instances of a clone are told before and after each change.

use crate::model::{ActIx, Cluster, RscIx, Task};

/// Makes the pseudo-actions around one kind of change.
pub(crate) fn create_pair(_c: &mut Cluster, _clone: RscIx, _task: Task, _begin: ActIx, _end: ActIx) {}

/// Orders the notifications of one change before those of another.
pub(crate) fn chain(_c: &mut Cluster, _clone: RscIx, _first: Task, _then: Task) {}

/// Notifications about a stop that fencing implies.
pub(crate) fn order_fencing(_c: &mut Cluster, _rsc: RscIx, _stop: ActIx, _fence: ActIx) {}
