//! The passphrase under which all keys of a signer are encrypted, and where it comes from.

use core::fmt;
use std::path::Path;

use vmux_host::private_file::{self, SecretRefused};
use zeroize::Zeroizing;

/// A passphrase; wiped when dropped.
pub(crate) struct Passphrase(Zeroizing<String>);

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPassphrase {
    /// The file that should hold it is no good.
    #[error(transparent)]
    File(#[from] SecretRefused),
    /// Nobody can be asked.
    #[error("no terminal to ask for the passphrase")]
    NoTerminal,
    /// It is empty.
    #[error("the passphrase is empty")]
    Empty,
    /// It was typed differently the second time.
    #[error("the two passphrases differ")]
    Different,
}

impl NoPassphrase {
    /// What the person can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::File(refused) => refused.hint(),
            Self::NoTerminal => {
                "put it on the first line of a file that only you can read, and name \
                                 the file with --passphrase-file"
                    .to_owned()
            }
            Self::Empty => "choose at least one character; several words are better".to_owned(),
            Self::Different => "run the command again".to_owned(),
        }
    }
}

impl Passphrase {
    /// Takes what was typed or read.
    pub(crate) fn new(text: Zeroizing<String>) -> Result<Self, NoPassphrase> {
        if text.is_empty() {
            Err(NoPassphrase::Empty)
        } else {
            Ok(Self(text))
        }
    }

    /// The one in `file`, or typed by the person when asked with `question`.
    pub(crate) fn get(file: Option<&Path>, question: &str) -> Result<Self, NoPassphrase> {
        match file {
            Some(file) => Self::new(private_file::first_line(file)?),
            None => ask(question),
        }
    }

    /// A new one: in `file`, or typed twice.
    pub(crate) fn choose(file: Option<&Path>) -> Result<Self, NoPassphrase> {
        if file.is_some() {
            return Self::get(file, "");
        }
        let first = ask("Choose a passphrase for the keys of this signer: ")?;
        let second = ask("The same again: ")?;
        if *first.0 == *second.0 {
            Ok(first)
        } else {
            Err(NoPassphrase::Different)
        }
    }

    /// Lends the text, for opening and encrypting keys.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

fn ask(question: &str) -> Result<Passphrase, NoPassphrase> {
    let typed = rpassword::prompt_password(question).map_err(|_| NoPassphrase::NoTerminal)?;
    Passphrase::new(Zeroizing::new(typed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_passphrase_does_not_print_itself_and_an_empty_one_is_none() {
        let passphrase = Passphrase::new(Zeroizing::new("hunter2".to_owned())).unwrap();
        assert_eq!(format!("{passphrase:?}"), "Passphrase(..)");
        assert!(matches!(
            Passphrase::new(Zeroizing::new(String::new())),
            Err(NoPassphrase::Empty)
        ));
    }

    #[test]
    fn the_first_line_of_a_file_is_taken_without_asking() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"two words\nmore\n").unwrap();
        let read = Passphrase::get(Some(file.path()), "never asked").unwrap();
        assert_eq!(read.expose(), "two words");
        assert_eq!(
            Passphrase::choose(Some(file.path())).unwrap().expose(),
            "two words"
        );
    }
}
