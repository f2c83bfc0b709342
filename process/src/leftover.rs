//! What an earlier run of the daemon had started and did not see end (protocol.md, 12).
//!
//! Process ids are used again, so a group is recognised by more than its number:
//! * a leader that lives has the start time that was written down, or the group is not ours;
//! * while any member of a group lives the kernel gives its number to nobody else, so a process with
//!   the leader's id and another start time proves that our group is gone;
//! * without a leader the members must carry our mark in their environment.

use crate::{Group, MARK_VARIABLE, procfs, supervise};
use rustix::process::Signal;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

/// What became of a group from an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing of it lives.
    Gone,
    /// It was still at work, and has ended by itself.
    EndedByItself,
    /// It was still at work, and was ended.
    Ended,
    /// These processes outlive even SIGKILL: what they work on is unknown.
    Survives(Vec<i32>),
}

/// Living processes of the group, nobody else's.
pub fn members(group: &Group) -> Vec<i32> {
    let found = procfs::members(group.pgid);
    let ours = match procfs::stat(group.pgid) {
        Some(leader) => leader.start_time == group.start_time,
        None => {
            !group.mark.is_empty()
                && found
                    .iter()
                    .any(|m| procfs::has_variable(m.pid, MARK_VARIABLE, &group.mark))
        }
    };
    if !ours {
        return Vec::new();
    }
    found.iter().map(|m| m.pid).collect()
}

/// Groups whose processes carry this mark: for an execution whose process id was never written down.
/// Sessions of their own (services that the agent has started) are not among them.
pub fn find(mark: &str) -> Vec<Group> {
    let marked: BTreeSet<i32> = procfs::all()
        .iter()
        .filter(|s| !s.is_dead() && s.session != s.group)
        .filter(|s| procfs::has_variable(s.pid, MARK_VARIABLE, mark))
        .map(|s| s.group)
        .collect();
    marked
        .into_iter()
        .map(|pgid| Group {
            pgid,
            start_time: procfs::start_time(pgid).unwrap_or_default(),
            mark: mark.to_owned(),
        })
        .collect()
}

/// Gives the group `patience` to end by itself, then ends it: SIGTERM, `grace`, SIGKILL, `grace` again.
pub async fn settle(group: &Group, patience: Duration, grace: Duration) -> Fate {
    if members(group).is_empty() {
        return Fate::Gone;
    }
    if timeout(patience, supervise::group_ended(group.pgid))
        .await
        .is_ok()
    {
        return Fate::EndedByItself;
    }
    for signal in [Signal::TERM, Signal::KILL] {
        // Looked at anew each time: it may have ended, and its number may be somebody else's.
        if members(group).is_empty() {
            return Fate::Ended;
        }
        supervise::signal_group(group.pgid, signal);
        if timeout(grace, supervise::group_ended(group.pgid))
            .await
            .is_ok()
        {
            return Fate::Ended;
        }
    }
    match members(group) {
        left if left.is_empty() => Fate::Ended,
        left => Fate::Survives(left),
    }
}
