//! What is stored: damage is noticed or harmless, duplicates and hostile names are refused, and
//! every limit stands where it should.
use crate::ssh::{Secret, certificate};
use crate::world::{World, identity, paired};
use minicbor::Encoder;
use vmux_proto::key::{KeyData, PublicKey};
use vmux_proto::limits::{MAX_IDENTITIES, MAX_IDENTITY_BLOB, MAX_NAME};
use vmux_proto::untrusted::is_visible;
use vmux_signer::{
    AgentRecord, Identities, IdentityRefused, Input, PinName, PinNameRefused, Pins, RecordDamaged,
};

const MAX_PINS: usize = 10_000;

/// Characters that hide, move or reverse what stands around them.
const HOSTILE: [char; 10] = [
    '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}',
];

fn two_identities() -> Identities {
    let mut identities = Identities::default();
    identities
        .add(identity("main", &Secret::ed25519(1)))
        .unwrap();
    identities.add(identity("work", &Secret::p256(2))).unwrap();
    identities
}

fn two_agents() -> Vec<AgentRecord> {
    vec![paired(0x10, "laptop").1, paired(0x20, "server").1]
}

/// `bytes` with each byte in turn set to other values.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).flat_map(move |position| {
        let original = bytes[position];
        let others = [
            original ^ 1,
            original ^ 0x80,
            original.wrapping_add(1),
            0,
            0x9f,
            0xff,
        ];
        others
            .into_iter()
            .filter(move |other| *other != original)
            .map(move |other| {
                let mut damaged = bytes.to_vec();
                damaged[position] = other;
                damaged
            })
    })
}

/// `bytes` cut at each position, and with a byte more.
fn of_another_length(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let shorter = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    shorter.chain([0, 0x80, 0xff].map(|more| [bytes, &[more]].concat()))
}

/// A stored list of one, with its one entry twice.
fn twice(list: &[u8]) -> Vec<u8> {
    let (header, entry) = list.split_first().unwrap();
    assert_eq!(*header, 0x81, "a list of one");
    [&[0x82], entry, entry].concat()
}

#[test]
fn stored_identities_come_back_and_of_another_length_they_are_damage() {
    let mut identities = two_identities();
    identities.disable("work").unwrap();
    let bytes = identities.to_bytes();
    assert_eq!(Identities::from_bytes(&bytes), Ok(identities));
    for other in of_another_length(&bytes) {
        assert_eq!(Identities::from_bytes(&other), Err(RecordDamaged));
    }
}

#[test]
fn damaged_identities_are_noticed_or_still_identities() {
    let bytes = two_identities().to_bytes();
    for damaged in damaged(&bytes) {
        if let Ok(read) = Identities::from_bytes(&damaged) {
            assert_eq!(read.all().len(), 2);
            for identity in read.all() {
                assert!(identity.label.chars().all(is_visible));
                assert!((1..=MAX_NAME).contains(&identity.label.len()));
                assert_eq!(
                    PublicKey::parse(identity.key.blob()),
                    Ok(identity.key.clone())
                );
            }
            assert_eq!(Identities::from_bytes(&read.to_bytes()), Ok(read));
        }
    }
}

#[test]
fn stored_pins_come_back_and_of_another_length_they_are_damage() {
    let mut world = World::new();
    world.knows(&Secret::ed25519(0x41), "web");
    world.knows(&Secret::p256(0x42), "bastion");
    let pins = world.signer.pins();
    let bytes = pins.to_bytes();
    assert_eq!(Pins::from_bytes(&bytes).as_ref(), Ok(pins));
    for other in of_another_length(&bytes) {
        assert_eq!(Pins::from_bytes(&other), Err(RecordDamaged));
    }
}

#[test]
fn damaged_pins_are_noticed_or_still_pins() {
    let bytes = Pins::well_known().to_bytes();
    for damaged in damaged(&bytes) {
        if let Ok(read) = Pins::from_bytes(&damaged) {
            assert_eq!(read.all().len(), Pins::well_known().all().len());
            for pin in read.all() {
                assert_eq!(PinName::parse(pin.name.as_str()).as_ref(), Ok(&pin.name));
            }
            assert_eq!(Pins::from_bytes(&read.to_bytes()), Ok(read));
        }
    }
}

#[test]
fn stored_agents_come_back_and_of_another_length_they_are_damage() {
    let agents = two_agents();
    let bytes = AgentRecord::list_to_bytes(&agents);
    let read = AgentRecord::list_from_bytes(&bytes).unwrap();
    assert_eq!(*AgentRecord::list_to_bytes(&read), *bytes);
    for (read, agent) in read.iter().zip(&agents) {
        assert_eq!((read.id(), &read.name), (agent.id(), &agent.name));
        assert_eq!((&read.relay, read.paired), (&agent.relay, agent.paired));
        assert_eq!(*read.bond.to_bytes(), *agent.bond.to_bytes());
    }
    for other in of_another_length(&bytes) {
        assert!(AgentRecord::list_from_bytes(&other).is_err());
    }
}

#[test]
fn damaged_agents_are_noticed_or_still_agents() {
    let bytes = AgentRecord::list_to_bytes(&two_agents());
    for damaged in damaged(&bytes) {
        if let Ok(read) = AgentRecord::list_from_bytes(&damaged) {
            assert_eq!(read.len(), 2);
            let again = AgentRecord::list_to_bytes(&read);
            assert!(AgentRecord::list_from_bytes(&again).is_ok());
        }
    }
}

#[test]
fn empty_lists_come_back_and_no_bytes_at_all_are_damage() {
    let none = Identities::default();
    assert_eq!(Identities::from_bytes(&none.to_bytes()), Ok(none));
    assert_eq!(
        Pins::from_bytes(&Pins::default().to_bytes()),
        Ok(Pins::default())
    );
    let agents = AgentRecord::list_to_bytes([]);
    assert!(AgentRecord::list_from_bytes(&agents).unwrap().is_empty());
    assert_eq!(Identities::from_bytes(&[]), Err(RecordDamaged));
    assert_eq!(Pins::from_bytes(&[]), Err(RecordDamaged));
    assert!(AgentRecord::list_from_bytes(&[]).is_err());
}

#[test]
fn a_list_that_claims_to_be_endless_takes_no_memory() {
    // Headers of arrays with 2^64 - 1, 2^32 - 1 and an unknown number of entries.
    let endless = [
        &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255][..],
        &[0x9a, 255, 255, 255, 255],
        &[0x9f],
    ];
    for bytes in endless {
        assert_eq!(Identities::from_bytes(bytes), Err(RecordDamaged));
        assert_eq!(Pins::from_bytes(bytes), Err(RecordDamaged));
        assert!(AgentRecord::list_from_bytes(bytes).is_err());
    }
}

#[test]
fn the_same_key_twice_is_refused_under_any_label_and_in_any_form() {
    let secret = Secret::ed25519(1);
    let mut identities = Identities::default();
    identities.add(identity("main", &secret)).unwrap();
    let exists = Err(IdentityRefused::Exists);
    assert_eq!(identities.add(identity("other", &secret)), exists);
    let stored = identities.to_bytes();
    assert_eq!(Identities::from_bytes(&twice(&stored)), Err(RecordDamaged));
    identities
        .add(identity("other", &Secret::ed25519(2)))
        .unwrap();
}

#[test]
fn the_same_label_twice_is_refused() {
    let mut identities = two_identities();
    let taken = Err(IdentityRefused::LabelTaken);
    assert_eq!(identities.add(identity("main", &Secret::ed25519(3))), taken);
    assert_eq!(identities.label("work", "main"), taken);
    assert_eq!(
        identities.label("work", "work"),
        Ok(()),
        "its own label is not taken"
    );
    assert_eq!(identities.label("work", "play"), Ok(()));
    identities
        .add(identity("work", &Secret::ed25519(3)))
        .unwrap();
}

#[test]
fn the_same_host_key_twice_is_refused() {
    let mut world = World::new();
    world.knows(&Secret::ed25519(0x41), "web");
    let bytes = world.signer.pins().to_bytes();
    assert!(Pins::from_bytes(&bytes).is_ok());
    assert_eq!(Pins::from_bytes(&twice(&bytes)), Err(RecordDamaged));
}

#[test]
fn labels_are_visible_text_of_1_to_128_bytes() {
    let add = |label: &str| Identities::default().add(identity(label, &Secret::ed25519(1)));
    for good in ["a", "my key", "Schlüssel", "鍵", &"l".repeat(MAX_NAME)] {
        assert_eq!(add(good), Ok(()), "{good}");
        let mut identities = two_identities();
        assert_eq!(identities.label("main", good), Ok(()));
    }
    let bad = Err(IdentityRefused::BadLabel);
    let too_long = "l".repeat(MAX_NAME + 1);
    let hostile = HOSTILE.map(|character| format!("a{character}b"));
    let hostile = hostile.iter().map(String::as_str);
    for label in ["", " ", "   ", &too_long].into_iter().chain(hostile) {
        assert_eq!(add(label), bad, "{label:?}");
        let mut identities = two_identities();
        assert_eq!(identities.label("main", label), bad, "{label:?}");
        assert_eq!(identities, two_identities());
    }
}

#[test]
fn a_stored_label_that_cannot_be_shown_is_damage() {
    let mut bytes = two_identities().to_bytes();
    let at = bytes.windows(4).position(|four| four == b"main").unwrap();
    bytes[at] = 0x1b;
    assert_eq!(Identities::from_bytes(&bytes), Err(RecordDamaged));
    bytes[at] = b'M';
    assert_eq!(
        Identities::from_bytes(&bytes).unwrap().all()[0].label,
        "Main"
    );
}

#[test]
fn names_of_hosts_are_visible_text_without_spaces_of_1_to_128_characters() {
    for good in [
        "a",
        "web-1.example.org",
        "日本",
        "[::1]:2222",
        &"n".repeat(128),
    ] {
        assert_eq!(PinName::parse(good).unwrap().as_str(), good);
    }
    let too_long = "n".repeat(129);
    let hostile = HOSTILE.map(|character| format!("a{character}b"));
    let hostile = hostile.iter().map(String::as_str);
    for name in ["", " ", "a b", &too_long].into_iter().chain(hostile) {
        assert_eq!(PinName::parse(name), Err(PinNameRefused), "{name:?}");
    }
}

#[test]
fn sixty_four_identities_are_held_and_one_more_is_refused() {
    let of = |seed: usize| {
        identity(
            &seed.to_string(),
            &Secret::ed25519(u8::try_from(seed).unwrap()),
        )
    };
    let mut identities = Identities::default();
    for seed in 1..=MAX_IDENTITIES {
        assert_eq!(identities.add(of(seed)), Ok(()));
    }
    assert_eq!(
        identities.add(of(MAX_IDENTITIES + 1)),
        Err(IdentityRefused::TooMany)
    );
    assert_eq!(
        Identities::from_bytes(&identities.to_bytes()),
        Ok(identities.clone())
    );
    identities.remove("1").unwrap();
    assert_eq!(identities.add(of(MAX_IDENTITIES + 1)), Ok(()));
}

#[test]
fn the_largest_key_of_the_most_identities_fits_in_one_message() {
    let rsa = |length: usize, seed: u8| {
        let mut n = vec![0xff; length];
        n[1] = seed;
        PublicKey::from_data(KeyData::Rsa {
            e: vec![1, 0, 1],
            n,
        })
        .unwrap()
    };
    let overhead = rsa(512, 0).blob().len() - 512;
    let largest = MAX_IDENTITY_BLOB - overhead;
    let of = |length, seed: u8| vmux_signer::Identity {
        key: rsa(length, seed),
        label: format!("{seed:0128}"),
        ..identity("", &Secret::ed25519(1))
    };
    let mut identities = Identities::default();
    let refused = Err(IdentityRefused::Unsuitable);
    assert_eq!(identities.add(of(largest + 1, 0)), refused);
    for seed in 0..u8::try_from(MAX_IDENTITIES).unwrap() {
        let one = of(largest, seed);
        assert_eq!(
            (one.key.blob().len(), one.label.len()),
            (MAX_IDENTITY_BLOB, MAX_NAME)
        );
        assert_eq!(identities.add(one), Ok(()));
    }
    let mut world = World::new();
    let events = world.handle(Input::Identities(identities));
    assert_eq!(events.len(), 2, "both agents were told");
}

#[test]
fn a_certificate_is_no_identity_and_the_key_in_it_is() {
    let secret = Secret::ed25519(1);
    let mut certified = identity("main", &secret);
    certified.key = certificate(&secret.public(), &Secret::p256(2));
    let mut identities = Identities::default();
    assert_eq!(
        identities.add(certified.clone()),
        Err(IdentityRefused::Unsuitable)
    );
    certified.key = certified.key.plain();
    assert_eq!(identities.add(certified), Ok(()));
}

#[test]
fn identities_are_found_by_label_and_by_fingerprint_and_by_nothing_else() {
    let mut identities = two_identities();
    let key = Secret::p256(2).public();
    let fingerprint = key.fingerprint();
    for name in ["work", &fingerprint.to_string()] {
        assert_eq!(identities.find(name).unwrap().key, key);
    }
    assert_eq!(
        identities.by_fingerprint(fingerprint).unwrap().label,
        "work"
    );
    let stranger = Secret::ed25519(9).public().fingerprint();
    assert!(identities.by_fingerprint(stranger).is_none());
    for name in ["Work", "", &stranger.to_string()] {
        assert_eq!(identities.find(name).err(), Some(IdentityRefused::NoSuch));
        assert_eq!(identities.enable(name), Err(IdentityRefused::NoSuch));
        assert_eq!(identities.disable(name), Err(IdentityRefused::NoSuch));
        assert_eq!(identities.label(name, "x"), Err(IdentityRefused::NoSuch));
        assert_eq!(identities.remove(name).err(), Some(IdentityRefused::NoSuch));
    }
    assert_eq!(identities.remove("work").unwrap().key, key);
    assert_eq!(identities.all().len(), 1);
}

#[test]
fn a_disabled_identity_is_not_offered_until_it_is_enabled() {
    let mut identities = two_identities();
    let key = Secret::ed25519(1).public();
    identities.disable("main").unwrap();
    assert!(identities.enabled(&key).is_none());
    identities.enable("main").unwrap();
    assert_eq!(identities.enabled(&key).unwrap().label, "main");
}

/// A stored list of this many pins, each last used a second after the one before it.
fn stored_pins(count: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.array(u64::try_from(count).unwrap()).unwrap();
    for number in (0_u32..).take(count) {
        let mut fingerprint = [0; 32];
        fingerprint[..4].copy_from_slice(&number.to_be_bytes());
        let seen = 1_700_000_000 + u64::from(number);
        encoder.array(6).unwrap().bytes(&fingerprint).unwrap();
        encoder
            .str("ssh-ed25519")
            .unwrap()
            .str(&format!("host-{number}"))
            .unwrap();
        encoder
            .u64(seen)
            .unwrap()
            .u64(seen)
            .unwrap()
            .u64(1)
            .unwrap();
    }
    encoder.into_writer()
}

#[test]
fn ten_thousand_pins_are_read_and_one_more_is_damage() {
    let most = Pins::from_bytes(&stored_pins(MAX_PINS)).unwrap();
    assert_eq!(most.to_bytes(), stored_pins(MAX_PINS));
    assert_eq!(
        Pins::from_bytes(&stored_pins(MAX_PINS + 1)),
        Err(RecordDamaged)
    );
}

#[test]
fn a_new_pin_takes_the_place_of_the_one_unused_for_longest() {
    let mut world = World::new();
    let pins = Pins::from_bytes(&stored_pins(MAX_PINS)).unwrap();
    world.handle(Input::Pins(pins));
    world.knows(&Secret::ed25519(0x41), "web");
    let names: Vec<_> = world.pinned().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), MAX_PINS);
    assert_eq!(
        (names[0].as_str(), names[MAX_PINS - 1].as_str()),
        ("host-1", "web")
    );
}
