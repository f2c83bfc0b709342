//! `crm_verify`: checks a configuration before a cluster has to.

mod mistakes;

use crate::{
    common::{
        Failure, exit,
        output::{Output, OutputArguments},
        source::{self, Source},
    },
    daemon,
};
use cib::{
    Element,
    schema::{self, Severity},
};
use clap::{ArgGroup, Parser};
use std::{
    ffi::OsString,
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// Checks a configuration: well-formed, valid, and free of common mistakes.
#[derive(Debug, Parser)]
#[command(name = "crm_verify", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("source").required(true).args([
    "live_check", "xml_file", "xml_pipe", "xml_text",
]))]
struct Arguments {
    /// What the cluster runs with.
    #[arg(short = 'L', long)]
    live_check: bool,
    /// This file.
    #[arg(short = 'x', long, value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// Standard input.
    #[arg(short = 'p', long)]
    xml_pipe: bool,
    /// This XML.
    #[arg(short = 'X', long, value_name = "XML")]
    xml_text: Option<String>,
    /// Save what was checked to this file.
    #[arg(short = 'S', long, value_name = "FILE")]
    save_xml: Option<PathBuf>,
    /// Say nothing; the exit code tells.
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Say more.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print the version.
    #[arg(short = '$', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    output: OutputArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match daemon::arguments::<Arguments>("crm_verify", args.clone()) {
        Ok(arguments) => {
            let mut output = Output::new("crm_verify", &args, &arguments.output);
            let result = run(&arguments, &mut output);
            output.finish(result)
        }
        Err(code) => code,
    }
}

fn run(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    let document = read(arguments)?;
    if let Some(file) = &arguments.save_xml {
        source::write_file(file, &document.to_xml())?;
    }
    if arguments.verbose > 0 && !arguments.quiet && !output.is_xml() {
        advise(&document, &name(arguments), output);
    }
    let errors = errors(&document, &name(arguments));
    if !arguments.quiet {
        for error in &errors {
            output.message(error.as_str());
        }
    }
    Ok(if errors.is_empty() {
        exit::OK
    } else {
        exit::CONFIG
    })
}

fn read(arguments: &Arguments) -> Result<Element, Failure> {
    if let Some(file) = &arguments.xml_file {
        source::read_file(file)
    } else if let Some(text) = &arguments.xml_text {
        source::parse(text, "the XML given")
    } else if arguments.xml_pipe {
        source::read_standard_input()
    } else {
        Source::from_environment()?.document()
    }
}

fn name(arguments: &Arguments) -> String {
    match &arguments.xml_file {
        Some(file) => file.display().to_string(),
        None if arguments.xml_pipe => "standard input".to_owned(),
        None if arguments.live_check => "the cluster's configuration".to_owned(),
        None => "the XML given".to_owned(),
    }
}

/// What the field lets pass without a word though nobody can mean it, and what the scheduler
/// ignores or mends: no matter for the exit code.
fn advise(document: &Element, name: &str, output: &mut Output) {
    let advice = schema::check(document).into_iter();
    for problem in advice.filter(|p| p.severity == Severity::Warning) {
        output.message(format!("advice: {name}: {problem}"));
    }
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    for problem in scheduler::schedule(document, now_s).problems {
        output.message(format!("advice: {name}: {problem}"));
    }
}

/// Everything that makes the configuration invalid: structure first, then what it means.
fn errors(document: &Element, name: &str) -> Vec<String> {
    let mut errors: Vec<String> = schema::check(document)
        .into_iter()
        .filter(|p| p.severity == Severity::Error)
        .map(|p| format!("error: {name}: {p}"))
        .collect();
    let mistakes = mistakes::find(document);
    errors.extend(mistakes.into_iter().map(|text| format!("error: {text}")));
    if errors.is_empty() {
        let outdated = mistakes::outdated(document).into_iter();
        errors.extend(outdated.map(|text| format!("warning: {text}")));
        if !errors.is_empty() {
            errors.push("Configuration may need attention".to_owned());
        }
    } else {
        errors.push("error: CIB did not pass schema validation".to_owned());
        errors.push("Configuration invalid".to_owned());
    }
    errors
}
