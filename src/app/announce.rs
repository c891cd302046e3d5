//! What the start tells: the log's lines, and the lines for the person at the terminal.

use anyhow::Context as _;
use sqlx::postgres::PgPool;

use crate::embedded::Embedded;
use crate::outbox::{self, Database};

/// Says what is served.
pub(super) async fn announce(database: &Database, pool: &PgPool) -> anyhow::Result<()> {
    tracing::info!(database = database.describe(), "connected");
    let sources = outbox::sources(pool)
        .await
        .context("the attached tables can't be read")?;
    for source in &sources {
        tracing::info!(source = source.source, room = source.room, "attached");
        for problem in &source.problems {
            tracing::warn!(source = source.source, "{problem}");
        }
    }
    if sources.is_empty() {
        tracing::warn!(
            "no table is attached, so there are no events; attach one with: \
             select rowcast.attach('public.messages', room => 'conversation:{{contact_id}}', on_insert => 'message:new')"
        );
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "meant for the person at the terminal, not for the log"
)]
pub(super) fn print_demo(embedded: &Embedded, address: &str) {
    let psql = embedded.psql("insert into messages (contact_id, body) values ('42', 'Hello')");
    println!(
        "\nRowcast is ready.\n\n  Socket.IO  http://{address}\n  Database   {}\n\n\
         Paste this to make an event appear in the room conversation:42:\n\n  {psql}\n",
        embedded.url()
    );
}
