use super::*;

fn doc(epoch: u32) -> Element {
    let text = format!(
        "<cib admin_epoch='0' epoch='{epoch}' num_updates='0'><configuration>\
         <x id='x{epoch}'/></configuration></cib>"
    );
    Element::parse(&text).unwrap()
}

fn loaded_epoch(store: &Store) -> Option<u32> {
    let loaded = store.load().unwrap();
    loaded.document.map(|d| Version::of(&d).epoch)
}

#[test]
fn a_new_directory_has_no_document_and_nothing_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = Store::new(dir.path()).load().unwrap();
    assert_eq!(loaded.document, None);
    assert_eq!(loaded.findings, []);
}

#[test]
fn saves_and_loads_and_keeps_a_bounded_number_of_older_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path()).keeping(3);
    for epoch in 1..=9 {
        store.save(&doc(epoch)).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.document, Some(doc(epoch)));
        assert_eq!(loaded.findings, []);
    }
    assert_eq!(store.older_numbers(), [0, 1, 2]);
    let mut kept: Vec<u32> = (0..3)
        .map(|n| match read(&store.older_path(n)).unwrap() {
            Found::Good(document) => Version::of(&document).epoch,
            _ => panic!("{n} is not good"),
        })
        .collect();
    kept.sort_unstable();
    assert_eq!(kept, [6, 7, 8]);
    let names = fs::read_dir(dir.path()).unwrap();
    let left: Vec<_> = names
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.ends_with(".new"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_cut_or_changed_file_at_any_byte_falls_back_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.save(&doc(1)).unwrap();
    store.save(&doc(2)).unwrap();
    let file = store.document_path();
    let good = fs::read(&file).unwrap();
    let content = good.trim_ascii_end().len();
    for at in 0..content {
        fs::write(&file, &good[..at]).unwrap();
        assert_eq!(loaded_epoch(&store), Some(1), "cut at {at}");

        // The disk gave back zeros for the rest.
        let mut torn = good.clone();
        torn[at..].fill(0);
        fs::write(&file, &torn).unwrap();
        assert_eq!(loaded_epoch(&store), Some(1), "zeros from {at}");

        let mut flipped = good.clone();
        flipped[at] ^= 0x80;
        fs::write(&file, &flipped).unwrap();
        assert_eq!(loaded_epoch(&store), Some(1), "flipped at {at}");
    }
    let loaded = store.load().unwrap();
    assert!(matches!(loaded.findings[0], Finding::Damaged { .. }));
    assert!(matches!(loaded.findings[1], Finding::UsedOlder { .. }));
    fs::write(&file, &good).unwrap();
    assert_eq!(loaded_epoch(&store), Some(2));
}

#[test]
fn a_cut_digest_falls_back_and_a_missing_one_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.save(&doc(1)).unwrap();
    store.save(&doc(2)).unwrap();
    let digest = digest_path(&store.document_path());
    let good = fs::read(&digest).unwrap();
    for at in 0..good.len() {
        fs::write(&digest, &good[..at]).unwrap();
        assert_eq!(loaded_epoch(&store), Some(1), "cut at {at}");
    }
    fs::remove_file(&digest).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.document, Some(doc(2)));
    assert!(matches!(loaded.findings[..], [Finding::NoDigest { .. }]));
}

#[test]
fn damaged_older_versions_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    for epoch in 1..=4 {
        store.save(&doc(epoch)).unwrap();
    }
    fs::remove_file(store.document_path()).unwrap();
    assert_eq!(loaded_epoch(&store), Some(3));
    fs::write(store.older_path(2), "<cib").unwrap();
    fs::remove_file(digest_path(&store.older_path(1))).unwrap();
    assert_eq!(loaded_epoch(&store), Some(1));
    fs::write(store.older_path(0), "").unwrap();
    let loaded = store.load().unwrap();
    assert_eq!(loaded.document, None);
    assert_eq!(loaded.findings.last(), Some(&Finding::NothingUsable));
    // It goes on from there.
    store.save(&doc(9)).unwrap();
    assert_eq!(loaded_epoch(&store), Some(9));
}

/// Ends the process, as far as the files can tell, before the given step.
fn save_until(store: &Store, document: &Element, steps: usize) -> bool {
    let mut left = steps;
    let result = store.save_in_steps(document, &mut |_| {
        left = left.checked_sub(1).ok_or(io::ErrorKind::Interrupted)?;
        Ok(())
    });
    result.is_ok()
}

#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new_document() {
    for bound in [1, 2, 100] {
        for steps in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::new(dir.path()).keeping(bound);
            store.save(&doc(1)).unwrap();
            store.save(&doc(2)).unwrap();
            store.save(&doc(3)).unwrap();
            let done = save_until(&store, &doc(4), steps);
            let found = loaded_epoch(&store);
            assert!(
                found == Some(3) || found == Some(4),
                "{found:?} after {steps}"
            );
            assert!(!done || found == Some(4));
            // A second crash at the same place, and then a run to the end.
            save_until(&store, &doc(5), steps);
            let found = loaded_epoch(&store);
            assert!(found >= Some(3), "{found:?} after {steps} twice");
            store.save(&doc(6)).unwrap();
            assert_eq!(loaded_epoch(&store), Some(6));
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("missing"));
    let error = store.save(&doc(1)).unwrap_err().to_string();
    assert!(error.contains("missing/cib.xml.new"), "{error}");
}
