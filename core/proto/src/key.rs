//! Public keys and certificates as SSH writes them (RFC 4253 section 6.6, RFC 5656, RFC 8709,
//! OpenSSH PROTOCOL.certkeys and PROTOCOL.u2f).
//!
//! A blob is parsed whole: every field is checked for its length, nothing may follow the last one.
use crate::limits::{MAX_KEY_BLOB, MAX_RSA_BITS, MIN_RSA_BITS};
use crate::wire::{Malformed, Reader, Writer};
use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64, Base64Unpadded, Encoding as _};
use core::fmt;
use sha2::{Digest as _, Sha256};

/// A key algorithm that can be a host key or an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// `ssh-ed25519`
    Ed25519,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`
    EcdsaP521,
    /// `ssh-rsa`
    Rsa,
    /// `sk-ssh-ed25519@openssh.com`
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`
    SkEcdsaP256,
}

impl Algorithm {
    const ALL: [Self; 7] = [
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::Rsa,
        Self::SkEd25519,
        Self::SkEcdsaP256,
    ];

    /// The name of a plain key of this algorithm.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Rsa => "ssh-rsa",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// The name of a certificate on a key of this algorithm.
    pub const fn certificate_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519-cert-v01@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384-cert-v01@openssh.com",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521-cert-v01@openssh.com",
            Self::Rsa => "ssh-rsa-cert-v01@openssh.com",
            Self::SkEd25519 => "sk-ssh-ed25519-cert-v01@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        }
    }
}

/// The numbers of a key, checked for their lengths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyData {
    /// An Edwards curve point.
    Ed25519([u8; 32]),
    /// A point on a NIST curve, SEC1 uncompressed.
    Ecdsa(Curve, Vec<u8>),
    /// Public exponent and modulus, big-endian without sign byte.
    Rsa {
        /// Public exponent.
        e: Vec<u8>,
        /// Modulus.
        n: Vec<u8>,
    },
    /// A FIDO key on the Edwards curve.
    SkEd25519([u8; 32], Vec<u8>),
    /// A FIDO key on P-256 with its application (the RP id of a passkey).
    SkEcdsaP256(Vec<u8>, Vec<u8>),
}

/// A NIST curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Curve {
    /// secp256r1
    P256,
    /// secp384r1
    P384,
    /// secp521r1
    P521,
}

impl Curve {
    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    /// Bytes of one coordinate.
    pub const fn field_size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// A public key, plain or inside a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    data: KeyData,
    blob: Vec<u8>,
    certificate: Option<Box<Certificate>>,
}

impl PublicKey {
    /// Parses a key blob, plain or certificate, of at most [`MAX_KEY_BLOB`] bytes.
    pub fn parse(blob: &[u8]) -> Result<Self, Malformed> {
        if blob.len() > MAX_KEY_BLOB {
            return Err(Malformed::TooLong);
        }
        let mut reader = Reader::new(blob);
        let name = reader.string()?;
        let (algorithm, form) = find(name)?;
        let key = match form {
            Form::Plain => {
                let data = key_data(algorithm, &mut reader)?;
                Self {
                    algorithm,
                    data,
                    blob: blob.to_owned(),
                    certificate: None,
                }
            }
            Form::Certificate => {
                let body = CertificateBody::parse(algorithm, &mut reader)?;
                let signed = blob.len().saturating_sub(reader.clone().rest().len());
                let signature = reader.string()?.to_owned();
                let certificate = Certificate {
                    body: body.1,
                    to_be_signed: blob.get(..signed).unwrap_or_default().to_owned(),
                    signature,
                };
                Self {
                    algorithm,
                    data: body.0,
                    blob: blob.to_owned(),
                    certificate: Some(Box::new(certificate)),
                }
            }
        };
        reader.finish()?;
        Ok(key)
    }

    /// Makes the blob of a plain key from its numbers.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the key takes the place of its numbers"
    )]
    pub fn from_data(data: KeyData) -> Result<Self, Malformed> {
        let blob = write_plain(&data);
        Self::parse(&blob)
    }

    /// What kind of key it is, whether or not inside a certificate.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The type name of the blob; a certificate's ends in `-cert-v01@openssh.com`.
    pub const fn blob_type(&self) -> &'static str {
        match self.certificate {
            None => self.algorithm.name(),
            Some(_) => self.algorithm.certificate_name(),
        }
    }

    /// The key's numbers.
    pub const fn data(&self) -> &KeyData {
        &self.data
    }

    /// The bytes it came as.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The certificate around the key, if there is one.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// The key without the certificate around it.
    pub fn plain(&self) -> Self {
        let blob = self.plain_blob();
        Self {
            algorithm: self.algorithm,
            data: self.data.clone(),
            blob,
            certificate: None,
        }
    }

    /// The blob of the key without the certificate around it.
    pub fn plain_blob(&self) -> Vec<u8> {
        match self.certificate {
            None => self.blob.clone(),
            Some(_) => write_plain(&self.data),
        }
    }

    /// Whether both are the same key, certificates aside. OpenSSH before 10.3 names the plain key
    /// in the request and the certificate in the bytes to be signed.
    pub fn same_key(&self, other: &Self) -> bool {
        self.data == other.data
    }

    /// SHA-256 fingerprint of the plain key, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.plain_blob()).into())
    }

    /// The line of an `authorized_keys` or `.pub` file, without comment.
    pub fn to_line(&self) -> String {
        let mut line = String::from(self.blob_type());
        line.push(' ');
        line.push_str(&Base64::encode_string(&self.blob));
        line
    }

    /// Reads a line of a `.pub` file: type, base64, and a comment that is returned as it is.
    pub fn from_line(line: &str) -> Result<(Self, &str), Malformed> {
        let mut fields = line.trim().splitn(3, ' ');
        let name = fields.next().unwrap_or_default();
        let encoded = fields.next().ok_or(Malformed::Truncated)?;
        if encoded.len() > MAX_KEY_BLOB.saturating_mul(2) {
            return Err(Malformed::TooLong);
        }
        let blob = Base64::decode_vec(encoded).map_err(|_| Malformed::BadValue)?;
        let key = Self::parse(&blob)?;
        if key.blob_type() != name {
            return Err(Malformed::BadValue);
        }
        Ok((key, fields.next().unwrap_or_default()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.blob_type(), self.fingerprint())
    }
}

/// SHA-256 of a plain key blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", Base64Unpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateKind {
    /// Proves a user to servers.
    User,
    /// Proves a host to clients.
    Host,
}

/// What a certificate says (PROTOCOL.certkeys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateBody {
    /// Number the CA gave it.
    pub serial: u64,
    /// For a user or a host.
    pub kind: CertificateKind,
    /// Free text for the server's log.
    pub key_id: Vec<u8>,
    /// User or host names it is good for; an empty list is good for all.
    pub principals: Vec<Vec<u8>>,
    /// First second of its life, since 1970.
    pub valid_after: u64,
    /// First second after its life, since 1970.
    pub valid_before: u64,
    /// Options a server must understand: name and data.
    pub critical: Vec<(Vec<u8>, Vec<u8>)>,
    /// Options a server may ignore: name and data.
    pub extensions: Vec<(Vec<u8>, Vec<u8>)>,
    /// The key that signs it; always a plain one.
    pub authority: PublicKey,
}

impl CertificateBody {
    /// Parses what follows the type name, up to and without the signature.
    pub(crate) fn parse(
        algorithm: Algorithm,
        reader: &mut Reader<'_>,
    ) -> Result<(KeyData, Self), Malformed> {
        reader.string()?; // nonce
        let data = key_data(algorithm, reader)?;
        let serial = reader.u64()?;
        let kind = match reader.u32()? {
            1 => CertificateKind::User,
            2 => CertificateKind::Host,
            _ => return Err(Malformed::BadValue),
        };
        let key_id = reader.string()?.to_owned();
        let principals = strings(reader.string()?)?;
        let valid_after = reader.u64()?;
        let valid_before = reader.u64()?;
        let critical = options(reader.string()?)?;
        let extensions = options(reader.string()?)?;
        reader.string()?; // reserved
        let authority = plain_key(reader.string()?)?;
        let body = Self {
            serial,
            kind,
            key_id,
            principals,
            valid_after,
            valid_before,
            critical,
            extensions,
            authority,
        };
        Ok((data, body))
    }
}

/// A certificate with the bytes its authority signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What it says.
    pub body: CertificateBody,
    /// The bytes under the signature.
    pub to_be_signed: Vec<u8>,
    /// The authority's signature blob; not verified by parsing.
    pub signature: Vec<u8>,
}

/// Whether a type name stands for a plain key or a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Certificate,
}

/// Finds the algorithm a type name stands for.
pub(crate) fn find(name: &[u8]) -> Result<(Algorithm, Form), Malformed> {
    Algorithm::ALL
        .into_iter()
        .find_map(|algorithm| {
            if algorithm.name().as_bytes() == name {
                Some((algorithm, Form::Plain))
            } else if algorithm.certificate_name().as_bytes() == name {
                Some((algorithm, Form::Certificate))
            } else {
                None
            }
        })
        .ok_or(Malformed::Unknown)
}

fn plain_key(blob: &[u8]) -> Result<PublicKey, Malformed> {
    // Looked at before parsing, so that certificates cannot nest without end.
    match find(Reader::new(blob).string()?)?.1 {
        Form::Plain => PublicKey::parse(blob),
        Form::Certificate => Err(Malformed::BadValue),
    }
}

fn key_data(algorithm: Algorithm, reader: &mut Reader<'_>) -> Result<KeyData, Malformed> {
    Ok(match algorithm {
        Algorithm::Ed25519 => KeyData::Ed25519(edwards_point(reader)?),
        Algorithm::EcdsaP256 => KeyData::Ecdsa(Curve::P256, nist_point(Curve::P256, reader)?),
        Algorithm::EcdsaP384 => KeyData::Ecdsa(Curve::P384, nist_point(Curve::P384, reader)?),
        Algorithm::EcdsaP521 => KeyData::Ecdsa(Curve::P521, nist_point(Curve::P521, reader)?),
        Algorithm::Rsa => {
            let e = reader.positive_mpint()?;
            let n = reader.positive_mpint()?;
            let bits = n.len().saturating_mul(8);
            if e.len() > 8 || !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                return Err(Malformed::BadValue);
            }
            KeyData::Rsa {
                e: e.to_owned(),
                n: n.to_owned(),
            }
        }
        Algorithm::SkEd25519 => {
            KeyData::SkEd25519(edwards_point(reader)?, reader.string()?.to_owned())
        }
        Algorithm::SkEcdsaP256 => KeyData::SkEcdsaP256(
            nist_point(Curve::P256, reader)?,
            reader.string()?.to_owned(),
        ),
    })
}

fn edwards_point(reader: &mut Reader<'_>) -> Result<[u8; 32], Malformed> {
    reader.string()?.try_into().map_err(|_| Malformed::BadValue)
}

fn nist_point(curve: Curve, reader: &mut Reader<'_>) -> Result<Vec<u8>, Malformed> {
    if reader.string()? != curve.name().as_bytes() {
        return Err(Malformed::BadValue);
    }
    let point = reader.string()?;
    let length = curve.field_size().saturating_mul(2).saturating_add(1);
    if point.len() != length || point.first() != Some(&4) {
        return Err(Malformed::BadValue);
    }
    Ok(point.to_owned())
}

fn strings(packed: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut reader = Reader::new(packed);
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push(reader.string()?.to_owned());
    }
    Ok(found)
}

/// An option's name and its data.
type Named = (Vec<u8>, Vec<u8>);

fn options(packed: &[u8]) -> Result<Vec<Named>, Malformed> {
    let mut reader = Reader::new(packed);
    let mut found = Vec::new();
    while !reader.is_empty() {
        found.push((reader.string()?.to_owned(), reader.string()?.to_owned()));
    }
    Ok(found)
}

fn write_plain(data: &KeyData) -> Vec<u8> {
    let writer = Writer::new();
    match data {
        KeyData::Ed25519(point) => writer.string(Algorithm::Ed25519.name()).string(point),
        KeyData::Ecdsa(curve, point) => {
            let algorithm = match curve {
                Curve::P256 => Algorithm::EcdsaP256,
                Curve::P384 => Algorithm::EcdsaP384,
                Curve::P521 => Algorithm::EcdsaP521,
            };
            writer
                .string(algorithm.name())
                .string(curve.name())
                .string(point)
        }
        KeyData::Rsa { e, n } => writer
            .string(Algorithm::Rsa.name())
            .positive_mpint(e)
            .positive_mpint(n),
        KeyData::SkEd25519(point, application) => writer
            .string(Algorithm::SkEd25519.name())
            .string(point)
            .string(application),
        KeyData::SkEcdsaP256(point, application) => writer
            .string(Algorithm::SkEcdsaP256.name())
            .string(Curve::P256.name())
            .string(point)
            .string(application),
    }
    .finish()
}
