//! What a signer stores, as bytes.
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteSlice, ByteVec};
use minicbor::{Decode, Encode};
use vmux_link::{Bond, LinkId};
use vmux_proto::Untrusted;
use zeroize::{Zeroize as _, Zeroizing};

/// Stored bytes that do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is damaged")]
pub struct RecordDamaged;

/// One paired agent.
#[derive(Debug)]
pub struct AgentRecord {
    /// What the workstation called itself when it was paired.
    pub name: Untrusted,
    /// Address of the relay where both meet.
    pub relay: String,
    /// When it was paired, in seconds since 1970.
    pub paired: u64,
    /// The link's keys.
    pub bond: Bond,
    /// Whether the person said that a request was not theirs, and has not allowed it to ask since.
    pub suspended: bool,
}

impl AgentRecord {
    /// The link's name.
    pub fn id(&self) -> LinkId {
        self.bond.id()
    }

    /// For the state file; holds secrets.
    pub fn list_to_bytes<'a>(records: impl IntoIterator<Item = &'a Self>) -> Zeroizing<Vec<u8>> {
        let mut stored: Vec<Stored> = records
            .into_iter()
            .map(|record| Stored {
                name: record.name.raw().into(),
                relay: record.relay.clone(),
                paired: record.paired,
                bond: ByteVec::from(record.bond.to_bytes().to_vec()),
                suspended: record.suspended.then_some(true),
            })
            .collect();
        // Room for all of it at once: growing would leave copies of the secrets behind.
        let texts = stored
            .iter()
            .map(|entry| entry.name.len().saturating_add(entry.relay.len()));
        let lengths = texts.map(|text| text.saturating_add(Bond::SIZE + HEADERS));
        let room = lengths.fold(HEADERS, usize::saturating_add);
        let bytes = Zeroizing::new(encode_onto(Vec::with_capacity(room), &stored));
        debug_assert!(bytes.len() <= room, "the bytes have moved");
        for entry in &mut stored {
            entry.bond.zeroize();
        }
        bytes
    }

    /// Reads what [`Self::list_to_bytes`] wrote.
    pub fn list_from_bytes(bytes: &[u8]) -> Result<Vec<Self>, RecordDamaged> {
        let stored: Vec<BorrowedStored<'_>> = decode(bytes)?;
        stored
            .into_iter()
            .map(|entry| {
                let bond = Bond::from_bytes(entry.bond).ok_or(RecordDamaged)?;
                Ok(Self {
                    name: Untrusted::new(entry.name),
                    relay: entry.relay.into(),
                    paired: entry.paired,
                    bond,
                    suspended: entry.suspended.unwrap_or_default(),
                })
            })
            .collect()
    }
}

#[derive(Encode)]
struct Stored {
    #[n(0)]
    name: String,
    #[n(1)]
    relay: String,
    #[n(2)]
    paired: u64,
    #[n(3)]
    bond: ByteVec,
    #[n(4)]
    suspended: Option<bool>,
}

/// Borrows, so that reading leaves no copy of the secrets behind.
#[derive(Decode)]
struct BorrowedStored<'b> {
    #[b(0)]
    name: &'b str,
    #[b(1)]
    relay: &'b str,
    #[n(2)]
    paired: u64,
    #[b(3)]
    bond: &'b ByteSlice,
    #[n(4)]
    suspended: Option<bool>,
}

/// More than CBOR puts before the list, or before an entry and its fields.
const HEADERS: usize = 64;

/// CBOR of our own types; writing to memory cannot fail.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    encode_onto(Vec::new(), value)
}

fn encode_onto<T: Encode<()>>(mut bytes: Vec<u8>, value: &T) -> Vec<u8> {
    if minicbor::encode(value, &mut bytes).is_err() {
        // An empty record does not decode: the impossible case is noticed at the next start.
        bytes.clear();
    }
    bytes
}

pub(crate) fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, RecordDamaged> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|_| RecordDamaged)?;
    if decoder.position() == bytes.len() {
        Ok(value)
    } else {
        Err(RecordDamaged)
    }
}
