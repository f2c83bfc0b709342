use super::*;
use expect_test::expect;

/// A document whose user `u` has one role with these permissions.
fn doc(permissions: &str) -> Element {
    Element::parse(&format!(
        "<cib epoch='1' x='y'><configuration><crm_config><cluster_property_set id='p'>\
         <nvpair id='p1' name='enable-acl' value='true'/></cluster_property_set></crm_config>\
         <resources><primitive id='a' class='ocf'><meta_attributes id='m'><nvpair id='n' name='k' value='v'/>\
         </meta_attributes></primitive></resources><acls><acl_role id='r'>{permissions}</acl_role>\
         <acl_target id='u'><role id='r'/></acl_target><acl_group id='g'><role id='r'/></acl_group>\
         </acls></configuration></cib>"
    ))
    .unwrap()
}

fn user(name: &str) -> Subject<'_> {
    Subject {
        user: name,
        groups: &[],
    }
}

fn seen(permissions: &str) -> String {
    let mut document = doc(permissions);
    let visible = visible(&document, &user("u"));
    document.set_attr("seen", "");
    visible.map_or_else(String::new, |mut v| {
        if let Some(c) = v.child_mut("configuration") {
            c.retain_children(|c| c.name() == "resources");
        }
        v.to_xml_compact()
    })
}

#[test]
fn who_is_bound() {
    let document = doc("");
    assert!(binds(&document, "u"));
    assert!(!binds(&document, "root"));
    assert!(!binds(&document, "hacluster"));
    assert!(!binds(&Element::parse("<cib/>").unwrap(), "u"));
    let off = document.to_xml().replace("\"true\"", "\"false\"");
    assert!(!binds(&Element::parse(&off).unwrap(), "u"));
}

#[test]
fn what_is_seen() {
    let read = "<acl_permission id='1' kind='read' xpath='/cib'/>";
    let deny = |what: &str| format!("<acl_permission id='2' kind='deny' {what}/>");
    expect![[r#"<cib epoch="1" x="y"><configuration><resources><primitive id="a" class="ocf"><meta_attributes id="m"><nvpair id="n" name="k" value="v"/></meta_attributes></primitive></resources></configuration></cib>"#]]
        .assert_eq(&seen(read));
    expect![[r#"<cib epoch="1" x="y"><configuration><resources><primitive id="a" class="ocf"/></resources></configuration></cib>"#]]
        .assert_eq(&seen(&(read.to_owned() + &deny("object-type='meta_attributes'"))));
    expect![[r#"<cib><configuration><resources><primitive id="a"><meta_attributes id="m"/></primitive></resources></configuration></cib>"#]]
        .assert_eq(&seen("<acl_permission id='1' kind='read' reference='m'/><acl_permission id='2' kind='deny' reference='n'/>"));
    assert_eq!(seen(""), "");
    assert_eq!(seen(&(read.to_owned() + &deny("xpath='/cib'"))), "");
    // A denial nobody can understand denies everything.
    assert_eq!(seen(&(read.to_owned() + &deny("xpath='//['"))), "");
    let groups = ["g".to_owned()];
    let member = Subject {
        user: "other",
        groups: &groups,
    };
    assert!(visible(&doc(read), &member).is_some());
    assert!(visible(&doc(read), &user("other")).is_none());
}

fn change(permissions: &str, edit: impl Fn(&mut Element)) -> Result<(), String> {
    let old = doc(permissions);
    let mut new = old.clone();
    edit(&mut new);
    check_change(&old, &new, &user("u")).map_err(|d| format!("{} {}", d.what, d.place))
}

fn resource(document: &mut Element) -> &mut Element {
    document
        .child_mut("configuration")
        .and_then(|c| c.child_mut("resources"))
        .and_then(|r| r.child_mut("primitive"))
        .unwrap()
}

#[test]
fn what_may_be_changed() {
    let write = "<acl_permission id='1' kind='write' xpath='//primitive'/>";
    let some = "<acl_permission id='1' kind='write' xpath=\"//nvpair[@name='k']\"/>";
    let set_type = |d: &mut Element| resource(d).set_attr("class", "lsb");
    let count = |d: &mut Element| d.set_attr("epoch", "9");
    let set_root = |d: &mut Element| d.set_attr("x", "z");
    assert_eq!(change(write, set_type), Ok(()));
    assert_eq!(change(write, count), Ok(()));
    assert_eq!(change(write, set_root), Err("change /cib".to_owned()));
    let place = "/cib/configuration/resources/primitive[@id='a']";
    assert_eq!(change(some, set_type), Err(format!("change {place}")));

    let scaffolded = |name: &'static str| {
        move |d: &mut Element| {
            let nvpair = Element::new("nvpair")
                .with_attr("id", "z")
                .with_attr("name", name);
            let set = Element::new("utilization")
                .with_attr("id", "s")
                .with_child(nvpair);
            resource(d).push(set);
        }
    };
    assert_eq!(change(some, scaffolded("k")), Ok(()));
    assert_eq!(
        change(some, scaffolded("other")),
        Err(format!("create <utilization id=\"s\"> in {place}"))
    );

    let denied = "<acl_permission id='1' kind='write' xpath='//primitive'/>\
                  <acl_permission id='2' kind='deny' reference='n'/>";
    let delete = |d: &mut Element| resource(d).retain_children(|_| false);
    assert_eq!(change(write, delete), Ok(()));
    assert_eq!(
        change(denied, delete),
        Err(format!("delete {place}/meta_attributes[@id='m']"))
    );
}

#[test]
fn nobody_gives_himself_rights() {
    let escalate = |d: &mut Element| {
        let role = d.find_id("r").unwrap().clone();
        let more = Element::parse("<acl_permission id='9' kind='write' xpath='/cib'/>").unwrap();
        let acls = d
            .child_mut("configuration")
            .and_then(|c| c.child_mut("acls"))
            .unwrap();
        acls.replace_child(0, role.with_child(more));
    };
    let write = "<acl_permission id='1' kind='write' xpath='//primitive'/>";
    assert!(change(write, escalate).is_err());
}
