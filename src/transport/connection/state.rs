//! What a connection's lock protects: what is written, what was read and not handed on, and how far both are.

use std::collections::VecDeque;
use std::task::Waker;

use bytes::{Buf as _, Bytes};

use super::MAX_BACKLOG_BYTES;
use crate::delivery::SendOutcome;
use crate::transport::incoming::Incoming;
use crate::transport::reading::Reading;
use crate::transport::tls::Tls;

#[derive(Default)]
pub(in crate::transport) struct Out {
    /// What encrypts all that is written, on a listener with TLS.
    pub(in crate::transport) tls: Option<Box<Tls>>,
    pub(in crate::transport) backlog: VecDeque<Bytes>,
    pub(in crate::transport) backlog_bytes: usize,
    /// Frames of the broadcast that wait until engineioxide has written CONNECT.
    pub(in crate::transport) held: VecDeque<Bytes>,
    pub(in crate::transport) phase: Phase,
    pub(in crate::transport) reading: Reading,
    /// For the CONNECT packets that are to pass, in their order.
    pub(in crate::transport) pids: VecDeque<Box<str>>,
    /// What the CONNECT_ERROR packet that is to pass says beside its message.
    pub(in crate::transport) refusal: Option<&'static str>,
    /// What the OPEN packet that is to pass announces as the largest message.
    pub(in crate::transport) announced: Option<usize>,
    /// What the client sends, once the connection is a WebSocket.
    pub(in crate::transport) incoming: Option<Box<Incoming>>,
    /// The engine is about to answer a probe that was answered already.
    pub(in crate::transport) swallows_probe: bool,
    /// Bytes that the kernel has accepted since the beginning: they tell whether the client makes progress.
    pub(in crate::transport) written: u64,
    /// Read before anything that the kernel or `incoming` holds.
    pub(in crate::transport) unread: Bytes,
    pub(in crate::transport) reader: Option<Waker>,
    pub(in crate::transport) writer: Option<Waker>,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
pub(in crate::transport) enum Phase {
    /// HTTP, or a WebSocket that engineioxide alone writes to.
    #[default]
    Foreign,
    /// The broadcast will write, too: its frames are held until the CONNECT packet has passed.
    Opening,
    /// CONNECT has passed: frames of the broadcast are written as they come.
    Open,
    /// A close frame was written, and nothing else is: what the client still sends is read and dropped, so that the frame
    /// reaches it.
    Closing,
    /// Nothing is written any more.
    Cut,
}

impl Out {
    pub(in crate::transport) fn push(&mut self, bytes: Bytes) {
        self.backlog_bytes += bytes.len();
        self.backlog.push_back(bytes);
    }

    /// Whether a frame may wait, too; a larger one only alone.
    pub(in crate::transport) fn has_room_for(&self, frame: &Bytes) -> bool {
        self.backlog_bytes == 0 || self.backlog_bytes + frame.len() <= MAX_BACKLOG_BYTES
    }

    /// Holds a frame back until CONNECT has passed.
    pub(in crate::transport) fn hold(&mut self, frame: Bytes) -> SendOutcome {
        let held: usize = self.held.iter().map(Bytes::len).sum();
        if held + frame.len() > MAX_BACKLOG_BYTES && held > 0 {
            return SendOutcome::Full;
        }
        self.held.push_back(frame);
        SendOutcome::Sent
    }

    /// Whether anything is accepted and not with the kernel yet.
    pub(in crate::transport) fn waits(&self) -> bool {
        !self.backlog.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.waits())
    }

    pub(in crate::transport) fn advance(&mut self, written: usize) {
        self.took(written);
        self.remove_first(written);
    }

    /// So many bytes of the backlog are not in it any more.
    pub(in crate::transport) fn remove_first(&mut self, bytes: usize) {
        let mut written = bytes;
        self.backlog_bytes -= written;
        while let Some(front) = self.backlog.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.backlog.pop_front();
        }
        // The memory of a burst must not stay for the rest of the connection's life.
        if self.backlog.is_empty() {
            self.backlog = VecDeque::new();
        }
    }

    pub(in crate::transport) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}
