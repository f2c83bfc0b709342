//! `systole explain`: why a resource is where it is, what blocks it, and what would have to change.

mod edit;
mod remedy;
mod tell;

use std::{
    ffi::OsString,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use cib::Element;
use clap::Parser;
use scheduler::explain::{self, Explanation};

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    output::Output,
    source::{self, Source},
};
use edit::Edit;
use remedy::{Case, Goal, Remedy, Search};

/// How long changes that would help are looked for, in seconds: each costs a run of the scheduler, which is tenths
/// of a second on thousands of resources.
const SEARCH_S: u64 = 10;

/// Tells why a resource is where it is, or nowhere: scores and the constraints they come from, what blocks it, and
/// a change that would help. Without a resource: one line for each that does not run.
#[derive(Debug, Parser)]
#[command(name = "systole explain", version, disable_version_flag = true)]
struct Arguments {
    /// The resource: a primitive, group, clone or bundle, or one instance.
    resource: Option<String>,
    /// Why it is, or is not, on this node.
    #[arg(long, value_name = "NODE", requires = "resource")]
    on: Option<String>,
    /// Why it is, or is not, promoted (there).
    #[arg(long, requires = "resource")]
    promoted: bool,
    /// Suppose this first; may be given again. For example 'node-offline NODE', 'standby NODE', 'without CONSTRAINT',
    /// 'resource-fail RESOURCE NODE', 'quorum no', 'ticket-grant TICKET', 'option NAME=VALUE'.
    #[arg(long = "if", value_name = "CHANGE")]
    suppose: Vec<String>,
    /// Read the CIB from this file ("-": standard input).
    #[arg(short = 'x', long = "xml-file", value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// The moment to decide for (ISO 8601).
    #[arg(short = 't', long = "set-datetime", value_name = "DATETIME")]
    set_datetime: Option<String>,
    /// Write the CIB, changed as supposed, to this file.
    #[arg(short = 'I', long = "save-input", value_name = "FILE")]
    save_input: Option<PathBuf>,
    /// Look for changes that would help for at most so many seconds; 0: do not look.
    #[arg(long, value_name = "SECONDS", default_value_t = SEARCH_S)]
    search_time: u64,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "systole explain";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let cib = self.document()?;
        let now_s = self.moment(&cib)?;
        let edits: Vec<Edit> = self
            .suppose
            .iter()
            .map(|text| Edit::parse(text))
            .collect::<Result<_, _>>()?;
        let mut supposed = cib.clone();
        for edit in &edits {
            edit.apply(&mut supposed, now_s)?;
        }
        if let Some(file) = &self.save_input {
            source::write_file(file, &supposed.to_xml())?;
        }
        let Some(resource) = &self.resource else {
            return Ok(self.overview(&supposed, now_s, output));
        };
        let before = (!edits.is_empty()).then_some(&cib);
        let question = Question {
            resource,
            on: self.on.as_deref(),
            promoted: self.promoted,
            search: Duration::from_secs(self.search_time),
        };
        let answer = answer(&supposed, before, now_s, &question)?;
        let answer = Answer { edits, ..answer };
        if output.is_xml() {
            output.element(tell::xml(&answer, &supposed));
        } else if self.json {
            output.line(&tell::json(&answer, &supposed));
        } else {
            tell::text(&answer, &supposed, output);
        }
        Ok(exit::OK)
    }
}

impl Arguments {
    fn document(&self) -> Result<Element, Failure> {
        match &self.xml_file {
            Some(file) if file.as_os_str() == "-" => source::read_standard_input(),
            Some(file) => source::read_file(file),
            None => Source::from_environment()?.document(),
        }
    }

    /// As for `crm_simulate`: what is asked for, what was recorded, or now.
    fn moment(&self, cib: &Element) -> Result<i64, Failure> {
        if let Some(text) = &self.set_datetime {
            return scheduler::parse_moment(text)
                .ok_or_else(|| Failure::usage(format!("'{text}' is not a date")));
        }
        let recorded = cib.attr("execution-date").and_then(|t| t.parse().ok());
        Ok(recorded.unwrap_or_else(|| jiff::Timestamp::now().as_second()))
    }

    /// A line for each resource that does not run.
    fn overview(&self, cib: &Element, now_s: i64, output: &mut Output) -> u8 {
        let all = explain::idle(cib, now_s);
        if self.json {
            output.line(&tell::overview_json(&all));
        } else if all.is_empty() {
            output.line("Every resource runs, or will when what is planned has been done.");
        }
        for explanation in &all {
            if !self.json {
                output.line(&tell::headline(explanation, None));
            }
            output.element(tell::overview_xml(explanation));
        }
        if !all.is_empty() && !self.json {
            output.line("\nMore about one of them: systole explain RESOURCE [--on NODE]");
        }
        exit::OK
    }
}

/// What is asked.
struct Question<'a> {
    resource: &'a str,
    on: Option<&'a str>,
    promoted: bool,
    /// How long to look for remedies.
    search: Duration,
}

/// Everything there is to say.
#[derive(Debug)]
struct Answer {
    explanation: Explanation,
    on: Option<String>,
    /// Asked was why it is, or is not, promoted.
    promoted: bool,
    goal: Goal,
    /// Nothing: nobody wanted to know.
    search: Option<Search>,
    /// What is supposed.
    edits: Vec<Edit>,
    /// How it is without that.
    before: Option<Explanation>,
    /// What a supposition changes for other resources: planned actions, new ones and those that are not needed.
    elsewhere: Vec<String>,
}

impl Answer {
    fn remedies(&self) -> &[Remedy] {
        self.search.as_ref().map_or(&[], |search| &search.remedies)
    }

    fn cut_short(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.cut_short)
    }
}

/// Explains, and finds out what would help. `before`: the document without what is supposed.
fn answer(
    cib: &Element,
    before: Option<&Element>,
    now_s: i64,
    question: &Question,
) -> Result<Answer, Failure> {
    let Question { resource, on, .. } = *question;
    let explained = |cib: &Element| {
        let missing = || Failure::no_such(format!("there is no resource '{resource}'"));
        explain::explain(cib, now_s, resource).ok_or_else(missing)
    };
    let explanation = explained(cib)?;
    if let Some(node) = on
        && !explanation.nodes.iter().any(|row| row.node == node)
    {
        let all: Vec<&str> = explanation.nodes.iter().map(|r| r.node.as_str()).collect();
        let text = format!("there is no node '{node}'; there are {}", all.join(", "));
        return Err(Failure::no_such(text));
    }
    if question.promoted && explanation.promotion.is_empty() && !explanation.decided.is_empty() {
        let text = format!("'{resource}' is no promotable clone: ask without --promoted");
        return Err(Failure::usage(text));
    }
    let goal = remedy::goal(&explanation, on, question.promoted);
    let case = Case {
        cib,
        now_s,
        resource,
        until: Instant::now() + question.search,
    };
    let is_wanted = !question.search.is_zero();
    let search = is_wanted.then(|| remedy::find(&case, &explanation, &goal));
    let elsewhere = before.map_or_else(Vec::new, |before| {
        plan_differences(before, cib, now_s, &explanation)
    });
    Ok(Answer {
        before: before.map(explained).transpose()?,
        explanation,
        on: on.map(str::to_owned),
        promoted: question.promoted,
        goal,
        search,
        edits: Vec::new(),
        elsewhere,
    })
}

fn plan_differences(
    before: &Element,
    after: &Element,
    now_s: i64,
    explanation: &Explanation,
) -> Vec<String> {
    let plan = |cib: &Element| scheduler::run(cib, now_s, false).transition_summary;
    let (old, new) = (plan(before), plan(after));
    let own = |line: &&String| explanation.plan.contains(*line);
    let added = new.iter().filter(|l| !old.contains(l) && !own(l));
    added.map(|line| line.trim().to_owned()).collect()
}

/// The answer in words, for `crm_resource --why --verbose`.
///
/// # Errors
/// There is no such resource or node.
pub(crate) fn in_words(
    cib: &Element,
    now_s: i64,
    resource: &str,
    on: Option<&str>,
    output: &mut Output,
) -> Result<(), Failure> {
    let question = Question {
        resource,
        on,
        promoted: false,
        search: Duration::from_secs(SEARCH_S),
    };
    let answer = answer(cib, None, now_s, &question)?;
    tell::text(&answer, cib, output);
    Ok(())
}
