//! Whose certificates a relay may show: those of the authorities browsers know, and what the person
//! adds for a relay of their own.
//!
//! The cryptography of TLS needs no C compiler on any target but a processor with certain
//! instructions, which is asked before the first use instead of dying at it.

use core::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::DownReason;

/// The authorities that may vouch for a relay.
#[derive(Clone, Default)]
pub struct Trust {
    own: Vec<CertificateDer<'static>>,
}

/// A file of authorities that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no usable certificate authority in PEM form")]
pub struct BadAuthorities;

impl Trust {
    /// The authorities browsers know.
    pub fn web() -> Self {
        Self::default()
    }

    /// These and the ones in `pem`, of which every one must be usable.
    pub fn with_authorities(mut self, pem: &[u8]) -> Result<Self, BadAuthorities> {
        let before = self.own.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| BadAuthorities)?;
            RootCertStore::empty()
                .add(certificate.clone())
                .map_err(|_| BadAuthorities)?;
            self.own.push(certificate);
        }
        if self.own.len() == before {
            Err(BadAuthorities)
        } else {
            Ok(self)
        }
    }

    pub(super) fn client(&self, processor: Processor) -> Result<Arc<ClientConfig>, DownReason> {
        match processor {
            Processor::TooOld => return Err(DownReason::ProcessorTooOld),
            Processor::Able => {}
        }
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in &self.own {
            roots
                .add(certificate.clone())
                .map_err(|e| DownReason::Tls(e.to_string()))?;
        }
        let provider = Arc::new(rustls_graviola::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| DownReason::Tls(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A proxy that prefers HTTP/2 must not choose it: WebSocket begins with HTTP/1.1 here.
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(client))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("own", &self.own.len())
            .finish()
    }
}

/// What this processor can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processor {
    TooOld,
    Able,
}

impl Processor {
    pub(super) fn this() -> Self {
        if graviola::util::is_cpu_supported() {
            Self::Able
        } else {
            Self::TooOld
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTHORITY: &[u8] = include_bytes!("../../tests/tls/authority.pem");
    const KEY: &[u8] = include_bytes!("../../tests/tls/localhost.key.pem");

    #[test]
    fn an_old_processor_is_an_error_and_no_crash() {
        let refused = Trust::web().client(Processor::TooOld).err();
        assert_eq!(refused, Some(DownReason::ProcessorTooOld));
        Trust::web().client(Processor::Able).unwrap();
    }

    #[test]
    fn authorities_are_added_and_what_is_none_is_refused() {
        let trust = Trust::web().with_authorities(AUTHORITY).unwrap();
        assert_eq!(trust.own.len(), 1);
        trust.client(Processor::Able).unwrap();
        let truncated = &AUTHORITY[..AUTHORITY.len() / 2];
        for bad in [&b""[..], b"text", KEY, truncated] {
            assert_eq!(
                Trust::web().with_authorities(bad).err(),
                Some(BadAuthorities)
            );
        }
        let then_bad = [AUTHORITY, truncated].concat();
        assert_eq!(
            Trust::web().with_authorities(&then_bad).err(),
            Some(BadAuthorities)
        );
    }
}
