//! `crm_diff`: compares two documents, or applies a patch to one.

use crate::{
    common::{
        Failure, exit,
        output::{Output, OutputArguments},
        source,
    },
    daemon,
};
use cib::{
    Element,
    patch::{self, Style},
};
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

/// Compares two configurations, or applies such a comparison as a patch.
#[derive(Debug, Parser)]
#[command(name = "crm_diff", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("first").required(true).args(["original", "original_string"]))]
#[command(group = ArgGroup::new("second").required(true).args(["new", "new_string", "patch"]))]
struct Arguments {
    /// The original is in this file.
    #[arg(short = 'o', long, value_name = "FILE")]
    original: Option<PathBuf>,
    /// The original itself.
    #[arg(short = 'O', long, value_name = "XML")]
    original_string: Option<String>,
    /// Compare with this file.
    #[arg(short = 'n', long, value_name = "FILE")]
    new: Option<PathBuf>,
    /// Compare with this.
    #[arg(short = 'N', long, value_name = "XML")]
    new_string: Option<String>,
    /// Apply the patch in this file.
    #[arg(short = 'p', long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Compare or patch as the cluster does (with digest, without the order of attributes).
    #[arg(short = 'c', long)]
    cib: bool,
    /// Leave versions out.
    #[arg(short = 'u', long)]
    no_version: bool,
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
    match daemon::arguments::<Arguments>("crm_diff", args.clone()) {
        Ok(arguments) => {
            let mut output = Output::new("crm_diff", &args, &arguments.output);
            let result = run(&arguments, &mut output);
            output.finish(result)
        }
        Err(code) => code,
    }
}

fn run(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    if arguments.cib && arguments.no_version {
        return Err(Failure::usage("-u/--no-version incompatible with -c/--cib"));
    }
    let old = read(
        arguments.original.as_ref(),
        arguments.original_string.as_deref(),
    )?;
    match &arguments.patch {
        Some(file) => apply(&old, &source::read_file(file)?, output),
        None => {
            let new = read(arguments.new.as_ref(), arguments.new_string.as_deref())?;
            Ok(compare(&old, &new, arguments, output))
        }
    }
}

fn read(file: Option<&PathBuf>, text: Option<&str>) -> Result<Element, Failure> {
    match (file, text) {
        (Some(file), _) => source::read_file(file),
        (None, text) => source::parse(text.unwrap_or_default(), "the XML given"),
    }
}

fn apply(old: &Element, patch: &Element, output: &mut Output) -> Result<u8, Failure> {
    let new = patch::apply(old, patch).map_err(|error| {
        // Programs compare the message of the output; the reason is for people.
        eprintln!("crm_diff: {error}");
        Failure::new(
            exit::ERROR,
            "Could not apply patch: Application of update diff failed",
        )
    })?;
    output.document("updated", &new.to_xml());
    Ok(exit::OK)
}

/// As with `diff`, a difference makes 1 of the exit code.
fn compare(old: &Element, new: &Element, arguments: &Arguments, output: &mut Output) -> u8 {
    let style = match (arguments.cib, arguments.no_version) {
        (true, _) => Style::CIB,
        (_, true) => Style::UNVERSIONED,
        _ => Style::FILES,
    };
    match patch::diff(old, new, style) {
        None => exit::OK,
        Some(patch) => {
            output.document("patchset", &patch.to_xml());
            exit::ERROR
        }
    }
}
