//! A phone that answers wrongly, late, twice, for others or not at all.
use std::time::Duration;

use vmux_proto::limits::{MAX_IDENTITIES, MAX_IDENTITY_BLOB, MAX_NAME, MAX_SIGNATURE};
use vmux_proto::message::{Message as _, Number, Refusal, RequestId, ToAgent};
use vmux_proto::untrusted::is_visible;
use vmux_testkit::{Place, Workstation, eventually, frame, string};

use crate::false_signer::{FalseSigner, identity, signed};
use crate::ssh::{Secret, commit, sign_frame};
use crate::{FAILURE, SIGNATURE, client, lists_are_instant};

fn desk(config: &str) -> (Workstation, Place) {
    let place = Place::new();
    let mut workstation = Workstation::new(place.home("desk"), "workbench");
    workstation.configure(config);
    workstation.start();
    (workstation, place)
}

/// A workstation and one phone with one key.
fn pair() -> (FalseSigner, Workstation, Place) {
    let (workstation, place) = desk("");
    let signer = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    (signer, workstation, place)
}

fn ask(key: &Secret, what: u8) -> Vec<u8> {
    sign_frame(&key.public(), &commit([what; 32]))
}

/// The reply with this signature.
fn reply(signature: &[u8]) -> Vec<u8> {
    [&[SIGNATURE][..], &string(signature)].concat()
}

#[test]
fn i7_whatever_a_phone_sends_for_a_signature_only_the_right_one_gets_out() {
    let (mut signer, workstation, _place) = pair();
    let other = Secret::new(2);
    let wrong: [Forge; 10] = [
        |_, own, _| own.sign(b"other bytes"),
        |bytes, _, other| other.sign(bytes),
        |bytes, own, _| relabelled(own, bytes, "ecdsa-sha2-nistp256"),
        |bytes, own, _| relabelled(own, bytes, "rsa-sha2-256"),
        |bytes, own, _| relabelled(own, bytes, "ssh-ed25519-cert-v01@openssh.com"),
        |bytes, own, _| [own.sign(bytes), vec![0]].concat(),
        |bytes, own, _| own.sign(bytes)[1..].to_vec(),
        |bytes, own, _| [string(b"ssh-ed25519"), string(&[0; 64]), own.sign(bytes)].concat(),
        |_, _, _| vec![0x5a; MAX_SIGNATURE],
        |_, _, _| Vec::new(),
    ];
    for (number, make) in (0..).zip(wrong) {
        let mut client = client(&workstation);
        client.send(&ask(&signer.keys[0], number));
        let request = signer.request();
        let candidate = make(&request.payload, &signer.keys[0], &other);
        signer.say(&signed(request.id, candidate));
        assert_eq!(client.reply(), [FAILURE], "candidate {number}");
    }
    workstation.logs("reason=\"bad-answer\"");
    lists_are_instant(&workstation);
    // The right one over the same bytes is the answer.
    let mut client = client(&workstation);
    client.send(&ask(&signer.keys[0], 99));
    let request = signer.request();
    signer.sign(&request);
    assert_eq!(client.reply(), reply(&signer.signature(&request)));
}

/// What a phone sends for a signature over these bytes, with its own key or another.
type Forge = fn(&[u8], &Secret, &Secret) -> Vec<u8>;

/// The right signature under the name of another algorithm.
fn relabelled(key: &Secret, bytes: &[u8], name: &str) -> Vec<u8> {
    let blob = key.sign(bytes);
    let (_, raw) = blob.split_at(blob.len() - 64);
    [string(name.as_bytes()), string(raw)].concat()
}

#[test]
fn i4_answers_to_other_requests_or_given_twice_change_nothing() {
    let (mut signer, workstation, _place) = pair();
    let (mut first, mut second) = (client(&workstation), client(&workstation));
    first.send(&ask(&signer.keys[0], 1));
    let one = signer.request();
    second.send(&ask(&signer.keys[0], 2));
    let two = signer.request();

    // Of a request that nobody made.
    let nobody = RequestId([7; 16]);
    signer.say(&signed(nobody, signer.signature(&one)));
    signer.say(&ToAgent::Refused(nobody, Refusal::Denied));
    signer.say(&ToAgent::Received(nobody));
    signer.say(&ToAgent::ShowNumber(nobody, Number::pick([0; 4])));
    assert_eq!(workstation.status()["waiting"].as_array().unwrap().len(), 2);

    // The second's signature for the first: the first fails, the second waits on.
    signer.say(&signed(one.id, signer.signature(&two)));
    assert_eq!(first.reply(), [FAILURE]);
    // The first is over: no second answer makes it good.
    signer.sign(&one);
    signer.sign(&two);
    signer.sign(&two);
    signer.say(&ToAgent::Refused(two.id, Refusal::Denied));
    assert_eq!(second.reply(), reply(&signer.signature(&two)));
    for mut client in [first, second] {
        client.send(&ask(&signer.keys[0], 3));
        let request = signer.request();
        signer.sign(&request);
        assert_eq!(client.reply(), reply(&signer.signature(&request)));
    }
}

#[test]
fn i5_an_answer_after_the_deadline_or_after_a_cancel_is_nobodys() {
    let (workstation, _place) = desk("wait = 5");
    let mut signer = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    let mut late = client(&workstation);
    late.send(&ask(&signer.keys[0], 1));
    let missed = signer.request();
    lists_are_instant(&workstation);
    assert_eq!(late.reply(), [FAILURE]);
    workstation.logs("reason=\"timed-out\"");
    assert_eq!(signer.cancelled(), missed.id);
    signer.sign(&missed);

    // Another program: whoever waited in vain may have to pause.
    let key = signer.keys[0].public().to_line();
    let home = workstation.home();
    let (public, document) = (home.write("key.pub", key), home.write("document", "text"));
    let git = |document: &std::path::Path| {
        let mut command = workstation.command("ssh-keygen");
        command.args(["-q", "-Y", "sign", "-n", "git", "-f"]);
        home.start(command.arg(&public).arg(document))
    };
    let left = git(&document);
    let given_up = signer.request();
    drop(left);
    assert_eq!(signer.cancelled(), given_up.id);
    signer.sign(&given_up);

    let again = git(&home.write("another", "text"));
    let request = signer.request();
    signer.sign(&request);
    again.finish().ok();
}

#[test]
fn a_phone_answers_for_its_own_requests_alone() {
    let (workstation, _place) = desk("");
    let mut honest = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    let mut hostile = FalseSigner::pair(&workstation, vec![Secret::new(2)]);
    let mut client = client(&workstation);
    client.send(&ask(&honest.keys[0], 1));
    let request = honest.request();

    // Even the right signature is not its to give.
    let signature = honest.signature(&request);
    hostile.say(&ToAgent::Received(request.id));
    hostile.say(&ToAgent::ShowNumber(request.id, Number::pick([0; 4])));
    hostile.say(&ToAgent::Refused(request.id, Refusal::Denied));
    hostile.say(&signed(request.id, signature.clone()));
    hostile.say(&ToAgent::Unpaired);
    workstation.comes_to("the hostile phone is gone", |status| {
        status["phones"].as_array().unwrap().len() == 1
    });
    let waiting = &workstation.status()["waiting"];
    assert_eq!(waiting.as_array().unwrap().len(), 1, "{waiting}");
    assert_eq!(waiting[0]["number"], serde_json::Value::Null);
    honest.sign(&request);
    assert_eq!(client.reply(), reply(&signature));
}

#[test]
fn a_phone_that_takes_the_key_of_another_gets_no_signature_out_with_its_own() {
    let (workstation, _place) = desk("");
    let mut honest = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    let mut hostile = FalseSigner::pair(&workstation, vec![Secret::new(2)]);
    let key = honest.keys[0].public();
    hostile.say(&ToAgent::Identities(vec![identity(key.blob(), "mine")]));
    workstation.comes_to("both offer the key", |status| {
        let phones = status["phones"].as_array().unwrap();
        phones
            .iter()
            .all(|phone| phone["identities"][0]["public"] == key.to_line())
    });
    let listed = workstation.run("ssh-add", &["-L"]).ok();
    assert_eq!(listed.out.lines().count(), 1, "{listed}");
    let mut client = client(&workstation);
    client.send(&ask(&honest.keys[0], 1));
    // The one that offered it first is asked.
    let request = honest.request();
    honest.sign(&request);
    assert_eq!(client.reply(), reply(&honest.signature(&request)));
}

#[test]
fn messages_beyond_a_limit_cost_their_sender_the_channel_and_nobody_else_anything() {
    let (workstation, _place) = desk("");
    let mut honest = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    let key = Secret::new(2).public();
    let many = |count: usize| {
        let one = identity(key.blob(), "key");
        ToAgent::Identities(vec![one; count]).to_bytes()
    };
    let labelled = |length: usize| {
        ToAgent::Identities(vec![identity(key.blob(), &"l".repeat(length))]).to_bytes()
    };
    let of_length =
        |length: usize| ToAgent::Identities(vec![identity(&vec![0; length], "key")]).to_bytes();
    let id = RequestId([3; 16]);
    let mut number = ToAgent::ShowNumber(id, Number::pick([0, 0, 0, 89])).to_bytes();
    assert_eq!(number.last(), Some(&99));
    *number.last_mut().unwrap() = 100;
    let signature = |length: usize| signed(id, vec![0; length]).to_bytes();
    let no_message = [0x82, 0x18, 0x63, 0x80];
    let refused: [Vec<u8>; 9] = [
        many(MAX_IDENTITIES + 1),
        labelled(MAX_NAME + 1),
        of_length(MAX_IDENTITY_BLOB + 1),
        signature(MAX_SIGNATURE + 1),
        number,
        no_message.to_vec(),
        [ToAgent::Received(id).to_bytes(), vec![0]].concat(),
        Vec::new(),
        vec![0x5a; vmux_link::MAX_MESSAGE],
    ];
    // At the limit all is well.
    let mut fair = FalseSigner::pair(&workstation, vec![Secret::new(2)]);
    fair.say_bytes(&labelled(MAX_NAME));
    fair.say_bytes(&of_length(MAX_IDENTITY_BLOB));
    fair.say_bytes(&signature(MAX_SIGNATURE));
    fair.say_bytes(&many(MAX_IDENTITIES));
    workstation.comes_to("as many identities as there may be", |status| {
        status["phones"][1]["identities"].as_array().unwrap().len() == MAX_IDENTITIES
    });
    let mut client = client(&workstation);
    client.send(&ask(&honest.keys[0], 1));
    let request = honest.request();
    for bytes in refused {
        let mut hostile = FalseSigner::pair(&workstation, vec![Secret::new(3)]);
        hostile.say_bytes(&bytes);
        // The channel is over; the next one is as good as the first.
        hostile.meet_again();
        hostile.say(&ToAgent::Unpaired);
        workstation.comes_to("the hostile phone is gone", |status| {
            status["phones"].as_array().unwrap().len() == 2
        });
    }
    lists_are_instant(&workstation);
    honest.sign(&request);
    assert_eq!(client.reply(), reply(&honest.signature(&request)));
}

#[test]
fn i14_bytes_that_are_no_frame_end_the_channel_and_the_next_request_is_served() {
    let (mut signer, workstation, _place) = pair();
    signer.send(&[0x5a; 272]);
    signer.meet_again();
    let mut client = client(&workstation);
    client.send(&ask(&signer.keys[0], 1));
    let request = signer.request();
    signer.sign(&request);
    assert_eq!(client.reply()[0], SIGNATURE);
}

#[test]
fn i20_identities_that_are_none_are_left_out_and_hostile_labels_are_escaped() {
    let (mut signer, workstation, _place) = pair();
    let good = signer.keys[0].public();
    let certificate = corpus("key--whole_user_ed25519_certificate");
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nssh-ed25519 AAAA \u{202e}\u{200b}";
    let identities = vec![
        identity(b"", "empty"),
        identity(b"garbage", "garbage"),
        identity(&[0xff; 100], "four gigabytes"),
        identity(&corpus("key--one_byte_more"), "one byte more"),
        identity(&corpus("key--certificate_without_signature"), "unsigned"),
        identity(&certificate[..certificate.len() - 1], "cut certificate"),
        identity(good.blob(), hostile),
        identity(good.blob(), "the same key again"),
    ];
    signer.say(&ToAgent::Identities(identities));
    let status = workstation.comes_to("the new identities", |status| {
        let identities = status["phones"][0]["identities"].as_array().unwrap();
        identities.iter().any(|one| one["label"] != "key")
    });
    for one in status["phones"][0]["identities"].as_array().unwrap() {
        assert_eq!(one["public"], good.to_line(), "{status:#}");
    }
    for arguments in [&["keys"][..], &["phones"], &["status"]] {
        let shown = workstation.agent(arguments).ok();
        let is_shown = |c: char| c == '\n' || is_visible(c);
        assert!(shown.out.chars().all(is_shown), "{shown}");
    }
    let listed = workstation.run("ssh-add", &["-L"]).ok();
    for line in listed.out.lines() {
        assert!(line.starts_with(&good.to_line()), "{listed}");
    }
    assert!(!listed.out.contains('\u{1b}'), "{listed}");
}

#[test]
fn an_altered_certificate_gets_no_login_that_its_key_does_not_sign() {
    let (mut signer, workstation, _place) = pair();
    let mut altered = corpus("key--whole_user_ed25519_certificate");
    // In the authority's signature: the certificate is one, and nobody has signed it.
    *altered.last_mut().unwrap() ^= 1;
    signer.say(&ToAgent::Identities(vec![identity(&altered, "altered")]));
    workstation.comes_to("the new identities", |status| {
        let identities = status["phones"][0]["identities"].as_array().unwrap();
        identities.iter().all(|one| one["label"] != "key")
    });
    lists_are_instant(&workstation);
    // What it signs with its own key is no signature of the key in the certificate.
    let mut client = client(&workstation);
    let body = [
        &[13][..],
        &string(&altered),
        &string(&commit([1; 32])),
        &[0; 4],
    ]
    .concat();
    client.send(&frame(&body));
    let request = signer.request();
    signer.sign(&request);
    assert_eq!(client.reply(), [FAILURE]);
    workstation.logs("reason=\"bad-answer\"");
}

#[test]
fn a_phone_that_unpairs_in_the_middle_takes_only_its_own_requests_along() {
    let (workstation, _place) = desk("");
    let mut honest = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    let mut hostile = FalseSigner::pair(&workstation, vec![Secret::new(2)]);
    let (mut of_honest, mut of_hostile) = (client(&workstation), client(&workstation));
    of_honest.send(&ask(&honest.keys[0], 1));
    of_hostile.send(&ask(&hostile.keys[0], 2));
    let request = honest.request();
    hostile.request();
    hostile.say(&ToAgent::Unpaired);
    assert_eq!(of_hostile.reply(), [FAILURE]);
    workstation.logs("reason=\"unpaired\"");
    honest.sign(&request);
    assert_eq!(of_honest.reply(), reply(&honest.signature(&request)));
}

#[test]
fn a_phone_that_reads_nothing_delays_nobody() {
    let (workstation, _place) = desk("wait = 5");
    let deaf = FalseSigner::pair(&workstation, vec![Secret::new(2)]);
    let mut honest = FalseSigner::pair(&workstation, vec![Secret::new(1)]);
    let mut unheard: Vec<_> = (0..16).map(|_| client(&workstation)).collect();
    for (number, client) in (0..).zip(&mut unheard) {
        client.send(&ask(&deaf.keys[0], number));
    }
    lists_are_instant(&workstation);
    let home = workstation.home();
    let public = home.write("key.pub", honest.keys[0].public().to_line());
    let document = home.write("document", "text");
    let mut command = workstation.command("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", "git", "-f"]);
    let git = home.start(command.arg(public).arg(document));
    let request = honest.request();
    honest.sign(&request);
    git.finish_within(Duration::from_secs(20)).ok();
    for mut client in unheard {
        assert_eq!(client.reply(), [FAILURE]);
    }
    eventually("nothing waits", Duration::from_secs(5), || {
        let waiting = &workstation.status()["waiting"];
        waiting.as_array().unwrap().is_empty().then_some(())
    });
}

/// A file of the corpus of `core/proto`.
fn corpus(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/proto/tests/corpus/");
    std::fs::read(format!("{dir}{name}")).unwrap()
}
