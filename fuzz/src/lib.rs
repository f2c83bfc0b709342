//! What the fuzz targets share: changes of a document that leave it one, for a fuzzer that only knows bytes seldom
//! gets past the parser.
//!
//! Must never: know what a change should lead to.

#[path = "../../scheduler/tests/changing/mod.rs"]
mod changing;

use changing::{Dice, at_position};
use cib::Element;

/// Values that no configuration should have, and some that few have.
const ODD: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "7",
    "8",
    "190",
    "193",
    "1000000",
    "INFINITY",
    "-INFINITY",
    "999999999999999999999",
    "-9223372036854775808",
    "2147483648",
    "NaN",
    "true",
    "false",
    "nothing-of-that-name",
    "Promoted",
    "Started",
    "Stopped",
    "start",
    "stop",
    "promote",
    "demote",
    "monitor",
    "migrate_to",
    "migrate_from",
    "notify",
    "fence",
    "block",
    "ban",
    "standby",
    "ignore",
    "P1D",
    "PT0S",
    "99999999h",
    "2038-01-19T03:14:08Z",
    "0000-00-00",
    ":",
    "a:b:c",
    "ü#",
    "mandatory",
    "Optional",
    "Serialize",
    "always",
    "never",
    "exclusive",
    "online",
    "offline",
    "member",
    "down",
];

/// Changes a document in one to four places.
pub fn change(document: &mut Element, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..=dice.below(4) {
        let mut values = Vec::new();
        let mut elements = Vec::new();
        collect(document, &mut values, &mut elements);
        let at = dice.below(elements.len());
        if let Some(element) = at_position(document, at) {
            change_one(element, &mut dice, &values, &elements);
        }
    }
}

fn collect(element: &Element, values: &mut Vec<String>, elements: &mut Vec<Element>) {
    values.extend(element.attrs().map(|(_, value)| value.to_owned()));
    elements.push(element.clone());
    for child in element.children() {
        collect(child, values, elements);
    }
}

fn change_one(element: &mut Element, dice: &mut Dice, values: &[String], elements: &[Element]) {
    let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
    let children = element.children().count();
    match dice.below(8) {
        0 => {
            let gone = dice.below(children);
            let mut at = 0;
            element.retain_children(|_| {
                at += 1;
                at != gone + 1
            });
        }
        1 => {
            let place = dice.below(children + 1);
            let own = element.children().nth(dice.below(children)).cloned();
            let any = elements.get(dice.below(elements.len())).cloned();
            let new = if dice.below(2) == 0 { own } else { any };
            if let Some(new) = new {
                element.insert_child(place, new);
            }
        }
        2 => {
            if let Some(name) = dice.one_of(&names) {
                element.remove_attr(name);
            }
        }
        3 | 4 => {
            let value = ODD.get(dice.below(ODD.len()));
            if let (Some(name), Some(value)) = (dice.one_of(&names), value) {
                element.set_attr(name, value);
            }
        }
        _ => {
            if let (Some(name), Some(value)) = (dice.one_of(&names), dice.one_of(values)) {
                element.set_attr(name, value);
            }
        }
    }
}

/// A mutation of `data[..size]` in place: of the document it is, if it is one and the result has room. The new size.
pub fn mutate(data: &mut [u8], size: usize, seed: u32) -> Option<usize> {
    let text = std::str::from_utf8(data.get(..size)?).ok()?;
    let mut document = Element::parse(text).ok()?;
    change(&mut document, u64::from(seed));
    let text = document.to_xml();
    data.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(text.len())
}
