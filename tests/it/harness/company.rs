//! Other servers on the database of a trial, and a relay between them, where the run asks for them: `make faults SERVERS=3 RELAY=1`.

use super::database::Database;
use super::nats::Nats;
use super::server::Server;
use super::setting::number;

/// The servers beside the one that is tested. Fields end in this order.
pub(crate) struct Company {
    servers: Vec<Server>,
    nats: Option<Nats>,
}

impl Company {
    /// `FAULTS_SERVERS` less the one that is tested, which is an edge of the relay, if `FAULTS_RELAY` is 1. None by default, and none
    /// where the test has a relay of its own.
    pub(crate) async fn of(database: &Database, variables: &[(&str, &str)]) -> Self {
        let is_relayed = variables.iter().any(|(name, _)| *name == "ROWCAST_RELAY");
        let mut company = Self {
            servers: Vec::new(),
            nats: None,
        };
        if is_relayed {
            return company;
        }
        if number("FAULTS_RELAY") == Some(1) {
            company.nats = Some(Nats::start().await);
        }
        let relay = company.relay();
        let mut all = variables.to_vec();
        all.extend(relay.iter().map(|url| ("ROWCAST_RELAY", url.as_str())));
        for _ in 1..number("FAULTS_SERVERS").unwrap_or(1) {
            company.servers.push(Server::with(database, &all).await);
        }
        company
    }

    /// What `ROWCAST_RELAY` is for the server that is tested.
    pub(crate) fn relay(&self) -> Option<String> {
        self.nats.as_ref().map(Nats::url)
    }
}
