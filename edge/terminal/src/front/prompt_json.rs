//! A request as JSON, version 1 (docs/spec/decide-with.md).
//!
//! Every text from outside is escaped as on the screen (I20): a program may show it as it is.

use serde_json::{Value, json};
use vmux_proto::Untrusted;
use vmux_proto::message::{Reported, RequestId};
use vmux_signer::{Host, Pin, Prompt, Standing, Subject};

use super::words::{Goes, suggested_name};

/// The object a program reads.
pub(crate) fn prompt_json(prompt: &Prompt, uptime: u64) -> Value {
    let (kind, user, namespace, hash) = match &prompt.subject {
        Subject::Login { user } => ("login", Some(user.to_string()), None, None),
        Subject::Signature { namespace, hash } => {
            ("signature", None, Some(namespace.to_string()), Some(hash))
        }
    };
    json!({
        "version": VERSION,
        "request": request_text(prompt.request),
        "workstation": {
            "id": prompt.link.to_string(),
            "name": prompt.workstation.to_string(),
        },
        "kind": kind,
        "user": user,
        "namespace": namespace,
        "hash": hash,
        "level": prompt.level.name(),
        "standing": Goes::of(prompt).name(),
        "host": prompt.host.as_ref().map(host),
        "hops": prompt.hops.iter().map(host).collect::<Vec<_>>(),
        "identity": {
            "label": prompt.identity,
            "fingerprint": prompt.fingerprint.to_string(),
        },
        "number": prompt.number.and_then(|number| number.to_string().parse::<u8>().ok()),
        "blocked": prompt.is_blocked(),
        "pin_name": suggested_name(prompt).as_ref().map(vmux_signer::PinName::as_str),
        "time_left_ms": prompt.deadline.saturating_sub(uptime),
        "reported": reported(&prompt.reported),
    })
}

/// The whole id of a request.
pub(crate) fn request_text(request: RequestId) -> String {
    format!("{:032x}", u128::from_be_bytes(request.0))
}

fn host(host: &Host) -> Value {
    let (standing, pin) = match &host.standing {
        Standing::Pinned(pin) => ("pinned", Some(pin)),
        Standing::New => ("new", None),
        Standing::Changed(pin) => ("changed", Some(pin)),
        Standing::Unverified => ("unverified", None),
    };
    json!({
        "fingerprint": host.fingerprint.to_string(),
        "algorithm": host.algorithm,
        "standing": standing,
        "pin": pin.map(pinned),
    })
}

fn pinned(pin: &Pin) -> Value {
    json!({
        "name": pin.name.as_str(),
        "fingerprint": pin.fingerprint.to_string(),
        "first_seen": (pin.first_seen != 0).then_some(pin.first_seen),
        "last_used": (pin.last_used != 0).then_some(pin.last_used),
        "uses": pin.uses,
    })
}

fn reported(reported: &Reported) -> Value {
    let shown = |text: &str| Untrusted::new(text).to_string();
    let processes: Vec<_> = reported
        .processes
        .iter()
        .map(|process| {
            json!({
                "pid": process.pid,
                "program": shown(&process.program),
                "command": shown(&process.command),
            })
        })
        .collect();
    json!({
        "processes": processes,
        "directory": reported.directory.as_deref().map(shown),
        "terminal": reported.terminal.as_deref().map(shown),
        "host": reported.host.as_deref().map(shown),
        "known_hosts": reported.known_hosts.as_deref().map(shown),
        "user": reported.user.as_deref().map(shown),
    })
}

/// Grows when a field changes its meaning or goes; new fields come without.
const VERSION: u32 = 1;
