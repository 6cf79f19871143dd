//! What is refused without a prompt: each check on the raw bytes, next to a request that passes it.
use crate::destinations::forwarded;
use crate::ssh::{
    OTHER_SESSION, SESSION, Secret, binding, certificate, login, login_to, sshsig,
    unsigned_certificate,
};
use crate::world::{Event, Peer, World, request};
use vmux_proto::binding::Use;
use vmux_proto::limits::{MAX_BINDINGS, MAX_PAYLOAD};
use vmux_proto::message::{Refusal, SignRequest};

const WEB: u8 = 0x41;
const BASTION: u8 = 0x42;

/// A world, the host `web` and the host `bastion`.
fn begin() -> (World, Secret, Secret) {
    (World::new(), Secret::ed25519(WEB), Secret::ed25519(BASTION))
}

#[test]
fn a_login_in_the_session_that_the_host_signed_is_shown_and_another_session_is_refused() {
    let (mut world, web, _) = begin();
    let key = world.ed25519.public();
    let chain = vec![web.binding(SESSION, Use::Login)];
    for (id, payload) in [
        (1, login(SESSION, "deploy", &key)),
        (2, login_to(&web.public(), SESSION, "deploy", &key)),
    ] {
        world.shown(Peer::Laptop, &world.request(id, payload, chain.clone()));
    }
    let mut session = SESSION.to_vec();
    session[31] ^= 1;
    for payload in [
        login(&session, "deploy", &key),
        login_to(&web.public(), &session, "deploy", &key),
    ] {
        let request = world.request(3, payload, chain.clone());
        assert_eq!(
            world.refused(Peer::Laptop, &request),
            Refusal::Contradiction
        );
    }
}

#[test]
fn a_login_that_names_another_host_key_than_the_bound_one_is_refused() {
    let (mut world, web, bastion) = begin();
    let key = world.ed25519.public();
    let chain = vec![web.binding(SESSION, Use::Login)];
    let payload = login_to(&bastion.public(), SESSION, "deploy", &key);
    let request = world.request(1, payload, chain);
    assert_eq!(
        world.refused(Peer::Laptop, &request),
        Refusal::Contradiction
    );
}

#[test]
fn a_binding_with_one_bit_changed_in_any_byte_is_refused() {
    let (mut world, web, _) = begin();
    let request = world.direct(1, &web);
    for position in 0..request.chain[0].len() {
        let mut changed = request.clone();
        changed.chain[0][position] ^= 1;
        assert_eq!(
            world.refused(Peer::Laptop, &changed),
            Refusal::Contradiction,
            "{position}"
        );
    }
    world.shown(Peer::Laptop, &request);
}

#[test]
fn a_login_with_one_bit_changed_in_any_byte_but_the_users_name_is_refused() {
    let (mut world, web, _) = begin();
    let request = world.direct(1, &web);
    let user = 4 + SESSION.len() + 1 + 4;
    let name = user..user + "deploy".len();
    for position in (0..request.payload.len()).filter(|position| !name.contains(position)) {
        let mut changed = request.clone();
        changed.payload[position] ^= 1;
        let refusal = world.refused(Peer::Laptop, &changed);
        let known = [Refusal::Contradiction, Refusal::NotUnderstood].contains(&refusal);
        assert!(known, "{position}: {refusal:?}");
    }
    world.shown(Peer::Laptop, &request);
}

#[test]
fn a_failed_binding_poisons_all_that_follow_it() {
    let (mut world, web, bastion) = begin();
    let good = forwarded(&world, 1, &bastion, &web);
    let mut bad = good.clone();
    let forged = binding(
        &bastion.public(),
        OTHER_SESSION,
        &web.sign(OTHER_SESSION),
        Use::Forwarding,
    );
    bad.chain[0] = forged.into();
    assert_eq!(world.refused(Peer::Laptop, &bad), Refusal::Contradiction);
    world.shown(Peer::Laptop, &good);
}

#[test]
fn a_session_bound_to_two_hosts_is_refused() {
    let (mut world, web, bastion) = begin();
    let payload = sshsig("git");
    let hop = |host: &Secret| host.binding(OTHER_SESSION, Use::Forwarding);
    let conflict = world.request(1, payload.clone(), vec![hop(&bastion), hop(&web)]);
    assert_eq!(
        world.refused(Peer::Laptop, &conflict),
        Refusal::Contradiction
    );
    let repeated = world.request(1, payload, vec![hop(&bastion), hop(&bastion)]);
    world.shown(Peer::Laptop, &repeated);
}

#[test]
fn a_hop_that_asks_for_a_login_to_itself_is_refused() {
    let (mut world, web, bastion) = begin();
    let key = world.ed25519.public();
    let hop = bastion.binding(OTHER_SESSION, Use::Forwarding);
    let own = login_to(&bastion.public(), OTHER_SESSION, "deploy", &key);
    let alone = world.request(1, own.clone(), vec![hop.clone()]);
    assert_eq!(world.refused(Peer::Laptop, &alone), Refusal::Contradiction);
    let covered = world.request(1, own, vec![hop, web.binding(SESSION, Use::Login)]);
    assert_eq!(
        world.refused(Peer::Laptop, &covered),
        Refusal::Contradiction
    );
    world.shown(Peer::Laptop, &forwarded(&world, 1, &bastion, &web));
}

#[test]
fn a_forwarded_login_must_prove_and_name_its_destination() {
    let (mut world, web, bastion) = begin();
    let proven = forwarded(&world, 1, &bastion, &web);
    let mut unproven = proven.clone();
    unproven.chain.truncate(1);
    assert_eq!(
        world.refused(Peer::Laptop, &unproven),
        Refusal::Contradiction
    );
    let mut unnamed = proven.clone();
    unnamed.payload = login(SESSION, "deploy", &world.ed25519.public()).into();
    assert_eq!(
        world.refused(Peer::Laptop, &unnamed),
        Refusal::Contradiction
    );
    world.shown(Peer::Laptop, &proven);
}

#[test]
fn a_connection_bound_to_a_login_signs_nothing_else() {
    let (mut world, web, _) = begin();
    let bound = world.request(1, sshsig("git"), vec![web.binding(SESSION, Use::Login)]);
    assert_eq!(world.refused(Peer::Laptop, &bound), Refusal::Contradiction);
    world.shown(Peer::Laptop, &world.request(1, sshsig("git"), vec![]));
}

#[test]
fn a_binding_after_that_of_a_login_is_refused() {
    let (mut world, web, bastion) = begin();
    let good = world.direct(1, &web);
    let mut bad = good.clone();
    bad.chain
        .insert(0, bastion.binding(OTHER_SESSION, Use::Login).into());
    assert_eq!(world.refused(Peer::Laptop, &bad), Refusal::Contradiction);
    world.shown(Peer::Laptop, &good);
}

#[test]
fn sixteen_bindings_pass_and_one_more_is_not_even_a_message() {
    let (mut world, _, bastion) = begin();
    let hops = |count: u8| {
        let hop = |session| bastion.binding(&[session; 32], Use::Forwarding);
        (0..count).map(hop).collect::<Vec<_>>()
    };
    let most = u8::try_from(MAX_BINDINGS).unwrap();
    let prompt = world.shown(Peer::Laptop, &world.request(1, sshsig("git"), hops(most)));
    assert_eq!(prompt.hops.len(), MAX_BINDINGS);
    let events = world.ask(
        Peer::Laptop,
        &world.request(2, sshsig("git"), hops(most + 1)),
    );
    assert_eq!(events.last(), Some(&Event::Restart(Peer::Laptop)));
}

#[test]
fn an_enabled_identity_is_asked_for_and_a_disabled_or_unknown_one_is_refused() {
    let (mut world, ..) = begin();
    let stranger = Secret::ed25519(9).public();
    let cases = [
        (world.ed25519.public(), None),
        (world.p256.public(), None),
        (world.disabled.public(), Some(Refusal::NoSuchIdentity)),
        (stranger, Some(Refusal::NoSuchIdentity)),
    ];
    for (id, (key, refusal)) in (1..).zip(cases) {
        let request = request(id, &key, login(SESSION, "deploy", &key), vec![]);
        match refusal {
            None => {
                world.signed(Peer::Laptop, &request);
            }
            Some(refusal) => assert_eq!(world.refused(Peer::Laptop, &request), refusal),
        }
    }
}

#[test]
fn a_key_blob_that_is_none_is_no_identity() {
    let (mut world, web, _) = begin();
    let good = world.direct(1, &web);
    for length in 0..good.key.len() {
        let mut bad = good.clone();
        bad.key = good.key[..length].to_vec().into();
        assert_eq!(world.refused(Peer::Laptop, &bad), Refusal::NoSuchIdentity);
    }
    let mut longer = good.clone();
    longer.key.push(0);
    assert_eq!(
        world.refused(Peer::Laptop, &longer),
        Refusal::NoSuchIdentity
    );
    world.shown(Peer::Laptop, &good);
}

#[test]
fn a_certificate_on_an_identity_is_the_identity_in_both_places_it_can_stand() {
    let (mut world, ..) = begin();
    let plain = world.ed25519.public();
    let certified = certificate(&plain, &Secret::p256(8));
    // OpenSSH before 10.3 asks with the plain key, later with the certificate.
    for (id, asked) in [(1, &plain), (2, &certified)] {
        let request = request(id, asked, login(SESSION, "deploy", &certified), vec![]);
        world.signed(Peer::Laptop, &request);
    }
    let stranger = certificate(&Secret::ed25519(9).public(), &world.ed25519);
    let request = request(3, &stranger, login(SESSION, "deploy", &stranger), vec![]);
    assert_eq!(
        world.refused(Peer::Laptop, &request),
        Refusal::NoSuchIdentity
    );
}

#[test]
fn a_login_of_another_identity_than_the_one_asked_for_is_refused() {
    let (mut world, ..) = begin();
    let (asked, named) = (world.ed25519.public(), world.p256.public());
    let bad = request(1, &asked, login(SESSION, "deploy", &named), vec![]);
    assert_eq!(world.refused(Peer::Laptop, &bad), Refusal::NotUnderstood);
    let good = request(1, &named, login(SESSION, "deploy", &named), vec![]);
    world.shown(Peer::Laptop, &good);
}

#[test]
fn random_bytes_as_ssh_add_t_sends_them_are_refused() {
    let (mut world, ..) = begin();
    let random: Vec<u8> = (0..32).flat_map(|_| world.draw()).collect();
    assert_eq!(random.len(), 1024);
    let request = world.request(1, random, vec![]);
    assert_eq!(
        world.refused(Peer::Laptop, &request),
        Refusal::NotUnderstood
    );
    let empty = world.request(1, vec![], vec![]);
    assert_eq!(world.refused(Peer::Laptop, &empty), Refusal::NotUnderstood);
}

#[test]
fn a_payload_with_one_byte_more_or_less_is_refused() {
    let (mut world, ..) = begin();
    let key = world.ed25519.public();
    for (id, whole) in [(1, login(SESSION, "deploy", &key)), (2, sshsig("git"))] {
        let mut longer = whole.clone();
        longer.push(0);
        let shorter = whole[..whole.len() - 1].to_vec();
        for payload in [longer, shorter] {
            let request = world.request(id, payload, vec![]);
            assert_eq!(
                world.refused(Peer::Laptop, &request),
                Refusal::NotUnderstood
            );
        }
        world.shown(Peer::Laptop, &world.request(id, whole, vec![]));
    }
}

#[test]
fn a_certificate_that_the_identity_should_sign_is_refused() {
    let (mut world, ..) = begin();
    let subject = Secret::ed25519(9).public();
    let payload = unsigned_certificate(&subject, &world.ed25519.public());
    let request = world.request(1, payload, vec![]);
    assert_eq!(
        world.refused(Peer::Laptop, &request),
        Refusal::ForeignCertificate
    );
}

#[test]
fn a_namespace_on_the_list_is_shown_and_one_character_away_it_is_refused() {
    let (mut world, ..) = begin();
    for (id, namespace) in [(1, "git"), (2, "file")] {
        world.shown(Peer::Laptop, &world.request(id, sshsig(namespace), vec![]));
    }
    for namespace in ["gis", "gi", "git ", "GIT", "file\0", "email", "git@"] {
        let request = world.request(3, sshsig(namespace), vec![]);
        assert_eq!(
            world.refused(Peer::Laptop, &request),
            Refusal::NamespaceNotAllowed
        );
    }
    let nameless = world.request(3, sshsig(""), vec![]);
    assert_eq!(
        world.refused(Peer::Laptop, &nameless),
        Refusal::NotUnderstood
    );
}

#[test]
fn flags_of_rfc_8332_are_kept_and_unknown_ones_are_refused() {
    let (mut world, web, _) = begin();
    for (id, flags) in [(1, 2), (2, 4), (3, 6)] {
        let request = SignRequest {
            flags,
            ..world.direct(id, &web)
        };
        let prompt = world.shown(Peer::Laptop, &request);
        let job = world.approved(request.id, crate::world::yes(prompt.number));
        assert_eq!(job.flags, flags);
    }
    for flags in [1, 3, 8, 1 << 31, u32::MAX] {
        let request = SignRequest {
            flags,
            ..world.direct(4, &web)
        };
        assert_eq!(
            world.refused(Peer::Laptop, &request),
            Refusal::NotUnderstood
        );
    }
}

#[test]
fn the_longest_payload_passes_and_one_byte_more_is_not_even_a_message() {
    let (mut world, ..) = begin();
    let key = world.ed25519.public();
    let empty = login(SESSION, "", &key).len();
    let of = |length: usize| login(SESSION, &"u".repeat(length - empty), &key);
    let longest = world.request(1, of(MAX_PAYLOAD), vec![]);
    assert_eq!(longest.payload.len(), MAX_PAYLOAD);
    world.shown(Peer::Laptop, &longest);
    let events = world.ask(Peer::Laptop, &world.request(2, of(MAX_PAYLOAD + 1), vec![]));
    assert_eq!(events.last(), Some(&Event::Restart(Peer::Laptop)));
}

#[test]
fn a_refused_request_can_be_asked_again_once_it_is_right() {
    let (mut world, web, _) = begin();
    let mut request = world.direct(1, &web);
    request.flags = 1;
    world.refused(Peer::Laptop, &request);
    request.flags = 0;
    world.signed(Peer::Laptop, &request);
}
