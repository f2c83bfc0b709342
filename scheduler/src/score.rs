//! Scores: whole numbers with an infinity that absorbs, and their text forms.

/// The score that stands for "must" (and, negated, for "must not").
pub(crate) const INFINITY: i32 = 1_000_000;

/// Adds two scores: minus infinity beats everything, then infinity, then the sum is kept within both.
#[must_use]
pub(crate) fn add(a: i32, b: i32) -> i32 {
    if a <= -INFINITY || b <= -INFINITY {
        return -INFINITY;
    }
    if a >= INFINITY || b >= INFINITY {
        return INFINITY;
    }
    (a + b).clamp(-INFINITY, INFINITY)
}

/// Reads a score: a number, `INFINITY`, `+INFINITY`, `-INFINITY`, or a node health colour. `None`: not a score.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<i32> {
    match text.trim() {
        "INFINITY" | "+INFINITY" => Some(INFINITY),
        "-INFINITY" => Some(-INFINITY),
        other => {
            let value = leading_integer(other)?;
            Some(value.clamp(-i64::from(INFINITY), i64::from(INFINITY)) as i32)
        }
    }
}

/// As people read it: infinities by name.
#[must_use]
pub(crate) fn show(score: i32) -> String {
    if score >= INFINITY {
        "INFINITY".to_owned()
    } else if score <= -INFINITY {
        "-INFINITY".to_owned()
    } else {
        score.to_string()
    }
}

/// The integer a text begins with, as C programs read it (trailing text is ignored).
#[must_use]
pub(crate) fn leading_integer(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = digits
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let value = digits[..end].parse::<i64>().unwrap_or(i64::MAX);
    Some(if negative { -value } else { value })
}

/// A duration in milliseconds: `20`, `20s`, `1min`, `500ms`, `2h`, `PT1M`-style intervals. No unit: seconds.
#[must_use]
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.starts_with('P') {
        return crate::dates::Duration::parse(text).map(|d| d.approximate_s() * 1000);
    }
    let value = leading_integer(text)?;
    let unit = text
        .trim_start_matches(['-', '+'])
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim();
    let unit = unit
        .split('.')
        .next_back()
        .unwrap_or("")
        .trim_start_matches(|c: char| c.is_ascii_digit());
    match unit.trim() {
        "" | "s" | "sec" => Some(value.saturating_mul(1000)),
        "ms" | "msec" => Some(value),
        "us" | "usec" => Some(value / 1000),
        "m" | "min" => Some(value.saturating_mul(60_000)),
        "h" | "hr" => Some(value.saturating_mul(3_600_000)),
        _ => None,
    }
}

/// Reads a boolean as the configuration spells them.
#[must_use]
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "y" | "1" => Some(true),
        "false" | "off" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Whether a text means "true"; anything unknown is not.
#[must_use]
pub(crate) fn is_true(text: Option<&str>) -> bool {
    text.and_then(parse_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinity_absorbs() {
        assert_eq!(add(INFINITY, -5), INFINITY);
        assert_eq!(add(INFINITY, -INFINITY), -INFINITY);
        assert_eq!(add(999_999, 5), INFINITY);
        assert_eq!(add(3, -5), -2);
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_ms("20"), Some(20_000));
        assert_eq!(parse_ms("500ms"), Some(500));
        assert_eq!(parse_ms("1min"), Some(60_000));
        assert_eq!(parse_ms("PT2M"), Some(120_000));
        assert_eq!(parse_ms("soon"), None);
    }
}
