//! The TLS session of one connection, and the encrypted bytes that the kernel has not taken yet.
//!
//! Knows no connection: `connection` says when it encrypts, and writes what comes out (`src/transport/connection/sealed.rs`).
//! Guarantees that what is encrypted is held for as long as it is needed, and that it tells how much of that the client was sent,
//! without what TLS adds.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;

/// The TLS session of a connection.
pub(super) struct Tls {
    session: ServerConnection,
    /// Encrypted bytes for the kernel.
    sealed: Vec<u8>,
    /// How much of `sealed` the kernel has taken.
    taken: usize,
    /// How many bytes of the server's own are in what is left of `sealed`.
    plain_left: usize,
}

/// The socket as rustls reads it.
struct Socket<'a>(&'a TcpStream);

impl io::Read for Socket<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Tls {
    /// A session whose handshake is still to come.
    ///
    /// # Errors
    /// The configuration can't be used.
    pub(super) fn new(config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        Ok(Self {
            session: ServerConnection::new(config)?,
            sealed: Vec::new(),
            taken: 0,
            plain_left: 0,
        })
    }

    /// Whether the handshake is under way.
    pub(super) fn is_shaking_hands(&self) -> bool {
        self.session.is_handshaking()
    }

    /// Whether something encrypted waits for the kernel.
    pub(super) fn waits(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// How many bytes of the server's own that is.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.plain_left
    }

    /// Nothing is written any more.
    pub(super) fn forget(&mut self) {
        (self.sealed, self.taken, self.plain_left) = (Vec::new(), 0, 0);
    }

    /// Encrypts these bytes, and returns how many the session took.
    pub(super) fn seal(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let taken = self.session.writer().write_vectored(slices)?;
        self.plain_left += taken;
        self.collect()?;
        Ok(taken)
    }

    /// Says that nothing comes any more (RFC 8446, section 6.1).
    pub(super) fn seal_end(&mut self) -> io::Result<()> {
        self.session.send_close_notify();
        self.collect()
    }

    /// What waits for the kernel.
    pub(super) fn sealed(&self) -> &[u8] {
        &self.sealed[self.taken..]
    }

    /// The kernel has taken so many bytes of it. Returns how many of the server's own these are.
    pub(super) fn took(&mut self, bytes: usize) -> usize {
        let plain = bytes.min(self.plain_left);
        self.plain_left -= plain;
        self.taken += bytes;
        if self.taken == self.sealed.len() {
            // The memory must not stay for the rest of the connection's life.
            (self.sealed, self.taken) = (Vec::new(), 0);
        }
        plain
    }

    /// Hands out what was decrypted. 0 is the end; `WouldBlock`: more must be received first.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.session.reader().read(into) {
            // Whoever is cut says no goodbye. HTTP and WebSocket know by themselves whether something is missing.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }

    /// Takes from the kernel what the client has sent, and decrypts what is whole. An answer to it, an alert too, waits from then on.
    pub(super) fn receive(&mut self, tcp: &TcpStream) -> io::Result<()> {
        self.session.read_tls(&mut Socket(tcp))?;
        let processed = self.session.process_new_packets();
        self.collect()?;
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(())
    }

    /// Takes what the session has for the client: parts of the handshake, alerts, and what was written into it.
    fn collect(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut self.sealed)?;
        }
        Ok(())
    }
}
