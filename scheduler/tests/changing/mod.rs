//! What the tests and fuzz targets that change documents at random share.

// Each of them uses a part of it.
#![allow(dead_code, unreachable_pub)]

use cib::Element;

/// A sequence of numbers that only looks random (a step of splitmix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `limit`; 0 if there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// One of them, if there are any.
    pub fn one_of<'l, T>(&mut self, list: &'l [T]) -> Option<&'l T> {
        list.get(self.below(list.len()))
    }
}

/// How many elements there are, itself included.
pub fn count(element: &Element) -> usize {
    1 + element.children().map(count).sum::<usize>()
}

/// The element at a position, counted in document order from 0; only the path to it is copied.
pub fn at_position(element: &mut Element, mut at: usize) -> Option<&mut Element> {
    if at == 0 {
        return Some(element);
    }
    at -= 1;
    let sizes: Vec<usize> = element.children().map(count).collect();
    for (which, size) in sizes.into_iter().enumerate() {
        if at < size {
            return at_position(element.children_mut().nth(which)?, at);
        }
        at -= size;
    }
    None
}
