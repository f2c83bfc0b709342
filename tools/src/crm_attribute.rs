//! `crm_attribute`: attributes of nodes and of the cluster.

pub(crate) mod place;

use crate::common::{
    self, CommonArguments, Failure, Tool, exit, nodes, options, output::Output, source::Source,
};
use cib::Element;
use clap::Parser;
use place::{Found, Place};
use std::{ffi::OsString, process::ExitCode};

/// Shows and changes attributes of nodes and of the cluster.
#[derive(Debug, Parser)]
#[command(name = "crm_attribute", version, disable_version_flag = true)]
struct Arguments {
    /// Which attribute.
    #[arg(short = 'n', long, visible_alias = "attr-name", value_name = "NAME")]
    name: Option<String>,
    /// Every attribute whose name matches this expression.
    #[arg(short = 'P', long, value_name = "PATTERN", conflicts_with = "name")]
    pattern: Option<String>,
    /// Promotion score of this resource (default: OCF_RESOURCE_INSTANCE), in place of --name.
    #[arg(short = 'p', long, num_args = 0..=1, value_name = "RESOURCE", default_missing_value = "")]
    promotion: Option<String>,
    /// Set it to this.
    #[arg(
        short = 'v',
        long,
        visible_alias = "attr-value",
        value_name = "VALUE",
        allow_hyphen_values = true
    )]
    update: Option<String>,
    /// Show it (as without --update and --delete).
    #[arg(short = 'G', long, visible_alias = "get-value", conflicts_with_all = ["update", "delete"])]
    query: bool,
    /// Delete it.
    #[arg(
        short = 'D',
        long,
        visible_alias = "delete-attr",
        conflicts_with = "update"
    )]
    delete: bool,
    /// Of this node (default, except for cluster options: this one).
    #[arg(
        short = 'N',
        long,
        short_alias = 'U',
        visible_alias = "uname",
        value_name = "NODE"
    )]
    node: Option<String>,
    /// `reboot`: forgotten when the node restarts; `forever`: kept.
    #[arg(short = 'l', long, value_name = "LIFETIME")]
    lifetime: Option<String>,
    /// `crm_config`, `nodes`, `status`, `rsc_defaults`, `op_defaults` or `tickets`.
    #[arg(short = 't', long = "type", value_name = "SECTION")]
    section: Option<String>,
    /// What a node has to offer, instead of what it is.
    #[arg(short = 'z', long)]
    utilization: bool,
    /// In the set of attributes with this id.
    #[arg(short = 's', long, value_name = "ID")]
    set_name: Option<String>,
    /// The attribute with this id.
    #[arg(short = 'i', long, value_name = "ID")]
    id: Option<String>,
    /// Shown if the attribute is not set.
    #[arg(short = 'd', long, value_name = "VALUE", allow_hyphen_values = true)]
    default: Option<String>,
    /// `name++` and `name+=N` count (they always do here).
    #[arg(long)]
    score: bool,
    /// List every option of the cluster with its meaning.
    #[arg(long, num_args = 0..=1, value_name = "WHAT", default_missing_value = "cluster")]
    list_options: Option<String>,
    /// With --list-options: also the advanced and outdated ones.
    #[arg(long)]
    all: bool,
    /// Only the value.
    #[arg(short = 'q', long, short_alias = 'Q')]
    quiet: bool,
    /// Wait until it has taken effect (always so here).
    #[arg(long, hide = true)]
    wait: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_attribute";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        if let Some(what) = &self.list_options {
            return list_options(what, self.all, output);
        }
        let wanted = self.wanted()?;
        let mut source = Source::from_environment()?;
        if let Some(done) = self.at_once(&mut source, &wanted) {
            return done;
        }
        let document = source.document()?;
        let place = self.place(&source, &document)?;
        if let Some(value) = &self.update {
            update(&mut source, &document, &place, &wanted, value, output)
        } else if self.delete {
            delete(&mut source, &document, &place, &wanted, output)
        } else {
            show(&document, &place, &wanted, self, output)
        }
    }
}

/// What is looked for in a place.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its name, or an expression for names.
    pub(crate) name: Name,
    /// Only in the set with this id.
    pub(crate) set: Option<String>,
    /// Only with this id.
    pub(crate) id: Option<String>,
}

/// How attributes are named.
#[derive(Debug)]
pub(crate) enum Name {
    /// Exactly so.
    Exact(String),
    /// All that match.
    Pattern(regex_lite::Regex),
}

impl Name {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Pattern(pattern) => pattern.is_match(name),
        }
    }
}

impl Arguments {
    fn wanted(&self) -> Result<Wanted, Failure> {
        let name = match (&self.pattern, &self.promotion) {
            (Some(pattern), _) => Name::Pattern(regex_lite::Regex::new(pattern).map_err(|e| {
                Failure::usage(format!("'{pattern}' is no regular expression: {e}"))
            })?),
            (None, Some(resource)) => Name::Exact(promotion_score(resource)?),
            (None, None) => Name::Exact(self.name.clone().ok_or_else(|| {
                Failure::usage("say which attribute with --name NAME, or --pattern PATTERN")
            })?),
        };
        Ok(Wanted {
            name,
            set: self.set_name.clone(),
            id: self.id.clone(),
        })
    }

    /// A transient attribute of a running cluster, without reading all of its configuration first:
    /// agents set their promotion scores with every monitor.
    fn at_once(&self, source: &mut Source, wanted: &Wanted) -> Option<Result<u8, Failure>> {
        let Name::Exact(name) = &wanted.name else {
            return None;
        };
        let sets = self.update.is_some() || self.delete;
        if source.is_file() || !sets || self.section_name().ok()? != "status" {
            return None;
        }
        let node = self.node.clone().unwrap_or_else(|| source.own_node());
        let node = nodes::Node {
            id: node.clone(),
            name: node,
            kind: nodes::Kind::Cluster,
        };
        let done = source.set_transient(&node, name, self.update.as_deref());
        Some(done.map(|()| exit::OK))
    }

    /// The section from --type, --lifetime, --promotion, --utilization and --node.
    fn section_name(&self) -> Result<&str, Failure> {
        Ok(match (self.section.as_deref(), self.lifetime.as_deref()) {
            (Some(section), _) => section,
            (None, Some("reboot")) => "status",
            (None, Some("forever")) => "nodes",
            (None, Some(other)) => {
                let text = format!("'{other}' is no lifetime: reboot and forever are");
                return Err(Failure::usage(text));
            }
            (None, None) if self.utilization => "nodes",
            (None, None) if self.promotion.is_some() => "status",
            (None, None) if self.node.is_some() => "nodes",
            (None, None) => "crm_config",
        })
    }

    fn place(&self, source: &Source, document: &Element) -> Result<Place, Failure> {
        let section = self.section_name()?;
        // As in the field, everything but options and tickets is about a node.
        let name = self.node.clone().or_else(|| {
            let about_node = !matches!(section, "crm_config" | "tickets");
            about_node.then(|| source.own_node())
        });
        let node = match name.filter(|_| !matches!(section, "crm_config" | "tickets")) {
            Some(name) => Some(nodes::find_by_any(document, &name).ok_or_else(|| {
                let text = format!("Could not map name={name} to a UUID: there is no such node");
                Failure::no_such(text)
            })?),
            None => None,
        };
        Place::new(section, node, self.utilization)
    }
}

/// The attribute in which a promotable resource keeps its score.
fn promotion_score(resource: &str) -> Result<String, Failure> {
    let own = || std::env::var("OCF_RESOURCE_INSTANCE").ok();
    let resource = Some(resource.to_owned()).filter(|r| !r.is_empty());
    let resource = resource.or_else(own).filter(|r| !r.is_empty());
    let resource = resource.ok_or_else(|| {
        Failure::usage(
            "-p/--promotion must be called from an OCF resource agent or with a resource ID \
             specified",
        )
    })?;
    Ok(format!("master-{resource}"))
}

fn list_options(what: &str, all: bool, output: &mut Output) -> Result<u8, Failure> {
    if what != "cluster" {
        return Err(Failure::usage(format!(
            "Invalid --list-options value '{what}'. Allowed values: cluster"
        )));
    }
    options::list(options::CLUSTER, "cluster-options", all, output);
    Ok(exit::OK)
}

fn show(
    document: &Element,
    place: &Place,
    wanted: &Wanted,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let found = place.find(document, wanted);
    let mut values: Vec<(String, String)> = found.into_iter().map(|f| (f.name, f.value)).collect();
    if values.is_empty()
        && let (Some(default), Name::Exact(name)) = (&arguments.default, &wanted.name)
    {
        values.push((name.clone(), default.clone()));
    }
    if values.is_empty() {
        return Err(Failure::no_such(
            "Error performing operation: No such device or address",
        ));
    }
    for (name, value) in values {
        if arguments.quiet {
            output.line(&value);
        } else {
            output.line(&format!(
                "scope={} name={name} value={value}",
                place.section()
            ));
        }
        output.element(
            Element::new("attribute")
                .with_attr("name", name)
                .with_attr("value", value)
                .with_attr("scope", place.section()),
        );
    }
    Ok(exit::OK)
}

fn update(
    source: &mut Source,
    document: &Element,
    place: &Place,
    wanted: &Wanted,
    value: &str,
    output: &mut Output,
) -> Result<u8, Failure> {
    let found = place.find(document, wanted);
    let Name::Exact(name) = &wanted.name else {
        for one in &found {
            place.write(source, &one.name, &one.set, &one.id, value)?;
        }
        return Ok(exit::OK);
    };
    match found.as_slice() {
        [] => {
            let set = wanted.set.clone().unwrap_or_else(|| place.default_set());
            let made = || format!("{set}-{}", common::names::sanitized(name));
            let id = wanted.id.clone().unwrap_or_else(made);
            place.write(source, name, &set, &id, value)?;
        }
        [one] => place.write(source, name, &one.set, &one.id, value)?,
        several => {
            tell_all(name, several, output);
            return Err(Failure::new(
                exit::MULTIPLE,
                "say which one with --set-name or --id",
            ));
        }
    }
    Ok(exit::OK)
}

fn tell_all(name: &str, found: &[Found], output: &mut Output) {
    output.line(&format!("Multiple attributes match name={name}"));
    for one in found {
        output.line(&format!("  Value: {} \t(id={})", one.value, one.id));
    }
}

fn delete(
    source: &mut Source,
    document: &Element,
    place: &Place,
    wanted: &Wanted,
    output: &mut Output,
) -> Result<u8, Failure> {
    let found = place.find(document, wanted);
    if let (Name::Exact(name), [_, _, ..]) = (&wanted.name, found.as_slice()) {
        tell_all(name, &found, output);
        return Err(Failure::new(
            exit::MULTIPLE,
            "say which one with --set-name or --id",
        ));
    }
    for one in &found {
        place.delete(source, &one.name, &one.id)?;
        output.line(&format!(
            "Deleted {} attribute: id={} name={}",
            place.section(),
            one.id,
            one.name
        ));
    }
    Ok(exit::OK)
}
