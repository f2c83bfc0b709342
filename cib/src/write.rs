//! XML out, in the layout of the field: two blanks a level, attributes on one line, empty elements
//! closed at once.

use crate::tree::{Element, Node};

pub(crate) fn pretty(element: &Element) -> String {
    let mut out = String::new();
    write_pretty(&mut out, element, 0);
    out
}

pub(crate) fn compact(element: &Element) -> String {
    compact_filtered(element, &|_| true)
}

/// Without the attributes whose names `keep` refuses.
pub(crate) fn compact_filtered(element: &Element, keep: &dyn Fn(&str) -> bool) -> String {
    let mut out = String::new();
    write_compact(&mut out, element, keep);
    out
}

fn write_pretty(out: &mut String, element: &Element, depth: usize) {
    indent(out, depth);
    if element.nodes().iter().any(|n| matches!(n, Node::Text(_))) {
        // Blanks next to text would become part of it.
        write_compact(out, element, &|_| true);
        out.push('\n');
        return;
    }
    open(out, element, &|_| true);
    if element.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for node in element.nodes() {
        match node {
            Node::Element(child) => write_pretty(out, child, depth + 1),
            Node::Comment(text) => {
                indent(out, depth + 1);
                comment(out, text);
                out.push('\n');
            }
            Node::Text(_) => {}
        }
    }
    indent(out, depth);
    close(out, element);
    out.push('\n');
}

fn write_compact(out: &mut String, element: &Element, keep: &dyn Fn(&str) -> bool) {
    open(out, element, keep);
    if element.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in element.nodes() {
        match node {
            Node::Element(child) => write_compact(out, child, keep),
            Node::Comment(text) => comment(out, text),
            Node::Text(text) => escape(out, text, false),
        }
    }
    close(out, element);
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn open(out: &mut String, element: &Element, keep: &dyn Fn(&str) -> bool) {
    out.push('<');
    out.push_str(element.name());
    for (name, value) in element.attrs() {
        if keep(name) {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(out, value, true);
            out.push('"');
        }
    }
}

fn close(out: &mut String, element: &Element) {
    out.push_str("</");
    out.push_str(element.name());
    out.push('>');
}

fn comment(out: &mut String, text: &str) {
    out.push_str("<!--");
    out.push_str(text);
    out.push_str("-->");
}

/// Writes text so that it reads back as it was; in an attribute that includes line breaks.
pub(crate) fn escape(out: &mut String, text: &str, in_attribute: bool) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let replacement = match byte {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'&' => "&amp;",
            b'"' if in_attribute => "&quot;",
            b'\n' if in_attribute => "&#10;",
            b'\t' if in_attribute => "&#9;",
            b'\r' => "&#13;",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        out.push_str(replacement);
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn layout() {
        let doc = Element::parse(
            "<cib  a='1'   b=\"2\"><x></x><!-- c --><y><z/></y><t>some <i>text</i></t></cib>",
        )
        .unwrap();
        expect![[r#"
            <cib a="1" b="2">
              <x/>
              <!-- c -->
              <y>
                <z/>
              </y>
              <t>some <i>text</i></t>
            </cib>
        "#]]
        .assert_eq(&doc.to_xml());
    }

    #[test]
    fn special_characters_survive() {
        let value = "a<b>&\"c'\n\t\rü";
        let doc = Element::new("x").with_attr("v", value);
        let text = doc.to_xml();
        assert_eq!(text, "<x v=\"a&lt;b&gt;&amp;&quot;c'&#10;&#9;&#13;ü\"/>\n");
        assert_eq!(Element::parse(&text).unwrap(), doc);
    }
}
