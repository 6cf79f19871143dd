//! What agent and signer say to each other.
use std::fmt::Debug;

use vmux_link::MAX_MESSAGE;
use vmux_proto::message::{Hello, Message, Number, PairingStep, ToAgent, ToSigner};
use vmux_proto::untrusted::is_visible;
use vmux_proto::{Malformed, Untrusted};
use vmux_signer::{LinkId, PinName};

/// The first byte says which message, the others are it.
pub fn message(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => comes_back::<Hello>(bytes),
        1 => comes_back::<PairingStep>(bytes),
        2 => comes_back::<ToSigner>(bytes),
        _ => comes_back::<ToAgent>(bytes),
    }
}

fn comes_back<M: Message + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = M::from_bytes(bytes) else {
        return;
    };
    assert!(message.within_limits());
    let written = message.to_bytes();
    assert_eq!(M::from_bytes(&written).as_ref(), Ok(&message));
    let longer = [&written[..], &[0]].concat();
    assert_eq!(M::from_bytes(&longer).err(), Some(Malformed::Trailing));
    assert!(M::from_bytes(&written[..written.len() - 1]).is_err());
    assert!(
        written.len() <= 3 * MAX_MESSAGE,
        "the limits of the fields bound the whole"
    );
}

/// Words that people and programs write: numbers, names of links and pins.
pub fn words(data: &[u8]) {
    let shown = Untrusted::from_bytes(data).to_string();
    assert!(shown.chars().all(is_visible));
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    assert_eq!(Untrusted::new(text).raw(), text);
    if let Some(number) = Number::parse(text) {
        assert_eq!(number.to_string(), text.trim());
    }
    if let Some(link) = LinkId::parse(text) {
        assert_eq!(link.to_string(), text);
    }
    if let Ok(name) = PinName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert_eq!(Untrusted::new(text).to_string(), text, "nothing is hidden");
    }
}
