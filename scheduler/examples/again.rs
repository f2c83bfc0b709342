//! Measures decisions on a document in memory: the first, and those that follow after a small change each, with what
//! was kept from the one before. `again FILE [TIMES]`; `cargo xtask bench scheduler` runs it.

#![expect(
    clippy::disallowed_types,
    reason = "the time a decision takes is measured"
)]

use std::{process::ExitCode, time::Instant};

use cib::Element;
use scheduler::Memory;

const NOW_S: i64 = 1_790_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let text = arguments
        .get(1)
        .and_then(|file| std::fs::read_to_string(file).ok());
    let Some(mut document) = text.and_then(|text| Element::parse(&text).ok()) else {
        eprintln!("usage: again FILE [TIMES], FILE being a CIB");
        return ExitCode::FAILURE;
    };
    let times: usize = arguments.get(2).and_then(|t| t.parse().ok()).unwrap_or(20);
    let began = Instant::now();
    let alone = scheduler::schedule(&document, NOW_S);
    let first_s = began.elapsed().as_secs_f64();
    drop(alone);
    let mut memory = Memory::default();
    let began = Instant::now();
    let mut last = scheduler::schedule_again(&document, NOW_S, &mut memory);
    let filling_s = began.elapsed().as_secs_f64();
    let mut following_s = Vec::new();
    for at in 0..times {
        if !touch(&mut document, at) {
            eprintln!("there is no history in the document");
            return ExitCode::FAILURE;
        }
        let now_s = NOW_S + i64::try_from(at).unwrap_or(0);
        let began = Instant::now();
        last = scheduler::schedule_again(&document, now_s, &mut memory);
        following_s.push(began.elapsed().as_secs_f64());
        if at % 10 == 0 && last != scheduler::schedule(&document, now_s) {
            eprintln!("with a memory the decision is another one");
            return ExitCode::FAILURE;
        }
    }
    following_s.sort_by(f64::total_cmp);
    let middle_s = following_s
        .get(following_s.len() / 2)
        .copied()
        .unwrap_or(0.0);
    let slowest_s = following_s.last().copied().unwrap_or(0.0);
    println!(
        "first_s={first_s:.4} first_remembered_s={filling_s:.4} following_s={middle_s:.4} following_slowest_s={slowest_s:.4} actions={}",
        last.graph.synapses.len()
    );
    ExitCode::SUCCESS
}

/// Has an operation of one history done anew, on another node each time.
fn touch(document: &mut Element, at: usize) -> bool {
    let states = document
        .child("status")
        .map_or(0, |s| s.children_named("node_state").count());
    let history = document
        .child_mut("status")
        .and_then(|status| status.children_mut().nth(at % states.max(1)))
        .and_then(|state| state.child_mut("lrm")?.child_mut("lrm_resources"))
        .and_then(|all| {
            let histories = all.children().count();
            all.children_mut().nth((at * 37) % histories.max(1))
        });
    let Some(entry) = history.and_then(|history| history.child_mut("lrm_rsc_op")) else {
        return false;
    };
    entry.set_attr(
        "last-rc-change",
        (NOW_S - 100 + i64::try_from(at).unwrap_or(0)).to_string(),
    );
    entry.set_attr("exec-time", (at + 3).to_string());
    true
}
