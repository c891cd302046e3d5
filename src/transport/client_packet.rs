//! A client's packets on their way to the engine: what is changed in them, and what does not get there. No I/O.
//!
//! Why it exists:
//! - socketioxide keeps the binary attachments of an event in memory, also before the client is connected, and no event of ours
//!   has any. So they are dropped here, and the event becomes one that is refused.
//! - It answers each CONNECT to a namespace that there is not, and repeats the namespace's name, whatever its length.
//! - A packet that opens or leaves a namespace costs us more than an event, and would give the client a fresh allowance of events.
//! - It reads the name of an event as a slice of the packet, and closes the connection if that can't be done: if the name holds
//!   a JSON escape, or is a number. Such a name is written anew, so that the event is answered.

use std::borrow::Cow;

use serde_json::Number;
use tokio::time::Instant;

use super::close_code::CloseCode;
use crate::event::name;

/// Between the packets of a POST (Engine.IO protocol v4, "HTTP long-polling").
const PACKET_SEPARATOR: char = '\u{1e}';

/// Engine.IO's CLOSE packet.
const CLOSE: &str = "1";

/// The longest name of a namespace that is answered. There is but the main one.
const MAX_NAMESPACE_BYTES: usize = 128;

/// The packets of one engine session.
pub(super) struct ClientPackets {
    /// Binary attachments that are still to come, all of which are dropped.
    attachments_due: u64,
    /// How many packets that open or leave a namespace may come at once. A tenth of them may come each second.
    rate: f64,
    tokens: f64,
    filled: Instant,
}

/// The parts of a Socket.IO packet (protocol v5, "Packet encoding"): `4<kind>[<attachments>-][<namespace>,][<ack>][JSON]`.
struct Parts<'a> {
    kind: u8,
    attachments: Option<u64>,
    /// With the slash. The main one has no name.
    namespace: Option<&'a str>,
    /// The number of the ack, and the JSON.
    rest: &'a str,
}

/// Whether the body of a POST ends the engine session (Engine.IO protocol v4, "Disconnection").
pub(super) fn closes(body: &str) -> bool {
    body.split(PACKET_SEPARATOR).any(|packet| packet == CLOSE)
}

impl ClientPackets {
    /// Takes `rate` CONNECT and DISCONNECT packets at once.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            attachments_due: 0,
            rate: rate.into(),
            tokens: rate.into(),
            filled: Instant::now(),
        }
    }

    /// The packet as the engine gets it; `None`: it does not.
    ///
    /// # Errors
    /// The client may not send this.
    pub(super) fn text<'a>(
        &mut self,
        packet: &'a str,
        now: Instant,
    ) -> Result<Option<Cow<'a, str>>, CloseCode> {
        let Some(parts) = Parts::of(packet) else {
            return Ok(Some(Cow::Borrowed(packet)));
        };
        if parts
            .namespace
            .is_some_and(|namespace| namespace.len() > MAX_NAMESPACE_BYTES)
        {
            return Err(CloseCode::TooBig);
        }
        let is_event = matches!(parts.kind, b'2' | b'5');
        if (matches!(parts.kind, b'0' | b'1') || parts.namespace.is_some()) && !self.take_token(now)
        {
            return Err(CloseCode::Policy);
        }
        match parts.attachments {
            Some(attachments) => {
                self.attachments_due = self.attachments_due.saturating_add(attachments);
                Ok(is_event.then(|| Cow::Owned(parts.without_attachments())))
            }
            None if is_event => Ok(Some(readable(packet, parts.rest))),
            None => Ok(Some(Cow::Borrowed(packet))),
        }
    }

    /// A binary message has come, and is to be dropped.
    ///
    /// # Errors
    /// No packet has announced it.
    pub(super) fn attachment(&mut self) -> Result<(), CloseCode> {
        let left = self.attachments_due.checked_sub(1);
        self.attachments_due = left.ok_or(CloseCode::Unsupported)?;
        Ok(())
    }

    /// The body of a POST, packet by packet.
    ///
    /// # Errors
    /// As [`ClientPackets::text`].
    pub(super) fn body<'a>(
        &mut self,
        body: &'a str,
        now: Instant,
    ) -> Result<Cow<'a, str>, CloseCode> {
        let (mut changed, mut begin): (Option<String>, usize) = (None, 0);
        for packet in body.split(PACKET_SEPARATOR) {
            // Binary messages are written in base64 there.
            let read = if packet.starts_with('b') {
                self.attachment()?;
                None
            } else {
                self.text(packet, now)?
            };
            if changed.is_none() && !matches!(read, Some(Cow::Borrowed(_))) {
                changed = Some(body[..begin].to_owned());
            }
            if let (Some(changed), Some(read)) = (&mut changed, read) {
                changed.push_str(&read);
                changed.push(PACKET_SEPARATOR);
            }
            begin += packet.len() + PACKET_SEPARATOR.len_utf8();
        }
        Ok(changed.map_or(Cow::Borrowed(body), |mut changed| {
            // The last one ends with the body.
            changed.pop();
            Cow::Owned(changed)
        }))
    }

    fn take_token(&mut self, now: Instant) -> bool {
        let refilled = now.saturating_duration_since(self.filled).as_secs_f64() * self.rate / 10.0;
        self.filled = now;
        self.tokens = (self.tokens + refilled).min(self.rate);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

impl<'a> Parts<'a> {
    /// `None` for what is no Socket.IO packet, or none that the engine understands.
    fn of(packet: &'a str) -> Option<Self> {
        let kind = *packet.strip_prefix('4')?.as_bytes().first()?;
        if !kind.is_ascii_digit() {
            return None;
        }
        let mut rest = &packet[2..];
        let mut attachments = None;
        if matches!(kind, b'5' | b'6') {
            let (count, after) = rest.split_once('-')?;
            let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
            // One that is too long for the type is an attack, and as good as endless.
            attachments = is_number.then(|| count.parse().unwrap_or(u64::MAX));
            attachments?;
            rest = after;
        }
        let mut namespace = None;
        if rest.starts_with('/') {
            let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
            (namespace, rest) = (Some(name), after);
        }
        Some(Self {
            kind,
            attachments,
            namespace,
            rest,
        })
    }

    /// An event that is refused for its attachments, with the ack of this one.
    fn without_attachments(&self) -> String {
        let array = self
            .rest
            .trim_start_matches(|char: char| char.is_ascii_digit());
        let ack = &self.rest[..self.rest.len() - array.len()];
        let (namespace, comma) = match self.namespace {
            Some(namespace) => (namespace, ","),
            None => ("", ""),
        };
        // An ack of more digits than a number has is none to the engine.
        format!("42{namespace}{comma}{ack}[\"{}\"]", name::BINARY)
    }
}

/// An event's packet, which ends in `rest`, with its name as socketioxide can read it.
fn readable<'a>(packet: &'a str, rest: &str) -> Cow<'a, str> {
    match renamed(packet, rest) {
        Some(renamed) => Cow::Owned(renamed),
        None => Cow::Borrowed(packet),
    }
}

/// The event, if its name must be changed.
fn renamed(packet: &str, rest: &str) -> Option<String> {
    let array = rest
        .trim_start_matches(|char: char| char.is_ascii_digit())
        .strip_prefix('[')?;
    let name = array.trim_start();
    let plain = name
        .strip_prefix('"')
        .and_then(|name| name.split_once('"'))
        .is_some_and(|(name, _)| !name.contains('\\'));
    if plain {
        return None;
    }
    let length = literal_length(name)?;
    let (literal, after) = name.split_at(length);
    let before = &packet[..packet.len() - name.len()];
    // Half a surrogate, too, is a name that no event has.
    let known: String = serde_json::from_str(literal).unwrap_or_default();
    Some(format!("{before}\"{}\"{after}", spelled(&known)))
}

/// How long the string or the number is that this JSON begins with.
fn literal_length(json: &str) -> Option<usize> {
    if !json.starts_with('"') {
        let length = json.find([',', ']'])?;
        let is_number = serde_json::from_str::<Number>(json[..length].trim_end()).is_ok();
        return is_number.then_some(length);
    }
    let mut escaped = true;
    json.char_indices().find_map(|(at, char)| {
        let ends = char == '"' && !escaped;
        // The first one is the quote that opens.
        escaped = at > 0 && char == '\\' && !escaped;
        ends.then_some(at + 1)
    })
}

/// The name, if it needs no escape; else one that no event has.
fn spelled(name: &str) -> &str {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, ':' | '_' | '-');
    if name.chars().all(plain) { name } else { "" }
}

#[cfg(test)]
mod tests;
