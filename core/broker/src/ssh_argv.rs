//! What an `ssh` command line says about where it goes.
//!
//! Reads the words of a running `ssh` the way its own `main` does: bundled option letters, options
//! after the host, `--`, `ssh://` addresses, and the first setting of a value winning wherever it
//! stands. A process can put anything it likes into its own argument list, so all of this is a hint
//! for the person's eyes and a candidate for [`known_hosts`](crate::known_hosts), never a proof.
//!
//! Anything `ssh` itself would refuse, or that is longer than the limits here, gives no answer
//! instead of a guess. Configuration files are not read: `Match exec` in them runs programs.

use alloc::string::String;
use alloc::vec::Vec;

use crate::known_hosts::Name;

/// Words looked at; the destination of a real command line stands among the first few.
pub const MAX_WORDS: usize = 256;

/// Longest word that is read as a value; a host name has at most 253 bytes, a user name 32 or so.
pub const MAX_VALUE: usize = 1024;

/// What one `ssh` command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The host as written, in lower case and without brackets; may be an alias from the configuration.
    pub host: String,
    /// `-l`, `User`, or the part before the host.
    pub user: Option<String>,
    /// `-p`, `Port`, or the port of an `ssh://` address; none leaves it to the configuration.
    pub port: Option<u16>,
    /// `HostName` given with `-o`, in lower case.
    pub host_name: Option<String>,
    /// `HostKeyAlias` given with `-o`, in lower case: the name the host key is looked up under.
    pub host_key_alias: Option<String>,
    /// Whether the connection is asked to go through another program or host.
    pub route: Route,
    /// Whether the agent is asked to be forwarded.
    pub forwarding: Forwarding,
}

/// How the connection reaches its host, as far as the command line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nothing else was asked for.
    Direct,
    /// Through `-J`, `ProxyJump` or `ProxyCommand`.
    Proxied,
}

/// What the command line says about lending the agent to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// Left to the configuration, whose default is no.
    NotMentioned,
    /// Asked for, with `-A` or `ForwardAgent`.
    Asked,
    /// Ruled out, with `-a` or `ForwardAgent=no`.
    RuledOut,
}

impl Invocation {
    /// Reads the argument list of a process, program name first. None if it is no `ssh`, or if the
    /// line names no host or is not one `ssh` would run.
    pub fn parse<W: AsRef<str>>(argv: &[W]) -> Option<Self> {
        let mut words = argv.iter().take(MAX_WORDS).map(AsRef::as_ref);
        if words.next()?.rsplit('/').next()? != PROGRAM {
            return None;
        }
        let mut line = Line::default();
        while let Some(word) = words.next() {
            match (word.strip_prefix('-'), &line.host) {
                (Some("-"), None) => {
                    line.target(words.next()?)?;
                    break;
                }
                (Some("-"), Some(_)) => break,
                (Some(letters), _) if !letters.is_empty() => line.letters(letters, &mut words)?,
                // A lone `-` is a word to getopt, and so a host to ssh.
                (_, None) => line.target(word)?,
                (_, Some(_)) => break,
            }
        }
        line.finish()
    }

    /// The names the host key may stand under, best first: the alias alone if there is one, as in
    /// `ssh`; else the host with its port, then without.
    pub fn names(&self) -> Vec<Name> {
        if let Some(alias) = &self.host_key_alias {
            return Vec::from([Name::alias(alias)]);
        }
        let mut names = Vec::new();
        for host in self.host_name.iter().chain([&self.host]) {
            for name in [Name::host(host, self.port), Name::host(host, None)] {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

/// What the options said so far; what is set stays set.
#[derive(Default)]
struct Line {
    host: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    host_name: Option<String>,
    host_key_alias: Option<String>,
    route: Option<Route>,
    forwarding: Option<Forwarding>,
}

impl Line {
    /// One word of option letters, without its dash. None if ssh would give up.
    fn letters<'a>(
        &mut self,
        letters: &'a str,
        more: &mut impl Iterator<Item = &'a str>,
    ) -> Option<()> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            if WITH_ARGUMENT.contains(letter) {
                let value = match rest.as_str() {
                    "" => more.next()?,
                    value => value,
                };
                return self.valued(letter, value);
            }
            match letter {
                // The letters overrule an earlier setting, as in ssh.
                'A' => self.forwarding = Some(Forwarding::Asked),
                'a' => self.forwarding = Some(Forwarding::RuledOut),
                _ => {}
            }
        }
        Some(())
    }

    fn valued(&mut self, letter: char, value: &str) -> Option<()> {
        match letter {
            'o' => self.option(value),
            'p' => set(&mut self.port, || port(value)),
            'l' => set(&mut self.user, || text(value)),
            'J' => set(&mut self.route, || Some(through(value))),
            _ => Some(()),
        }
    }

    /// `Key=value` or `Key value`.
    fn option(&mut self, setting: &str) -> Option<()> {
        let setting = setting.trim_ascii_start();
        let (key, rest) = setting.split_once([' ', '\t', '='])?;
        // The separator may be blanks around one equals sign.
        let rest = match setting
            .strip_prefix(key)?
            .trim_ascii_start()
            .strip_prefix('=')
        {
            Some(after) => after,
            None => rest,
        };
        let value = first_word(rest.trim_ascii())?;
        match key.to_ascii_lowercase().as_str() {
            "port" => set(&mut self.port, || port(value)),
            "user" => set(&mut self.user, || text(value)),
            "hostkeyalias" => set(&mut self.host_key_alias, || text(value).map(lower)),
            "hostname" => set(&mut self.host_name, || text(value).map(lower)),
            "proxyjump" | "proxycommand" => set(&mut self.route, || Some(through(value))),
            "forwardagent" => set(&mut self.forwarding, || Some(forwarding(value))),
            _ => Some(()),
        }
    }

    /// The first word that is no option. Its user and port count where it stands, as in ssh.
    fn target(&mut self, target: &str) -> Option<()> {
        let host = match target.strip_prefix(SCHEME) {
            Some(address) => self.address(address)?,
            None => match target.rsplit_once('@') {
                Some(("", _)) => return None,
                Some((user, host)) => {
                    set(&mut self.user, || text(user))?;
                    host
                }
                None => target,
            },
        };
        let host = text(host).filter(|host| !host.is_empty() && !host.starts_with('-'))?;
        self.host = Some(lower(host));
        Some(())
    }

    fn finish(self) -> Option<Invocation> {
        Some(Invocation {
            host: self.host?,
            user: self.user,
            port: self.port,
            // `%h` and the like are filled in by ssh from what only it knows.
            host_name: self.host_name.filter(|name| !name.contains('%')),
            host_key_alias: self.host_key_alias,
            route: self.route.unwrap_or(Route::Direct),
            forwarding: self.forwarding.unwrap_or(Forwarding::NotMentioned),
        })
    }

    /// `[user@]host[:port][/]`; ssh takes no path.
    fn address<'a>(&mut self, address: &'a str) -> Option<&'a str> {
        let place = match address.split_once('@') {
            Some((info, place)) => {
                // Connection parameters after `;` are ignored, as in ssh.
                let user = info.split(';').next().filter(|user| !user.is_empty())?;
                set(&mut self.user, || text(&percent_decoded(user)?))?;
                place
            }
            None => address,
        };
        let (host, rest) = match place.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => place.split_at_checked(place.find([':', '/']).unwrap_or(place.len()))?,
        };
        let rest = match rest.strip_prefix(':') {
            Some(numbered) => {
                let (digits, rest) = numbered.split_once('/').unwrap_or((numbered, ""));
                if !digits.is_empty() {
                    let digits = port(digits)?;
                    set(&mut self.port, || Some(digits))?;
                }
                rest
            }
            None => rest.strip_prefix('/').unwrap_or(rest),
        };
        (rest.is_empty() && !host.contains('@')).then_some(host)
    }
}

/// Sets what is not set yet; none if the value is not one ssh would take.
fn set<T>(slot: &mut Option<T>, value: impl FnOnce() -> Option<T>) -> Option<()> {
    if slot.is_none() {
        *slot = Some(value()?);
    }
    Some(())
}

fn port(value: &str) -> Option<u16> {
    value.parse().ok().filter(|port| *port != 0)
}

fn text(value: &str) -> Option<String> {
    (value.len() <= MAX_VALUE).then(|| value.into())
}

fn lower(mut value: String) -> String {
    value.make_ascii_lowercase();
    value
}

fn through(value: &str) -> Route {
    if value.eq_ignore_ascii_case("none") {
        Route::Direct
    } else {
        Route::Proxied
    }
}

fn forwarding(value: &str) -> Forwarding {
    // Anything but no is yes, or a socket to forward.
    if value.eq_ignore_ascii_case("no") || value.eq_ignore_ascii_case("false") {
        Forwarding::RuledOut
    } else {
        Forwarding::Asked
    }
}

/// The first word of a setting, or what stands between its quotes.
fn first_word(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(inside, _)| inside),
        None => value.split_ascii_whitespace().next(),
    }
}

fn percent_decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

const PROGRAM: &str = "ssh";
const SCHEME: &str = "ssh://";
/// The letters of OpenSSH's option string that take an argument, of every version since 8.
const WITH_ARGUMENT: &str = "bcDEeFIiJLlmOoPpQRSWwB";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(argv: &[&str]) -> Option<Invocation> {
        Invocation::parse(argv)
    }

    /// Host, user and port of a line that has them.
    fn place(argv: &[&str]) -> (String, Option<String>, Option<u16>) {
        let found = parse(argv).expect("a destination");
        (found.host, found.user, found.port)
    }

    fn expected(host: &str, user: &str, port: u16) -> (String, Option<String>, Option<u16>) {
        (
            host.into(),
            (!user.is_empty()).then(|| user.into()),
            (port != 0).then_some(port),
        )
    }

    #[test]
    fn options_may_follow_the_host_and_the_host_is_lower_case() {
        let argv = ["ssh", "-p", "2222", "alice@Foo.example", "-A", "ls"];
        assert_eq!(place(&argv), expected("foo.example", "alice", 2222));
        assert_eq!(parse(&argv).unwrap().forwarding, Forwarding::Asked);
    }

    #[test]
    fn letters_bundle_and_settings_come_in_both_forms() {
        let argv = ["ssh", "-oPort=23", "-o", "User bob", "-Tvl", "carol", "h"];
        assert_eq!(place(&argv), expected("h", "bob", 23));
        let argv = ["ssh", "-Tvl", "carol", "-o", "User bob", "h"];
        assert_eq!(place(&argv), expected("h", "carol", 0));
    }

    #[test]
    fn addresses_with_a_scheme_are_taken_apart() {
        let argv = ["ssh", "ssh://dave@[2001:db8::1]:99/"];
        assert_eq!(place(&argv), expected("2001:db8::1", "dave", 99));
        let argv = ["ssh", "ssh://d%61ve;fingerprint=x@Host"];
        assert_eq!(place(&argv), expected("host", "dave", 0));
        assert_eq!(place(&["ssh", "ssh://host:22"]), expected("host", "", 22));
    }

    #[test]
    fn addresses_ssh_would_refuse_are_refused() {
        for bad in [
            "ssh://",
            "ssh://@host",
            "ssh://host/path",
            "ssh://host:port",
            "ssh://host:0",
            "ssh://[::1",
            "ssh://[::1]x",
            "ssh://a@b@c",
            "ssh://%zz@host",
            "ssh://%6@host",
        ] {
            assert_eq!(parse(&["ssh", bad]), None, "{bad}");
        }
    }

    #[test]
    fn what_git_runs_is_understood() {
        let argv = [
            "ssh",
            "-o",
            "SendEnv=GIT_PROTOCOL",
            "git@github.com",
            "git-upload-pack 'a/b@c.git'",
        ];
        assert_eq!(place(&argv), expected("github.com", "git", 0));
    }

    #[test]
    fn what_sftp_runs_is_understood() {
        let argv = [
            "/usr/bin/ssh",
            "-x",
            "-oPermitLocalCommand=no",
            "-p",
            "22",
            "-l",
            "root",
            "-s",
            "--",
            "127.0.0.1",
            "sftp",
        ];
        assert_eq!(place(&argv), expected("127.0.0.1", "root", 22));
    }

    #[test]
    fn the_first_setting_wins_wherever_it_stands() {
        let argv = [
            "ssh", "-p", "1", "-p", "2", "-o", "port=3", "-l", "a", "b@h", "-l", "c",
        ];
        assert_eq!(place(&argv), expected("h", "a", 1));
        let argv = ["ssh", "ssh://b@h:7", "-p", "8", "-l", "late"];
        assert_eq!(place(&argv), expected("h", "b", 7));
    }

    #[test]
    fn the_last_at_sign_ends_the_user() {
        assert_eq!(
            place(&["ssh", "me@corp.example@h"]),
            expected("h", "me@corp.example", 0)
        );
        assert_eq!(parse(&["ssh", "@h"]), None);
        assert_eq!(parse(&["ssh", "user@"]), None);
    }

    #[test]
    fn words_of_the_remote_command_are_not_options() {
        let argv = ["ssh", "h", "ls", "-p", "99", "-A"];
        let found = parse(&argv).unwrap();
        assert_eq!(
            (found.port, found.forwarding),
            (None, Forwarding::NotMentioned)
        );
        let argv = ["ssh", "--", "h", "-p", "99"];
        assert_eq!(place(&argv), expected("h", "", 0));
        let argv = ["ssh", "h", "--", "-p", "99"];
        assert_eq!(place(&argv), expected("h", "", 0));
    }

    #[test]
    fn every_letter_with_an_argument_swallows_the_next_word() {
        for letter in WITH_ARGUMENT
            .chars()
            .filter(|letter| !"op".contains(*letter))
        {
            let option = alloc::format!("-{letter}");
            let argv = ["ssh", &option, "value", "h"];
            assert_eq!(parse(&argv).unwrap().host, "h", "{option}");
        }
        for letter in "46AaCfGgKkMNnqsTtVvXxYy".chars() {
            let option = alloc::format!("-{letter}");
            assert_eq!(
                parse(&["ssh", &option, "h", "cmd"]).unwrap().host,
                "h",
                "{option}"
            );
        }
    }

    #[test]
    fn an_alias_is_the_only_name_and_ports_come_first() {
        let argv = ["ssh", "-o", "HostKeyAlias = \"Web One\"", "-p", "9", "h"];
        let found = parse(&argv).unwrap();
        assert_eq!(found.host_key_alias.as_deref(), Some("web one"));
        assert_eq!(found.names(), [Name::alias("web one")]);
        let found = parse(&["ssh", "-p", "9", "-oHostName=Real", "h"]).unwrap();
        let names: Vec<_> = found
            .names()
            .iter()
            .map(|name| String::from(name.as_str()))
            .collect();
        assert_eq!(names, ["[real]:9", "real", "[h]:9", "h"]);
        let found = parse(&["ssh", "-p", "22", "-oHostName=%h.corp", "h"]).unwrap();
        assert_eq!(found.names(), [Name::host("h", None)]);
    }

    #[test]
    fn ways_through_another_host_are_noticed() {
        for way in [
            ["-J", "jump"],
            ["-o", "ProxyJump=jump"],
            ["-o", "proxycommand nc %h %p"],
        ] {
            assert_eq!(
                parse(&["ssh", way[0], way[1], "h"]).unwrap().route,
                Route::Proxied
            );
        }
        for way in [
            ["-o", "ProxyJump=none"],
            ["-o", "ProxyCommand NONE"],
            ["-W", "x:22"],
        ] {
            assert_eq!(
                parse(&["ssh", way[0], way[1], "h"]).unwrap().route,
                Route::Direct
            );
        }
        let argv = ["ssh", "-oProxyCommand=none", "-oProxyJump=j", "h"];
        assert_eq!(parse(&argv).unwrap().route, Route::Direct);
    }

    #[test]
    fn letters_overrule_settings_about_forwarding() {
        let forwarding = |argv: &[&str]| parse(argv).unwrap().forwarding;
        assert_eq!(
            forwarding(&["ssh", "-oForwardAgent=no", "-A", "h"]),
            Forwarding::Asked
        );
        assert_eq!(
            forwarding(&["ssh", "-A", "-oForwardAgent=no", "h"]),
            Forwarding::Asked
        );
        assert_eq!(forwarding(&["ssh", "-Aa", "h"]), Forwarding::RuledOut);
        assert_eq!(
            forwarding(&["ssh", "-oForwardAgent=$SOCK", "h"]),
            Forwarding::Asked
        );
    }

    #[test]
    fn other_programs_and_lines_without_a_host_give_nothing() {
        assert_eq!(parse(&["ssh-add", "-l"]), None);
        assert_eq!(parse(&["python3", "ssh", "h"]), None);
        assert_eq!(parse(&["ssh"]), None);
        assert_eq!(parse(&["ssh", "-p"]), None);
        assert_eq!(parse(&["ssh", "-p", "70000", "h"]), None);
        assert_eq!(parse(&["ssh", "-o", "Port", "h"]), None);
        assert_eq!(parse(&["ssh", "-o", "User=\"open", "h"]), None);
        assert_eq!(parse(&["ssh", "--"]), None);
        assert_eq!(parse(&[]), None);
        // ssh refuses it too: such a host would be an option to the program behind it.
        assert_eq!(parse(&["ssh", "--", "-oProxyCommand=x"]), None);
    }

    #[test]
    fn words_and_values_have_a_limit() {
        let fits = "h".repeat(MAX_VALUE);
        assert_eq!(parse(&["ssh", &fits]).unwrap().host, fits);
        let longer = "h".repeat(MAX_VALUE + 1);
        assert_eq!(parse(&["ssh", &longer]), None);
        let mut argv = alloc::vec!["ssh"; 1];
        argv.resize(MAX_WORDS - 1, "-v");
        argv.push("h");
        assert_eq!(parse(&argv).unwrap().host, "h");
        argv.insert(1, "-v");
        assert_eq!(parse(&argv), None);
    }
}
