//! The usual scene of these tests: a database, a server with the demo, a network and a browser.

use crate::harness::api::encoded;
use crate::harness::{Browser, Database, Look, Proxy, Server};

use super::view::View;

/// The demo is on, and everything else as it is by default.
const DEMO: [(&str, &str); 1] = [("ROWCAST_DEMO", "on")];

/// Fields end in this order.
pub(super) struct Stage {
    pub(super) browser: Browser,
    pub(super) network: Proxy,
    pub(super) server: Server,
    pub(super) database: Database,
}

impl Stage {
    /// With the chat tables and nothing in them.
    pub(super) async fn new() -> Self {
        Self::on(Database::inbox().await).await
    }

    /// On a database that the test brings.
    pub(super) async fn on(database: Database) -> Self {
        Self::with(database, &[]).await
    }

    /// The same with these variables set for the first server.
    pub(super) async fn with(database: Database, variables: &[(&str, &str)]) -> Self {
        // Its turn first: nothing else is held while it waits.
        let browser = Browser::start().await;
        let server = Server::with(&database, &[&DEMO, variables].concat()).await;
        Self {
            network: Proxy::to(server.address()).await,
            browser,
            server,
            database,
        }
    }

    /// The page with a conversation open, joined to its room.
    pub(super) async fn open(&self, contact: &str) -> View {
        self.open_as(Look::DESKTOP, contact).await
    }

    /// The same as somebody else sees it.
    pub(super) async fn open_as(&self, look: Look, contact: &str) -> View {
        let view = self.load(look, contact).await;
        view.badge("connected").await;
        view
    }

    /// The page on its way to a conversation; to the list if there is none.
    pub(super) async fn load(&self, look: Look, contact: &str) -> View {
        let view = self.prepare(look).await;
        view.page.goto(&self.url(contact)).await;
        view
    }

    /// A page that is nowhere yet.
    pub(super) async fn prepare(&self, look: Look) -> View {
        View::new(self.browser.open(look).await, self.network.address())
    }

    /// The address of a conversation's page.
    pub(super) fn url(&self, contact: &str) -> String {
        format!("http://{}/#/{}", self.network.address(), encoded(contact))
    }

    /// Another server takes the place of the last one, which has ended or will.
    pub(super) async fn replace(&mut self) -> Server {
        let next = Server::with(&self.database, &DEMO).await;
        self.network.lead(next.address());
        std::mem::replace(&mut self.server, next)
    }

    /// The rooms that sockets are in, as the server keeps them for who comes back.
    pub(super) async fn rooms(&self) -> String {
        let rooms = "select coalesce(string_agg(room, ' ' order by room), '')
            from rowcast.sessions, jsonb_object_keys(rooms) as room";
        self.database.value(rooms).await
    }
}
