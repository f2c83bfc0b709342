//! Moments, durations and periods as ISO 8601 writes them, read strictly.
//!
//! A moment without a zone is UTC, as the scheduler takes it: every node then means the same.

use jiff::{
    Span,
    civil::{Date, DateTime, ISOWeekDate, Time, Weekday},
};

/// A point in time and the zone in which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    local: DateTime,
    offset_s: i64,
}

/// A span of calendar time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Duration {
    pub(crate) years: i64,
    pub(crate) months: i64,
    pub(crate) days: i64,
    pub(crate) seconds: i64,
}

impl Moment {
    /// The present one.
    pub(crate) fn now() -> Self {
        Self::at(jiff::Timestamp::now().as_second())
    }

    /// Seconds since the epoch; what no calendar reaches is the epoch itself.
    pub(crate) fn at(epoch_s: i64) -> Self {
        let local = jiff::Timestamp::from_second(epoch_s)
            .map(|t| jiff::tz::Offset::UTC.to_datetime(t))
            .unwrap_or_default();
        Self { local, offset_s: 0 }
    }

    /// Reads one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if text.eq_ignore_ascii_case("epoch") {
            return Some(Self::at(0));
        }
        let split = text.find(['T', ' ']).unwrap_or(text.len());
        let date = if split == 0 {
            Self::now().local.date()
        } else {
            parse_date(text.get(..split)?)?
        };
        let rest = text.get(split..)?.trim_start_matches(['T', ' ']);
        if rest.is_empty() {
            // A date that is followed by nothing but its separator is a slip.
            let local = date.to_datetime(Time::midnight());
            return (split == text.len()).then_some(Self { local, offset_s: 0 });
        }
        let (seconds, offset_s) = parse_time(rest)?;
        let midnight = date.to_datetime(Time::midnight());
        let local = midnight.checked_add(Span::new().seconds(seconds)).ok()?;
        Some(Self { local, offset_s })
    }

    /// Seconds since the epoch.
    pub(crate) fn epoch_s(self) -> i64 {
        jiff::tz::Offset::UTC
            .to_timestamp(self.local)
            .map_or(0, jiff::Timestamp::as_second)
            - self.offset_s
    }

    /// The same moment, written in UTC.
    pub(crate) fn utc(self) -> Self {
        Self::at(self.epoch_s())
    }

    /// The moment this much later, by the calendar of its zone; the last day of a month stays one.
    pub(crate) fn after(self, duration: &Duration) -> Option<Self> {
        let months = duration
            .years
            .checked_mul(12)?
            .checked_add(duration.months)?;
        let months = Span::new().try_months(months).ok()?;
        let rest = Span::new()
            .try_days(duration.days)
            .ok()?
            .try_seconds(duration.seconds)
            .ok()?;
        let local = self
            .local
            .checked_add(months)
            .ok()?
            .checked_add(rest)
            .ok()?;
        Some(Self { local, ..self })
    }

    /// The moment this much earlier.
    pub(crate) fn before(self, duration: &Duration) -> Option<Self> {
        self.after(&Duration {
            years: -duration.years,
            months: -duration.months,
            days: -duration.days,
            seconds: -duration.seconds,
        })
    }

    /// Its calendar fields in UTC.
    pub(crate) fn fields(self) -> DateTime {
        self.utc().local
    }

    /// `2024-01-31 05:06:07Z`, or with `+01:00`.
    pub(crate) fn show(self) -> String {
        let d = self.local.date();
        let date = format!("{:04}-{:02}-{:02}", d.year(), d.month(), d.day());
        format!("{date} {}", self.time_and_zone())
    }

    /// `2024-W05-3 05:06:07Z`.
    pub(crate) fn show_week(self) -> String {
        let week = self.local.date().iso_week_date();
        let day = week.weekday().to_monday_one_offset();
        let date = format!("{:04}-W{:02}-{day}", week.year(), week.week());
        format!("{date} {}", self.time_and_zone())
    }

    /// `2024-031 05:06:07Z`.
    pub(crate) fn show_ordinal(self) -> String {
        let d = self.local.date();
        let date = format!("{:04}-{:03}", d.year(), d.day_of_year());
        format!("{date} {}", self.time_and_zone())
    }

    fn time_and_zone(self) -> String {
        let t = self.local.time();
        let time = format!("{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second());
        let minutes = self.offset_s.abs() / 60;
        match self.offset_s {
            0 => format!("{time}Z"),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{time} {sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

fn digits(text: &str, length: usize) -> Option<i64> {
    let good = text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}

/// `YYYY-MM-DD`, `YYYYMMDD`, `YYYY-DDD`, `YYYYDDD`, `YYYY-Www-D`, `YYYYWwwD`.
fn parse_date(text: &str) -> Option<Date> {
    let year = i16::try_from(digits(text.get(..4)?, 4)?).ok()?;
    if year == 0 {
        return None;
    }
    let rest = text.get(4..)?;
    let (rest, dashed) = match rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    if let Some(week) = rest.strip_prefix('W') {
        let number = i8::try_from(digits(week.get(..2)?, 2)?).ok()?;
        let day = week.get(2..)?;
        let day = day.strip_prefix('-').filter(|_| dashed).unwrap_or(day);
        let day = match day {
            "" => 1,
            day => digits(day, 1)?,
        };
        let day = Weekday::from_monday_one_offset(i8::try_from(day).ok()?).ok()?;
        return Some(ISOWeekDate::new(year, number, day).ok()?.date());
    }
    if let Some(day) = digits(rest, 3) {
        let first = Date::new(year, 1, 1).ok()?;
        let fits = (1..=i64::from(first.days_in_year())).contains(&day);
        return fits.then(|| first.checked_add(Span::new().days(day - 1)).ok())?;
    }
    let (month, day) = match (dashed, rest.split_once('-')) {
        (true, Some((month, day))) => (digits(month, 2)?, digits(day, 2)?),
        (true, None) => (digits(rest, 2)?, 1),
        (false, _) if rest.is_empty() => (1, 1),
        (false, _) => (digits(rest.get(..2)?, 2)?, digits(rest.get(2..)?, 2)?),
    };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Seconds since midnight (24:00:00 is that of the next day), and those east of UTC.
fn parse_time(text: &str) -> Option<(i64, i64)> {
    let zone_at = text.find(['Z', '+', '-', ' ']).unwrap_or(text.len());
    let (hours, minutes, seconds) = clock(text.get(..zone_at)?)?;
    let whole_day = hours == 24 && minutes == 0 && seconds == 0;
    if (hours > 23 && !whole_day) || minutes > 59 || seconds > 59 {
        return None;
    }
    let zone = text.get(zone_at..)?.trim();
    let offset_s = match zone.split_at_checked(1) {
        None | Some(("Z", "")) => 0,
        Some((sign @ ("+" | "-"), rest)) => {
            let (hours, minutes, seconds) = clock(rest)?;
            if hours > 23 || minutes > 59 || seconds != 0 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if sign == "-" { -1 } else { 1 }
        }
        Some(_) => return None,
    };
    Some((hours * 3600 + minutes * 60 + seconds, offset_s))
}

/// `hh`, `hh:mm`, `hhmm`, `hh:mm:ss`, `hhmmss`.
fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let parts: Vec<&str> = if text.contains(':') {
        text.split(':').collect()
    } else {
        let cut = |at: usize| text.get(at..(at + 2).min(text.len()));
        (0..text.len()).step_by(2).filter_map(cut).collect()
    };
    let numbers: Option<Vec<i64>> = parts.into_iter().map(|p| digits(p, 2)).collect();
    match numbers?.as_slice() {
        [h] => Some((*h, 0, 0)),
        [h, m] => Some((*h, *m, 0)),
        [h, m, s] => Some((*h, *m, *s)),
        _ => None,
    }
}

impl Duration {
    /// Reads `P1Y2M3W4DT5H6M7S`; numbers may be negative, hours and seconds may do without `T`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut in_time = false;
        let mut number = String::new();
        let mut any = false;
        for c in text.trim().strip_prefix('P')?.chars() {
            if c.is_ascii_digit() || (matches!(c, '-' | '+') && number.is_empty()) {
                number.push(c);
                continue;
            }
            if c == 'T' && !in_time && number.is_empty() {
                in_time = true;
                continue;
            }
            let value: i64 = number.parse().ok()?;
            number.clear();
            any = true;
            found.add(c, in_time, value)?;
        }
        (any && number.is_empty()).then_some(found)
    }

    fn add(&mut self, unit: char, in_time: bool, value: i64) -> Option<()> {
        let (field, factor) = match (unit, in_time) {
            ('Y', false) => (&mut self.years, 1),
            ('M', false) => (&mut self.months, 1),
            ('W', false) => (&mut self.days, 7),
            ('D', false) => (&mut self.days, 1),
            ('H', _) => (&mut self.seconds, 3600),
            ('M', true) => (&mut self.seconds, 60),
            ('S', _) => (&mut self.seconds, 1),
            _ => return None,
        };
        *field = field.checked_add(value.checked_mul(factor)?)?;
        Some(())
    }

    /// For people, as the field writes it.
    pub(crate) fn show(&self) -> String {
        let mut text = String::new();
        let plural = |n: i64| if n == 1 { "" } else { "s" };
        let parts = [
            (self.years, "year", 4),
            (self.months, "month", 2),
            (self.days, "day", 2),
        ];
        for (n, unit, width) in parts.into_iter().filter(|(n, ..)| *n != 0) {
            text.push_str(&format!("{n:width$} {unit}{} ", plural(n)));
        }
        if self.seconds != 0 {
            let s = self.seconds.abs();
            let parts = [
                (s / 3600, "hour"),
                (s / 60 % 60, "minute"),
                (s % 60, "second"),
            ];
            let words: Vec<String> = parts
                .into_iter()
                .filter(|(n, _)| *n != 0)
                .map(|(n, unit)| format!("{n} {unit}{}", plural(n)))
                .collect();
            let seconds = self.seconds;
            text.push_str(&format!("{seconds} second{}", plural(seconds)));
            if s >= 60 {
                text.push_str(&format!(" ({})", words.join(" ")));
            }
        }
        text
    }
}

/// Reads `start/end`, `start/duration` or `duration/end`.
pub(crate) fn parse_period(text: &str) -> Option<(Moment, Moment)> {
    let (first, second) = text.split_once('/')?;
    let (start, end) = match (Duration::parse(first), Duration::parse(second)) {
        (Some(_), Some(_)) => return None,
        (Some(length), None) => {
            let end = Moment::parse(second)?;
            (end.before(&length)?, end)
        }
        (None, Some(length)) => {
            let start = Moment::parse(first)?;
            (start, start.after(&length)?)
        }
        (None, None) => (Moment::parse(first)?, Moment::parse(second)?),
    };
    (start.epoch_s() <= end.epoch_s()).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Moment::parse(text).map(|m| m.utc().show())
    }

    #[test]
    fn every_spelling_of_a_date() {
        let day = Some("2005-01-20 00:00:00Z".to_owned());
        for text in [
            "2005-01-20",
            "20050120",
            "2005-020",
            "2005020",
            "2005-W03-4",
            "2005W034",
        ] {
            assert_eq!(shown(text), day, "{text}");
        }
        let next = Some("2005-01-21 00:00:00Z".to_owned());
        assert_eq!(shown("2005-01-20 24:00:00Z"), next);
        assert_eq!(shown("2005-01-21T01:30:00 +01:30"), next);
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for text in [
            "2005-13-01",
            "2005-02-29",
            "2005-366",
            "0000-01-01",
            "10000-01-01",
            "2005-01-01 25:00",
            "2005-01-01 00:00:80Z",
            "2005-01-01 00:00:00 +25:00",
            "2005-01-01 00:00 -00:61",
            "",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_a_month_stays_one() {
        let month = Duration::parse("P1M").unwrap();
        let end = Moment::parse("2024-01-31").unwrap();
        assert_eq!(end.after(&month).unwrap().show(), "2024-02-29 00:00:00Z");
        for wrong in ["P", "P1Z", "P1YM", "1Y", "PT"] {
            assert_eq!(Duration::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_period_has_two_ends() {
        assert!(parse_period("2019-01-01/P1M").is_some());
        assert!(parse_period("P1M/2019-01-01").is_some());
        for wrong in [
            "2019-01-01",
            "2019-01-01/",
            "PT2S/P1M",
            "2019-02-01/2019-01-01",
        ] {
            assert_eq!(parse_period(wrong), None, "{wrong}");
        }
    }
}
