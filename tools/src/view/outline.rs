//! A text of lists within lists, before it is given a form.

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outline {
    /// One line.
    Item(String),
    /// A line that stands as it is, without mark; of a page, a paragraph.
    Plain(String),
    /// Lines under a title; without one they are only set in.
    List {
        /// Title without colon.
        title: Option<String>,
        /// What is under it.
        items: Vec<Outline>,
    },
}

impl Outline {
    /// A list under a title.
    pub(crate) fn list(title: impl Into<String>, items: Vec<Self>) -> Self {
        Self::List {
            title: Some(title.into()),
            items,
        }
    }

    /// Lines set in.
    pub(crate) fn inset(items: Vec<Self>) -> Self {
        Self::List { title: None, items }
    }

    /// One line.
    pub(crate) fn item(text: impl Into<String>) -> Self {
        Self::Item(text.into())
    }
}

/// Lines of text; top-level lists are separated by empty lines.
pub(crate) fn text(all: &[Outline], depth: usize) -> String {
    let mut out = String::new();
    for (at, part) in all.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        push(part, depth, &mut out);
    }
    out
}

fn push(part: &Outline, depth: usize, out: &mut String) {
    let mark = match depth {
        0 => String::new(),
        depth => format!("{}* ", "  ".repeat(depth)),
    };
    match part {
        Outline::Item(text) => out.push_str(&format!("{mark}{text}\n")),
        Outline::Plain(text) => out.push_str(&format!("{text}\n")),
        Outline::List { title, items } => {
            if let Some(title) = title {
                out.push_str(&format!("{mark}{title}:\n"));
            }
            for item in items {
                push(item, depth + 1, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_set_in_and_apart() {
        let all = [
            Outline::list("A", vec![Outline::item("one")]),
            Outline::list("B", vec![Outline::list("C", vec![Outline::item("two")])]),
        ];
        assert_eq!(text(&all, 0), "A:\n  * one\n\nB:\n  * C:\n    * two\n");
    }
}
