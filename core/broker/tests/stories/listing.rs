//! What every client is shown.
use crate::phone::announced;
use crate::ssh::Secret;
use crate::world::{Out, PIXEL, TABLET, World};
use vmux_broker::{Input, PhoneRecord, RecordDamaged};
use vmux_proto::message::{Identity, ToAgent};

#[test]
fn identities_are_listed_phone_by_phone_and_a_key_of_both_once() {
    let mut world = World::new();
    assert_eq!(world.labels(), ["main", "work", "spare"]);
    let keys: Vec<_> = world.list().into_iter().map(|(key, _)| key).collect();
    let expected = [&world.main, &world.work, &world.spare].map(|key| key.public().blob().to_vec());
    assert_eq!(keys, expected);
}

#[test]
fn nothing_is_listed_before_a_phone_said_what_it_offers() {
    assert!(World::offline().list().is_empty());
}

#[test]
fn identities_stay_listed_while_phones_are_away_and_after_a_restart() {
    let mut world = World::away();
    let listed = world.list();
    assert_eq!(listed.len(), 3);
    world.restart_agent();
    assert_eq!(world.list(), listed);
}

#[test]
fn identities_follow_what_a_phone_says_and_are_stored_first() {
    let mut world = World::new();
    let renamed = announced(&[(&world.work, "day job")]);
    let outs = world.say(PIXEL, &renamed);
    assert_eq!(outs, [Out::Store, Out::Identities(PIXEL, 1)]);
    assert_eq!(world.labels(), ["day job", "copy", "spare"]);
    world.say(PIXEL, &ToAgent::Identities(vec![]));
    assert_eq!(world.labels(), ["copy", "spare"]);
    world.restart_agent();
    assert_eq!(world.labels(), ["copy", "spare"], "what is gone stays gone");
}

#[test]
fn identities_of_an_unpaired_phone_are_not_listed() {
    let mut world = World::new();
    world.handle(Input::Unpair(world.link(PIXEL)));
    assert_eq!(world.labels(), ["copy", "spare"]);
    world.handle(Input::Unpair(world.link(TABLET)));
    assert!(world.list().is_empty());
}

#[test]
fn i20_labels_cannot_move_a_cursor_or_hide_anything() {
    let mut world = World::new();
    let hostile = "a\u{1b}[2J\u{202e}b\nc\0d\u{200b}";
    world.say(PIXEL, &announced(&[(&world.work, hostile)]));
    world.say(TABLET, &announced(&[(&world.spare, "Zoë's key")]));
    assert_eq!(
        world.labels(),
        [r"a\u{1b}[2J\u{202e}b\u{a}c\u{0}d\u{200b}", "Zoë's key"]
    );
}

#[test]
fn keys_of_a_kind_this_agent_does_not_know_are_left_out() {
    let mut world = World::new();
    let strange = |key: &[u8]| Identity {
        key: key.to_vec().into(),
        label: "new".into(),
    };
    let known = Identity {
        key: world.work.public().blob().to_vec().into(),
        label: "work".into(),
    };
    let said = vec![strange(b""), strange(b"\0\0\0\x03new\0\0\0\x01k"), known];
    world.say(PIXEL, &ToAgent::Identities(said));
    assert_eq!(world.labels(), ["work", "copy", "spare"]);
}

#[test]
fn as_many_identities_as_a_phone_can_have_are_listed_and_with_one_more_the_frame_is_refused() {
    let mut world = World::new();
    let keys: Vec<_> = (0..65).map(|n| Secret::new(100 + n)).collect();
    let named: Vec<_> = keys.iter().map(|key| (key, "key")).collect();
    world.say(PIXEL, &announced(&named[..64]));
    assert_eq!(world.list().len(), 66);
    let outs = world.say(PIXEL, &announced(&named));
    assert_eq!(outs, [Out::Away(PIXEL), Out::Restart(PIXEL)]);
    assert_eq!(world.list().len(), 66, "what was said before stands");
}

#[test]
fn records_come_back_as_they_were_stored() {
    let world = World::away();
    let stored = world.broker.phones_to_bytes();
    let read = PhoneRecord::list_from_bytes(&stored).unwrap();
    assert_eq!(*PhoneRecord::list_to_bytes(&read), *stored);
    for (read, kept) in read.iter().zip(world.broker.phones()) {
        assert_eq!(
            (&read.name, &read.kind, &read.relay),
            (&kept.name, &kept.kind, &kept.relay)
        );
        assert_eq!(
            (read.paired, read.seen, read.id()),
            (kept.paired, kept.seen, kept.id())
        );
        assert_eq!(read.identities, kept.identities);
    }
    assert_eq!(read.len(), 2);
    assert!(
        PhoneRecord::list_from_bytes(&PhoneRecord::list_to_bytes([]))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn damaged_records_are_refused_wherever_they_are_cut() {
    let stored = World::away().broker.phones_to_bytes();
    for length in 0..stored.len() {
        let cut = PhoneRecord::list_from_bytes(&stored[..length]);
        assert!(matches!(cut, Err(RecordDamaged)), "{length} bytes");
    }
    let longer = [&stored[..], &[0]].concat();
    assert!(matches!(
        PhoneRecord::list_from_bytes(&longer),
        Err(RecordDamaged)
    ));
}
