//! `crm_error`: what the numbers mean that programs end with.

use crate::common::{self, CommonArguments, Failure, Tool, codes, exit, output::Output};
use cib::Element;
use clap::Parser;
use std::{ffi::OsString, io, process::ExitCode};

/// Shows the meaning of error codes.
#[derive(Debug, Parser)]
#[command(name = "crm_error", version, disable_version_flag = true)]
struct Arguments {
    /// The names too.
    #[arg(short = 'n', long)]
    name: bool,
    /// All there are.
    #[arg(short = 'l', long)]
    list: bool,
    /// Exit codes of programs.
    #[arg(short = 'X', long, conflicts_with = "rc")]
    exit: bool,
    /// Results inside programs.
    #[arg(short = 'r', long)]
    rc: bool,
    /// Which codes.
    #[arg(allow_negative_numbers = true)]
    codes: Vec<i32>,
    #[command(flatten)]
    common: CommonArguments,
}

/// Which numbers are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Exit,
    Result,
    Legacy,
}

/// A code with its name and meaning.
struct Known {
    code: i32,
    name: String,
    meaning: String,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_error";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let space = match (self.exit, self.rc) {
            (true, _) => Space::Exit,
            (_, true) => Space::Result,
            _ => Space::Legacy,
        };
        let shown: Vec<Known> = if self.list {
            all(space)
        } else {
            self.codes.iter().map(|c| look_up(space, *c)).collect()
        };
        if shown.is_empty() {
            return Err(Failure::usage("say which codes, or --list"));
        }
        for known in shown {
            self.show(&known, output);
        }
        Ok(exit::OK)
    }
}

impl Arguments {
    fn show(&self, known: &Known, output: &mut Output) {
        let Known {
            code,
            name,
            meaning,
        } = known;
        output.line(&match (self.list, self.name) {
            (true, true) => format!("{code:5}: {name:<27} {meaning}"),
            (true, false) => format!("{code:5}: {meaning}"),
            (false, true) => format!("{name} - {meaning}"),
            (false, false) => meaning.clone(),
        });
        let mut element = Element::new("result-code").with_attr("code", code.to_string());
        if self.name {
            element.set_attr("name", name);
        }
        output.element(element.with_attr("description", meaning));
    }
}

fn look_up(space: Space, code: i32) -> Known {
    let wanted = match space {
        // Old programs gave them with either sign.
        Space::Legacy => code.saturating_abs(),
        Space::Exit | Space::Result => code,
    };
    let found = all(space).into_iter().find(|known| known.code == wanted);
    let (name, meaning) = match found {
        Some(known) => (known.name, known.meaning),
        None if space == Space::Exit => (
            "CRM_EX_UNKNOWN".to_owned(),
            exit::description(u8::MAX - 1).to_owned(),
        ),
        None => ("Unknown".to_owned(), "Error".to_owned()),
    };
    Known {
        code,
        name,
        meaning,
    }
}

fn all(space: Space) -> Vec<Known> {
    let known = |code: i32, name: &str, meaning: &str| Known {
        code,
        name: name.to_owned(),
        meaning: meaning.to_owned(),
    };
    let of = |table: &[(i32, &str, &str)]| -> Vec<Known> {
        table.iter().map(|(c, n, m)| known(*c, n, m)).collect()
    };
    let system = codes::SYSTEM.iter();
    let system = system.map(|(code, name)| known(*code, name, &meaning_of(*code)));
    match space {
        Space::Exit => codes::EXIT
            .iter()
            .map(|(code, name, meaning)| known(i32::from(*code), name, meaning))
            .collect(),
        Space::Result => of(codes::RESULT).into_iter().chain(system).collect(),
        Space::Legacy => std::iter::once(known(0, "pcmk_rc_ok", "OK"))
            .chain(system)
            .chain(of(codes::LEGACY))
            .collect(),
    }
}

/// What the operating system says of an error of its own.
fn meaning_of(code: i32) -> String {
    let text = io::Error::from_raw_os_error(code).to_string();
    let end = text.rfind(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or_default().to_owned()
}
