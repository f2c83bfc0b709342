//! What the tools share: exit codes, the two forms of output, and where the configuration comes
//! from.

pub(crate) mod codes;
pub(crate) mod exit;
pub(crate) mod moment;
pub(crate) mod names;
pub(crate) mod nodes;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod source;

use output::{Output, OutputArguments};
use std::{ffi::OsString, process::ExitCode};

/// Options every tool has besides its own.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CommonArguments {
    /// Say more; may be given again.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print the version.
    #[arg(short = '$', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
}

/// A tool: its command line, and what it does.
pub(crate) trait Tool: clap::Parser {
    /// The name people type.
    const NAME: &'static str;

    /// What every tool has.
    fn common(&self) -> &CommonArguments;

    /// Does it. What there is to say goes to `output`.
    ///
    /// # Errors
    /// Exit code and reason.
    fn run(&self, output: &mut Output) -> Result<u8, Failure>;
}

/// Runs a tool from its command line to its exit code.
pub(crate) fn main<T: Tool>(args: Vec<OsString>) -> ExitCode {
    match parse::<T>(&args) {
        Ok(tool) => {
            let mut output = Output::new(T::NAME, &args, &tool.common().output);
            let result = tool.run(&mut output);
            output.finish(result)
        }
        Err(code) => code,
    }
}

/// A wrong command line is told in the form that was asked for.
fn parse<T: Tool>(args: &[OsString]) -> Result<T, ExitCode> {
    let all = std::iter::once(T::NAME.into()).chain(args.iter().cloned());
    T::try_parse_from(all).map_err(|error| {
        let wants_xml = output::asks_for_xml(args);
        if wants_xml && error.use_stderr() {
            let output = Output::new(T::NAME, args, &OutputArguments::xml());
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            return output.finish(Err(Failure::usage(reason)));
        }
        // Nothing to be done about a closed standard output.
        let _ = error.print();
        let code = if error.use_stderr() {
            exit::USAGE
        } else {
            exit::OK
        };
        code.into()
    })
}

/// Why a tool ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code, one of [`exit`].
    pub(crate) code: u8,
    /// For people, without the tool's name; empty if there is nothing to say.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// What was named is not there.
    pub(crate) fn no_such(text: impl Into<String>) -> Self {
        Self::new(exit::NO_SUCH, text)
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(exit::USAGE, text)
    }
}
