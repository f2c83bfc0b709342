//! `crm_rule`: whether a rule about time is in effect.

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    moment::{Duration, Moment},
    output::Output,
    source::{self, Source},
};
use cib::Element;
use clap::Parser;
use jiff::civil::DateTime;
use std::{ffi::OsString, io::Read as _, process::ExitCode};

/// Checks rules about time.
#[derive(Debug, Parser)]
#[command(name = "crm_rule", version, disable_version_flag = true)]
struct Arguments {
    /// Whether a rule is in effect.
    #[arg(short = 'c', long)]
    check: bool,
    /// Which rule; may be given again.
    #[arg(short = 'r', long, value_name = "ID")]
    rule: Vec<String>,
    /// At this time (default: now).
    #[arg(short = 'd', long, value_name = "DATE")]
    date: Option<String>,
    /// In this configuration ("-": from standard input).
    #[arg(short = 'X', long, value_name = "XML", allow_hyphen_values = true)]
    xml_text: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_rule";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        if !self.check {
            return Err(Failure::usage("No mode operation given"));
        }
        if self.rule.is_empty() {
            return Err(Failure::usage("--check requires use of --rule="));
        }
        let document = self.document()?;
        let at = match &self.date {
            None => Moment::now(),
            Some(text) => Moment::parse(text).ok_or_else(|| {
                Failure::new(exit::DATA, format!("Invalid date specified: '{text}'"))
            })?,
        };
        let mut code = exit::OK;
        for id in &self.rule {
            let one = tell(&document, id, at, output);
            code = if code == exit::OK { one } else { code };
        }
        Ok(code)
    }
}

impl Arguments {
    fn document(&self) -> Result<Element, Failure> {
        let data = |text: String| Failure::new(exit::DATA, text);
        match self.xml_text.as_deref() {
            None => Source::from_environment()?.document(),
            Some("-") => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text).is_ok();
                let parsed = source::parse(&text, "standard input").ok().filter(|_| read);
                parsed.ok_or_else(|| data("Couldn't parse input from STDIN".to_owned()))
            }
            Some(text) => source::parse(text, "the XML given")
                .map_err(|_| data(format!("Couldn't parse input string: {text}"))),
        }
    }
}

/// How a rule stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    NotYet,
    /// Within a range of time.
    InEffect,
    /// The calendar fits.
    Satisfied,
    Expired,
}

/// Why that cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unclear {
    NotFound,
    NoDate,
    SeveralDates,
    NoYears,
    Operation,
}

impl Unclear {
    fn text(self) -> &'static str {
        match self {
            Self::NotFound => "Rule not found",
            Self::NoDate => "Rule does not have a date expression",
            Self::SeveralDates => "Rule has more than one date expression",
            Self::NoYears => "Rule must either not use date_spec, or use date_spec with years=",
            Self::Operation => "Rule has a date expression that cannot be understood",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::NotFound => exit::NO_SUCH,
            _ => exit::UNIMPLEMENTED,
        }
    }
}

fn tell(document: &Element, id: &str, at: Moment, output: &mut Output) -> u8 {
    let code = match check(document, id, at) {
        Ok(standing) => {
            let (code, words) = match standing {
                Standing::NotYet => (exit::NOT_YET_IN_EFFECT, "has not yet taken effect"),
                Standing::InEffect => (exit::OK, "is still in effect"),
                Standing::Satisfied => (exit::OK, "satisfies conditions"),
                Standing::Expired => (exit::EXPIRED, "is expired"),
            };
            output.line(&format!("Rule {id} {words}"));
            code
        }
        Err(unclear) => {
            let why = unclear.text();
            output.message(format!(
                "Could not determine whether rule {id} is in effect: {why}"
            ));
            unclear.code()
        }
    };
    output.element(
        Element::new("rule-check")
            .with_attr("rule-id", id)
            .with_attr("rc", code.to_string()),
    );
    code
}

fn check(document: &Element, id: &str, at: Moment) -> Result<Standing, Unclear> {
    let mut rules = document.descendants().filter(|e| e.name() == "rule");
    let rule = rules
        .find(|r| r.id() == Some(id))
        .ok_or(Unclear::NotFound)?;
    let mut dates = rule.descendants().filter(|e| e.name() == "date_expression");
    let date = dates.next().ok_or(Unclear::NoDate)?;
    if dates.next().is_some() {
        return Err(Unclear::SeveralDates);
    }
    standing(date, at)
}

fn standing(date: &Element, at: Moment) -> Result<Standing, Unclear> {
    let moment = |name| date.attr(name).and_then(Moment::parse);
    let (start, end) = (moment("start"), moment("end"));
    let at_s = at.epoch_s();
    match date.attr("operation").unwrap_or("in_range") {
        "gt" => {
            let start = start.ok_or(Unclear::Operation)?;
            let begun = at_s > start.epoch_s();
            Ok(if begun {
                Standing::InEffect
            } else {
                Standing::NotYet
            })
        }
        "lt" => {
            let end = end.ok_or(Unclear::Operation)?;
            let over = at_s >= end.epoch_s();
            Ok(if over {
                Standing::Expired
            } else {
                Standing::InEffect
            })
        }
        "in_range" => {
            let end = end.or_else(|| start?.after(&duration(date.child("duration")?)));
            if start.is_none() && end.is_none() {
                return Err(Unclear::Operation);
            }
            Ok(if start.is_some_and(|s| at_s < s.epoch_s()) {
                Standing::NotYet
            } else if end.is_some_and(|e| at_s > e.epoch_s()) {
                Standing::Expired
            } else {
                Standing::InEffect
            })
        }
        "date_spec" => {
            let spec = date.child("date_spec").ok_or(Unclear::Operation)?;
            spec.attr("years").ok_or(Unclear::NoYears)?;
            Ok(by_calendar(spec, at.fields()))
        }
        _ => Err(Unclear::Operation),
    }
}

fn duration(xml: &Element) -> Duration {
    let n = |name: &str| xml.attr(name).and_then(|v| v.parse().ok()).unwrap_or(0_i64);
    Duration {
        years: n("years"),
        months: n("months"),
        days: n("days").saturating_add(n("weeks").saturating_mul(7)),
        seconds: n("hours")
            .saturating_mul(3600)
            .saturating_add(n("minutes").saturating_mul(60))
            .saturating_add(n("seconds")),
    }
}

/// The first field that does not fit decides whether the time is over or still to come.
fn by_calendar(spec: &Element, at: DateTime) -> Standing {
    let week = at.date().iso_week_date();
    let fields = [
        ("years", i64::from(at.year())),
        ("months", i64::from(at.month())),
        ("monthdays", i64::from(at.day())),
        ("hours", i64::from(at.hour())),
        ("minutes", i64::from(at.minute())),
        ("seconds", i64::from(at.second())),
        ("yeardays", i64::from(at.day_of_year())),
        ("weekyears", i64::from(week.year())),
        ("weeks", i64::from(week.week())),
        ("weekdays", i64::from(week.weekday().to_monday_one_offset())),
    ];
    for (name, value) in fields {
        let Some(ranges) = spec.attr(name) else {
            continue;
        };
        let ranges: Vec<(i64, i64)> = ranges.split(',').map(range).collect();
        if ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&value))
        {
            continue;
        }
        let to_come = ranges.iter().any(|(low, _)| value < *low);
        return if to_come {
            Standing::NotYet
        } else {
            Standing::Expired
        };
    }
    Standing::Satisfied
}

fn range(text: &str) -> (i64, i64) {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let low = low.trim().parse().unwrap_or(i64::MIN);
    (low, high.trim().parse().unwrap_or(i64::MAX))
}
