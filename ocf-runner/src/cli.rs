//! The program `ocf-runner`: one operation of one agent, by hand, as the cluster would run it.

use crate::{
    action::{Action, Outcome},
    codes::OcfCode,
    metadata::parse_ms,
    runner::{Config, Runner},
};
use clap::Parser;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Run one operation of a resource agent as the cluster would run it
#[derive(Debug, Parser)]
#[command(name = "ocf-runner", version)]
struct Args {
    /// Class: ocf, systemd, lsb, service
    #[arg(long, default_value = "ocf")]
    class: String,
    /// Provider of an OCF agent
    #[arg(long)]
    provider: Option<String>,
    /// Agent, unit or init script
    #[arg(long)]
    agent: String,
    /// Operation: start, stop, monitor, promote, demote, meta-data, validate-all, ...
    #[arg(long)]
    action: String,
    /// Resource name
    #[arg(long, default_value = "test")]
    resource: String,
    /// Parameter NAME=VALUE; may be given again
    #[arg(short = 'o', long = "option", value_name = "NAME=VALUE", value_parser = parse_option)]
    options: Vec<(String, String)>,
    /// Time-out (20s, 500ms, 2min); 0 for none
    #[arg(long, default_value = "60s", value_parser = parse_time)]
    timeout: u64,
    /// Interval the operation is told (0: a probe or a one-off operation)
    #[arg(long, default_value = "0", value_parser = parse_time)]
    interval: u64,
    /// OCF root directory
    #[arg(long, env = "OCF_ROOT", default_value = "/usr/lib/ocf")]
    ocf_root: PathBuf,
    /// Another directory with PROVIDER/AGENT; may be given again
    #[arg(long, value_name = "DIR")]
    agents: Vec<PathBuf>,
    /// Print only what the agent prints
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the program; the exit code is the agent's.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let named = std::iter::once(OsString::from("ocf-runner")).chain(args);
    let args = match Args::try_parse_from(named) {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("ocf-runner: cannot start: {e}");
            return ExitCode::from(71);
        }
    };
    let runner = Runner::new(Config {
        ocf_root: args.ocf_root.clone(),
        extra_dirs: args.agents.clone(),
        capture_bytes: 1 << 20,
        ..Config::default()
    });
    let quiet = args.quiet;
    let action = action(args);
    let outcome = runtime.block_on(runner.run(&action, |_, _| {}));
    report(&action, &outcome, quiet);
    ExitCode::from(u8::try_from(outcome.rc).unwrap_or(1))
}

fn action(args: Args) -> Action {
    let mut parameters: BTreeMap<String, String> = args.options.into_iter().collect();
    parameters
        .entry("CRM_meta_timeout".to_owned())
        .or_insert_with(|| args.timeout.to_string());
    Action {
        resource: args.resource,
        class: args.class,
        provider: args.provider,
        kind: args.agent,
        operation: args.action,
        interval_ms: args.interval,
        timeout_ms: args.timeout,
        parameters,
        mark: String::new(),
    }
}

fn report(action: &Action, outcome: &Outcome, quiet: bool) {
    let mut out = io::stdout().lock();
    let mut err = io::stderr().lock();
    // Nobody reads our output any more: the exit code still tells.
    let _ = write!(out, "{}", outcome.stdout);
    let _ = write!(err, "{}", outcome.stderr);
    if quiet {
        return;
    }
    let name = OcfCode::from_number(outcome.rc).map_or("unknown", OcfCode::name);
    let reason = match outcome.reason.is_empty() {
        true => String::new(),
        false => format!(", exitreason='{}'", outcome.reason),
    };
    let _ = writeln!(
        err,
        "ocf-runner: {} of {} returned '{name}' ({}): status={}, exec={}ms{reason}",
        action.operation,
        action.resource,
        outcome.rc,
        outcome.status.name(),
        outcome.exec_ms,
    );
}

fn parse_option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<u64, String> {
    parse_ms(text).ok_or_else(|| "expected a time such as 20s, 500ms or 2min".to_owned())
}
