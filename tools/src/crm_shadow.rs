//! `crm_shadow`: copies of the configuration to try changes on.

mod diff;

use crate::common::{
    self, CommonArguments, Failure, Tool, exit,
    output::Output,
    source::{self, Source},
};
use cib::{
    Element, Node,
    edit::{self, Action, Operation},
    schema::SchemaVersion,
};
use clap::{ArgGroup, Parser};
use std::{
    env,
    ffi::OsString,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// Works on copies of the configuration that leave the cluster alone until they are committed.
#[derive(Debug, Parser)]
#[command(name = "crm_shadow", version, disable_version_flag = true)]
#[command(group = ArgGroup::new("command").required(true).args([
    "which", "display", "diff", "file", "edit", "create", "create_empty", "commit", "delete",
    "reset", "switch",
]))]
struct Arguments {
    /// Show which copy is in use.
    #[arg(short = 'w', long)]
    which: bool,
    /// Show what is in it.
    #[arg(short = 'p', long)]
    display: bool,
    /// Show what differs from the cluster's configuration.
    #[arg(short = 'd', long)]
    diff: bool,
    /// Show which file it is in.
    #[arg(short = 'F', long)]
    file: bool,
    /// Open it in $EDITOR.
    #[arg(short = 'E', long)]
    edit: bool,
    /// Make a copy of the cluster's configuration.
    #[arg(short = 'c', long, value_name = "NAME")]
    create: Option<String>,
    /// Make an empty configuration.
    #[arg(short = 'e', long, value_name = "NAME")]
    create_empty: Option<String>,
    /// Give the cluster the configuration in a copy (needs --force).
    #[arg(short = 'C', long, value_name = "NAME")]
    commit: Option<String>,
    /// Delete a copy (needs --force).
    #[arg(short = 'D', long, value_name = "NAME")]
    delete: Option<String>,
    /// Make a copy anew from the cluster's configuration (needs --force).
    #[arg(short = 'r', long, value_name = "NAME")]
    reset: Option<String>,
    /// Use this copy.
    #[arg(short = 's', long, value_name = "NAME")]
    switch: Option<String>,
    /// Do it although it is dangerous.
    #[arg(short = 'f', long)]
    force: bool,
    /// Only say how to use a copy, without starting a shell in which it is in use.
    #[arg(short = 'b', long)]
    batch: bool,
    /// With --commit: status and versions too.
    #[arg(short = 'a', long)]
    all: bool,
    /// With --create-empty: for this schema.
    #[arg(short = 'v', long, value_name = "SCHEMA")]
    validate_with: Option<String>,
    #[command(flatten)]
    common: CommonArguments,
}

/// The program.
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    common::main::<Arguments>(args)
}

impl Tool for Arguments {
    const NAME: &'static str = "crm_shadow";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn run(&self, output: &mut Output) -> Result<u8, Failure> {
        if self.which {
            let name = active()?;
            output.line(&name);
            output.element(Element::new("shadow").with_attr("instance", name));
        } else if self.file {
            show_file(output)?;
        } else if self.display {
            display(output)?;
        } else if self.diff {
            return diff(output);
        } else if self.edit {
            edit_it()?;
        } else if let Some(name) = &self.create {
            self.check_absent(name)?;
            self.copy(name, output)?;
        } else if let Some(name) = &self.create_empty {
            self.create_empty(name, output)?;
        } else if let Some(name) = &self.reset {
            self.check_forced("reset", name)?;
            self.copy(name, output)?;
        } else if let Some(name) = &self.commit {
            self.commit(name)?;
        } else if let Some(name) = &self.delete {
            self.delete(name, output)?;
        } else if let Some(name) = &self.switch {
            access(name)?;
            let text =
                "To switch to the named shadow instance, enter the following into your shell:";
            self.offer(name, text, output)?;
        }
        Ok(exit::OK)
    }
}

/// The copy in use.
fn active() -> Result<String, Failure> {
    let name = env::var("CIB_shadow").ok().filter(|name| !name.is_empty());
    name.ok_or_else(|| Failure::no_such("No active shadow configuration defined"))
}

fn is_active(name: &str) -> bool {
    active().is_ok_and(|active| active == name)
}

/// The file of a copy that must be there.
fn access(name: &str) -> Result<PathBuf, Failure> {
    let file = source::shadow_file(name);
    match fs::metadata(&file) {
        Ok(_) => Ok(file),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.split(" (os error").next().unwrap_or_default();
            let text = format!("Could not access shadow instance '{name}': {reason}");
            Err(Failure::no_such(text))
        }
    }
}

fn show_file(output: &mut Output) -> Result<(), Failure> {
    let name = active()?;
    let file = source::shadow_file(&name).display().to_string();
    output.line(&file);
    let element = Element::new("shadow").with_attr("instance", name);
    output.element(element.with_attr("file", file));
    Ok(())
}

fn display(output: &mut Output) -> Result<(), Failure> {
    let name = active()?;
    let xml = source::read_file(&access(&name)?)?.to_xml();
    output.line(xml.trim_end());
    output.element(with_document(&name, "content", &xml));
    Ok(())
}

/// `<shadow>` around a document.
fn with_document(name: &str, child: &str, xml: &str) -> Element {
    let mut content = Element::new(child);
    content.push_node(Node::Text(xml.into()));
    Element::new("shadow")
        .with_attr("instance", name)
        .with_child(content)
}

fn diff(output: &mut Output) -> Result<u8, Failure> {
    let name = active()?;
    let new = source::read_file(&access(&name)?)?;
    let old = cluster()?;
    let Some(patch) = cib::patch::diff(&old, &new, cib::patch::Style::FILES) else {
        output.element(Element::new("shadow").with_attr("instance", name));
        return Ok(exit::OK);
    };
    for line in diff::lines(&patch) {
        output.line(&line);
    }
    output.element(with_document(&name, "xml-patchset", &patch.to_xml()));
    Ok(exit::ERROR)
}

/// The configuration behind the copies.
fn cluster() -> Result<Element, Failure> {
    let unreachable = |failure: Failure| {
        let text = "Could not connect to CIB: No such device or address";
        match failure.code {
            exit::NO_SUCH => Failure::no_such(text),
            _ => failure,
        }
    };
    Source::behind_shadow()?.document().map_err(unreachable)
}

fn edit_it() -> Result<(), Failure> {
    let file = access(&active()?)?;
    let editor = env::var_os("EDITOR")
        .ok_or_else(|| Failure::usage("say which editor in the variable EDITOR"))?;
    let ended = Command::new(&editor).arg(&file).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let text = format!("{} ended with {status}", editor.display());
            Err(Failure::new(exit::ERROR, text))
        }
        Err(error) => {
            let text = format!("cannot run {}: {error}", editor.display());
            Err(Failure::new(exit::ERROR, text))
        }
    }
}

impl Arguments {
    fn check_absent(&self, name: &str) -> Result<(), Failure> {
        if self.force || !source::shadow_file(name).exists() {
            return Ok(());
        }
        let text = format!(
            "A shadow instance '{name}' already exists.\nTo prevent accidental destruction of the \
             shadow file, the --force flag is required in order to proceed."
        );
        Err(Failure::new(exit::CANNOT_CREATE, text))
    }

    /// What overwrites or deletes needs `--force`, all the more when another copy is in use.
    fn check_forced(&self, command: &str, name: &str) -> Result<(), Failure> {
        if self.force {
            return Ok(());
        }
        let (effect, victim) = match command {
            "commit" => ("overwrites the active cluster configuration", "cluster"),
            "reset" => ("overwrites the active shadow configuration", "shadow file"),
            _ => ("removes the specified shadow file", "shadow file"),
        };
        let mut text = format!("The {command} command {effect}.\n");
        if let Ok(active) = active()
            && active != name
        {
            text.push_str(&format!(
                "Additionally, the supplied shadow instance ({name}) is not the same as the \
                 active one ({active}).\n"
            ));
        }
        text.push_str(&format!(
            "To prevent accidental destruction of the {victim}, the --force flag is required in \
             order to proceed."
        ));
        Err(Failure::usage(text))
    }

    fn copy(&self, name: &str, output: &mut Output) -> Result<(), Failure> {
        let document = cluster()?;
        self.put(name, &document, output)
    }

    fn create_empty(&self, name: &str, output: &mut Output) -> Result<(), Failure> {
        self.check_absent(name)?;
        let latest = SchemaVersion::LATEST.to_string();
        let schema = self.validate_with.as_deref().unwrap_or(&latest);
        let mut document = Element::new("cib")
            .with_attr("crm_feature_set", crate::cibadmin::FEATURE_SET)
            .with_attr("validate-with", schema)
            .with_attr("admin_epoch", "0")
            .with_attr("epoch", "0")
            .with_attr("num_updates", "0");
        for child in edit::empty_document().children() {
            document.push(child.clone());
        }
        output.line(&format!("Created new {schema} configuration"));
        self.put(name, &document, output)
    }

    fn put(&self, name: &str, document: &Element, output: &mut Output) -> Result<(), Failure> {
        let file = source::shadow_file(name);
        if let Some(directory) = file.parent() {
            make_private(directory)?;
        }
        source::write_file(&file, &document.to_xml())?;
        let text = "A new shadow instance was created. To begin using it, enter the following into \
                    your shell:";
        self.offer(name, text, output)
    }

    /// Says how to use a copy, or starts a shell in which it is in use.
    fn offer(&self, name: &str, text: &str, output: &mut Output) -> Result<(), Failure> {
        let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        if !self.batch && interactive && !output.is_xml() {
            return shell(name);
        }
        output.line(&format!("{text}\n\texport CIB_shadow={name}"));
        output.element(instruction(&format!("{text}\n\texport CIB_shadow={name}")));
        Ok(())
    }

    fn commit(&self, name: &str) -> Result<(), Failure> {
        self.check_forced("commit", name)?;
        let shadow = source::read_file(&access(name)?)?;
        let mut target = Source::behind_shadow()?;
        // Says what is wrong before anything is tried.
        cluster()?;
        let edit = if self.all {
            Operation::new(Action::Replace, Some(shadow))
        } else {
            let configuration = shadow.child("configuration").cloned();
            Operation::new(Action::Replace, configuration).in_section("configuration")
        };
        target.apply(&edit)
    }

    fn delete(&self, name: &str, output: &mut Output) -> Result<(), Failure> {
        self.check_forced("delete", name)?;
        let file = source::shadow_file(name);
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let text = format!("cannot remove {}: {error}", file.display());
                return Err(Failure::new(exit::IO, text));
            }
        }
        if is_active(name) {
            let text = "Remember to unset the CIB_shadow variable by entering the following into \
                        your shell:\n\tunset CIB_shadow";
            output.line(text);
            output.element(instruction(text));
        }
        Ok(())
    }
}

fn instruction(text: &str) -> Element {
    let mut element = Element::new("instruction");
    element.push_node(Node::Text(text.into()));
    element
}

/// Configurations hold secrets: only their owner may read the copies.
fn make_private(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| {
        let text = format!("cannot make {}: {error}", directory.display());
        Failure::new(exit::CANNOT_CREATE, text)
    })
}

fn shell(name: &str) -> Result<(), Failure> {
    let shell = env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    println!("Setting up shadow instance\nType Ctrl-D to exit the crm_shadow shell");
    let ended = Command::new(&shell)
        .env("CIB_shadow", name)
        .env("PS1", format!("shadow[{name}] # "))
        .status();
    ended.map(drop).map_err(|error| {
        let text = format!("cannot start {}: {error}", shell.display());
        Failure::new(exit::ERROR, text)
    })
}
