//! A set of nodes in as little room as possible: every resource has one.

use super::NodeIx;

/// Nodes, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeSet {
    /// One bit for each of the first 64, which is all that most clusters have.
    first: u64,
    /// One bit for each of the others.
    more: Vec<u64>,
}

impl NodeSet {
    pub(crate) fn contains(&self, node: NodeIx) -> bool {
        let word = match node / 64 {
            0 => Some(&self.first),
            at => self.more.get(at - 1),
        };
        word.is_some_and(|word| word >> (node % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, node: NodeIx) {
        let word = match node / 64 {
            0 => &mut self.first,
            at => {
                if self.more.len() < at {
                    self.more.resize(at, 0);
                }
                &mut self.more[at - 1]
            }
        };
        *word |= 1 << (node % 64);
    }

    /// Adds all nodes of another set.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.first |= other.first;
        if self.more.len() < other.more.len() {
            self.more.resize(other.more.len(), 0);
        }
        for (word, others) in self.more.iter_mut().zip(&other.more) {
            *word |= others;
        }
    }

    pub(crate) fn len(&self) -> usize {
        let more: u32 = self.more.iter().map(|word| word.count_ones()).sum();
        (self.first.count_ones() + more) as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::NodeSet;

    #[test]
    fn nodes_beyond_the_first_64_count() {
        let mut set = NodeSet::default();
        assert!(set.is_empty());
        for node in [0, 63, 64, 200, 64] {
            set.insert(node);
        }
        let found: Vec<usize> = (0..300).filter(|node| set.contains(*node)).collect();
        assert_eq!((found, set.len()), (vec![0, 63, 64, 200], 4));
        let mut other = NodeSet::default();
        other.insert(5);
        other.extend(&set);
        assert!(other.contains(200) && other.contains(5));
        assert_eq!(other.len(), 5);
    }
}
