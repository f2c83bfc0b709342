//! What schemas cannot say: warnings about what nobody can mean.

use super::Checker;
use crate::Element;
use std::collections::BTreeMap;

pub(super) fn check<'a>(document: &'a Element, checker: &mut Checker<'a>) {
    let Some(configuration) = document.child("configuration") else {
        return;
    };
    for element in configuration.descendants() {
        match element.name() {
            "op" => durations(element, &["interval", "timeout", "start-delay"], checker),
            "operations" => same_operation(element, checker),
            "nvpair" => nvpair(element, checker),
            _ => {}
        }
    }
}

/// Options whose value is a time.
const TIMES: &[&str] = &[
    "timeout",
    "failure-timeout",
    "dampen",
    "cluster-delay",
    "dc-deadtime",
    "cluster-recheck-interval",
    "election-timeout",
    "shutdown-escalation",
    "shutdown-lock-limit",
    "join-integration-timeout",
    "join-finalization-timeout",
    "transition-delay",
    "stonith-timeout",
    "fencing-timeout",
    "stonith-watchdog-timeout",
    "fencing-watchdog-timeout",
    "priority-fencing-delay",
    "node-pending-timeout",
    "remote-connect-timeout",
    "pcmk_delay_max",
    "pcmk_delay_base",
];

fn nvpair<'a>(element: &'a Element, checker: &mut Checker<'a>) {
    let (Some(name), Some(value)) = (element.attr("name"), element.attr("value")) else {
        return;
    };
    let per_node = name == "pcmk_delay_base" && value.contains(':');
    if TIMES.contains(&name) && !per_node && !is_duration(value) {
        let text = format!("'{value}' is no time for '{name}'");
        checker.warning(element, text, TIME_EXAMPLE);
    }
}

const TIME_EXAMPLE: &str = "write a number with a unit, like 30s, 5min or 500ms, or PT1M30S";

fn durations<'a>(element: &'a Element, names: &[&str], checker: &mut Checker<'a>) {
    for name in names {
        if let Some(value) = element.attr(name).filter(|v| !is_duration(v)) {
            let text = format!("'{value}' is no time for '{name}'");
            checker.warning(element, text, TIME_EXAMPLE);
        }
    }
}

/// The same action at the same interval twice: the second is never looked at.
fn same_operation<'a>(operations: &'a Element, checker: &mut Checker<'a>) {
    let mut seen = BTreeMap::new();
    for op in operations.children_named("op") {
        let key = (op.attr("name"), op.attr("interval").map(duration_ms));
        if let Some(first) = seen.insert(key, op) {
            let first = first.id().unwrap_or_default();
            let text = format!("it has the same name and interval as '{first}'");
            checker.warning(op, text, "change its interval: one of the two is ignored");
        }
    }
}

/// Milliseconds of a time as the field writes it: a number with or without unit (seconds), or an
/// ISO 8601 duration.
pub fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if digits == 0 {
        return iso_duration_ms(text);
    }
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "" | "s" | "sec" | "seconds" => 1000,
        "ms" | "msec" => 1,
        "us" | "usec" => return Some(number / 1000),
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn iso_duration_ms(text: &str) -> Option<u64> {
    let body = text.strip_prefix('P')?;
    let span: jiff::Span = text.parse().ok().filter(|_| !body.is_empty())?;
    let hours_a_day = jiff::SpanRelativeTo::days_are_24_hours();
    let total = span.total((jiff::Unit::Millisecond, hours_a_day));
    match total {
        Ok(ms) if ms >= 0.0 => Some(ms as u64),
        Ok(_) => None,
        // Years and months have no fixed length, but are times all the same.
        Err(_) => Some(u64::MAX),
    }
}

fn is_duration(text: &str) -> bool {
    duration_ms(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in [
            ("10", Some(10_000)),
            ("10s", Some(10_000)),
            (" 5 min ", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("250ms", Some(250)),
            ("PT1M30S", Some(90_000)),
            ("P1D", Some(86_400_000)),
            ("0", Some(0)),
            ("", None),
            ("soon", None),
            ("10 parsecs", None),
            ("-5", None),
            ("P", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }
}
