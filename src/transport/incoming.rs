//! What a client sends on a WebSocket: frames in, whole messages out (RFC 6455, section 5). No I/O.
//!
//! Why it exists: the engine ends a connection on a frame that it can't accept, and does not say why. Here such a frame yields
//! the code of the close frame that the client is due (RFC 6455, section 7.4.1).
//! Guarantees that what comes out is whole, unmasked, within the limit, and valid UTF-8 where it is text.

use std::borrow::Cow;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use tokio::time::Instant;

use super::client_packet::ClientPackets;
use super::close_code::CloseCode;
use crate::metrics::Metrics;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// The longest frame that the engine is given.
const MAX_FRAME_BYTES: usize = 4096;
/// The longest payload of a control frame.
const MAX_CONTROL_BYTES: u64 = 125;

/// A whole message, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Valid UTF-8.
    Text(Bytes),
    Binary(Bytes),
    Close(Bytes),
    Ping(Bytes),
    Pong(Bytes),
}

/// The frames of one client, put together.
pub(super) struct Incoming {
    max_bytes: usize,
    packets: ClientPackets,
    metrics: Metrics,
    /// Bytes that are not yet a whole frame.
    unread: BytesMut,
    /// The fragments so far, and what kind of message they are.
    fragments: Option<(u8, BytesMut)>,
}

/// The first bytes of a frame.
struct Header {
    is_final: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Of the header itself.
    length: usize,
    payload: u64,
}

impl Incoming {
    /// Takes messages of at most `max_bytes`, with these `packets` in them.
    pub(super) fn new(max_bytes: usize, packets: ClientPackets, metrics: Metrics) -> Self {
        Self {
            max_bytes,
            packets,
            metrics,
            unread: BytesMut::new(),
            fragments: None,
        }
    }

    /// Adds bytes that the client has sent.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.put_slice(bytes);
    }

    /// The next message; `None` if more bytes are needed for one.
    ///
    /// # Errors
    /// The client sent what it may not: the connection must be closed, and nothing that follows can be understood.
    pub(super) fn next(&mut self) -> Result<Option<Message>, CloseCode> {
        loop {
            let Some(header) = Header::parse(&self.unread)? else {
                return Ok(None);
            };
            self.check(&header)?;
            // It fits: `check` has compared it with the limit.
            let payload = header.payload as usize;
            if self.unread.len() - header.length < payload {
                return Ok(None);
            }
            self.unread.advance(header.length);
            let mut payload = self.unread.split_to(payload);
            if self.unread.is_empty() {
                // An idle connection holds no buffer.
                self.unread = BytesMut::new();
            }
            for (index, byte) in payload.iter_mut().enumerate() {
                *byte ^= header.mask[index % 4];
            }
            if let Some(message) = self.accept(&header, payload)? {
                return Ok(Some(message));
            }
        }
    }

    /// The message as the engine gets it; `None`: it does not.
    ///
    /// # Errors
    /// As [`Incoming::next`].
    pub(super) fn pass(&mut self, message: Message) -> Result<Option<Message>, CloseCode> {
        let text = match &message {
            Message::Text(text) => std::str::from_utf8(text).map_err(|_| CloseCode::InvalidText)?,
            Message::Binary(_) => return self.packets.attachment().map(|()| None),
            Message::Close(_) | Message::Ping(_) | Message::Pong(_) => return Ok(Some(message)),
        };
        let read = self.packets.text(text, Instant::now());
        let read = read.inspect_err(|code| code.count(&self.metrics))?;
        Ok(match read {
            Some(Cow::Borrowed(_)) => Some(message),
            Some(Cow::Owned(changed)) => Some(Message::Text(changed.into())),
            None => None,
        })
    }

    /// Whether a frame with this header may come now.
    fn check(&self, header: &Header) -> Result<(), CloseCode> {
        let fragmented = self.fragments.as_ref().map(|(_, so_far)| so_far.len());
        let allowed = match header.opcode {
            CONTINUATION => fragmented.is_some(),
            TEXT | BINARY => fragmented.is_none(),
            CLOSE | PING | PONG => header.is_final && header.payload <= MAX_CONTROL_BYTES,
            _ => false,
        };
        if !allowed {
            return Err(CloseCode::ProtocolError);
        }
        let is_control = matches!(header.opcode, CLOSE | PING | PONG);
        let whole = header
            .payload
            .saturating_add(fragmented.unwrap_or_default() as u64);
        if !is_control && whole > self.max_bytes as u64 {
            CloseCode::TooBig.count(&self.metrics);
            return Err(CloseCode::TooBig);
        }
        Ok(())
    }

    /// The message that a frame completes.
    fn accept(&mut self, header: &Header, payload: BytesMut) -> Result<Option<Message>, CloseCode> {
        match header.opcode {
            PING => return Ok(Some(Message::Ping(payload.freeze()))),
            PONG => return Ok(Some(Message::Pong(payload.freeze()))),
            CLOSE => return close(payload.freeze()).map(Some),
            _ => {}
        }
        let (kind, whole) = match self.fragments.take() {
            None => (header.opcode, payload),
            Some((kind, mut so_far)) => {
                so_far.unsplit(payload);
                (kind, so_far)
            }
        };
        if !header.is_final {
            self.fragments = Some((kind, whole));
            return Ok(None);
        }
        if kind == BINARY {
            return Ok(Some(Message::Binary(whole.freeze())));
        }
        match std::str::from_utf8(&whole) {
            Ok(_) => Ok(Some(Message::Text(whole.freeze()))),
            Err(_) => Err(CloseCode::InvalidText),
        }
    }
}

/// A close frame with a valid payload: nothing, or a code and a reason (RFC 6455, section 5.5.1).
fn close(payload: Bytes) -> Result<Message, CloseCode> {
    if let Some((code, reason)) = payload.split_first_chunk::<2>() {
        let code = u16::from_be_bytes(*code);
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(CloseCode::ProtocolError);
        }
        std::str::from_utf8(reason).map_err(|_| CloseCode::InvalidText)?;
    } else if !payload.is_empty() {
        return Err(CloseCode::ProtocolError);
    }
    Ok(Message::Close(payload))
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, CloseCode> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        // Nothing was agreed that would use the reserved bits, and a client masks whatever it sends (section 5.1).
        if first & RESERVED != 0 || second & MASKED == 0 {
            return Err(CloseCode::ProtocolError);
        }
        let (payload, size) = match second & !MASKED {
            126 => match rest.split_first_chunk::<2>() {
                Some((size, _)) => (u64::from(u16::from_be_bytes(*size)), 2),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((size, _)) => (u64::from_be_bytes(*size), 8),
                None => return Ok(None),
            },
            short => (u64::from(short), 0),
        };
        let Some((mask, _)) = rest[size..].split_first_chunk::<4>() else {
            return Ok(None);
        };
        Ok(Some(Self {
            is_final: first & FINAL != 0,
            opcode: first & 0x0f,
            mask: *mask,
            length: 2 + size + 4,
            payload,
        }))
    }
}

impl Message {
    /// The message as a client sends it, for the engine to read. In short frames, because the engine keeps a buffer for the longest
    /// one that it has read for as long as the connection lives.
    pub(super) fn to_client_frames(&self) -> Bytes {
        let (mut opcode, payload) = match self {
            Self::Text(payload) => (TEXT, payload),
            Self::Binary(payload) => (BINARY, payload),
            Self::Close(payload) => (CLOSE, payload),
            Self::Ping(payload) => (PING, payload),
            Self::Pong(payload) => (PONG, payload),
        };
        let count = payload.len().div_ceil(MAX_FRAME_BYTES).max(1);
        let mut frames = BytesMut::with_capacity(payload.len() + count * 8);
        let mut rest = &payload[..];
        for left in (0..count).rev() {
            let (part, after) = rest.split_at(rest.len().min(MAX_FRAME_BYTES));
            rest = after;
            frames.put_u8(if left == 0 { FINAL | opcode } else { opcode });
            opcode = CONTINUATION;
            match part.len() {
                short @ 0..=125 => frames.put_u8(MASKED | short as u8),
                medium => {
                    frames.put_u8(MASKED | 126);
                    frames.put_u16(medium as u16);
                }
            }
            // A mask of zeros: the bytes stay as they are.
            frames.put_u32(0);
            frames.put_slice(part);
        }
        frames.freeze()
    }
}

#[cfg(test)]
mod tests;
