//! `crm_mon`: the cluster at a glance, once or again and again.

mod live;
mod options;
mod screen;

use std::{ffi::OsString, process::ExitCode, time::Duration};

use cib::Element;

use crate::{
    common::{
        Failure, exit,
        output::{Output, OutputArguments},
        source::{Source, of_daemon},
    },
    view::{self, Filter, Live, Scene},
};
use options::{Form, Wanted};
use scheduler::view::View;

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let mut wanted = match options::read(&args) {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    if let Some(list) = wanted.list {
        println!("{list}");
        return exit::OK.into();
    }
    if wanted.again {
        return match screen::run(&mut wanted, &args) {
            Ok(code) => code,
            Err(failure) => fresh_output(&wanted, &args).finish(Err(failure)),
        };
    }
    let mut output = fresh_output(&wanted, &args);
    let result = show(&wanted, &mut output);
    output.finish(result)
}

fn fresh_output(wanted: &Wanted, args: &[OsString]) -> Output {
    let form = OutputArguments::of(wanted.form == Form::Xml, wanted.to.clone());
    Output::new("crm_mon", args, &form)
}

/// Shows everything wanted once.
fn show(wanted: &Wanted, output: &mut Output) -> Result<u8, Failure> {
    let mut source = Source::from_environment()?;
    let picture = Picture::take(&mut source, wanted)?;
    let filter = picture.filter(wanted);
    let scene = picture.scene(wanted, &filter);
    match wanted.form {
        Form::Xml => view::xml(&scene)
            .into_iter()
            .for_each(|e| output.element(e)),
        Form::Text if wanted.simple => output.line(&simple(&picture.view)),
        Form::Text => lines(output, &view::text(&scene)),
        Form::Html => {
            if wanted.cgi {
                output.line("Content-Type: text/html\n");
            }
            lines(output, &view::html(&scene, &wanted.page));
        }
        Form::None => {}
    }
    Ok(exit::OK)
}

fn lines(output: &mut Output, text: &str) {
    text.lines().for_each(|line| output.line(line));
}

/// One line for programs that watch: what is wrong, or how much there is.
fn simple(view: &View) -> String {
    let down: Vec<&str> = view
        .nodes
        .iter()
        .filter(|n| !n.online || n.unclean)
        .map(|n| n.name.as_str())
        .collect();
    let counts = view.summary.counts;
    match (view.summary.dc, down.as_slice()) {
        (None, _) => "CLUSTER CRIT: No DC".to_owned(),
        (_, []) => format!(
            "CLUSTER OK: {} nodes online, {} resource instances configured",
            view.nodes.len(),
            counts.all
        ),
        (_, down) => format!(
            "CLUSTER WARN: offline node: {}",
            down.join(", offline node: ")
        ),
    }
}

/// What there was to see at one moment.
struct Picture {
    view: View,
    live: Option<Live>,
    now_s: i64,
}

impl Picture {
    fn take(source: &mut Source, wanted: &Wanted) -> Result<Self, Failure> {
        let document: Element = source.document()?;
        let now_s = jiff::Timestamp::now().as_second();
        let mut view = View::of(&document, now_s);
        let live = match source {
            Source::Live(daemon) => {
                Some(live::read(daemon, &document, &mut view, wanted).map_err(of_daemon)?)
            }
            Source::File(_) => None,
        };
        Ok(Self { view, live, now_s })
    }

    fn filter(&self, wanted: &Wanted) -> Filter {
        Filter::new(
            &self.view,
            wanted.node.as_deref(),
            wanted.resource.as_deref(),
        )
    }

    fn scene<'p>(&'p self, wanted: &'p Wanted, filter: &'p Filter) -> Scene<'p> {
        Scene {
            view: &self.view,
            live: self.live.as_ref(),
            now_s: self.now_s,
            show: &wanted.show,
            filter,
        }
    }
}

/// How long to wait between two looks.
const INTERVAL: Duration = Duration::from_secs(5);
