//! A workstation that lies to the phone.
//!
//! The phone is the real `vmux-signer`, and the program that decides says yes to everything it is
//! asked: what it was shown is all that stood between a lie and a signature.
use std::time::Duration;

use serde_json::Value;
use vmux_proto::binding::Use;
use vmux_proto::limits::{MAX_PAYLOAD, MAX_SHOWN};
use vmux_proto::message::{
    Message as _, Refusal, Reported, RequestId, SignRequest, ToAgent, ToSigner,
};
use vmux_proto::wire::Writer;
use vmux_testkit::{Decide, KeyKind, Phone, Place, RelayProgram, base64_bytes};

use crate::chair::random;
use crate::false_agent::{Answered, FalseAgent, request};
use crate::ssh::{Secret, commit, login};
use vmux_proto::key::PublicKey;

const SESSION: [u8; 32] = [0x5e; 32];
const OTHER_SESSION: [u8; 32] = [0x5f; 32];

/// A phone, a workstation that lies, and hosts.
struct Lie {
    agent: FalseAgent,
    phone: Phone,
    key: PublicKey,
    web: Secret,
    evil: Secret,
    hop: Secret,
    _relay: RelayProgram,
    _place: Place,
}

impl Lie {
    fn new() -> Self {
        let (mut lie, []) = Self::with_others();
        lie.agent.meet();
        lie
    }

    /// With more workstations, none of which has met the phone yet.
    fn with_others<const N: usize>() -> (Self, [FalseAgent; N]) {
        let place = Place::new();
        let relay = RelayProgram::start(place.home("relay"));
        let mut phone = Phone::new(place.home("phone"), "pocket phone");
        let public = phone.new_key("phone key", KeyKind::Ed25519);
        let blob = base64_bytes(public.split(' ').nth(1).unwrap());
        let agent = FalseAgent::pair(&relay.url(), &phone);
        let others = std::array::from_fn(|_| FalseAgent::pair(&relay.url(), &phone));
        phone.start();
        let lie = Self {
            agent,
            phone,
            key: PublicKey::parse(&blob).unwrap(),
            web: Secret::new(51),
            evil: Secret::new(66),
            hop: Secret::new(53),
            _relay: relay,
            _place: place,
        };
        (lie, others)
    }

    fn request(&self, payload: Vec<u8>, chain: &[Vec<u8>]) -> SignRequest {
        request(self.key.blob(), payload, chain.to_vec())
    }

    fn login(&self, session: &[u8], host: Option<&Secret>) -> Vec<u8> {
        login(session, &self.key, host.map(Secret::public).as_ref())
    }

    /// The truth: a login to `web`, reached directly.
    fn direct(&self) -> SignRequest {
        let bound = self.web.binding(&SESSION, Use::Login);
        self.request(self.login(&SESSION, Some(&self.web)), &[bound])
    }

    /// The truth: a login to `web` through a hop.
    fn forwarded(&self) -> SignRequest {
        let chain = [
            self.hop.binding(&OTHER_SESSION, Use::Forwarding),
            self.web.binding(&SESSION, Use::Login),
        ];
        self.request(self.login(&SESSION, Some(&self.web)), &chain)
    }

    /// Asks for what must be refused and never shown.
    #[track_caller]
    fn is_refused(&mut self, lie: &SignRequest, why: Refusal) {
        let before = self.phone.prompts().len();
        assert_eq!(self.agent.ask(lie), Answered::Refused(why), "{lie:?}");
        assert_eq!(self.phone.prompts().len(), before, "{lie:?} was shown");
    }

    /// Asks for what is shown and approved; gives what was shown.
    #[track_caller]
    fn is_shown(&mut self, request: &SignRequest) -> Value {
        let before = self.phone.prompts().len();
        let Answered::Signed(signature) = self.agent.ask(request) else {
            panic!("{request:?} is refused")
        };
        assert!(signature.starts_with(b"\0\0\0\x0bssh-ed25519"));
        self.phone.one_prompt_since(before)
    }
}

fn fingerprint(host: &Secret) -> Value {
    host.public().fingerprint().to_string().into()
}

#[test]
fn i11_the_prompt_names_the_host_the_user_and_the_hops_that_the_bytes_prove() {
    let mut lie = Lie::new();
    let reported = Reported {
        host: Some("sandbox".to_owned()),
        user: Some("guest".to_owned()),
        known_hosts: Some("sandbox (in known_hosts)".to_owned()),
        ..Reported::default()
    };
    let truth = SignRequest {
        reported: reported.clone(),
        ..lie.direct()
    };
    let shown = lie.is_shown(&truth);
    assert_eq!(shown["host"]["fingerprint"], fingerprint(&lie.web));
    assert_eq!(
        (&shown["user"], &shown["level"]),
        (&"deploy".into(), &"direct".into())
    );
    assert_eq!(shown["hops"], serde_json::json!([]));

    let shown = lie.is_shown(&lie.forwarded());
    assert_eq!(shown["level"], "forwarded");
    assert_eq!(shown["hops"][0]["fingerprint"], fingerprint(&lie.hop));
    assert_eq!(shown["host"]["fingerprint"], fingerprint(&lie.web));

    // A hop can be left out by whoever holds the workstation; the destination stays what it is.
    let forwarded = lie.forwarded();
    let hidden = SignRequest {
        chain: forwarded.chain[1..].to_vec(),
        ..forwarded
    };
    let shown = lie.is_shown(&hidden);
    assert_eq!(shown["host"]["fingerprint"], fingerprint(&lie.web));

    // Without a proof it is said that there is none, whatever is reported.
    for (host, level) in [(Some(&lie.evil), "claimed"), (None, "unknown")] {
        let unproven = SignRequest {
            reported: reported.clone(),
            ..lie.request(lie.login(&SESSION, host), &[])
        };
        let before = lie.phone.prompts().len();
        lie.agent.ask(&unproven);
        let shown = lie.phone.one_prompt_since(before);
        assert_eq!(
            (&shown["level"], &shown["standing"]),
            (&level.into(), &"unverified".into())
        );
        assert!(shown["number"].is_u64(), "the extra step stays: {shown}");
    }
}

#[test]
fn i11_what_the_proofs_contradict_is_refused_and_never_shown() {
    let mut lie = Lie::new();
    lie.is_shown(&lie.direct());
    let forged = Writer::new()
        .string(lie.web.public().blob())
        .string(SESSION)
        .string(lie.evil.sign(&SESSION))
        .u8(0)
        .finish();
    let named = lie.login(&SESSION, Some(&lie.web));
    let mut turned = lie.forwarded();
    turned.chain.reverse();
    let mut relabelled = lie.forwarded();
    *relabelled.chain[0].last_mut().unwrap() ^= 1;
    let mut cut = lie.forwarded();
    cut.chain.pop();
    let evil_bound = lie.evil.binding(&SESSION, Use::Login);
    let old_session = lie.web.binding(&OTHER_SESSION, Use::Login);
    let lies = [
        lie.request(named.clone(), &[forged]),
        lie.request(named.clone(), &[evil_bound]),
        lie.request(named.clone(), std::slice::from_ref(&old_session)),
        lie.request(lie.login(&SESSION, None), &[old_session]),
        lie.request(named, &[b"no binding".to_vec()]),
        lie.request(commit([1; 32]), &[lie.web.binding(&SESSION, Use::Login)]),
        turned,
        relabelled,
        cut,
    ];
    for one in lies {
        lie.is_refused(&one, Refusal::Contradiction);
    }
    lie.is_shown(&lie.direct());
}

#[test]
fn i2_bytes_of_another_kind_or_key_are_refused_and_never_shown() {
    let mut lie = Lie::new();
    let bound = [lie.web.binding(&SESSION, Use::Login)];
    let stranger = Secret::new(99).public();
    let of_stranger = login(&SESSION, &stranger, Some(&lie.web.public()));
    let mut longer = lie.direct();
    longer.payload.push(0);
    let mut flagged = lie.direct();
    flagged.flags = 1;
    let not_understood = [
        lie.request(of_stranger.clone(), &bound),
        lie.request(vec![0x5a; MAX_PAYLOAD], &[]),
        lie.request(Vec::new(), &[]),
        longer,
        flagged,
    ];
    for one in not_understood {
        lie.is_refused(&one, Refusal::NotUnderstood);
    }
    let unknown_key = request(stranger.blob(), of_stranger, bound.to_vec());
    lie.is_refused(&unknown_key, Refusal::NoSuchIdentity);
    let namespace = Writer::new()
        .bytes(b"SSHSIG")
        .string("root-of-all")
        .string("")
        .string("sha256")
        .string([1; 32])
        .finish();
    lie.is_refused(&lie.request(namespace, &[]), Refusal::NamespaceNotAllowed);
    lie.is_shown(&lie.request(commit([1; 32]), &[]));
}

#[test]
fn a_known_name_for_another_host_is_shown_as_what_it_is() {
    let mut lie = Lie::new();
    let reported = Reported {
        host: Some("web".to_owned()),
        ..Reported::default()
    };
    let truth = SignRequest {
        reported: reported.clone(),
        ..lie.direct()
    };
    assert_eq!(lie.is_shown(&truth)["standing"], "new");
    assert_eq!(lie.is_shown(&truth)["standing"], "pinned");
    let bound = lie.evil.binding(&OTHER_SESSION, Use::Login);
    let passed_off = SignRequest {
        reported,
        ..lie.request(lie.login(&OTHER_SESSION, Some(&lie.evil)), &[bound])
    };
    let before = lie.phone.prompts().len();
    let answer = lie.agent.ask(&passed_off);
    for shown in lie.phone.prompts_since(before) {
        assert_ne!(shown["standing"], "pinned", "{shown:#}");
        assert_eq!(shown["host"]["fingerprint"], fingerprint(&lie.evil));
        assert!(
            shown["blocked"] == true || shown["namesake"]["name"] == "web",
            "{shown:#}"
        );
        if shown["blocked"] == true {
            assert!(matches!(answer, Answered::Refused(_)), "{answer:?}");
        }
    }
    // The name stays with the host that had it.
    assert_eq!(lie.is_shown(&truth)["standing"], "pinned");
}

#[test]
fn i4_an_id_is_good_for_the_bytes_it_came_with_and_one_signature() {
    let mut lie = Lie::new();
    let first = SignRequest {
        id: RequestId(random()),
        ..lie.direct()
    };
    let Answered::Signed(signature) = lie.agent.ask_again(&first) else {
        panic!("the truth is refused")
    };
    let seen = lie.phone.prompts().len();
    // The same again gets the same answer; anything else under its id is a replay.
    assert_eq!(lie.agent.ask_again(&first), Answered::Signed(signature));
    let other_bytes = SignRequest {
        payload: commit([1; 32]).into(),
        chain: Vec::new(),
        ..first.clone()
    };
    let longer_wait = SignRequest {
        wait_ms: first.wait_ms + 1,
        ..first.clone()
    };
    let other_words = SignRequest {
        reported: Reported {
            host: Some("elsewhere".to_owned()),
            ..Reported::default()
        },
        ..first
    };
    let replayed = Answered::Refused(Refusal::Replayed);
    assert_eq!(lie.agent.ask_again(&other_bytes), replayed);
    for lent in [longer_wait, other_words] {
        let answer = lie.agent.ask_again(&lent);
        assert!(
            matches!(answer, Answered::Signed(_)) || answer == replayed,
            "{answer:?}"
        );
    }
    assert_eq!(lie.phone.prompts().len(), seen, "a replay was shown");
}

#[test]
fn more_requests_than_a_person_can_look_at_are_refused_at_once() {
    let mut lie = Lie::new();
    lie.phone.decide(Decide::Wait);
    let asked = MAX_SHOWN + 4;
    for number in 0..asked {
        let number = u8::try_from(number).unwrap();
        let flood = SignRequest {
            id: RequestId(random()),
            wait_ms: u32::MAX,
            ..lie.request(commit([number; 32]), &[])
        };
        lie.agent.say(&ToSigner::Sign(flood));
    }
    let (mut received, mut refused) = (0, 0);
    while received + refused < asked {
        let said = lie.agent.hear();
        if let ToAgent::Received(_) = said {
            received += 1;
        }
        if let ToAgent::Refused(_, why) = said {
            assert_ne!(why, Refusal::Denied);
            refused += 1;
        }
    }
    assert!((1..=MAX_SHOWN).contains(&received), "{received}");
    // However long the agent says that it waits, no prompt outlives a login.
    let shown = lie.phone.next_prompt(0);
    assert!(
        shown["time_left_ms"].as_u64().unwrap() <= 100_000,
        "{shown}"
    );
}

#[test]
fn an_agent_cannot_touch_the_requests_of_another() {
    let (mut lie, [mut other]) = Lie::with_others();
    lie.agent.meet();
    other.meet();
    lie.phone.decide(Decide::Wait);
    let waiting = SignRequest {
        id: RequestId(random()),
        ..lie.direct()
    };
    lie.agent.say(&ToSigner::Sign(waiting.clone()));
    let shown = lie.phone.next_prompt(0);
    other.say(&ToSigner::Cancel(waiting.id));
    // Under the same id, with the same and with other bytes.
    assert_eq!(
        other.ask_again(&waiting),
        Answered::Refused(Refusal::Replayed)
    );
    let bytes = lie.request(commit([2; 32]), &[]);
    let lent = SignRequest {
        id: waiting.id,
        ..bytes
    };
    assert_eq!(other.ask_again(&lent), Answered::Refused(Refusal::Replayed));
    other.say(&ToSigner::Unpaired);
    lie.phone
        .told("one agent less", Duration::from_secs(5), |event| {
            event["event"] == "unpaired"
        });
    let ended = |event: &Value| event["request"] == shown["request"] && event["event"] != "request";
    let events = lie.phone.events();
    assert!(!events.iter().any(ended), "{events:#?}");
    // Its own agent can.
    lie.agent.say(&ToSigner::Cancel(waiting.id));
    let withdrawn =
        |event: &Value| event["request"] == shown["request"] && event["event"] == "cancelled";
    lie.phone
        .told("the prompt is withdrawn", Duration::from_secs(5), withdrawn);
}

#[test]
fn messages_that_are_none_end_the_channel_and_the_next_one_is_as_good() {
    let mut lie = Lie::new();
    let mut long = lie.direct();
    long.payload = vec![0x5a; MAX_PAYLOAD + 1].into();
    let mut many = lie.direct();
    many.chain = vec![many.chain[0].clone(); 17];
    for bytes in [
        ToSigner::Sign(long).to_bytes(),
        ToSigner::Sign(many).to_bytes(),
        vec![0x82, 0x18, 0x63, 0x80],
        Vec::new(),
    ] {
        lie.agent.say_bytes(&bytes);
        lie.agent.meet();
    }
    assert_eq!(lie.phone.prompts().len(), 0);
    lie.is_shown(&lie.direct());
}
