//! Rules: whether a condition on node, time, agent or operation holds at a moment.

use std::{borrow::Cow, collections::BTreeMap};

use cib::Element;

use crate::{
    dates::{self, Duration},
    score,
};

/// What a rule may look at.
#[derive(Clone, Copy, Default)]
pub(crate) struct Context<'c> {
    pub(crate) now_s: i64,
    /// Attributes of the node in question.
    pub(crate) node: Option<&'c BTreeMap<String, String>>,
    /// Parameters of the resource, for `value-source="param"`.
    pub(crate) params: Option<&'c BTreeMap<String, String>>,
    /// Meta-attributes of the resource, for `value-source="meta"`.
    pub(crate) meta: Option<&'c BTreeMap<String, String>>,
    /// Class, provider and type, for `rsc_expression`.
    pub(crate) agent: Option<(&'c str, Option<&'c str>, &'c str)>,
    /// Name and interval, for `op_expression`.
    pub(crate) op: Option<(&'c str, u32)>,
    /// Parts of the pattern that chose the resource (`%1`).
    pub(crate) captures: Option<&'c [String]>,
}

/// When time alone may next change a rule's outcome.
#[derive(Default)]
pub(crate) struct Recheck {
    at_s: Option<i64>,
}

impl Recheck {
    /// Notes a moment after which the outcome may differ.
    pub(crate) fn note(&mut self, now_s: i64, at_s: i64) {
        if at_s > now_s && self.at_s.is_none_or(|known| at_s < known) {
            self.at_s = Some(at_s);
        }
    }

    /// The earliest such moment.
    pub(crate) fn at_s(&self) -> Option<i64> {
        self.at_s
    }
}

/// Whether all rules directly inside an element hold; an element without rules always applies.
pub(crate) fn block_applies(block: &Element, ctx: &Context, recheck: &mut Recheck) -> bool {
    let mut rules = block.children_named("rule").peekable();
    rules.peek().is_none() || rules.all(|rule| holds(rule, ctx, recheck))
}

/// Whether a rule holds.
pub(crate) fn holds(rule: &Element, ctx: &Context, recheck: &mut Recheck) -> bool {
    let any = any_is_enough(rule);
    for part in rule.children() {
        let Some(passes) = condition(part, ctx, recheck) else {
            continue;
        };
        if passes == any {
            // What comes after cannot matter, nor can its moments.
            return any;
        }
    }
    !any
}

/// Whether a rule holds as soon as one of its parts does.
pub(crate) fn any_is_enough(rule: &Element) -> bool {
    rule.attr("boolean-op")
        .is_some_and(|op| op.eq_ignore_ascii_case("or"))
}

fn condition(part: &Element, ctx: &Context, recheck: &mut Recheck) -> Option<bool> {
    Some(match part.name() {
        "rule" => holds(part, ctx, recheck),
        "expression" => expression(part, ctx),
        "date_expression" => date_expression(part, ctx.now_s, recheck),
        "rsc_expression" => rsc_expression(part, ctx),
        "op_expression" => op_expression(part, ctx),
        _ => return None,
    })
}

fn rsc_expression(part: &Element, ctx: &Context) -> bool {
    let Some((class, provider, kind)) = ctx.agent else {
        return false;
    };
    part.attr("class").is_none_or(|v| v == class)
        && part.attr("provider").is_none_or(|v| Some(v) == provider)
        && part.attr("type").is_none_or(|v| v == kind)
}

fn op_expression(part: &Element, ctx: &Context) -> bool {
    let Some((name, interval_ms)) = ctx.op else {
        return false;
    };
    part.attr("name").is_none_or(|v| v == name)
        && part
            .attr("interval")
            .is_none_or(|v| score::parse_ms(v) == Some(i64::from(interval_ms)))
}

fn expression(part: &Element, ctx: &Context) -> bool {
    let Some(node) = ctx.node else {
        return false;
    };
    let Some(attribute) = part.attr("attribute") else {
        return false;
    };
    let attribute = substitute(attribute, ctx.captures);
    let actual = node.get(&*attribute).map(String::as_str);
    let operation = part.attr("operation").unwrap_or("");
    match operation {
        "defined" => return actual.is_some(),
        "not_defined" => return actual.is_none(),
        _ => {}
    }
    let literal = part.attr("value");
    let looked_up = match part.attr("value-source").unwrap_or("literal") {
        "param" => literal
            .and_then(|name| ctx.params?.get(name))
            .map(String::as_str),
        "meta" => literal
            .and_then(|name| ctx.meta?.get(name))
            .map(String::as_str),
        _ => literal,
    };
    compare(actual, looked_up, operation, part.attr("type"))
}

fn compare(
    actual: Option<&str>,
    wanted: Option<&str>,
    operation: &str,
    kind: Option<&str>,
) -> bool {
    let order = match (actual, wanted) {
        (Some(a), Some(b)) => Some(ordering(a, b, operation, kind)),
        _ => None,
    };
    match operation {
        "eq" => order.map_or(actual.is_none() && wanted.is_none(), |o| o.is_eq()),
        "ne" => order.map_or(actual.is_some() || wanted.is_some(), |o| o.is_ne()),
        "lt" => order.is_some_and(|o| o.is_lt()),
        "lte" => order.is_some_and(|o| o.is_le()),
        "gt" => order.is_some_and(|o| o.is_gt()),
        "gte" => order.is_some_and(|o| o.is_ge()),
        _ => false,
    }
}

/// Bytes of a text in ASCII, in lower case.
fn lower(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

fn ordering(a: &str, b: &str, operation: &str, kind: Option<&str>) -> std::cmp::Ordering {
    let decimal = a.contains('.') || b.contains('.');
    let kind = kind.unwrap_or(match operation {
        "lt" | "lte" | "gt" | "gte" if decimal => "number",
        "lt" | "lte" | "gt" | "gte" => "integer",
        _ => "string",
    });
    let text = || match a.is_ascii() && b.is_ascii() {
        true => lower(a).cmp(lower(b)),
        false => a.to_lowercase().cmp(&b.to_lowercase()),
    };
    match kind {
        "integer" => match (integer(a), integer(b)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => text(),
        },
        "number" => match (number(a), number(b)) {
            (Some(x), Some(y)) => x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal),
            _ => text(),
        },
        "version" => versions(a, b),
        _ => text(),
    }
}

fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    // Integers tolerate a fraction, which is cut off.
    score::leading_integer(text)
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// Compares dotted version numbers.
pub(crate) fn versions(a: &str, b: &str) -> std::cmp::Ordering {
    let numbers = |t: &str| -> Vec<u64> { t.split('.').map(|p| p.parse().unwrap_or(0)).collect() };
    let (mut x, mut y) = (numbers(a), numbers(b));
    let len = x.len().max(y.len());
    x.resize(len, 0);
    y.resize(len, 0);
    x.cmp(&y)
}

fn substitute<'a>(attribute: &'a str, captures: Option<&[String]>) -> Cow<'a, str> {
    let Some(captures) = captures.filter(|_| attribute.contains('%')) else {
        return Cow::Borrowed(attribute);
    };
    let mut out = String::new();
    let mut chars = attribute.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().and_then(|d| d.to_digit(10))) {
            ('%', Some(digit)) => {
                chars.next();
                out.push_str(captures.get(digit as usize).map_or("", String::as_str));
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn date_expression(part: &Element, now_s: i64, recheck: &mut Recheck) -> bool {
    let start = part.attr("start").and_then(dates::parse_moment);
    let mut end = part.attr("end").and_then(dates::parse_moment);
    if let (Some(start), None, Some(duration)) = (start, end, part.child("duration")) {
        end = Some(duration_of(duration).after(start));
    }
    match part.attr("operation").unwrap_or("in_range") {
        "gt" => start.is_some_and(|start| {
            recheck.note(now_s, start + 1);
            now_s > start
        }),
        "lt" => end.is_some_and(|end| {
            recheck.note(now_s, end);
            now_s < end
        }),
        "in_range" => in_range(start, end, now_s, recheck),
        "date_spec" => part
            .child("date_spec")
            .is_none_or(|spec| date_spec(spec, now_s)),
        _ => false,
    }
}

fn in_range(start: Option<i64>, end: Option<i64>, now_s: i64, recheck: &mut Recheck) -> bool {
    if let Some(start) = start.filter(|start| now_s < *start) {
        recheck.note(now_s, start);
        return false;
    }
    let Some(end) = end else {
        return start.is_some();
    };
    recheck.note(now_s, end + 1);
    now_s <= end
}

fn duration_of(xml: &Element) -> Duration {
    let n = |name: &str| xml.attr(name).and_then(score::leading_integer).unwrap_or(0);
    Duration {
        years: n("years"),
        months: n("months"),
        days: n("days") + 7 * n("weeks"),
        seconds: n("hours") * 3600 + n("minutes") * 60 + n("seconds"),
    }
}

fn date_spec(spec: &Element, now_s: i64) -> bool {
    let f = dates::fields(now_s);
    [
        ("seconds", f.second),
        ("minutes", f.minute),
        ("hours", f.hour),
        ("monthdays", f.day),
        ("weekdays", f.weekday),
        ("yeardays", f.yearday),
        ("weeks", f.week),
        ("months", f.month),
        ("years", f.year),
        ("weekyears", f.weekyear),
    ]
    .into_iter()
    .all(|(name, value)| {
        spec.attr(name)
            .is_none_or(|ranges| in_ranges(ranges, value))
    })
}

fn in_ranges(ranges: &str, value: i64) -> bool {
    ranges.split(',').any(|range| {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let low = low.trim().parse().unwrap_or(i64::MIN);
        let high = high.trim().parse().unwrap_or(i64::MAX);
        (low..=high).contains(&value)
    })
}
