use super::*;
use vmux_proto::crypto::PureRust;

// Made by OpenSSH 9.2's ssh-keygen; the two hashed fields come from `ssh-keygen -H`.
const HOST: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtr2sfjrUTF8jlpjjxpJcU0SCBtk8Ti89wVuyRQwjE4";
const AUTHORITY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF1cPEd3qQQU8KTYlYKem6LrM1CRDCW0ryP3jNWCm9L4";
/// Signed by the authority for web.example and *.dev.example, for the years 2020 to 2039.
const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIGzRIFhiE/Xdb/fDNPnVlq4HfnzB/TbB8IGKQOsGGRWRAAAAIDtr2sfjrUTF8jlpjjxpJcU0SCBtk8Ti89wVuyRQwjE4AAAAAAAAAAAAAAACAAAAAmlkAAAAIAAAAAt3ZWIuZXhhbXBsZQAAAA0qLmRldi5leGFtcGxlAAAAAF4L4QAAAAAAg6p+gAAAAAAAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgXVw8R3epBBTwpNiVgp6bouszUJEMJbSvI/eM1YKb0vgAAABTAAAAC3NzaC1lZDI1NTE5AAAAQEAgv4VZASl7Wr7x1cIKy/5eo+QkHFnoKBPOLhbXByYo+6iszqWOnEvWUhTiYfDdgZVaHWadwdTDGMFM+Nj6AAs=";
const HASHED_WEB: &str = "|1|yctwt/Rnz+qwxYdwrxm1mPwhDAI=|NugJkucpyLhn3wyCOAU20BBXayc=";
const HASHED_WEB_2222: &str = "|1|16E4LZ4xABp+BRLLZcUMlqRZ9cs=|zqh2mG1HsxwsP3cF48TJn/mOC3M=";
const IN_2026: Now = Now {
    uptime: 0,
    wall: 1_767_225_600,
};

fn known(lines: &str) -> KnownHosts {
    let mut known = KnownHosts::default();
    let reading = known.read("known_hosts", lines.as_bytes()).unwrap();
    assert_eq!(reading.skipped, 0, "{lines}");
    known
}

fn key(line: &str) -> PublicKey {
    PublicKey::from_line(line).unwrap().0
}

fn verdict(lines: &str, asked: &str, candidates: &[Name]) -> Verdict {
    known(lines)
        .lookup(&key(asked), candidates, &PureRust, IN_2026)
        .verdict
}

fn web() -> Name {
    Name::host("Web.Example", Some(22))
}

fn confirmed(name: &Name) -> Verdict {
    Verdict::Confirmed { name: name.clone() }
}

fn named(names: &[&str]) -> Verdict {
    Verdict::Named {
        names: names.iter().copied().map(String::from).collect(),
    }
}

#[test]
fn a_plain_name_is_confirmed_by_its_candidate_only() {
    let line = format!("Web.example,10.0.0.1 {HOST} a comment\n");
    assert_eq!(verdict(&line, HOST, &[web()]), confirmed(&web()));
    let other = Name::host("web.example.org", None);
    assert_eq!(
        verdict(&line, HOST, &[other]),
        named(&["web.example", "10.0.0.1"])
    );
    assert_eq!(
        verdict(&line, HOST, &[]),
        named(&["web.example", "10.0.0.1"])
    );
    assert_eq!(verdict(&line, AUTHORITY, &[web()]), Verdict::Unknown);
}

#[test]
fn a_port_is_part_of_the_name() {
    let line = format!("[web.example]:2222 {HOST}\n");
    let asked = Name::host("web.example", Some(2222));
    assert_eq!(
        verdict(&line, HOST, &[web(), asked.clone()]),
        confirmed(&asked)
    );
    assert_eq!(
        verdict(&line, HOST, &[web()]),
        named(&["[web.example]:2222"])
    );
}

#[test]
fn hashed_names_are_compared_with_candidates() {
    let line = format!("{HASHED_WEB} {HOST}\r\n");
    assert_eq!(verdict(&line, HOST, &[web()]), confirmed(&web()));
    let near = Name::host("web.exampl", None);
    assert_eq!(verdict(&line, HOST, &[near]), Verdict::HashedKnown);
    let line = format!("{HASHED_WEB_2222} {HOST}\n");
    let asked = Name::host("web.example", Some(2222));
    assert_eq!(
        verdict(&line, HOST, core::slice::from_ref(&asked)),
        confirmed(&asked)
    );
    assert_eq!(verdict(&line, HOST, &[web()]), Verdict::HashedKnown);
}

#[test]
fn a_forbidden_pattern_settles_it_wherever_it_stands() {
    for list in ["*.example,!web.example", "!WEB.example,*"] {
        let line = format!("{list} {HOST}\n");
        assert!(
            matches!(verdict(&line, HOST, &[web()]), Verdict::Named { .. }),
            "{list}"
        );
        let other = Name::host("a.example", None);
        assert_eq!(
            verdict(&line, HOST, core::slice::from_ref(&other)),
            confirmed(&other)
        );
    }
    let line = format!("!web.example {HOST}\n");
    assert_eq!(
        verdict(&line, HOST, &[Name::host("other", None)]),
        Verdict::Unknown
    );
}

#[test]
fn patterns_fit_whole_names() {
    for (pattern, name) in [
        ("*", ""),
        ("*", "anything"),
        ("a*c", "abbc"),
        ("a*b*c", "abxbxc"),
        ("?.b", "x.b"),
        ("[h]:2*", "[h]:22"),
        ("**a", "a"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("", "a"),
        ("?", ""),
        ("a*c", "abcd"),
        ("a", "ab"),
        ("[ab]", "a"),
        ("*.b", "b"),
        ("a*b*c", "acxb"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
    // Many stars must not make it slow.
    assert!(!matches(&"*a".repeat(2_000), &"a".repeat(1_999)));
}

#[test]
fn a_revoked_key_stays_revoked_whatever_else_names_it() {
    let lines = format!("web.example {HOST}\n@revoked nowhere {HOST}\n");
    assert_eq!(verdict(&lines, HOST, &[web()]), Verdict::Revoked);
    assert_eq!(verdict(&lines, CERTIFICATE, &[web()]), Verdict::Revoked);
    let lines = format!("web.example {HOST}\n@revoked * {AUTHORITY}\n");
    assert_eq!(verdict(&lines, CERTIFICATE, &[web()]), Verdict::Revoked);
    assert_eq!(verdict(&lines, HOST, &[web()]), confirmed(&web()));
}

#[test]
fn an_authority_confirms_only_names_its_line_and_its_certificate_have() {
    let line = format!("@cert-authority *.example,*.org {AUTHORITY}\n");
    assert_eq!(verdict(&line, CERTIFICATE, &[web()]), confirmed(&web()));
    let with_port = Name::host("web.example", Some(2222));
    assert_eq!(
        verdict(&line, CERTIFICATE, &[with_port]),
        named(&["web.example", "*.dev.example"])
    );
    let dev = Name::host("a.dev.example", None);
    assert_eq!(
        verdict(&line, CERTIFICATE, core::slice::from_ref(&dev)),
        confirmed(&dev)
    );
    // In the line, not in the certificate; in the certificate, not in the line.
    let stranger = Name::host("mail.example", None);
    assert!(matches!(
        verdict(&line, CERTIFICATE, &[stranger]),
        Verdict::Named { .. }
    ));
    let line = format!("@cert-authority *.org {AUTHORITY}\n");
    assert_eq!(verdict(&line, CERTIFICATE, &[web()]), Verdict::Unknown);
}

#[test]
fn plain_keys_and_authority_lines_do_not_meet() {
    let line = format!("@cert-authority * {HOST}\n");
    assert_eq!(verdict(&line, HOST, &[web()]), Verdict::Unknown);
    let line = format!("* {AUTHORITY}\n");
    assert_eq!(verdict(&line, CERTIFICATE, &[web()]), Verdict::Unknown);
    // The plain key inside a certificate is known by itself.
    let line = format!("web.example {HOST}\n");
    assert_eq!(verdict(&line, CERTIFICATE, &[web()]), confirmed(&web()));
}

#[test]
fn a_certificate_out_of_its_time_vouches_for_nothing() {
    let known = known(&format!("@cert-authority * {AUTHORITY}\n"));
    let certificate = key(CERTIFICATE);
    let body = &certificate.certificate().unwrap().body;
    let verdict_at = |wall| {
        let now = Now { uptime: 0, wall };
        known.lookup(&certificate, &[web()], &PureRust, now).verdict
    };
    assert_eq!(verdict_at(body.valid_after), confirmed(&web()));
    assert_eq!(verdict_at(body.valid_after - 1), Verdict::Unknown);
    assert_eq!(verdict_at(body.valid_before - 1), confirmed(&web()));
    assert_eq!(verdict_at(body.valid_before), Verdict::Unknown);
}

#[test]
fn a_certificate_its_authority_did_not_sign_vouches_for_nothing() {
    let known = known(&format!("@cert-authority * {AUTHORITY}\n"));
    let good = key(CERTIFICATE);
    let mut blob = good.blob().to_vec();
    *blob.last_mut().unwrap() ^= 1;
    let forged = PublicKey::parse(&blob).unwrap();
    let verdict = |key| known.lookup(key, &[web()], &PureRust, IN_2026).verdict;
    assert_eq!(verdict(&good), confirmed(&web()));
    assert_eq!(verdict(&forged), Verdict::Unknown);
}

#[test]
fn the_first_candidate_wins_and_every_line_is_reported() {
    let lines = format!("# mine\n\nb,a {HOST}\nc {HOST}\n");
    let mut known = known(&lines);
    known
        .read("global", format!("d {HOST}").as_bytes())
        .unwrap();
    let names = ["d", "c"].map(|name| Name::host(name, None));
    let found = known.lookup(&key(HOST), &names, &PureRust, IN_2026);
    assert_eq!(found.verdict, confirmed(&names[0]));
    let places: Vec<_> = found
        .hits
        .iter()
        .map(|hit| (&*hit.file, hit.line))
        .collect();
    assert_eq!(
        places,
        [("known_hosts", 3), ("known_hosts", 4), ("global", 1)]
    );
}

#[test]
fn lines_openssh_would_skip_are_skipped_and_counted() {
    let good = format!("h {HOST}");
    for bad in [
        String::from("h"),
        String::from("h ssh-ed25519"),
        String::from("h 2048 65537 123456789"),
        format!("@unknown h {HOST}"),
        format!("@revoked {HOST}"),
        HOST.replace("ssh-ed25519", "h ssh-rsa"),
        format!("h {HOST}A"),
        format!("|1|AAAA|AAAA {HOST}"),
        format!("{} {HOST}", HASHED_WEB.replace("|1|", "|2|")),
        format!("{HASHED_WEB},h {HOST}"),
    ] {
        let mut known = KnownHosts::default();
        let reading = known
            .read("f", format!("{bad}\n{good}\n").as_bytes())
            .unwrap();
        assert_eq!(
            reading,
            Reading {
                entries: 1,
                skipped: 1
            },
            "{bad}"
        );
    }
    let mut known = KnownHosts::default();
    let reading = known.read("f", b"\xff\xfe ssh-ed25519 AAAA\n\0\n").unwrap();
    assert_eq!(
        reading,
        Reading {
            entries: 0,
            skipped: 2
        }
    );
}

#[test]
fn lines_and_files_have_a_limit() {
    let padded = |length: usize| {
        let mut line = format!("h {HOST} ");
        line.push_str(&"x".repeat(length - line.len()));
        line
    };
    let mut known = KnownHosts::default();
    let mut read = |contents: &str| known.read("f", contents.as_bytes());
    assert_eq!(
        read(&padded(MAX_LINE)),
        Ok(Reading {
            entries: 1,
            skipped: 0
        })
    );
    assert_eq!(
        read(&padded(MAX_LINE + 1)),
        Ok(Reading {
            entries: 0,
            skipped: 1
        })
    );
    assert!(read(&"\n".repeat(MAX_FILE)).is_ok());
    assert_eq!(read(&"\n".repeat(MAX_FILE + 1)), Err(FileTooLarge));
}

#[test]
fn names_and_places_have_a_limit() {
    let lines: Vec<_> = (0..40).map(|n| format!("h{n} {HOST}")).collect();
    let lines = lines.join("\n");
    let found = known(&lines).lookup(&key(HOST), &[], &PureRust, IN_2026);
    assert_eq!(found.hits.len(), MAX_HITS);
    assert!(matches!(found.verdict, Verdict::Named { names } if names.len() == MAX_HITS));
    // A candidate is still found beyond them.
    let last = Name::host("h39", None);
    assert_eq!(
        verdict(&lines, HOST, core::slice::from_ref(&last)),
        confirmed(&last)
    );
}
