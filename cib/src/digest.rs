//! Digests of documents: those of the field's files and patches, and a strong one for our log.

use crate::{Element, write};
use md5::Md5;
use sha2::{Digest, Sha256};

/// Attributes that say who wrote a document and when; they do not make it another one.
const ABOUT_THE_WRITER: [&str; 5] = [
    "crm-debug-origin",
    "cib-last-written",
    "update-origin",
    "update-client",
    "update-user",
];

/// Digest that stands beside a `cib.xml`: MD5 over the compact text with a blank before and a line
/// feed after it, in hexadecimal.
pub fn on_disk(element: &Element) -> String {
    hex(&Md5::digest(format!(" {}\n", element.to_xml_compact())))
}

/// Digest that a patch names to check its result: MD5 over the compact text without the attributes
/// that only tell who wrote it when, in hexadecimal.
pub fn of_result(element: &Element) -> String {
    let text = write::compact_filtered(element, &|name| !ABOUT_THE_WRITER.contains(&name));
    hex(&Md5::digest(text))
}

/// SHA-256 over the compact text: what members compare to know that they hold the same document.
pub fn sha256(element: &Element) -> String {
    hex(&Sha256::digest(element.to_xml_compact()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_does_not_count_in_a_result() {
        let plain = Element::parse("<cib epoch='1'><status/></cib>").unwrap();
        let written = plain.clone().with_attr("update-user", "root");
        assert_eq!(of_result(&plain), of_result(&written));
        assert_ne!(on_disk(&plain), on_disk(&written));
        assert_ne!(sha256(&plain), sha256(&written));
    }

    #[test]
    fn known_values() {
        let doc = Element::new("cib");
        // printf ' <cib/>\n' | md5sum; printf '<cib/>' | md5sum; printf '<cib/>' | sha256sum
        assert_eq!(on_disk(&doc), "9da2e159fcd5d580a06068e4ba442380");
        assert_eq!(of_result(&doc), "e16800d1e50069053c963f5144a67707");
        assert_eq!(
            sha256(&doc),
            "de0125c7b8cceef515ac660613686a6b8a7c7a3ad9db978f6dce0fc57659b072"
        );
    }
}
