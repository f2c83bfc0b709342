//! Sorting by a comparison that need not be an order.
//!
//! Which of two histories' entries is older, or which of two nodes has more room, cannot always be told, and then not the
//! same way for all pairs. So the way of sorting decides, and the standard library's may panic: here, halves are sorted
//! and merged, and of equals the first stays first.

use std::cmp::Ordering;

/// Sorts, the least first.
pub(crate) fn sort_by<T>(mut list: Vec<T>, compare: &mut impl FnMut(&T, &T) -> Ordering) -> Vec<T> {
    if list.len() < 2 {
        return list;
    }
    let second = list.split_off(list.len() / 2);
    let mut out = Vec::with_capacity(list.len() + second.len());
    let mut first = sort_by(list, compare).into_iter().peekable();
    let mut second = sort_by(second, compare).into_iter().peekable();
    while let (Some(a), Some(b)) = (first.peek(), second.peek()) {
        let from_second = compare(a, b).is_gt();
        out.extend(if from_second {
            second.next()
        } else {
            first.next()
        });
    }
    out.extend(first);
    out.extend(second);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_right_order_is_sorted_all_the_same() {
        // Each comes before the next of the other two kinds, and they go round.
        let mut round = |a: &usize, b: &usize| match (a + 3 - b % 3) % 3 {
            0 => Ordering::Equal,
            1 => Ordering::Less,
            _ => Ordering::Greater,
        };
        let list: Vec<usize> = (0..100).map(|at| at * 37 % 100).collect();
        let mut sorted = sort_by(list, &mut round);
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100));
    }

    #[test]
    fn equals_stay_in_their_order() {
        let sorted = sort_by(vec![7, 3, 17, 13, 5, 23, 1], &mut |a, b| {
            (a % 10).cmp(&(b % 10))
        });
        assert_eq!(sorted, [1, 3, 13, 23, 5, 7, 17]);
    }
}
