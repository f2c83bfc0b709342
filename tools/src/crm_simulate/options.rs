//! The command line of `crm_simulate`.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser;

use scheduler::Earlier;

use crate::{common::output::OutputArguments, daemon};

/// Shows what the cluster would do with a configuration and status.
#[derive(Parser, Debug)]
#[command(name = "crm_simulate", version, disable_version_flag = true)]
struct Arguments {
    #[command(flatten)]
    output: OutputArguments,
    /// Show the version.
    #[arg(short = '$', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// Use the configuration and status of the running cluster (or of CIB_file or CIB_shadow).
    #[arg(short = 'L', long = "live-check")]
    live_check: bool,
    /// Read the CIB from this file.
    #[arg(short = 'x', long = "xml-file", value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// Read the CIB from standard input.
    #[arg(short = 'p', long = "xml-pipe")]
    xml_pipe: bool,
    /// Show what would be done.
    #[arg(short = 'R', long)]
    run: bool,
    /// Carry the transition out on paper and show the state afterwards.
    #[arg(short = 'S', long)]
    simulate: bool,
    /// As --simulate, and put the result where the input came from.
    #[arg(short = 'X', long = "in-place")]
    in_place: bool,
    /// Show the attributes of nodes.
    #[arg(short = 'A', long = "show-attrs")]
    show_attrs: bool,
    /// Show fail counts.
    #[arg(short = 'c', long = "show-failcounts")]
    show_failcounts: bool,
    /// Show the scores.
    #[arg(short = 's', long = "show-scores")]
    show_scores: bool,
    /// Show the room of the nodes and what takes it.
    #[arg(short = 'U', long = "show-utilization")]
    show_utilization: bool,
    /// Decide for every document in this directory and show how long that takes.
    #[arg(short = 'P', long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// With --profile: decide so many times.
    #[arg(short = 'N', long, value_name = "N", default_value_t = 1)]
    repeat: u32,
    /// A node comes up.
    #[arg(short = 'u', long = "node-up", value_name = "NODE")]
    node_up: Vec<String>,
    /// A node goes down in order.
    #[arg(short = 'd', long = "node-down", value_name = "NODE")]
    node_down: Vec<String>,
    /// A node fails.
    #[arg(short = 'f', long = "node-fail", value_name = "NODE")]
    node_fail: Vec<String>,
    /// An operation had this result: RESOURCE_TASK_INTERVAL@NODE=RC.
    #[arg(short = 'i', long = "op-inject", value_name = "OPSPEC")]
    op_inject: Vec<String>,
    /// If this operation is carried out, it fails: RESOURCE_TASK_INTERVAL@NODE=RC.
    #[arg(short = 'F', long = "op-fail", value_name = "OPSPEC")]
    op_fail: Vec<String>,
    /// The moment to decide for (ISO 8601).
    #[arg(short = 't', long = "set-datetime", value_name = "DATETIME")]
    set_datetime: Option<String>,
    /// Whether the cluster has quorum (counts together with another synthetic event).
    #[arg(short = 'q', long, value_name = "QUORUM")]
    quorum: Option<String>,
    /// Whether the cluster has a watchdog (counts together with another synthetic event).
    #[arg(short = 'w', long, value_name = "DEVICE")]
    watchdog: Option<String>,
    /// A ticket is granted.
    #[arg(short = 'g', long = "ticket-grant", value_name = "TICKET")]
    ticket_grant: Vec<String>,
    /// A ticket is revoked.
    #[arg(short = 'r', long = "ticket-revoke", value_name = "TICKET")]
    ticket_revoke: Vec<String>,
    /// A ticket is put on standby.
    #[arg(short = 'b', long = "ticket-standby", value_name = "TICKET")]
    ticket_standby: Vec<String>,
    /// A ticket is activated.
    #[arg(short = 'e', long = "ticket-activate", value_name = "TICKET")]
    ticket_activate: Vec<String>,
    /// Write the CIB before the transition to this file.
    #[arg(short = 'I', long = "save-input", value_name = "FILE")]
    save_input: Option<PathBuf>,
    /// Write the CIB after the transition to this file.
    #[arg(short = 'O', long = "save-output", value_name = "FILE")]
    save_output: Option<PathBuf>,
    /// Write the graph to this file, as XML.
    #[arg(short = 'G', long = "save-graph", value_name = "FILE")]
    save_graph: Option<PathBuf>,
    /// Write the graph to this file, for Graphviz.
    #[arg(short = 'D', long = "save-dotfile", value_name = "FILE")]
    save_dotfile: Option<PathBuf>,
    /// Say more.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Show only what was asked for by name.
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// Take a rule as Pacemaker 2.1.5 had it, for comparing with it.
    #[arg(long, value_name = "RULE", hide = true, value_parser = clap::builder::PossibleValuesParser::new(Earlier::NAMES))]
    earlier: Vec<String>,
}

/// Where the input comes from.
#[derive(Debug)]
pub(super) enum From {
    File(PathBuf),
    Pipe,
    Live,
}

/// What the command line asks for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) output: OutputArguments,
    pub(super) from: From,
    run: bool,
    simulate: bool,
    pub(super) in_place: bool,
    pub(super) show_attrs: bool,
    pub(super) show_failcounts: bool,
    pub(super) show_scores: bool,
    pub(super) show_utilization: bool,
    pub(super) profile: Option<PathBuf>,
    pub(super) repeat: u32,
    pub(super) node_up: Vec<String>,
    pub(super) node_down: Vec<String>,
    pub(super) node_fail: Vec<String>,
    pub(super) op_inject: Vec<String>,
    pub(super) op_fail: Vec<String>,
    pub(super) set_datetime: Option<String>,
    pub(super) quorum: Option<String>,
    pub(super) watchdog: Option<String>,
    /// What happens to which ticket.
    pub(super) tickets: Vec<(TicketChange, String)>,
    pub(super) save_input: Option<PathBuf>,
    pub(super) save_output: Option<PathBuf>,
    pub(super) save_graph: Option<PathBuf>,
    pub(super) save_dotfile: Option<PathBuf>,
    pub(super) quiet: bool,
    pub(super) earlier: Earlier,
}

/// What happens to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TicketChange {
    Grant,
    Revoke,
    Standby,
    Activate,
}

impl Options {
    /// Whether the state afterwards is wanted.
    pub(super) fn simulates(&self) -> bool {
        self.simulate || self.in_place
    }

    /// Whether anything is wanted for which the scheduler has to decide.
    pub(super) fn decides(&self) -> bool {
        self.run
            || self.simulates()
            || self.show_scores
            || self.show_utilization
            || self.save_graph.is_some()
            || self.save_dotfile.is_some()
    }
}

/// Reads the command line. What is wrong (or help) is printed and becomes an exit code.
///
/// # Errors
/// The code to end with.
pub(super) fn read(args: &[OsString]) -> Result<Options, ExitCode> {
    let a: Arguments = daemon::arguments("crm_simulate", args.to_vec())?;
    let from = match (a.xml_file, a.xml_pipe && !a.live_check) {
        (Some(file), _) if !a.live_check => match file.to_str() {
            Some("-") => From::Pipe,
            _ => From::File(file),
        },
        (_, true) => From::Pipe,
        _ => From::Live,
    };
    let named = |change: TicketChange, names: Vec<String>| {
        names.into_iter().map(move |name| (change, name))
    };
    let tickets = named(TicketChange::Grant, a.ticket_grant)
        .chain(named(TicketChange::Revoke, a.ticket_revoke))
        .chain(named(TicketChange::Standby, a.ticket_standby))
        .chain(named(TicketChange::Activate, a.ticket_activate));
    Ok(Options {
        output: a.output,
        from,
        run: a.run,
        simulate: a.simulate,
        in_place: a.in_place,
        show_attrs: a.show_attrs,
        show_failcounts: a.show_failcounts,
        show_scores: a.show_scores,
        show_utilization: a.show_utilization,
        profile: a.profile,
        repeat: a.repeat,
        node_up: a.node_up,
        node_down: a.node_down,
        node_fail: a.node_fail,
        op_inject: a.op_inject,
        op_fail: a.op_fail,
        set_datetime: a.set_datetime,
        quorum: a.quorum,
        watchdog: a.watchdog,
        tickets: tickets.collect(),
        save_input: a.save_input,
        save_output: a.save_output,
        save_graph: a.save_graph,
        save_dotfile: a.save_dotfile,
        quiet: a.quiet,
        earlier: a.earlier.iter().fold(Earlier::default(), |rules, name| {
            rules.and(name).unwrap_or(rules)
        }),
    })
}
