//! Rules that Pacemaker has changed between 2.1.5 and 3.0.2, as they were before.
//!
//! Nobody runs a cluster by these: with them the differential recomputes exactly what 2.1.5 says, and so proves that a
//! difference comes from a known change and from nothing else. It must never be what a daemon decides by.

macro_rules! earlier {
    ($($(#[$what:meta])* $rule:ident = $name:literal,)*) => {
        /// Which rules are taken as they were in 2.1.5; none, if nobody asks.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Earlier {
            $($(#[$what])* pub $rule: bool,)*
        }

        impl Earlier {
            /// The names by which rules are asked for.
            pub const NAMES: &[&str] = &[$($name),*];

            /// With one more rule, or nothing if there is none of that name.
            #[must_use]
            pub fn and(mut self, name: &str) -> Option<Self> {
                match name {
                    $($name => self.$rule = true,)*
                    _ => return None,
                }
                Some(self)
            }
        }
    };
}

earlier! {
    /// Colocations are seen to in their order; what must be does not come first.
    in_order = "in-order",
    /// What must be apart from a dependent with but one node does not go where the dependent cannot be.
    unyielding = "unyielding",
    /// What a clone would like to be with, and what is to be with it, does not count for its instances: only what they
    /// must be with, and what is apart.
    instances_alone = "instances-alone",
    /// What is to be apart is so in any role but the one that is named.
    apart_in_any_role = "apart-in-any-role",
    /// Of a chain of colocations only the last one says how much a wish counts, the others whether it is for or
    /// against.
    last_link = "last-link",
    /// An instance is tried once at the place where it is; when it is tried again, the colocations of its clone count
    /// twice.
    one_try = "one-try",
    /// An instance without a place comes after those with a promotion score and before those without.
    inactive_in_between = "inactive-in-between",
    /// Nodes are fenced one after the other unless `concurrent-fencing` says otherwise.
    fence_in_turn = "fence-in-turn",
    /// An instance of an ordered clone waits for the one before it, not for all of them.
    next_instance = "next-instance",
    /// A member of a group does not wait for the stop of a later one that is up without it.
    group_gaps = "group-gaps",
    /// An `on-fail` that an operation cannot have is told to the executor all the same.
    on_fail_as_it_stands = "on-fail-as-it-stands",
    /// What is active on a node in maintenance is in maintenance there, not everywhere.
    held_where_active = "held-where-active",
    /// What must be with a clone must be on a node of the clone, whatever its `node-attribute` says.
    same_node_as_clone = "same-node-as-clone",
    /// The promotion score of a group is the plain sum of its members', where INFINITY plus anything is INFINITY now.
    plain_sums = "plain-sums",
    /// The wishes of what goes with a group count once with its members and once with the group.
    groups_twice = "groups-twice",
    /// What is active on several nodes and stays on but one is not started either where it was not active.
    expected_anywhere = "expected-anywhere",
    /// What is to be promoted beside something that has no place is promoted without it.
    promoted_without = "promoted-without",
    /// What promoted instances must be with counts for the order in which they are promoted, too.
    primaries_twice = "primaries-twice",
    /// A group that cannot start keeps nothing from starting that must be with it, or with a member of it.
    lenient_groups = "lenient-groups",
    /// What is active on several nodes migrates from one to another of them.
    migrating_copies = "migrating-copies",
    /// What instances of a group are to be with in a role does not count for which of them are promoted.
    groups_unranked = "groups-unranked",
    /// Where a promoted instance is that its dependent was never to be near, its score is told, too.
    told_beside_promoted = "told-beside-promoted",
}
