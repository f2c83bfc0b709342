//! How names of nodes compare: runs of digits as numbers, letters without case.

use std::cmp::Ordering;

/// Compares two names as people sort them: `node2` before `node10`.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let (x, next_i) = number(a, i);
            let (y, next_j) = number(b, j);
            match x.cmp(&y) {
                Ordering::Equal => (i, j) = (next_i, next_j),
                other => return other,
            }
        } else {
            match a[i].to_ascii_lowercase().cmp(&b[j].to_ascii_lowercase()) {
                Ordering::Equal => {
                    i += 1;
                    j += 1;
                }
                other => return other,
            }
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}

fn number(text: &[u8], from: usize) -> (u64, usize) {
    let mut value = 0u64;
    let mut at = from;
    while at < text.len() && text[at].is_ascii_digit() {
        value = value
            .saturating_mul(10)
            .saturating_add(u64::from(text[at] - b'0'));
        at += 1;
    }
    (value, at)
}

#[cfg(test)]
mod tests {
    use super::compare;
    use std::cmp::Ordering;

    #[test]
    fn numbers_count() {
        assert_eq!(compare("node2", "node10"), Ordering::Less);
        assert_eq!(compare("Node2", "node2"), Ordering::Equal);
        assert_eq!(compare("a", "ab"), Ordering::Less);
    }
}
