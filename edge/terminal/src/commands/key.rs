//! `vmux-signer key …`

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use serde_json::{Value, json};
use vmux_host::clock;
use vmux_signer::{Identities, Identity, IdentityKind};
use zeroize::Zeroizing;

use super::Desktop;
use crate::cli::Key;
use crate::date::day;
use crate::failure::{CommandFailed, Exit};
use crate::keyfile::{KeyFile, KeyFileRefused, MAX_KEY_FILE, seal};
use crate::keys::{self, NotUnlocked};
use crate::passphrase::Passphrase;
use crate::secret_key::SecretKey;

pub(super) fn key(desktop: &Desktop<'_>, key: Key) -> Result<(), CommandFailed> {
    match key {
        Key::New { key_type, label } => add(desktop, &label, || Ok(SecretKey::generate(key_type)?)),
        Key::Import {
            file,
            own_passphrase_file,
            label,
        } => add(desktop, &label, || {
            import(&file, own_passphrase_file.as_deref())
        }),
        Key::List => list(desktop),
        Key::Label { name, label } => change(desktop, &name, |identities| {
            Ok(identities.label(&name, &label)?)
        }),
        Key::Enable { name } => change(desktop, &name, |identities| Ok(identities.enable(&name)?)),
        Key::Disable { name } => {
            change(desktop, &name, |identities| Ok(identities.disable(&name)?))
        }
        Key::Remove { name, yes } => remove(desktop, &name, yes.into()),
        Key::Export { name } => export(desktop, &name),
    }
}

/// Adds the key that `make` gives; nothing is asked before the label is known to be free.
fn add(
    desktop: &Desktop<'_>,
    label: &str,
    make: impl FnOnce() -> Result<SecretKey, CommandFailed>,
) -> Result<(), CommandFailed> {
    let mut identities = desktop.store.open()?.identities()?;
    let key = make()?;
    identities.add(identity(&key, label))?;
    add_with(desktop, label, &key, &passphrase(desktop)?)
}

/// Adds a key under a passphrase that is known to be the signer's.
pub(super) fn add_with(
    desktop: &Desktop<'_>,
    label: &str,
    key: &SecretKey,
    passphrase: &Passphrase,
) -> Result<(), CommandFailed> {
    let identity = identity(key, label);
    let pem = seal(key, label, passphrase)?;

    // The slow part is over: from here on the state is held, and looked at anew.
    let opened = desktop.store.open()?;
    let mut identities = opened.identities()?;
    identities.add(identity.clone())?;
    opened.save_key(identity.key.fingerprint(), &pem)?;
    opened.save_identities(&identities)?;
    tell(desktop, &identity)
}

fn identity(key: &SecretKey, label: &str) -> Identity {
    Identity {
        key: key.public().clone(),
        label: label.to_owned(),
        enabled: true,
        created: clock::now().wall,
        kind: IdentityKind::File,
    }
}

/// The signer's passphrase, proven to be the right one.
fn passphrase(desktop: &Desktop<'_>) -> Result<Passphrase, CommandFailed> {
    let file = desktop.passphrase_file.as_deref();
    let passphrase = Passphrase::get(file, "Passphrase of this signer: ")?;
    match keys::check(&desktop.store.open()?, &passphrase) {
        Ok(()) => Ok(passphrase),
        Err(failed) => Err(failed.into()),
    }
}

impl From<NotUnlocked> for CommandFailed {
    fn from(failed: NotUnlocked) -> Self {
        match failed {
            NotUnlocked::WrongPassphrase => {
                Self::new(failed, "it is the one chosen with `vmux-signer init`")
            }
            NotUnlocked::Store(refused) => refused.into(),
        }
    }
}

fn import(file: &Path, own_passphrase: Option<&Path>) -> Result<SecretKey, CommandFailed> {
    let named = |error: &dyn core::fmt::Display| format!("{}: {error}", file.display());
    let refused = |refused: KeyFileRefused| CommandFailed::new(named(&refused), refused.hint());
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE.saturating_add(1)));
    let most = u64::try_from(MAX_KEY_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    File::open(file)
        .and_then(|opened| opened.take(most).read_to_end(&mut bytes))
        .map_err(|error| CommandFailed::new(named(&error), "name a private key file"))?;
    if bytes.len() > MAX_KEY_FILE {
        return Err(refused(KeyFileRefused::NotAKey));
    }
    match KeyFile::parse(&bytes).map_err(refused)? {
        KeyFile::Open(key) => Ok(key),
        KeyFile::Locked(key) => {
            let question = format!("Passphrase of {}: ", file.display());
            let own = Passphrase::get(own_passphrase, &question).map_err(|none| {
                let hint = "run this in a terminal, or use --own-passphrase-file";
                CommandFailed::new(named(&none), hint)
            })?;
            key.unlock(&own).map_err(refused)
        }
    }
}

fn list(desktop: &Desktop<'_>) -> Result<(), CommandFailed> {
    let identities = desktop.store.open()?.identities()?;
    for identity in identities.all() {
        desktop.output.tell(&facts(identity), |paint| {
            let label = if identity.enabled {
                paint.bold(&identity.label)
            } else {
                paint.dim(format!("{} (disabled)", identity.label))
            };
            format!(
                "{label}\n  {} {}\n  {}, since {}",
                identity.key.algorithm().name(),
                identity.key.fingerprint(),
                identity.kind.describe(),
                day(identity.created),
            )
        })?;
    }
    if identities.all().is_empty() {
        desktop
            .output
            .say(|_| "no keys; make one with `vmux-signer key new`".to_owned())?;
    }
    Ok(())
}

fn change(
    desktop: &Desktop<'_>,
    name: &str,
    change: impl FnOnce(&mut Identities) -> Result<(), CommandFailed>,
) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let mut identities = opened.identities()?;
    let of = identities.find(name)?.key.fingerprint();
    change(&mut identities)?;
    opened.save_identities(&identities)?;
    identities
        .by_fingerprint(of)
        .map_or(Ok(()), |identity| tell(desktop, identity))
}

/// Whether to ask before a key is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    IfThereIsATerminal,
    Never,
}

impl From<bool> for Asking {
    fn from(yes: bool) -> Self {
        if yes {
            Self::Never
        } else {
            Self::IfThereIsATerminal
        }
    }
}

fn remove(desktop: &Desktop<'_>, name: &str, asking: Asking) -> Result<(), CommandFailed> {
    let identity = desktop.store.open()?.identities()?.find(name)?.clone();
    if asking == Asking::IfThereIsATerminal && io::stdin().is_terminal() && !confirmed(&identity)? {
        return Err(
            CommandFailed::new("nothing was deleted", "answer `yes` to delete the key")
                .with_exit(Exit::Refused, "refused"),
        );
    }
    let opened = desktop.store.open()?;
    let mut identities = opened.identities()?;
    let of = identity.key.fingerprint();
    let removed = identities.remove(&of.to_string())?;
    // Off the list first: a list without the file would be refused at the next start.
    opened.save_identities(&identities)?;
    opened.remove_key(of)?;
    let event =
        json!({ "event": "removed", "label": removed.label, "fingerprint": of.to_string() });
    Ok(desktop
        .output
        .tell(&event, |_| format!("{} is deleted", removed.label))?)
}

fn confirmed(identity: &Identity) -> io::Result<bool> {
    let mut terminal = io::stderr();
    write!(
        terminal,
        "Delete {} for good? There is no copy. [yes/no] ",
        identity.label
    )?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn export(desktop: &Desktop<'_>, name: &str) -> Result<(), CommandFailed> {
    let identities = desktop.store.open()?.identities()?;
    let identity = identities.find(name)?;
    Ok(desktop
        .output
        .tell(&facts(identity), |_| public_line(identity))?)
}

fn tell(desktop: &Desktop<'_>, identity: &Identity) -> Result<(), CommandFailed> {
    Ok(desktop.output.tell(&facts(identity), |paint| {
        let state = if identity.enabled { "" } else { " (disabled)" };
        format!(
            "{}{state}\n  {} {}\n  {}",
            paint.bold(&identity.label),
            identity.key.algorithm().name(),
            identity.key.fingerprint(),
            public_line(identity),
        )
    })?)
}

fn facts(identity: &Identity) -> Value {
    json!({
        "label": identity.label,
        "fingerprint": identity.key.fingerprint().to_string(),
        "algorithm": identity.key.algorithm().name(),
        "kind": "file",
        "enabled": identity.enabled,
        "created": identity.created,
        "public": public_line(identity),
    })
}

fn public_line(identity: &Identity) -> String {
    format!("{} {}", identity.key.to_line(), identity.label)
}
