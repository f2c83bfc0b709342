//! A large document read in parts, one for each processor: nearly all of it are states of nodes, which say nothing of
//! each other. What is read is the same as without parts; what cannot be read so is left to [`Element::parse`], which
//! says what is wrong with it.
//!
//! Must never: start a thread; whoever has some reads the parts.

use super::{Builder, count_lines};
use crate::{
    names::Name,
    tree::{Element, Inner, Node},
};

/// Where a document may be cut: before such an element of the status.
const CUT: &str = "<node_state ";
/// What is open there.
const AROUND: [&str; 2] = ["cib", "status"];

/// A part of a document's text.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    before: &'a str,
    text: &'a str,
    is_last: bool,
}

/// What a part says.
#[derive(Debug)]
pub struct Piece(Content);

enum Content {
    /// The document up to some states of nodes: what is before the status, the two that are open, and what is in the
    /// status so far.
    First {
        cib: Inner,
        status: Inner,
    },
    States(Vec<Node>),
    /// The last states, and what follows the status.
    Last {
        states: Vec<Node>,
        rest: Vec<Node>,
    },
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::First { .. } => "First",
            Self::States(_) => "States",
            Self::Last { .. } => "Last",
        })
    }
}

/// Cuts a document's text into at most `count` parts of about the same size; nothing if there is nowhere to cut.
#[must_use]
pub fn split(text: &str, count: usize) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut from = 0;
    for number in 1..count {
        let wanted = (text.len() / count * number).max(from + 1);
        let wanted = (wanted..text.len()).find(|at| text.is_char_boundary(*at))?;
        let Some(found) = text.get(wanted..)?.find(CUT) else {
            break;
        };
        let end = wanted + found;
        parts.push(Part {
            before: text.get(..from)?,
            text: text.get(from..end)?,
            is_last: false,
        });
        from = end;
    }
    parts.push(Part {
        before: text.get(..from)?,
        text: text.get(from..)?,
        is_last: true,
    });
    (parts.len() > 1).then_some(parts)
}

impl Part<'_> {
    /// Reads it; nothing if it has to be read with all others.
    #[must_use]
    pub fn read(&self) -> Option<Piece> {
        if self.text.contains('\r') {
            return None;
        }
        let is_first = self.before.is_empty();
        let mut builder = Builder::new(self.text);
        builder.line += count_lines(self.before.as_bytes());
        if !is_first {
            builder.open = AROUND.map(super::Open::around).into();
        }
        builder.read().ok()?;
        builder.flush_data().ok()?;
        let content = if self.is_last {
            last(builder)?
        } else {
            beginning(builder, is_first)?
        };
        Some(Piece(content))
    }
}

/// What ends within the status, all of whose states are complete.
fn beginning(mut builder: Builder, is_first: bool) -> Option<Content> {
    let [cib, status] = <[_; 2]>::try_from(std::mem::take(&mut builder.open)).ok()?;
    let is_around = [&cib, &status]
        .iter()
        .zip(AROUND)
        .all(|(open, name)| open.name.as_str() == name);
    if builder.root.is_some() || !is_around {
        return None;
    }
    let states = builder.nodes.split_off(status.first);
    if is_first {
        return Some(Content::First {
            cib: cib.with(builder.nodes),
            status: status.with(states),
        });
    }
    // Another status would have begun after the one that was open.
    builder.nodes.is_empty().then_some(Content::States(states))
}

/// What ends the document.
fn last(builder: Builder) -> Option<Content> {
    let root = builder.root.filter(|_| builder.open.is_empty())?;
    let mut rest = root.into_nodes().into_iter();
    let Some(Node::Element(status)) = rest.next() else {
        return None;
    };
    Some(Content::Last {
        states: status.into_nodes(),
        rest: rest.collect(),
    })
}

/// The document of all pieces in order; nothing if they do not fit together.
#[must_use]
pub fn join(pieces: impl IntoIterator<Item = Piece>) -> Option<Element> {
    let mut pieces = pieces.into_iter();
    let Content::First {
        mut cib,
        mut status,
    } = pieces.next()?.0
    else {
        return None;
    };
    loop {
        match pieces.next()?.0 {
            Content::First { .. } => return None,
            Content::States(states) => status.nodes.extend(states),
            Content::Last { states, rest } => {
                status.nodes.extend(states);
                cib.nodes.push(Node::Element(Element::from_inner(status)));
                cib.nodes.extend(rest);
                let is_whole = pieces.next().is_none();
                return is_whole.then(|| Element::from_inner(cib));
            }
        }
    }
}

impl super::Open {
    /// One that a part does not show.
    fn around(name: &str) -> Self {
        Self {
            name: Name::new(name),
            line: 0,
            attrs: Vec::new(),
            first: 0,
        }
    }

    fn with(self, nodes: Vec<Node>) -> Inner {
        Inner {
            name: self.name,
            line: self.line,
            attrs: self.attrs,
            nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(element: &Element, out: &mut Vec<(String, u32)>) {
        out.push((element.name().to_owned(), element.line()));
        element.children().for_each(|child| lines(child, out));
    }

    fn in_parts(text: &str, count: usize) -> Option<Element> {
        let parts = split(text, count)?;
        join(
            parts
                .iter()
                .map(Part::read)
                .collect::<Option<Vec<Piece>>>()?,
        )
    }

    fn state(name: &str) -> String {
        format!("  <node_state id=\"{name}\">\n   <x y='ü'/>\n  </node_state>\n")
    }

    fn document(states: &str, rest: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<cib a='1'>\n <configuration/>\n <status b='2'>\n{states} </status>{rest}</cib>\n<!-- end -->"
        )
    }

    #[test]
    fn in_parts_as_in_one() {
        let states: String = ["a", "b", "c", "d", "e", "f", "g"].map(state).concat();
        for rest in ["", "<!-- c --><more/>"] {
            let text = document(&states, rest);
            let whole = Element::parse(&text).unwrap();
            for count in 2..10 {
                let parts = in_parts(&text, count).unwrap();
                assert_eq!(parts, whole, "{count} parts");
                let (mut a, mut b) = (Vec::new(), Vec::new());
                lines(&parts, &mut a);
                lines(&whole, &mut b);
                assert_eq!(a, b, "{count} parts");
            }
        }
    }

    #[test]
    fn what_has_no_states_is_not_cut() {
        assert!(split(&document("", ""), 4).is_none());
        assert!(split("", 4).is_none());
        assert!(split(&document(&state("a"), ""), 1).is_none());
    }

    #[test]
    fn what_only_looks_like_a_state_is_left_to_the_whole() {
        let long = " ".repeat(400);
        let a_comment = format!("<!-- {long} <node_state x='1'/> {long} -->");
        let data = format!("<t>{long}<![CDATA[<node_state x='1'/>]]>{long}</t>");
        let deep = format!("<t>{long}<node_state x='1'/>{long}</t>");
        for odd in [&a_comment, &data, &deep] {
            let text = document(odd, "");
            assert!(Element::parse(&text).is_ok());
            assert!(in_parts(&text, 2).is_none(), "{odd}");
        }
        let elsewhere = format!("<cib>{long}<node_state x='1'/>{long}</cib>");
        assert!(in_parts(&elsewhere, 2).is_none());
    }

    #[test]
    fn a_second_status_is_no_part_of_the_first() {
        let second = ["c", "d", "e"].map(state).concat();
        let rest = format!("<status>{second}</status>");
        let text = document(&["a", "b"].map(state).concat(), &rest);
        let whole = Element::parse(&text).unwrap();
        for count in 2..6 {
            assert!(in_parts(&text, count).is_none_or(|parts| parts == whole));
        }
    }

    #[test]
    fn no_cut_of_a_document_is_a_document() {
        let text = document(&["a", "b", "c"].map(state).concat(), "");
        let text = text.trim_end_matches("\n<!-- end -->");
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let cut = text.get(..end).unwrap();
            assert!(in_parts(cut, 3).is_none(), "{cut}");
        }
    }

    #[test]
    fn a_fault_in_any_part_is_left_to_the_whole() {
        let states: String = ["a", "b", "c"].map(state).concat();
        let text = document(&states, "");
        for at in (0..text.len())
            .step_by(3)
            .filter(|at| text.is_char_boundary(*at))
        {
            for bad in ["<", "&", "\u{1}", "</x>"] {
                let mut broken = text.clone();
                broken.insert_str(at, bad);
                let parts = in_parts(&broken, 3);
                assert!(
                    parts.is_none() || parts == Element::parse(&broken).ok(),
                    "{broken}"
                );
            }
        }
    }
}
