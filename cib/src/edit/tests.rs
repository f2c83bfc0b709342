use super::*;

fn doc() -> Element {
    Element::parse(
        "<cib admin_epoch='1' epoch='5' num_updates='3'><configuration><crm_config/><nodes/>\
         <resources><primitive id='a' type='x'><meta_attributes id='m'><nvpair id='n' value='1'/>\
         </meta_attributes></primitive><primitive id='b' type='x'/></resources><constraints/>\
         </configuration><status><node_state id='1'/></status></cib>",
    )
    .unwrap()
}

fn operation(action: Action, xml: &str) -> Operation {
    let element = (!xml.is_empty()).then(|| Element::parse(xml).unwrap());
    Operation::new(action, element)
}

/// What an operation changes, as the paths of the patch, with the new version.
fn effect(operation: &Operation) -> String {
    let doc = doc();
    let result = match apply(&doc, operation) {
        Ok(result) => result,
        Err(error) => return format!("error: {error}"),
    };
    let patch = patch::diff(&doc, &result, patch::Style::UNVERSIONED);
    let changes = patch.iter().flat_map(Element::children).map(|change| {
        let inner = change.nodes().last().and_then(|n| n.as_element());
        let inner = inner.map(|e| format!(" {}", e.to_xml_compact()));
        format!(
            "; {} {}{}",
            change.attr("operation").unwrap(),
            change.attr("path").unwrap(),
            inner.unwrap_or_default()
        )
    });
    format!("{}{}", Version::of(&result), changes.collect::<String>())
}

use Action::{Bump, Create, Delete, DeleteAll, Erase, Modify, Patch, Replace};

#[test]
fn create() {
    let given = operation(Create, "<primitive id='c'/>").in_section("resources");
    assert_eq!(
        effect(&given),
        r#"1.6.0; create /cib/configuration/resources <primitive id="c"/>"#
    );
    let given =
        operation(Create, "<resources><primitive id='c'/></resources>").in_section("resources");
    assert_eq!(
        effect(&given),
        r#"1.6.0; create /cib/configuration/resources <primitive id="c"/>"#
    );
    let given = operation(Create, "<tag id='t'/>").in_section("tags");
    assert_eq!(
        effect(&given),
        r#"1.6.0; create /cib/configuration <tags><tag id="t"/></tags>"#
    );
    let given = operation(Create, "<x id='c'/>").at("//primitive[@id='b']");
    assert_eq!(
        effect(&given),
        r#"1.6.0; create /cib/configuration/resources/primitive[@id='b'] <x id="c"/>"#
    );
    let given = operation(Create, "<node_state id='2'/>").in_section("status");
    assert_eq!(
        effect(&given),
        r#"1.5.4; create /cib/status <node_state id="2"/>"#
    );
    let given = operation(Create, "<primitive id='a'/>").in_section("resources");
    assert_eq!(
        effect(&given),
        "error: <primitive id=\"a\"> exists already in section resources: modify or replace it, or choose another id"
    );
    let given = operation(Create, "<x id='c'/>").at("//nothing");
    assert_eq!(
        effect(&given),
        "error: there is no element selected by it in the document: //nothing"
    );
    let given = operation(Create, "<x id='c'/>").in_section("rubbish");
    assert!(matches!(
        apply(&doc(), &given),
        Err(EditError::UnknownSection(_))
    ));
}

#[test]
fn modify() {
    let given = operation(Modify, "<primitive id='b' type='y' new='1'/>");
    assert_eq!(
        effect(&given),
        "1.6.0; modify /cib/configuration/resources/primitive[@id='b'] \
         <change-result><primitive id=\"b\" type=\"y\" new=\"1\"/></change-result>"
    );
    let given = operation(
        Modify,
        "<primitive id='a'><meta_attributes id='m'><nvpair id='n' value='value++'/>\
         <nvpair id='o' value='value+=5'/></meta_attributes></primitive>",
    );
    assert_eq!(
        effect(&given),
        "1.6.0; modify /cib/configuration/resources/primitive[@id='a']/meta_attributes[@id='m']/nvpair[@id='n'] \
         <change-result><nvpair id=\"n\" value=\"2\"/></change-result>; \
         create /cib/configuration/resources/primitive[@id='a']/meta_attributes[@id='m'] <nvpair id=\"o\" value=\"5\"/>"
    );
    let given = operation(Modify, "<primitive id='a' type='x'/>");
    assert_eq!(effect(&given), "1.5.3");
    let mut given = operation(Modify, "<primitive id='c'/>").in_section("resources");
    assert_eq!(
        effect(&given),
        "error: there is no <primitive id=\"c\"> in section resources"
    );
    given.allow_create = true;
    assert_eq!(
        effect(&given),
        r#"1.6.0; create /cib/configuration/resources <primitive id="c"/>"#
    );
    let given = operation(Modify, "<cib admin_epoch='admin_epoch+=2'/>");
    assert_eq!(effect(&given), "3.5.4");
    let given = operation(Modify, "<cib epoch='4'/>");
    assert_eq!(
        effect(&given),
        "error: the new document has version 1.4.3, which is older than the present 1.5.3"
    );
}

#[test]
fn replace() {
    let given = operation(Replace, "<primitive id='b'/>");
    assert_eq!(
        effect(&given),
        "1.6.0; modify /cib/configuration/resources/primitive[@id='b'] \
         <change-result><primitive id=\"b\"/></change-result>"
    );
    let given = operation(Replace, "<status/>").in_section("status");
    assert_eq!(
        effect(&given),
        "1.5.4; delete /cib/status/node_state[@id='1']"
    );
    let given = operation(Replace, "<primitive id='c'/>");
    assert!(matches!(
        apply(&doc(), &given),
        Err(EditError::NotFound { .. })
    ));
    let whole = doc();
    let mut older = whole.clone();
    older.set_attr("num_updates", "2");
    let older = Operation::new(Replace, Some(older));
    assert!(matches!(
        apply(&whole, &older),
        Err(EditError::OldVersion { .. })
    ));
    let mut other = whole.clone();
    other
        .child_or_insert("configuration")
        .child_or_insert("tags");
    let part = Operation::new(Replace, Some(other.clone())).in_section("resources");
    assert_eq!(effect(&part), "1.5.3");
    let all = Operation::new(Replace, Some(other));
    assert_eq!(effect(&all), "1.6.0; create /cib/configuration <tags/>");
}

#[test]
fn delete() {
    let given = operation(Delete, "<nvpair id='n'/>");
    assert_eq!(
        effect(&given),
        "1.6.0; delete /cib/configuration/resources/primitive[@id='a']/meta_attributes[@id='m']/nvpair[@id='n']"
    );
    assert_eq!(
        effect(&operation(Delete, "<nvpair id='n' value='2'/>")),
        "1.5.3"
    );
    assert_eq!(
        effect(&operation(Delete, "<primitive type='x'/>")),
        "1.6.0; delete /cib/configuration/resources/primitive[@id='a']"
    );
    let both = "1.6.0; delete /cib/configuration/resources/primitive[@id='a']; \
                delete /cib/configuration/resources/primitive[@id='b']";
    assert_eq!(effect(&operation(DeleteAll, "<primitive type='x'/>")), both);
    assert_eq!(effect(&operation(DeleteAll, "").at("//primitive")), both);
    assert_eq!(
        effect(&operation(Delete, "").at("//primitive")),
        "1.6.0; delete /cib/configuration/resources/primitive[@id='a']"
    );
    assert_eq!(effect(&operation(Delete, "").at("//nothing")), "1.5.3");
    assert_eq!(
        effect(&operation(Delete, "<x/>").in_section("tags")),
        "1.5.3"
    );
    let status = operation(Delete, "<status/>").in_section("status");
    assert_eq!(effect(&status), "1.5.4; delete /cib/status");
    let all = operation(DeleteAll, "<status/>").in_section("status");
    assert_eq!(effect(&all), "1.5.4; delete /cib/status");
    assert_eq!(
        apply(&doc(), &operation(Delete, "<cib/>")),
        Err(EditError::DeleteRoot)
    );
    assert_eq!(
        apply(&doc(), &operation(Delete, "").at("/")),
        Err(EditError::DeleteRoot)
    );
}

#[test]
fn whole_documents() {
    assert_eq!(effect(&operation(Bump, "")), "1.6.0");
    let erased = apply(&doc(), &operation(Erase, "")).unwrap();
    assert_eq!(Version::of(&erased).to_string(), "2.6.0");
    assert_eq!(erased.nodes(), empty_document().nodes());
    let again = apply(&erased, &operation(Erase, "")).unwrap();
    assert_eq!(Version::of(&again).to_string(), "3.7.0");
    let patch = patch::diff(&doc(), &erased, patch::Style::EXACT).unwrap();
    let patched = apply(&doc(), &Operation::new(Patch, Some(patch.clone()))).unwrap();
    assert_eq!(patched, erased);
    assert!(matches!(
        apply(&erased, &Operation::new(Patch, Some(patch))),
        Err(EditError::Patch(PatchError::Version { .. }))
    ));
}

#[test]
fn every_action_has_a_name_and_needs_what_it_needs() {
    for (name, action) in Action::NAMES {
        assert_eq!(name.parse(), Ok(action));
        assert_eq!(action.to_string(), name);
        let bare = apply(&doc(), &Operation::new(action, None));
        let needs = !matches!(action, Bump | Erase);
        assert_eq!(bare == Err(EditError::NoElement(action)), needs, "{name}");
    }
    assert!(Operation::from_parts("eat", None, None, "", false).is_err());
    assert!(Operation::from_parts("create", None, None, "<a", false).is_err());
}

#[test]
fn an_edit_may_not_make_a_document_invalid() {
    let doc = Element::parse(
        "<cib validate-with='pacemaker-4.0' admin_epoch='0' epoch='1' num_updates='0'>\
         <configuration><crm_config/><nodes/><resources>\
         <primitive id='a' class='ocf' provider='p' type='t'/></resources><constraints/>\
         </configuration></cib>",
    )
    .unwrap();
    let wrong = "<rsc_location id='l' rsc='nope' node='n' score='1'/>";
    let edit = operation(Create, wrong).in_section("constraints");
    let error = apply(&doc, &edit).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration would be invalid: line 1, <rsc_location id=\"l\">: 'nope', which 'rsc' \
         names, does not exist; name the id of an element of this document"
    );
    assert!(matches!(error, EditError::Invalid(problems) if problems.len() == 1));
    // It has been invalid all along (there is no <status>): that does not keep from good changes.
    let good = "<rsc_location id='l' rsc='a' node='n' score='1'/>";
    assert!(apply(&doc, &operation(Create, good).in_section("constraints")).is_ok());
    // What uses a resource goes first.
    let used = apply(&doc, &operation(Create, good).in_section("constraints")).unwrap();
    let delete = operation(Delete, "<primitive id='a'/>");
    assert!(matches!(apply(&used, &delete), Err(EditError::Invalid(_))));
    let schema = operation(Modify, "<cib validate-with='pacemaker-9999.0'/>");
    assert!(matches!(apply(&doc, &schema), Err(EditError::Invalid(_))));
    let off = operation(Modify, "<cib validate-with='none'/>");
    assert!(apply(&doc, &off).is_ok());
}
