//! `systole lab …`: the commands people type, and those the lab starts itself with (hidden).

use crate::{
    boot,
    cluster::{self, Cluster},
    daemon,
    error::LabError,
    exec,
    hold::Hold,
    init, isolate,
    layout::{Layout, Spec},
    remote::Lab,
    up,
};
use clap::{Args, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(name = "systole lab", about = "A whole cluster on one machine")]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
struct Where {
    /// The lab's directory [default: below XDG_RUNTIME_DIR, or /tmp/systole-lab-UID].
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Where {
    fn layout(&self) -> Layout {
        Layout::new(self.dir.clone().unwrap_or_else(Layout::default_dir))
    }
}

#[derive(Subcommand)]
enum Verb {
    /// Boot a lab.
    Up {
        #[command(flatten)]
        at: Where,
        /// How many nodes.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// How many networks between them.
        #[arg(long, default_value_t = 1)]
        links: usize,
        /// Give each node a disk of its own of this size, which can then be full.
        #[arg(long)]
        disk_mib: Option<u32>,
        /// Machines in the same networks that are not of the cluster.
        #[arg(long, default_value_t = 0)]
        guests: usize,
        /// Only the nodes, without a cluster on them.
        #[arg(long)]
        bare: bool,
    },
    /// End the lab and remove its directory.
    Down {
        #[command(flatten)]
        at: Where,
    },
    /// Nodes, lives, addresses, cut links.
    Status {
        #[command(flatten)]
        at: Where,
    },
    /// Run a command in a node.
    Exec {
        #[command(flatten)]
        at: Where,
        /// Which.
        node: String,
        /// Program and arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<String>,
    },
    /// SIGKILL for everything on a node; its kernel closes the connections, then its addresses go.
    Kill {
        #[command(flatten)]
        at: Where,
        /// Which.
        node: String,
    },
    /// The same unheard, as when its power fails: its links are dead first. Its switch still says on.
    Silence {
        #[command(flatten)]
        at: Where,
        /// Which.
        node: String,
    },
    /// Cut the power of a node.
    Off {
        #[command(flatten)]
        at: Where,
        /// Which.
        node: String,
        /// It stays off although its cluster switches it on.
        #[arg(long)]
        keep: bool,
    },
    /// Switch a node on: a new life.
    On {
        #[command(flatten)]
        at: Where,
        /// Which.
        node: String,
    },
    /// Drop everything between two nodes.
    Cut {
        #[command(flatten)]
        at: Where,
        /// One.
        from: String,
        /// The other.
        to: String,
        /// Only what the first sends to the second.
        #[arg(long)]
        one_way: bool,
        /// Only this network, numbered from 0.
        #[arg(long)]
        link: Option<usize>,
    },
    /// Let everything through again.
    Heal {
        #[command(flatten)]
        at: Where,
    },
    /// Was anything ever active twice? Exits 1 if so.
    Audit {
        #[command(flatten)]
        at: Where,
    },
    #[command(hide = true)]
    Keep {
        #[command(flatten)]
        at: Where,
        #[arg(long)]
        tied: bool,
    },
    #[command(hide = true)]
    Daemon {
        #[command(flatten)]
        at: Where,
        #[arg(long)]
        tied: bool,
    },
    #[command(hide = true)]
    Boot {
        #[command(flatten)]
        at: Where,
        #[arg(long)]
        node: String,
    },
    #[command(hide = true)]
    Init {
        #[arg(long)]
        node: String,
    },
    #[command(hide = true)]
    CrashProgram { name: String },
    #[command(hide = true)]
    Hold {
        deed: String,
        #[arg(long)]
        resource: String,
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        pid_file: PathBuf,
    },
}

/// The `systole lab` program.
pub fn lab(args: Vec<OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("systole lab")).chain(args);
    let command = match Command::try_parse_from(words) {
        Ok(command) => command,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 64 } else { 0 });
        }
    };
    match act(command.verb) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("systole lab: {e}");
            ExitCode::FAILURE
        }
    }
}

fn act(verb: Verb) -> Result<ExitCode, LabError> {
    let open = |at: &Where| Lab::open(at.layout());
    match verb {
        Verb::Up {
            at,
            nodes,
            links,
            disk_mib,
            guests,
            bare,
        } => {
            let spec = Spec {
                disk_mib,
                ..Spec::new(nodes, links)?.with_guests(guests)?
            };
            let lab = up::up(at.layout(), &spec)?;
            if !bare {
                Cluster::make(&lab, cluster::EXAMPLE, &mut |step| println!("  {step}"))?;
            }
            status(&lab)?;
        }
        Verb::Down { at } => up::down(&at.layout())?,
        Verb::Status { at } => status(&open(&at)?)?,
        Verb::Exec { at, node, words } => {
            let lab = open(&at)?;
            lab.spec().number(&node)?;
            let code = exec::run(lab.layout(), &node, &words)?;
            return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
        }
        Verb::Kill { at, node } => open(&at)?.kill(&node)?,
        Verb::Silence { at, node } => open(&at)?.silence(&node)?,
        Verb::Off { at, node, keep } => {
            let lab = open(&at)?;
            lab.keep_off(&node, keep)?;
            lab.off(&node)?;
        }
        Verb::On { at, node } => {
            let lab = open(&at)?;
            lab.keep_off(&node, false)?;
            lab.on(&node)?;
        }
        Verb::Cut {
            at,
            from,
            to,
            one_way,
            link,
        } => open(&at)?.cut(&from, &to, !one_way, link)?,
        Verb::Heal { at } => open(&at)?.heal()?,
        Verb::Audit { at } => return audit(&open(&at)?),
        Verb::Keep { at, tied } => isolate::keep(&at.layout(), tied)?,
        Verb::Daemon { at, tied } => daemon::run(at.layout(), tied)?,
        Verb::Boot { at, node } => boot::boot(&at.layout(), &node)?,
        Verb::Init { node: _ } => init::run()?,
        Verb::CrashProgram { name } => init::crash_program(&name)?,
        Verb::Hold {
            deed,
            resource,
            dir,
            pid_file,
        } => hold(
            &deed,
            &Hold {
                resource,
                dir,
                pid_file,
            },
        )?,
    }
    Ok(ExitCode::SUCCESS)
}

fn hold(deed: &str, hold: &Hold) -> Result<(), LabError> {
    match deed {
        "start" => hold.start(),
        "run" => hold.run(),
        "stop" => hold.stop(),
        "failed" => hold.failed(),
        _ => Err(LabError::Said(format!(
            "hold knows start, run, stop and failed, not '{deed}'"
        ))),
    }
}

fn status(lab: &Lab) -> Result<(), LabError> {
    let (machines, cuts) = lab.describe()?;
    println!("Lab in {}", lab.layout().dir().display());
    for m in machines {
        println!(
            "  {:<8} {:<8} life {:<3} {}",
            m.node,
            m.state,
            m.life,
            m.addresses.join(" ")
        );
    }
    for cut in cuts {
        println!("  cut: {cut}");
    }
    Ok(())
}

fn audit(lab: &Lab) -> Result<ExitCode, LabError> {
    let verdict = lab.audit()?;
    for (resource, node) in &verdict.active {
        println!("{resource} is active on {node}");
    }
    for double in &verdict.doubles {
        println!("DOUBLE: {double}");
    }
    println!(
        "{} starts, {} double",
        verdict.starts,
        verdict.doubles.len()
    );
    Ok(if verdict.doubles.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
