//! Padding to size classes, so that a frame's length says little about the message in it.
//!
//! A padded text is the message's length (u32, big-endian), the message, and zeros up to the
//! smallest class that holds both. A text in a larger class than needed, or with anything but
//! zeros at its end, is no padded text: each message has one form.

use alloc::vec;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::limits::LENGTH_PREFIX;

/// Pads `message` to the smallest of `classes`; `None` if it fits none.
pub(crate) fn pad(message: &[u8], classes: &[usize]) -> Option<Zeroizing<Vec<u8>>> {
    let class = class_for(message.len(), classes)?;
    let mut text = Zeroizing::new(vec![0; class]);
    let (length, rest) = text.split_first_chunk_mut::<LENGTH_PREFIX>()?;
    *length = u32::try_from(message.len()).ok()?.to_be_bytes();
    rest.get_mut(..message.len())?.copy_from_slice(message);
    Some(text)
}

/// Takes the message out of a padded text; `None` if it is not exactly what [`pad`] makes.
pub(crate) fn unpad(text: &[u8], classes: &[usize]) -> Option<Vec<u8>> {
    let (length, rest) = text.split_first_chunk::<LENGTH_PREFIX>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (message, padding) = rest.split_at_checked(length)?;
    let canonical = class_for(length, classes) == Some(text.len());
    (canonical && padding.iter().all(|byte| *byte == 0)).then(|| message.to_vec())
}

/// The class of a sealed text, if `sealed` bytes with `overhead` can be one.
pub(crate) fn class_of(sealed: usize, overhead: usize, classes: &[usize]) -> Option<usize> {
    let class = sealed.checked_sub(overhead)?;
    classes.contains(&class).then_some(class)
}

fn class_for(length: usize, classes: &[usize]) -> Option<usize> {
    let needed = length.checked_add(LENGTH_PREFIX)?;
    classes.iter().copied().find(|class| needed <= *class)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [usize; 2] = [8, 16];

    #[test]
    fn a_message_that_just_fits_stays_in_its_class() {
        assert_eq!(*pad(b"four", &CLASSES).unwrap(), b"\0\0\0\x04four");
    }

    #[test]
    fn a_message_one_byte_longer_takes_the_next_class() {
        assert_eq!(
            *pad(b"fives", &CLASSES).unwrap(),
            b"\0\0\0\x05fives\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn a_message_longer_than_every_class_is_refused() {
        assert!(pad(&[1; 12], &CLASSES).is_some());
        assert!(pad(&[1; 13], &CLASSES).is_none());
    }

    #[test]
    fn an_empty_message_comes_back() {
        let text = pad(b"", &CLASSES).unwrap();
        assert_eq!(unpad(&text, &CLASSES).unwrap(), b"");
    }

    #[test]
    fn padding_of_zeros_is_accepted() {
        assert_eq!(unpad(b"\0\0\0\x02ab\0\0", &CLASSES).unwrap(), b"ab");
    }

    #[test]
    fn padding_with_one_bit_set_is_refused() {
        assert!(unpad(b"\0\0\0\x02ab\0\x01", &CLASSES).is_none());
        assert!(unpad(b"\0\0\0\x02ab\x80\0", &CLASSES).is_none());
    }

    #[test]
    fn a_length_up_to_the_end_is_accepted() {
        assert_eq!(unpad(b"\0\0\0\x04abcd", &CLASSES).unwrap(), b"abcd");
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert!(unpad(b"\0\0\0\x05abcd", &CLASSES).is_none());
        assert!(unpad(b"\xff\xff\xff\xffabcd", &CLASSES).is_none());
    }

    #[test]
    fn a_larger_class_than_needed_is_refused() {
        assert!(unpad(b"\0\0\0\x04abcd\0\0\0\0\0\0\0\0", &CLASSES).is_none());
        assert!(unpad(b"\0\0\0\x05abcde\0\0\0\0\0\0\0", &CLASSES).is_some());
    }

    #[test]
    fn a_text_without_room_for_its_length_is_refused() {
        assert!(unpad(b"\0\0\0", &CLASSES).is_none());
    }

    #[test]
    fn only_the_lengths_of_classes_have_one() {
        assert_eq!(class_of(24, 16, &CLASSES), Some(8));
        assert_eq!(class_of(25, 16, &CLASSES), None);
        assert_eq!(class_of(23, 16, &CLASSES), None);
        assert_eq!(class_of(15, 16, &CLASSES), None);
    }
}
