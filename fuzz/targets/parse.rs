//! Whatever bytes come: the parser never panics, what it reads it writes so that it reads the same again, and parts
//! are read as the whole.

#![no_main]

use cib::{Element, parts, schema};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let whole = Element::parse(text).ok();
    for count in 2..5 {
        if let Some(joined) = in_parts(text, count) {
            assert_eq!(Some(&joined), whole.as_ref(), "{count} parts");
        }
    }
    let Some(document) = whole else {
        return;
    };
    for written in [document.to_xml(), document.to_xml_compact()] {
        assert_eq!(
            Element::parse(&written).as_ref(),
            Ok(&document),
            "{written}"
        );
    }
    let _ = schema::check(&document);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let changed = (seed % 2 == 0).then(|| systole_fuzz::mutate(data, size, seed / 2));
    changed
        .flatten()
        .unwrap_or_else(|| fuzzer_mutate(data, size, max_size))
});

fn in_parts(text: &str, count: usize) -> Option<Element> {
    let pieces: Option<Vec<_>> = parts::split(text, count)?
        .iter()
        .map(parts::Part::read)
        .collect();
    parts::join(pieces?)
}
