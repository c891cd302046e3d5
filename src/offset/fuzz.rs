//! Offsets as clients give them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{BadOffset, EpochKey, Offset, codec};
use crate::fuzz::{self, answer};

const KEY: EpochKey = EpochKey::of(7);

#[test]
fn no_offset_panics() {
    fuzz::run(
        "offset",
        include_str!("../fuzz/corpus/offsets.txt"),
        &["\u{0}", "\u{7f}", "A", "_"],
        |input| {
            // As a stranger may send it, and with the tag that a stranger can't make.
            let tagged = [input, &codec::tag(KEY, input)].concat();
            let texts = [
                String::from_utf8_lossy(input).into_owned(),
                URL_SAFE_NO_PAD.encode(tagged),
            ];
            let read = texts.map(|text| match Offset::unpack(&text, KEY) {
                Ok(offset) => {
                    let again = Offset::unpack(&offset.pack(), KEY);
                    assert_eq!(again.as_ref(), Ok(&offset), "{text}");
                    (0, offset.joining_room.is_some())
                }
                Err(BadOffset::Malformed) => (1, false),
                Err(BadOffset::Foreign) => (2, false),
            });
            answer((read, input.len().min(300)))
        },
    );
}
