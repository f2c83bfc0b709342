//! The status of a document: nodes, transient attributes, what was done with resources.

use super::{
    Feature, Maker, NOW_S, Standing, pair,
    resources::{Kind, Top},
};
use std::fmt::Write as _;

const UUID: &str = "5b0a4b5e-0000-4000-8000-000000000001";
/// Digest of no parameters.
const NO_PARAMETERS: &str = "f2317cad3d54cec5d7d7aa7d0bf35cf8";
/// Digest of `fake="1"`.
const FAKE_1: &str = "2b1b5ccbabbdb96f3f7edb41b0775563";
/// Digest of a time-out of 20 s alone, as recurring operations have it.
const ONLY_TIMEOUT: &str = "4811cef7f7f94e3a35a70be7916cb2fd";
const OTHER_PARAMETERS: &str = "0000cad3d54cec5d7d7aa7d0bf35cf80";

/// What the last thing known about a resource on a node is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was ever done.
    Unknown,
    ProbedStopped,
    Stopped,
    Started,
    Promoted,
    StartFailed,
    MonitorFailed,
    MonitorFailedPromoted,
    StopFailed,
    PromoteFailed,
    DemoteFailed,
    ProbeFailed,
    NotInstalled,
    StartPending,
    StopPending,
    ProbePending,
    MonitorPending,
    PromotePending,
}

/// The section.
pub(crate) fn write(maker: &mut Maker) -> String {
    let tops = std::mem::take(&mut maker.resources);
    let nodes = maker.nodes.len();
    // How much is running: nothing, everything, anything.
    let running = match maker.dice.below(10) {
        0..=1 => 0,
        2..=6 => 100,
        _ => 50,
    };
    let mut histories = vec![String::new(); nodes];
    let mut attributes = vec![Vec::new(); nodes];
    for top in &tops {
        one(maker, top, running, &mut histories, &mut attributes);
    }
    if maker.has(Feature::Orphans) {
        orphans(maker, &mut histories);
    }
    maker.resources = tops;
    let mut out = String::from("<status>");
    if maker.has(Feature::Tickets) {
        tickets(maker, &mut out);
    }
    for (number, history) in histories.iter().enumerate() {
        let pairs = std::mem::take(&mut attributes[number]);
        node_state(maker, number, history, pairs, &mut out);
    }
    out + "</status>"
}

fn tickets(maker: &mut Maker, out: &mut String) {
    *out += "<tickets>";
    for id in ["ticketA", "ticketB"] {
        let state = maker.dice.one_of(&[
            "granted=\"true\"",
            "granted=\"true\" standby=\"true\"",
            "granted=\"false\" last-granted=\"1789990000\"",
            "",
        ]);
        if !state.is_empty() {
            let _ = write!(out, "<ticket_state id=\"{id}\" {state}/>");
        }
    }
    *out += "</tickets>";
}

fn node_state(
    maker: &mut Maker,
    number: usize,
    history: &str,
    mut pairs: Vec<(String, String)>,
    out: &mut String,
) {
    let node = &maker.nodes[number];
    let standing = match node.standing {
        Standing::Unseen => return,
        Standing::Online => "in_ccm=\"true\" crmd=\"online\" join=\"member\" expected=\"member\"",
        Standing::Offline => "in_ccm=\"false\" crmd=\"offline\" join=\"down\" expected=\"down\"",
        Standing::Unclean => "in_ccm=\"false\" crmd=\"offline\" join=\"down\" expected=\"member\"",
        Standing::Pending => "in_ccm=\"true\" crmd=\"online\" join=\"down\" expected=\"member\"",
    };
    let (id, name) = (number + 1, node.name.clone());
    let online = node.standing == Standing::Online;
    let _ = write!(
        out,
        "<node_state id=\"{id}\" uname=\"{name}\" {standing} crm-debug-origin=\"generated\">"
    );
    if online && maker.on(Feature::Shutdown, 40) {
        pairs.push(pair("shutdown", NOW_S - 30));
    }
    if maker.on(Feature::Health, 30) {
        let colour = maker.dice.one_of(&["red", "yellow", "green"]);
        pairs.push(pair("#health-cpu", colour));
    }
    if maker.on(Feature::Standby, 10) {
        pairs.push(pair("standby", "true"));
    }
    if !pairs.is_empty() {
        let block = maker.pairs("instance_attributes", &pairs);
        let _ = write!(
            out,
            "<transient_attributes id=\"{id}\">{block}</transient_attributes>"
        );
    }
    let _ = write!(
        out,
        "<lrm id=\"{id}\"><lrm_resources>{history}</lrm_resources></lrm></node_state>"
    );
}

/// Where a resource's instances run, and what else is known.
fn one(
    maker: &mut Maker,
    top: &Top,
    running: u64,
    histories: &mut [String],
    attributes: &mut [Vec<(String, String)>],
) {
    let nodes = histories.len();
    let active = maker.dice.percent(running);
    let mut places: Vec<usize> = match (active, top.kind) {
        (false, _) => Vec::new(),
        (true, Kind::Plain) => vec![usual_node(maker, nodes)],
        (true, _) => {
            let most = match top.clone_max {
                0 => nodes,
                some => usize::try_from(some).unwrap_or(nodes).min(nodes),
            };
            (0..most).collect()
        }
    };
    places.retain(|n| maker.nodes[*n].standing != Standing::Offline);
    if active && maker.on(Feature::MultipleActive, 50) && top.kind == Kind::Plain {
        let other = maker.dice.index(nodes);
        if !places.contains(&other) {
            places.push(other);
        }
    }
    let promoted = match top.kind {
        Kind::Promotable if maker.dice.percent(80) => maker.dice.pick(&places).copied(),
        _ => None,
    };
    if top.kind == Kind::Promotable && maker.dice.percent(75) {
        promotion_scores(maker, top, &places, attributes);
    }
    let probed = maker.dice.percent(70) || maker.has(Feature::ProbedStopped);
    for (position, member) in top.members.iter().enumerate() {
        for node in 0..nodes {
            if maker.nodes[node].standing == Standing::Unseen {
                continue;
            }
            let place = places.iter().position(|p| *p == node);
            let state = match place {
                Some(_) if position > 0 && maker.dice.percent(8) => State::Stopped,
                Some(_) if promoted == Some(node) => State::Promoted,
                Some(_) => State::Started,
                None if probed && maker.nodes[node].standing == Standing::Online => {
                    State::ProbedStopped
                }
                None => State::Unknown,
            };
            let state = disturbed(maker, top, state);
            let instance = match top.unique {
                true => place.or(places.is_empty().then_some(node)),
                false => None,
            };
            if top.unique && instance.is_none() {
                continue;
            }
            fail_counts(maker, member, instance, state, &mut attributes[node]);
            write_resource(
                maker,
                top,
                member,
                instance,
                node,
                state,
                &mut histories[node],
            );
        }
    }
}

/// Usually where the scheduler would put it, so that most clusters are quiet.
fn usual_node(maker: &mut Maker, nodes: usize) -> usize {
    match maker.has(Feature::Misplaced) || maker.dice.percent(40) {
        true => maker.dice.index(nodes),
        false => 0,
    }
}

fn promotion_scores(
    maker: &mut Maker,
    top: &Top,
    places: &[usize],
    attributes: &mut [Vec<(String, String)>],
) {
    for node in places {
        for (number, member) in top.members.iter().enumerate() {
            if number > 0 && maker.dice.percent(50) {
                continue;
            }
            let score = maker
                .dice
                .one_of(&["5", "10", "10", "100", "-1", "INFINITY"]);
            if maker.dice.percent(85) {
                let name = match top.unique {
                    true => format!("master-{member}:{node}"),
                    false => format!("master-{member}"),
                };
                attributes[*node].push(pair(&name, score));
            }
        }
    }
}

/// What may have gone wrong.
fn disturbed(maker: &mut Maker, top: &Top, state: State) -> State {
    if maker.on(Feature::Pending, 25) {
        let pending: &[State] = match state {
            State::Started => &[
                State::StartPending,
                State::StopPending,
                State::MonitorPending,
            ],
            State::Promoted => &[State::PromotePending, State::StopPending],
            _ => &[State::ProbePending],
        };
        return maker.dice.pick(pending).copied().unwrap_or(state);
    }
    let failing = maker.has(Feature::Failed) || maker.has(Feature::OnFail);
    if failing && maker.dice.percent(25) {
        let mut failures: Vec<State> = match state {
            State::Started => vec![
                State::StartFailed,
                State::MonitorFailed,
                State::MonitorFailed,
                State::StopFailed,
            ],
            State::Promoted => vec![
                State::MonitorFailedPromoted,
                State::PromoteFailed,
                State::DemoteFailed,
            ],
            _ => vec![State::ProbeFailed, State::NotInstalled, State::StartFailed],
        };
        if top.kind == Kind::Promotable && state == State::Started {
            failures.push(State::PromoteFailed);
        }
        return maker.dice.pick(&failures).copied().unwrap_or(state);
    }
    state
}

fn fail_counts(
    maker: &mut Maker,
    member: &str,
    instance: Option<usize>,
    state: State,
    pairs: &mut Vec<(String, String)>,
) {
    let name = match instance {
        Some(number) => format!("{member}:{number}"),
        None => member.to_owned(),
    };
    let operation = match state {
        State::StartFailed => "start_0",
        State::StopFailed => "stop_0",
        State::MonitorFailed | State::MonitorFailedPromoted => "monitor_10000",
        State::PromoteFailed => "promote_0",
        State::DemoteFailed => "demote_0",
        _ if maker.on(Feature::FailCounts, 25) => "monitor_10000",
        _ => return,
    };
    if maker.dice.percent(15) {
        return;
    }
    let count = match operation {
        "start_0" | "stop_0" if maker.dice.percent(70) => "INFINITY",
        _ => maker.dice.one_of(&["1", "1", "2", "3", "INFINITY"]),
    };
    pairs.push(pair(&format!("fail-count-{name}#{operation}"), count));
    pairs.push(pair(
        &format!("last-failure-{name}#{operation}"),
        NOW_S - 600,
    ));
}

/// One operation in a history.
struct Entry<'a> {
    /// End of its id.
    id: &'a str,
    operation: &'a str,
    interval_ms: u32,
    rc: i32,
    expected: i32,
    status: i32,
    /// Seconds before now.
    age_s: i64,
}

fn entries(state: State, promotable: bool) -> Vec<Entry<'static>> {
    let done = |operation, rc, expected| Entry {
        id: "last_0",
        operation,
        interval_ms: 0,
        rc,
        expected,
        status: 0,
        age_s: 3000,
    };
    let failed = |operation, rc| Entry {
        id: "last_failure_0",
        status: 0,
        age_s: 600,
        ..done(operation, rc, 0)
    };
    let monitor = |interval_ms, rc| Entry {
        id: "monitor",
        operation: "monitor",
        interval_ms,
        rc,
        expected: rc,
        status: 0,
        age_s: 2900,
    };
    let pending = |operation, expected| Entry {
        rc: 193,
        status: -1,
        age_s: 5,
        ..done(operation, 193, expected)
    };
    let interval = if promotable { 11_000 } else { 10_000 };
    let started = || vec![done("start", 0, 0), monitor(interval, 0)];
    let with = |mut list: Vec<Entry<'static>>, entry| {
        list.push(entry);
        list
    };
    match state {
        State::Unknown => Vec::new(),
        State::ProbedStopped => vec![done("monitor", 7, 7)],
        State::Stopped => vec![done("stop", 0, 0)],
        State::Started => started(),
        State::Promoted => vec![done("promote", 0, 0), monitor(10_000, 8)],
        State::StartFailed => vec![done("start", 1, 0), failed("start", 1)],
        State::MonitorFailed => with(
            started(),
            Entry {
                interval_ms: interval,
                ..failed("monitor", 7)
            },
        ),
        State::MonitorFailedPromoted => vec![
            done("promote", 0, 0),
            Entry {
                interval_ms: 10_000,
                expected: 8,
                ..failed("monitor", 9)
            },
        ],
        State::StopFailed => vec![done("stop", 1, 0), failed("stop", 1)],
        State::PromoteFailed => vec![done("promote", 1, 0), failed("promote", 1)],
        State::DemoteFailed => vec![done("demote", 1, 0), failed("demote", 1)],
        State::ProbeFailed => vec![done("monitor", 1, 7)],
        State::NotInstalled => vec![done("monitor", 5, 7)],
        State::StartPending => vec![pending("start", 0)],
        State::StopPending => vec![pending("stop", 0), monitor(interval, 0)],
        State::ProbePending => vec![pending("monitor", 7)],
        State::MonitorPending => vec![
            done("start", 0, 0),
            Entry {
                rc: 193,
                expected: 0,
                status: -1,
                ..monitor(interval, 193)
            },
        ],
        State::PromotePending => vec![pending("promote", 0), monitor(11_000, 0)],
    }
}

fn write_resource(
    maker: &mut Maker,
    top: &Top,
    member: &str,
    instance: Option<usize>,
    node: usize,
    state: State,
    out: &mut String,
) {
    let promotable = top.kind == Kind::Promotable;
    let list = entries(state, promotable);
    if list.is_empty() {
        return;
    }
    let id = match instance {
        Some(number) => format!("{member}:{number}"),
        None => member.to_owned(),
    };
    let kind = match (top.device, promotable) {
        (true, _) => "type=\"fence_xvm\" class=\"stonith\"",
        (_, true) => "type=\"Stateful\" class=\"ocf\" provider=\"pacemaker\"",
        _ => "type=\"Dummy\" class=\"ocf\" provider=\"pacemaker\"",
    };
    let _ = write!(out, "<lrm_resource id=\"{id}\" {kind}>");
    write_entries(maker, &id, node, &list, out);
    *out += "</lrm_resource>";
}

fn write_entries(maker: &mut Maker, id: &str, node: usize, list: &[Entry<'_>], out: &mut String) {
    let node = maker.nodes[node].name.clone();
    for (number, entry) in list.iter().enumerate() {
        let key = format!("{}:1:{}:{UUID}", number + 5, entry.expected);
        let name = match entry.id {
            "monitor" => format!("monitor_{}", entry.interval_ms),
            other => other.to_owned(),
        };
        let mut more = String::new();
        if let Some(digest) = digest(maker, entry.interval_ms > 0) {
            let _ = write!(more, " op-digest=\"{digest}\"");
            if entry.interval_ms == 0 && maker.on(Feature::ChangedParameters, 30) {
                let _ = write!(
                    more,
                    " op-force-restart=\" state \" op-restart-digest=\"{NO_PARAMETERS}\""
                );
            }
        }
        let call = if entry.status == -1 {
            -1
        } else {
            10 + number as i64
        };
        let changed = NOW_S - entry.age_s;
        let (operation, interval, rc, status) =
            (entry.operation, entry.interval_ms, entry.rc, entry.status);
        let _ = write!(
            out,
            "<lrm_rsc_op id=\"{id}_{name}\" operation_key=\"{id}_{operation}_{interval}\" \
             operation=\"{operation}\" crm-debug-origin=\"generated\" crm_feature_set=\"3.16.1\" \
             transition-key=\"{key}\" transition-magic=\"{status}:{rc};{key}\" exit-reason=\"\" \
             on_node=\"{node}\" call-id=\"{call}\" rc-code=\"{rc}\" op-status=\"{status}\" \
             interval=\"{interval}\" last-rc-change=\"{changed}\" exec-time=\"20\" queue-time=\"0\"{more}/>"
        );
    }
}

/// Digest of the parameters an operation was done with; nothing if that was not noted.
fn digest(maker: &mut Maker, recurring: bool) -> Option<&'static str> {
    let same = match recurring {
        true => ONLY_TIMEOUT,
        false => NO_PARAMETERS,
    };
    if !maker.has(Feature::ChangedParameters) {
        return Some(same);
    }
    match maker.dice.below(10) {
        0 => None,
        1..=2 => Some(OTHER_PARAMETERS),
        3..=5 if !recurring => Some(FAKE_1),
        _ => Some(same),
    }
}

/// Resources that run though they are not configured any more.
fn orphans(maker: &mut Maker, histories: &mut [String]) {
    for number in 1..=maker.dice.range(1, 2) {
        let node = maker.dice.index(histories.len());
        if maker.nodes[node].standing == Standing::Unseen {
            continue;
        }
        let states = [
            State::Started,
            State::Started,
            State::ProbedStopped,
            State::Stopped,
            State::StopFailed,
            State::MonitorFailed,
        ];
        let state = maker.dice.pick(&states).copied().unwrap_or(State::Started);
        let id = format!("old{number}");
        let list = entries(state, false);
        let out = &mut histories[node];
        let _ = write!(
            out,
            "<lrm_resource id=\"{id}\" type=\"Dummy\" class=\"ocf\" provider=\"pacemaker\">"
        );
        let mut inside = String::new();
        write_entries(maker, &id, node, &list, &mut inside);
        histories[node] += &inside;
        histories[node] += "</lrm_resource>";
    }
}
