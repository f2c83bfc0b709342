//! `crm_simulate`: what the cluster would do, and how it would look afterwards.

pub(crate) mod inject;
pub(crate) mod options;
mod show;

use std::{ffi::OsString, mem::ManuallyDrop, process::ExitCode};

use cib::{Element, schema};
use scheduler::{Asked, Reading, view::View};

use crate::common::{
    Failure, exit,
    output::Output,
    source::{self, Source},
};
use options::{From, Options};

/// Runs the program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let options = match options::read(&args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let mut output = Output::new("crm_simulate", &args, &options.output);
    let result = match &options.profile {
        Some(directory) => profile(&options, directory, &mut output),
        None => work(&options, &mut output),
    };
    output.finish(result)
}

fn work(options: &Options, output: &mut Output) -> Result<u8, Failure> {
    // The program ends after this: taking large tables apart would only cost time.
    let mut input = ManuallyDrop::new(read_input(options)?);
    checked(&input)?;
    let told = Told::new(options, output);
    let now_s = moment(options, &input, &told, output)?;
    let found = ManuallyDrop::new(Element::clone(&input));
    let reading = Reading::of(&found, now_s);
    let before = ManuallyDrop::new(reading.view());
    show::before(&told, &before, now_s, output);
    let injected = inject::all(options, &mut input, &before, now_s)?;
    let changed = injected.is_some();
    if let Some(injected) = injected {
        show::modifications(&told, &injected, output);
        if output.is_xml() {
            // As the field's tool: what was changed is the last thing a program is told.
            store(options, &input)?;
            return Ok(exit::OK);
        }
        moment(options, &input, &told, output)?;
    }
    save(options.save_input.as_deref(), || input.to_xml())?;
    let asked = Asked {
        scores: options.show_scores,
        utilization: options.show_utilization,
        reasons: false,
        blotted: true,
        no_actions: !options.simulates()
            && options.save_graph.is_none()
            && options.save_dotfile.is_none(),
        earlier: options.earlier,
    };
    if !options.decides() {
        return Ok(exit::OK);
    }
    // An earlier version's rules hold for histories, too.
    let reads_anew = changed || asked.earlier != scheduler::Earlier::default();
    let run = ManuallyDrop::new(if reads_anew {
        scheduler::run_with(&input, now_s, asked)
    } else {
        reading.decide(asked)
    });
    show::scores(&told, &before, &run, output);
    show::plan(&told, &run, output);
    save(options.save_graph.as_deref(), || run.graph.to_xml(1))?;
    save(options.save_dotfile.as_deref(), || run.graph.to_dot())?;
    if options.simulates() {
        let failing = inject::failing(&options.op_fail)?;
        // What is done now is newer than anything that was recorded.
        let done_s = now_s.max(jiff::Timestamp::now().as_second());
        let executed = scheduler::simulate_with(&input, &run.graph, done_s, &failing);
        let executed = ManuallyDrop::new(executed);
        show::steps(&told, &executed, output);
        save(options.save_output.as_deref(), || executed.cib.to_xml())?;
        moment(options, &input, &told, output)?;
        let mut after = View::of_status(&executed.cib, now_s);
        after.forget_pending();
        show::after(&told, &after, now_s, output);
        store(options, &executed.cib)?;
    }
    Ok(exit::OK)
}

/// What is told to whom.
#[derive(Debug)]
struct Told {
    /// For people, everything but what was asked for by name.
    prose: bool,
    /// For programs.
    xml: bool,
    /// People who asked for scores and the like are not shown the plan.
    plan: bool,
    show: crate::view::Show,
}

impl Told {
    fn new(options: &Options, output: &Output) -> Self {
        Self {
            prose: !options.quiet && !output.is_xml(),
            xml: output.is_xml(),
            plan: !options.quiet,
            show: show::how_much(options),
        }
    }
}

fn read_input(options: &Options) -> Result<Element, Failure> {
    match &options.from {
        From::File(file) => source::read_file(file),
        From::Pipe => source::read_standard_input(),
        From::Live => Source::from_environment()?.document(),
    }
}

/// A document must be valid under the schema it names or a newer one.
fn checked(input: &Element) -> Result<(), Failure> {
    let named = input.attr("validate-with");
    if named == Some("none") {
        eprintln!(
            "Schema validation of configuration is disabled (support for validate-with set to \
             \"none\" is deprecated and will be removed in a future release)"
        );
    }
    let errors = |document: &Element| {
        let problems = schema::check(document).into_iter();
        let errors = problems.filter(|p| p.severity == schema::Severity::Error);
        errors.map(|p| p.to_string()).collect::<Vec<_>>()
    };
    let wrong = errors(input);
    let known = named.and_then(schema::SchemaVersion::from_name);
    if wrong.is_empty()
        || known.is_some_and(|v| newer(v).any(|v| errors(&as_of(input, v)).is_empty()))
    {
        return Ok(());
    }
    let text = format!("the configuration is invalid: {}", wrong.join("; "));
    Err(Failure::new(exit::CONFIG, text))
}

fn newer(version: schema::SchemaVersion) -> impl Iterator<Item = schema::SchemaVersion> {
    let all =
        (1..=4).flat_map(|major| (0..=10).map(move |minor| schema::SchemaVersion(major, minor)));
    all.filter(move |v| *v > version)
        .filter_map(|v| schema::SchemaVersion::from_name(&v.to_string()))
}

fn as_of(input: &Element, version: schema::SchemaVersion) -> Element {
    input
        .clone()
        .with_attr("validate-with", version.to_string())
}

fn save(file: Option<&std::path::Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(file) = file else {
        return Ok(());
    };
    if file.as_os_str() == "-" {
        print!("{}", text());
        return Ok(());
    }
    std::fs::write(file, text()).map_err(|error| {
        let text = format!("cannot write {}: {error}", file.display());
        Failure::new(exit::CANNOT_CREATE, text)
    })
}

/// Puts the result where the input came from, if that is wanted.
fn store(options: &Options, result: &Element) -> Result<(), Failure> {
    if !options.in_place {
        return Ok(());
    }
    let file = match &options.from {
        From::File(file) => file.clone(),
        From::Pipe => {
            return Err(Failure::usage(
                "--in-place needs an input that can be written to",
            ));
        }
        From::Live => source::file_from_environment().ok_or_else(|| {
            Failure::usage("--in-place does not change a running cluster: use a shadow or a file")
        })?,
    };
    source::write_file(&file, &result.to_xml())
}

/// The moment to decide for; people are told unless it is now.
fn moment(
    options: &Options,
    cib: &Element,
    told: &Told,
    output: &mut Output,
) -> Result<i64, Failure> {
    if let Some(text) = &options.set_datetime {
        let at_s = scheduler::parse_moment(text)
            .ok_or_else(|| Failure::usage(format!("'{text}' is not a date")))?;
        if told.prose {
            output.line(&format!("Setting effective cluster time: {text}"));
        }
        return Ok(at_s);
    }
    let recorded = cib
        .attr("execution-date")
        .and_then(|t| t.parse::<i64>().ok());
    if let Some(at_s) = recorded {
        if told.prose {
            let shown = scheduler::show_moment(at_s);
            output.line(&format!("Using the original execution date of: {shown}"));
        }
        return Ok(at_s);
    }
    Ok(jiff::Timestamp::now().as_second())
}

/// Decides for every document in a directory and tells how long each took.
fn profile(
    options: &Options,
    directory: &std::path::Path,
    output: &mut Output,
) -> Result<u8, Failure> {
    let entries = std::fs::read_dir(directory).map_err(|error| {
        Failure::new(
            exit::NO_INPUT,
            format!("cannot read {}: {error}", directory.display()),
        )
    })?;
    let mut files: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "xml"));
    files.sort();
    for file in files {
        let input = source::read_file(&file)?;
        let now_s = jiff::Timestamp::now().as_second();
        let began = std::time::Instant::now();
        for _ in 0..options.repeat.max(1) {
            let _ = scheduler::schedule(&input, now_s);
        }
        let took_s = began.elapsed().as_secs_f64();
        output.line(&format!("* Testing {}: {took_s:.2} secs", file.display()));
        output.element(
            Element::new("timing")
                .with_attr("file", file.display().to_string())
                .with_attr("duration", format!("{took_s:.6}")),
        );
    }
    Ok(exit::OK)
}
