//! The two forms in which tools answer: text, and `--output-as=xml` in a `<pacemaker-result>`.

use super::{Failure, exit};
use cib::{Element, Node};
use clap::ValueEnum;
use std::{ffi::OsString, fs::File, io::Write as _, path::PathBuf, process::ExitCode};

/// Version of the form of `<pacemaker-result>` we write (that of Pacemaker 3.0.2).
const API_VERSION: &str = "2.42";

/// Chosen by `--output-as`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Xml,
    /// Only the exit code, and errors.
    None,
}

/// Options every tool has.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutputArguments {
    /// Form of the output.
    #[arg(long = "output-as", value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Write to this file ("-": standard output).
    #[arg(long = "output-to", value_name = "DEST")]
    to: Option<PathBuf>,
}

impl OutputArguments {
    /// For a tool that has more forms than these two and reads the options itself.
    pub(crate) fn of(xml: bool, to: Option<PathBuf>) -> Self {
        let format = if xml { Format::Xml } else { Format::Text };
        Self { format, to }
    }

    /// XML to standard output.
    pub(super) fn xml() -> Self {
        let format = Format::Xml;
        Self { format, to: None }
    }
}

/// Whether a command line that cannot be understood asks for XML.
pub(super) fn asks_for_xml(args: &[OsString]) -> bool {
    let follows = |(a, b): (&OsString, &OsString)| a == "--output-as" && b == "xml";
    args.iter().any(|a| a == "--output-as=xml") || args.iter().zip(args.iter().skip(1)).any(follows)
}

/// What a tool has to say, gathered until it ends.
#[derive(Debug)]
pub(crate) struct Output {
    tool: &'static str,
    request: String,
    format: Format,
    to: Option<PathBuf>,
    text: String,
    elements: Vec<Element>,
    errors: Vec<String>,
}

impl Output {
    /// Output of `tool`, called with `args` (without its name).
    pub(crate) fn new(tool: &'static str, args: &[OsString], options: &OutputArguments) -> Self {
        let to = options.to.clone().filter(|to| to.as_os_str() != "-");
        Self {
            tool,
            request: request(tool, args),
            format: options.format,
            to,
            text: String::new(),
            elements: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Whether the output is XML.
    pub(crate) fn is_xml(&self) -> bool {
        self.format == Format::Xml
    }

    /// Text output; nothing in XML.
    pub(crate) fn line(&mut self, text: &str) {
        if self.format == Format::Text {
            self.text.push_str(text);
            self.text.push('\n');
        }
    }

    /// Something for people that is no output programs should read; nothing in XML.
    pub(crate) fn line_to_error(&mut self, text: &str) {
        if self.format == Format::Text {
            eprintln!("{text}");
        }
    }

    /// XML output; nothing in text.
    pub(crate) fn element(&mut self, element: Element) {
        if self.is_xml() {
            self.elements.push(element);
        }
    }

    /// A document: as it is in text, as the character data of `<name>` in XML.
    pub(crate) fn document(&mut self, name: &str, xml: &str) {
        if self.is_xml() {
            let mut element = Element::new(name);
            element.push_node(Node::Text(xml.into()));
            self.elements.push(element);
        } else if self.format == Format::Text {
            self.text.push_str(xml);
        }
    }

    /// A message that is not output: to standard error in text, among the errors in XML.
    pub(crate) fn message(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.is_xml() {
            self.errors.push(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// Writes everything and ends with the code of `result`.
    pub(crate) fn finish(mut self, result: Result<u8, Failure>) -> ExitCode {
        let code = match result {
            Ok(code) => code,
            Err(failure) => {
                if !failure.text.is_empty() {
                    let tool = self.tool;
                    self.flush();
                    self.message(format!("{tool}: {}", failure.text));
                }
                failure.code
            }
        };
        let all = if self.is_xml() {
            self.result_document(code)
        } else {
            std::mem::take(&mut self.text)
        };
        match self.write(&all) {
            Ok(()) => code.into(),
            // Whoever closed the pipe wants no more.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => code.into(),
            Err(error) => {
                eprintln!("{}: cannot write the output: {error}", self.tool);
                exit::IO.into()
            }
        }
    }

    /// Text so far goes out before what is said to standard error.
    fn flush(&mut self) {
        if !self.is_xml() && self.to.is_none() {
            let text = std::mem::take(&mut self.text);
            // Whether anybody listens is found out at the end.
            let _ = self.write(&text);
        }
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        match &self.to {
            Some(file) => File::create(file)?.write_all(text.as_bytes()),
            None => std::io::stdout().lock().write_all(text.as_bytes()),
        }
    }

    fn result_document(&mut self, code: u8) -> String {
        let mut text = String::from("<pacemaker-result");
        let frame = Element::new("pacemaker-result")
            .with_attr("api-version", API_VERSION)
            .with_attr("request", &self.request);
        let open = frame.to_xml_compact();
        text.push_str(
            open.trim_start_matches("<pacemaker-result")
                .trim_end_matches("/>"),
        );
        text.push_str(">\n");
        for element in &self.elements {
            text.push_str(&indented(element));
        }
        let mut status = Element::new("status")
            .with_attr("code", code.to_string())
            .with_attr("message", exit::description(code));
        if !self.errors.is_empty() {
            let mut errors = Element::new("errors");
            for error in std::mem::take(&mut self.errors) {
                let mut element = Element::new("error");
                element.push_node(Node::Text(error.into()));
                errors.push(element);
            }
            status.push(errors);
        }
        text.push_str(&indented(&status));
        text.push_str("</pacemaker-result>\n");
        text
    }
}

/// An element one level deeper; documents in it as CDATA, so that they stay readable.
fn indented(element: &Element) -> String {
    let text = element.text();
    if text.trim_start().starts_with('<') && element.children().next().is_none() {
        let name = element.name();
        // A document that contains the end of a CDATA section is cut into two.
        let safe = text.replace("]]>", "]]]]><![CDATA[>");
        return format!("  <{name}><![CDATA[{safe}]]></{name}>\n");
    }
    let xml = element.to_xml();
    xml.lines().map(|line| format!("  {line}\n")).collect()
}

/// The command line as it could be typed again.
fn request(tool: &str, args: &[OsString]) -> String {
    let quoted = args.iter().map(|arg| {
        let arg = arg.to_string_lossy();
        let is_plain = |c: char| c.is_alphanumeric() || "-_=./:,@%+".contains(c);
        if !arg.is_empty() && arg.chars().all(is_plain) {
            format!(" {arg}")
        } else {
            format!(" '{}'", arg.replace('\'', "'\\''"))
        }
    });
    format!("{tool}{}", quoted.collect::<String>())
}
