//! When an event was, in the three forms agents are given.

use crmd_core::alerts::{Call, DEFAULT_FORMAT};
use jiff::{Zoned, fmt::strtime};

/// Puts the time into a call's environment.
pub(super) fn stamp(call: &mut Call, now: &Zoned) {
    // A form that cannot be followed is better replaced than the event not told.
    let text = shown(&call.timestamp_format, now)
        .or_else(|| shown(DEFAULT_FORMAT, now))
        .unwrap_or_default();
    let micros = now.subsec_nanosecond() / 1000;
    let epoch = now.timestamp().as_second();
    let variables = [
        ("CRM_alert_timestamp", text),
        ("CRM_alert_timestamp_epoch", epoch.to_string()),
        ("CRM_alert_timestamp_usec", format!("{micros:06}")),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    call.environment.extend(variables);
}

/// The time as a format of `date` has it.
fn shown(format: &str, now: &Zoned) -> Option<String> {
    strtime::format(with_fraction(format, now), now).ok()
}

/// The format with its `%N` (and `%3N`, `%06N`) put in: parts of a second, by the number of digits.
fn with_fraction(format: &str, now: &Zoned) -> String {
    let nanos = format!("{:09}", now.subsec_nanosecond());
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (before, directive) = rest.split_at(at);
        out.push_str(before);
        let inside = directive.get(1..).unwrap_or_default();
        let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
        if inside.as_bytes().get(digits) == Some(&b'N') {
            let wanted = inside
                .get(..digits)
                .and_then(|d| d.parse().ok())
                .unwrap_or(9);
            out.push_str(nanos.get(..wanted).unwrap_or(&nanos));
            rest = inside.get(digits + 1..).unwrap_or_default();
        } else {
            // Two at a time, so that the second of `%%` begins nothing.
            let length = 1 + inside.chars().next().map_or(0, char::len_utf8);
            let (whole, after) = directive.split_at(length);
            out.push_str(whole);
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_date_with_parts_of_a_second() {
        let moment: Zoned = "2026-02-03T04:05:06.000123456+00:00[UTC]".parse().unwrap();
        let cases = [
            ("%H:%M:%S.%06N", "04:05:06.000123"),
            ("%H:%M:%S.%3N", "04:05:06.000"),
            ("%F %T %N", "2026-02-03 04:05:06 000123456"),
            ("%s", "1770091506"),
            ("%%6N %d", "%6N 03"),
            ("plain", "plain"),
            ("", ""),
        ];
        for (format, expected) in cases {
            assert_eq!(
                shown(format, &moment).as_deref(),
                Some(expected),
                "{format}"
            );
        }
        assert_eq!(shown("%", &moment), None);
        let mut call = Call {
            alert: "a".into(),
            path: "/a".into(),
            timeout_ms: 1,
            timestamp_format: "%".into(),
            environment: [].into(),
        };
        stamp(&mut call, &moment);
        assert_eq!(call.environment["CRM_alert_timestamp"], "04:05:06.000123");
        assert_eq!(call.environment["CRM_alert_timestamp_usec"], "000123");
        assert_eq!(call.environment["CRM_alert_timestamp_epoch"], "1770091506");
    }
}
