use super::*;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

struct World {
    _dir: tempfile::TempDir,
    store: Store,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store {
        path: dir.path().join("state"),
        patience: Duration::from_millis(50),
    };
    store.set_up("desk", "no key at all").unwrap();
    World { _dir: dir, store }
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_signer_has_a_name_well_known_hosts_and_nothing_else() {
    let world = world();
    let opened = world.store.open().unwrap();
    assert_eq!(opened.name().unwrap(), "desk");
    assert_eq!(opened.identities().unwrap(), Identities::default());
    assert!(opened.agents().unwrap().is_empty());
    assert_eq!(opened.pins().unwrap(), Pins::well_known());
}

#[test]
fn what_is_stored_is_the_owners_alone() {
    let world = world();
    let opened = world.store.open().unwrap();
    let of = Fingerprint([7; 32]);
    opened.save_key(of, "pem").unwrap();
    let state = world.store.path();
    assert_eq!(mode(state), 0o700);
    assert_eq!(mode(&state.join("keys")), 0o700);
    let key = opened.key_path(of);
    assert_eq!(
        key.file_name().unwrap(),
        "07070707070707070707070707070707.key"
    );
    for file in ["identities", "agents", "pins", "settings", "keys/check.key"] {
        assert_eq!(mode(&state.join(file)), 0o600, "{file}");
    }
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn asking_where_nothing_is_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(&dir.path().join("state"));
    let refused = store.open().unwrap_err();
    assert!(
        matches!(refused, StoreRefused::NotSetUp { .. }),
        "{refused}"
    );
    assert!(refused.hint().contains("vmux-signer init"));
    assert!(!store.path().exists());
}

#[test]
fn a_signer_is_set_up_once() {
    let world = world();
    let refused = world.store.set_up("other", "").unwrap_err();
    assert!(
        matches!(refused, StoreRefused::SetUpBefore { .. }),
        "{refused}"
    );
    assert_eq!(world.store.open().unwrap().name().unwrap(), "desk");
}

#[test]
fn files_of_another_mode_or_damaged_are_refused_by_name_and_left_alone() {
    for file in ["identities", "agents", "pins", "settings"] {
        let world = world();
        let path = world.store.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        let load = |opened: &Opened| -> Result<(), StoreRefused> {
            opened.name()?;
            opened.identities()?;
            opened.agents()?;
            opened.pins()?;
            Ok(())
        };
        load(&world.store.open().unwrap()).unwrap();

        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let refused = world
            .store
            .open()
            .and_then(|opened| load(&opened))
            .unwrap_err();
        assert!(
            refused.to_string().contains(&path.display().to_string()),
            "{refused}"
        );
        assert_eq!(refused.hint(), format!("chmod 600 {}", path.display()));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();

        let mut bytes = whole.clone();
        bytes[10] ^= 1;
        put(&path, &bytes);
        let refused = world
            .store
            .open()
            .and_then(|opened| load(&opened))
            .unwrap_err();
        assert!(
            matches!(refused, StoreRefused::State(StateRefused::Damaged { .. })),
            "{refused}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        put(&path, &whole);
        load(&world.store.open().unwrap()).unwrap();
    }
}

#[test]
fn a_file_of_a_newer_version_is_refused() {
    let world = world();
    let opened = world.store.open().unwrap();
    let newer = FileKind { version: 2, ..PINS };
    opened
        .dir
        .save("pins", &newer, &Pins::default().to_bytes())
        .unwrap();
    let refused = opened.pins().unwrap_err();
    assert!(
        matches!(
            refused,
            StoreRefused::State(StateRefused::NewerVersion { found: 2, .. })
        ),
        "{refused}"
    );
}

#[test]
fn a_list_that_is_missing_is_not_an_empty_one() {
    let world = world();
    std::fs::remove_file(world.store.path().join("agents")).unwrap();
    let refused = world.store.open().unwrap().agents().unwrap_err();
    assert!(matches!(refused, StoreRefused::Missing { .. }), "{refused}");
}

#[test]
fn whoever_comes_second_waits_a_moment_and_is_told_who_is_there() {
    let world = world();
    let opened = world.store.open().unwrap();
    let refused = world.store.open().unwrap_err();
    let told = format!("in use by vmux-signer (process {})", std::process::id());
    assert!(refused.to_string().ends_with(&told), "{refused}");

    let waiting = Store {
        patience: Duration::from_secs(5),
        ..world.store.clone()
    };
    let second = std::thread::spawn(move || waiting.open().map(drop));
    std::thread::sleep(Duration::from_millis(30));
    drop(opened);
    second.join().unwrap().unwrap();
}

#[test]
fn commands_work_while_a_signer_runs_and_a_second_signer_does_not() {
    let world = world();
    let run = world.store.hold_run().unwrap();
    world.store.open().unwrap();
    let refused = world.store.hold_run().unwrap_err();
    let told = format!("vmux-signer run (process {})", std::process::id());
    assert!(refused.to_string().contains(&told), "{refused}");
    drop(run);
    world.store.hold_run().unwrap();
}

#[test]
fn a_change_shows_in_the_stamps_and_no_change_does_not() {
    let world = world();
    let before = world.store.stamps();
    assert_eq!(world.store.stamps(), before);
    let opened = world.store.open().unwrap();
    opened.save_pins(&Pins::default()).unwrap();
    let after = world.store.stamps();
    assert_ne!(after.pins, before.pins);
    assert_eq!(
        (after.identities, after.agents),
        (before.identities, before.agents)
    );
}

#[expect(clippy::disallowed_methods, reason = "damage done on purpose")]
fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
