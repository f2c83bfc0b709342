//! XML in: strict where quick-xml is lenient, and every refusal says where, what and what would be
//! right.

pub mod parts;

use crate::{
    names::{Name, Words},
    tree::{Element, Inner, Node},
};
use compact_str::CompactString;
use quick_xml::{Reader, errors::SyntaxError, events::Event};
use std::borrow::Cow;

/// Elements may be nested this deep; the deepest known configuration uses about twelve levels.
const MAX_DEPTH: usize = 256;

/// Why a text is not a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}; {expected}")]
pub struct ParseError {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub expected: String,
}

/// A refusal before its place has become line and column.
struct Fault {
    at: usize,
    reason: String,
    expected: String,
}

fn fault<T>(at: usize, reason: impl Into<String>, expected: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        at,
        reason: reason.into(),
        expected: expected.into(),
    })
}

pub(crate) fn parse(text: &str) -> Result<Element, ParseError> {
    let text = normalize_line_ends(text.strip_prefix('\u{feff}').unwrap_or(text));
    Builder::new(&text).run().map_err(|f| locate(&text, f))
}

/// XML 1.0, 2.11: every kind of line end is read as a line feed.
fn normalize_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

fn locate(text: &str, fault: Fault) -> ParseError {
    let before = text.get(..fault.at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    ParseError {
        line: clamp(count_lines(before.as_bytes()) + 1),
        column: clamp(before[start..].chars().count() + 1),
        reason: fault.reason,
        expected: fault.expected,
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

/// An element whose end tag has not come yet.
struct Open {
    name: Name,
    line: u32,
    attrs: Vec<(Name, CompactString)>,
    /// Where its nodes begin in `Builder::nodes`.
    first: usize,
}

struct Builder<'a> {
    text: &'a str,
    /// Line of `line_at`, counted on as the reader goes.
    line: usize,
    line_at: usize,
    open: Vec<Open>,
    /// Finished nodes of all open elements, one after the other.
    nodes: Vec<Node>,
    /// Attributes of the tag at hand.
    attrs: Vec<(Name, CompactString)>,
    /// Known words among their names.
    seen: Words,
    /// Character data since the last tag, and whether any of it was written as a reference.
    data: String,
    data_at: usize,
    referred: bool,
    /// Blanks since the last tag that nothing else has followed yet.
    blank: String,
    root: Option<Element>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            line: 1,
            line_at: 0,
            open: Vec::new(),
            nodes: Vec::new(),
            attrs: Vec::new(),
            seen: Words::default(),
            data: String::new(),
            data_at: 0,
            referred: false,
            blank: String::new(),
            root: None,
        }
    }

    fn run(mut self) -> Result<Element, Fault> {
        self.read()?;
        self.finish()
    }

    /// Reads to the end of the text.
    fn read(&mut self) -> Result<(), Fault> {
        refuse_control_characters(self.text)?;
        let mut reader = Reader::from_str(self.text);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.check_comments = true;
        loop {
            let at = offset(reader.buffer_position());
            match reader.read_event() {
                Ok(Event::Eof) => return Ok(()),
                Ok(event) => self.event(at, event)?,
                Err(error) => return self.syntax_fault(at, offset(reader.error_position()), error),
            }
        }
    }

    fn event(&mut self, at: usize, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Start(tag) => self.start(at, tag.name().0, tag.attributes_raw(), false),
            Event::Empty(tag) => self.start(at, tag.name().0, tag.attributes_raw(), true),
            Event::End(tag) => self.end(at, tag.name().0),
            Event::Text(text) => self.character_data(at, &text),
            Event::CData(text) => {
                self.referred = true;
                self.character_data(at, &text)
            }
            Event::GeneralRef(name) => {
                self.referred = true;
                let mut text = String::new();
                push_reference(&mut text, at, &name)?;
                self.character_data(at, &text)
            }
            Event::Comment(text) => {
                self.flush_data()?;
                if !self.open.is_empty() {
                    self.nodes.push(Node::Comment((*text).into()));
                }
                Ok(())
            }
            Event::Decl(_) if at == 0 => Ok(()),
            Event::Decl(_) => fault(
                at,
                "an XML declaration stands in the middle of the text",
                "it may only be the very first thing",
            ),
            Event::DocType(_) => fault(
                at,
                "a document type (DOCTYPE) is not allowed",
                "remove it: a configuration needs none",
            ),
            Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, at: usize, name: &str, attrs: &str, empty: bool) -> Result<(), Fault> {
        self.flush_data()?;
        if self.root.is_some() {
            return fault(
                at,
                format!("a second document element <{name}> follows the first"),
                "a document has exactly one outermost element",
            );
        }
        if self.open.len() >= MAX_DEPTH {
            return fault(
                at,
                format!("elements are nested deeper than {MAX_DEPTH} levels"),
                "no configuration needs that: look for a missing end tag",
            );
        }
        let known = Name::new(name);
        if known.word().is_none() {
            check_name(at + 1, name, "element")?;
        }
        self.attributes(at + 1 + name.len(), attrs)?;
        let open = Open {
            name: known,
            line: self.line_of(at),
            attrs: self.attrs.drain(..).collect(),
            first: self.nodes.len(),
        };
        if empty {
            self.complete(open);
        } else {
            self.open.push(open);
        }
        Ok(())
    }

    fn end(&mut self, at: usize, name: &str) -> Result<(), Fault> {
        self.flush_data()?;
        let Some(open) = self.open.pop() else {
            return fault(
                at,
                format!("the end tag </{name}> has no start tag"),
                format!("remove it, or add <{name}> before it"),
            );
        };
        let expected = open.name.as_str();
        if expected != name {
            return fault(
                at,
                format!("</{name}> ends <{expected}> of line {}", open.line),
                format!("</{expected}> is expected here"),
            );
        }
        self.complete(open);
        Ok(())
    }

    fn complete(&mut self, open: Open) {
        let element = Element::from_inner(Inner {
            name: open.name,
            line: open.line,
            attrs: open.attrs,
            nodes: self.nodes.drain(open.first..).collect(),
        });
        if self.open.is_empty() {
            self.root = Some(element);
        } else {
            self.nodes.push(Node::Element(element));
        }
    }

    fn character_data(&mut self, at: usize, text: &str) -> Result<(), Fault> {
        if self.data.is_empty() {
            if self.blank.is_empty() {
                self.data_at = at;
            }
            if !self.referred && is_blank(text) {
                // The indentation between tags, which is most of what comes here; text if a reference follows.
                self.blank.push_str(text);
                return Ok(());
            }
            self.data.push_str(&self.blank);
        }
        self.data.push_str(text);
        Ok(())
    }

    /// Character data ends where markup begins.
    fn flush_data(&mut self) -> Result<(), Fault> {
        let referred = std::mem::take(&mut self.referred);
        self.blank.clear();
        if self.data.is_empty() {
            return Ok(());
        }
        let data = std::mem::take(&mut self.data);
        if is_blank(&data) && !referred {
            return Ok(());
        }
        if self.open.is_empty() {
            let shown: String = data.trim().chars().take(20).collect();
            let skipped = data.len() - data.trim_start().len();
            return fault(
                self.data_at + skipped,
                format!("there is text outside the document element: '{shown}'"),
                "the text must begin with '<'; only comments may stand outside",
            );
        }
        self.nodes.push(Node::Text(data.into()));
        Ok(())
    }

    /// Fills `self.attrs` from what stands between a tag's name and its end.
    fn attributes(&mut self, at: usize, raw: &str) -> Result<(), Fault> {
        let bytes = raw.as_bytes();
        let mut pos = skip_blanks(bytes, 0);
        self.seen = Words::default();
        while pos < bytes.len() {
            if pos == 0 || !bytes.get(pos - 1).is_some_and(u8::is_ascii_whitespace) {
                return fault(
                    at + pos,
                    "there is no blank before this attribute",
                    "separate attributes by blanks",
                );
            }
            pos = self.attribute(at, raw, pos)?;
            let next = skip_blanks(bytes, pos);
            if next == pos && next < bytes.len() {
                return fault(
                    at + pos,
                    "there is no blank after the attribute's value",
                    "separate attributes by blanks",
                );
            }
            pos = next;
        }
        Ok(())
    }

    /// Reads one attribute from `pos` on; returns where it ends.
    fn attribute(&mut self, at: usize, raw: &str, pos: usize) -> Result<usize, Fault> {
        let bytes = raw.as_bytes();
        let name_end = scan(bytes, pos, |b| b == b'=' || b.is_ascii_whitespace());
        let name = raw.get(pos..name_end).unwrap_or_default();
        let known = Name::new(name);
        let word = known.word();
        if word.is_none() {
            check_name(at + pos, name, "attribute")?;
        }
        let equals = skip_blanks(bytes, name_end);
        let quote_at = skip_blanks(bytes, equals + 1);
        let quote = match (bytes.get(equals), bytes.get(quote_at)) {
            (Some(b'='), Some(quote @ (b'"' | b'\''))) => *quote,
            _ => {
                return fault(
                    at + pos,
                    format!("the attribute '{name}' has no value in quotes"),
                    format!("write {name}=\"value\""),
                );
            }
        };
        let (value_end, plain) = value_end(bytes, quote_at + 1, quote);
        let Some(value) = raw
            .get(quote_at + 1..value_end)
            .filter(|_| value_end < raw.len())
        else {
            return fault(
                at + quote_at,
                format!("the value of the attribute '{name}' is not closed"),
                "add the closing quote",
            );
        };
        let name = known;
        let is_double = match word {
            Some(word) => !self.seen.insert(word),
            None => self.attrs.iter().any(|(n, _)| *n == name),
        };
        if is_double {
            return fault(
                at + pos,
                format!("the attribute '{}' stands here twice", name.as_str()),
                "remove one of them",
            );
        }
        let value = if plain {
            value.into()
        } else {
            attribute_value(at + quote_at + 1, value)?
        };
        self.attrs.push((name, value));
        Ok(value_end + 1)
    }

    fn line_of(&mut self, at: usize) -> u32 {
        let passed = self.text.as_bytes().get(self.line_at..at);
        self.line += passed.map_or(0, count_lines);
        self.line_at = at;
        clamp(self.line)
    }

    fn finish(mut self) -> Result<Element, Fault> {
        let end = self.text.len();
        if let Some(open) = self.open.last() {
            let name = open.name.as_str();
            return fault(
                end,
                format!(
                    "the text ends before <{name}> of line {} is closed",
                    open.line
                ),
                format!("add </{name}>; the text may have been cut off"),
            );
        }
        self.flush_data()?;
        match self.root {
            Some(root) => Ok(root),
            None => fault(end, "there is no element", "a document has one, like <cib>"),
        }
    }

    /// What quick-xml itself refuses.
    fn syntax_fault<T>(
        &self,
        at: usize,
        error_at: usize,
        error: quick_xml::Error,
    ) -> Result<T, Fault> {
        let error_at = if error_at >= at { error_at } else { at };
        let expected = match &error {
            quick_xml::Error::Syntax(
                SyntaxError::UnclosedTag
                | SyntaxError::UnclosedSingleQuotedAttributeValue
                | SyntaxError::UnclosedDoubleQuotedAttributeValue,
            ) => "close the tag; the text may have been cut off",
            quick_xml::Error::Syntax(_) => "close it; the text may have been cut off",
            _ => "write '&' as &amp; and '<' as &lt;, and no '--' in comments",
        };
        fault(error_at, error.to_string(), expected)
    }
}

fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// XML 1.0, 2.2: of the characters below blank only tabulator and line ends.
fn refuse_control_characters(text: &str) -> Result<(), Fault> {
    let bad = |b: &u8| *b < b' ' && !matches!(b, b'\t' | b'\n');
    for (at, chunk) in (0..).step_by(4096).zip(text.as_bytes().chunks(4096)) {
        // A fold without an early exit is what the compiler makes vector code of.
        if chunk.iter().fold(false, |any, b| any | bad(b))
            && let Some((pos, byte)) = chunk.iter().enumerate().find(|(_, b)| bad(b))
        {
            return fault(
                at + pos,
                format!("the control character 0x{byte:02x} is not allowed in XML"),
                "remove it; the file may be damaged",
            );
        }
    }
    Ok(())
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_whitespace())
}

fn scan(bytes: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    let found = bytes.iter().skip(from).position(|b| stop(*b));
    found.map_or(bytes.len(), |n| from + n)
}

fn skip_blanks(bytes: &[u8], from: usize) -> usize {
    scan(bytes, from, |b| !b.is_ascii_whitespace())
}

/// XML 1.0, 2.3, with every character beyond ASCII taken for a letter.
fn check_name(at: usize, name: &str, what: &str) -> Result<(), Fault> {
    let starts = |b: u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b':') || b >= 0x80;
    let goes_on = |b: u8| starts(b) || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let mut bytes = name.bytes();
    if bytes.next().is_some_and(starts) && bytes.all(goes_on) {
        return Ok(());
    }
    fault(
        at,
        format!("'{name}' is not the name of an {what}"),
        "a name begins with a letter, followed by letters, digits, '-', '_' and '.'",
    )
}

/// Where an attribute's value ends, and whether it is written as it is read.
fn value_end(bytes: &[u8], from: usize, quote: u8) -> (usize, bool) {
    let mut plain = true;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        if *byte == quote {
            return (at, plain);
        }
        plain &= !is_special(*byte);
    }
    (bytes.len(), plain)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'&' | b'<' | b'\n' | b'\t')
}

/// XML 1.0, 3.3.3: references are resolved, line breaks and tabulators count as blanks.
fn attribute_value(at: usize, raw: &str) -> Result<CompactString, Fault> {
    let mut value = String::with_capacity(raw.len());
    let mut pos = 0;
    while pos < raw.len() {
        let plain_end = scan(raw.as_bytes(), pos, is_special);
        value.push_str(raw.get(pos..plain_end).unwrap_or_default());
        pos = plain_end;
        match raw.as_bytes().get(pos) {
            Some(b'<') => {
                return fault(
                    at + pos,
                    "there is a '<' in an attribute's value",
                    "write it as &lt;, or close the value before it",
                );
            }
            Some(b'&') => {
                let rest = raw.get(pos + 1..).unwrap_or_default();
                let Some((name, _)) = rest.split_once(';') else {
                    return fault(at + pos, "a single '&' means nothing", "write it as &amp;");
                };
                push_reference(&mut value, at + pos, name)?;
                pos += name.len() + 2;
            }
            Some(_) => {
                value.push(' ');
                pos += 1;
            }
            None => {}
        }
    }
    Ok(value.into())
}

/// Resolves what stands between `&` and `;`.
fn push_reference(out: &mut String, at: usize, name: &str) -> Result<(), Fault> {
    let character = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => numeric_reference(name),
    };
    match character {
        Some(character) => {
            out.push(character);
            Ok(())
        }
        None => {
            let shown: String = name.chars().take(20).collect();
            fault(
                at,
                format!("the reference '&{shown};' is not known"),
                "use &lt; &gt; &amp; &quot; &apos; or the number of a character like &#10;, \
                 and write a single '&' as &amp;",
            )
        }
    }
}

fn numeric_reference(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    char::from_u32(code).filter(|c| is_allowed(*c))
}

/// XML 1.0, 2.2.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn refused(text: &str, expected: Expect) {
        match parse(text) {
            Ok(doc) => panic!("accepted as {doc}"),
            Err(error) => expected.assert_eq(&error.to_string()),
        }
    }

    #[test]
    fn reads_lines_comments_references_and_cdata() {
        let doc = parse(
            "<?xml version=\"1.0\"?>\r\n<!-- before -->\r\n<a>\r\n  <b v='&lt;&#x41;&#10;x\n y'/>\r\n\
             <!-- in -->\n<c>1 &amp; <![CDATA[<2>]]></c></a>\n<!-- after -->\n",
        )
        .unwrap();
        assert_eq!(doc.line(), 3);
        let b = doc.child("b").unwrap();
        assert_eq!(b.line(), 4);
        assert_eq!(b.attr("v"), Some("<A\nx  y"));
        assert_eq!(doc.child("c").unwrap().text(), "1 & <2>");
        assert_eq!(doc.nodes().len(), 3);
    }

    #[test]
    fn blanks_before_a_reference_are_text() {
        for text in [
            "<a>\n &gt;b</a>",
            "<a>\n <![CDATA[>b]]></a>",
            "<a>\n <?pi?>&gt;b</a>",
        ] {
            let doc = parse(text).unwrap();
            assert_eq!(doc.text(), "\n >b", "{text}");
            assert_eq!(parse(&doc.to_xml()).as_ref(), Ok(&doc), "{text}");
        }
        assert!(parse("<a>\n <b/>\n </a>").unwrap().text().is_empty());
        refused(
            "<a/>\n  &gt;b",
            expect![
                "line 2, column 3: there is text outside the document element: '>b'; the text must begin with '<'; only comments may stand outside"
            ],
        );
    }

    #[test]
    fn refusals_say_where_what_and_what_would_be_right() {
        refused(
            "<a>\n <b>\n</a>",
            expect!["line 3, column 1: </a> ends <b> of line 2; </b> is expected here"],
        );
        refused(
            "<a><b/>",
            expect![
                "line 1, column 8: the text ends before <a> of line 1 is closed; add </a>; the text may have been cut off"
            ],
        );
        refused(
            "<a/><b/>",
            expect![
                "line 1, column 5: a second document element <b> follows the first; a document has exactly one outermost element"
            ],
        );
        refused(
            "x<a/>",
            expect![
                "line 1, column 1: there is text outside the document element: 'x'; the text must begin with '<'; only comments may stand outside"
            ],
        );
        refused(
            "<a/>\n y",
            expect![
                "line 2, column 2: there is text outside the document element: 'y'; the text must begin with '<'; only comments may stand outside"
            ],
        );
        refused(
            "</a>",
            expect![
                "line 1, column 1: the end tag </a> has no start tag; remove it, or add <a> before it"
            ],
        );
        refused(
            "",
            expect!["line 1, column 1: there is no element; a document has one, like <cib>"],
        );
        refused(
            "<!DOCTYPE a><a/>",
            expect![
                "line 1, column 1: a document type (DOCTYPE) is not allowed; remove it: a configuration needs none"
            ],
        );
        refused(
            "<a b='1' b='2'/>",
            expect!["line 1, column 10: the attribute 'b' stands here twice; remove one of them"],
        );
        refused(
            "<a b='1'c='2'/>",
            expect![
                "line 1, column 9: there is no blank after the attribute's value; separate attributes by blanks"
            ],
        );
        refused(
            "<a b=1/>",
            expect![[
                r#"line 1, column 4: the attribute 'b' has no value in quotes; write b="value""#
            ]],
        );
        refused(
            "<a b/>",
            expect![[
                r#"line 1, column 4: the attribute 'b' has no value in quotes; write b="value""#
            ]],
        );
        refused(
            "<a b='&who;'/>",
            expect![
                "line 1, column 7: the reference '&who;' is not known; use &lt; &gt; &amp; &quot; &apos; or the number of a character like &#10;, and write a single '&' as &amp;"
            ],
        );
        refused(
            "<a b='x&y'/>",
            expect!["line 1, column 8: a single '&' means nothing; write it as &amp;"],
        );
        refused(
            "<a b='&#0;'/>",
            expect![
                "line 1, column 7: the reference '&#0;' is not known; use &lt; &gt; &amp; &quot; &apos; or the number of a character like &#10;, and write a single '&' as &amp;"
            ],
        );
        refused(
            "<a>\u{1}</a>",
            expect![
                "line 1, column 4: the control character 0x01 is not allowed in XML; remove it; the file may be damaged"
            ],
        );
        refused(
            "<a b='x<y'/>",
            expect![
                "line 1, column 8: there is a '<' in an attribute's value; write it as &lt;, or close the value before it"
            ],
        );
        refused(
            "<1a/>",
            expect![
                "line 1, column 2: '1a' is not the name of an element; a name begins with a letter, followed by letters, digits, '-', '_' and '.'"
            ],
        );
        refused(
            "<a><b c='",
            expect![
                "line 1, column 4: syntax error: attribute value not closed: `'` not found before end of input; close the tag; the text may have been cut off"
            ],
        );
        refused(
            "<a>x &y</a>",
            expect![
                "line 1, column 6: ill-formed document: entity or character reference not closed: `;` not found before end of input; write '&' as &amp; and '<' as &lt;, and no '--' in comments"
            ],
        );
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |n: usize| "<a>".repeat(n) + &"</a>".repeat(n);
        assert!(parse(&nest(MAX_DEPTH)).is_ok());
        assert!(parse(&nest(MAX_DEPTH + 1)).is_err());
        assert!(parse(&"<a>".repeat(1_000_000)).is_err());
    }

    #[test]
    fn no_cut_of_a_document_is_a_document() {
        let text = parse("<a x='ü&amp;'><!-- c --><b y='1'>t<![CDATA[u]]>&lt;</b><c/></a>")
            .unwrap()
            .to_xml();
        let text = text.trim_end();
        assert!(parse(text).is_ok());
        for end in (0..text.len()).filter(|e| text.is_char_boundary(*e)) {
            assert!(parse(&text[..end]).is_err(), "{}", &text[..end]);
        }
    }
}
