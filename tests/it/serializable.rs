//! Writers who are serializable fail as often as without us: for what they read of each other's, and for nothing else.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::harness::database::run;
use crate::harness::{Database, Server, Stock, say};

/// Where every transaction is serializable unless it says otherwise, the server's included.
async fn serializable() -> Database {
    let database = Database::chat().await;
    let name = database.value("select current_database()").await;
    database
        .run(&format!(
            "alter database {name} set default_transaction_isolation = serializable"
        ))
        .await;
    database
}

/// False: the writer failed as serializable ones do, and was rolled back.
async fn done(on: &mut PgConnection, sql: &str) -> bool {
    let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut *on)
        .await
    else {
        return true;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("40001"), "{sql}: {error}");
    run(on, "rollback").await;
    false
}

/// Two transactions of four steps each, in every order. Says which commits failed.
async fn failures(database: &Database) -> Vec<(u32, &'static str)> {
    let mut writers = [database.connection().await, database.connection().await];
    let mut failed = Vec::new();
    for order in (0_u32..256).filter(|order| order.count_ones() == 4) {
        let (mut steps, mut alive) = ([0, 0], [true, true]);
        for place in 0..8 {
            let writer = usize::from(order >> place & 1 == 1);
            let contact = ["a", "b"][writer];
            let sql = match steps[writer] {
                0 => "begin; set local enable_seqscan = off; select 1 from messages where contact_id = 'none'".to_owned(),
                1 => format!("select body from messages where contact_id = '{contact}'"),
                2 => format!("insert into messages (contact_id, body) values ('{contact}', 'x')"),
                _ => "commit".to_owned(),
            };
            steps[writer] += 1;
            if alive[writer] && !done(&mut writers[writer], &sql).await {
                alive[writer] = false;
                failed.push((order, contact));
            }
        }
    }
    failed
}

#[tokio::test]
async fn capture_makes_no_two_writers_fail_who_would_not_anyway() {
    let bare = serializable().await;
    bare.run("select rowcast.detach('messages')").await;
    let expected = failures(&bare).await;
    let captured = serializable().await;
    let server = Server::on(&captured).await;
    assert_eq!(failures(&captured).await, expected);
    assert_eq!(
        bare.value("select count(*) from messages").await,
        captured.value("select count(*) from rowcast.events").await
    );
    drop(server);
}

/// A writer who has read what another then wrote may commit, unless a third, serializable too, saw the other's write and not the
/// writer's own. The server must not be that third one.
#[tokio::test]
async fn what_a_server_reads_makes_no_writer_fail() {
    let database = serializable().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    for round in 0..10 {
        let mut writer = database.connection().await;
        run(&mut writer, "begin; select count(*) from messages").await;
        // Over a connection that was made after the database's default was set.
        say(&mut database.connection().await, "42", "another's").await;
        assert_eq!(client.next().await.body(), "another's");
        // Everything else that the server reads: replays, history, figures.
        server.read("42", "messages").await;
        server.read("42", "events").await;
        let after = "insert into messages (contact_id, body) values ('42', 'own'); commit";
        assert!(done(&mut writer, after).await, "round {round}");
        assert_eq!(client.next().await.body(), "own");
    }
}
