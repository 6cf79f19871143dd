//! The same command lines put to `ssh -G` and to the parser.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]
use std::collections::BTreeMap;
use std::process::Command;

use vmux_broker::ssh_argv::{Forwarding, Invocation, Route};

/// Command lines without the program's name, words parted by `|`.
const LINES: &[&str] = &[
    "-p|2222|alice@Foo.example|-A|ls",
    "-oPort=23|-o|User bob|-Tvl|carol|h",
    // Addresses in brackets are left out: whether ssh takes them depends on its version.
    "ssh://d%61ve@Host",
    "ssh://dave;x=y@Host",
    "SSH://dave@Host",
    "ssh://host",
    "ssh://host:",
    "ssh://host:7/",
    "-o|SendEnv=GIT_PROTOCOL|git@github.com|git-upload-pack 'x'",
    "-x|-oPermitLocalCommand=no|-p|22|-l|root|-s|--|127.0.0.1|sftp",
    "-p|1|-p|2|h",
    "-p|1|-oport=2|h|-p|3",
    "-l|a|b@h|-l|c",
    "ssh://b@h:7|-p|8|-l|late",
    "me@corp.example@h",
    "-o|HostKeyAlias = \"Web One\"|h",
    "-o|hostkeyalias\tweb|h",
    "-oHostName=Real.example|h",
    "-J|jump|h",
    "-o|ProxyJump=jump|h",
    "-o|ProxyCommand=nc %h %p|h",
    "-o|ProxyCommand=none|-o|ProxyJump=j|h",
    "-W|x:22|h",
    "-A|h",
    "-Aa|h",
    "-aA|h",
    "-oForwardAgent=no|-A|h",
    "-A|-oForwardAgent=no|h",
    "-oForwardAgent=yes|h",
    "-oForwardAgent=yes|-a|h",
    "h|-A",
    "h|ls|-A",
    "h|--|-A",
    "--|h|-A",
    "-4|-C|-v|h",
    "-4Cvp|9|h",
    "-Sctl|-bmine|h",
    "-o|user = \"a b\"|h",
    // What ssh refuses.
    "",
    "-p|0|h",
    "-p|65536|h",
    "-p|h",
    "@h",
    "--",
    "--|-h",
    "ssh://",
    "ssh://@h",
    "ssh://h/path",
    "ssh://h:0",
    "ssh://[::1",
    "-o|Port|h",
];

#[test]
fn command_lines_mean_what_they_mean_to_ssh() {
    for line in LINES {
        let words: Vec<_> = line.split('|').filter(|word| !word.is_empty()).collect();
        let mut argv = vec!["ssh"];
        argv.extend(&words);
        let found = Invocation::parse(&argv);
        let told = ask_ssh(&words);
        let (Some(found), Some(told)) = (&found, &told) else {
            assert_eq!((found.is_some(), told.is_some()), (false, false), "{line}");
            continue;
        };
        let get = |key: &str| told.get(key).map(String::as_str);

        let reached = found.host_name.as_ref().unwrap_or(&found.host);
        assert_eq!(get("hostname"), Some(reached.as_str()), "{line}");
        assert_eq!(
            get("port"),
            Some(found.port.unwrap_or(22).to_string().as_str()),
            "{line}"
        );
        if let Some(user) = &found.user {
            assert_eq!(get("user"), Some(user.as_str()), "{line}");
        }
        assert_eq!(
            get("hostkeyalias"),
            found.host_key_alias.as_deref(),
            "{line}"
        );
        let proxied = get("proxyjump").is_some() || get("proxycommand").is_some();
        assert_eq!(proxied, found.route == Route::Proxied, "{line}");
        let forwards = get("forwardagent") == Some("yes");
        assert_eq!(forwards, found.forwarding == Forwarding::Asked, "{line}");
    }
}

/// What ssh would do, by keyword; none if it refuses the line.
fn ask_ssh(words: &[&str]) -> Option<BTreeMap<String, String>> {
    let output = Command::new("ssh")
        .args(["-G", "-F", "none"])
        .args(words)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let settings = printed.lines().filter_map(|line| line.split_once(' '));
    output.status.success().then(|| {
        settings
            .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
            .collect()
    })
}
