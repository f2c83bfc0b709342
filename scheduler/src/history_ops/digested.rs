//! Histories digested once: of most, all that matters is what the resource does there.
//!
//! Large clusters hold a history for every resource on every node, and from one decision to the next hardly any
//! changes. [`History`] keeps what a plain one says; whoever holds it holds its element too, so that the same
//! piece of memory is the same history.
//!
//! Must never: say of a history what reading its entries one by one would not say.

use cib::Element;

use super::{
    Entry, active_since,
    at_rest::{self, NodeHistories},
    by_age, exec, ocf, read_entries, word,
};
use crate::{
    actions, failures,
    model::{Cluster, Kind, NodeIx, OnFail, Role, RscIx, Task},
};

/// A history with what is known of it.
pub(crate) struct History {
    /// Its element.
    pub(crate) xml: Element,
    meaning: Meaning,
    /// The resource it is of, as long as the configuration is the same.
    rsc: Option<RscIx>,
    /// With the same configuration: nothing follows from comparing the two while the resource does not run there.
    same_agent: bool,
    /// With the same configuration: nor while it runs there, unless something else asks for it.
    same_operations: bool,
}

/// What a history says.
enum Meaning {
    /// Nothing was done there, and nothing is locked.
    Nothing,
    /// Everything went as it should.
    Plain(Plain),
    /// Its entries have to be looked at.
    Other,
}

/// What a history says in which everything went as it should.
struct Plain {
    role: PlainRole,
    /// Some entry makes earlier failures forgotten.
    clears: bool,
    /// Intervals of the monitors that are active, milliseconds.
    monitors_ms: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PlainRole {
    Unknown,
    Stopped,
    Started,
    /// Started, or of what can be promoted: unpromoted.
    Active,
    Unpromoted,
    Promoted,
}

impl History {
    /// Reads a history.
    pub(super) fn of(xml: &Element) -> Self {
        Self {
            xml: xml.clone(),
            meaning: meaning(xml),
            rsc: None,
            same_agent: false,
            same_operations: false,
        }
    }

    /// The configuration is another one now.
    pub(crate) fn forget_configuration(&mut self) {
        self.rsc = None;
        self.same_agent = false;
        self.same_operations = false;
    }

    /// Whether it is known that comparing it with the configuration changes nothing.
    pub(crate) fn is_settled(&self, c: &Cluster, node: NodeIx) -> bool {
        let Some(rsc) = self.rsc.filter(|_| self.same_agent) else {
            return false;
        };
        let r = &c.rscs[rsc];
        if !r.running_on.contains(&node) {
            return true;
        }
        self.same_operations && is_comparable(c, rsc, node)
    }

    /// Remembers that the agent is the one configured, and (`operations`) that its operations are.
    pub(crate) fn settle(&mut self, c: &Cluster, node: NodeIx, operations: bool) {
        self.same_agent = true;
        let comparable = |rsc| is_comparable(c, rsc, node) && !c.is_bundled(rsc);
        self.same_operations = operations && self.rsc.is_some_and(comparable);
    }

    /// Whether everything went as it should, if anything was done at all.
    pub(super) fn is_plain(&self) -> bool {
        !matches!(self.meaning, Meaning::Other)
    }

    /// Whether it says that the resource does not run there and nothing else, and is that of the agent configured.
    pub(super) fn is_quiet(&self) -> bool {
        self.same_agent && matches!(&self.meaning, Meaning::Plain(plain) if plain.is_quiet())
    }

    /// The resource it is of, where that follows from the configuration alone.
    pub(crate) fn resource(&self) -> Option<RscIx> {
        self.rsc
    }
}

/// Whether operations are compared with nothing but the configuration.
fn is_comparable(c: &Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let r = &c.rscs[rsc];
    !r.maintenance
        && !c.nodes[node].maintenance
        && !r.is_remote
        && r.monitors_to_renew.is_empty()
        && !c.blotted
}

fn meaning(xml: &Element) -> Meaning {
    if xml.attr("shutdown-lock").is_some() || xml.attr("container").is_some() {
        return Meaning::Other;
    }
    let entries = read_entries(xml);
    if entries.is_empty() {
        return Meaning::Nothing;
    }
    if !entries.iter().all(is_plain) {
        return Meaning::Other;
    }
    let entries = by_age(entries);
    let mut plain = Plain {
        role: PlainRole::Unknown,
        clears: false,
        monitors_ms: Vec::new(),
    };
    for entry in &entries {
        plain.add(entry);
    }
    let (start, stop) = active_since(&entries);
    if start >= stop {
        let live = entries.iter().enumerate().filter(|(at, entry)| {
            let recurs = entry.interval_ms > 0 && entry.task == Task::Monitor;
            recurs && *at as i64 >= start
        });
        plain.monitors_ms = live.map(|(_, entry)| entry.interval_ms).collect();
    }
    Meaning::Plain(plain)
}

/// Whether an operation is done and ended as expected, in a way that says all there is to say.
fn is_plain(entry: &Entry) -> bool {
    let expected = match entry.task {
        Task::Monitor if entry.interval_ms == 0 => {
            matches!(entry.rc, ocf::OK | ocf::NOT_RUNNING | ocf::PROMOTED)
        }
        Task::Monitor => matches!(entry.rc, ocf::OK | ocf::PROMOTED),
        Task::Start | Task::Stop | Task::Promote | Task::Demote => entry.rc == ocf::OK,
        _ => false,
    };
    expected
        && entry.status == exec::DONE
        && entry.rc == entry.target_rc
        && !entry.is_last_failure()
        && entry.xml.get(word::OP_STATUS) != Some("-1")
}

impl Plain {
    /// Whether the resource does not run there and nothing is done about it.
    fn is_quiet(&self) -> bool {
        self.role == PlainRole::Stopped && self.monitors_ms.is_empty()
    }

    fn add(&mut self, entry: &Entry) {
        let set = match (entry.task, entry.rc) {
            (Task::Monitor, ocf::NOT_RUNNING) | (Task::Stop, _) => PlainRole::Stopped,
            (Task::Monitor, ocf::PROMOTED) | (Task::Promote, _) => PlainRole::Promoted,
            (Task::Monitor, _) => {
                // That it runs says nothing new of what is known to run.
                self.role = match self.role {
                    PlainRole::Unknown | PlainRole::Stopped => PlainRole::Active,
                    known => known,
                };
                return;
            }
            (Task::Demote, _) => {
                self.role = PlainRole::Unpromoted;
                return;
            }
            _ => PlainRole::Started,
        };
        self.role = set;
        self.clears |= !(entry.task == Task::Monitor && entry.rc == ocf::PROMOTED);
    }

    fn role(&self, c: &Cluster, rsc: RscIx) -> Role {
        match self.role {
            PlainRole::Unknown => Role::Unknown,
            PlainRole::Stopped => Role::Stopped,
            PlainRole::Started => Role::Started,
            PlainRole::Unpromoted => Role::Unpromoted,
            PlainRole::Promoted => Role::Promoted,
            PlainRole::Active if c.rscs[c.uber_parent(rsc, false)].promotable => Role::Unpromoted,
            PlainRole::Active => Role::Started,
        }
    }
}

/// Reads the histories of a node: those that are known as they are known, others anew.
pub(super) fn unpack_node(
    c: &mut Cluster,
    node: NodeIx,
    resources: &Element,
    mut known: NodeHistories,
) -> NodeHistories {
    known.read(resources);
    at_rest::pass_over(c, node, &mut known);
    let passing = c.recall.as_ref().and_then(|recall| recall.passing.as_ref());
    let fails = failures::has_failures(c, node);
    let mut removed_containers = Vec::new();
    for at in known.to_look_at(passing) {
        let Some(history) = known.get_mut(at) else {
            continue;
        };
        if let Some(rsc) = unpack(c, node, history, fails)
            && c.rscs[rsc].removed
            && history.xml.attr("container").is_some()
        {
            removed_containers.push((rsc, history.xml.clone()));
        }
    }
    for (rsc, xml) in removed_containers {
        super::link_removed_filler(c, rsc, &xml);
    }
    known
}

/// The histories in an element; of those that are as they were, what is `known`.
pub(super) fn read_again(resources: &Element, mut known: Vec<History>) -> Vec<History> {
    let mut all = resources.children().peekable();
    let mut same = 0;
    // Nearly always all of them are as they were: they stay where they are, and their elements are not looked at.
    while let (Some(xml), Some(history)) = (all.peek(), known.get(same))
        && history.xml.ptr_eq(xml)
    {
        same += 1;
        all.next();
    }
    let mut rest = Known::new(known.split_off(same));
    known.extend(
        all.filter(|x| x.is(word::LRM_RESOURCE))
            .map(|xml| rest.take(xml)),
    );
    known
}

/// Histories known of a node, in the order of the document they were in.
struct Known {
    all: Vec<Option<History>>,
    at: usize,
}

impl Known {
    /// So many that are gone are passed over before all that follow are taken for new.
    const AHEAD: usize = 64;

    fn new(all: Vec<History>) -> Self {
        let all = all.into_iter().map(Some).collect();
        Self { all, at: 0 }
    }

    /// What is known of a history; nearly always it comes next.
    fn take(&mut self, xml: &Element) -> History {
        let same = |known: &Option<History>| known.as_ref().is_some_and(|k| k.xml.ptr_eq(xml));
        let mut ahead = self.all.iter().skip(self.at).take(Self::AHEAD);
        if let Some(gone) = ahead.position(same) {
            self.at += gone + 1;
            if let Some(known) = self.all.get_mut(self.at - 1).and_then(Option::take) {
                return known;
            }
        }
        let mut new = History::of(xml);
        let next = self.all.get_mut(self.at);
        let replaced = next.and_then(|n| n.take_if(|old| old.xml.id() == xml.id()));
        if let Some(old) = replaced {
            self.at += 1;
            new.rsc = old.rsc;
        }
        new
    }
}

/// Takes a history into account, by what it means if that is known. The resource it is of.
fn unpack(c: &mut Cluster, node: NodeIx, history: &mut History, fails: bool) -> Option<RscIx> {
    let plain = match &history.meaning {
        Meaning::Nothing => return None,
        Meaning::Other => return super::unpack_resource(c, node, &history.xml),
        Meaning::Plain(plain) => plain,
    };
    let found = match history.rsc {
        Some(rsc) => Some(rsc),
        None => {
            let found = super::find::resource(c, node, history.xml.id()?);
            history.rsc = found.filter(|rsc| follows_from_configuration(c, *rsc));
            found
        }
    };
    let Some(rsc) = found.filter(|rsc| !(fails && forgets_failures(c, *rsc))) else {
        let entries = read_entries(&history.xml);
        return super::unpack_entries(c, node, &history.xml, entries, found);
    };
    if plain.is_quiet() && rests(c, rsc, node) {
        return Some(rsc);
    }
    let saved_role = c.rscs[rsc].role;
    c.rscs[rsc].role = plain.role(c, rsc);
    if plain.clears {
        c.rscs[rsc].next_role = Role::Unknown;
    }
    if c.nodes[node].online {
        for interval_ms in &plain.monitors_ms {
            actions::action(c, rsc, Task::Monitor, *interval_ms, Some(node), true);
        }
    }
    super::conclude(c, rsc, node, OnFail::Ignore, saved_role);
    Some(rsc)
}

/// Whether failures of a resource are forgotten some time.
pub(super) fn forgets_failures(c: &Cluster, rsc: RscIx) -> bool {
    c.rscs[rsc].failure_timeout_ms >= 1000
}

/// Of a resource to which nothing else happens, all there is to say of a node where it does not run is that this is
/// known. Whether it was said.
fn rests(c: &mut Cluster, rsc: RscIx, node: NodeIx) -> bool {
    let r = &mut c.rscs[rsc];
    let more = r.has_target_role
        || r.failed
        || r.history_id.is_some()
        || r.partial_source.is_some()
        || r.tasks.contains(&Task::Stop);
    if more {
        return false;
    }
    r.next_role = Role::Unknown;
    r.role = r.role.max(Role::Stopped);
    super::state::note_known_on(c, rsc, node);
    true
}

/// Whether an id stands for this resource in every history, as long as the configuration stays.
fn follows_from_configuration(c: &Cluster, rsc: RscIx) -> bool {
    let configured = c.recall.as_ref().map_or(0, |r| r.configured);
    let top = c.uber_parent(rsc, false);
    let shared = c.rscs[top].kind == Kind::Clone && !c.rscs[top].unique;
    rsc < configured && c.rscs[rsc].kind == Kind::Primitive && !shared
}
