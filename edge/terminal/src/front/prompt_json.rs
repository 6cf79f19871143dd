//! A request as JSON, version 1 (docs/spec/decide-with.md).
//!
//! Every text from outside is escaped as on the screen (I20): a program may show it as it is.

use serde_json::{Value, json};
use vmux_proto::Untrusted;
use vmux_proto::message::{Reported, RequestId};
use vmux_proto::source::Source;
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
        "together": prompt.together,
        "source": source(&prompt.source),
        "log_in_doubt": prompt.log_in_doubt,
        "namesake": prompt.namesake.as_ref().map(|pin| json!({
            "name": pin.name.as_str(),
            "fingerprint": pin.fingerprint.to_string(),
            "algorithm": pin.algorithm,
        })),
        "pin_name": suggested_name(prompt).as_ref().map(vmux_signer::PinName::as_str),
        "time_left_ms": prompt.deadline.saturating_sub(uptime),
        "reported": reported(&prompt.reported),
    })
}

/// The whole id of a request.
pub(crate) fn request_text(request: RequestId) -> String {
    format!("{:032x}", u128::from_be_bytes(request.0))
}

/// Whose requests limits and blocks hold for.
pub(crate) fn source(source: &Source) -> Value {
    let (kind, name) = match source {
        Source::Unknown => ("unknown", None),
        Source::Program(name) => ("program", Some(Untrusted::new(name).to_string())),
        Source::Host(key) => ("host", Some(key.to_string())),
    };
    json!({ "kind": kind, "name": name })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::sample;
    use vmux_proto::untrusted::is_visible;

    const NOW: u64 = sample::DEADLINE - 42_000;

    /// The fields of an object, sorted.
    fn fields(value: &Value) -> Vec<&str> {
        let mut fields: Vec<_> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        fields.sort_unstable();
        fields
    }

    #[test]
    fn version_1_has_these_fields() {
        let json = prompt_json(&sample::forwarded(), NOW);
        assert_eq!(
            fields(&json),
            [
                "blocked",
                "hash",
                "hops",
                "host",
                "identity",
                "kind",
                "level",
                "log_in_doubt",
                "namesake",
                "namespace",
                "number",
                "pin_name",
                "reported",
                "request",
                "source",
                "standing",
                "time_left_ms",
                "together",
                "user",
                "version",
                "workstation",
            ]
        );
        assert_eq!(
            fields(&json["host"]),
            ["algorithm", "fingerprint", "pin", "standing"]
        );
        let pin = ["fingerprint", "first_seen", "last_used", "name", "uses"];
        assert_eq!(fields(&json["hops"][0]["pin"]), pin);
        let reported = [
            "directory",
            "host",
            "known_hosts",
            "processes",
            "terminal",
            "user",
        ];
        assert_eq!(fields(&json["reported"]), reported);
        assert_eq!(
            fields(&json["reported"]["processes"][0]),
            ["command", "pid", "program"]
        );
    }

    #[test]
    fn a_login_to_a_new_host_says_what_is_needed_to_decide() {
        let json = prompt_json(&sample::new(), NOW);
        assert_eq!(json["kind"], "login");
        assert_eq!(json["user"], "deploy");
        assert_eq!(
            (&json["level"], &json["standing"]),
            (&json!("direct"), &json!("new"))
        );
        assert_eq!(json["number"], 42);
        assert_eq!(json["blocked"], false);
        assert_eq!(json["pin_name"], "web-1.example");
        assert_eq!(json["time_left_ms"], 42_000);
        assert_eq!(json["request"], "a1".repeat(16));
        assert_eq!(
            json["workstation"],
            json!({ "id": "0123456789abcdef", "name": "laptop" })
        );
    }

    #[test]
    fn each_standing_has_its_name() {
        for (prompt, standing, blocked) in [
            (sample::pinned(), "pinned", false),
            (sample::new(), "new", false),
            (sample::changed(), "changed", true),
            (sample::claimed(), "unverified", false),
            (sample::unknown(), "unverified", false),
            (sample::git(), "none", false),
        ] {
            let json = prompt_json(&prompt, NOW);
            assert_eq!(
                (&json["standing"], &json["blocked"]),
                (&json!(standing), &json!(blocked))
            );
        }
        let json = prompt_json(&sample::pinned(), NOW);
        assert_eq!(
            (&json["number"], &json["pin_name"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(json["host"]["pin"]["uses"], 12);
    }

    #[test]
    fn a_name_of_another_key_is_no_suggestion_and_says_whose_it_is() {
        let json = prompt_json(&sample::namesake(), NOW);
        assert_eq!(json["standing"], "new");
        assert_eq!(json["pin_name"], Value::Null);
        let namesake = &json["namesake"];
        assert_eq!(fields(namesake), ["algorithm", "fingerprint", "name"]);
        assert_eq!(namesake["name"], "web-1.example");
        assert_eq!(namesake["algorithm"], "ecdsa-sha2-nistp256");
        assert_eq!(prompt_json(&sample::new(), NOW)["namesake"], Value::Null);
    }

    #[test]
    fn a_source_has_a_kind_and_what_is_known_of_it() {
        let of = |prompt: &Prompt| prompt_json(prompt, NOW)["source"].clone();
        let program = json!({ "kind": "program", "name": "/usr/bin/git" });
        assert_eq!(of(&sample::pinned()), program);
        let host = of(&sample::forwarded());
        assert_eq!(host["kind"], "host");
        assert!(host["name"].as_str().unwrap().starts_with("SHA256:"));
        let unknown = json!({ "kind": "unknown", "name": null });
        assert_eq!(source(&Source::Unknown), unknown);
    }

    #[test]
    fn a_log_in_doubt_and_a_burst_are_said() {
        let json = prompt_json(&sample::in_doubt(), NOW);
        assert_eq!(
            (&json["log_in_doubt"], &json["together"]),
            (&json!(true), &json!(1))
        );
        let burst = Prompt {
            together: 3,
            ..sample::pinned()
        };
        let json = prompt_json(&burst, NOW);
        assert_eq!(
            (&json["log_in_doubt"], &json["together"]),
            (&json!(false), &json!(3))
        );
    }

    #[test]
    fn a_program_can_show_every_text_as_it_is() {
        fn check(value: &Value) {
            match value {
                Value::String(text) => assert!(text.chars().all(is_visible), "{text}"),
                Value::Array(values) => values.iter().for_each(check),
                Value::Object(values) => values.values().for_each(check),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        check(&prompt_json(&sample::hostile(), NOW));
    }

    #[test]
    fn the_example_in_the_specification_is_one() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/spec/decide-with.md"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let example = text
            .split("```json\n")
            .nth(1)
            .unwrap()
            .split("```")
            .next()
            .unwrap();
        let example: Value = serde_json::from_str(example).unwrap();
        let forwarded = prompt_json(&sample::forwarded(), NOW);
        assert_eq!(example, forwarded, "should be {forwarded:#}");
        for field in fields(&forwarded) {
            assert!(
                text.contains(&format!("| `{field}` |")),
                "{field} is not explained"
            );
        }
    }
}
