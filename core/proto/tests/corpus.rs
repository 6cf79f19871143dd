//! Every parser over every file of `tests/corpus/`. [`every_parser`] is what a fuzzer would call;
//! a file that once broke a parser goes into the folder and stays.
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use vmux_proto::agent_wire::{Frames, Request};
use vmux_proto::binding::Chain;
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::Destination;
use vmux_proto::key::PublicKey;
use vmux_proto::mailbox::{Control, Seat, split};
use vmux_proto::message::{Hello, Message as _, PairingStep, ToAgent, ToSigner};
use vmux_proto::payload::Payload;
use vmux_proto::signature::verify;

/// Gives the bytes to every parser and names those that took them.
fn every_parser(data: &[u8]) -> BTreeSet<&'static str> {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let mut taken = BTreeSet::new();
    let mut note = |name, took: bool| {
        if took {
            taken.insert(name);
        }
    };
    let mut chain = Chain::new();
    note("binding", chain.bind(&PureRust, data).is_ok());
    note("frames", frames(data) > 0);
    note("key", PublicKey::parse(data).is_ok());
    note("key line", PublicKey::from_line(text).is_ok());
    note("seat", Seat::parse(text).is_ok());
    note("control", Control::parse(text).is_ok());
    note("relay frame", split(data).is_ok());
    note("hello", Hello::from_bytes(data).is_ok());
    note("pairing step", PairingStep::from_bytes(data).is_ok());
    note("to signer", ToSigner::from_bytes(data).is_ok());
    note("to agent", ToAgent::from_bytes(data).is_ok());
    let request = Request::parse(data);
    note("request", request.is_ok());
    if let Ok(Request::Sign { key, payload, .. }) = request
        && let Ok(key) = PublicKey::parse(key)
    {
        note(
            "signature",
            verify(&PureRust, &key, payload, payload).is_ok(),
        );
        if let Ok(payload) = Payload::parse(payload, &key) {
            let kind = match &payload {
                Payload::Userauth(_) => "login",
                Payload::SshSig(_) => "sshsig",
                Payload::Certificate(_) => "certificate",
            };
            note(kind, true);
            note(
                "destination",
                Destination::prove(&Chain::new(), &payload).is_ok(),
            );
        }
    }
    taken
}

/// How many frames the bytes hold, when they come a few at a time.
fn frames(data: &[u8]) -> usize {
    let mut frames = Frames::new();
    let mut count = 0;
    for piece in data.chunks(7) {
        frames.push(piece);
        while let Ok(Some(frame)) = frames.next_frame() {
            assert!(frame.len() < data.len());
            count += 1;
        }
    }
    assert!(frames.len() <= data.len());
    count
}

#[test]
fn every_parser_survives_the_corpus_and_takes_what_is_whole() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut taken = BTreeSet::new();
    let mut refused = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let by = every_parser(&fs::read(&path).unwrap());
        // A file is named for the parser it is made for, and for what is wrong with it.
        if let Some((parser, _)) = name.split_once("--whole") {
            assert!(
                by.contains(parser.replace('_', " ").as_str()),
                "{name}: {by:?}"
            );
        } else {
            let (parser, _) = name.split_once("--").unwrap();
            assert!(
                !by.contains(parser.replace('_', " ").as_str()),
                "{name}: {by:?}"
            );
            refused += 1;
        }
        taken.extend(by);
    }
    let expected = [
        "binding",
        "certificate",
        "control",
        "destination",
        "frames",
        "hello",
        "key",
        "key line",
        "login",
        "pairing step",
        "relay frame",
        "request",
        "seat",
        "sshsig",
        "to agent",
        "to signer",
    ];
    assert_eq!(taken, expected.into());
    assert!(refused >= 30, "{refused}");
}

#[test]
fn every_parser_survives_the_corpus_cut_and_changed() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for entry in fs::read_dir(folder).unwrap() {
        let data = fs::read(entry.unwrap().path()).unwrap();
        for at in (0..data.len()).step_by(1 + data.len() / 24) {
            every_parser(&data[..at]);
            every_parser(&data[at..]);
            let mut changed = data.clone();
            changed[at] = changed[at].wrapping_add(0x7f);
            every_parser(&changed);
        }
    }
}
