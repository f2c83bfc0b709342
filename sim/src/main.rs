//! `sim`: runs many universes, or one to look at.

#![allow(
    clippy::disallowed_types,
    reason = "how long the runs took is shown to people; no universe sees a clock"
)]

use cib::Element;
use scheduler::Memory;
use sim::{Keep, Manner, Outcome, Statistics, checkers};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Instant,
};

const USAGE: &str = "\
sim: clusters of crmd's core under seeded faults

  --seed N                 first seed; without --runs the only one (default 1)
  --runs N                 how many seeds
  --nodes 3|5              nodes of each cluster (default: three and five in turn)
  --jobs N                 threads (default: one for each core)
  --trace                  print everything that happens (one seed)
  --tail N                 lines of the trace shown with a failure (default 40)
  --keep-going             run all seeds even if some fail
  --expect-violation NAME  succeed only if this checker fails";

/// What was asked on the command line.
struct Options {
    seed: u64,
    runs: u64,
    nodes: Option<usize>,
    jobs: usize,
    trace: bool,
    tail: usize,
    keep_going: bool,
    expect: Option<Vec<&'static str>>,
}

impl Options {
    fn run(&self, seed: u64, keep: Keep) -> Outcome {
        let manner = Manner {
            nodes: self.nodes,
            keep,
            only: self.expect.clone(),
        };
        // As a daemon decides, with what it kept from the decision before; that must never change one.
        let memory = Mutex::<Memory>::default();
        let schedule = |cib: &Element, now_s| {
            let decision = {
                let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                scheduler::schedule_again(cib, now_s, &mut memory)
            };
            assert!(
                decision == scheduler::schedule(cib, now_s),
                "a decision with a memory differs from the one without"
            );
            decision
        };
        sim::run(seed, &schedule, &manner)
    }
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}\n\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    // A core that panics is a finding with a seed; the harness reports it.
    std::panic::set_hook(Box::new(|_| {}));
    if options.trace {
        return one(&options);
    }
    many(&options)
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seed: 1,
        runs: 1,
        nodes: None,
        jobs: thread::available_parallelism().map_or(1, usize::from),
        trace: false,
        tail: 40,
        keep_going: false,
        expect: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("{argument}: its value is missing"))
        };
        match argument.as_str() {
            "--seed" => options.seed = number(&argument, &value()?)?,
            "--runs" => options.runs = number(&argument, &value()?)?,
            "--nodes" => options.nodes = Some(nodes(number(&argument, &value()?)?)?),
            "--jobs" => options.jobs = number(&argument, &value()?)?.max(1) as usize,
            "--tail" => options.tail = number(&argument, &value()?)? as usize,
            "--trace" => options.trace = true,
            "--keep-going" => options.keep_going = true,
            "--expect-violation" => {
                let name = value()?;
                let known = checkers::expected(&name);
                options.expect = Some(known.ok_or(format!("{name}: no such checker"))?);
            }
            _ => return Err(format!("{argument}: unknown option")),
        }
    }
    Ok(options)
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{option}: {text} is not a number"))
}

fn nodes(count: u64) -> Result<usize, String> {
    match count {
        3 | 5 => Ok(count as usize),
        _ => Err(format!("--nodes: {count} is not 3 or 5")),
    }
}

/// One seed, everything printed.
fn one(options: &Options) -> ExitCode {
    let outcome = options.run(options.seed, Keep::Print);
    println!("trace hash {:016x}", outcome.hash);
    report(&outcome);
    println!("{}", last_line(u64::from(outcome.violation.is_none()), 1));
    ExitCode::from(u8::from(outcome.violation.is_some()))
}

fn many(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let (sender, outcomes) = mpsc::channel();
    let next = AtomicU64::new(options.seed);
    let stop = AtomicBool::new(false);
    let tally = thread::scope(|scope| {
        for _ in 0..options.jobs {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || work(options, next, stop, &sender));
        }
        // Only the workers' ends stay open.
        drop(sender);
        gather(options, &outcomes, &stop)
    });
    tally.print(begun);
    match &options.expect {
        None => ExitCode::from(u8::from(tally.failed > 0)),
        Some(names) if tally.failed > 0 => {
            println!("{} failed, as it must", names.join(" or "));
            ExitCode::SUCCESS
        }
        Some(names) => {
            println!("{} did not fail", names.join(" or "));
            ExitCode::FAILURE
        }
    }
}

fn work(options: &Options, next: &AtomicU64, stop: &AtomicBool, sender: &mpsc::Sender<Outcome>) {
    let end = options.seed.saturating_add(options.runs);
    while !stop.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let outcome = options.run(seed, Keep::Nothing);
        if sender.send(outcome).is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct Tally {
    runs: u64,
    failed: u64,
    all: Statistics,
    slowest: (u64, u64),
}

fn gather(options: &Options, outcomes: &mpsc::Receiver<Outcome>, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    let progress = std::io::stdout().is_terminal();
    for outcome in outcomes {
        tally.runs += 1;
        tally.add(&outcome);
        if let Some(violation) = &outcome.violation {
            tally.failed += 1;
            match &options.expect {
                Some(_) => {
                    println!(
                        "seed {}: {}: {}",
                        outcome.seed, violation.checker, violation.saw
                    );
                    stop.store(true, Ordering::Relaxed);
                }
                None => {
                    let keep = Keep::Tail(options.tail);
                    report(&options.run(outcome.seed, keep));
                    stop.store(!options.keep_going, Ordering::Relaxed);
                }
            }
        }
        if progress && tally.runs % 20 == 0 {
            print!(
                "\r{} of {} runs, {} failed",
                tally.runs, options.runs, tally.failed
            );
            // A terminal that is gone is no reason to stop.
            let _ = std::io::stdout().flush();
        }
    }
    if progress {
        println!();
    }
    tally
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        let (all, one) = (&mut self.all, &outcome.statistics);
        all.faults += one.faults;
        all.fencings += one.fencings;
        all.failovers += one.failovers;
        all.simulated_ms += one.simulated_ms;
        all.inputs += one.inputs;
        all.schedules += one.schedules;
        self.slowest = self.slowest.max((one.converged_ms, outcome.seed));
    }

    fn print(&self, begun: Instant) {
        let all = &self.all;
        println!(
            "{} runs, {:.1} simulated hours in {:.0} s: {} faults, {} fencings, {} failovers, {} inputs, {} runs of the scheduler",
            self.runs,
            all.simulated_ms as f64 / 3_600_000.0,
            begun.elapsed().as_secs_f64(),
            all.faults,
            all.fencings,
            all.failovers,
            all.inputs,
            all.schedules,
        );
        println!(
            "slowest to rest after healing: {:.1} s of {} allowed (seed {})",
            self.slowest.0 as f64 / 1000.0,
            checkers::CONVERGENCE_BOUND_MS / 1000,
            self.slowest.1
        );
        println!("{}", last_line(self.runs - self.failed, self.runs));
    }
}

fn last_line(passed: u64, runs: u64) -> String {
    format!("{passed} passed, {} failed", runs - passed)
}

fn report(outcome: &Outcome) {
    let Some(violation) = &outcome.violation else {
        return;
    };
    println!();
    for line in &outcome.tail {
        println!("{line}");
    }
    println!(
        "{} at {:.3} s: {}",
        violation.checker,
        violation.at_ms as f64 / 1000.0,
        violation.saw
    );
    println!(
        "cargo xtask sim --seed {} --nodes {}",
        outcome.seed, outcome.nodes
    );
}
