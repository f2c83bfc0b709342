//! Shows a document with what a user may do with its parts.

use super::{Access, Rights, Subject};
use crate::{Element, path::Path, write};

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// Blue: readable, green: writable, red: denied (terminal colours).
    Color,
    /// A line before everything with other rights than what is around it.
    Text,
    /// Elements with other rights than what is around them carry a prefix.
    Namespace,
}

/// The whole document, with the rights of the subject.
pub fn render(document: &Element, subject: &Subject<'_>, rendering: Rendering) -> String {
    let rights = Rights::new(document, document, subject);
    let mut out = format!("<!-- ACLs as evaluated for user {} -->\n", subject.user);
    let mut writer = Writer {
        rights: &rights,
        rendering,
        out: &mut out,
        at: Path::new(),
    };
    writer.element(document, None);
    out
}

struct Writer<'a> {
    rights: &'a Rights,
    rendering: Rendering,
    out: &'a mut String,
    at: Path,
}

/// Not being allowed is shown alike, whether said or not.
fn shown(access: Access) -> Access {
    match access {
        Access::Unspecified => Access::Denied,
        other => other,
    }
}

impl Writer<'_> {
    fn element(&mut self, element: &Element, around: Option<Access>) {
        let access = shown(self.rights.at(&self.at));
        let changes = around != Some(access);
        let name = match self.rendering {
            Rendering::Namespace if changes => format!("pcmk-access-{access}:{}", element.name()),
            _ => element.name().to_owned(),
        };
        if self.rendering == Rendering::Text && changes {
            self.banner(access, around.is_some());
        }
        self.indent();
        self.start_color(access);
        self.open(element, &name);
        if element.children().next().is_none() {
            self.out.push_str("/>");
        } else {
            self.out.push_str(">\n");
            for (position, node) in element.nodes().iter().enumerate() {
                if let Some(child) = node.as_element() {
                    self.at.push(position);
                    self.element(child, Some(access));
                    self.at.pop();
                }
            }
            self.indent();
            self.start_color(access);
            self.out.push_str(&format!("</{name}>"));
        }
        self.end_color();
        self.out.push('\n');
    }

    fn open(&mut self, element: &Element, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        for (attr, value) in element.attrs() {
            self.attribute(attr, value);
        }
        if self.rendering == Rendering::Namespace && self.at.is_empty() {
            for access in [Access::Write, Access::Read, Access::Denied] {
                let address = format!("http://clusterlabs.org/ns/pacemaker/access/{access}");
                self.attribute(&format!("xmlns:pcmk-access-{access}"), &address);
            }
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push_str(&format!(" {name}=\""));
        write::escape(self.out, value, true);
        self.out.push('"');
    }

    fn banner(&mut self, access: Access, inside: bool) {
        let word = match access {
            Access::Read => "READABLE",
            Access::Write => "WRITABLE",
            Access::Denied | Access::Unspecified => "~DENIED~",
        };
        if inside {
            self.out.push('\n');
        }
        self.indent();
        self.out.push_str(&format!("vvv---[ {word} ]---vvv\n"));
    }

    fn indent(&mut self) {
        self.out.push_str(&"  ".repeat(self.at.len()));
    }

    fn start_color(&mut self, access: Access) {
        if self.rendering == Rendering::Color {
            self.out.push_str(match access {
                Access::Read => "\u{1b}[34m",
                Access::Write => "\u{1b}[32m",
                Access::Denied | Access::Unspecified => "\u{1b}[31m",
            });
        }
    }

    fn end_color(&mut self) {
        if self.rendering == Rendering::Color {
            self.out.push_str("\u{1b}[0m");
        }
    }
}
