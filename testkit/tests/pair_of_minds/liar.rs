//! An agent that lies, and what the phone makes of it.
//!
//! The laptop may be infected: it holds the link's keys and says what it likes. What it cannot do is
//! make the phone name a host that did not sign the session in the bytes.
use crate::phone::{Phone, bonds, hello};
use crate::ssh::{Secret, commit, login};
use minicbor::bytes::ByteVec;
use vmux_link::{Channel, Entropy};
use vmux_proto::Now;
use vmux_proto::binding::Use;
use vmux_proto::crypto::PureRust;
use vmux_proto::destination::Level;
use vmux_proto::key::PublicKey;
use vmux_proto::limits::MAX_LOGIN_MS;
use vmux_proto::message::{
    Message as _, Number, Origin, Process, Refusal, Reported, RequestId, SignRequest, ToSigner,
};
use vmux_proto::payload::Payload;
use vmux_proto::wire::Writer;
use vmux_signer::{After, Decision, Input, Output, PinName, Prompt, Standing, Subject};

const SESSION: [u8; 32] = [0x5e; 32];
const OTHER_SESSION: [u8; 32] = [0x5f; 32];

/// A phone that knows `web`, and an agent with a will of its own.
struct Liar {
    phone: Phone,
    channel: Channel,
    now: Now,
    requests: u64,
    main: Secret,
    web: Secret,
    evil: Secret,
    hops: [Secret; 2],
}

impl Liar {
    fn new() -> Self {
        let (mut phone, _) = Phone::paired(0x10, vec![Secret::new(1), Secret::new(2)]);
        let (_, bond) = bonds(0x10);
        let now = Now {
            uptime: 1_000_000,
            wall: 1_800_000_000,
        };
        let link = phone.link;
        phone.signer.handle(
            Input::Met(link, Entropy::from_bytes([1; 32])),
            &PureRust,
            now,
        );
        let Some(Output::Send(_, call)) = phone.signer.poll() else {
            panic!("the phone calls")
        };
        let entropy = Entropy::from_bytes([2; 32]);
        let (channel, _, answer) = bond
            .answer(entropy, &call, &hello("liar").to_bytes())
            .unwrap();
        let mut liar = Self {
            phone,
            channel,
            now,
            requests: 0,
            main: Secret::new(1),
            web: Secret::new(51),
            evil: Secret::new(66),
            hops: [Secret::new(53), Secret::new(54)],
        };
        liar.frame(answer);
        liar.learn_web();
        liar
    }

    /// The person has logged in to `web` before, and called it so.
    fn learn_web(&mut self) {
        let prompt = self.ask(&self.direct()).unwrap();
        let name = Some(PinName::parse("web").unwrap());
        let decision = Decision::Approve {
            number: prompt.number,
            name,
        };
        let outputs = self.handle(Input::Decided(prompt.request, decision));
        let [Output::Sign(job)] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        let signature = self.main.sign(job.bytes());
        self.handle(Input::Signed(prompt.request, Some(signature)));
        assert_eq!(self.phone.signer.pins().all().len(), 1);
    }

    fn handle(&mut self, input: Input) -> Vec<Output> {
        self.phone.signer.handle(input, &PureRust, self.now);
        let mut outputs = Vec::new();
        while let Some(output) = self.phone.signer.poll() {
            match output {
                Output::Send(_, frame) => {
                    self.channel.open(&frame).unwrap();
                }
                Output::Record(line) => {
                    self.phone.record(&line);
                    let stored = Input::Recorded(line.after.lines);
                    self.phone.signer.handle(stored, &PureRust, self.now);
                }
                other => outputs.push(other),
            }
        }
        outputs
    }

    fn frame(&mut self, frame: Vec<u8>) -> Vec<Output> {
        self.handle(Input::Frame(self.phone.link, frame, [0, 0, 0, 32]))
    }

    /// Sends a request under a fresh id; gives what the person sees, or why nobody was asked.
    fn ask(&mut self, request: &SignRequest) -> Result<Prompt, Refusal> {
        self.requests += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.requests.to_be_bytes());
        self.send(&SignRequest {
            id: RequestId(id),
            ..request.clone()
        })
    }

    fn send(&mut self, request: &SignRequest) -> Result<Prompt, Refusal> {
        let message = ToSigner::Sign(request.clone()).to_bytes();
        let outputs = self.channel.seal(&message).map(|frame| self.frame(frame));
        let seen = outputs.iter().flatten().find_map(|output| match output {
            Output::Show(prompt) => Some(Ok((**prompt).clone())),
            Output::Refused(_, refusal) => Some(Err(*refusal)),
            _ => None,
        });
        seen.unwrap_or_else(|| panic!("{outputs:?}"))
    }

    fn request(&self, payload: Vec<u8>, chain: &[Vec<u8>]) -> SignRequest {
        SignRequest {
            id: RequestId([0; 16]),
            key: ByteVec::from(self.main.public().blob().to_vec()),
            payload: payload.into(),
            flags: 0,
            chain: chain.iter().cloned().map(ByteVec::from).collect(),
            wait_ms: 60_000,
            reported: Reported::default(),
        }
    }

    /// The truth: a login to `web`, reached directly.
    fn direct(&self) -> SignRequest {
        let bound = self.web.binding(&SESSION, Use::Login);
        self.request(self.login(&SESSION, Some(&self.web.public())), &[bound])
    }

    /// The truth: a login to `web` through both hops.
    fn forwarded(&self) -> SignRequest {
        let [first, second] = &self.hops;
        let chain = [
            first.binding(&[1; 32], Use::Forwarding),
            second.binding(&[2; 32], Use::Forwarding),
            self.web.binding(&SESSION, Use::Login),
        ];
        self.request(self.login(&SESSION, Some(&self.web.public())), &chain)
    }

    fn login(&self, session: &[u8], host: Option<&PublicKey>) -> Vec<u8> {
        login(session, &self.main.public(), host)
    }

    fn names_web(&self, prompt: &Prompt) -> bool {
        let web = self.web.public().fingerprint();
        prompt
            .host
            .as_ref()
            .is_some_and(|host| host.fingerprint == web)
    }
}

fn is_pinned(prompt: &Prompt) -> bool {
    prompt
        .host
        .as_ref()
        .is_some_and(|host| matches!(host.standing, Standing::Pinned(_)))
}

#[test]
fn i11_the_truth_is_shown() {
    let mut liar = Liar::new();
    let prompt = liar.ask(&liar.direct()).unwrap();
    assert_eq!((prompt.level, prompt.hops.len()), (Level::Direct, 0));
    assert!(liar.names_web(&prompt) && is_pinned(&prompt));
    assert_eq!(prompt.number, None, "a known host needs no number");
    let prompt = liar.ask(&liar.forwarded()).unwrap();
    assert_eq!((prompt.level, prompt.hops.len()), (Level::Forwarded, 2));
    assert!(liar.names_web(&prompt) && is_pinned(&prompt));
}

#[test]
fn i11_a_host_that_did_not_sign_the_session_is_not_shown() {
    let mut liar = Liar::new();
    let web = liar.web.public();
    // The login goes to `evil`; the phone shall show `web`.
    let evil_login = liar.login(&OTHER_SESSION, Some(&liar.evil.public()));
    let named_login = liar.login(&OTHER_SESSION, Some(&web));
    let plain_login = liar.login(&OTHER_SESSION, None);
    let of_old_session = liar.web.binding(&SESSION, Use::Login);
    let of_evil = liar.evil.binding(&OTHER_SESSION, Use::Login);
    let forged = Writer::new()
        .string(web.blob())
        .string(OTHER_SESSION)
        .string(liar.evil.sign(&OTHER_SESSION))
        .u8(0)
        .finish();
    for payload in [evil_login, named_login.clone(), plain_login] {
        for chain in [vec![of_old_session.clone()], vec![forged.clone()]] {
            let seen = liar.ask(&liar.request(payload.clone(), &chain));
            assert_eq!(seen, Err(Refusal::Contradiction));
        }
    }
    let seen = liar.ask(&liar.request(named_login, &[of_evil]));
    assert_eq!(
        seen,
        Err(Refusal::Contradiction),
        "the bytes name another host"
    );
}

#[test]
fn i11_a_chain_cut_turned_or_relabelled_around_the_destination_is_refused() {
    let mut liar = Liar::new();
    let honest = liar.forwarded();
    let [first, second, web] = [0, 1, 2].map(|at| honest.chain[at].clone());
    let relabelled = |body: &ByteVec| {
        let mut body = body.clone();
        // Who forwards is not signed by the host.
        *body.last_mut().unwrap() ^= 1;
        body
    };
    for chain in [
        vec![first.clone(), second.clone()],
        vec![first.clone()],
        vec![web.clone(), first.clone(), second.clone()],
        vec![first.clone(), web.clone(), second.clone()],
        vec![first.clone(), second.clone(), web.clone(), web.clone()],
        vec![relabelled(&first), second.clone(), web.clone()],
        vec![first.clone(), relabelled(&second), web.clone()],
        vec![first.clone(), second.clone(), relabelled(&web)],
    ] {
        let lie = SignRequest {
            chain,
            ..honest.clone()
        };
        assert_eq!(liar.ask(&lie), Err(Refusal::Contradiction), "{lie:?}");
    }
}

#[test]
fn hops_can_be_hidden_or_turned_by_the_workstation_but_the_destination_stays_true() {
    // No host signs who came before it. Whoever holds the workstation gains nothing by that: it could
    // ask for the same login in its own name.
    let mut liar = Liar::new();
    let honest = liar.forwarded();
    let [first, second, web] = [0, 1, 2].map(|at| honest.chain[at].clone());
    for (chain, level) in [
        (vec![web.clone()], Level::Direct),
        (vec![first.clone(), web.clone()], Level::Forwarded),
        (vec![second, first, web], Level::Forwarded),
    ] {
        let prompt = liar
            .ask(&SignRequest {
                chain,
                ..honest.clone()
            })
            .unwrap();
        assert_eq!(prompt.level, level);
        assert!(liar.names_web(&prompt));
    }
}

#[test]
fn i11_without_a_proof_nothing_that_is_reported_makes_a_destination_verified() {
    let mut liar = Liar::new();
    let claimed = Reported {
        host: Some("web".into()),
        known_hosts: Some("web (confirmed)".into()),
        user: Some("you".into()),
        directory: Some("/home/you".into()),
        terminal: Some("/dev/pts/0".into()),
        processes: vec![Process {
            pid: 1,
            program: "/usr/bin/ssh".into(),
            command: "ssh web".into(),
        }],
        origin: Some(Origin {
            pid: 1,
            started: 1,
            name: "/usr/bin/ssh".into(),
        }),
    };
    let web = liar.web.public();
    for (payload, level) in [
        (liar.login(&SESSION, Some(&web)), Level::Claimed),
        (liar.login(&SESSION, None), Level::Unknown),
    ] {
        let lie = SignRequest {
            reported: claimed.clone(),
            ..liar.request(payload, &[])
        };
        let prompt = liar.ask(&lie).unwrap();
        assert_eq!(prompt.level, level);
        assert!(!is_pinned(&prompt));
        assert!(prompt.number.is_some(), "the extra step stays");
        assert_eq!(
            prompt.reported, claimed,
            "shown, apart from what was checked"
        );
    }
}

#[test]
fn an_unverified_login_is_not_remembered_however_often_it_is_approved() {
    let mut liar = Liar::new();
    let (evil, pins) = (liar.evil.public(), liar.phone.signer.pins().clone());
    for _ in 0..3 {
        let payload = liar.login(&SESSION, Some(&evil));
        let prompt = liar.ask(&liar.request(payload, &[])).unwrap();
        let name = Some(PinName::parse("web-2").unwrap());
        let decision = Decision::Approve {
            number: prompt.number,
            name,
        };
        let outputs = liar.handle(Input::Decided(prompt.request, decision));
        let [Output::Sign(job)] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        let signature = liar.main.sign(job.bytes());
        liar.handle(Input::Signed(prompt.request, Some(signature)));
        assert_eq!(*liar.phone.signer.pins(), pins);
    }
}

#[test]
fn the_user_and_the_host_shown_are_those_in_the_bytes() {
    let mut liar = Liar::new();
    let reported = Reported {
        user: Some("guest".into()),
        host: Some("sandbox".into()),
        ..Reported::default()
    };
    let prompt = liar
        .ask(&SignRequest {
            reported,
            ..liar.direct()
        })
        .unwrap();
    let Subject::Login { user } = &prompt.subject else {
        panic!("{prompt:?}")
    };
    assert_eq!(user.raw(), "deploy");
    assert!(liar.names_web(&prompt));
    let Some(Standing::Pinned(pin)) = prompt.host.map(|host| host.standing) else {
        panic!("it is known under its own name")
    };
    assert_eq!(pin.name.as_str(), "web");
}

#[test]
fn a_host_passed_off_under_a_known_name_cannot_be_approved() {
    let mut liar = Liar::new();
    let evil = liar.evil.public();
    let bound = liar.evil.binding(&OTHER_SESSION, Use::Login);
    let payload = liar.login(&OTHER_SESSION, Some(&evil));
    let reported = Reported {
        host: Some("web".into()),
        ..Reported::default()
    };
    let lie = SignRequest {
        reported,
        ..liar.request(payload, &[bound])
    };
    let prompt = liar.ask(&lie).unwrap();
    assert!(prompt.is_blocked());
    let decision = Decision::Approve {
        number: prompt.number,
        name: None,
    };
    let outputs = liar.handle(Input::Decided(prompt.request, decision));
    assert!(
        !outputs
            .iter()
            .any(|output| matches!(output, Output::Sign(_))),
        "{outputs:?}"
    );
}

#[test]
fn i2_bytes_of_another_key_or_kind_are_not_shown() {
    let mut liar = Liar::new();
    let other = Secret::new(2).public();
    let web = liar.web.public();
    let bound = [liar.web.binding(&SESSION, Use::Login)];
    let of_other = liar.request(login(&SESSION, &other, Some(&web)), &bound);
    assert_eq!(liar.ask(&of_other), Err(Refusal::NotUnderstood));
    let random = liar.request(vec![0x5a; 1024], &[]);
    assert_eq!(liar.ask(&random), Err(Refusal::NotUnderstood));
    let in_login = liar.request(commit([1; 32]), &bound);
    assert_eq!(liar.ask(&in_login), Err(Refusal::Contradiction));
    let stranger = Secret::new(99).public();
    let key = ByteVec::from(stranger.blob().to_vec());
    let unknown = SignRequest {
        key,
        ..liar.direct()
    };
    assert_eq!(liar.ask(&unknown), Err(Refusal::NoSuchIdentity));
}

#[test]
fn i4_an_id_shown_once_is_not_lent_to_other_bytes() {
    let mut liar = Liar::new();
    let shown = SignRequest {
        id: RequestId([9; 16]),
        ..liar.direct()
    };
    liar.send(&shown).unwrap();
    let lie = SignRequest {
        payload: commit([1; 32]).into(),
        chain: vec![],
        ..shown
    };
    assert_eq!(liar.send(&lie), Err(Refusal::Replayed));
    let outputs = liar.handle(Input::Decided(
        lie.id,
        Decision::Approve {
            number: None,
            name: None,
        },
    ));
    let [Output::Sign(job)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        job.bytes(),
        liar.direct().payload.as_slice(),
        "what was shown is signed"
    );
}

#[test]
fn i5_an_agent_cannot_keep_a_prompt_open_for_longer_than_any_server_waits() {
    let mut liar = Liar::new();
    let prompt = liar
        .ask(&SignRequest {
            wait_ms: u32::MAX,
            ..liar.direct()
        })
        .unwrap();
    assert_eq!(prompt.deadline, liar.now.uptime + MAX_LOGIN_MS);
    liar.now.uptime = prompt.deadline;
    let decision = Decision::Approve {
        number: None,
        name: None,
    };
    let outputs = liar.handle(Input::Decided(prompt.request, decision));
    assert!(
        !outputs
            .iter()
            .any(|output| matches!(output, Output::Sign(_))),
        "{outputs:?}"
    );
}

#[test]
fn the_number_is_the_phones_and_cannot_be_set_or_guessed_twice() {
    let mut liar = Liar::new();
    let prompt = liar
        .ask(&liar.request(liar.login(&SESSION, None), &[]))
        .unwrap();
    let number = prompt.number.unwrap();
    let mut numbers = (0..90_u32).map(|roll| Number::pick(roll.to_be_bytes()));
    let wrong = numbers.find(|other| *other != number);
    for guess in [wrong, Some(number)] {
        let decision = Decision::Approve {
            number: guess,
            name: None,
        };
        let outputs = liar.handle(Input::Decided(prompt.request, decision));
        assert!(
            !outputs
                .iter()
                .any(|output| matches!(output, Output::Sign(_))),
            "{outputs:?}"
        );
    }
}

#[test]
fn i11_whatever_bit_is_flipped_a_verified_destination_is_the_one_in_the_bytes() {
    let mut liar = Liar::new();
    let honest = liar.forwarded();
    let chain: usize = honest.chain.iter().map(|body| body.len()).sum();
    let mut shown = 0;
    for at in 0..honest.payload.len() + chain {
        let mut lie = honest.clone();
        flip(&mut lie, at);
        let Ok(prompt) = liar.ask(&lie) else { continue };
        shown += 1;
        let payload = Payload::parse(&lie.payload, &liar.main.public()).unwrap();
        let Payload::Userauth(userauth) = payload else {
            panic!("byte {at}")
        };
        assert_eq!(userauth.session_id, SESSION, "byte {at}");
        assert!(
            prompt.level.is_verified() && liar.names_web(&prompt),
            "byte {at}"
        );
        assert_eq!(prompt.hops.len(), 2, "byte {at}");
        assert_eq!(
            prompt.subject,
            Subject::Login {
                user: userauth.user
            },
            "byte {at}"
        );
        // The screen is cleared for the next one, which comes when this denial is forgotten.
        liar.handle(Input::Decided(
            prompt.request,
            Decision::Deny(After::Nothing),
        ));
        liar.now.uptime += 3_600_000;
    }
    assert_eq!(
        shown,
        "deploy".len(),
        "the user may be any, and is shown as it is"
    );
}

#[test]
fn whatever_program_it_invents_it_is_asked_for_no_more_than_its_share() {
    let mut liar = Liar::new();
    let invented = |liar: &Liar, pid: u32| SignRequest {
        reported: Reported {
            origin: Some(Origin {
                pid,
                started: pid.into(),
                name: format!("/usr/bin/{pid}"),
            }),
            ..Reported::default()
        },
        ..liar.direct()
    };
    let seen: Vec<_> = (0..17).map(|pid| liar.ask(&invented(&liar, pid))).collect();
    assert!(seen[..16].iter().all(Result::is_ok));
    assert_eq!(seen[16], Err(Refusal::TooMany));
    let mut waiting: Vec<_> = seen.into_iter().flatten().collect();
    let mut denials = 0;
    loop {
        let prompt = waiting.pop().unwrap();
        let decision = Decision::Deny(After::Nothing);
        liar.handle(Input::Decided(prompt.request, decision));
        liar.now.uptime += 1;
        denials += 1;
        match liar.ask(&invented(&liar, 100 + denials)) {
            Ok(prompt) => waiting.push(prompt),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Paused);
                break;
            }
        }
    }
    assert_eq!(denials, 5);
}

#[test]
fn a_burst_it_invents_is_checked_request_by_request() {
    let mut liar = Liar::new();
    let origin = Some(Origin {
        pid: 1,
        started: 1,
        name: "/usr/bin/git".into(),
    });
    let reported = Reported {
        origin,
        ..Reported::default()
    };
    let of_burst = |request: SignRequest| SignRequest {
        reported: reported.clone(),
        ..request
    };
    let known = liar.ask(&of_burst(liar.direct())).unwrap();
    let unknown = of_burst(liar.request(liar.login(&OTHER_SESSION, None), &[]));
    let hidden = liar.ask(&unknown).unwrap();
    assert_eq!((known.together, hidden.together), (1, 1));
    let yes = Decision::Approve {
        number: None,
        name: None,
    };
    let both = vec![known.request, hidden.request];
    let outputs = liar.handle(Input::DecidedTogether(both, yes));
    let [Output::Sign(job)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(job.request(), known.request, "the other one has no number");
}

/// Flips a bit of the byte at this place of payload and bindings.
fn flip(request: &mut SignRequest, at: usize) {
    let bodies = std::iter::once(&mut request.payload).chain(&mut request.chain);
    let byte = bodies.flat_map(|body| body.iter_mut()).nth(at).unwrap();
    *byte ^= 1;
}
