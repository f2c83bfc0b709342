//! The agents we ship, inside the program: a lab or an installation unpacks them from here.

/// Path below a directory of providers, and text. Files are to be made executable.
///
/// The two agents are also there as provider `pacemaker`, for configurations that come from there.
pub const SHIPPED: &[(&str, &str)] = &[
    ("systole/Audited", AUDITED),
    ("systole/Dummy", DUMMY),
    ("systole/Stateful", STATEFUL),
    ("pacemaker/Dummy", DUMMY),
    ("pacemaker/Stateful", STATEFUL),
];

const AUDITED: &str = include_str!("../../agents/ocf/systole/Audited");
const DUMMY: &str = include_str!("../../agents/ocf/systole/Dummy");
const STATEFUL: &str = include_str!("../../agents/ocf/systole/Stateful");
