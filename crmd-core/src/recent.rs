//! The last so many requests and what came of them.

use crate::ids::RequestId;
use std::collections::{BTreeMap, VecDeque};

/// Forgets the oldest when there are more than its limit.
#[derive(Clone, Debug)]
pub(crate) struct Recent<V> {
    limit: usize,
    order: VecDeque<RequestId>,
    known: BTreeMap<RequestId, V>,
}

impl<V> Recent<V> {
    /// Knows nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            order: VecDeque::new(),
            known: BTreeMap::new(),
        }
    }

    /// The newest one; what was known of it is replaced.
    pub(crate) fn note(&mut self, request: &RequestId, value: V) {
        if self.known.insert(request.clone(), value).is_some() {
            return;
        }
        self.order.push_back(request.clone());
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// What came of it.
    pub(crate) fn get(&self, request: &RequestId) -> Option<&V> {
        self.known.get(request)
    }

    /// Oldest first.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &RequestId> {
        self.order.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: u32) -> RequestId {
        RequestId {
            node: "a".into(),
            unique: number.to_string(),
        }
    }

    #[test]
    fn the_oldest_goes_first_and_none_counts_twice() {
        let mut recent = Recent::new(2);
        for number in [1, 2, 2] {
            recent.note(&request(number), number);
        }
        assert_eq!(recent.get(&request(1)), Some(&1));
        recent.note(&request(3), 30);
        assert_eq!(recent.get(&request(1)), None);
        let left: Vec<&str> = recent.requests().map(|r| r.unique.as_str()).collect();
        assert_eq!(left, ["2", "3"]);
    }
}
