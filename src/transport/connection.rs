//! One TCP connection with two writers: engineioxide, which sees it as a stream (`stream`), and the broadcast.
//!
//! Why it exists: socketioxide bounds a socket's queue by the number of packets, drops a packet when the queue is full, and
//! copies it three times on its way to the kernel; and a client that stops reading can't be cut. Here a broadcast writes one
//! encoded WebSocket frame, which all sockets of the room share, straight to the kernel. What the kernel does not take waits in
//! a backlog that is metered and bounded.
//!
//! It is also where CONNECT gets its `pid`, and CONNECT_ERROR its `data`, which socketioxide can't put there and a stock client
//! needs to come back.
//!
//! Guarantees: frames of the two writers never interleave, because each writer hands over whole frames; no frame of ours
//! overtakes the CONNECT packet; frames that `Connection::send` has accepted are written in order, or the connection ends, so
//! there is never a stream with a hole.
//! Relies on tungstenite, which hands over whole frames, and on engineioxide's task, which always reads: each of its reads also
//! writes what waits.

mod sealed;
mod state;

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::net::TcpStream;

use super::close_code::CloseCode;
use super::frame;
use super::reading::Reading;
use crate::delivery::SendOutcome;
use crate::quota::Place;
pub(super) use state::{Out, Phase};

/// What may wait for a client that reads slowly, in bytes; one larger frame may stand alone.
pub(super) const MAX_BACKLOG_BYTES: usize = 1024 * 1024;
/// With so many bytes in the backlog hyper has to wait before it writes more, and so has engineioxide on a connection that the
/// broadcast does not write to.
pub(super) const BUSY_BACKLOG_BYTES: usize = 64 * 1024;
/// Frames given to one system call (`UIO_MAXIOV` of Linux), and how many those are mostly.
const MAX_SLICES: usize = 1024;
const FEW_SLICES: usize = 16;

/// The connection as the broadcast sees it. Its lock protects everything that is written, and is never held across an await.
pub(crate) struct Connection {
    pub(super) tcp: TcpStream,
    out: Mutex<Out>,
    /// Counted for as long as the socket is open.
    _place: Option<Place>,
}

impl Connection {
    /// Holds its `place`, where connections are counted.
    pub(super) fn new(tcp: TcpStream, place: Option<Place>) -> Arc<Self> {
        Arc::new(Self {
            tcp,
            out: Mutex::default(),
            _place: place,
        })
    }

    pub(super) fn reading(&self) -> Reading {
        self.out().reading
    }

    pub(super) fn set_reading(&self, reading: Reading) {
        self.out().reading = reading;
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Allows frames of the broadcast from now on. They wait until CONNECT has passed, which gets this pid.
    pub(crate) fn open(&self, pid: &str) {
        let mut out = self.out();
        // It is open already if a client has left the namespace and connects anew on the same transport.
        if matches!(out.phase, Phase::Foreign | Phase::Open) {
            out.phase = Phase::Opening;
        }
        out.pids.push_back(pid.into());
    }

    /// The next CONNECT_ERROR packet says this, which is JSON, beside its message: socketioxide sends a message alone.
    pub(crate) fn refuse(&self, data: &'static str) {
        self.out().refusal = Some(data);
    }

    /// Gives the next CONNECT packet this pid, and changes nothing else.
    pub(super) fn push_pid(&self, pid: &str) {
        self.out().pids.push_back(pid.into());
    }

    /// The next OPEN packet says that the largest message has so many bytes.
    pub(super) fn announce(&self, max_message_bytes: usize) {
        self.out().announced = Some(max_message_bytes);
    }

    /// Sends a whole WebSocket frame.
    pub(super) fn send(&self, frame: Bytes) -> SendOutcome {
        let mut out = self.out();
        match out.phase {
            Phase::Cut | Phase::Closing | Phase::Foreign => return SendOutcome::Closed,
            Phase::Opening => return out.hold(frame),
            Phase::Open => {}
        }
        if !out.has_room_for(&frame) {
            return SendOutcome::Full;
        }
        let idle = !out.waits();
        let written = self.write_past(&mut out, &frame);
        if written < frame.len() {
            out.push(frame.slice(written..));
        }
        if idle && out.waits() {
            out.wake();
        }
        if out.phase == Phase::Cut {
            SendOutcome::Closed
        } else {
            SendOutcome::Sent
        }
    }

    /// Sends whole WebSocket frames, as many as it has room for, in one write. Says how many, and why not the next one.
    pub(super) fn send_together(
        &self,
        frames: impl IntoIterator<Item = Bytes>,
    ) -> (usize, SendOutcome) {
        let mut out = self.out();
        let idle = !out.waits();
        let (mut taken, mut outcome) = (0, SendOutcome::Sent);
        for frame in frames {
            outcome = match out.phase {
                Phase::Cut | Phase::Closing | Phase::Foreign => SendOutcome::Closed,
                Phase::Opening => out.hold(frame),
                Phase::Open => {
                    if idle && !out.has_room_for(&frame) {
                        self.write_now(&mut out);
                    }
                    if out.has_room_for(&frame) {
                        out.push(frame);
                        SendOutcome::Sent
                    } else {
                        SendOutcome::Full
                    }
                }
            };
            if outcome != SendOutcome::Sent {
                break;
            }
            taken += 1;
        }
        // What waited before is written when the kernel takes more, and the rest after it.
        if idle && out.phase == Phase::Open {
            self.write_now(&mut out);
            if out.waits() {
                out.wake();
            }
        }
        if out.phase == Phase::Cut {
            return (0, SendOutcome::Closed);
        }
        (taken, outcome)
    }

    /// Bytes that wait for the client, and bytes that it has taken since the beginning.
    pub(super) fn meter(&self) -> (usize, u64) {
        let out = self.out();
        let sealed = out.tls.as_ref().map_or(0, |tls| tls.waiting_bytes());
        (out.backlog_bytes + sealed, out.written)
    }

    /// Whether it has ended.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.out().phase, Phase::Cut | Phase::Closing)
    }

    /// Ends the transport at once: the client sees it closed, and reconnects by itself.
    pub(super) fn cut(&self) {
        self.cut_now(&mut self.out());
    }

    /// Tells the client why the connection ends. What it sends from now on is dropped, until it closes its side.
    pub(super) fn close_now(&self, out: &mut Out, code: CloseCode) {
        let frame = frame::close(code as u16);
        let written = self.write_past(out, &frame);
        if written < frame.len() {
            out.push(frame.slice(written..));
        }
        if out.phase != Phase::Cut {
            out.phase = Phase::Closing;
        }
        out.held = Default::default();
        out.incoming = None;
    }

    pub(super) fn cut_now(&self, out: &mut Out) {
        out.phase = Phase::Cut;
        out.backlog.clear();
        out.held.clear();
        out.backlog_bytes = 0;
        if let Some(tls) = &mut out.tls {
            tls.forget();
        }
        out.wake();
        // Also wakes a task that waits for the kernel: its next read finds the end.
        let _ = rustix::net::shutdown(&self.tcp, rustix::net::Shutdown::Both);
    }

    /// Writes without queueing, and returns how many bytes were accepted: none while others wait, all of them if the connection
    /// has ended.
    pub(super) fn write_past(&self, out: &mut Out, bytes: &[u8]) -> usize {
        if out.waits() {
            return 0;
        }
        if out.tls.is_some() {
            return self.seal_past(out, bytes);
        }
        match self.tcp.try_write(bytes) {
            Ok(written) => {
                out.took(written);
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
        while out.tls.is_some() && self.write_sealed(out) && !out.backlog.is_empty() {
            self.seal_backlog(out);
        }
        while !out.backlog.is_empty() && out.tls.is_none() {
            let written = if out.backlog.len() <= FEW_SLICES {
                self.write_slices::<FEW_SLICES>(out)
            } else {
                self.write_slices::<MAX_SLICES>(out)
            };
            match written {
                Ok(written) => out.advance(written),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.cut_now(out),
            }
        }
    }

    fn write_slices<const MAX: usize>(&self, out: &Out) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); MAX];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&out.backlog) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        self.tcp.try_write_vectored(&slices[..count])
    }

    /// Writes what waits, and asks to be woken when the kernel takes more.
    pub(super) fn poll_backlog(&self, out: &mut Out, cx: &mut Context<'_>) {
        let before = out.backlog_bytes;
        loop {
            self.write_now(out);
            if !out.waits() || out.phase == Phase::Cut {
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

#[cfg(test)]
mod tests;
