//! What one history entry says: what its result means for the operation, and what that means for the resource.

use std::sync::Arc;

use super::{Entry, State, exec, migration, ocf};
use crate::{
    actions,
    explain::record,
    failures, fencing,
    model::{Cluster, NodeIx, OnFail, OpMeta, Role, RscIx, Task},
    score::INFINITY,
};

/// Takes one entry into account.
pub(super) fn unpack<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &mut Entry<'e>,
    state: &mut State<'e>,
) {
    if entry.task == Task::Notify || entry.status == exec::CANCELLED {
        return;
    }
    let expired = failures::entry_expired(c, rsc, node, entry);
    remap(c, rsc, node, entry, state, expired);
    if expired && entry.rc != entry.target_rc {
        if entry.interval_ms == 0 {
            return;
        }
        if c.clean_online(node) {
            // The monitor is still there and reports changes only: it is started anew.
            if entry.xml.attr("op-digest").is_some() {
                let again = (node, entry.name.to_owned(), entry.interval_ms);
                c.rscs[rsc].monitors_to_renew.push(again);
            }
            return;
        }
    }
    if entry.is_masked_probe() && !c.is_bundled(rsc) {
        // Where the agent is missing the resource is not running, and will not.
        success(c, rsc, node, entry, entry.target_rc, state);
        note_failure(c, rsc, node, entry);
        return ban_top(c, rsc, Some(node), "masked-probe-failure");
    }
    match entry.status {
        exec::PENDING => pending(c, rsc, node, entry),
        exec::DONE => success(c, rsc, node, entry, entry.rc, state),
        _ => failure(c, rsc, node, entry, state),
    }
}

fn failure<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &mut Entry<'e>,
    state: &mut State<'e>,
) {
    let mut op = settings(c, rsc, entry);
    if entry.status == exec::NOT_INSTALLED {
        if op.on_fail == OnFail::Ignore {
            // An agent that is missing cannot be ignored.
            op = Arc::new(OpMeta {
                on_fail: OnFail::Ban,
                ..(*op).clone()
            });
        }
        ban_top(c, rsc, Some(node), "hard-error");
        return record(c, rsc, node, entry, state, &op);
    }
    let container_stop = op.on_fail == OnFail::RestartContainer && entry.task == Task::Stop;
    if op.on_fail == OnFail::Ignore || container_stop {
        success(c, rsc, node, entry, entry.target_rc, state);
        c.rscs[rsc].ignored_failure = true;
        note_failure(c, rsc, node, entry);
        if container_stop && fencing::severity(state.on_fail) <= fencing::severity(op.on_fail) {
            state.on_fail = op.on_fail;
        }
        return;
    }
    record(c, rsc, node, entry, state, &op);
    match entry.status {
        exec::ERROR_HARD => ban_top(c, rsc, Some(node), "hard-error"),
        exec::ERROR_FATAL => ban_top(c, rsc, None, "fatal-error"),
        _ => {}
    }
}

fn ban_top(c: &mut Cluster, rsc: RscIx, node: Option<NodeIx>, why: &str) {
    // What an anonymous instance cannot, none of its clone can; a member of a plain group stands for itself.
    let top = if c.is_anonymous_instance(rsc) {
        c.uber_parent(rsc, false)
    } else {
        rsc
    };
    super::ban(c, top, node, why);
}

fn note_failure(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    if c.nodes[node].online {
        c.failed_ops.push((rsc, node, entry.xml.clone()));
    }
}

/// Works out what an exit code means for this operation.
fn remap(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &mut Entry,
    state: &mut State,
    expired: bool,
) {
    let degraded = match entry.rc {
        ocf::DEGRADED => Some(ocf::OK),
        ocf::DEGRADED_PROMOTED => Some(ocf::PROMOTED),
        _ => None,
    };
    if let Some(rc) = degraded {
        entry.rc = rc;
        if !expired && (!c.nodes[node].shutdown || c.nodes[node].online) {
            note_failure(c, rsc, node, entry);
        }
    }
    match entry.status {
        exec::DONE | exec::ERROR => {}
        exec::NO_FENCE_DEVICE | exec::NO_SECRETS => {
            entry.status = exec::ERROR_HARD;
            return;
        }
        _ => return,
    }
    if entry.target_rc >= 0 {
        entry.status = if entry.rc == entry.target_rc {
            exec::DONE
        } else {
            exec::ERROR
        };
    }
    let probe = entry.is_probe();
    let expected = entry.rc == entry.target_rc;
    match entry.rc {
        ocf::OK if probe && entry.target_rc == ocf::NOT_RUNNING => entry.status = exec::DONE,
        ocf::NOT_RUNNING if probe || expected || !c.rscs[rsc].managed => {
            entry.status = exec::DONE;
            c.rscs[rsc].role = Role::Stopped;
            state.on_fail = OnFail::Ignore;
            c.rscs[rsc].next_role = Role::Unknown;
        }
        ocf::OK | ocf::NOT_RUNNING => {}
        ocf::PROMOTED => {
            if probe && !expected {
                entry.status = exec::DONE;
            }
            if !expired || expected {
                c.rscs[rsc].role = Role::Promoted;
            }
        }
        ocf::FAILED_PROMOTED => {
            if !expired {
                c.rscs[rsc].role = Role::Promoted;
            }
            entry.status = exec::ERROR;
        }
        ocf::NOT_CONFIGURED => entry.status = exec::ERROR_FATAL,
        ocf::UNIMPLEMENTED if entry.interval_ms > 0 => entry.status = exec::NOT_SUPPORTED,
        ocf::UNIMPLEMENTED | ocf::NOT_INSTALLED | ocf::INVALID_PARAM | ocf::INSUFFICIENT => {
            let lost = entry.task == Task::Stop && !fencing::can_fence(c, node);
            if lost && !expired {
                // What cannot be stopped on a node that cannot be fenced is left alone.
                c.rscs[rsc].managed = false;
                c.rscs[rsc].blocked = true;
            }
            entry.status = exec::ERROR_HARD;
        }
        _ if entry.status == exec::DONE => entry.status = exec::ERROR,
        _ => {}
    }
}

fn set_active(c: &mut Cluster, rsc: RscIx) {
    let top = c.uber_parent(rsc, false);
    c.rscs[rsc].role = if c.rscs[top].promotable {
        Role::Unpromoted
    } else {
        Role::Started
    };
}

fn pending(c: &mut Cluster, rsc: RscIx, node: NodeIx, entry: &Entry) {
    match entry.task {
        Task::Start => {
            c.rscs[rsc].start_pending = true;
            set_active(c, rsc);
        }
        Task::Promote => c.rscs[rsc].role = Role::Promoted,
        Task::MigrateTo if c.nodes[node].unclean => {
            // Nobody knows how far it got: down with it on the target.
            let target = entry.xml.attr("migrate_target");
            if let Some(target) = target.and_then(|t| c.node_names.get(t)).copied() {
                actions::stop(c, rsc, target, false);
            }
        }
        _ => {}
    }
    if c.rscs[rsc].pending_op.is_some() || entry.is_probe() {
        return;
    }
    c.rscs[rsc].pending_node = Some(node);
    let text = match entry.task {
        Task::Monitor => "Monitoring",
        Task::Start => "Starting",
        Task::Stop => "Stopping",
        Task::MigrateTo | Task::MigrateFrom => "Migrating",
        Task::Promote => "Promoting",
        Task::Demote => "Demoting",
        _ => return,
    };
    c.rscs[rsc].pending_op = Some(text.to_owned());
}

fn success<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &Entry<'e>,
    rc: i64,
    state: &mut State<'e>,
) {
    let mut clears = false;
    if rc == ocf::NOT_INSTALLED || entry.is_masked_probe() && !c.is_bundled(rsc) {
        c.rscs[rsc].role = Role::Stopped;
    } else if rc == ocf::NOT_RUNNING {
        clears = true;
    } else {
        match entry.task {
            Task::Monitor => {
                clears = state.last_failure.is_some() && state.last_failure_key == entry.key();
                if c.rscs[rsc].role < Role::Started {
                    set_active(c, rsc);
                }
            }
            Task::Start | Task::MigrateFrom => {
                c.rscs[rsc].role = Role::Started;
                clears = true;
            }
            Task::Stop => {
                c.rscs[rsc].role = Role::Stopped;
                clears = true;
            }
            Task::Promote => {
                c.rscs[rsc].role = Role::Promoted;
                clears = true;
            }
            Task::Demote => {
                clears = state.on_fail == OnFail::Demote;
                c.rscs[rsc].role = Role::Unpromoted;
            }
            Task::MigrateTo => migration::to_success(c, rsc, node, entry),
            _ if c.rscs[rsc].role < Role::Started => set_active(c, rsc),
            _ => {}
        }
    }
    if clears {
        clear_past_failure(c, rsc, state);
    }
}

fn clear_past_failure(c: &mut Cluster, rsc: RscIx, state: &mut State) {
    match state.on_fail {
        OnFail::Stop | OnFail::Ban | OnFail::Standby | OnFail::Fence => {}
        // With an interval between attempts, the failure has to expire before the next.
        OnFail::ResetRemote if c.rscs[rsc].remote_reconnect_ms > 0 => {}
        _ => {
            state.on_fail = OnFail::Ignore;
            c.rscs[rsc].next_role = Role::Unknown;
        }
    }
}

fn record<'e>(
    c: &mut Cluster,
    rsc: RscIx,
    node: NodeIx,
    entry: &Entry<'e>,
    state: &mut State<'e>,
    op: &OpMeta,
) {
    state.last_failure = Some(entry.xml);
    state.last_failure_key = entry.key();
    note_failure(c, rsc, node, entry);
    if fencing::severity(state.on_fail) < fencing::severity(op.on_fail) {
        state.on_fail = op.on_fail;
    }
    match entry.task {
        Task::Stop => super::ban(c, rsc, Some(node), "__stop_fail__"),
        Task::MigrateTo => migration::to_failure(c, rsc, node, entry),
        Task::MigrateFrom => migration::from_failure(c, rsc, node, entry),
        Task::Promote => c.rscs[rsc].role = Role::Promoted,
        Task::Demote => failed_demote(c, rsc, entry, op),
        _ => {}
    }
    if entry.is_probe() && entry.rc == ocf::NOT_INSTALLED {
        c.rscs[rsc].role = Role::Stopped;
    } else if c.rscs[rsc].role < Role::Started {
        set_active(c, rsc);
    }
    let default_role = match entry.task {
        Task::Promote => Role::Unpromoted,
        _ => Role::Started,
    };
    let fail_role = op.fail_role.unwrap_or(default_role);
    if fail_role != Role::Started && c.rscs[rsc].next_role < fail_role {
        c.rscs[rsc].next_role = fail_role;
    }
    if fail_role == Role::Stopped {
        ban_everywhere(c, rsc);
    }
}

fn failed_demote(c: &mut Cluster, rsc: RscIx, entry: &Entry, op: &OpMeta) {
    let r = &mut c.rscs[rsc];
    if op.on_fail == OnFail::Block {
        r.role = Role::Promoted;
        r.next_role = Role::Stopped;
    } else if entry.rc == ocf::NOT_RUNNING {
        r.role = Role::Stopped;
    } else {
        r.role = Role::Unpromoted;
    }
}

fn settings(c: &mut Cluster, rsc: RscIx, entry: &Entry) -> Arc<OpMeta> {
    if entry.task != Task::Other {
        return actions::op_meta(c, rsc, entry.task, entry.interval_ms);
    }
    let found = actions::find_op(c, rsc, entry.name, entry.interval_ms, true);
    let meta = actions::read_op_meta(c, rsc, found, entry.name, entry.interval_ms);
    Arc::new(meta)
}

/// Bans a resource (or the anonymous clone it is in) from all nodes.
fn ban_everywhere(c: &mut Cluster, rsc: RscIx) {
    let top = if c.is_anonymous_instance(rsc) {
        c.uber_parent(rsc, false)
    } else {
        rsc
    };
    for node in 0..c.nodes.len() {
        c.rscs[top].allowed.entry(node, 0).score = -INFINITY;
        record::set(
            c,
            top,
            node,
            -INFINITY,
            record::Cause::Named("fatal-error".into()),
        );
    }
}
