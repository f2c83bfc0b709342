//! `systole bench`: what a cluster in a lab does in a second, what it needs at rest, and what it bears for
//! minutes on end. Every figure is taken from outside the nodes.

mod busy;
mod crashes;
mod rest;
mod shell;
mod writes;

use crate::{
    cluster::{self, Cluster},
    drill::own_lab,
    error::{LabError, While},
    interrupt::Guard,
    layout::{Layout, Spec},
    remote::Lab,
};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(
    name = "systole bench",
    about = "Measures a cluster in a lab: writes per second, needs at rest, minutes of crashes or of load"
)]
struct Command {
    #[command(subcommand)]
    what: What,
    /// A lab that is up already; without it one is made and removed afterwards.
    #[arg(long, global = true)]
    lab: Option<PathBuf>,
    /// Nodes of its own lab.
    #[arg(long, global = true, default_value_t = 3)]
    nodes: usize,
    /// Where the figures are written as JSON.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum What {
    /// Changes of the configuration from many connections at once, each acknowledged by a majority.
    Writes(writes::Options),
    /// Changes by `cibadmin --modify`, one after another, from a shell loop in a node.
    Shell(shell::Options),
    /// Memory and processor time of each node's daemons while nothing happens.
    Rest(rest::Options),
    /// Writers at every node while a random node is killed again and again: is all there that was acknowledged?
    Crashes(crashes::Options),
    /// All processors kept busy by other work: is any member lost falsely?
    Busy(busy::Options),
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            Self::Writes(_) => "writes",
            Self::Shell(_) => "shell",
            Self::Rest(_) => "rest",
            Self::Crashes(_) => "crashes",
            Self::Busy(_) => "busy",
        }
    }

    fn measure(&self, cluster: &Cluster<'_>) -> Result<Figures, LabError> {
        match self {
            Self::Writes(options) => writes::measure(cluster, options),
            Self::Shell(options) => shell::measure(cluster, options),
            Self::Rest(options) => rest::measure(cluster, options),
            Self::Crashes(options) => crashes::measure(cluster, options),
            Self::Busy(options) => busy::measure(cluster, options),
        }
    }
}

/// What was found.
#[derive(Default, Serialize)]
struct Figures {
    /// By name, with the unit in it.
    figures: BTreeMap<String, f64>,
    /// What did not hold.
    broken: Vec<String>,
}

impl Figures {
    fn set(&mut self, name: &str, value: f64) {
        self.figures
            .insert(name.into(), (value * 1000.0).round() / 1000.0);
    }

    fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(otherwise());
        }
    }

    fn print(&self) {
        for (name, value) in &self.figures {
            println!("  {name:<28} {value}");
        }
        for broken in &self.broken {
            println!("  NOT AS EXPECTED: {broken}");
        }
    }
}

/// The `systole bench` program.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("systole bench")).chain(args);
    let command = match Command::try_parse_from(words) {
        Ok(command) => command,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    match bench(&command) {
        Ok(figures) if figures.broken.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("systole bench {}: {e}", command.what.name());
            ExitCode::FAILURE
        }
    }
}

fn bench(command: &Command) -> Result<Figures, LabError> {
    let figures = match &command.lab {
        Some(dir) => {
            let lab = Lab::open(Layout::new(dir.clone()))?;
            command.what.measure(&Cluster::new(&lab))?
        }
        None => {
            let guard = Guard::new()?;
            let lab = own_lab(&guard, "bench", &Spec::new(command.nodes, 1)?)?;
            let made = Cluster::make(&lab, cluster::EXAMPLE, &mut |step| println!("  {step}"));
            let result = made.and_then(|cluster| command.what.measure(&cluster));
            guard.end();
            result?
        }
    };
    println!("Bench {}:", command.what.name());
    figures.print();
    if let Some(file) = &command.json {
        let text =
            serde_json::to_vec_pretty(&figures).map_err(|e| LabError::Said(e.to_string()))?;
        fs::write(file, text).during(|| format!("write {}", file.display()))?;
    }
    Ok(figures)
}

/// One option in a set of its own, as an element for `modify`.
fn option(set: &str, number: u64, value: &str) -> String {
    format!(
        r#"<cluster_property_set id="{set}"><nvpair id="{set}-{number}" name="{set}-{number}" value="{value}"/></cluster_property_set>"#
    )
}

/// Takes a set of options out again.
fn remove(cluster: &Cluster<'_>, set: &str) -> Result<(), LabError> {
    let xml = format!(r#"<cluster_property_set id="{set}"/>"#);
    cluster.change("delete", "crm_config", &xml)
}
