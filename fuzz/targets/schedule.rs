//! Whatever a configuration says: a decision is made, its graph is sound, carrying it out on paper ends, and a memory
//! of another decision changes nothing.

#![no_main]

use cib::Element;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use scheduler::{Asked, Memory};

const NOW_S: i64 = 1_790_000_000;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(cib) = Element::parse(text) else {
        return;
    };
    let asked = Asked {
        scores: true,
        utilization: true,
        ..Asked::default()
    };
    let run = scheduler::run_with(&cib, NOW_S, asked);
    let faults = scheduler::lint(&run.graph);
    assert!(faults.is_empty(), "{faults:#?}");
    let after = scheduler::simulate(&cib, &run.graph, NOW_S).cib;
    let mut memory = Memory::default();
    for document in [&cib, &after, &cib] {
        let again = scheduler::schedule_again(document, NOW_S, &mut memory);
        assert_eq!(again, scheduler::schedule(document, NOW_S));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let changed = (seed % 16 != 0).then(|| systole_fuzz::mutate(data, size, seed));
    changed
        .flatten()
        .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});
