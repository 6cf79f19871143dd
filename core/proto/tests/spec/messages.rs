//! Every message between agent and signer as bytes, its limits, and what is refused.
use crate::support::{Vectors, bytes, number, text};
use minicbor::bytes::{ByteArray, ByteVec};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use serde_json::Value;
use std::fmt::Debug;
use vmux_proto::Malformed;
use vmux_proto::audit::{Growth, Head};
use vmux_proto::key::Fingerprint;
use vmux_proto::limits::{
    MAX_BINDINGS, MAX_BLOCKS, MAX_CHAIN, MAX_GROWTH, MAX_HINT, MAX_IDENTITIES, MAX_IDENTITY_BLOB,
    MAX_KEY_BLOB, MAX_NAME, MAX_PAYLOAD, MAX_PROCESSES, MAX_SIGNATURE,
};
use vmux_proto::message::{
    Block, Hello, Identity, Message, Number, Origin, PairingStep, Process, Refusal, Reported,
    RequestId, SignRequest, ToAgent, ToSigner,
};
use vmux_proto::source::Source;

/// The largest message a link carries (docs/spec/link.md).
const LINK_MESSAGE: usize = 61440 - 4;

const REFUSALS: [Refusal; 17] = [
    Refusal::Denied,
    Refusal::WrongNumber,
    Refusal::TimedOut,
    Refusal::Replayed,
    Refusal::NoSuchIdentity,
    Refusal::NotUnderstood,
    Refusal::Contradiction,
    Refusal::NamespaceNotAllowed,
    Refusal::ForeignCertificate,
    Refusal::HostKeyChanged,
    Refusal::TooMany,
    Refusal::KeyFailed,
    Refusal::Closed,
    Refusal::Blocked,
    Refusal::Paused,
    Refusal::NotMe,
    Refusal::NotRecorded,
];

#[test]
fn every_message_of_the_specification_is_read_and_written_byte_for_byte() {
    for vector in Vectors::messages().list("messages") {
        let fields = &vector["fields"];
        match text(&vector["type"]) {
            "Hello" => is_written_as(&hello(fields), vector),
            "PairingStep" => is_written_as(&step(fields), vector),
            "ToSigner" => is_written_as(&to_signer(fields), vector),
            "ToAgent" => is_written_as(&to_agent(fields), vector),
            other => panic!("no such type: {other}"),
        }
    }
}

fn is_written_as<M: Message + PartialEq + Debug>(message: &M, vector: &Value) {
    let encoded = bytes(&vector["cbor"]);
    assert_eq!(
        M::from_bytes(&encoded).as_ref(),
        Ok(message),
        "{}",
        vector["name"]
    );
    assert_eq!(message.to_bytes(), encoded, "{}", vector["name"]);
}

#[test]
fn every_message_cut_at_any_length_or_with_one_byte_more_is_refused() {
    for vector in Vectors::messages().list("messages") {
        let encoded = bytes(&vector["cbor"]);
        for length in 0..encoded.len() {
            let cut = read(text(&vector["type"]), &encoded[..length]);
            assert_eq!(
                cut,
                Err(Malformed::Truncated),
                "{} {length}",
                vector["name"]
            );
        }
        let longer = [&encoded[..], &[0]].concat();
        assert_eq!(
            read(text(&vector["type"]), &longer),
            Err(Malformed::Trailing)
        );
    }
}

#[test]
fn messages_of_a_later_version_are_read_without_what_is_new() {
    let vectors = Vectors::messages();
    for vector in vectors.list("accepted") {
        let same = vectors.named("messages", text(&vector["same_as"]));
        assert_eq!(
            read(text(&vector["type"]), &bytes(&vector["cbor"])),
            Ok(text(&same["cbor"]).to_owned()),
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn what_is_no_message_is_refused_for_the_reason_named() {
    for vector in Vectors::messages().list("refused") {
        let reason = match text(&vector["reason"]) {
            "truncated" => Malformed::Truncated,
            "trailing" => Malformed::Trailing,
            "too-long" => Malformed::TooLong,
            "unknown" => Malformed::Unknown,
            other => panic!("no such reason: {other}"),
        };
        let refused = read(text(&vector["type"]), &bytes(&vector["cbor"]));
        assert_eq!(refused, Err(reason), "{}", vector["name"]);
    }
}

/// Reads a message of a named type and gives it back in hex as we would write it.
fn read(kind: &str, encoded: &[u8]) -> Result<String, Malformed> {
    fn again<M: Message>(encoded: &[u8]) -> Result<String, Malformed> {
        M::from_bytes(encoded).map(|message| crate::support::hex(&message.to_bytes()))
    }
    match kind {
        "Hello" => again::<Hello>(encoded),
        "PairingStep" => again::<PairingStep>(encoded),
        "ToSigner" => again::<ToSigner>(encoded),
        "ToAgent" => again::<ToAgent>(encoded),
        other => panic!("no such type: {other}"),
    }
}

fn hello(fields: &Value) -> Hello {
    Hello {
        version: u16::try_from(number(&fields["version"])).unwrap(),
        name: text(&fields["name"]).to_owned(),
        kind: text(&fields["kind"]).to_owned(),
        software: text(&fields["software"]).to_owned(),
        commitment: (!fields["commitment"].is_null()).then(|| nonce(&fields["commitment"])),
    }
}

fn nonce(value: &Value) -> ByteArray<32> {
    let bytes: [u8; 32] = bytes(value).try_into().unwrap();
    bytes.into()
}

fn step(fields: &Value) -> PairingStep {
    if let Some(value) = fields.get("reveal") {
        return PairingStep::Reveal(nonce(value));
    }
    match text(fields) {
        "confirmed" => PairingStep::Confirmed,
        "rejected" => PairingStep::Rejected,
        "stored" => PairingStep::Stored,
        other => panic!("no such step: {other}"),
    }
}

fn to_signer(fields: &Value) -> ToSigner {
    if fields == "unpaired" {
        return ToSigner::Unpaired;
    }
    if let Some(value) = fields.get("log") {
        return ToSigner::Log(growth(value));
    }
    if let Some(id) = fields.get("cancel") {
        return ToSigner::Cancel(request_id(id));
    }
    let request = &fields["sign"];
    ToSigner::Sign(SignRequest {
        id: request_id(&request["id"]),
        key: bytes(&request["key"]).into(),
        payload: bytes(&request["payload"]).into(),
        flags: u32::try_from(number(&request["flags"])).unwrap(),
        chain: objects(&request["chain"])
            .map(|body| bytes(body).into())
            .collect(),
        wait_ms: u32::try_from(number(&request["wait_ms"])).unwrap(),
        reported: reported(&request["reported"]),
    })
}

fn reported(fields: &Value) -> Reported {
    let hint = |name: &str| fields[name].as_str().map(str::to_owned);
    let process = |process: &Value| Process {
        pid: u32::try_from(number(&process["pid"])).unwrap(),
        program: text(&process["program"]).to_owned(),
        command: text(&process["command"]).to_owned(),
    };
    Reported {
        processes: objects(&fields["processes"]).map(process).collect(),
        directory: hint("directory"),
        terminal: hint("terminal"),
        host: hint("host"),
        known_hosts: hint("known_hosts"),
        user: hint("user"),
        origin: fields.get("origin").map(|origin| Origin {
            pid: u32::try_from(number(&origin["pid"])).unwrap(),
            started: number(&origin["started"]),
            name: text(&origin["name"]).to_owned(),
        }),
    }
}

fn head(value: &Value) -> Head {
    Head {
        lines: number(&value["lines"]),
        digest: bytes(&value["digest"]).try_into().unwrap(),
    }
}

fn growth(value: &Value) -> Growth {
    Growth {
        base: head(&value["base"]),
        digests: bytes(&value["digests"]).into(),
    }
}

fn block(value: &Value) -> Block {
    let source = &value["source"];
    let source = match source.as_str() {
        Some(_) => Source::Unknown,
        None => match source.get("program") {
            Some(name) => Source::Program(text(name).to_owned()),
            None => Source::Host(Fingerprint(bytes(&source["host"]).try_into().unwrap())),
        },
    };
    Block {
        source,
        left_ms: u32::try_from(number(&value["left_ms"])).unwrap(),
    }
}

fn to_agent(fields: &Value) -> ToAgent {
    if fields == "unpaired" {
        return ToAgent::Unpaired;
    }
    let (name, value) = fields.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "identities" => {
            let identity = |identity: &Value| Identity {
                key: bytes(&identity["key"]).into(),
                label: text(&identity["label"]).to_owned(),
            };
            ToAgent::Identities(objects(value).map(identity).collect())
        }
        "received" => ToAgent::Received(request_id(value)),
        "approved" => ToAgent::Approved(request_id(value)),
        "blocks" => ToAgent::Blocks(objects(value).map(block).collect()),
        "remembers" => ToAgent::Remembers(head(value)),
        "log" => ToAgent::Log(head(value)),
        "show_number" => {
            let shown = Number::parse(&value["number"].to_string()).unwrap();
            ToAgent::ShowNumber(request_id(&value["id"]), shown)
        }
        "signed" => ToAgent::Signed(request_id(&value["id"]), bytes(&value["signature"]).into()),
        "refused" => {
            let refusal = REFUSALS
                .into_iter()
                .find(|it| it.name() == text(&value["refusal"]));
            ToAgent::Refused(request_id(&value["id"]), refusal.unwrap())
        }
        other => panic!("no such message: {other}"),
    }
}

fn request_id(value: &Value) -> RequestId {
    RequestId(bytes(value).try_into().unwrap())
}

fn objects(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

/// A request with every field at its limit.
fn largest() -> SignRequest {
    let hint = || "h".repeat(MAX_HINT);
    SignRequest {
        id: RequestId([7; 16]),
        key: vec![1; MAX_KEY_BLOB].into(),
        payload: vec![2; MAX_PAYLOAD].into(),
        flags: u32::MAX,
        chain: vec![vec![3; MAX_CHAIN / MAX_BINDINGS].into(); MAX_BINDINGS],
        wait_ms: u32::MAX,
        reported: Reported {
            processes: vec![
                Process {
                    pid: u32::MAX,
                    program: hint(),
                    command: hint()
                };
                MAX_PROCESSES
            ],
            directory: Some(hint()),
            terminal: Some(hint()),
            host: Some(hint()),
            known_hosts: Some(hint()),
            user: Some(hint()),
            origin: Some(Origin {
                pid: u32::MAX,
                started: u64::MAX,
                name: hint(),
            }),
        },
    }
}

fn sent(request: SignRequest) -> Result<(), Malformed> {
    ToSigner::from_bytes(&ToSigner::Sign(request).to_bytes()).map(|_| ())
}

#[test]
fn a_request_with_every_field_at_its_limit_is_read_and_fits_in_the_link() {
    assert_eq!(MAX_CHAIN % MAX_BINDINGS, 0);
    assert!(ToSigner::Sign(largest()).to_bytes().len() <= LINK_MESSAGE);
    assert_eq!(sent(largest()), Ok(()));
}

#[test]
fn a_request_with_one_field_beyond_its_limit_is_refused() {
    type Grow = fn(&mut SignRequest);
    let grown: [(&str, Grow); 13] = [
        ("key", |it| it.key.push(0)),
        ("payload", |it| it.payload.push(0)),
        ("bytes of the chain", |it| it.chain[0].push(0)),
        ("bindings", |it| {
            it.chain[0].clear();
            it.chain.push(ByteVec::from(Vec::new()));
        }),
        ("processes", |it| {
            it.reported.processes.push(it.reported.processes[0].clone());
        }),
        ("program", |it| it.reported.processes[7].program.push('h')),
        ("command", |it| it.reported.processes[0].command.push('h')),
        ("directory", |it| {
            it.reported.directory.as_mut().unwrap().push('h');
        }),
        ("terminal", |it| {
            it.reported.terminal.as_mut().unwrap().push('h');
        }),
        ("host", |it| it.reported.host.as_mut().unwrap().push('h')),
        ("known hosts", |it| {
            it.reported.known_hosts.as_mut().unwrap().push('h');
        }),
        ("user", |it| it.reported.user.as_mut().unwrap().push('h')),
        ("origin", |it| {
            it.reported.origin.as_mut().unwrap().name.push('h');
        }),
    ];
    for (field, grow) in grown {
        let mut request = largest();
        grow(&mut request);
        assert_eq!(sent(request), Err(Malformed::TooLong), "{field}");
    }
}

#[test]
fn identities_at_the_limits_are_read_and_fit_in_the_link_and_one_more_is_refused() {
    let identity = Identity {
        key: vec![1; MAX_IDENTITY_BLOB].into(),
        label: "l".repeat(MAX_NAME),
    };
    let sent = |identities: &[Identity]| {
        let encoded = ToAgent::Identities(identities.to_vec()).to_bytes();
        (encoded.len(), ToAgent::from_bytes(&encoded).map(|_| ()))
    };
    let most = vec![identity.clone(); MAX_IDENTITIES];
    let (length, read) = sent(&most);
    assert_eq!(read, Ok(()));
    assert!(length <= LINK_MESSAGE, "{length}");
    assert_eq!(
        sent(&vec![identity.clone(); MAX_IDENTITIES + 1]).1,
        Err(Malformed::TooLong)
    );
    let mut longer = identity.clone();
    longer.key.push(0);
    assert_eq!(sent(&[longer]).1, Err(Malformed::TooLong));
    let mut longer = identity;
    longer.label.push('l');
    assert_eq!(sent(&[longer]).1, Err(Malformed::TooLong));
}

#[test]
fn a_growth_at_its_limit_is_read_and_one_line_or_byte_more_is_refused() {
    let read = |length: usize| {
        let growth = Growth {
            base: Head::EMPTY,
            digests: vec![1; length].into(),
        };
        let encoded = ToSigner::Log(growth).to_bytes();
        assert!(encoded.len() <= LINK_MESSAGE);
        ToSigner::from_bytes(&encoded).map(|_| ())
    };
    assert_eq!(read(MAX_GROWTH * 32), Ok(()));
    assert_eq!(read(0), Ok(()));
    for length in [MAX_GROWTH * 32 + 32, MAX_GROWTH * 32 - 1, 31, 1] {
        assert_eq!(read(length), Err(Malformed::TooLong), "{length}");
    }
}

#[test]
fn blocks_at_the_limits_are_read_and_fit_in_the_link_and_one_more_is_refused() {
    let block = |length| Block {
        source: Source::Program("p".repeat(length)),
        left_ms: u32::MAX,
    };
    let read = |blocks: Vec<Block>| {
        let encoded = ToAgent::Blocks(blocks).to_bytes();
        assert!(encoded.len() <= LINK_MESSAGE);
        ToAgent::from_bytes(&encoded).map(|_| ())
    };
    assert_eq!(read(vec![block(MAX_HINT); MAX_BLOCKS]), Ok(()));
    assert_eq!(
        read(vec![block(1); MAX_BLOCKS + 1]),
        Err(Malformed::TooLong)
    );
    assert_eq!(read(vec![block(MAX_HINT + 1)]), Err(Malformed::TooLong));
}

#[test]
fn a_signature_at_the_limit_is_read_and_one_byte_more_is_refused() {
    let sent = |length| {
        let signed = ToAgent::Signed(RequestId([7; 16]), vec![0; length].into());
        ToAgent::from_bytes(&signed.to_bytes()).map(|_| ())
    };
    assert_eq!(sent(MAX_SIGNATURE), Ok(()));
    assert_eq!(sent(MAX_SIGNATURE + 1), Err(Malformed::TooLong));
}

#[test]
fn a_hello_at_the_limits_is_read_and_one_byte_more_is_refused() {
    let text = |length| "n".repeat(length);
    let sent = |name: usize, kind: usize, software: usize| {
        let hello = Hello {
            version: u16::MAX,
            name: text(name),
            kind: text(kind),
            software: text(software),
            commitment: Some([0xff; 32].into()),
        };
        let encoded = hello.to_bytes();
        assert!(encoded.len() <= 1020, "the handshake carries no more");
        Hello::from_bytes(&encoded).map(|_| ())
    };
    assert_eq!(sent(MAX_NAME, MAX_NAME, MAX_NAME), Ok(()));
    assert_eq!(sent(MAX_NAME + 1, 0, 0), Err(Malformed::TooLong));
    assert_eq!(sent(0, MAX_NAME + 1, 0), Err(Malformed::TooLong));
    assert_eq!(sent(0, 0, MAX_NAME + 1), Err(Malformed::TooLong));
}

#[test]
fn every_refusal_has_its_own_name_a_reason_and_a_hint() {
    for refusal in REFUSALS {
        assert_eq!(
            REFUSALS
                .iter()
                .filter(|it| it.name() == refusal.name())
                .count(),
            1
        );
        assert!(!refusal.reason().is_empty() && !refusal.hint().is_empty());
    }
}

fn request_ids() -> impl Strategy<Value = RequestId> {
    any::<[u8; 16]>().prop_map(RequestId)
}

fn blobs(limit: usize) -> impl Strategy<Value = ByteVec> {
    vec(any::<u8>(), 0..=limit).prop_map(ByteVec::from)
}

fn hints() -> impl Strategy<Value = String> {
    ".{0,40}"
}

fn processes() -> impl Strategy<Value = Process> {
    (any::<u32>(), hints(), hints()).prop_map(|(pid, program, command)| Process {
        pid,
        program,
        command,
    })
}

fn reports() -> impl Strategy<Value = Reported> {
    let optional = || option::of(hints());
    (
        vec(processes(), 0..=MAX_PROCESSES),
        optional(),
        optional(),
        optional(),
        optional(),
        optional(),
        option::of((any::<u32>(), any::<u64>(), hints())),
    )
        .prop_map(
            |(processes, directory, terminal, host, known_hosts, user, origin)| Reported {
                processes,
                directory,
                terminal,
                host,
                known_hosts,
                user,
                origin: origin.map(|(pid, started, name)| Origin { pid, started, name }),
            },
        )
}

fn messages_to_signer() -> impl Strategy<Value = ToSigner> {
    let sign = (
        request_ids(),
        blobs(300),
        blobs(300),
        any::<u32>(),
        vec(blobs(100), 0..=MAX_BINDINGS),
        any::<u32>(),
        reports(),
    )
        .prop_map(|(id, key, payload, flags, chain, wait_ms, reported)| {
            ToSigner::Sign(SignRequest {
                id,
                key,
                payload,
                flags,
                chain,
                wait_ms,
                reported,
            })
        });
    prop_oneof![
        sign,
        request_ids().prop_map(ToSigner::Cancel),
        Just(ToSigner::Unpaired),
        (heads(), vec(any::<[u8; 32]>(), 0..5))
            .prop_map(|(base, digests)| ToSigner::Log(Growth::new(base, &digests))),
    ]
}

fn messages_to_agent() -> impl Strategy<Value = ToAgent> {
    let identity = (blobs(100), "[a-zß-ü ]{0,30}").prop_map(|(key, label)| Identity { key, label });
    let refusal = (0..REFUSALS.len()).prop_map(|index| REFUSALS[index]);
    prop_oneof![
        vec(identity, 0..8).prop_map(ToAgent::Identities),
        request_ids().prop_map(ToAgent::Received),
        (request_ids(), any::<[u8; 4]>())
            .prop_map(|(id, random)| ToAgent::ShowNumber(id, Number::pick(random))),
        (request_ids(), blobs(300)).prop_map(|(id, signature)| ToAgent::Signed(id, signature)),
        (request_ids(), refusal).prop_map(|(id, refusal)| ToAgent::Refused(id, refusal)),
        Just(ToAgent::Unpaired),
        request_ids().prop_map(ToAgent::Approved),
        vec(blocks(), 0..4).prop_map(ToAgent::Blocks),
        heads().prop_map(ToAgent::Remembers),
        heads().prop_map(ToAgent::Log),
    ]
}

fn heads() -> impl Strategy<Value = Head> {
    (any::<u64>(), any::<[u8; 32]>()).prop_map(|(lines, digest)| Head { lines, digest })
}

fn blocks() -> impl Strategy<Value = Block> {
    let source = prop_oneof![
        Just(Source::Unknown),
        hints().prop_map(Source::Program),
        any::<[u8; 32]>().prop_map(|key| Source::Host(Fingerprint(key))),
    ];
    (source, any::<u32>()).prop_map(|(source, left_ms)| Block { source, left_ms })
}

proptest! {
    #[test]
    fn any_message_to_the_signer_comes_back_as_it_was(message in messages_to_signer()) {
        assert_eq!(ToSigner::from_bytes(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn any_message_to_the_agent_comes_back_as_it_was(message in messages_to_agent()) {
        assert_eq!(ToAgent::from_bytes(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn whatever_bytes_are_read_as_a_message_are_written_the_same_way_twice(
        bytes in vec(any::<u8>(), 0..200),
    ) {
        for kind in ["Hello", "PairingStep", "ToSigner", "ToAgent"] {
            if let Ok(once) = read(kind, &bytes) {
                let again: Vec<u8> = crate::support::bytes(&Value::String(once.clone()));
                assert_eq!(read(kind, &again), Ok(once));
            }
        }
    }
}
