//! The paired phones, in the order of their pairing.
use crate::phone::{Phone, PhoneRecord};
use alloc::format;
use alloc::vec::Vec;
use vmux_link::LinkId;
use vmux_proto::Untrusted;
use vmux_proto::key::PublicKey;

/// All paired phones.
#[derive(Debug)]
pub(crate) struct Phones(Vec<Phone>);

impl Phones {
    pub(crate) fn new(records: Vec<PhoneRecord>) -> Self {
        Self(records.into_iter().map(Phone::new).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Phone> {
        self.0.iter()
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Phone> {
        self.0.iter().find(|phone| phone.record.id() == link)
    }

    pub(crate) fn get_mut(&mut self, link: LinkId) -> Option<&mut Phone> {
        self.0.iter_mut().find(|phone| phone.record.id() == link)
    }

    /// Changes a phone, if it is paired.
    pub(crate) fn change(&mut self, link: LinkId, change: impl FnOnce(&mut Phone)) {
        if let Some(phone) = self.get_mut(link) {
            change(phone);
        }
    }

    /// Whether the person said on a phone that a request was not theirs.
    pub(crate) fn is_suspended(&self) -> bool {
        self.0.iter().any(|phone| phone.record.suspended)
    }

    /// What a phone calls itself.
    pub(crate) fn name(&self, link: LinkId) -> Untrusted {
        self.get(link)
            .map(|phone| phone.record.name.clone())
            .unwrap_or_default()
    }

    pub(crate) fn add(&mut self, record: PhoneRecord) {
        self.0.push(Phone::new(record));
    }

    pub(crate) fn remove(&mut self, link: LinkId) {
        self.0.retain(|phone| phone.record.id() != link);
    }

    /// Who is asked for a signature of `key`, the key as the phone has it, and its label. Of several
    /// that hold it a connected one, of several such the one that was paired first: a phone cannot
    /// draw another's requests to itself by naming its key.
    pub(crate) fn holder(&self, key: &PublicKey) -> Option<(&Phone, &PublicKey, &Untrusted)> {
        let connected = self.0.iter().filter(|phone| phone.is_open());
        connected.chain(&self.0).find_map(|phone| {
            let mut held = phone.record.identities.iter();
            let (own, label) = held.find(|(own, _)| own.same_key(key))?;
            Some((phone, own, label))
        })
    }

    /// What every client is shown: key blob and comment, each key once.
    pub(crate) fn listed(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut listed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (key, label) in self.0.iter().flat_map(|phone| &phone.record.identities) {
            if !listed.iter().any(|(blob, _)| blob == key.blob()) {
                // Escaped: the label ends up in somebody's terminal.
                listed.push((key.blob().to_vec(), format!("{label}").into_bytes()));
            }
        }
        listed
    }
}
