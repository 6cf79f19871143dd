//! Every bound that more than one part relies on, with its reason (I13).

/// Largest agent message we read; OpenSSH's agent stops at the same size (`AGENT_MAX_LEN`).
pub const MAX_AGENT_MESSAGE: usize = 256 * 1024;

/// Bindings on one connection; OpenSSH's agent allows the same number (`AGENT_MAX_SESSION_IDS`).
pub const MAX_BINDINGS: usize = 16;

/// Session id, in bytes; OpenSSH caps it at the same size (`AGENT_MAX_SID_LEN`).
pub const MAX_SESSION_ID: usize = 128;

/// Shortest session id a key exchange produces (SHA-1, RFC 4253).
pub const MIN_SESSION_ID: usize = 20;

/// Key blob, in bytes: a 16,384-bit RSA host certificate with many principals fits.
pub const MAX_KEY_BLOB: usize = 8 * 1024;

/// Signature blob, in bytes: RSA 16,384 bits needs 2,048 and a name, a WebAuthn one its client data.
pub const MAX_SIGNATURE: usize = 8 * 1024;

/// Bytes to be signed. Requests measured are below 1.5 KiB; this leaves room for large certificates
/// and keeps a request with its bindings inside one link message.
pub const MAX_PAYLOAD: usize = 16 * 1024;

/// All bindings of one request together, in bytes, so that they fit in one link message.
pub const MAX_CHAIN: usize = 24 * 1024;

/// Largest RSA modulus, in bits: verifying a larger one costs more than it proves.
pub const MAX_RSA_BITS: usize = 8192;

/// Smallest RSA modulus, in bits; OpenSSH's default `RequiredRSASize`.
pub const MIN_RSA_BITS: usize = 1024;

/// Identities of one signer; OpenSSH's client reads at most 2,048, and servers allow six tries.
pub const MAX_IDENTITIES: usize = 64;

/// Label of an identity, name of a phone or a workstation, in bytes of UTF-8.
pub const MAX_NAME: usize = 128;

/// One reported hint (command line, directory, terminal), in bytes of UTF-8.
pub const MAX_HINT: usize = 512;

/// Processes in a reported chain.
pub const MAX_PROCESSES: usize = 8;

/// Longest wait for a person, in milliseconds; the default of the setting.
pub const DEFAULT_WAIT_MS: u64 = 60_000;

/// From the beginning of a login to our answer, in milliseconds. A server's LoginGraceTime of 120 s
/// ends the login unnoticed, so we refuse before that.
pub const MAX_LOGIN_MS: u64 = 100_000;

/// Key blob of an identity, in bytes: RSA of 4,096 bits needs 535, and all identities of a signer
/// must fit in one link message.
pub const MAX_IDENTITY_BLOB: usize = 768;

/// For each part of a handshake to arrive once two ends have met, in milliseconds. What a relay
/// loses is not sent again: after this time an end connects anew.
pub const MAX_HANDSHAKE_MS: u64 = 10_000;

/// Requests of one agent that a signer shows or queues at a time; the agent keeps more to itself.
pub const MAX_SHOWN: usize = 16;

/// Blocks of one agent at a time; all of them fit in one link message.
pub const MAX_BLOCKS: usize = 64;

/// Lines of a log that one message tells of.
pub const MAX_GROWTH: usize = 1024;

/// One line of a log, in bytes: a record with every hint at its limit, escaped, fits.
pub const MAX_LOG_LINE: usize = 128 * 1024;

/// Requests of one source that a signer shows or queues at a time, fewer than
/// [`MAX_SHOWN`]: there is always room for another source.
pub const MAX_SHOWN_PER_SOURCE: usize = 12;
