//! `vmux-signer pins …`

use serde_json::json;
use vmux_signer::{Pin, PinName};

use super::Desktop;
use crate::cli;
use crate::date::day;
use crate::failure::CommandFailed;

pub(super) fn pins(desktop: &Desktop<'_>, command: cli::Pins) -> Result<(), CommandFailed> {
    match command {
        cli::Pins::List => list(desktop),
        cli::Pins::Rename { name, new } => rename(desktop, &name, &new),
        cli::Pins::Forget { name } => forget(desktop, &name),
    }
}

fn list(desktop: &Desktop<'_>) -> Result<(), CommandFailed> {
    let pins = desktop.store.open()?.pins()?;
    for pin in pins.all() {
        let facts = json!({
            "name": pin.name.as_str(),
            "fingerprint": pin.fingerprint.to_string(),
            "algorithm": pin.algorithm,
            "first_seen": (pin.first_seen != 0).then_some(pin.first_seen),
            "last_used": (pin.last_used != 0).then_some(pin.last_used),
            "uses": pin.uses,
        });
        desktop.output.tell(&facts, |paint| {
            let name = paint.bold(pin.name.as_str());
            format!(
                "{name}\n  {} {}\n  {}",
                pin.algorithm,
                pin.fingerprint,
                history(pin)
            )
        })?;
    }
    if pins.all().is_empty() {
        desktop
            .output
            .say(|_| "no hosts; each is added when you approve it".to_owned())?;
    }
    Ok(())
}

/// When a host was first and last approved, in words.
pub(crate) fn history(pin: &Pin) -> String {
    let since = match pin.first_seen {
        0 => "came with this program".to_owned(),
        wall => format!("first approved {}", day(wall)),
    };
    match pin.uses {
        0 => format!("{since}, never used"),
        1 => format!("{since}, used once"),
        uses => format!("{since}, used {uses} times, last {}", day(pin.last_used)),
    }
}

fn rename(desktop: &Desktop<'_>, name: &str, new: &str) -> Result<(), CommandFailed> {
    let new = PinName::parse(new)?;
    let opened = desktop.store.open()?;
    let mut pins = opened.pins()?;
    let renamed = pins.rename(name, &new);
    if renamed == 0 {
        return Err(no_such(name));
    }
    opened.save_pins(&pins)?;
    let event = json!({ "event": "renamed", "name": new.as_str(), "keys": renamed });
    Ok(desktop.output.tell(&event, |_| match renamed {
        1 => format!("one host key is called {} now", new.as_str()),
        more => format!("{more} host keys are called {} now", new.as_str()),
    })?)
}

fn forget(desktop: &Desktop<'_>, name: &str) -> Result<(), CommandFailed> {
    let opened = desktop.store.open()?;
    let mut pins = opened.pins()?;
    let forgotten = pins.forget(name);
    if forgotten == 0 {
        return Err(no_such(name));
    }
    opened.save_pins(&pins)?;
    let event = json!({ "event": "forgotten", "keys": forgotten });
    Ok(desktop.output.tell(&event, |_| match forgotten {
        1 => "one host key is forgotten; its next login is shown as new".to_owned(),
        more => format!("{more} host keys are forgotten; their next logins are shown as new"),
    })?)
}

fn no_such(name: &str) -> CommandFailed {
    let name = vmux_proto::Untrusted::new(name);
    CommandFailed::new(
        format!("no host has the name or fingerprint {name}"),
        "see `vmux-signer pins list`",
    )
}
