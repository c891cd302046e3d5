//! A connection that speaks TLS: what is written is encrypted on its way to the kernel, what comes is decrypted on its way to hyper.
//!
//! The session lies beside the backlog, under the same lock, because the broadcast writes past hyper: so the order of the records is
//! that of the frames. Guarantees that little waits encrypted, at most [`PIECE_BYTES`]: the rest waits in the backlog, where frames are
//! shared by all sockets of a room, and a cut drops it.
//! The handshake is a part of the first read, so the limit of a request's head bounds it, too.
//! A connection without TLS has none of this but an empty pointer.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;

use super::{Connection, Out, Phase};
use crate::transport::tls::Tls;

/// What is encrypted at once: a record's most (RFC 8446, section 5.1).
const PIECE_BYTES: usize = 16 * 1024;
/// Of how many frames that is at most.
const PIECE_SLICES: usize = 64;

impl Connection {
    /// Speaks TLS from the first byte on.
    ///
    /// # Errors
    /// The configuration can't be used.
    pub(in crate::transport) fn begin_tls(
        &self,
        config: Arc<ServerConfig>,
    ) -> Result<(), rustls::Error> {
        self.out().tls = Some(Box::new(Tls::new(config)?));
        Ok(())
    }

    /// Whether a TLS handshake was begun and not finished.
    pub(in crate::transport) fn is_shaking_hands(&self) -> bool {
        let out = self.out();
        out.tls.as_ref().is_some_and(|tls| tls.is_shaking_hands())
    }

    /// Encrypts and writes without queueing, as [`Connection::write_past`] does. What was encrypted counts as accepted.
    pub(super) fn seal_past(&self, out: &mut Out, bytes: &[u8]) -> usize {
        let mut accepted = 0;
        for piece in bytes.chunks(PIECE_BYTES) {
            let Some(tls) = &mut out.tls else { break };
            let sealed = tls.seal(&[IoSlice::new(piece)]).unwrap_or_else(|_| {
                self.cut_now(out);
                0
            });
            accepted += sealed;
            self.write_sealed(out);
            if out.phase == Phase::Cut {
                return bytes.len();
            }
            if sealed < piece.len() || out.waits() {
                break;
            }
        }
        accepted
    }

    /// Writes as much as the kernel takes of what is encrypted, and returns whether nothing of it is left.
    pub(super) fn write_sealed(&self, out: &mut Out) -> bool {
        while let Some(tls) = &mut out.tls
            && tls.waits()
        {
            match self.tcp.try_write(tls.sealed()) {
                Ok(written) => {
                    let plain = tls.took(written);
                    if plain > 0 {
                        out.took(plain);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {
                    self.cut_now(out);
                    return false;
                }
            }
        }
        true
    }

    /// Encrypts the next piece of the backlog.
    pub(super) fn seal_backlog(&self, out: &mut Out) {
        let Some(tls) = &mut out.tls else { return };
        let mut slices = [IoSlice::new(&[]); PIECE_SLICES];
        let (mut count, mut left) = (0, PIECE_BYTES);
        for (slice, bytes) in slices.iter_mut().zip(&out.backlog) {
            let part = &bytes[..bytes.len().min(left)];
            *slice = IoSlice::new(part);
            count += 1;
            left -= part.len();
            if left == 0 {
                break;
            }
        }
        match tls.seal(&slices[..count]) {
            Ok(sealed) if sealed > 0 => out.remove_first(sealed),
            // The session takes nothing any more, so the rest can't reach the client.
            Ok(_) | Err(_) => self.cut_now(out),
        }
    }

    /// Reads what the client sent, decrypted. 0 is the end.
    pub(in crate::transport) fn poll_unsealed(
        &self,
        out: &mut Out,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if out.phase == Phase::Cut {
                return Poll::Ready(Ok(0));
            }
            let Some(tls) = &mut out.tls else {
                return Poll::Ready(Ok(0));
            };
            match tls.read(into) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            ready!(self.tcp.poll_read_ready(cx))?;
            let received = tls.receive(&self.tcp);
            self.poll_backlog(out, cx);
            match received {
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(e)),
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Tells the client that nothing comes any more, if the kernel takes it at once.
    pub(in crate::transport) fn end_tls(&self, out: &mut Out) {
        if let Some(tls) = &mut out.tls
            && tls.seal_end().is_ok()
        {
            self.write_sealed(out);
        }
    }
}

#[cfg(test)]
mod tests;
