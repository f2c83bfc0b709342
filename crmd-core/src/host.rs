//! What a node notices of its own host. A disk that takes nothing any more: said, shown to the others in the
//! beats, and no place to lead from (protocol.md, 5). A wall clock that jumps: said, for nothing that is
//! decided in the short run counts by it.

use crate::{command::Severity, ids::Now, node::Node};

/// A wall clock that is off by so much from one moment to the next has been set, and not adjusted.
const JUMP_S: i64 = 10;

impl Node {
    /// Compares the clocks with what they said before.
    pub(crate) fn notice_jump(&mut self, before: Now) {
        let passed_s = self.now.mono_ms.saturating_sub(before.mono_ms) / 1000;
        let jump_s = self
            .now
            .wall_s
            .saturating_sub(before.wall_s)
            .saturating_sub_unsigned(passed_s);
        if jump_s.abs() < JUMP_S {
            return;
        }
        let me = self.me().clone();
        self.log(
            Severity::Warning,
            format!(
                "{me}: the wall clock jumped by {jump_s:+} s: look at its time synchronisation; heartbeats, \
                 time-outs and leases do not go by it, rules with dates and failure-timeout do"
            ),
        );
    }

    /// What the shell found out about the disk under the log.
    pub(crate) fn storage_is(&mut self, trouble: Option<String>) {
        if trouble == self.storage_trouble {
            return;
        }
        let me = self.me().clone();
        match &trouble {
            Some(text) => self.log(
                Severity::Error,
                format!(
                    "{me}: {text}; resources run on, the leadership moves if another node's disk is in order, \
                     and changes of the configuration are refused if not"
                ),
            ),
            None => self.log(
                Severity::Info,
                format!("{me}: the disk is in order again"),
            ),
        }
        if trouble.is_some() && self.storage_trouble.is_none() {
            self.counters.storage_troubles += 1;
        }
        self.storage_trouble = trouble;
        self.membership.hurry(self.now.mono_ms);
    }

    /// Why a change cannot be kept: the disk takes nothing, and no other node's is known to be better.
    pub(crate) fn unstorable(&self) -> Option<String> {
        let trouble = self.storage_trouble.as_ref()?;
        let me = self.me();
        let better = |n: &crate::ids::NodeName| {
            n != me && self.membership.is_up(n) && !self.storage_fails(n)
        };
        let text = format!("nothing was changed: {me}: {trouble}, and no other node can take over");
        (!self.voter_names().iter().any(better)).then_some(text)
    }

    /// Whether a node's disk takes nothing, as its last beat said.
    pub(crate) fn storage_fails(&self, node: &str) -> bool {
        if node == &**self.me() {
            return self.storage_trouble.is_some();
        }
        let beat = self.membership.peer(node).and_then(|p| p.beat.as_ref());
        beat.is_some_and(|b| b.storage_failing)
    }
}
