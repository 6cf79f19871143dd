//! Requests to show in tests.

use vmux_proto::Untrusted;
use vmux_proto::destination::Level;
use vmux_proto::key::Fingerprint;
use vmux_proto::message::{Number, Origin, Process, Reported, RequestId};
use vmux_proto::source::Source;
use vmux_signer::{Blocks, Host, LinkId, Pin, PinName, Prompt, Standing, Subject};

/// The number that has to be typed, where one is needed.
pub(crate) const NUMBER: &str = "42";

/// A login as `deploy` to a known host, reached directly.
pub(crate) fn pinned() -> Prompt {
    let pin = Pin {
        fingerprint: Fingerprint([0x11; 32]),
        algorithm: "ssh-ed25519".to_owned(),
        name: PinName::parse("web-1.example").unwrap(),
        first_seen: 1_767_225_600,
        last_used: 1_767_312_000,
        uses: 12,
    };
    Prompt {
        request: RequestId([0xa1; 16]),
        link: LinkId::parse("0123456789abcdef").unwrap(),
        workstation: Untrusted::new("laptop"),
        identity: "work".to_owned(),
        fingerprint: Fingerprint([0x22; 32]),
        subject: Subject::Login {
            user: Untrusted::new("deploy"),
        },
        level: Level::Direct,
        host: Some(host(0x11, Standing::Pinned(pin))),
        hops: Vec::new(),
        namesake: None,
        number: None,
        deadline: DEADLINE,
        source: Source::Program("/usr/bin/git".to_owned()),
        together: 1,
        log_in_doubt: false,
        reported: Reported {
            processes: vec![
                process(30, "/usr/bin/ssh", "ssh deploy@web-1.example"),
                process(20, "/usr/bin/git", "git push origin main"),
                process(10, "/usr/bin/zsh", "-zsh"),
            ],
            directory: Some("/home/alice/src/site".to_owned()),
            terminal: Some("/dev/pts/3".to_owned()),
            host: Some("web-1.example".to_owned()),
            known_hosts: Some("web-1.example".to_owned()),
            user: Some("alice".to_owned()),
            origin: Some(Origin {
                pid: 20,
                started: 1_000,
                name: "/usr/bin/git".to_owned(),
            }),
        },
    }
}

/// The same to a host never approved.
pub(crate) fn new() -> Prompt {
    Prompt {
        host: Some(host(0x33, Standing::New)),
        number: Number::parse(NUMBER),
        ..pinned()
    }
}

/// The same to a new host that is reported under the name of a key of another kind.
pub(crate) fn namesake() -> Prompt {
    let Some(Host {
        standing: Standing::Pinned(pin),
        ..
    }) = pinned().host
    else {
        panic!("not pinned")
    };
    let namesake = Some(Pin {
        algorithm: "ecdsa-sha2-nistp256".to_owned(),
        ..pin
    });
    Prompt { namesake, ..new() }
}

/// The same to a host whose reported name is pinned to another key.
pub(crate) fn changed() -> Prompt {
    let Some(Host {
        standing: Standing::Pinned(pin),
        ..
    }) = pinned().host
    else {
        panic!("not pinned")
    };
    Prompt {
        host: Some(host(0x44, Standing::Changed(pin))),
        ..new()
    }
}

/// The same without a binding, the host named by the client.
pub(crate) fn claimed() -> Prompt {
    let host = Some(host(0x55, Standing::Unverified));
    Prompt {
        level: Level::Claimed,
        host,
        ..new()
    }
}

/// The same without any host.
pub(crate) fn unknown() -> Prompt {
    Prompt {
        level: Level::Unknown,
        host: None,
        ..new()
    }
}

/// The same to a new host through two others.
pub(crate) fn forwarded() -> Prompt {
    let Some(Host {
        standing: Standing::Pinned(pin),
        ..
    }) = pinned().host
    else {
        panic!("not pinned")
    };
    let bastion = Pin {
        name: PinName::parse("bastion.example").unwrap(),
        ..pin
    };
    let hops = vec![
        host(0x11, Standing::Pinned(bastion)),
        host(0x66, Standing::New),
    ];
    Prompt {
        source: Source::Host(Fingerprint([0x66; 32])),
        level: Level::Forwarded,
        hops,
        ..new()
    }
}

/// The same through so many hosts.
pub(crate) fn hops(count: u8) -> Prompt {
    let hop = |number: u8| {
        let Some(Host {
            standing: Standing::Pinned(pin),
            ..
        }) = pinned().host
        else {
            panic!("not pinned")
        };
        let name = PinName::parse(&format!("host-in-rack-{number}")).unwrap();
        host(number, Standing::Pinned(Pin { name, ..pin }))
    };
    Prompt {
        hops: (1..=count).map(hop).collect(),
        ..forwarded()
    }
}

/// A signature for git, asked for on the workstation itself.
pub(crate) fn git() -> Prompt {
    let subject = Subject::Signature {
        namespace: Untrusted::new("git"),
        hash: "ab".repeat(32),
    };
    Prompt {
        subject,
        level: Level::Local,
        host: None,
        ..pinned()
    }
}

/// Everything the other side can choose tries to leave its place.
pub(crate) fn hostile() -> Prompt {
    let evil = "x\u{1b}[2J\u{1b}[1;1H\r\n┃ PINNED \u{202e}bank\u{200b}\u{2066}";
    let reported = Reported {
        processes: vec![process(1, evil, &format!("{evil}{}", "y".repeat(400)))],
        directory: Some(evil.to_owned()),
        terminal: Some(evil.to_owned()),
        host: Some(evil.to_owned()),
        known_hosts: Some("日本語".repeat(50)),
        user: Some(evil.to_owned()),
        origin: Some(Origin {
            pid: 1,
            started: 1,
            name: evil.to_owned(),
        }),
    };
    let user = format!("root{}{evil}", " ".repeat(3));
    Prompt {
        source: Source::Program(evil.to_owned()),
        workstation: Untrusted::new(&evil.repeat(3)),
        subject: Subject::Login {
            user: Untrusted::new(&user),
        },
        reported,
        ..new()
    }
}

/// A login to one of several known hosts.
pub(crate) fn at_host(number: u8) -> Prompt {
    let one = pinned();
    let Some(Host {
        standing: Standing::Pinned(pin),
        ..
    }) = &one.host
    else {
        panic!("not pinned")
    };
    let name = PinName::parse(&format!("web-{number}.example")).unwrap();
    let pin = Pin {
        name,
        ..pin.clone()
    };
    Prompt {
        request: RequestId([number; 16]),
        host: Some(host(number, Standing::Pinned(pin))),
        ..one
    }
}

/// The agent's log was cut or rewritten.
pub(crate) fn in_doubt() -> Prompt {
    Prompt {
        log_in_doubt: true,
        ..pinned()
    }
}

/// One blocked program of the workstation that asks.
pub(crate) fn blocks(program: &str, ends: u64) -> Blocks {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 24);
        [&[0x60 | length], text.as_bytes()].concat()
    };
    // CBOR: a list of one list of link, source (kind 1 with its fields) and end.
    let link = text(&pinned().link.to_string());
    let source = [&[0x82, 0x01, 0x81], &text(program)[..]].concat();
    let ends = [&[0x1b][..], &ends.to_be_bytes()].concat();
    let bytes = [&[0x81, 0x83][..], &link, &source, &ends].concat();
    Blocks::from_bytes(&bytes).unwrap()
}

/// Another request for the same.
pub(crate) fn again(prompt: &Prompt, id: u8) -> Prompt {
    Prompt {
        request: RequestId([id; 16]),
        ..prompt.clone()
    }
}

fn host(key: u8, standing: Standing) -> Host {
    Host {
        fingerprint: Fingerprint([key; 32]),
        algorithm: "ssh-ed25519",
        standing,
    }
}

fn process(pid: u32, program: &str, command: &str) -> Process {
    Process {
        pid,
        program: program.to_owned(),
        command: command.to_owned(),
    }
}

/// When all of them end.
pub(crate) const DEADLINE: u64 = 1_000_000;
