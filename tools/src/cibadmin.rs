//! `cibadmin`: reads and changes the configuration as XML.

use crate::{
    common::{
        Failure, exit,
        output::{Output, OutputArguments},
        source::{self, ChangeError, Source},
    },
    daemon,
};
use cib::{
    Element,
    acl::{self, Rendering, Subject},
    digest,
    edit::{self, Action, Operation},
    path,
    schema::SchemaVersion,
    xpath,
};
use clap::{ArgGroup, Parser};
use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

/// The set of features that documents we make name (that of Pacemaker 3.0.2).
pub(crate) const FEATURE_SET: &str = "3.20.5";

/// Queries and changes the cluster's configuration.
#[derive(Debug, Parser)]
#[command(name = "cibadmin", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).args([
    "query", "erase", "bump", "create", "modify", "patch", "replace", "delete", "delete_all",
    "empty", "md5_sum", "md5_sum_versioned",
]))]
#[command(group = ArgGroup::new("input").args(["xml_text", "xml_file", "xml_pipe"]))]
struct Arguments {
    /// Show the configuration.
    #[arg(short = 'Q', long)]
    query: bool,
    /// Erase the whole configuration (needs --force).
    #[arg(short = 'E', long)]
    erase: bool,
    /// Raise the epoch by one.
    #[arg(short = 'B', long)]
    bump: bool,
    /// Add an element; an error if it is there already.
    #[arg(short = 'C', long)]
    create: bool,
    /// Merge an element into the one with its name and id.
    #[arg(short = 'M', long)]
    modify: bool,
    /// Apply a patch as crm_diff writes it.
    #[arg(short = 'P', long)]
    patch: bool,
    /// Put an element in the place of the one with its name and id, or replace everything.
    #[arg(short = 'R', long)]
    replace: bool,
    /// Delete the first element with the name and all attributes of the given one.
    #[arg(short = 'D', long)]
    delete: bool,
    /// With --xpath: delete all that match.
    #[arg(short = 'd', long = "delete-all")]
    delete_all: bool,
    /// Print an empty configuration (for this schema, if one is given).
    #[arg(short = 'a', long, num_args = 0..=1, value_name = "SCHEMA", default_missing_value = "pacemaker-4.0")]
    empty: Option<String>,
    /// Print the digest that stands beside a configuration file.
    #[arg(short = '5', long = "md5-sum")]
    md5_sum: bool,
    /// Print the digest that patches name.
    #[arg(short = '6', long = "md5-sum-versioned")]
    md5_sum_versioned: bool,

    /// The XML.
    #[arg(short = 'X', long, value_name = "XML", allow_hyphen_values = true)]
    xml_text: Option<String>,
    /// A file with the XML.
    #[arg(short = 'x', long, value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// The XML comes on standard input.
    #[arg(short = 'p', long)]
    xml_pipe: bool,

    /// Only this section: resources, constraints, nodes, crm_config, status, ….
    #[arg(short = 'o', long, value_name = "SECTION")]
    scope: Option<String>,
    /// Only what this expression selects.
    #[arg(short = 'A', long, value_name = "XPATH")]
    xpath: Option<String>,
    /// With --query and --xpath: print the places of what matches.
    #[arg(short = 'e', long)]
    node_path: bool,
    /// With --query: leave out what is in the element.
    #[arg(short = 'n', long)]
    no_children: bool,
    /// With --modify: create what is not there.
    #[arg(short = 'c', long)]
    allow_create: bool,
    /// Values like `name++` count (they always do here).
    #[arg(long)]
    score: bool,
    /// With --query and --user: show what that user may see and change.
    #[arg(long, value_name = "HOW", num_args = 0..=1, default_missing_value = "auto")]
    show_access: Option<ShowAccess>,
    /// The user for --show-access.
    #[arg(short = 'U', long, value_name = "USER")]
    user: Option<String>,
    /// Do it although it is dangerous.
    #[arg(short = 'f', long)]
    force: bool,
    /// Wait at most so many seconds.
    #[arg(short = 't', long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Only this node's view (the same as all others' here).
    #[arg(short = 'l', long)]
    local: bool,
    /// Wait until it has taken effect (always so here).
    #[arg(short = 's', long)]
    sync_call: bool,
    /// Say more.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print the version.
    #[arg(short = '$', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    output: OutputArguments,
}

/// Values of `--show-access`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ShowAccess {
    /// Coloured on a terminal, text otherwise.
    Auto,
    /// Lines before what has other rights.
    Text,
    /// In colours.
    Color,
    /// By prefixes of names.
    Namespace,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match daemon::arguments::<Arguments>("cibadmin", args.clone()) {
        Ok(arguments) => {
            let mut output = Output::new("cibadmin", &args, &arguments.output);
            let result = run(&arguments, &mut output);
            output.finish(result)
        }
        Err(code) => code,
    }
}

fn run(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    if let Some(schema) = &arguments.empty {
        return empty(schema, output);
    }
    if arguments.md5_sum || arguments.md5_sum_versioned {
        return print_digest(arguments, output);
    }
    match action(arguments) {
        None => query(arguments, output),
        Some(action) => change(action, arguments, output),
    }
}

fn action(arguments: &Arguments) -> Option<Action> {
    let chosen = [
        (arguments.erase, Action::Erase),
        (arguments.bump, Action::Bump),
        (arguments.create, Action::Create),
        (arguments.modify, Action::Modify),
        (arguments.patch, Action::Patch),
        (arguments.replace, Action::Replace),
        (arguments.delete_all, Action::DeleteAll),
        (arguments.delete, Action::Delete),
    ];
    chosen.into_iter().find(|(is, _)| *is).map(|(_, a)| a)
}

fn empty(schema: &str, output: &mut Output) -> Result<u8, Failure> {
    if SchemaVersion::from_name(schema).is_none() {
        let text = format!(
            "there is no schema '{schema}'; the newest is {}",
            SchemaVersion::LATEST
        );
        return Err(Failure::usage(text));
    }
    let mut document = Element::new("cib")
        .with_attr("crm_feature_set", FEATURE_SET)
        .with_attr("validate-with", schema)
        .with_attr("epoch", "0")
        .with_attr("num_updates", "0")
        .with_attr("admin_epoch", "0");
    for child in edit::empty_document().children() {
        document.push(child.clone());
    }
    output.document("output", &document.to_xml());
    Ok(exit::OK)
}

/// The XML given on the command line, if any.
fn input(arguments: &Arguments) -> Result<Option<Element>, Failure> {
    if let Some(text) = &arguments.xml_text {
        return source::parse(text, "the XML given").map(Some);
    }
    if let Some(file) = &arguments.xml_file {
        return source::read_file(file).map(Some);
    }
    if arguments.xml_pipe {
        return source::read_standard_input().map(Some);
    }
    Ok(None)
}

fn print_digest(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    let Some(document) = input(arguments)? else {
        return Err(Failure::usage(
            "give the XML with --xml-text, --xml-file or --xml-pipe",
        ));
    };
    let digest = if arguments.md5_sum {
        digest::on_disk(&document)
    } else {
        digest::of_result(&document)
    };
    output.line(&digest);
    output.element(Element::new("md5-sum").with_attr("digest", &digest));
    Ok(exit::OK)
}

fn query(arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    let document = Source::from_environment()?.document()?;
    if let Some(how) = arguments.show_access {
        return show_access(&document, how, arguments, output);
    }
    if let Some(expression) = &arguments.xpath {
        return query_xpath(&document, expression, arguments, output);
    }
    let section = arguments.scope.as_deref();
    let found = edit::section(&document, section).map_err(|e| Failure::usage(e.to_string()))?;
    let Some(found) = found else {
        let section = section.unwrap_or_default();
        let text = format!("the configuration has no section '{section}'");
        return Err(Failure::new(exit::NO_SUCH, text));
    };
    output.document("output", &shown(found, arguments).to_xml());
    Ok(exit::OK)
}

fn show_access(
    document: &Element,
    how: ShowAccess,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let Some(user) = &arguments.user else {
        return Err(Failure::usage("say whose rights to show with --user USER"));
    };
    let subject = Subject { user, groups: &[] };
    let rendering = match how {
        ShowAccess::Text => Rendering::Text,
        ShowAccess::Color => Rendering::Color,
        ShowAccess::Namespace => Rendering::Namespace,
        ShowAccess::Auto if std::io::stdout().is_terminal() => Rendering::Color,
        ShowAccess::Auto => Rendering::Text,
    };
    let text = acl::render(document, &subject, rendering);
    output.document("output", &text);
    Ok(exit::OK)
}

fn query_xpath(
    document: &Element,
    expression: &str,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<u8, Failure> {
    let places = xpath::select(document, expression).map_err(|e| Failure::usage(e.to_string()))?;
    if places.is_empty() {
        let text = format!("nothing in the configuration matches {expression}");
        return Err(Failure::new(exit::NO_SUCH, text));
    }
    if arguments.node_path {
        for place in &places {
            let text = xpath::path_text(document, place);
            output.line(&text);
            output.element(Element::new("path").with_attr("value", text));
        }
        return Ok(exit::OK);
    }
    let mut found = places
        .iter()
        .filter_map(|place| path::get(document, place))
        .map(|element| shown(element, arguments));
    let result = match (found.next(), found.next()) {
        (Some(only), None) => only,
        (first, second) => [first, second]
            .into_iter()
            .flatten()
            .chain(found)
            .fold(Element::new("xpath-query"), Element::with_child),
    };
    output.document("output", &result.to_xml());
    Ok(exit::OK)
}

fn shown(element: &Element, arguments: &Arguments) -> Element {
    let mut element = element.clone();
    if arguments.no_children {
        element.nodes_mut().clear();
    }
    element
}

fn change(action: Action, arguments: &Arguments, output: &mut Output) -> Result<u8, Failure> {
    if action == Action::Erase && !arguments.force {
        return Err(Failure::new(
            exit::UNSAFE,
            "The supplied command is considered dangerous. To prevent accidental destruction of \
             the cluster, the --force flag is required in order to proceed.",
        ));
    }
    let operation = Operation {
        action,
        section: arguments.scope.clone(),
        xpath: arguments.xpath.clone(),
        element: input(arguments)?,
        allow_create: arguments.allow_create,
    };
    let limit = arguments.timeout.map(Duration::from_secs);
    let mut source = Source::from_environment()?;
    let result = source.change(&operation, &action.to_string(), limit);
    match result {
        Ok(()) => Ok(exit::OK),
        Err(ChangeError::Exists(element)) => {
            let failed = failed_update(&element);
            output.document("output", &failed.to_xml());
            let text = format!(
                "<{} id=\"{}\"> exists already: modify or replace it, or choose another id",
                element.name(),
                element.id().unwrap_or_default()
            );
            Err(Failure::new(exit::EXISTS, text))
        }
        Err(ChangeError::Invalid(problems)) => {
            for problem in &problems {
                output.message(format!("cibadmin: {problem}"));
            }
            let text = "nothing was changed: the configuration would be invalid";
            Err(Failure::new(exit::CONFIG, text))
        }
        Err(ChangeError::Other(failure)) => Err(failure),
    }
}

/// What the field's tools and shells expect when something exists already.
fn failed_update(element: &Element) -> Element {
    let mut update = Element::new("failed_update");
    if let Some(id) = element.id() {
        update.set_attr("id", id);
    }
    update.set_attr("object-type", element.name());
    update.set_attr("operation", "cib_create");
    update.set_attr("reason", "File exists");
    Element::new("failed").with_child(update.with_child(element.clone()))
}
