//! Rules that Pacemaker has changed between 2.1.5 and 3.0.2, as they were before.
//!
//! Nobody runs a cluster by these: with them the differential recomputes exactly what 2.1.5 says, and so proves that a
//! difference comes from a known change and from nothing else. It must never be what a daemon decides by.

/// Which rules are taken as they were in 2.1.5; none, if nobody asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// Colocations are seen to in their order; what must be does not come first.
    pub in_order: bool,
    /// What must be apart from a dependent with but one node does not go where the dependent cannot be.
    pub unyielding: bool,
    /// What a clone would like to be with, and what is to be with it, does not count for its instances: only what they
    /// must be with, and what is apart.
    pub instances_alone: bool,
    /// What is to be apart is so in any role.
    pub apart_in_any_role: bool,
    /// Of a chain of colocations only the last one says how much a wish counts, the others whether it is for or
    /// against.
    pub last_link: bool,
    /// An instance is tried once at the place where it is, and what that did to its scores stays.
    pub one_try: bool,
    /// An instance without a place comes after those with a promotion score and before those without.
    pub inactive_in_between: bool,
    /// Nodes are fenced one after the other unless `concurrent-fencing` says otherwise.
    pub fence_in_turn: bool,
    /// An instance of an ordered clone waits for the one before it, not for all of them.
    pub next_instance: bool,
    /// A member of a group does not wait for the stop of a later one that is up without it.
    pub group_gaps: bool,
    /// An `on-fail` that an operation cannot have is told to the executor all the same.
    pub on_fail_as_it_stands: bool,
    /// What is active on a node in maintenance is in maintenance there, not everywhere.
    pub held_where_active: bool,
    /// What must be with a clone must be on a node of the clone, whatever its `node-attribute` says.
    pub same_node_as_clone: bool,
    /// The promotion score of a group is the plain sum of its members', where INFINITY plus anything is INFINITY now.
    pub plain_sums: bool,
    /// The wishes of what goes with a group count once with its members and once with the group.
    pub groups_twice: bool,
}

impl Earlier {
    /// The names by which rules are asked for.
    pub const NAMES: &[&str] = &[
        "in-order",
        "unyielding",
        "instances-alone",
        "apart-in-any-role",
        "last-link",
        "one-try",
        "inactive-in-between",
        "fence-in-turn",
        "next-instance",
        "group-gaps",
        "on-fail-as-it-stands",
        "held-where-active",
        "same-node-as-clone",
        "plain-sums",
        "groups-twice",
    ];

    /// With one more rule, or nothing if there is none of that name.
    #[must_use]
    pub fn and(self, name: &str) -> Option<Self> {
        let mut rules = self;
        *match name {
            "in-order" => &mut rules.in_order,
            "unyielding" => &mut rules.unyielding,
            "instances-alone" => &mut rules.instances_alone,
            "apart-in-any-role" => &mut rules.apart_in_any_role,
            "last-link" => &mut rules.last_link,
            "one-try" => &mut rules.one_try,
            "inactive-in-between" => &mut rules.inactive_in_between,
            "fence-in-turn" => &mut rules.fence_in_turn,
            "next-instance" => &mut rules.next_instance,
            "group-gaps" => &mut rules.group_gaps,
            "on-fail-as-it-stands" => &mut rules.on_fail_as_it_stands,
            "held-where-active" => &mut rules.held_where_active,
            "same-node-as-clone" => &mut rules.same_node_as_clone,
            "plain-sums" => &mut rules.plain_sums,
            "groups-twice" => &mut rules.groups_twice,
            _ => return None,
        } = true;
        Some(rules)
    }
}
