//! Points in time, durations and calendar fields as ISO 8601 writes them; UTC throughout.

/// Seconds since the epoch and the calendar behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) weekday: i64,
    pub(crate) yearday: i64,
    pub(crate) week: i64,
    pub(crate) weekyear: i64,
}

/// Days from the epoch to a date of the proleptic Gregorian calendar.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, doy - (153 * mp + 2) / 5 + 1)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (y, m) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_of(y, m, 1) - days_of(year, month, 1)
}

fn weekday_of(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// First day (Monday) of an ISO week.
fn week_start(year: i64, week: i64) -> i64 {
    let jan4 = days_of(year, 1, 4);
    jan4 - (weekday_of(jan4) - 1) + (week - 1) * 7
}

/// Calendar fields of a moment.
pub(crate) fn fields(at_s: i64) -> Fields {
    let days = at_s.div_euclid(86_400);
    let rest = at_s.rem_euclid(86_400);
    let (year, month, day) = date_of(days);
    let weekday = weekday_of(days);
    let weekyear = date_of(days - weekday + 4).0;
    Fields {
        year,
        month,
        day,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
        weekday,
        yearday: days - days_of(year, 1, 1) + 1,
        week: (days - week_start(weekyear, 1)) / 7 + 1,
        weekyear,
    }
}

/// Reads an ISO 8601 moment: calendar, ordinal or week date, optional time and zone. Seconds since the epoch.
pub fn parse_moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if text == "epoch" {
        return Some(0);
    }
    let split = text
        .find(['T', ' '])
        .filter(|at| *at > 0)
        .unwrap_or(text.len());
    let days = if text.starts_with('T') {
        0
    } else {
        parse_date(&text[..split])?
    };
    let time = text
        .get(split..)
        .unwrap_or("")
        .trim_start_matches(['T', ' '])
        .trim();
    if time.is_empty() {
        return Some(days * 86_400);
    }
    parse_time(time).map(|(seconds, zone)| days * 86_400 + seconds - zone)
}

fn parse_date(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [y, w, d] if w.starts_with('W') => week_date(y, &w[1..], d),
        [y, w] if w.starts_with('W') => week_date(y, &w[1..], "1"),
        [y, m, d] => calendar(y.parse().ok()?, m.parse().ok()?, d.parse().ok()?),
        [y, d] if d.len() == 3 => Some(days_of(y.parse().ok()?, 1, 1) + d.parse::<i64>().ok()? - 1),
        [y, m] => calendar(y.parse().ok()?, m.parse().ok()?, 1),
        [all] if all.len() == 8 && all.is_ascii() => calendar(
            all[..4].parse().ok()?,
            all[4..6].parse().ok()?,
            all[6..].parse().ok()?,
        ),
        [all] if all.len() == 7 && all.is_ascii() && !all.contains('W') => {
            Some(days_of(all[..4].parse().ok()?, 1, 1) + all[4..].parse::<i64>().ok()? - 1)
        }
        [all] if all.len() == 4 => calendar(all.parse().ok()?, 1, 1),
        _ => None,
    }
}

fn calendar(year: i64, month: i64, day: i64) -> Option<i64> {
    let fits = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    fits.then(|| days_of(year, month, day))
}

fn week_date(year: &str, week: &str, day: &str) -> Option<i64> {
    let (year, week, day): (i64, i64, i64) =
        (year.parse().ok()?, week.parse().ok()?, day.parse().ok()?);
    ((1..=53).contains(&week) && (1..=7).contains(&day)).then(|| week_start(year, week) + day - 1)
}

fn parse_time(text: &str) -> Option<(i64, i64)> {
    let zone_at = text.find(['Z', '+', '-']).unwrap_or(text.len());
    let clock = text[..zone_at].trim();
    let zone = text[zone_at..].trim();
    let digits: String = clock
        .split('.')
        .next()?
        .chars()
        .filter(|c| *c != ':')
        .collect();
    let two =
        |at: usize| -> Option<i64> { digits.get(at..at + 2).map_or(Some(0), |d| d.parse().ok()) };
    let seconds = two(0)? * 3600 + two(2)? * 60 + two(4)?;
    let offset = match zone.as_bytes().first() {
        None | Some(b'Z') => 0,
        Some(sign) => {
            let digits: String = zone[1..].chars().filter(char::is_ascii_digit).collect();
            let hours: i64 = digits.get(..2)?.parse().ok()?;
            let minutes: i64 = digits.get(2..4).and_then(|m| m.parse().ok()).unwrap_or(0);
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
    };
    Some((seconds, offset))
}

/// A span of calendar time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duration {
    pub(crate) years: i64,
    pub(crate) months: i64,
    pub(crate) days: i64,
    pub(crate) seconds: i64,
}

impl Duration {
    /// Reads `P1DT2H` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut out = Self::default();
        let mut in_time = false;
        let mut number = String::new();
        for c in text.strip_prefix('P')?.chars() {
            if c.is_ascii_digit() || c == '-' {
                number.push(c);
                continue;
            }
            if c == 'T' {
                in_time = true;
                continue;
            }
            let value: i64 = number.parse().ok()?;
            number.clear();
            match (c, in_time) {
                ('Y', false) => out.years += value,
                ('M', false) => out.months += value,
                ('W', false) => out.days += 7 * value,
                ('D', false) => out.days += value,
                ('H', _) => out.seconds += 3600 * value,
                ('M', true) => out.seconds += 60 * value,
                ('S', _) => out.seconds += value,
                _ => return None,
            }
        }
        number.is_empty().then_some(out)
    }

    /// Length in seconds with months of 30 and years of 365 days.
    pub(crate) fn approximate_s(&self) -> i64 {
        ((self.years * 365 + self.months * 30 + self.days) * 86_400).saturating_add(self.seconds)
    }

    /// The moment this long after another.
    pub(crate) fn after(&self, at_s: i64) -> i64 {
        let f = fields(at_s);
        let months = f.year * 12 + (f.month - 1) + self.years * 12 + self.months;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let day = f.day.min(days_in_month(year, month));
        let days = days_of(year, month, day) + self.days;
        days * 86_400 + at_s.rem_euclid(86_400) + self.seconds
    }
}

/// `2024-01-31 05:06:07Z`, as messages and `recheck-by` name a moment.
pub(crate) fn show(at_s: i64) -> String {
    let f = fields(at_s);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z",
        f.year, f.month, f.day, f.hour, f.minute, f.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_every_spelling() {
        assert_eq!(parse_moment("1970-01-02"), Some(86_400));
        assert_eq!(parse_moment("2005-020"), parse_moment("2005-01-20"));
        assert_eq!(parse_moment("2009-W53-7"), parse_moment("2010-01-03"));
        assert_eq!(parse_moment("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_moment("never"), None);
        assert_eq!(show(86_399), "1970-01-01 23:59:59Z");
    }

    #[test]
    fn months_end_where_they_end() {
        let month = Duration::parse("P1M").unwrap();
        let end = parse_moment("2024-01-31").unwrap();
        assert_eq!(Some(month.after(end)), parse_moment("2024-02-29"));
    }
}
