//! The `systole` executable: every program of the project, chosen by the name it is called by
//! (`crm_resource`, `crmd`, …) or by its first argument (`systole demo`).

mod attrd_updater;
mod cibadmin;
mod cluster;
mod common;
mod crm_attribute;
mod crm_diff;
mod crm_error;
mod crm_failcount;
mod crm_master;
mod crm_mon;
mod crm_node;
mod crm_resource;
mod crm_rule;
mod crm_shadow;
mod crm_simulate;
mod crm_standby;
mod crm_ticket;
mod crm_verify;
mod crmadmin;
mod daemon;
mod explain;
mod iso8601;
mod status;
mod stonith_admin;
mod supervise;
mod view;

use std::{ffi::OsString, path::Path, process::ExitCode};

/// A program: takes its arguments without the program's own name.
type Applet = fn(Vec<OsString>) -> ExitCode;

/// Every program by its name, alphabetically.
#[rustfmt::skip] // one line each, whatever their number
const APPLETS: &[(&str, Applet)] = &[
    ("attrd_updater", attrd_updater::main),
    ("bench", lab::bench::main),
    ("cibadmin", cibadmin::main),
    ("cluster", cluster::main),
    ("crm_attribute", crm_attribute::main),
    ("crm_diff", crm_diff::main),
    ("crm_error", crm_error::main),
    ("crm_failcount", crm_failcount::main),
    ("crm_master", crm_master::main),
    ("crm_mon", crm_mon::main),
    ("crm_node", crm_node::main),
    ("crm_resource", crm_resource::main),
    ("crm_rule", crm_rule::main),
    ("crm_shadow", crm_shadow::main),
    ("crm_simulate", crm_simulate::main),
    ("crm_standby", crm_standby::main),
    ("crm_ticket", crm_ticket::main),
    ("crm_verify", crm_verify::main),
    ("crmadmin", crmadmin::main),
    ("crmd", crmd::main),
    ("demo", lab::demo::main),
    ("drill", lab::drill::main),
    ("explain", explain::main),
    ("iso8601", iso8601::main),
    ("lab", lab::lab),
    ("ocf-runner", ocf_runner::main),
    ("status", status::main),
    ("stonith_admin", stonith_admin::main),
    ("stonithd", stonithd::main),
    ("supervise", supervise::main),
];

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let called = args.first().map(base_name).unwrap_or_default();
    if let Some(applet) = find(&called) {
        args.remove(0);
        return applet(args);
    }
    let named = args.get(1).map(base_name).unwrap_or_default();
    match find(&named) {
        Some(applet) => applet(args.split_off(2)),
        None => usage(&named),
    }
}

fn base_name(arg: &OsString) -> String {
    Path::new(arg)
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn find(name: &str) -> Option<Applet> {
    APPLETS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, applet)| *applet)
}

fn usage(named: &str) -> ExitCode {
    let asked_for_help = matches!(named, "" | "help" | "-h" | "--help");
    if !asked_for_help {
        eprintln!("systole: there is no program '{named}' here.");
    }
    eprintln!("Usage: systole PROGRAM [ARGUMENTS]\n\nPrograms:");
    for (name, _) in APPLETS {
        eprintln!("  {name}");
    }
    ExitCode::from(if asked_for_help { 0 } else { 64 })
}
