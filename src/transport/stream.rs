//! The connection as hyper and engineioxide see it: a stream like any other.
//!
//! Each of their reads also writes the backlog, and each of their writes goes through it, so that their frames and those of the
//! broadcast stay whole and in order. The CONNECT packet gets its pid on its way through `poll_write`, and what the client sends
//! on a WebSocket is checked on its way through `poll_read`.
//! Guarantees that a slow consumer never blocks a task of engineioxide's once the broadcast writes to the connection.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::connection::{BUSY_BACKLOG_BYTES, Connection, MAX_BACKLOG_BYTES, Out, Phase};
use super::engine_session::EngineSession;
use super::frame;
use super::incoming::Incoming;
use super::reading::Reading;

/// What is read of a WebSocket at once.
const READ_BYTES: usize = 2048;

/// The connection as hyper and engineioxide see it.
pub(crate) struct ConnectionStream {
    connection: Arc<Connection>,
    /// The engine session that it carries, which the client leaves when it ends.
    session: Option<Arc<EngineSession>>,
}

impl ConnectionStream {
    /// The stream to give to hyper.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            session: None,
        }
    }

    /// From now on it carries this engine session.
    pub(super) fn carry(&mut self, session: Arc<EngineSession>) {
        self.session = Some(session);
    }

    /// The connection that this is the stream of.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// From now on the client sends WebSocket frames. `first` is read before those that `incoming` has.
    pub(super) fn begin_websocket(&self, incoming: Incoming, first: &[u8]) {
        let mut out = self.connection.out();
        out.unread = Bytes::copy_from_slice(first);
        out.incoming = Some(Box::new(incoming));
    }

    /// Keeps the engine's answer to a probe from the client, who has had one.
    pub(super) fn swallow_probe_answer(&self) {
        self.connection.out().swallows_probe = true;
    }
}

impl AsyncRead for ConnectionStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &*self.connection;
        let mut out = connection.out();
        if out.waits() {
            connection.poll_backlog(&mut out, cx);
        }
        loop {
            // Also of a connection that was cut: the engine must see the end of a probe that it was promised.
            if !out.unread.is_empty() {
                let taken = out.unread.len().min(buf.remaining());
                buf.put_slice(&out.unread.split_to(taken));
                return Poll::Ready(Ok(()));
            }
            if out.phase == Phase::Cut {
                return Poll::Ready(Ok(()));
            }
            if connection.read_incoming(&mut out) {
                continue;
            }
            if out
                .reader
                .as_ref()
                .is_none_or(|waker| !waker.will_wake(cx.waker()))
            {
                out.reader = Some(cx.waker().clone());
            }
            let whole = out.incoming.is_none() && out.phase != Phase::Closing;
            let mut own = [0; READ_BYTES];
            let into = if whole {
                buf.initialize_unfilled()
            } else {
                &mut own[..]
            };
            match std::task::ready!(connection.poll_bytes(&mut out, cx, into)) {
                Ok(read) if whole || read == 0 => {
                    out.reading.begin_head();
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(read) => {
                    if let Some(incoming) = &mut out.incoming {
                        incoming.push(&own[..read]);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncWrite for ConnectionStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let connection = &*self.connection;
        let mut out = connection.out();
        if out.waits() {
            connection.poll_backlog(&mut out, cx);
        }
        if out.swallows_probe && bytes == frame::probe_answer() {
            out.swallows_probe = false;
            return Poll::Ready(Ok(bytes.len()));
        }
        match out.phase {
            Phase::Cut => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            // The client has been told the end, and may be told nothing after it.
            Phase::Closing => return Poll::Ready(Ok(bytes.len())),
            Phase::Foreign | Phase::Opening | Phase::Open => {}
        }
        // Once the broadcast writes to the connection, engineioxide must not wait: its writer can't be cancelled while it does,
        // so the engine session of a client that stopped reading would never end.
        if out.phase != Phase::Foreign && out.backlog_bytes >= MAX_BACKLOG_BYTES {
            self.connection.cut_now(&mut out);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if out.phase == Phase::Foreign && out.backlog_bytes >= BUSY_BACKLOG_BYTES {
            out.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // That packet is short, and comes before any frame of the broadcast.
        if out.phase == Phase::Foreign && bytes.len() < 128 && frame::holds_closing(bytes) {
            connection.cut_now(&mut out);
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let (changed, connected) = out.change(bytes);
        let packets = changed.as_deref().unwrap_or(bytes);
        let written = connection.write_past(&mut out, packets);
        if written < packets.len() {
            out.push(Bytes::copy_from_slice(&packets[written..]));
        }
        if connected && out.phase == Phase::Opening {
            out.phase = Phase::Open;
            while let Some(held) = out.held.pop_front() {
                out.push(held);
            }
            out.held = VecDeque::new();
        }
        connection.poll_backlog(&mut out, cx);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = &*self.connection;
        let mut out = connection.out();
        connection.poll_backlog(&mut out, cx);
        // Ready, although bytes may wait: the backlog is bounded here and written by reads, so nobody has to wait for it.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = &*self.connection;
        let mut out = connection.out();
        connection.poll_backlog(&mut out, cx);
        if out.phase != Phase::Cut && out.waits() {
            out.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        connection.end_tls(&mut out);
        let _ = rustix::net::shutdown(&connection.tcp, rustix::net::Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

impl Connection {
    /// What the client sent. `WouldBlock`: the kernel had nothing after all.
    fn poll_bytes(
        &self,
        out: &mut Out,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if out.tls.is_some() {
            return self.poll_unsealed(out, cx, into);
        }
        std::task::ready!(self.tcp.poll_read_ready(cx))?;
        Poll::Ready(self.tcp.try_read(into))
    }

    /// Puts the next message that has come whole where the engine reads it. False: none has, or there must not be any more.
    fn read_incoming(&self, out: &mut Out) -> bool {
        let Some(incoming) = &mut out.incoming else {
            return false;
        };
        loop {
            let read = match incoming.next() {
                Ok(None) => return false,
                Ok(Some(message)) => incoming.pass(message),
                Err(code) => Err(code),
            };
            match read {
                Ok(Some(message)) => {
                    out.unread = message.to_client_frames();
                    return true;
                }
                Ok(None) => {}
                Err(code) => {
                    self.close_now(out, code);
                    return false;
                }
            }
        }
    }
}

impl Out {
    /// The kernel took so many bytes more. As long as it takes the rest of an answer, the connection is not idle.
    pub(super) fn took(&mut self, bytes: usize) {
        self.written += bytes as u64;
        if let (Phase::Foreign, Reading::Idle(_)) = (self.phase, self.reading) {
            self.reading = Reading::Idle(Instant::now());
        }
    }

    /// These frames of the engine's with what is changed in them, if anything is; and whether CONNECT is among them.
    fn change(&mut self, frames: &[u8]) -> (Option<Bytes>, bool) {
        if let Some(max_payload) = self.announced.take() {
            let open = frame::with_max_payload(frames, max_payload);
            if open.is_some() {
                return (open, false);
            }
        }
        if let Some(data) = self.refusal
            && let Some(refused) = frame::with_refusal(frames, data)
        {
            self.refusal = None;
            return (Some(refused), false);
        }
        let mut changed: Option<Bytes> = None;
        while let Some(pid) = self.pids.front() {
            let before = changed.as_deref().unwrap_or(frames);
            let Some(with_pid) = frame::with_pid(before, pid) else {
                break;
            };
            self.pids.pop_front();
            changed = Some(with_pid);
        }
        let connected = changed.is_some();
        (changed, connected)
    }
}

impl Drop for ConnectionStream {
    fn drop(&mut self) {
        if let Some(session) = &self.session {
            session.leave();
        }
        let mut out = self.connection.out();
        // What the kernel takes at once still goes out: a close frame, mostly.
        self.connection.write_now(&mut out);
        if out.phase != Phase::Cut && !out.waits() {
            self.connection.end_tls(&mut out);
        }
        out.phase = Phase::Cut;
        out.backlog = VecDeque::new();
        out.backlog_bytes = 0;
        // Not both directions: what the client sent and nobody read would turn into a reset that eats the last bytes.
        let _ = rustix::net::shutdown(&self.connection.tcp, rustix::net::Shutdown::Write);
    }
}
