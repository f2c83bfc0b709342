//! The three counters that order configurations, and how changes move them.

use crate::Element;
use std::fmt;

/// `(admin_epoch, epoch, num_updates)`: compared in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Raised by people (and by erasing) so that one document wins over all others.
    pub admin_epoch: u32,
    /// Raised by every change of the configuration.
    pub epoch: u32,
    /// Raised by every other change, back to 0 with each change of the configuration.
    pub num_updates: u32,
}

impl Version {
    /// The counters of a document (or of anything with these attributes); what is missing or not
    /// a number counts as 0.
    pub fn of(element: &Element) -> Self {
        let counter = |name| {
            let text = element.attr(name)?;
            text.trim().parse().ok()
        };
        Self {
            admin_epoch: counter("admin_epoch").unwrap_or(0),
            epoch: counter("epoch").unwrap_or(0),
            num_updates: counter("num_updates").unwrap_or(0),
        }
    }

    /// Writes the counters into a document.
    pub fn write_to(self, element: &mut Element) {
        element.set_attr("admin_epoch", self.admin_epoch.to_string());
        element.set_attr("epoch", self.epoch.to_string());
        element.set_attr("num_updates", self.num_updates.to_string());
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            admin_epoch,
            epoch,
            num_updates,
        } = self;
        write!(f, "{admin_epoch}.{epoch}.{num_updates}")
    }
}

/// Names of the counters' attributes.
pub const COUNTERS: [&str; 3] = ["admin_epoch", "epoch", "num_updates"];

/// What a change touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// Nothing at all.
    Nothing,
    /// Status, or attributes of the document element.
    Other,
    /// The configuration.
    Configuration,
}

/// Compares a document before and after an edit.
pub fn touched(before: &Element, after: &Element) -> Touched {
    if before.child("configuration") != after.child("configuration") {
        Touched::Configuration
    } else if before == after {
        Touched::Nothing
    } else {
        Touched::Other
    }
}

/// Moves the counters of `after` as the edit from `before` demands: a changed configuration raises
/// `epoch` and resets `num_updates`, any other change raises `num_updates`, no change nothing.
pub fn advance(before: &Element, after: &mut Element) -> Touched {
    let touched = touched(before, after);
    let mut version = Version::of(after);
    match touched {
        Touched::Nothing => return touched,
        Touched::Other => version.num_updates = version.num_updates.saturating_add(1),
        Touched::Configuration => {
            version.epoch = version.epoch.saturating_add(1);
            version.num_updates = 0;
        }
    }
    version.write_to(after);
    touched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(version: &str, configuration: &str, status: &str) -> Element {
        let text = format!(
            "<cib {version}><configuration>{configuration}</configuration><status>{status}</status></cib>"
        );
        Element::parse(&text).unwrap()
    }

    #[test]
    fn counters_are_compared_in_their_order() {
        let v = |a, e, n| Version {
            admin_epoch: a,
            epoch: e,
            num_updates: n,
        };
        assert!(v(1, 0, 0) > v(0, 9, 9));
        assert!(v(0, 2, 0) > v(0, 1, 99));
        assert_eq!(
            Version::of(&doc("epoch='x' num_updates='7'", "", "")),
            v(0, 0, 7)
        );
        assert_eq!(v(1, 2, 3).to_string(), "1.2.3");
    }

    #[test]
    fn what_is_touched_decides_what_moves() {
        let counters = "admin_epoch='1' epoch='5' num_updates='3'";
        let before = doc(counters, "<a/>", "<b/>");
        let moved = |mut after: Element| {
            advance(&before, &mut after);
            Version::of(&after).to_string()
        };
        assert_eq!(moved(before.clone()), "1.5.3");
        assert_eq!(moved(doc(counters, "<a x='1'/>", "<b/>")), "1.6.0");
        assert_eq!(moved(doc(counters, "<a/>", "<b x='1'/>")), "1.5.4");
        assert_eq!(moved(doc(counters, "<a x='1'/>", "<b x='1'/>")), "1.6.0");
    }
}
