//! Every check of a request, from the raw bytes (I2, I11).
//!
//! The agent made the same checks. They are repeated here because the agent may lie.
use crate::identity::{Identities, Identity};
use crate::pins::{Pin, Pins, Standing};
use crate::prompt::{Host, Prompt, Subject};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Untrusted;
use vmux_proto::agent_wire::SignFlags;
use vmux_proto::audit::Entry;
use vmux_proto::binding::Chain;
use vmux_proto::destination::{Destination, Level};
use vmux_proto::key::PublicKey;
use vmux_proto::message::{Number, Refusal, Reported, SignRequest};
use vmux_proto::payload::{Payload, SshSigHash};
use vmux_proto::signature::Verifier;
use vmux_proto::source::Source;

/// What the person set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// SSHSIG namespaces that may be signed.
    pub namespaces: Vec<String>,
}

impl Default for Settings {
    /// `git` and `file`: what git and `ssh-keygen -Y sign` use by default.
    fn default() -> Self {
        Self {
            namespaces: ["git", "file"].into_iter().map(String::from).collect(),
        }
    }
}

/// A request that passed every check. Made by [`Asked::check`] alone.
#[derive(Clone, Debug)]
pub struct Asked {
    identity: Identity,
    flags: SignFlags,
    subject: Subject,
    bytes: Vec<u8>,
    destination: Destination,
    source: Source,
    record: Entry,
}

impl Asked {
    /// Repeats every check of a request.
    pub fn check(
        request: &SignRequest,
        identities: &Identities,
        settings: &Settings,
        verifier: &dyn Verifier,
    ) -> Result<Self, Refusal> {
        let key = PublicKey::parse(&request.key).map_err(|_| Refusal::NoSuchIdentity)?;
        let identity = identities.enabled(&key).ok_or(Refusal::NoSuchIdentity)?;
        let flags = SignFlags::from_bits(request.flags).map_err(|_| Refusal::NotUnderstood)?;
        let payload =
            Payload::parse(&request.payload, &identity.key).map_err(|_| Refusal::NotUnderstood)?;
        let bodies = request.chain.iter().map(|body| body.as_slice());
        let chain = Chain::prove(verifier, bodies).map_err(|_| Refusal::Contradiction)?;
        let destination =
            Destination::prove(&chain, &payload).map_err(|_| Refusal::Contradiction)?;
        let record = Entry {
            identity: Some(identity.label.clone()),
            key: Some(identity.key.fingerprint().to_string()),
            // A name that is only reported has no place among what is proven.
            host: None,
            ..Entry::default().about(request.id, &payload, &destination, &request.reported)
        };
        let source = Source::of(&destination, &request.reported);
        let subject = subject(payload, settings)?;
        Ok(Self {
            identity: identity.clone(),
            flags,
            subject,
            bytes: request.payload.to_vec(),
            destination,
            source,
            record,
        })
    }

    /// The identity that would sign.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The bytes that would be signed.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Flags of the request, for RSA keys.
    pub const fn flags(&self) -> SignFlags {
        self.flags
    }

    /// Where the signature would go.
    pub const fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whom limits, pauses and a block hold for.
    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// What the log says of it.
    pub(crate) const fn record(&self) -> &Entry {
        &self.record
    }

    /// The destination's host as it stands with the pins.
    pub(crate) fn host(&self, reported: &Reported, pins: &Pins) -> Option<Host> {
        self.destination.host_key().map(|key| {
            let standing = match self.destination.level() {
                Level::Direct => pins.standing(key, reported.host.as_deref()),
                // The name would be that of the first hop.
                Level::Forwarded => pins.standing(key, None),
                Level::Claimed | Level::Unknown | Level::Local | Level::ForwardedLocal => {
                    Standing::Unverified
                }
            };
            Host::new(key, standing)
        })
    }

    /// The pin of another key that has the name reported for a new host.
    fn namesake(&self, reported: &Reported, pins: &Pins) -> Option<Pin> {
        let key = self.destination.host_key()?;
        let is_new = self.destination.level().is_verified()
            && pins.standing(key, reported.host.as_deref()) == Standing::New;
        let name = reported.host.as_deref().filter(|_| is_new)?;
        pins.namesakes(key.fingerprint(), name).next().cloned()
    }

    /// Builds the prompt; `number` is taken where the request needs one.
    pub(crate) fn prompt(
        &self,
        request: &SignRequest,
        origin: (LinkId, &Untrusted),
        pins: &Pins,
        number: Number,
        deadline: u64,
    ) -> Prompt {
        let hops = self.destination.hops().iter();
        let hops = hops
            .map(|key| Host::new(key, pins.standing(key, None)))
            .collect();
        let mut prompt = Prompt {
            request: request.id,
            link: origin.0,
            workstation: origin.1.clone(),
            identity: self.identity.label.clone(),
            fingerprint: self.identity.key.fingerprint(),
            subject: self.subject.clone(),
            level: self.destination.level(),
            host: self.host(&request.reported, pins),
            hops,
            namesake: self.namesake(&request.reported, pins),
            number: None,
            deadline,
            source: self.source.clone(),
            together: 1,
            log_in_doubt: false,
            reported: request.reported.clone(),
        };
        prompt.number = needs_number(&prompt).then_some(number);
        prompt
    }
}

/// A known host reached directly, or a signature asked for on the workstation itself, needs one
/// deliberate key. Everything else also needs the number, which only whoever made the request sees.
fn needs_number(prompt: &Prompt) -> bool {
    match prompt.level {
        Level::Direct => !prompt
            .host
            .as_ref()
            .is_some_and(|host| matches!(host.standing, Standing::Pinned(_))),
        Level::Local => false,
        Level::Forwarded | Level::Claimed | Level::Unknown | Level::ForwardedLocal => true,
    }
}

/// What the signature is for, if this signer makes such signatures at all.
fn subject(payload: Payload, settings: &Settings) -> Result<Subject, Refusal> {
    match payload {
        Payload::Userauth(userauth) => Ok(Subject::Login {
            user: userauth.user,
        }),
        Payload::SshSig(signature) if settings.namespaces.contains(&signature.namespace) => {
            let hash = match signature.hash {
                SshSigHash::Sha256(hash) => hexadecimal(&hash),
                SshSigHash::Sha512(hash) => hexadecimal(&hash),
            };
            Ok(Subject::Signature {
                namespace: Untrusted::new(&signature.namespace),
                hash,
            })
        }
        Payload::SshSig(_) => Err(Refusal::NamespaceNotAllowed),
        Payload::Certificate(_) => Err(Refusal::ForeignCertificate),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
