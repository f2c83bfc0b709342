//! `crm_failcount`: how often a resource failed on a node.

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    nodes::{self, Node},
    output::Output,
    source::Source,
};
use cib::Element;
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, process::ExitCode};

/// What a count reaches that means "never again".
const INFINITY: i64 = 1_000_000;

/// Shows and forgets how often a resource failed on a node.
#[derive(Debug, Parser)]
#[command(name = "crm_failcount", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").args(["query", "delete"]))]
struct Arguments {
    /// Show it (as without --delete).
    #[arg(short = 'G', long, visible_alias = "get-value")]
    query: bool,
    /// Forget the failures, so that the resource may run there again.
    #[arg(short = 'D', long, visible_alias = "delete-attr")]
    delete: bool,
    /// Which resource.
    #[arg(short = 'r', long, visible_alias = "resource-id", value_name = "ID")]
    resource: String,
    /// Only failures of this operation.
    #[arg(short = 'n', long, value_name = "NAME")]
    operation: Option<String>,
    /// Only of the operation with this interval (with --operation; default: 0).
    #[arg(short = 'I', long, value_name = "TIME", requires = "operation")]
    interval: Option<String>,
    /// On which node (default: this one).
    #[arg(
        short = 'N',
        long,
        short_alias = 'U',
        visible_alias = "uname",
        value_name = "NODE"
    )]
    node: Option<String>,
    /// Only the number.
    #[arg(short = 'q', long, short_alias = 'Q')]
    quiet: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_failcount";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let mut source = Source::from_environment()?;
        let document = source.document()?;
        let node = nodes::meant(&document, self.node.as_deref(), &source)?;
        let counts: Vec<(String, i64)> = counts(&document, &node)
            .into_iter()
            .filter(|(name, _)| self.is_about(name, "fail-count-"))
            .collect();
        if self.delete {
            self.forget(&mut source, &document, &node)?;
        } else {
            let sum: i64 = counts.iter().map(|(_, n)| *n).sum();
            self.show(sum, output);
        }
        Ok(exit::OK)
    }
}

impl Arguments {
    fn show(&self, sum: i64, output: &mut Output) {
        let value = if sum >= INFINITY {
            "INFINITY".to_owned()
        } else {
            sum.to_string()
        };
        let name = format!("fail-count-{}", self.resource);
        if self.quiet {
            output.line(&value);
        } else {
            output.line(&format!("scope=status  name={name} value={value}"));
        }
        let attribute = Element::new("attribute").with_attr("name", name);
        output.element(
            attribute
                .with_attr("value", value)
                .with_attr("scope", "status"),
        );
    }

    /// Whether an attribute counts failures of the resource and operation in question.
    fn is_about(&self, attribute: &str, prefix: &str) -> bool {
        let Some(rest) = attribute.strip_prefix(prefix) else {
            return false;
        };
        let (resource, operation) = rest.split_once('#').unwrap_or((rest, ""));
        let operation_fits = self.operation.as_ref().is_none_or(|wanted| {
            let interval = self.interval.as_deref().unwrap_or("0");
            let interval_ms = ocf_runner::metadata::parse_ms(interval).unwrap_or(0);
            operation == format!("{wanted}_{interval_ms}")
        });
        resource == self.resource && operation_fits
    }

    fn forget(&self, source: &mut Source, document: &Element, node: &Node) -> Result<(), Failure> {
        for (name, _) in nodes::transient_attributes(document, node) {
            if self.is_about(&name, "fail-count-") || self.is_about(&name, "last-failure-") {
                source.set_transient(node, &name, None)?;
            }
        }
        Ok(())
    }
}

fn counts(document: &Element, node: &Node) -> Vec<(String, i64)> {
    let number = |text: &str| match text {
        "INFINITY" | "+INFINITY" => INFINITY,
        text => text.parse().unwrap_or(0),
    };
    let all = nodes::transient_attributes(document, node).into_iter();
    all.map(|(name, value)| (name, number(&value))).collect()
}
