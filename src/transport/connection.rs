//! One TCP connection, seen by hyper and engineioxide as any stream, and by us as a place to write.
//!
//! Why it exists. socketioxide queues each packet per socket by count, drops it when the queue is full, and copies it
//! three times on its way to the kernel; a client that stops reading can't be cut. Here a broadcast writes one encoded
//! WebSocket frame, shared by every socket of the room, straight to the kernel, and what the kernel does not take is
//! metered and bounded.
//!
//! It is also where CONNECT gets its `pid`, which socketioxide can't put there and a stock client needs to come back.
//!
//! Guarantees: frames are never interleaved with engineioxide's own (it writes whole frames, and each is taken whole or
//! not at all); nothing of ours overtakes the CONNECT packet; what `Connection::send` took is written in order, or
//! the connection ends: never a stream with a hole.
//! Relies on: tungstenite handing over whole frames, and on a task that is always reading (engineioxide's), which also
//! drives what is still to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use tokio::net::TcpStream;

use crate::delivery::SendOutcome;

/// What may wait for a client that reads slowly, in bytes; one larger frame may stand alone.
pub(super) const MAX_BACKLOG_BYTES: usize = 1024 * 1024;
/// From here on hyper, and engineioxide on a WebSocket that is not ours too, have to wait with what they write.
pub(super) const BUSY_BACKLOG_BYTES: usize = 64 * 1024;
/// Buffers given to one system call.
const MAX_SLICES: usize = 16;

/// The connection as we hold it.
pub(crate) struct Connection {
    pub(super) tcp: TcpStream,
    out: Mutex<Out>,
}

#[derive(Default)]
pub(super) struct Out {
    pub(super) backlog: VecDeque<Bytes>,
    pub(super) backlog_bytes: usize,
    /// Frames of ours that wait for engineioxide's CONNECT to pass.
    pub(super) held: VecDeque<Bytes>,
    pub(super) phase: Phase,
    /// For the CONNECT packet that is to pass.
    pub(super) pid: Option<Box<str>>,
    /// Bytes that the kernel took, ever: whether a client makes progress.
    written: u64,
    /// What hyper had read beyond the handshake: comes before what the kernel holds.
    pub(super) unread: Bytes,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
pub(super) enum Phase {
    /// HTTP, or a WebSocket that belongs to engineioxide alone.
    #[default]
    Foreign,
    /// Ours too, once the CONNECT packet has passed.
    Opening,
    /// CONNECT has passed: our frames are written as they come.
    Open,
    /// Nothing is written any more.
    Cut,
}

impl Connection {
    pub(super) fn new(tcp: TcpStream) -> Arc<Self> {
        Arc::new(Self {
            tcp,
            out: Mutex::default(),
        })
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Frames of ours may be sent from now on; they wait until CONNECT has passed, which carries this pid.
    pub(crate) fn open(&self, pid: &str) {
        let mut out = self.out();
        // Open already: a client that left the namespace and connects anew on the same transport.
        if matches!(out.phase, Phase::Foreign | Phase::Open) {
            out.phase = Phase::Opening;
            out.pid = Some(pid.into());
        }
    }

    /// The next CONNECT packet carries this pid; nothing else changes.
    pub(super) fn set_pid(&self, pid: &str) {
        self.out().pid = Some(pid.into());
    }

    /// Sends a whole WebSocket frame.
    pub(super) fn send(&self, frame: Bytes) -> SendOutcome {
        let mut out = self.out();
        match out.phase {
            Phase::Cut | Phase::Foreign => return SendOutcome::Closed,
            Phase::Opening => {
                let held: usize = out.held.iter().map(Bytes::len).sum();
                if held + frame.len() > MAX_BACKLOG_BYTES && held > 0 {
                    return SendOutcome::Full;
                }
                out.held.push_back(frame);
                return SendOutcome::Sent;
            }
            Phase::Open => {}
        }
        if out.backlog_bytes + frame.len() > MAX_BACKLOG_BYTES && out.backlog_bytes > 0 {
            return SendOutcome::Full;
        }
        let idle = out.backlog.is_empty();
        let written = self.write_past(&mut out, &frame);
        if written < frame.len() {
            out.push(frame.slice(written..));
            if idle {
                out.wake();
            }
        }
        if out.phase == Phase::Cut {
            SendOutcome::Closed
        } else {
            SendOutcome::Sent
        }
    }

    /// Bytes that wait for the client, and how many it has taken so far.
    pub(super) fn meter(&self) -> (usize, u64) {
        let out = self.out();
        (out.backlog_bytes, out.written)
    }

    /// Whether it has ended.
    pub(crate) fn is_cut(&self) -> bool {
        self.out().phase == Phase::Cut
    }

    /// Ends the transport at once: the client sees it closed, and reconnects by itself.
    pub(super) fn cut(&self) {
        self.cut_now(&mut self.out());
    }

    pub(super) fn cut_now(&self, out: &mut Out) {
        out.phase = Phase::Cut;
        out.backlog.clear();
        out.held.clear();
        out.backlog_bytes = 0;
        out.wake();
        // Also wakes a task that waits for the kernel: its next read finds the end.
        let _ = rustix::net::shutdown(&self.tcp, rustix::net::Shutdown::Both);
    }

    /// Writes without queueing, and says how much was taken: nothing while something waits, all of it where the
    /// connection has ended.
    pub(super) fn write_past(&self, out: &mut Out, bytes: &[u8]) -> usize {
        if !out.backlog.is_empty() {
            return 0;
        }
        match self.tcp.try_write(bytes) {
            Ok(written) => {
                out.written += written as u64;
                written
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.cut_now(out);
                bytes.len()
            }
        }
    }

    /// Writes as much as the kernel takes now.
    pub(super) fn write_now(&self, out: &mut Out) {
        while !out.backlog.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slice, bytes) in slices.iter_mut().zip(&out.backlog) {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            match self.tcp.try_write_vectored(&slices[..count]) {
                Ok(written) => out.advance(written),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.cut_now(out),
            }
        }
    }

    /// Writes what waits, and asks to be woken when the kernel takes more.
    pub(super) fn poll_backlog(&self, out: &mut Out, cx: &mut Context<'_>) {
        let before = out.backlog_bytes;
        loop {
            self.write_now(out);
            if out.backlog.is_empty() || out.phase == Phase::Cut {
                break;
            }
            match self.tcp.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.cut_now(out),
                Poll::Pending => break,
            }
        }
        if before >= BUSY_BACKLOG_BYTES && out.backlog_bytes < BUSY_BACKLOG_BYTES {
            out.wake();
        }
    }
}

impl Out {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.backlog_bytes += bytes.len();
        self.backlog.push_back(bytes);
    }

    fn advance(&mut self, mut written: usize) {
        self.written += written as u64;
        self.backlog_bytes -= written;
        while let Some(front) = self.backlog.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.backlog.pop_front();
        }
        // A burst must not leave its queue behind for the rest of the connection's life.
        if self.backlog.is_empty() {
            self.backlog = VecDeque::new();
        }
    }

    pub(super) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
