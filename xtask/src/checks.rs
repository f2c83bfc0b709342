//! `verify`, `test` and `fix`.

use crate::{
    conformance, differential,
    run::{self, Show, cargo},
    simulate::{self, ShellArgs, SimArgs},
    tally::Tally,
};
use std::{
    path::PathBuf,
    process::{Command, ExitCode},
    time::Duration,
};

/// A step that compiles the workspace from nothing on two cores.
pub(crate) const BUILD: Duration = Duration::from_secs(30 * 60);
const QUICK: Duration = Duration::from_secs(120);
const DAEMONS: Duration = Duration::from_secs(20 * 60);

/// Crates that decide: pure, so that a simulated run is the real one.
const CORES: &[&str] = &["cib", "scheduler", "crmd-core", "stonithd-core"];
/// What a core must not know.
const FOREIGN: &[&str] = &[
    "tokio", "tonic", "nix", "openraft", "redb", "rand", "tracing", "process", "proto",
];

/// Packages whose programs and agents the tests that run daemons meet.
const PEERS: &[&str] = &[
    "resource-agents",
    "iproute2",
    "nftables",
    "util-linux",
    "procps",
    "curl",
    "nginx-light",
    "faketime",
    "openssh-server",
    "openssh-client",
];

/// Format, lints, boundaries, unit tests. Changes nothing.
pub(crate) fn verify(mut tally: Tally) -> Tally {
    let fmt = run::run(
        &mut cargo(&["fmt", "--all", "--check"]),
        Show::OnlyFailure,
        QUICK,
    );
    tally.check("format", fmt.ok);
    boundaries(&mut tally);
    // The fuzz targets are a workspace of their own, which nothing else here builds.
    let mut fuzz = cargo(&["tree", "--locked", "--quiet", "--manifest-path"]);
    fuzz.arg(run::root().join("fuzz/Cargo.toml"));
    let fuzz = run::run(&mut fuzz, Show::OnlyFailure, QUICK);
    tally.check("the lock file of the fuzz targets", fuzz.ok);
    let mut clippy = cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]);
    let clippy = run::run(&mut clippy, Show::OnlyFailure, BUILD);
    tally.check("lints", clippy.ok);
    let mut unit = cargo(&[
        "test",
        "--workspace",
        "--exclude",
        "tests",
        "--locked",
        "--no-fail-fast",
        "--",
        "--show-output",
    ]);
    let unit = run::run(&mut unit, Show::Progress, BUILD);
    tally.cargo_test("unit tests", unit.ok, &unit.output);
    tally
}

/// Each forbidden edge is asked for, and the same question where the answer is known to be yes: a
/// misspelt name cannot pass.
fn boundaries(tally: &mut Tally) {
    for core in CORES {
        for foreign in FOREIGN {
            tally.check(
                &format!("{core} does not know {foreign}"),
                depends(core, foreign) == Some(false),
            );
        }
    }
    for foreign in FOREIGN {
        tally.check(
            &format!("crmd knows {foreign}"),
            depends("crmd", foreign) == Some(true),
        );
    }
    for (from, to) in [
        ("cib", "scheduler"),
        ("cib", "crmd-core"),
        ("scheduler", "crmd-core"),
        ("process", "cib"),
        ("tools", "sim-shell"),
        ("tools", "turmoil"),
    ] {
        tally.check(
            &format!("{from} does not know {to}"),
            depends(from, to) == Some(false),
        );
    }
    for (from, to) in [
        ("scheduler", "cib"),
        ("crmd-core", "scheduler"),
        ("crmd", "crmd-core"),
        ("crmd", "process"),
        ("sim-shell", "turmoil"),
    ] {
        tally.check(
            &format!("{from} knows {to}"),
            depends(from, to) == Some(true),
        );
    }
}

/// Whether a crate depends on another, through others too; nothing if cargo could not say.
fn depends(from: &str, on: &str) -> Option<bool> {
    let args = [
        "tree", "--locked", "-p", from, "-i", on, "-e", "normal", "--depth", "0",
    ];
    let answer = cargo(&args).output().ok()?;
    let said = String::from_utf8_lossy(&answer.stderr).into_owned();
    if answer.status.success() {
        // Present in the workspace but not below `from`: cargo warns and prints nothing.
        return Some(!answer.stdout.is_empty());
    }
    // Several versions of it below `from`.
    if said.contains("is ambiguous") {
        return Some(true);
    }
    said.contains("did not match any packages").then_some(false)
}

/// Everything.
pub(crate) fn test(tally: Tally) -> Tally {
    let mut tally = verify(tally);
    peers(&mut tally);
    let release =
        cargo(&["build", "--release", "--locked", "-p", "tools", "-p", "sim"]).output_shown();
    tally.check("release build", release);
    if !release {
        return tally;
    }
    let mut black_box = cargo(&["test", "-p", "tests", "--locked", "--no-fail-fast", "--"]);
    black_box
        .args(["--show-output", "--test-threads=1"])
        .env("SYSTOLE_BIN", executable("release"));
    let black_box = run::run(&mut black_box, Show::Progress, DAEMONS);
    tally.cargo_test("tests with daemons", black_box.ok, &black_box.output);
    conformance::scheduler(&mut tally, &executable("release"));
    conformance::cli::tools(&mut tally, &executable("release"));
    differential::few(&mut tally);
    let shells = [
        ShellArgs {
            runs: 50,
            ..ShellArgs::default()
        },
        ShellArgs {
            runs: 4,
            twice: true,
            ..ShellArgs::default()
        },
        ShellArgs {
            runs: 6,
            lying_disks: true,
            ..ShellArgs::default()
        },
        // About every second seed comes to a place that such a lie spoils.
        ShellArgs {
            runs: 16,
            lying_switches: true,
            ..ShellArgs::default()
        },
    ];
    for args in shells {
        tally = simulate::sim_shell(&args, tally);
    }
    tally = simulate::sim(
        &SimArgs {
            runs: Some(2000),
            ..SimArgs::default()
        },
        tally,
    );
    simulate::sim(
        &SimArgs {
            mutations: true,
            ..SimArgs::default()
        },
        tally,
    )
}

trait OutputShown {
    fn output_shown(&mut self) -> bool;
}

impl OutputShown for Command {
    fn output_shown(&mut self) -> bool {
        run::run(self, Show::OnlyFailure, BUILD).ok
    }
}

/// The executable of a cargo profile.
pub(crate) fn executable(profile: &str) -> PathBuf {
    run::target().join(profile).join("systole")
}

/// Installs what the tests' real peers come from, as root on Debian; says what is missing otherwise.
fn peers(tally: &mut Tally) {
    let missing: Vec<&str> = PEERS.iter().copied().filter(|p| !installed(p)).collect();
    if missing.is_empty() {
        return;
    }
    if !run::is_root() || !run::exists("apt-get") {
        tally.skip(&format!(
            "packages not installed here: {}",
            missing.join(", ")
        ));
        return;
    }
    let update = ["apt-get", "-qq", "update"];
    let install = ["apt-get", "-qq", "-y", "--no-install-recommends", "install"];
    let _ = run::run(&mut apt(&update, &[]), Show::OnlyFailure, DAEMONS);
    let done = run::run(&mut apt(&install, &missing), Show::OnlyFailure, DAEMONS);
    tally.check(&format!("install {}", missing.join(", ")), done.ok);
}

fn apt(command: &[&str], more: &[&str]) -> Command {
    let mut apt = Command::new("env");
    apt.args(["DEBIAN_FRONTEND=noninteractive"])
        .args(command)
        .args(more);
    apt
}

fn installed(package: &str) -> bool {
    let query = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .output();
    query.is_ok_and(|o| o.stdout == b"installed")
}

/// Mends format and lints.
pub(crate) fn fix() -> ExitCode {
    let mut clippy = cargo(&[
        "clippy",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
        "--workspace",
        "--all-targets",
        "--locked",
    ]);
    let mended = run::run(&mut clippy, Show::Everything, BUILD).ok;
    let formatted = run::run(&mut cargo(&["fmt", "--all"]), Show::Everything, QUICK).ok;
    if mended && formatted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
