//! `crm_standby`: whether a node may run resources.

use crate::{
    common::{
        self, CommonArguments, Failure, Tool, exit,
        nodes::{self, Node},
        output::Output,
        source::Source,
    },
    crm_attribute::{Name, Wanted, place::Place},
};
use cib::Element;
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, process::ExitCode};

/// Shows and changes whether a node is in standby: a member that runs no resources.
#[derive(Debug, Parser)]
#[command(name = "crm_standby", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").args(["query", "update", "delete"]))]
struct Arguments {
    /// Show it (as without --update and --delete).
    #[arg(short = 'G', long, visible_alias = "get-value")]
    query: bool,
    /// `on` or `off`.
    #[arg(short = 'v', long, visible_alias = "attr-value", value_name = "VALUE")]
    update: Option<String>,
    /// As if it had never been set.
    #[arg(short = 'D', long, visible_alias = "delete-attr")]
    delete: bool,
    /// Which node (default: this one).
    #[arg(
        short = 'N',
        long,
        short_alias = 'U',
        visible_alias = "uname",
        value_name = "NODE"
    )]
    node: Option<String>,
    /// `reboot`: until the node restarts; `forever` (default).
    #[arg(short = 'l', long, value_name = "LIFETIME")]
    lifetime: Option<Lifetime>,
    /// Only the value.
    #[arg(short = 'q', long, short_alias = 'Q')]
    quiet: bool,
    #[command(flatten)]
    common: CommonArguments,
}

/// How long it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Lifetime {
    /// Until the node restarts.
    Reboot,
    /// Until it is changed.
    Forever,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_standby";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        let mut source = Source::from_environment()?;
        let document = source.document()?;
        let node = nodes::meant(&document, self.node.as_deref(), &source)?;
        if let Some(value) = &self.update {
            self.update(&mut source, &document, &node, value)
        } else if self.delete {
            self.delete(&mut source, &document, &node, output)
        } else {
            Ok(self.show(&document, &node, output))
        }
    }
}

impl Arguments {
    /// Where to look, the permanent one first.
    fn places(&self, node: &Node) -> Vec<Place> {
        let permanent = || Place::Node(node.clone());
        let transient = || Place::Transient(node.clone());
        match self.lifetime {
            None => vec![permanent(), transient()],
            Some(Lifetime::Forever) => vec![permanent()],
            Some(Lifetime::Reboot) => vec![transient()],
        }
    }

    fn show(&self, document: &Element, node: &Node, output: &mut Output) -> u8 {
        let places = self.places(node);
        let set = places
            .iter()
            .find_map(|p| Some((p.section(), p.find(document, &standby()).pop()?.value)));
        let unset = || {
            (
                places.last().map_or("nodes", Place::section),
                "off".to_owned(),
            )
        };
        let (scope, value) = set.unwrap_or_else(unset);
        if self.quiet {
            output.line(&value);
        } else {
            output.line(&format!("scope={scope} name=standby value={value}"));
        }
        let attribute = Element::new("attribute").with_attr("name", "standby");
        output.element(
            attribute
                .with_attr("value", value)
                .with_attr("scope", scope),
        );
        exit::OK
    }

    fn update(
        &self,
        source: &mut Source,
        document: &Element,
        node: &Node,
        value: &str,
    ) -> Result<u8, Failure> {
        let places = self.places(node);
        let Some(place) = places.first() else {
            return Ok(exit::OK);
        };
        let (set, id) = match place.find(document, &standby()).pop() {
            Some(found) => (found.set, found.id),
            None => {
                let set = place.default_set();
                let id = format!("{set}-standby");
                (set, id)
            }
        };
        place.write(source, "standby", &set, &id, value)?;
        Ok(exit::OK)
    }

    fn delete(
        &self,
        source: &mut Source,
        document: &Element,
        node: &Node,
        output: &mut Output,
    ) -> Result<u8, Failure> {
        for place in self.places(node) {
            for found in place.find(document, &standby()) {
                place.delete(source, "standby", &found.id)?;
                let section = place.section();
                output.line(&format!(
                    "Deleted {section} attribute: id={} name=standby",
                    found.id
                ));
            }
        }
        Ok(exit::OK)
    }
}

fn standby() -> Wanted {
    Wanted {
        name: Name::Exact("standby".to_owned()),
        set: None,
        id: None,
    }
}
