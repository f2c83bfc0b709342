//! Constraints of `crm_resource --move` and `--ban` with a lifetime go when it has ended.
//!
//! The rule in them says when that is, so they have no effect any more; the coordinator deletes them
//! so that nobody has to. What people have written themselves is never touched.

use crate::{evaluate, ids::RequestId, node::Node, request::CibChange};
use cib::Element;

/// Ids of constraints that tools make for people.
const OURS: [&str; 2] = ["cli-prefer-", "cli-ban-"];

/// A constraint whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    /// Its id.
    pub(crate) id: String,
    /// When it ended, as it stands there.
    pub(crate) end: String,
}

/// The constraints of tools whose lifetime has ended by `now_s` (seconds since the epoch).
pub(crate) fn expired(document: &Element, now_s: i64) -> Vec<Expired> {
    let constraints = document
        .child("configuration")
        .and_then(|c| c.child("constraints"));
    let locations = constraints
        .into_iter()
        .flat_map(|c| c.children_named("rsc_location"));
    locations
        .filter_map(|location| {
            let id = location.id()?;
            let end = end_of(location)?;
            let ours = OURS.iter().any(|prefix| id.starts_with(prefix));
            let over = scheduler::parse_moment(end)? <= now_s;
            (ours && over && is_plain(id) && is_plain(end)).then(|| Expired {
                id: id.to_owned(),
                end: end.to_owned(),
            })
        })
        .collect()
}

/// The end in the one form that tools give it: a rule of which all must hold, with one date before
/// which it applies.
fn end_of(location: &Element) -> Option<&str> {
    let mut rules = location.children_named("rule");
    let rule = rules.next().filter(|_| rules.next().is_none())?;
    if rule.attr("boolean-op").is_some_and(|op| op != "and") {
        return None;
    }
    let mut dates = rule.children_named("date_expression");
    let date = dates.next().filter(|_| dates.next().is_none())?;
    date.attr("end")
        .filter(|_| date.attr("operation") == Some("lt"))
}

/// Whether it can stand in an expression.
fn is_plain(text: &str) -> bool {
    !text.contains(['\'', '"'])
}

impl Node {
    /// Has those deleted; each attempt is made once in a while.
    pub(crate) fn expire_constraints(&mut self) {
        for Expired { id, end } in expired(&self.state.cib, self.now.wall_s) {
            if !self.once(&id, "expired constraint") {
                continue;
            }
            let (_, epoch, _) = evaluate::version(&self.state.cib);
            let request_id = RequestId {
                node: self.me().to_string(),
                unique: format!("expired-{id}-{epoch}"),
            };
            // Not another one that was made under the same id since.
            let xpath = format!(
                "/cib/configuration/constraints/rsc_location[@id='{id}']\
                 [rule/date_expression/@end='{end}']"
            );
            let change = CibChange {
                action: "delete".to_owned(),
                section: None,
                xpath: Some(xpath),
                xml: String::new(),
                allow_create: false,
                origin: format!("coordinator/{}", self.me()),
            };
            let text = format!("constraint {id} ended at {end}: removing it");
            self.log(crate::command::Severity::Info, text);
            if let Some(c) = &mut self.coordinator {
                c.work.changes.queue(None, request_id, change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(constraints: &str) -> Element {
        let text = format!(
            "<cib><configuration><constraints>{constraints}</constraints></configuration></cib>"
        );
        Element::parse(&text).unwrap()
    }

    fn location(id: &str, operation: &str, end: &str) -> String {
        format!(
            r##"<rsc_location id="{id}" rsc="r"><rule id="{id}-rule" score="INFINITY" boolean-op="and">
            <expression id="{id}-expr" attribute="#uname" operation="eq" value="n"/>
            <date_expression id="{id}-end" operation="{operation}" end="{end}"/></rule></rsc_location>"##
        )
    }

    fn ids(document: &Element, now_s: i64) -> Vec<String> {
        expired(document, now_s).into_iter().map(|e| e.id).collect()
    }

    #[test]
    fn only_those_of_tools_and_only_after_their_end() {
        let all = [
            location("cli-prefer-r", "lt", "1970-01-01 00:01:00Z"),
            location("cli-ban-r-on-n", "lt", "1970-01-01 00:02:00Z"),
            location("by-hand", "lt", "1970-01-01 00:01:00Z"),
            location("cli-ban-r-on-m", "gt", "1970-01-01 00:01:00Z"),
            r#"<rsc_location id="cli-ban-r-on-o" rsc="r" node="o" score="-INFINITY"/>"#.to_owned(),
        ];
        let document = document(&all.concat());
        assert!(ids(&document, 59).is_empty());
        assert_eq!(ids(&document, 60), ["cli-prefer-r"]);
        assert_eq!(ids(&document, 120), ["cli-prefer-r", "cli-ban-r-on-n"]);
    }

    #[test]
    fn what_nobody_can_read_stays() {
        let odd = location("cli-prefer-r", "lt", "tomorrow");
        assert!(ids(&document(&odd), i64::MAX).is_empty());
    }
}
