//! `attrd_updater`: transient attributes of nodes, as agents set them.

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    nodes::{self, Node},
    output::Output,
    source::Source,
};
use cib::Element;
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, process::ExitCode};

/// Shows and changes attributes that a node keeps until it restarts.
#[derive(Debug, Parser)]
#[command(name = "attrd_updater", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).args([
    "update", "update_both", "update_delay", "query", "delete", "refresh",
]))]
struct Arguments {
    /// Which attribute.
    #[arg(short = 'n', long, value_name = "NAME")]
    name: Option<String>,
    /// Every attribute whose name matches this expression.
    #[arg(short = 'P', long, value_name = "PATTERN", conflicts_with = "name")]
    pattern: Option<String>,
    /// Set it to this.
    #[arg(
        short = 'U',
        long,
        value_name = "VALUE",
        short_alias = 'v',
        allow_hyphen_values = true
    )]
    update: Option<String>,
    /// Set it to this, and its dampening to --delay.
    #[arg(short = 'B', long, value_name = "VALUE", allow_hyphen_values = true)]
    update_both: Option<String>,
    /// Set its dampening to --delay only.
    #[arg(short = 'Y', long)]
    update_delay: bool,
    /// Show it.
    #[arg(short = 'Q', long)]
    query: bool,
    /// Delete it.
    #[arg(short = 'D', long)]
    delete: bool,
    /// Write everything anew (always written at once here).
    #[arg(short = 'R', long)]
    refresh: bool,
    /// Of this node (default: this one).
    #[arg(short = 'N', long, value_name = "NODE")]
    node: Option<String>,
    /// With --query: of all nodes.
    #[arg(short = 'A', long)]
    all: bool,
    /// How long to wait for further changes before it is written: changes are written at once
    /// here, so nothing is dampened.
    #[arg(short = 'd', long, value_name = "TIME")]
    delay: Option<String>,
    /// Not to be shown in the configuration (shown all the same here).
    #[arg(short = 'p', long)]
    private: bool,
    /// With --query: only those that are set (always so here).
    #[arg(short = 'q', long)]
    quiet: bool,
    /// In the set of attributes with this id.
    #[arg(short = 's', long, value_name = "ID", hide = true)]
    set: Option<String>,
    /// Wait until it has taken effect: `no`, `local` or `cluster` (always so here).
    #[arg(short = 'W', long, value_name = "UNTIL")]
    wait: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "attrd_updater";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        if self.refresh {
            return Ok(exit::OK);
        }
        let mut source = Source::from_environment()?;
        let document = source.document()?;
        if self.query {
            return self.show(&source, &document, output);
        }
        if self.update_delay {
            return Ok(exit::OK);
        }
        let node = nodes::meant(&document, self.node.as_deref(), &source)?;
        let value = self.update.as_deref().or(self.update_both.as_deref());
        for name in self.names(&document, &node)? {
            source.set_transient(&node, &name, value)?;
        }
        Ok(exit::OK)
    }
}

impl Arguments {
    /// What to change: the name, or all present ones that match the pattern.
    fn names(&self, document: &Element, node: &Node) -> Result<Vec<String>, Failure> {
        if let Some(name) = &self.name {
            return Ok(vec![name.clone()]);
        }
        let Some(pattern) = &self.pattern else {
            return Err(Failure::usage(
                "say which attribute with --name NAME, or --pattern PATTERN",
            ));
        };
        let pattern = regex_lite::Regex::new(pattern)
            .map_err(|e| Failure::usage(format!("'{pattern}' is no regular expression: {e}")))?;
        let all = nodes::transient_attributes(document, node)
            .into_iter()
            .map(|(name, _)| name);
        Ok(all.filter(|name| pattern.is_match(name)).collect())
    }

    fn show(
        &self,
        source: &Source,
        document: &Element,
        output: &mut Output,
    ) -> Result<u8, Failure> {
        let Some(name) = &self.name else {
            return Err(Failure::usage("say which attribute with --name NAME"));
        };
        let of: Vec<Node> = match (&self.node, self.all) {
            (None, true) => nodes::all(document),
            _ => vec![nodes::meant(document, self.node.as_deref(), source)?],
        };
        let mut found = false;
        for node in of {
            let pairs = nodes::transient_attributes(document, &node);
            let Some((_, value)) = pairs.into_iter().find(|(n, _)| n == name) else {
                continue;
            };
            found = true;
            output.line(&format!(
                "name=\"{name}\" host=\"{}\" value=\"{value}\"",
                node.name
            ));
            let attribute = Element::new("attribute")
                .with_attr("name", name)
                .with_attr("value", value)
                .with_attr("host", &node.name);
            output.element(attribute);
        }
        if found {
            Ok(exit::OK)
        } else {
            let text = format!("Could not query value of {name}: attribute does not exist");
            Err(Failure::no_such(text))
        }
    }
}
