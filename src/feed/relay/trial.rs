//! Whether servers could hear each other over NATS: one attempt, for whoever looks after a machine.
//!
//! Says something on a subject of its own, below those of the servers, and waits until it comes back. No server hears it.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::nats;
use crate::config::RelayUrl;

/// For all servers of a NATS, of which each may take a second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of the attempt.
#[derive(Debug)]
pub(crate) enum RelayTrial {
    /// What was said was heard. NATS takes so many bytes in a message.
    Heard(usize),
    /// There is no connection, and why.
    Unreachable(String),
    /// There is one, and what was said did not come back; with what NATS said of that.
    Unheard(Option<String>),
}

/// Tries the NATS of these servers. Ends within ten seconds.
pub(crate) async fn try_relay(servers: &RelayUrl) -> RelayTrial {
    let failure = watch::Sender::new(None);
    let connected = timeout(
        CONNECT_PATIENCE,
        nats::connect_once(servers, failure.clone()),
    );
    let client = match connected.await {
        Ok(Ok(client)) => client,
        Ok(Err(why)) => return RelayTrial::Unreachable(why),
        Err(_) => return RelayTrial::Unreachable("it does not answer".to_owned()),
    };
    let subject = format!("rowcast.relay.doctor.{:016x}", rand::random::<u64>());
    let heard = async {
        let mut subscriber = client.subscribe(subject.clone()).await.ok()?;
        client.publish(subject, "".into()).await.ok()?;
        client.flush().await.ok()?;
        subscriber.next().await
    };
    let heard = timeout(PATIENCE, heard).await;
    if matches!(heard, Ok(Some(_))) {
        RelayTrial::Heard(client.max_payload())
    } else {
        RelayTrial::Unheard(failure.borrow().clone())
    }
}
