//! `systole status`: how the cluster does, what is wrong, and what to do about it, on one screen.

mod problems;

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    output::Output,
    source::{self, Source},
};
use clap::Parser;
use crmd_core::view::NodeView;
use problems::Problem;
use scheduler::view::{Kind, Node, Resource, Role, View};
use serde::Serialize;
use std::{ffi::OsString, process::ExitCode};

/// Tells how the cluster does. The exit code is 1 if something is wrong.
#[derive(Debug, Parser)]
#[command(name = "systole status", version, disable_version_flag = true)]
struct Arguments {
    /// For programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "systole status";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let mut source = Source::from_environment()?;
        let document = source.document()?;
        let live = match source.is_file() {
            true => None,
            false => Some(source.live()?.state().map_err(source::of_daemon)?),
        };
        let now_s = jiff::Timestamp::now().as_second();
        let view = View::of(&document, now_s);
        let answer = Answer::of(&view, live.as_ref());
        if self.json {
            let json = serde_json::to_string_pretty(&answer)
                .map_err(|e| Failure::new(exit::ERROR, format!("cannot write JSON: {e}")))?;
            output.line(&json);
        } else {
            answer.lines().iter().for_each(|line| output.line(line));
        }
        Ok(if answer.problems.is_empty() {
            exit::OK
        } else {
            exit::ERROR
        })
    }
}

/// Everything there is to say.
#[derive(Debug, Serialize)]
struct Answer {
    cluster: Cluster,
    nodes: Vec<NodeState>,
    resources: Vec<ResourceState>,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Cluster {
    /// The node that answered; nothing if a file did.
    node: Option<String>,
    version: Option<String>,
    quorum: bool,
    coordinator: Option<String>,
    /// Nothing is left to do; nothing if this node cannot know.
    at_rest: Option<bool>,
}

#[derive(Debug, Serialize)]
struct NodeState {
    name: String,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct ResourceState {
    id: String,
    role: String,
    nodes: Vec<String>,
    /// It is meant to be stopped.
    disabled: bool,
    failed: bool,
}

impl Answer {
    fn of(view: &View, live: Option<&NodeView>) -> Self {
        let dc = view.summary.dc.and_then(|dc| view.nodes.get(dc));
        let coordinator = match live {
            Some(live) => live.coordinator.as_ref().map(ToString::to_string),
            None => dc.map(|n| n.name.clone()),
        };
        let is_coordinator = live.is_some_and(|l| coordinator.as_deref() == Some(&*l.node));
        let cluster = Cluster {
            node: live.map(|l| l.node.clone()),
            version: live.map(|l| l.version.clone()),
            quorum: live.map_or(view.summary.quorate, |l| l.quorate),
            coordinator,
            at_rest: live.filter(|_| is_coordinator).map(|l| l.idle),
        };
        let nodes = view.nodes.iter().map(|n| NodeState {
            name: n.name.clone(),
            state: node_state(n),
        });
        let problems = problems::find(view, &cluster);
        Self {
            nodes: nodes.collect(),
            resources: resources(view),
            problems,
            cluster,
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.cluster_line(), self.nodes_line()];
        let running = self
            .resources
            .iter()
            .filter(|r| !r.nodes.is_empty())
            .count();
        let all = self.resources.len();
        lines.push(format!("Resources  {running} of {all} run"));
        let width = self.resources.iter().map(|r| r.id.chars().count()).max();
        for r in &self.resources {
            lines.push(r.line(width.unwrap_or(0)));
        }
        lines.push(String::new());
        if self.problems.is_empty() {
            lines.push("Nothing is wrong.".to_owned());
        }
        for (number, problem) in self.problems.iter().enumerate() {
            lines.push(format!("{}. {}", number + 1, problem.what));
            lines.push(format!("   -> {}", problem.next));
        }
        lines
    }

    fn cluster_line(&self) -> String {
        let Cluster {
            version,
            quorum,
            coordinator,
            at_rest,
            ..
        } = &self.cluster;
        let quorum = if *quorum { "quorum" } else { "NO QUORUM" };
        let coordinator = match coordinator {
            Some(node) => format!("coordinator {node}"),
            None => "NO COORDINATOR".to_owned(),
        };
        let work = match at_rest {
            Some(true) => ", at rest",
            Some(false) => ", at work",
            None => "",
        };
        let version = version.as_ref().map(|v| format!(", version {v}"));
        format!(
            "Cluster    {quorum}, {coordinator}{work}{}",
            version.unwrap_or_default()
        )
    }

    fn nodes_line(&self) -> String {
        let states = self.nodes.iter().map(|n| match n.state {
            "online" => n.name.clone(),
            state => format!("{} {}", n.name, state.to_uppercase()),
        });
        let online = self.nodes.iter().filter(|n| n.state == "online").count();
        let states: Vec<String> = states.collect();
        format!(
            "Nodes      {online} of {} online: {}",
            self.nodes.len(),
            states.join(", ")
        )
    }
}

impl ResourceState {
    fn line(&self, width: usize) -> String {
        let mut words = match self.nodes.as_slice() {
            [] => self.role.clone(),
            nodes => format!("{} on {}", self.role, nodes.join(", ")),
        };
        if self.failed {
            words.push_str(", FAILED");
        }
        if self.disabled {
            words.push_str(" (as configured)");
        }
        format!("  {:width$}  {words}", self.id)
    }
}

fn node_state(node: &Node) -> &'static str {
    match node {
        n if n.unclean && n.online => "unclean but online",
        n if n.unclean => "unclean",
        n if n.pending => "joining",
        n if !n.online => "offline",
        n if n.standby || n.standby_onfail => "standby",
        n if n.maintenance => "maintenance",
        _ => "online",
    }
}

/// The members of groups and the wholes of clones and bundles, in the order of the configuration.
fn resources(view: &View) -> Vec<ResourceState> {
    let mut found = Vec::new();
    for top in &view.top {
        let group = view.resources.get(*top).filter(|r| r.kind == Kind::Group);
        let places = group.map_or_else(|| vec![*top], |g| g.children.clone());
        found.extend(places.into_iter().filter_map(|place| resource(view, place)));
    }
    found
}

fn resource(view: &View, place: usize) -> Option<ResourceState> {
    let r = view.resources.get(place)?;
    let mut nodes = Vec::new();
    for primitive in view.primitives(place) {
        let part = view.resources.get(primitive)?;
        for node in part.running_on.iter().filter_map(|n| view.nodes.get(*n)) {
            let name = match part.role {
                Role::Promoted => format!("{} (promoted)", node.name),
                _ => node.name.clone(),
            };
            if !nodes.contains(&name) {
                nodes.push(name);
            }
        }
    }
    let role = match r.kind {
        Kind::Primitive => r.shown_role.clone(),
        _ if nodes.is_empty() => "Stopped".to_owned(),
        _ => "Started".to_owned(),
    };
    let parts = view.primitives(place);
    let failed = parts
        .iter()
        .any(|p| view.resources.get(*p).is_some_and(|r| r.failed));
    Some(ResourceState {
        id: r.name.clone(),
        role,
        nodes,
        disabled: is_disabled(view, r),
        failed,
    })
}

/// It, or what it is part of, is meant to be stopped.
fn is_disabled(view: &View, r: &Resource) -> bool {
    let own = r
        .target_role
        .as_deref()
        .is_some_and(|t| t.eq_ignore_ascii_case("stopped"));
    let parent = r.parent.and_then(|p| view.resources.get(p));
    own || parent.is_some_and(|p| is_disabled(view, p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cib::Element;
    use expect_test::expect;

    const CLUSTER: &str = r#"<cib have-quorum="1" dc-uuid="1"><configuration>
        <crm_config/><nodes><node id="1" uname="alpha"/><node id="2" uname="beta"/></nodes>
        <resources>
          <primitive id="web" class="ocf" provider="heartbeat" type="Dummy"/>
          <primitive id="db" class="ocf" provider="heartbeat" type="Dummy"/>
        </resources>
        <constraints><rsc_location id="cli-ban-db-on-alpha" rsc="db" node="alpha" score="-INFINITY"/></constraints>
        </configuration><status>
        <node_state id="1" uname="alpha" in_ccm="true" crmd="online" join="member" expected="member">
          <lrm id="1"><lrm_resources><lrm_resource id="web" class="ocf" provider="heartbeat" type="Dummy">
            <lrm_rsc_op id="web_last_0" operation_key="web_start_0" operation="start" transition-key="1:1:0:a"
              transition-magic="0:0;1:1:0:a" call-id="3" rc-code="0" op-status="0" interval="0"/>
          </lrm_resource></lrm_resources></lrm></node_state></status></cib>"#;

    #[test]
    fn one_screen() {
        let view = View::of(&Element::parse(CLUSTER).unwrap(), 0);
        let text = Answer::of(&view, None).lines().join("\n");
        expect![[r#"
            Cluster    quorum, coordinator alpha
            Nodes      1 of 2 online: alpha, beta UNCLEAN
            Resources  1 of 2 run
              web  Started on alpha
              db   Stopped

            1. Node beta is UNCLEAN: what runs there is unknown, and its resources wait until it is fenced.
               -> see why fencing does not succeed: stonith_admin --history beta; only if you have seen yourself that it is off: stonith_admin --confirm beta
            2. db does not run anywhere.
               -> see why: crm_resource --why -r db; crm_resource -a -r db; crm_simulate -LS
            3. db may not run on alpha: a move or ban by hand (cli-ban-db-on-alpha) is still in force.
               -> if it is no longer needed: crm_resource --clear -r db"#]].assert_eq(&text);
    }
}
