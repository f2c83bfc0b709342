//! What an agent says about itself (OCF resource agent API 1.1, "Resource Agent Meta-data").

use quick_xml::{
    Reader,
    events::{BytesRef, BytesStart, Event},
};

/// An agent's description of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Agent.
    pub name: String,
    /// One line.
    pub shortdesc: String,
    /// More.
    pub longdesc: String,
    /// Its parameters, in its order.
    pub parameters: Vec<Parameter>,
    /// Its actions, in its order.
    pub actions: Vec<ActionInfo>,
}

/// One parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// Name, as in `OCF_RESKEY_name`.
    pub name: String,
    /// One line.
    pub shortdesc: String,
    /// More.
    pub longdesc: String,
    /// `string`, `integer`, `boolean`, `time`, `select`, …
    pub kind: String,
    /// Value if it is not set.
    pub default: Option<String>,
    /// Must be set.
    pub required: bool,
    /// Takes effect without a restart (`reload-agent`).
    pub reloadable: bool,
    /// No two resources may have the same value, as members of this group.
    pub unique_group: Option<String>,
    /// Marked as deprecated.
    pub deprecated: bool,
}

/// One action, with the times the agent's author recommends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionInfo {
    /// Name.
    pub name: String,
    /// In milliseconds.
    pub timeout_ms: Option<u64>,
    /// In milliseconds.
    pub interval_ms: Option<u64>,
    /// `Promoted` (or the older `Master`), if it is for one role only.
    pub role: Option<String>,
    /// `OCF_CHECK_LEVEL`.
    pub depth: Option<String>,
}

/// The text is not an agent's metadata.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("meta-data, near byte {position}: {problem}")]
pub struct ParseError {
    /// Byte offset in the text.
    pub position: u64,
    /// What is wrong.
    pub problem: String,
}

/// Reads metadata. What it does not know, it skips.
///
/// # Errors
/// The text is not XML, or not a `<resource-agent>`.
pub fn parse(text: &str) -> Result<Metadata, ParseError> {
    let mut reader = Reader::from_str(text);
    let mut builder = Builder::default();
    loop {
        let event = reader.read_event().map_err(|e| ParseError {
            position: reader.error_position(),
            problem: e.to_string(),
        })?;
        match event {
            Event::Eof => break,
            Event::Start(start) => builder.open(&start, false),
            Event::Empty(start) => builder.open(&start, true),
            Event::End(_) => builder.close(),
            Event::Text(text) => builder.text(&text),
            Event::CData(text) => builder.text(&text),
            Event::GeneralRef(reference) => builder.text(&resolve(&reference)),
            _ => {}
        }
    }
    match builder.is_agent {
        true => Ok(builder.metadata),
        false => Err(ParseError {
            position: reader.buffer_position(),
            problem: "no <resource-agent> element".to_owned(),
        }),
    }
}

/// `20s`, `2min`, `1h`, `500ms`, `20` (seconds): milliseconds.
pub fn parse_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "ms" | "msec" => 1,
        "" | "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Follows the path of open elements.
#[derive(Default)]
struct Builder {
    metadata: Metadata,
    path: Vec<String>,
    is_agent: bool,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>, empty: bool) {
        let tag = start.name().0.to_owned();
        let parent = self.path.last().map(String::as_str).unwrap_or_default();
        match (parent, tag.as_str()) {
            ("", "resource-agent") => {
                self.is_agent = true;
                self.metadata.name = attr(start, "name").unwrap_or_default();
            }
            ("parameters", "parameter") => self.metadata.parameters.push(parameter(start)),
            ("parameter", "content") => self.content(start),
            ("parameter", "deprecated") => {
                if let Some(p) = self.metadata.parameters.last_mut() {
                    p.deprecated = true;
                }
            }
            ("actions", "action") => self.metadata.actions.push(action(start)),
            _ => {}
        }
        if !empty {
            self.path.push(tag);
        }
    }

    fn close(&mut self) {
        self.path.pop();
    }

    fn content(&mut self, start: &BytesStart<'_>) {
        if let Some(p) = self.metadata.parameters.last_mut() {
            p.kind = attr(start, "type").unwrap_or_default();
            p.default = attr(start, "default");
        }
    }

    fn text(&mut self, text: &str) {
        let [.., parent, tag] = self.path.as_slice() else {
            return;
        };
        let parameter = self.metadata.parameters.last_mut();
        let target = match (parent.as_str(), tag.as_str(), parameter) {
            ("resource-agent", "shortdesc", _) => &mut self.metadata.shortdesc,
            ("resource-agent", "longdesc", _) => &mut self.metadata.longdesc,
            ("parameter", "shortdesc", Some(p)) => &mut p.shortdesc,
            ("parameter", "longdesc", Some(p)) => &mut p.longdesc,
            _ => return,
        };
        target.push_str(text);
    }
}

fn parameter(start: &BytesStart<'_>) -> Parameter {
    let name = attr(start, "name").unwrap_or_default();
    let is = |key| attr(start, key).is_some_and(|v| is_true(&v));
    let unique = is("unique");
    Parameter {
        required: is("required"),
        // OCF 1.0 agents say `unique` where 1.1 says `reloadable`: what is not unique may be reloaded.
        reloadable: attr(start, "reloadable").map_or(!unique, |v| is_true(&v)),
        unique_group: attr(start, "unique-group").or_else(|| unique.then(|| name.clone())),
        name,
        ..Parameter::default()
    }
}

fn action(start: &BytesStart<'_>) -> ActionInfo {
    ActionInfo {
        name: attr(start, "name").unwrap_or_default(),
        timeout_ms: attr(start, "timeout").as_deref().and_then(parse_ms),
        interval_ms: attr(start, "interval").as_deref().and_then(parse_ms),
        role: attr(start, "role"),
        depth: attr(start, "depth"),
    }
}

fn attr(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = start.try_get_attribute(name).ok()??;
    let raw = attribute.value.into_owned();
    Some(match quick_xml::escape::unescape(&raw) {
        Ok(value) => value.into_owned(),
        Err(_) => raw,
    })
}

fn resolve(reference: &BytesRef<'_>) -> String {
    let raw = format!("&{};", &**reference);
    match quick_xml::escape::unescape(&raw) {
        Ok(text) => text.into_owned(),
        Err(_) => raw.clone(),
    }
}

fn is_true(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "1" | "true" | "yes" | "on" | "y"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_actions() {
        let text = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="X"><shortdesc lang="en">a &amp; b</shortdesc>
<parameters><parameter name="p" required="1" unique="1"><shortdesc>P</shortdesc>
<content type="string" default="&lt;d&gt;"/></parameter></parameters>
<actions><action name="start" timeout="2min"/><action name="monitor" timeout="20" interval="10s" depth="0"/></actions>
</resource-agent>"#;
        let m = parse(text).unwrap();
        assert_eq!((m.name.as_str(), m.shortdesc.as_str()), ("X", "a & b"));
        let p = &m.parameters[0];
        assert_eq!((p.name.as_str(), p.required), ("p", true));
        assert_eq!(p.default.as_deref(), Some("<d>"));
        assert_eq!(p.unique_group.as_deref(), Some("p"));
        assert_eq!(m.actions[0].timeout_ms, Some(120_000));
        assert_eq!(m.actions[1].interval_ms, Some(10_000));
    }

    #[test]
    fn something_else_is_refused() {
        assert!(parse("usage: agent {start|stop}").is_err());
        assert!(parse("<a><b></a>").is_err());
    }

    #[test]
    fn times() {
        assert_eq!(parse_ms("1500ms"), Some(1500));
        assert_eq!(parse_ms("20"), Some(20_000));
        assert_eq!(parse_ms("soon"), None);
        assert_eq!(parse_ms("99999999999999999999s"), None);
    }
}
