//! Tables that are made again and again: what they held before is written over in its place.
//!
//! A run changes little of most resources, and none of what is shared: giving everything back and asking for it again
//! would cost more than deciding.

use std::{collections::BTreeMap, sync::Arc};

use cib::Element;

use super::{
    Allowed, BundleSettings, CloneSettings, Discover, Kind, MultiplyActive, NodeSet, NodeTable,
    Requires, RestartType, Role, Task,
};

/// What can become as another value is, in its place.
pub(crate) trait Again {
    /// Becomes equal to `other`; what both already share is not touched.
    fn again(&mut self, other: &Self);
}

impl<T: ?Sized> Again for Arc<T> {
    fn again(&mut self, other: &Self) {
        if !Self::ptr_eq(self, other) {
            *self = other.clone();
        }
    }
}

impl Again for Element {
    fn again(&mut self, other: &Self) {
        if !self.ptr_eq(other) {
            *self = other.clone();
        }
    }
}

impl<T: Again + Clone> Again for Option<T> {
    fn again(&mut self, other: &Self) {
        match (self, other) {
            (Some(own), Some(other)) => own.again(other),
            (own, other) => own.clone_from(other),
        }
    }
}

impl<T: Clone> Again for Vec<T> {
    fn again(&mut self, other: &Self) {
        self.clone_from(other);
    }
}

impl Again for NodeTable {
    fn again(&mut self, other: &Self) {
        self.0.again(&other.0);
    }
}

/// Types that are small, or nearly always empty.
macro_rules! as_a_whole {
    ($($type:ty),+ $(,)?) => {$(
        impl Again for $type {
            fn again(&mut self, other: &Self) {
                self.clone_from(other);
            }
        }
    )+};
}

as_a_whole!(
    bool,
    i32,
    i64,
    u32,
    usize,
    Allowed,
    BTreeMap<String, String>,
    Box<BundleSettings>,
    CloneSettings,
    Discover,
    Kind,
    MultiplyActive,
    NodeSet,
    Requires,
    RestartType,
    Role,
    String,
    Task,
);

/// Lets a table's entry become another one, field by field.
macro_rules! again {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::model::Again for $name {
            fn again(&mut self, other: &Self) {
                $($crate::model::Again::again(&mut self.$field, &other.$field);)*
            }
        }
    };
}

pub(crate) use again;

/// Makes a table as another one is.
pub(crate) fn table_again<T: Again + Clone>(own: &mut Vec<T>, other: &[T]) {
    own.truncate(other.len());
    let same = own.len();
    for (own, other) in own.iter_mut().zip(other) {
        own.again(other);
    }
    own.extend(other.iter().skip(same).cloned());
}

#[cfg(test)]
mod tests {
    use super::table_again;
    use crate::model::{Role, Rsc};

    #[test]
    fn an_entry_used_before_is_as_one_that_is_new() {
        let kept = Rsc {
            id: "r".to_owned(),
            role: Role::Stopped,
            children: vec![3],
            ..Rsc::default()
        };
        let mut used = vec![Rsc::default(), Rsc::default(), Rsc::default()];
        used[0].running_on = vec![1, 2];
        used[0].history_id = Some("r:0".to_owned());
        used[0].known_on.insert(70);
        used[0].allowed.entry(5, 7).count = 3;
        table_again(&mut used, std::slice::from_ref(&kept));
        assert_eq!(format!("{used:?}"), format!("{:?}", vec![kept.clone()]));
        table_again(&mut used, &[kept.clone(), kept.clone()]);
        assert_eq!(
            format!("{used:?}"),
            format!("{:?}", vec![kept.clone(), kept])
        );
    }
}
