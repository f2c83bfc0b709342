//! `systole drill`: plays a fault against a cluster in a lab. What is expected is said before anything is
//! done; what happened is measured from outside, by the audited agents and the power switches; the report
//! holds every figure and every broken expectation.

mod disk;
mod link;
mod lost;
mod moved;
pub(crate) mod report;
mod restart;
mod service;
mod whole_daemon;

use crate::{
    cluster::{self, Cluster},
    error::{LabError, While},
    events::Event,
    interrupt::Guard,
    layout::{Layout, Spec},
    remote::Lab,
    timeline::{self, Paint},
    up::TiedLab,
    wait::wait_for,
};
use clap::{Parser, ValueEnum};
use report::{Report, Run};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Until a fault's effect is seen.
const EFFECT_LIMIT: Duration = Duration::from_secs(30);
/// Until a fenced node is a member again.
const REJOIN_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(2);

/// The faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Drill {
    /// Everything on the node that runs a resource is killed; the kernel survives.
    NodeCrash,
    /// The node falls silent, as in a loss of power: nobody hears its last words.
    NodeSilent,
    /// The node is cut off from the others and runs on.
    Partition,
    /// Two of five nodes crash at once, the coordinator among them.
    DoubleCrash,
    /// One of two networks fails.
    LinkLoss,
    /// The power of all nodes fails at once and comes back.
    FullRestart,
    /// The coordinator's disk is full for a while.
    DiskFull,
    /// A resource is moved on purpose.
    PlannedMove,
    /// The service of a resource dies.
    ResourceCrash,
    /// crmd is killed on the node that runs a resource.
    DaemonCrash,
}

impl Drill {
    /// As it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NodeCrash => "node-crash",
            Self::NodeSilent => "node-silent",
            Self::Partition => "partition",
            Self::DoubleCrash => "double-crash",
            Self::LinkLoss => "link-loss",
            Self::FullRestart => "full-restart",
            Self::DiskFull => "disk-full",
            Self::PlannedMove => "planned-move",
            Self::ResourceCrash => "resource-crash",
            Self::DaemonCrash => "daemon-crash",
        }
    }

    /// What kind of fault it is, said beside every figure.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NodeCrash => "kernel survives",
            Self::NodeSilent => "what a loss of power costs",
            Self::Partition => "the node lives, cut off",
            Self::DoubleCrash => "two nodes at once, kernels survive",
            Self::LinkLoss => "one of two networks",
            Self::FullRestart => "all nodes off and on",
            Self::DiskFull => "the coordinator's disk",
            Self::PlannedMove => "command to started",
            Self::ResourceCrash => "failed monitor to restarted",
            Self::DaemonCrash => "SIGKILL of crmd",
        }
    }

    /// What must hold, said before anything is done.
    pub(crate) fn expectations(self) -> &'static [&'static str] {
        match self {
            Self::NodeCrash | Self::NodeSilent | Self::Partition | Self::DoubleCrash => {
                &lost::EXPECTATIONS
            }
            Self::LinkLoss => &link::EXPECTATIONS,
            Self::FullRestart => &restart::EXPECTATIONS,
            Self::DiskFull => &disk::EXPECTATIONS,
            Self::PlannedMove => &moved::EXPECTATIONS,
            Self::ResourceCrash => &service::EXPECTATIONS,
            Self::DaemonCrash => &whole_daemon::EXPECTATIONS,
        }
    }

    /// The smallest lab it makes sense in: nodes and links.
    pub(crate) fn needs(self) -> (usize, usize) {
        match self {
            Self::DoubleCrash => (5, 1),
            Self::LinkLoss => (3, 2),
            Self::PlannedMove | Self::ResourceCrash => (2, 1),
            _ => (3, 1),
        }
    }

    /// Says what is missing in a lab.
    fn fits(self, spec: &Spec) -> Result<(), LabError> {
        if self == Self::DiskFull && spec.disk_mib.is_none() {
            return Err(LabError::Said(format!(
                "this drill needs nodes with disks of their own: 'systole lab up --disk-mib {}' makes \
                 some, and without --lab the drill makes its own",
                disk::DISK_MIB
            )));
        }
        let (nodes, links) = self.needs();
        if spec.nodes.len() >= nodes && spec.links >= links {
            return Ok(());
        }
        Err(LabError::Said(format!(
            "this drill needs {nodes} nodes and {links} links at least, the lab has {} and {}: \
             'systole lab up --nodes {nodes} --links {links}' makes one that fits, and without \
             --lab the drill makes its own",
            spec.nodes.len(),
            spec.links
        )))
    }

    /// Plays it once against a cluster at rest. The resource changes from run to run, and with it the
    /// node, so that a coordinator is met too.
    pub(crate) fn play(self, cluster: &Cluster<'_>, number: u32) -> Result<Run, LabError> {
        let mut before = Before::look(cluster, number)?;
        match self {
            Self::NodeCrash | Self::NodeSilent | Self::Partition | Self::DoubleCrash => {
                lost::play(self, &mut before)
            }
            Self::LinkLoss => link::play(&mut before, number),
            Self::FullRestart => restart::play(&mut before),
            Self::DiskFull => disk::play(&mut before),
            Self::PlannedMove => moved::play(&mut before),
            Self::ResourceCrash => service::play(&mut before),
            Self::DaemonCrash => whole_daemon::play(&mut before),
        }
    }
}

/// How things stood before the fault, and what has happened since.
pub(crate) struct Before<'a> {
    /// The cluster.
    pub(crate) cluster: &'a Cluster<'a>,
    /// Where every resource ran.
    pub(crate) active: BTreeMap<String, String>,
    /// Resource the drill is about.
    pub(crate) resource: String,
    /// Node that ran it.
    pub(crate) node: String,
    seen_audit: usize,
    seen_lab: usize,
}

impl<'a> Before<'a> {
    fn look(cluster: &'a Cluster<'a>, number: u32) -> Result<Self, LabError> {
        let active = cluster.settle()?;
        let next = active.iter().cycle().nth(number as usize);
        let Some((resource, node)) = next.map(|(r, n)| (r.clone(), n.clone())) else {
            return Err(LabError::Said(
                "no audited resource is configured: there is nothing to measure".into(),
            ));
        };
        let (audit, lab) = (cluster.lab.audit_events()?, cluster.lab.events()?);
        Ok(Self {
            cluster,
            active,
            resource,
            node,
            seen_audit: audit.len(),
            seen_lab: lab.len(),
        })
    }

    /// The lab.
    pub(crate) fn lab(&self) -> &'a Lab {
        self.cluster.lab
    }

    /// What audited agents did since.
    pub(crate) fn audit(&self) -> Result<Vec<Event>, LabError> {
        Ok(self.lab().audit_events()?.split_off(self.seen_audit))
    }

    /// What the lab did since.
    pub(crate) fn power(&self) -> Result<Vec<Event>, LabError> {
        Ok(self.lab().events()?.split_off(self.seen_lab))
    }

    /// Waits until an audited agent did something.
    pub(crate) fn wait_audit(
        &self,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event, LabError> {
        wait_for(what, EFFECT_LIMIT, POLL, || {
            Ok(self.audit()?.into_iter().find(|e| wanted(e)))
        })
    }

    /// A run with its timeline so far.
    pub(crate) fn run(&self) -> Result<Run, LabError> {
        let mut events = self.audit()?;
        events.extend(self.power()?);
        events.sort_by(|a, b| a.at.boottime_ms.total_cmp(&b.at.boottime_ms));
        Ok(Run {
            resource: self.resource.clone(),
            node: self.node.clone(),
            events,
            ..Run::default()
        })
    }

    /// Resources and nodes that were started or stopped although they should not have been.
    pub(crate) fn strangers(
        &self,
        concerned: impl Fn(&Event) -> bool,
    ) -> Result<Vec<String>, LabError> {
        let changes = [
            "start",
            "started",
            "stop",
            "stopped",
            "double",
            "monitor-failed",
        ];
        let strange = self
            .audit()?
            .into_iter()
            .filter(|e| changes.contains(&e.event.as_str()) && !concerned(e));
        Ok(strange
            .map(|e| format!("{} of {} on {}", e.event, e.resource, e.node))
            .collect())
    }

    /// Nodes that were fenced.
    pub(crate) fn fenced(&self) -> Result<Vec<String>, LabError> {
        let requests = self
            .power()?
            .into_iter()
            .filter(|e| e.event == "fence-request");
        Ok(requests.map(|e| e.node).collect())
    }
}

#[derive(Parser)]
#[command(
    name = "systole drill",
    about = "Plays a fault against a lab and measures what it costs"
)]
struct Command {
    /// Which fault.
    drill: Drill,
    /// How many times, one after another.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// A lab that is up already; without it the drill makes one of its own and removes it afterwards.
    #[arg(long)]
    lab: Option<PathBuf>,
    /// Nodes of its own lab [default: 3, or what the drill needs].
    #[arg(long)]
    nodes: Option<usize>,
    /// Networks of its own lab [default: 1, or what the drill needs].
    #[arg(long)]
    links: Option<usize>,
    /// Where the report is written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The `systole drill` program.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("systole drill")).chain(args);
    let command = match Command::try_parse_from(words) {
        Ok(command) => command,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    match drill(&command) {
        Ok(report) if report.ok => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("systole drill {}: {e}", command.drill.name());
            ExitCode::FAILURE
        }
    }
}

fn drill(command: &Command) -> Result<Report, LabError> {
    let paint = Paint::of_terminal();
    match &command.lab {
        Some(dir) => {
            let lab = Lab::open(Layout::new(dir.clone()))?;
            command.drill.fits(lab.spec())?;
            play_all(command, &Cluster::new(&lab), paint)
        }
        None => {
            let guard = Guard::new()?;
            let (nodes, links) = command.drill.needs();
            let spec = Spec {
                disk_mib: (command.drill == Drill::DiskFull).then_some(disk::DISK_MIB),
                ..Spec::new(
                    command.nodes.unwrap_or(nodes.max(3)),
                    command.links.unwrap_or(links),
                )?
            };
            command.drill.fits(&spec)?;
            let lab = own_lab(&guard, "drill", &spec)?;
            let made = Cluster::make(&lab, cluster::EXAMPLE, &mut |step| println!("  {step}"));
            let result = made.and_then(|cluster| play_all(command, &cluster, paint));
            guard.end();
            result
        }
    }
}

/// A lab that ends with us, in a new directory of its own: nothing that an earlier one left is in its way.
pub(crate) fn own_lab(guard: &Guard, purpose: &str, spec: &Spec) -> Result<Lab, LabError> {
    let mut name = Layout::default_dir().into_os_string();
    name.push(format!("-{purpose}-"));
    let beside = Path::new(&name);
    guard.boot(|| {
        let made = tempfile::Builder::new()
            .prefix(beside.file_name().unwrap_or_default())
            .tempdir_in(beside.parent().unwrap_or(Path::new("/tmp")))
            .during(|| format!("make a directory {}*", beside.display()))?;
        TiedLab::up(Layout::new(made.keep()), spec)
    })
}

fn play_all(command: &Command, cluster: &Cluster<'_>, paint: Paint) -> Result<Report, LabError> {
    let drill = command.drill;
    println!("Drill {} ({}). Expected:", drill.name(), drill.label());
    for expectation in drill.expectations() {
        println!("  - {expectation}");
    }
    let mut report = Report::new(drill);
    for number in 1..=command.runs {
        let run = drill.play(cluster, number)?;
        println!(
            "\nRun {number} of {}: {} on {}",
            command.runs, run.resource, run.node
        );
        timeline::print(&run, paint);
        report.add(run);
    }
    report.conclude(&cluster.lab.audit()?);
    report.print(paint);
    if let Some(file) = &command.json {
        report.write(file)?;
    }
    Ok(report)
}

/// Does something to several nodes at the same time.
fn at_once(
    nodes: &[String],
    deed: impl Fn(&str) -> Result<(), LabError> + Sync,
) -> Result<(), LabError> {
    std::thread::scope(|scope| {
        let deed = &deed;
        let deeds: Vec<_> = nodes.iter().map(|n| scope.spawn(move || deed(n))).collect();
        deeds.into_iter().try_for_each(|d| {
            d.join()
                .unwrap_or_else(|_| Err(LabError::Said("the lab could not be asked".into())))
        })
    })
}
