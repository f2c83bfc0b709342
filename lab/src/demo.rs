//! `systole demo`: a cluster loses a node and keeps its service, for people to watch.

use crate::{
    cluster::{self, Cluster},
    drill::{self, Drill, report::Report},
    error::LabError,
    interrupt::Guard,
    layout::Spec,
    remote::Lab,
    timeline::{self, Paint},
};
use clap::Parser;
use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Instant};

#[derive(Parser)]
#[command(
    name = "systole demo",
    about = "Three real daemons lose a node, fence it and bring the service back"
)]
struct Command {
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How many nodes.
    #[arg(long, default_value_t = 3)]
    nodes: usize,
}

/// The `systole demo` program.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("systole demo")).chain(args);
    let command = match Command::try_parse_from(words) {
        Ok(command) => command,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    match demo(&command) {
        Ok(report) if report.ok => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("systole demo: {e}");
            ExitCode::FAILURE
        }
    }
}

fn demo(command: &Command) -> Result<Report, LabError> {
    let paint = Paint::of_terminal();
    println!(
        "{}",
        paint.bold("A cluster that loses a node and keeps its service")
    );
    println!(
        "Every node is real: its own network, processes and disk. Everything ends with this program.\n"
    );
    let guard = Guard::new()?;
    let began = Instant::now();
    let mut progress = |step: &str| {
        println!(
            "  {}  {step}",
            paint.dim(&format!("{:>6.2} s", began.elapsed().as_secs_f64()))
        )
    };
    progress(&format!("{} nodes boot", command.nodes));
    let lab = drill::own_lab(&guard, "demo", &Spec::new(command.nodes, 1)?)?;
    let result = Cluster::make(&lab, cluster::EXAMPLE, &mut progress)
        .and_then(|c| watch(command, &lab, &c, paint));
    if let Err(e) = &result {
        tell_logs(&lab, e);
    }
    guard.end();
    let left = lab.layout().dir();
    if left.exists() {
        return Err(LabError::Said(format!("{} is left behind", left.display())));
    }
    if result.is_ok() {
        println!(
            "\nThe lab is gone: no process, namespace, mount, socket or directory of it is left."
        );
    }
    result
}

fn watch(
    command: &Command,
    lab: &Lab,
    cluster: &Cluster<'_>,
    paint: Paint,
) -> Result<Report, LabError> {
    println!("\n{}", paint.bold("Where everything runs"));
    for (resource, node) in cluster.settle()? {
        println!("  {resource:<10} on {}", paint.good(&node));
    }
    let drill = Drill::NodeCrash;
    println!(
        "\n{}",
        paint.bold("Now everything on one node is killed. Expected:")
    );
    for expectation in drill.expectations() {
        println!("  - {expectation}");
    }
    let run = drill.play(cluster, 0)?;
    println!("\n{}", paint.bold("What happened"));
    timeline::print(&run, paint);
    let mut report = Report::new(drill);
    report.add(run);
    report.conclude(&lab.audit()?);
    report.print(paint);
    if let Some(file) = &command.json {
        report.write(file)?;
    }
    Ok(report)
}

/// What the daemons said last, when something went wrong: the directory with their logs is about to go.
fn tell_logs(lab: &Lab, error: &LabError) {
    eprintln!("\nsystole demo: {error}\nLast words of the nodes:");
    for node in &lab.spec().nodes {
        let text = std::fs::read_to_string(lab.layout().node_log(node)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(15)) {
            eprintln!("  {node}: {line}");
        }
    }
}
