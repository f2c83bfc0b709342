use super::*;
use crate::Node;
use expect_test::expect;
use proptest::prelude::*;

fn parse(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn check(old: &Element, new: &Element) {
    match diff(old, new, Style::EXACT) {
        None => assert_eq!(old, new),
        Some(patch) => {
            let again = parse(&patch.to_xml());
            let result = apply(old, &again);
            assert_eq!(result.as_ref(), Ok(new), "\nold {old}\npatch {patch}");
        }
    }
}

#[test]
fn layout() {
    let old = parse(
        "<cib epoch='1' num_updates='0' admin_epoch='0'><configuration><!-- a --><crm_config/>\
         <!-- b --><nodes><node id='1' x='1' y='2'/><node id='2'/><node id='3'/></nodes>\
         </configuration><status/></cib>",
    );
    let new = parse(
        "<cib epoch='2' num_updates='0' admin_epoch='0'><configuration><crm_config/>\
         <nodes><node id='3'/><node id='1' y='2' z='3'/><node id='4'/></nodes><!-- c -->\
         </configuration><status/></cib>",
    );
    expect![[r#"
        <diff format="2">
          <version>
            <source admin_epoch="0" epoch="1" num_updates="0"/>
            <target admin_epoch="0" epoch="2" num_updates="0"/>
          </version>
          <change operation="delete" path="/cib/configuration/comment" position="0"/>
          <change operation="delete" path="/cib/configuration/comment" position="1"/>
          <change operation="delete" path="/cib/configuration/nodes/node[@id='2']"/>
          <change operation="modify" path="/cib">
            <change-list>
              <change-attr name="epoch" operation="set" value="2"/>
            </change-list>
            <change-result>
              <cib epoch="2" num_updates="0" admin_epoch="0"/>
            </change-result>
          </change>
          <change operation="move" path="/cib/configuration/nodes/node[@id='3']" position="0"/>
          <change operation="modify" path="/cib/configuration/nodes/node[@id='1']">
            <change-list>
              <change-attr name="y" operation="set" value="2"/>
              <change-attr name="z" operation="set" value="3"/>
              <change-attr name="x" operation="unset"/>
            </change-list>
            <change-result>
              <node id="1" y="2" z="3"/>
            </change-result>
          </change>
          <change operation="move" path="/cib/configuration/nodes/node[@id='1']" position="1"/>
          <change operation="create" path="/cib/configuration/nodes" position="2">
            <node id="4"/>
          </change>
          <change operation="create" path="/cib/configuration" position="2">
            <!-- c -->
          </change>
        </diff>
    "#]]
    .assert_eq(&diff(&old, &new, Style::FILES).unwrap().to_xml());
    check(&old, &new);
}

#[test]
fn without_order_or_versions_their_changes_are_none() {
    let old = parse("<cib epoch='1'><a x='1' y='2'/></cib>");
    let new = parse("<cib epoch='2'><a y='2' x='1'/></cib>");
    let style = Style {
        versions: false,
        digest: false,
        attribute_order: false,
    };
    assert_eq!(diff(&old, &new, style), None);
    check(&old, &new);
}

#[test]
fn awkward_documents() {
    for (old, new) in [
        ("<a/>", "<b/>"),
        ("<a id='1'/>", "<a id='2'/>"),
        ("<a><b/><b/></a>", "<a><b/></a>"),
        ("<a><b/><b x='1'/></a>", "<a><b x='1'/><b/></a>"),
        ("<a><b/><b/><c/></a>", "<a><c/><b/><b/></a>"),
        ("<a><b id='1'/><b/></a>", "<a><b id='1'/><b x='1'/></a>"),
        (
            "<a><b id='it&apos;s'/></a>",
            "<a><b id='it&apos;s' x='1'/></a>",
        ),
        (
            "<a><b id='&apos;&quot;'/><c/></a>",
            "<a><b id='&apos;&quot;' x='1'/><c/></a>",
        ),
        (
            "<a><b id='&apos;&quot;'/><c/></a>",
            "<a><c/><b id='&apos;&quot;'/></a>",
        ),
        ("<a><b id=']/['><c/></b></a>", "<a><b id=']/['><d/></b></a>"),
        ("<a>text<b/></a>", "<a>other<b/></a>"),
        ("<a><b/>x</a>", "<a>x<b/></a>"),
        ("<a><comment/><!--c--></a>", "<a><!--c--><comment/></a>"),
        ("<a><x/><y/><!--c--></a>", "<a><y/><z/><!--c--></a>"),
        ("<a><b id=''/></a>", "<a><b id='' x=''/></a>"),
    ] {
        let (old, new) = (parse(old), parse(new));
        check(&old, &new);
        check(&new, &old);
    }
}

#[test]
fn a_patch_that_does_not_fit_is_refused() {
    let old = parse("<cib epoch='1'><a id='1'/></cib>");
    let new = parse("<cib epoch='2'><b id='1'/></cib>");
    let patch = diff(&old, &new, Style::EXACT).unwrap();
    let error = |doc: &Element, patch: &Element| apply(doc, patch).unwrap_err().to_string();

    expect!["the patch is for version 0.1.0, but the document has version 0.2.0"]
        .assert_eq(&error(&new, &patch));
    let other = parse("<cib epoch='1'><a id='1'/><c/></cib>");
    assert!(error(&other, &patch).contains("digest"));
    let empty = parse("<cib epoch='1'/>");
    expect!["line 0 of the patch: there is no /cib/a[@id='1'] in the document to delete"]
        .assert_eq(&error(&empty, &patch));
    expect![[r#"this is not a patch of format 2: it is a <cib>; <diff format="2"> with <change> elements is"#]]
        .assert_eq(&error(&old, &old));
    let odd = parse("<diff format='2'><change operation='eat' path='/cib'/></diff>");
    expect![[r#"this is not a patch of format 2: the change in line 1 is to do 'eat'; <diff format="2"> with <change> elements is"#]]
        .assert_eq(&error(&old, &odd));
    for odd in [
        "<diff format='2'><change operation='delete' path='/cib'/></diff>",
        "<diff format='2'><change operation='delete' path='/cib/a' position='0'/></diff>",
        "<diff format='2'><change operation='move' path='cib'/></diff>",
        "<diff format='2'><change operation='modify' path='/cib'/></diff>",
        "<diff format='2'><change operation='create' path='/nope'><x/></change></diff>",
        "<diff format='2'><change operation='create' path='/cib'/></diff>",
        "<diff format='2'><change operation='delete' path='/cib/a[@id=1]'/></diff>",
    ] {
        assert!(apply(&old, &parse(odd)).is_err(), "{odd}");
    }
}

#[test]
fn shared_parts_are_not_looked_at() {
    let mut old = Element::new("cib");
    for n in 0..50 {
        let mut big = Element::new("part").with_attr("id", n.to_string());
        for m in 0..1000 {
            big.push(Element::new("x").with_attr("id", format!("{n}-{m}")));
        }
        old.push(big);
    }
    let mut new = old.clone();
    for part in new.children_mut().take(1) {
        part.set_attr("changed", "yes");
    }
    let patch = diff(&old, &new, Style::UNVERSIONED).unwrap();
    assert_eq!(patch.children().count(), 1);
    let result = apply(&old, &patch).unwrap();
    let shared = old.children().zip(result.children());
    assert_eq!(shared.filter(|(a, b)| a.ptr_eq(b)).count(), 49);
}

/// Small trees out of few names, so that nearly everything happens.
fn tree() -> impl Strategy<Value = Element> {
    let attrs = proptest::collection::vec((0..3_usize, 0..3_u8), 0..3);
    let id = proptest::option::weighted(0.7, 0..6_u8);
    let leaf = (0..3_usize, id, attrs).prop_map(|(name, id, attrs)| {
        let mut element = Element::new(["a", "b", "comment"][name]);
        for (attr, value) in attrs {
            element.set_attr(["x", "y", "z"][attr], value.to_string());
        }
        if let Some(id) = id {
            let id = ["0", "1", "2", "it's", "\"", "'\""][usize::from(id)];
            element.set_attr("id", id);
        }
        element
    });
    leaf.clone().prop_recursive(4, 40, 6, move |inner| {
        let node = prop_oneof![
            8 => inner.prop_map(Node::Element),
            1 => (0..3_u8).prop_map(|n| Node::Comment(format!(" {n} ").into())),
            1 => (0..3_u8).prop_map(|n| Node::Text(format!("t{n}").into())),
        ];
        (leaf.clone(), proptest::collection::vec(node, 0..6)).prop_map(|(mut element, nodes)| {
            for node in nodes {
                let two_texts = matches!(node, Node::Text(_))
                    && matches!(element.nodes().last(), Some(Node::Text(_)));
                // Neighbouring texts are one once they are written down.
                if !two_texts {
                    element.push_node(node);
                }
            }
            element
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn applying_the_difference_gives_the_other_document(old in tree(), new in tree()) {
        let wrap = |e: Element| Element::new("cib").with_child(e.with_attr("id", "top"));
        check(&old, &new);
        check(&wrap(old), &wrap(new));
    }
}
