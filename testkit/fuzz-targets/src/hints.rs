//! What the workstation reads of its own: `known_hosts` and command lines.
use vmux_broker::known_hosts::{KnownHosts, MAX_HITS, MAX_HOST_NAME, Name, Verdict};
use vmux_broker::ssh_argv::{Invocation, MAX_VALUE};
use vmux_proto::Now;
use vmux_proto::crypto::PureRust;
use vmux_proto::key::PublicKey;

/// A whole `known_hosts` file, asked for a key that a line of it may name.
pub fn known_hosts(data: &[u8]) {
    let mut known = KnownHosts::default();
    let reading = known.read("file", data).expect("short enough");
    let lines = data.split(|byte| *byte == b'\n');
    let spoken = lines
        .clone()
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    let counted = reading.entries + reading.skipped;
    assert_eq!(usize::try_from(counted), Ok(spoken.count()));

    let candidates = [
        Name::host("web.example", None),
        Name::host("Web.Example", Some(2222)),
        Name::alias("alias"),
    ];
    let now = Now {
        uptime: 0,
        wall: 1_767_225_600,
    };
    for line in lines.take(8) {
        let words = String::from_utf8_lossy(line);
        let words: Vec<_> = words.split_ascii_whitespace().collect();
        for pair in words.windows(2) {
            let Ok((key, _)) = PublicKey::from_line(&pair.join(" ")) else {
                continue;
            };
            let found = known.lookup(&key, &candidates, &PureRust, now);
            assert!(found.hits.len() <= MAX_HITS);
            match found.verdict {
                // An authority that does not vouch for this name is a hit, and yet proves nothing.
                Verdict::Unknown => {}
                Verdict::Revoked | Verdict::HashedKnown => assert!(!found.hits.is_empty()),
                Verdict::Confirmed { name } => {
                    assert!(!found.hits.is_empty() && candidates.contains(&name));
                }
                Verdict::Named { names } => {
                    assert!((1..=MAX_HITS).contains(&names.len()));
                    assert!(names.iter().all(|name| name.len() <= MAX_HOST_NAME));
                }
            }
            // A revoked key stays revoked whatever else the file says.
            let revoked = format!("@revoked * {}\n", key.plain().to_line());
            let mut with = known.clone();
            with.read("more", revoked.as_bytes()).expect("short enough");
            let found = with.lookup(&key, &candidates, &PureRust, now);
            assert_eq!(found.verdict, Verdict::Revoked);
        }
    }
}

/// The words of an `ssh` process, parted by zero bytes as the kernel gives them.
pub fn ssh_argv(data: &[u8]) {
    let words = data.split(|byte| *byte == 0);
    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
    let Some(found) = Invocation::parse(&words) else {
        return;
    };
    assert!(!found.host.is_empty());
    let values = [&found.user, &found.host_name, &found.host_key_alias];
    let values = values.into_iter().flatten().chain([&found.host]);
    assert!(values.into_iter().all(|value| value.len() <= MAX_VALUE));
    let names = found.names();
    assert!((1..=4).contains(&names.len()));
    assert!(
        names
            .iter()
            .all(|name| !name.as_str().contains(|c: char| c.is_ascii_uppercase()))
    );
    // Written plainly it means the same, unless a host's name is another word to ssh.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    if !found.host.chars().all(is_plain) {
        return;
    }
    let mut plain = vec!["ssh".to_owned()];
    if let Some(port) = found.port {
        plain.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &found.user {
        plain.extend(["-l".to_owned(), user.clone()]);
    }
    plain.extend(["--".to_owned(), found.host.clone()]);
    let again = Invocation::parse(&plain).expect("a plain line");
    assert_eq!(
        (again.host, again.user, again.port),
        (found.host, found.user, found.port)
    );
}
