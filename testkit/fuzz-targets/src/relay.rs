//! The relay's words, and where a relay is.
use vmux_host::relay::RelayAddress;
use vmux_proto::mailbox::{Control, MAX_SEALED, MailboxId, Seat, frame, split};

/// Paths, text messages and binary frames: each has one spelling.
pub fn mailbox(data: &[u8]) {
    if let Ok((meeting, sealed)) = split(data) {
        assert!(sealed.len() <= MAX_SEALED);
        assert_eq!(frame(meeting, sealed).as_deref(), Ok(data));
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Ok(seat) = Seat::parse(text) {
        assert_eq!(seat.path(), text);
    }
    if let Ok(control) = Control::parse(text) {
        assert_eq!(control.encode(), text);
    }
    if let Ok(mailbox) = MailboxId::parse(text) {
        assert_eq!(mailbox.to_text(), text);
        assert!(!format!("{mailbox:?}").contains(text), "ids are not shown");
    }
}

/// An address, as a person writes it into a configuration.
pub fn relay_address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(address) = RelayAddress::parse(text) else {
        return;
    };
    for written in [address.to_string(), address.http_origin()] {
        assert_eq!(RelayAddress::parse(&written).as_ref(), Ok(&address));
        assert!(written.is_ascii());
    }
    let is_encrypted = address.to_string().starts_with("wss://");
    assert_eq!(address.is_encrypted(), is_encrypted);
}
