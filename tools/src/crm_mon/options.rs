//! The command line of `crm_mon`.

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf, process::ExitCode, time::Duration};

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use super::INTERVAL;
use crate::{
    common::exit,
    view::{Reader, Section, Sections, Show},
};

/// Shows the state of the cluster.
#[derive(Debug, Parser)]
#[command(
    name = "crm_mon",
    version,
    disable_help_flag = true,
    disable_version_flag = true
)]
struct Arguments {
    /// Show help.
    #[arg(short = '?', long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Show the version.
    #[arg(short = '$', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    /// Form of the output.
    #[arg(long = "output-as", value_name = "FORMAT")]
    output_as: Option<OutputAs>,
    /// Write to this file ("-": standard output).
    #[arg(long = "output-to", value_name = "DEST")]
    output_to: Option<PathBuf>,
    /// Begin a page with the headers of a web server's answer.
    #[arg(long = "html-cgi")]
    html_cgi: bool,
    /// Style sheet of a page.
    #[arg(long = "html-stylesheet", value_name = "URI")]
    html_stylesheet: Option<String>,
    /// Title of a page.
    #[arg(long = "html-title", value_name = "TITLE")]
    html_title: Option<String>,
    /// As XML, once (as --output-as=xml).
    #[arg(short = 'X', long = "as-xml")]
    as_xml: bool,
    /// As a page in this file (as --output-as=html --output-to=FILE).
    #[arg(short = 'h', long = "as-html", value_name = "FILE")]
    as_html: Option<PathBuf>,
    /// As a page for a web server (as --output-as=html --html-cgi).
    #[arg(short = 'w', long = "web-cgi")]
    web_cgi: bool,
    /// As text (as --output-as=text).
    #[arg(short = 'N', long = "disable-ncurses")]
    disable_ncurses: bool,
    /// Sections to show, with commas; "list" names them.
    #[arg(short = 'I', long, value_name = "SECTION(s)")]
    include: Vec<String>,
    /// Sections to leave out, with commas; "list" names them.
    #[arg(short = 'U', long, value_name = "SECTION(s)")]
    exclude: Vec<String>,
    /// Only what is about this node, or the nodes of this tag.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only what is about this resource, or the resources of this tag.
    #[arg(long, value_name = "RSC")]
    resource: Option<String>,
    /// Resources under the nodes where they run.
    #[arg(short = 'n', long = "group-by-node")]
    group_by_node: bool,
    /// Resources that do not run, too.
    #[arg(short = 'r', long)]
    inactive: bool,
    /// Fail counts of resources.
    #[arg(short = 'f', long)]
    failcounts: bool,
    /// Histories of operations.
    #[arg(short = 'o', long)]
    operations: bool,
    /// Histories of operations with times.
    #[arg(short = 't', long = "timing-details")]
    timing_details: bool,
    /// Tickets.
    #[arg(short = 'c', long)]
    tickets: bool,
    /// Fencing: 0 none, 1 failed and pending, 2 successful, too, 3 every single one.
    #[arg(short = 'm', long = "fence-history", value_name = "LEVEL", num_args = 0..=1,
          default_missing_value = "2", value_parser = clap::value_parser!(u8).range(0..=3))]
    fence_history: Option<u8>,
    /// Location constraints that forbid (whose ids begin so).
    #[arg(short = 'L', long = "neg-locations", value_name = "PREFIX", num_args = 0..=1,
          default_missing_value = "")]
    neg_locations: Option<String>,
    /// Attributes of nodes.
    #[arg(short = 'A', long = "show-node-attributes")]
    show_node_attributes: bool,
    /// No summary.
    #[arg(short = 'D', long = "hide-headers")]
    hide_headers: bool,
    /// Identities of nodes, every instance of a clone.
    #[arg(short = 'R', long = "show-detail")]
    show_detail: bool,
    /// Numbers instead of names.
    #[arg(short = 'b', long)]
    brief: bool,
    /// Operations that are under way (always shown).
    #[arg(short = 'j', long)]
    pending: bool,
    /// The state in one line.
    #[arg(short = 's', long = "simple-status")]
    simple_status: bool,
    /// Time between two looks: seconds, or a number with a unit (ms, s, min, h).
    #[arg(short = 'i', long, value_name = "TIMESPEC", value_parser = span)]
    interval: Option<Duration>,
    /// Show the state once and end.
    #[arg(short = '1', long = "one-shot")]
    one_shot: bool,
    /// Say more.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say less.
    #[arg(short = 'Q', long)]
    quiet: bool,
}

/// Values of `--output-as`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputAs {
    /// Text, shown again and again.
    Console,
    /// A page for browsers.
    Html,
    /// Nothing.
    None,
    /// Text.
    Text,
    /// For programs.
    Xml,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// For browsers.
    Html,
    /// For programs.
    Xml,
    /// For nobody.
    None,
}

/// What the command line asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) form: Form,
    pub(super) to: Option<PathBuf>,
    /// Head of a page.
    pub(super) page: String,
    pub(super) cgi: bool,
    pub(super) show: Show,
    pub(super) node: Option<String>,
    pub(super) resource: Option<String>,
    /// Every fencing, not only the newest of its kind.
    pub(super) every_fencing: bool,
    /// One line.
    pub(super) simple: bool,
    /// Shown again and again.
    pub(super) again: bool,
    pub(super) interval: Duration,
    /// The names of the sections are asked for.
    pub(super) list: Option<String>,
}

/// Reads the command line. What is wrong (or help) is printed and becomes an exit code.
///
/// # Errors
/// The code to end with.
pub(super) fn read(args: &[OsString]) -> Result<Wanted, ExitCode> {
    let all = std::iter::once(OsString::from("crm_mon")).chain(args.iter().cloned());
    let matches = Arguments::command()
        .try_get_matches_from(all)
        .map_err(|error| {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            })
        })?;
    let arguments = Arguments::from_arg_matches(&matches).map_err(|error| {
        let _ = error.print();
        ExitCode::from(exit::USAGE)
    })?;
    wanted(arguments, &matches).map_err(|text| {
        eprintln!("crm_mon: {text}");
        ExitCode::from(exit::USAGE)
    })
}

fn wanted(arguments: Arguments, matches: &ArgMatches) -> Result<Wanted, String> {
    let form = form(&arguments);
    let listed = arguments.include.iter().chain(&arguments.exclude);
    let list = listed
        .into_iter()
        .any(|l| l == "list")
        .then(Sections::names);
    let (sections, ban_prefix) = match list {
        Some(_) => Default::default(),
        None => sections(&arguments, matches, form)?,
    };
    let watched = std::io::stdout().is_terminal() || arguments.interval.is_some();
    let text = form == Form::Text && !arguments.simple_status;
    Ok(Wanted {
        form,
        to: arguments.output_to.or(arguments.as_html),
        page: page(&arguments.html_title, &arguments.html_stylesheet),
        cgi: arguments.html_cgi || arguments.web_cgi,
        show: Show {
            bare: false,
            sections,
            inactive: arguments.inactive || form == Form::Xml,
            by_node: arguments.group_by_node,
            brief: arguments.brief && form != Form::Xml,
            detail: arguments.show_detail,
            timing: arguments.timing_details || form == Form::Xml,
            ban_prefix,
        },
        node: arguments.node,
        resource: arguments.resource,
        every_fencing: arguments.fence_history == Some(3),
        simple: arguments.simple_status,
        again: text && !arguments.one_shot && watched,
        interval: arguments.interval.unwrap_or(INTERVAL),
        list,
    })
}

fn form(arguments: &Arguments) -> Form {
    match arguments.output_as {
        Some(OutputAs::Xml) => Form::Xml,
        Some(OutputAs::Html) => Form::Html,
        Some(OutputAs::None) => Form::None,
        _ if arguments.as_xml => Form::Xml,
        _ if arguments.as_html.is_some() || arguments.web_cgi => Form::Html,
        _ => Form::Text,
    }
}

fn page(title: &Option<String>, stylesheet: &Option<String>) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;")
    };
    let title = title.as_deref().unwrap_or("Cluster status");
    let mut head = format!("<title>{}</title>\n", escaped(title));
    if let Some(uri) = stylesheet {
        let uri = escaped(uri);
        head.push_str(&format!("<link rel=\"stylesheet\" href=\"{uri}\">\n"));
    }
    head
}

/// Applies everything that adds or takes away sections, in the order in which it was typed.
fn sections(
    arguments: &Arguments,
    matches: &ArgMatches,
    form: Form,
) -> Result<(Sections, String), String> {
    let reader = match form {
        Form::Xml => Reader::Program,
        _ => Reader::Person,
    };
    let mut sections = Sections::default_of(reader);
    let mut prefix = arguments.neg_locations.clone().unwrap_or_default();
    let mut changes: Vec<(usize, &str, &str)> = Vec::new();
    for (id, values) in [
        ("include", &arguments.include),
        ("exclude", &arguments.exclude),
    ] {
        let places = matches.indices_of(id).into_iter().flatten();
        changes.extend(places.zip(values).map(|(at, list)| (at, id, list.as_str())));
    }
    for (id, section) in [
        ("failcounts", "failcounts"),
        ("operations", "operations"),
        ("timing_details", "operations"),
        ("tickets", "tickets"),
        ("neg_locations", "bans"),
        ("show_node_attributes", "attributes"),
    ] {
        if typed(matches, id) {
            changes.push((place(matches, id), "include", section));
        }
    }
    if arguments.hide_headers {
        changes.push((place(matches, "hide_headers"), "exclude", "summary"));
    }
    changes.sort_by_key(|(at, _, _)| *at);
    for (_, verb, list) in changes {
        let result = match verb {
            "include" => sections.include(list, reader).map(|found| {
                prefix = found.unwrap_or_else(|| std::mem::take(&mut prefix));
            }),
            _ => sections.exclude(list),
        };
        result.map_err(|error| error.to_string())?;
    }
    if let Some(level) = arguments.fence_history {
        sections.set_fencing(level);
    }
    Ok((sections, prefix))
}

fn typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine)
}

fn place(matches: &ArgMatches, id: &str) -> usize {
    matches
        .indices_of(id)
        .and_then(|mut places| places.next())
        .unwrap_or(0)
}

/// A span of time: seconds, or a number with a unit.
fn span(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.trim().parse().map_err(|_| {
        format!("'{text}' is no span of time: give seconds, or a number with ms, s, min or h")
    })?;
    let unit_ms = match &text[digits.len()..] {
        "" | "s" | "sec" => 1000,
        "ms" | "msec" => 1,
        "us" | "usec" => return Ok(Duration::from_micros(number)),
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        unit => return Err(format!("'{unit}' is no unit of time: use ms, s, min or h")),
    };
    Ok(Duration::from_millis(number.saturating_mul(unit_ms)))
}

/// What a key pressed while the state is on the screen changes. `None`: nothing.
pub(super) fn toggle(show: &mut Show, key: char) -> Option<()> {
    match key {
        'c' => show.sections.toggle(Section::Tickets),
        'f' => show.sections.toggle(Section::FailCounts),
        'o' => show.sections.toggle(Section::Operations),
        'A' => show.sections.toggle(Section::Attributes),
        'L' => show.sections.toggle(Section::Bans),
        'D' => show.sections.toggle_summary(),
        't' => {
            show.timing = !show.timing;
            show.sections.add(Section::Operations);
        }
        'n' => show.by_node = !show.by_node,
        'r' => show.inactive = !show.inactive,
        'R' => show.detail = !show.detail,
        'b' => show.brief = !show.brief,
        'm' => show.sections.toggle(Section::FencingSucceeded),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Wanted {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        read(&args).unwrap()
    }

    #[test]
    fn what_is_typed_later_wins() {
        let wanted = parsed(&["-1", "--exclude=all", "--include=nodes"]);
        assert_eq!(wanted.show.sections, Sections::of(&[Section::Nodes]));
        let wanted = parsed(&["-1", "--include=nodes", "--exclude=all", "-A"]);
        assert_eq!(wanted.show.sections, Sections::of(&[Section::Attributes]));
        let wanted = parsed(&["-1", "-L", "-c"]);
        assert!(wanted.show.sections.has(Section::Bans));
        assert!(wanted.show.sections.has(Section::Tickets));
    }

    #[test]
    fn wrong_words_are_usage_errors() {
        for words in [
            ["--include=nodez", "-1"],
            ["-i", "soon"],
            ["--output-as=yaml", "-1"],
        ] {
            let args: Vec<OsString> = words.iter().map(OsString::from).collect();
            assert!(read(&args).is_err(), "{words:?}");
        }
        assert_eq!(span("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(span("2min"), Ok(Duration::from_secs(120)));
    }
}
