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
use minicbor::{Decode, Encode};
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Fingerprint(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

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
            let bits = bit_length(n);
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

/// The size of a positive number without leading zero bytes.
fn bit_length(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |first| first.leading_zeros());
    number
        .len()
        .saturating_mul(8)
        .saturating_sub(usize::try_from(unused).unwrap_or(0))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec as any_length;
    use proptest::prelude::{any, proptest};
    use std::vec;

    /// A modulus of exactly so many bits, and odd.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut number = vec![0xff; bits.div_ceil(8)];
        number[0] >>= number.len() * 8 - bits;
        number
    }

    fn rsa(bits: usize, e: &[u8]) -> Result<PublicKey, Malformed> {
        PublicKey::from_data(KeyData::Rsa {
            e: e.to_owned(),
            n: modulus(bits),
        })
    }

    #[test]
    fn rsa_moduli_at_the_limits_are_parsed_and_one_bit_beyond_is_refused() {
        const E: &[u8] = &[1, 0, 1];
        for bits in [
            MIN_RSA_BITS,
            MIN_RSA_BITS + 1,
            2048,
            MAX_RSA_BITS - 1,
            MAX_RSA_BITS,
        ] {
            assert!(rsa(bits, E).is_ok(), "{bits}");
        }
        for bits in [
            MIN_RSA_BITS - 1,
            MIN_RSA_BITS - 8,
            8,
            MAX_RSA_BITS + 1,
            MAX_RSA_BITS + 8,
        ] {
            assert_eq!(rsa(bits, E), Err(Malformed::BadValue), "{bits}");
        }
    }

    #[test]
    fn rsa_exponents_of_eight_bytes_are_parsed_and_of_nine_or_none_are_refused() {
        assert!(rsa(2048, &[3]).is_ok());
        assert!(rsa(2048, &[1; 8]).is_ok());
        assert_eq!(rsa(2048, &[1; 9]), Err(Malformed::BadValue));
        assert_eq!(rsa(2048, &[]), Err(Malformed::BadValue));
    }

    #[test]
    fn an_rsa_number_with_a_needless_zero_byte_is_refused() {
        let blob = |n: &[u8]| {
            Writer::new()
                .string("ssh-rsa")
                .string([3])
                .string(n)
                .finish()
        };
        let n = modulus(2048);
        let signed = [&[0][..], &n].concat();
        assert!(PublicKey::parse(&blob(&signed)).is_ok());
        // Without its sign byte the number is negative, with two it is not minimal.
        assert_eq!(PublicKey::parse(&blob(&n)), Err(Malformed::BadValue));
        let padded = [&[0][..], &signed].concat();
        assert_eq!(PublicKey::parse(&blob(&padded)), Err(Malformed::BadValue));
    }

    #[test]
    fn points_have_one_form_and_one_length() {
        let edwards = |length| {
            PublicKey::parse(
                &Writer::new()
                    .string("ssh-ed25519")
                    .string(vec![1; length])
                    .finish(),
            )
        };
        assert!(edwards(32).is_ok());
        assert_eq!(edwards(31), Err(Malformed::BadValue));
        assert_eq!(edwards(33), Err(Malformed::BadValue));
        let nist = |curve: &str, form: u8, length: usize| {
            let mut point = vec![1; length];
            point[0] = form;
            let name = std::format!("ecdsa-sha2-{curve}");
            PublicKey::parse(
                &Writer::new()
                    .string(name)
                    .string(curve)
                    .string(point)
                    .finish(),
            )
        };
        for (curve, length) in [("nistp256", 65), ("nistp384", 97), ("nistp521", 133)] {
            assert!(nist(curve, 4, length).is_ok());
            assert_eq!(nist(curve, 4, length - 1), Err(Malformed::BadValue));
            assert_eq!(nist(curve, 4, length + 1), Err(Malformed::BadValue));
            assert_eq!(nist(curve, 2, length), Err(Malformed::BadValue));
            assert_eq!(nist(curve, 2, length / 2 + 1), Err(Malformed::BadValue));
        }
    }

    #[test]
    fn a_curve_under_the_name_of_another_is_refused() {
        let blob = |name: &str| {
            let mut point = vec![1; 65];
            point[0] = 4;
            Writer::new()
                .string("ecdsa-sha2-nistp256")
                .string(name)
                .string(point)
                .finish()
        };
        assert!(PublicKey::parse(&blob("nistp256")).is_ok());
        assert_eq!(
            PublicKey::parse(&blob("nistp384")),
            Err(Malformed::BadValue)
        );
    }

    /// A certificate with an arbitrary kind, list of principals and authority, signature and all.
    fn certificate(kind: u32, principals: &[u8], authority: &[u8]) -> Vec<u8> {
        Writer::new()
            .string("ssh-ed25519-cert-v01@openssh.com")
            .string("nonce")
            .string([1; 32])
            .u64(1)
            .u32(kind)
            .string("id")
            .string(principals)
            .u64(0)
            .u64(u64::MAX)
            .string("")
            .string("")
            .string("")
            .string(authority)
            .string("signature")
            .finish()
    }

    #[test]
    fn a_certificate_by_a_plain_key_is_parsed_and_one_by_a_certificate_is_refused() {
        let plain = Writer::new().string("ssh-ed25519").string([2; 32]).finish();
        let certified = certificate(1, b"", &plain);
        assert!(PublicKey::parse(&certified).is_ok());
        let nested = certificate(1, b"", &certified);
        assert_eq!(PublicKey::parse(&nested), Err(Malformed::BadValue));
        assert_eq!(
            PublicKey::parse(&certificate(1, b"", &nested)),
            Err(Malformed::BadValue)
        );
    }

    #[test]
    fn a_certificate_is_for_a_user_or_a_host_and_lists_whole_names() {
        let authority = Writer::new().string("ssh-ed25519").string([2; 32]).finish();
        let parse = |kind, names: &[u8]| PublicKey::parse(&certificate(kind, names, &authority));
        let names = Writer::new().string("root").string("").finish();
        for kind in [1, 2] {
            assert_eq!(
                parse(kind, &names)
                    .unwrap()
                    .certificate()
                    .unwrap()
                    .body
                    .principals,
                [b"root".to_vec(), Vec::new()]
            );
        }
        assert_eq!(parse(0, &names), Err(Malformed::BadValue));
        assert_eq!(parse(3, &names), Err(Malformed::BadValue));
        assert_eq!(
            parse(1, &names[..names.len() - 1]),
            Err(Malformed::Truncated)
        );
        assert_eq!(
            parse(1, &[&names[..], &[0]].concat()),
            Err(Malformed::Truncated)
        );
    }

    #[test]
    fn the_bytes_under_a_certificates_signature_end_before_it() {
        let authority = Writer::new().string("ssh-ed25519").string([2; 32]).finish();
        let blob = certificate(2, b"", &authority);
        let key = PublicKey::parse(&blob).unwrap();
        let certificate = key.certificate().unwrap();
        assert_eq!(certificate.signature, b"signature");
        let whole = Writer::new()
            .bytes(&certificate.to_be_signed)
            .string(b"signature")
            .finish();
        assert_eq!(whole, blob);
    }

    #[test]
    fn types_nobody_should_use_any_more_are_unknown() {
        for name in [
            "ssh-dss",
            "ssh-rsa1",
            "ssh-ed448",
            "ssh-rsa-cert-v00@openssh.com",
            "",
        ] {
            let blob = Writer::new().string(name).string([1; 32]).finish();
            assert_eq!(PublicKey::parse(&blob), Err(Malformed::Unknown), "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_parsed_is_written_back(blob in any_length(any::<u8>(), 0..300), at in 0..7_usize) {
            let named = Writer::new().string(Algorithm::ALL[at].name()).bytes(&blob).finish();
            for bytes in [blob, named] {
                if let Ok(key) = PublicKey::parse(&bytes) {
                    assert_eq!(key.blob(), bytes);
                    assert_eq!(PublicKey::from_data(key.data().clone()), Ok(key.clone()));
                    assert_eq!(PublicKey::from_line(&key.to_line()), Ok((key, "")));
                }
            }
        }

        #[test]
        fn any_line_is_read_or_refused(line in ".{0,200}") {
            if let Ok((key, comment)) = PublicKey::from_line(&line) {
                assert!(line.starts_with(key.blob_type()) && line.ends_with(comment));
            }
        }
    }
}
