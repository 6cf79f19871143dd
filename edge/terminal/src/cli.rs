//! The command line of `vmux-signer`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::secret_key::KeyType;

/// Holds SSH keys, shows what each signature is for, and signs what you approve.
///
/// Exit status: 0 done, 1 failed (and said why), 2 wrong usage, 3 nothing to reach, 4 refused by
/// you or the other side. Set VMUX_LOG=debug to see more on standard error.
#[derive(Debug, Parser)]
#[command(name = "vmux-signer", version, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Where keys, pins and pairings are kept
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File whose first line is the passphrase, instead of asking for it
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a signer and choose its passphrase
    Init(Init),
    /// Make, import, list and change keys
    #[command(subcommand)]
    Key(Key),
    /// List, rename and forget the hosts you have approved
    #[command(subcommand)]
    Pins(Pins),
    /// Pair with a workstation, with the link that `vmux-agent pair` shows there
    Pair(Pair),
    /// List the workstations this signer is paired with
    Agents,
    /// Let a workstation ask again that was locked out with "that was not me"
    Resume(Resume),
    /// List what is blocked, and lift blocks
    Blocks(Blocks),
    /// Show what was asked and decided, and check that nobody changed the record
    Log(Log),
    /// End a pairing
    Unpair(Unpair),
    /// Wait for requests, show them and ask
    Run(Run),
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// What this signer calls itself towards workstations [default: name of this computer]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Make a first key with this label, too
    #[arg(long, value_name = "LABEL")]
    pub(crate) first_key: Option<String>,
}

/// What can be done with keys. NAME is a label, or a fingerprint as `key list` shows it.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a new key
    New {
        /// What kind
        #[arg(long = "type", value_enum, default_value_t)]
        key_type: KeyType,
        /// What to call it; workstations see this as the key's comment
        #[arg(long)]
        label: String,
    },
    /// Take in a private key in OpenSSH format
    Import {
        /// The private key file; it is left as it is
        file: PathBuf,
        /// File whose first line is the passphrase of that file, instead of asking for it
        #[arg(long, value_name = "FILE")]
        own_passphrase_file: Option<PathBuf>,
        /// What to call it; workstations see this as the key's comment
        #[arg(long)]
        label: String,
    },
    /// List all keys
    List,
    /// Give a key another label
    Label {
        /// Which key
        name: String,
        /// The new label
        label: String,
    },
    /// Let workstations see and use a key again
    Enable {
        /// Which key
        name: String,
    },
    /// Hide a key from workstations and refuse its use
    Disable {
        /// Which key
        name: String,
    },
    /// Delete a key for good
    Remove {
        /// Which key
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Print the public key for authorized_keys
    Export {
        /// Which key
        name: String,
    },
}

/// What can be done with pins. NAME is the name of a host, or the fingerprint of its key.
#[derive(Debug, Subcommand)]
pub(crate) enum Pins {
    /// List the hosts
    List,
    /// Give a host another name
    Rename {
        /// Which host
        name: String,
        /// The new name
        new: String,
    },
    /// Forget a host; its next login is shown as new
    Forget {
        /// Which host
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Pair {
    /// The link, in quotes because of its `#`, or `-` to read it from standard input
    pub(crate) link: String,
    /// What this signer calls itself towards this workstation
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Unpair {
    /// Which workstation: its id or name, as `agents` shows them
    pub(crate) agent: String,
}

#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Which workstation: its id or name, as `agents` shows them
    #[arg(value_name = "NAME")]
    pub(crate) agent: String,
}

#[derive(Debug, Args)]
pub(crate) struct Blocks {
    /// Lift a block, by its number in the list, or all of them
    #[arg(long, value_name = "N|all", value_parser = Lift::parse)]
    pub(crate) lift: Option<Lift>,
}

/// Which blocks to lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lift {
    /// The one with this number, from 1.
    One(usize),
    /// All.
    All,
}

impl Lift {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(number @ 1..)) => Ok(Self::One(number)),
            _ => Err("name a number of the list, or `all`"),
        }
    }
}

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Log {
    /// Only what happened since: 2026-01-31, 2026-01-31T08:00:00Z (UTC), 30m, 12h or 7d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only what went to this host or through it: a name, or the fingerprint of a key
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Go on showing what is added, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
    /// Check that no line was changed, removed or added, and print the head
    #[arg(long, conflicts_with_all = ["since", "host", "follow"])]
    pub(crate) verify: bool,
    /// Check as well that the log continues one whose head was printed before
    #[arg(long, value_name = "LINES:DIGEST", conflicts_with_all = ["since", "host", "follow"])]
    pub(crate) head: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Let a program decide instead of showing requests here: it reads each one as JSON from its
    /// standard input and approves with exit status 0
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) decide_with: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_before_and_after_the_command() {
        for line in [
            &["vmux-signer", "--json", "--state-dir", "/s", "key", "list"],
            &["vmux-signer", "key", "list", "--state-dir", "/s", "--json"],
        ] {
            let parsed = CommandLine::try_parse_from(line).unwrap();
            assert!(parsed.global.json);
            assert_eq!(parsed.global.state_dir, Some(PathBuf::from("/s")));
        }
    }

    #[test]
    fn a_new_key_is_of_p256_unless_told_otherwise_and_needs_a_label() {
        let parse = |more: &[&str]| {
            let line = ["vmux-signer", "key", "new"].iter().chain(more);
            CommandLine::try_parse_from(line).map(|parsed| parsed.command)
        };
        let Command::Key(Key::New { key_type, .. }) = parse(&["--label", "a"]).unwrap() else {
            panic!("not key new")
        };
        assert_eq!(key_type, KeyType::EcdsaP256);
        parse(&["--label", "a", "--type", "ed25519"]).unwrap();
        parse(&["--label", "a", "--type", "rsa"]).unwrap_err();
        parse(&[]).unwrap_err();
    }
}
