//! Where the configuration comes from: a file (`CIB_file`), a shadow (`CIB_shadow`) or the daemon.

use super::{Failure, exit, names, nodes::Node};
use crate::daemon::{Daemon, DaemonError};
use cib::{
    Element,
    acl::{self, Subject},
    edit::{self, Action, EditError, Operation},
    schema::{self, Problem, Severity},
};
use crmd_core::request::{CibChange, Request};
use std::{
    env, fs,
    io::{Read as _, Write as _},
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// The configuration a tool works on.
#[derive(Debug)]
pub(crate) enum Source {
    /// A document in a file.
    File(PathBuf),
    /// What the cluster has.
    Live(Box<Daemon>),
}

impl Source {
    /// As the environment says.
    ///
    /// # Errors
    /// No daemon answers (and no file is named).
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        if let Some(file) = file_from_environment() {
            return Ok(Self::File(file));
        }
        Ok(Self::Live(Box::new(Daemon::connect().map_err(of_daemon)?)))
    }

    /// As the environment says, but not the shadow.
    ///
    /// # Errors
    /// As for [`Self::from_environment`].
    pub(crate) fn behind_shadow() -> Result<Self, Failure> {
        match env::var_os("CIB_file").filter(|v| !v.is_empty()) {
            Some(file) => Ok(Self::File(file.into())),
            None => Ok(Self::Live(Box::new(Daemon::connect().map_err(of_daemon)?))),
        }
    }

    /// The whole document.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn document(&mut self) -> Result<Element, Failure> {
        match self {
            Self::File(file) => visible(&read_file(file)?),
            Self::Live(daemon) => daemon.document().map_err(of_daemon),
        }
    }

    /// Carries out an edit: checked against the schema and written, or committed by the cluster.
    ///
    /// # Errors
    /// It is refused, by its own conditions or because the document would be invalid.
    pub(crate) fn change(
        &mut self,
        operation: &Operation,
        action: &str,
        limit: Option<Duration>,
    ) -> Result<(), ChangeError> {
        match self {
            Self::File(file) => change_file(file, operation),
            Self::Live(daemon) => {
                let change = CibChange {
                    action: action.to_owned(),
                    section: operation.section.clone(),
                    xpath: operation.xpath.clone(),
                    xml: operation
                        .element
                        .as_ref()
                        .map(Element::to_xml_compact)
                        .unwrap_or_default(),
                    allow_create: operation.allow_create,
                    origin: origin(),
                };
                let request = Request::Cib(change);
                match daemon.call(&request, limit).map_err(of_daemon) {
                    Ok(_) => Ok(()),
                    Err(failure) => Err(match &operation.element {
                        Some(element) if failure.code == exit::EXISTS => {
                            ChangeError::Exists(element.clone())
                        }
                        _ => ChangeError::Other(failure),
                    }),
                }
            }
        }
    }
}

impl Source {
    /// Carries out an edit that needs no special treatment when it is refused.
    ///
    /// # Errors
    /// Exit code and reason.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Result<(), Failure> {
        let result = self.change(operation, &operation.action.to_string(), None);
        result.map_err(|error| match error {
            ChangeError::Exists(element) => {
                let id = element.id().unwrap_or_default();
                let text = format!("<{} id=\"{id}\"> exists already", element.name());
                Failure::new(exit::EXISTS, text)
            }
            ChangeError::Invalid(problems) => {
                let mut text = "the configuration would be invalid".to_owned();
                for problem in &problems {
                    text.push_str(&format!("\n  {problem}"));
                }
                Failure::new(exit::CONFIG, text)
            }
            ChangeError::Other(failure) => failure,
        })
    }

    /// Sets a transient attribute of a node, or deletes it.
    ///
    /// # Errors
    /// The node is not known, or it is refused.
    pub(crate) fn set_transient(
        &mut self,
        node: &Node,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), Failure> {
        match self {
            Self::File(file) => {
                let edit = transient_edit(&read_file(file)?, node, name, value);
                self.apply(&edit)
            }
            Self::Live(daemon) => {
                let request = Request::Attribute {
                    node: node.name.as_str().into(),
                    name: name.to_owned(),
                    value: value.map(str::to_owned),
                };
                daemon.call(&request, None).map(drop).map_err(of_daemon)
            }
        }
    }

    /// The name of the node this runs on: what the daemons are configured with, otherwise the
    /// host's.
    pub(crate) fn own_node(&self) -> String {
        match self {
            Self::Live(daemon) => daemon.config().node.name.clone(),
            Self::File(_) => nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }

    /// The daemon, for what only a running cluster can do.
    ///
    /// # Errors
    /// The source is a file.
    pub(crate) fn live(&mut self) -> Result<&mut Daemon, Failure> {
        match self {
            Self::Live(daemon) => Ok(daemon),
            Self::File(file) => {
                let text = format!(
                    "this needs a running cluster, and the configuration is the file {} \
                     (CIB_file, CIB_shadow)",
                    file.display()
                );
                Err(Failure::new(exit::DISCONNECTED, text))
            }
        }
    }

    /// Whether the configuration is a file.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// The edit of the status section that sets or deletes a transient attribute.
fn transient_edit(document: &Element, node: &Node, name: &str, value: Option<&str>) -> Operation {
    let set_id = format!("status-{}", node.id);
    let present = document
        .child("status")
        .into_iter()
        .flat_map(|s| s.children_named("node_state"))
        .filter(|s| s.id() == Some(&node.id) || s.attr("uname") == Some(&node.name))
        .flat_map(Element::descendants)
        .find(|e| e.name() == "nvpair" && e.attr("name") == Some(name));
    let id = present.and_then(Element::id).map_or_else(
        || format!("{set_id}-{}", names::sanitized(name)),
        str::to_owned,
    );
    let Some(value) = value else {
        let pair = Element::new("nvpair").with_attr("id", id);
        return Operation::new(Action::Delete, Some(pair)).in_section("status");
    };
    let pair = Element::new("nvpair")
        .with_attr("id", id)
        .with_attr("name", name)
        .with_attr("value", value);
    let set = Element::new("instance_attributes")
        .with_attr("id", set_id)
        .with_child(pair);
    let transient = Element::new("transient_attributes")
        .with_attr("id", &node.id)
        .with_child(set);
    let mut state = Element::new("node_state").with_attr("id", &node.id);
    if node.is_remote() {
        state.set_attr("remote_node", "true");
    }
    state.set_attr("uname", &node.name);
    let mut edit =
        Operation::new(Action::Modify, Some(state.with_child(transient))).in_section("status");
    edit.allow_create = true;
    edit
}

/// Why a document stayed as it was.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// What `create` was to add is there already.
    Exists(Element),
    /// The document would be invalid.
    Invalid(Vec<Problem>),
    /// Anything else.
    Other(Failure),
}

impl From<Failure> for ChangeError {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// The file that `CIB_file` or `CIB_shadow` names.
pub(crate) fn file_from_environment() -> Option<PathBuf> {
    let value = |name| env::var_os(name).filter(|v| !v.is_empty());
    if let Some(shadow) = value("CIB_shadow") {
        return Some(shadow_file(&shadow.to_string_lossy()));
    }
    value("CIB_file").map(PathBuf::from)
}

/// Where the shadow of this name is.
pub(crate) fn shadow_file(name: &str) -> PathBuf {
    let directory = env::var_os("CIB_shadow_dir")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cib")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/systole/shadow"));
    directory.join(format!("shadow.{name}"))
}

/// Reads a document.
///
/// # Errors
/// With file, line, reason and what would be right.
pub(crate) fn read_file(file: &Path) -> Result<Element, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => exit::NO_SUCH,
            std::io::ErrorKind::PermissionDenied => exit::INSUFFICIENT_PRIVILEGE,
            std::io::ErrorKind::InvalidData => exit::DATA,
            _ => exit::IO,
        };
        Failure::new(code, format!("cannot read {shown}: {error}"))
    })?;
    parse(&text, &shown.to_string())
}

/// From this size on, in bytes, a document is read by several threads.
const LARGE: usize = 4 * 1024 * 1024;
/// More threads than that only wait for memory.
const READERS: usize = 8;

/// Reads a large document with all processors. Nothing: it is small, or has to be read in one.
fn in_parts(text: &str) -> Option<Element> {
    if text.len() < LARGE {
        return None;
    }
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    let count = count.min(READERS);
    let parts = cib::parts::split(text, count)?;
    thread::scope(|scope| {
        let readers: Vec<_> = parts
            .iter()
            .map(|part| scope.spawn(|| part.read()))
            .collect();
        let pieces = readers.into_iter().map(|reader| reader.join().ok()?);
        cib::parts::join(pieces.collect::<Option<Vec<_>>>()?)
    })
}

/// Parses a document; `name` says where it came from.
///
/// # Errors
/// With line, reason and what would be right.
pub(crate) fn parse(text: &str, name: &str) -> Result<Element, Failure> {
    if let Some(document) = in_parts(text) {
        return Ok(document);
    }
    Element::parse(text).map_err(|e| Failure::new(exit::CONFIG, format!("{name}: {e}")))
}

/// Reads a document from standard input.
///
/// # Errors
/// As for [`parse`].
pub(crate) fn read_standard_input() -> Result<Element, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(exit::IO, format!("cannot read standard input: {e}")))?;
    parse(&text, "standard input")
}

/// Who a file is read and changed as (`CIB_user`): access control lists of the document apply.
/// A daemon asks the kernel instead.
fn file_user() -> String {
    env::var("CIB_user").unwrap_or_default()
}

fn visible(document: &Element) -> Result<Element, Failure> {
    let user = file_user();
    if !acl::binds(document, &user) {
        return Ok(document.clone());
    }
    let subject = Subject {
        user: &user,
        groups: &[],
    };
    acl::visible(document, &subject).ok_or_else(|| {
        let text = format!("the access control lists let user {user} see nothing");
        Failure::new(exit::INSUFFICIENT_PRIVILEGE, text)
    })
}

fn check_rights(old: &Element, new: &Element) -> Result<(), Failure> {
    let user = file_user();
    if !acl::binds(old, &user) {
        return Ok(());
    }
    let subject = Subject {
        user: &user,
        groups: &[],
    };
    acl::check_change(old, new, &subject)
        .map_err(|denied| Failure::new(exit::INSUFFICIENT_PRIVILEGE, denied.to_string()))
}

fn change_file(file: &Path, operation: &Operation) -> Result<(), ChangeError> {
    let old = read_file(file)?;
    let new = edit::apply(&old, operation).map_err(of_edit)?;
    if new == old {
        return Ok(());
    }
    check_rights(&old, &new)?;
    let problems: Vec<_> = schema::check(&new)
        .into_iter()
        .filter(|p| p.severity == Severity::Error)
        .collect();
    if !problems.is_empty() {
        return Err(ChangeError::Invalid(problems));
    }
    write_file(file, &new.to_xml()).map_err(ChangeError::Other)
}

/// Writes a whole file or leaves it as it was.
///
/// # Errors
/// The directory or the file cannot be written.
pub(crate) fn write_file(file: &Path, text: &str) -> Result<(), Failure> {
    let mut new = file.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let write = || {
        let mut open = fs::File::create(&new)?;
        if let Ok(meta) = fs::metadata(file) {
            open.set_permissions(meta.permissions())?;
        }
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&new, file)
    };
    write().map_err(|error| {
        // The half of a file that may be there is of no use.
        let _ = fs::remove_file(&new);
        let text = format!("cannot write {}: {error}", file.display());
        Failure::new(exit::CANNOT_CREATE, text)
    })
}

fn of_edit(error: EditError) -> ChangeError {
    let code = match &error {
        EditError::Exists { element, .. } => return ChangeError::Exists(element.clone()),
        EditError::Invalid(problems) => return ChangeError::Invalid(problems.clone()),
        EditError::NotFound { .. } => exit::NO_SUCH,
        EditError::OldVersion { .. } => exit::OLD,
        EditError::Patch(_) => exit::ERROR,
        EditError::Xml(_) => exit::CONFIG,
        EditError::UnknownSection(_) | EditError::UnknownAction(_) | EditError::NoElement(_) => {
            exit::USAGE
        }
        EditError::XPath(_) | EditError::DeleteRoot => exit::USAGE,
    };
    ChangeError::Other(Failure::new(code, error.to_string()))
}

/// A failure of the daemon's, with its exit code.
pub(crate) fn of_daemon(error: DaemonError) -> Failure {
    Failure::new(error.exit_code(), error.to_string())
}

/// Who asks, for the cluster's log.
fn origin() -> String {
    let user = env::var("USER").unwrap_or_else(|_| nix::unistd::getuid().to_string());
    let tool = env::args().next().unwrap_or_default();
    let tool = tool.rsplit('/').next().unwrap_or_default().to_owned();
    format!("{user}/{tool}")
}
