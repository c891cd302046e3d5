//! The connection as hyper and engineioxide see it: a stream like any other.
//!
//! Each of their reads also writes the backlog, and each of their writes goes through it, so that their frames and those of the
//! broadcast stay whole and in order. The CONNECT packet gets its pid on its way through `poll_write`.
//! Guarantees that a slow consumer never blocks a task of engineioxide's once the broadcast writes to the connection.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::{BUSY_BACKLOG_BYTES, Connection, MAX_BACKLOG_BYTES, Phase};
use super::frame;

/// The connection as hyper and engineioxide see it.
pub(crate) struct ConnectionStream(Arc<Connection>);

impl ConnectionStream {
    /// The stream to give to hyper.
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self(connection)
    }

    /// Gives back bytes that were read already: the next read returns them first.
    pub(super) fn read_already(&self, bytes: &[u8]) {
        self.0.out().unread = Bytes::copy_from_slice(bytes);
    }
}

impl AsyncRead for ConnectionStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &*self.0;
        {
            let mut out = connection.out();
            if out.phase == Phase::Cut {
                return Poll::Ready(Ok(()));
            }
            if out
                .reader
                .as_ref()
                .is_none_or(|waker| !waker.will_wake(cx.waker()))
            {
                out.reader = Some(cx.waker().clone());
            }
            if !out.backlog.is_empty() {
                connection.poll_backlog(&mut out, cx);
            }
            if !out.unread.is_empty() {
                let taken = out.unread.len().min(buf.remaining());
                buf.put_slice(&out.unread.split_to(taken));
                return Poll::Ready(Ok(()));
            }
        }
        loop {
            std::task::ready!(connection.tcp.poll_read_ready(cx))?;
            match connection.tcp.try_read(buf.initialize_unfilled()) {
                Ok(read) => {
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
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
        let connection = &*self.0;
        let mut out = connection.out();
        if !out.backlog.is_empty() {
            connection.poll_backlog(&mut out, cx);
        }
        if out.phase == Phase::Cut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // Once the broadcast writes to the connection, engineioxide must not wait: its writer can't be cancelled while it does,
        // so the engine session of a client that stopped reading would never end.
        if out.phase != Phase::Foreign && out.backlog_bytes >= MAX_BACKLOG_BYTES {
            self.0.cut_now(&mut out);
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
        let connect = match &out.pid {
            Some(pid) => frame::with_pid(bytes, pid),
            None => None,
        };
        let connected = connect.is_some();
        let packets = connect.as_deref().unwrap_or(bytes);
        let written = connection.write_past(&mut out, packets);
        if written < packets.len() {
            out.push(Bytes::copy_from_slice(&packets[written..]));
        }
        if connected {
            out.pid = None;
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
        let connection = &*self.0;
        let mut out = connection.out();
        connection.poll_backlog(&mut out, cx);
        // Ready, although bytes may wait: the backlog is bounded here and written by reads, so nobody has to wait for it.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = &*self.0;
        let mut out = connection.out();
        connection.poll_backlog(&mut out, cx);
        if out.phase != Phase::Cut && !out.backlog.is_empty() {
            out.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let _ = rustix::net::shutdown(&connection.tcp, rustix::net::Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

impl Drop for ConnectionStream {
    fn drop(&mut self) {
        let mut out = self.0.out();
        // What the kernel takes at once still goes out: a close frame, mostly.
        self.0.write_now(&mut out);
        out.phase = Phase::Cut;
        out.backlog = VecDeque::new();
        out.backlog_bytes = 0;
        // Not both directions: what the client sent and nobody read would turn into a reset that eats the last bytes.
        let _ = rustix::net::shutdown(&self.0.tcp, rustix::net::Shutdown::Write);
    }
}
