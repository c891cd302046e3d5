//! An address that leads to a standby for a while, and back: everybody lets go of the wrong server within seconds.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use crate::harness::wait::until_for;
use crate::harness::{BackEnd, Database, Launch, Postgres, Scratch, Server, Stock};

const SECONDS: Duration = Duration::from_secs(20);
const OURS: &str = "select count(*) from pg_stat_activity where application_name like 'rowcast%'";
const END: &str =
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowcast%'";

/// An address, as DNS or a proxy gives it, that can be led elsewhere.
struct Address(Scratch);

impl Address {
    fn of(postgres: &Postgres) -> Self {
        let address = Self(Scratch::folder());
        address.lead_to(postgres);
        address
    }

    fn lead_to(&self, postgres: &Postgres) {
        let link = self.0.path().join(".s.PGSQL.5432");
        let _there_may_be_none = std::fs::remove_file(&link);
        symlink(Path::join(postgres.folder(), ".s.PGSQL.5432"), &link).expect("a link");
    }

    fn url(&self) -> String {
        let folder = self.0.path().display();
        format!("postgres://postgres@localhost/postgres?host={folder}")
    }
}

/// Everything that has a pool is used.
async fn use_all(server: &Server) {
    for path in ["messages", "events?after=AQ", "events"] {
        server.get(&format!("/api/conversations/42/{path}")).await;
    }
}

#[tokio::test]
async fn an_address_that_leads_to_a_standby_and_back_is_followed() {
    let (mut postgres, _) = Postgres::with_chat().await;
    let standby = postgres.standby().await;
    let (primary, standby_database) = (Database::at(postgres.url()), Database::at(standby.url()));
    let address = Address::of(&postgres);
    let server = Launch::serve().database(&address.url()).start().await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    primary.say("42", "before").await;
    assert_eq!(client.next().await.body(), "before");
    use_all(&server).await;

    let back_end = BackEnd::on(&postgres.url());
    // Failed over to the wrong one, and whoever uses the server meanwhile is refused, or waits.
    address.lead_to(&standby);
    primary.run(END).await;
    until_for(SECONDS, "readiness to name the standby", async || {
        use_all(&server).await;
        let ready = server.get("/readyz").await;
        (ready.status == 503).then_some(())
    })
    .await;
    for _ in 0..2 {
        use_all(&server).await;
    }
    let said = server.log("the standby to be named", |line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.contains("is a standby"))
    });
    said.await;
    primary.say("42", "meanwhile").await;

    address.lead_to(&postgres);
    until_for(SECONDS, "the server to be ready again", async || {
        (server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(client.next().await.body(), "meanwhile");
    until_for(SECONDS, "the standby to be let go of", async || {
        (standby_database.value(OURS).await == "0").then_some(())
    })
    .await;
    let page = server.read("42", "messages").await;
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2), "{page}");
    let mut another = stock.joined(&server, "42").await;
    primary.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
    assert_eq!(another.next().await.body(), "after");
    assert!(client.arrived("rowcast:resync").is_empty());
    back_end.unharmed().await;
    server.stop().await;
}
