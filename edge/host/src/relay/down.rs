//! Why there is no connection to the relay.

use tokio_tungstenite::tungstenite;
use vmux_proto::mailbox::CloseReason;

/// Why a connection did not come to be or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// The host has no address, or none of them answers.
    #[error("the relay cannot be reached: {0}")]
    Unreachable(String),
    /// Connecting took too long.
    #[error("the relay does not answer")]
    TookTooLong,
    /// Its certificate is not accepted, or encryption failed otherwise.
    #[error("no encrypted connection to the relay: {0}")]
    Tls(String),
    /// This processor lacks what the encryption needs.
    #[error("this processor is too old for encrypted connections (wss)")]
    ProcessorTooOld,
    /// The server answered with an HTTP status instead of a connection.
    #[error("the relay's address answers with HTTP status {0}")]
    Status(u16),
    /// The server does not speak WebSocket.
    #[error("what answers at the relay's address is not a relay")]
    NotARelay,
    /// The relay closed the connection and said why.
    #[error("the relay closed the connection: {}", .0.name())]
    Closed(CloseReason),
    /// The connection ended.
    #[error("the connection to the relay was lost")]
    Lost,
    /// Nothing was heard for too long.
    #[error("the relay went silent")]
    Silent,
    /// Nothing could be sent for too long.
    #[error("the relay stopped reading")]
    Stuck,
    /// The relay said what no relay says.
    #[error("the relay broke the rules")]
    BadWords,
    /// A reset was asked for.
    #[error("connecting anew")]
    Reset,
}

impl DownReason {
    /// What the person can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::TookTooLong => {
                "check the network and the relay's address; it is tried again by itself"
            }
            Self::Tls(_) => {
                "check the date of this computer and the relay's certificate; a private authority \
                 must be named in the configuration"
            }
            Self::ProcessorTooOld => {
                "use a relay on this computer (ws://127.0.0.1), or put a TLS proxy in front"
            }
            Self::Status(404) | Self::NotARelay => "check the relay's address and version",
            Self::Status(_) => "look at the relay's log; it is tried again by itself",
            Self::Closed(reason) => reason.hint(),
            Self::BadWords => "both ends and the relay need matching versions",
            Self::Lost | Self::Silent | Self::Stuck | Self::Reset => {
                "the connection is made again by itself"
            }
        }
    }

    /// Whether trying again at once would only get the same answer.
    pub(super) const fn is_lasting(&self) -> bool {
        match self {
            Self::ProcessorTooOld | Self::NotARelay | Self::Status(_) | Self::BadWords => true,
            Self::Closed(reason) => match reason {
                // Two programs on one seat, above all, would throw each other out for ever.
                CloseReason::Replaced
                | CloseReason::Full
                | CloseReason::TooMany
                | CloseReason::TooBig
                | CloseReason::BadFrame => true,
                CloseReason::Idle | CloseReason::Slow | CloseReason::Shutdown => false,
            },
            Self::Unreachable(_)
            | Self::TookTooLong
            | Self::Tls(_)
            | Self::Lost
            | Self::Silent
            | Self::Stuck
            | Self::Reset => false,
        }
    }

    /// What an error on an open connection means.
    pub(super) fn of_open(error: &tungstenite::Error) -> Self {
        use tungstenite::error::ProtocolError;
        match error {
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Lost,
            tungstenite::Error::Capacity(_)
            | tungstenite::Error::Protocol(_)
            | tungstenite::Error::Utf8(_)
            | tungstenite::Error::AttackAttempt => Self::BadWords,
            _ => Self::Lost,
        }
    }

    /// What an error while the connection is being opened means.
    pub(super) fn of_opening(error: &tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Http(response) => Self::Status(response.status().as_u16()),
            tungstenite::Error::Io(cause) => Self::Unreachable(cause.to_string()),
            _ => Self::NotARelay,
        }
    }
}
