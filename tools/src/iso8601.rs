//! `iso8601`: shows and reckons with dates as they stand in rules.

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    moment::{self, Duration, Moment},
    output::Output,
};
use cib::{Element, Node};
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, process::ExitCode};

/// From the beginning of year 0 to the epoch.
const YEAR_ZERO_S: i64 = 719_528 * 86_400;

/// Shows dates, durations and periods of ISO 8601.
#[derive(Debug, Parser)]
#[command(name = "iso8601", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("what").args(["now", "date", "period"]))]
#[command(group = ArgGroup::new("form").args(["seconds", "epoch", "ordinal", "week"]))]
struct Arguments {
    /// This moment.
    #[arg(short = 'n', long)]
    now: bool,
    /// This date.
    #[arg(short = 'd', long, value_name = "DATE", allow_hyphen_values = true)]
    date: Option<String>,
    /// This period: START/END, START/DURATION or DURATION/END.
    #[arg(short = 'p', long, value_name = "PERIOD", allow_hyphen_values = true)]
    period: Option<String>,
    /// This duration; with a date also when it ends.
    #[arg(short = 'D', long, value_name = "DURATION")]
    duration: Option<String>,
    /// Fail unless it is (or ends at) this date.
    #[arg(short = 'E', long, value_name = "DATE")]
    expected: Option<String>,
    /// In seconds since the beginning of year 0.
    #[arg(short = 's', long)]
    seconds: bool,
    /// In seconds since 1970.
    #[arg(short = 'S', long)]
    epoch: bool,
    /// As year and day of the year.
    #[arg(short = 'O', long)]
    ordinal: bool,
    /// As year, week and day of the week.
    #[arg(short = 'W', long)]
    week: bool,
    /// In the zone it was given in, not in UTC.
    #[arg(short = 'L', long)]
    local: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "iso8601";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        if let Some(period) = &self.period {
            self.show_period(period, output)?;
        }
        let date = match &self.date {
            Some(text) => Some(parsed(text)?),
            None if self.now => Some(Moment::now()),
            None => None,
        };
        if let Some(date) = date {
            let name = if self.now { "now" } else { "date" };
            self.tell(name, &self.form(self.zoned(date)), output);
        }
        let mut result = date;
        if let Some(text) = &self.duration {
            let duration = Duration::parse(text)
                .ok_or_else(|| invalid(&format!("Invalid duration specified: {text}")))?;
            self.tell("duration", &duration.show(), output);
            if let Some(date) = date {
                let end = date.after(&duration);
                let end = end.ok_or_else(|| invalid("the duration leads out of the calendar"))?;
                self.tell("duration_ends", &self.form(end), output);
                result = Some(end);
            }
        }
        self.compare(result)
    }
}

fn invalid(text: &str) -> Failure {
    Failure::new(exit::INVALID_PARAMETER, text)
}

fn parsed(text: &str) -> Result<Moment, Failure> {
    Moment::parse(text).ok_or_else(|| invalid(&format!("Invalid date/time specified: {text}")))
}

impl Arguments {
    fn zoned(&self, moment: Moment) -> Moment {
        if self.local { moment } else { moment.utc() }
    }

    fn form(&self, moment: Moment) -> String {
        if self.epoch {
            moment.epoch_s().to_string()
        } else if self.seconds {
            moment.epoch_s().saturating_add(YEAR_ZERO_S).to_string()
        } else if self.ordinal {
            moment.show_ordinal()
        } else if self.week {
            moment.show_week()
        } else {
            moment.show()
        }
    }

    fn tell(&self, name: &str, text: &str, output: &mut Output) {
        let title = match name {
            "now" => "Current date/time",
            "duration" => "Duration",
            "duration_ends" => "Duration ends at",
            _ => "Date",
        };
        output.line(&format!("{title}: {text}"));
        output.element(element(name, text));
    }

    fn show_period(&self, text: &str, output: &mut Output) -> Result<(), Failure> {
        let (start, end) = moment::parse_period(text)
            .ok_or_else(|| invalid(&format!("Invalid interval specified: {text}")))?;
        let form = |moment| self.form(self.zoned(moment));
        output.line(&format!("Period: {} to {}", form(start), form(end)));
        output.element(
            Element::new("period")
                .with_child(element("start", &form(start)))
                .with_child(element("end", &form(end))),
        );
        Ok(())
    }

    fn compare(&self, result: Option<Moment>) -> Result<u8, Failure> {
        let Some(text) = &self.expected else {
            return Ok(exit::OK);
        };
        let expected = parsed(text)?;
        let same = result.is_some_and(|r| r.epoch_s() == expected.epoch_s());
        Ok(if same { exit::OK } else { exit::ERROR })
    }
}

fn element(name: &str, text: &str) -> Element {
    let mut element = Element::new(name);
    element.push_node(Node::Text(text.into()));
    element
}
