//! `fuzz`: libFuzzer on the parser and on the whole decision, with the compiler everybody has.

use crate::{
    run::{self, Show, cargo},
    tally::Tally,
};
use clap::Args;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long, and what.
#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// For each target.
    #[arg(long, default_value_t = 10)]
    pub(crate) minutes: u64,
    /// Only this one (parse, schedule).
    pub(crate) target: Option<String>,
}

impl Default for FuzzArgs {
    fn default() -> Self {
        Self {
            minutes: 10,
            target: None,
        }
    }
}

const TARGETS: [&str; 2] = ["parse", "schedule"];
/// What counts which code was reached; stable names of LLVM's.
const COVERAGE: &str = "-Cpasses=sancov-module -Ccodegen-units=1 \
     -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
/// A document this large, in bytes, is changed slowly.
const MOST_BYTES: u64 = 24 * 1024;
const BUILD: Duration = Duration::from_secs(1800);
/// Beyond the time for which a target runs.
const GRACE: Duration = Duration::from_secs(120);

/// Runs the targets one after the other.
pub(crate) fn fuzz(args: &FuzzArgs, tally: &mut Tally) {
    let Some(triple) = triple() else {
        return tally.check("rustc says for which machine it compiles", false);
    };
    let dir = run::target().join("fuzz");
    let mut build = cargo(&[
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--target",
        &triple,
    ]);
    build
        .arg("--manifest-path")
        .arg(run::root().join("fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(&dir)
        .env("RUSTFLAGS", COVERAGE);
    if !run::run(&mut build, Show::OnlyFailure, BUILD).ok {
        return tally.check("fuzz targets are built (they need a C++ compiler)", false);
    }
    let seeds = match seeds(&dir) {
        Ok(seeds) => seeds,
        Err(error) => return tally.check(&format!("seeds for the fuzz targets: {error}"), false),
    };
    let wanted = |name: &&str| args.target.as_deref().is_none_or(|only| only == *name);
    for name in TARGETS.into_iter().filter(wanted) {
        let program = dir.join(&triple).join("release").join(name);
        let ok = one(&program, &dir, &seeds, name, args.minutes);
        tally.check(&format!("fuzz {name}, {} minutes", args.minutes), ok);
    }
}

fn one(program: &Path, dir: &Path, seeds: &Path, name: &str, minutes: u64) -> bool {
    let corpus = dir.join("corpus").join(name);
    let found = dir.join("found").join(format!("{name}-"));
    let made = fs::create_dir_all(&corpus).and_then(|()| fs::create_dir_all(dir.join("found")));
    if let Err(error) = made {
        println!("{}: {error}", corpus.display());
        return false;
    }
    let mut command = Command::new(program);
    command
        .arg(format!("-max_total_time={}", minutes * 60))
        .args(["-timeout=30", "-rss_limit_mb=3072", "-max_len=65536"])
        .args(["-print_final_stats=1", "-verbosity=0"])
        .arg(format!("-artifact_prefix={}", found.display()))
        .args([&corpus, seeds]);
    run::run(
        &mut command,
        Show::Everything,
        Duration::from_secs(minutes * 60) + GRACE,
    )
    .ok
}

/// For which machine the compiler compiles. With it the flags do not concern what runs while building.
fn triple() -> Option<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "))?;
    Some(line.to_owned())
}

/// A folder with what the fuzzer begins with: the examples, and the smaller recorded configurations if they are
/// beside the workspace.
fn seeds(dir: &Path) -> io::Result<PathBuf> {
    let seeds = dir.join("seeds");
    fs::create_dir_all(&seeds)?;
    let mut files = vec![run::root().join("examples/three-nodes/cib.xml")];
    if let Ok(recorded) = fs::read_dir(run::root().join("../shared/pacemaker-scheduler/xml")) {
        files.extend(recorded.flatten().map(|entry| entry.path()));
    }
    for file in files {
        if let Some(name) = file.file_name()
            && fs::metadata(&file)?.len() <= MOST_BYTES
        {
            fs::copy(&file, seeds.join(name))?;
        }
    }
    Ok(seeds)
}
