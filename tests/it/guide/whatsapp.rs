//! The guide's back end in Rust: what follows this line stands in docs/INTEGRATION.md to the letter.

use serde_json::Value;
use sqlx::PgPool;

/// Writes the bot's answer. The dashboard shows that it types until the answer is there.
pub async fn reply(
    pool: &PgPool,
    contact_id: &str,
    answer: impl Future<Output = String>,
) -> sqlx::Result<String> {
    typing(pool, contact_id, true).await?;
    let body = answer.await;
    let id = sqlx::query_scalar(
        "insert into messages (contact_id, direction, author, body, status)
         values ($1, 'outbound', 'bot', $2, 'queued') returning id::text",
    )
    .bind(contact_id)
    .bind(body)
    .fetch_one(pool)
    .await?;
    typing(pool, contact_id, false).await?;
    Ok(id)
}

/// Says whether the bot types.
pub async fn typing(pool: &PgPool, contact_id: &str, typing: bool) -> sqlx::Result<()> {
    sqlx::query("select rowcast.typing($1, $2)")
        .bind(contact_id)
        .bind(typing)
        .execute(pool)
        .await?;
    Ok(())
}

/// WhatsApp has taken the message, and calls it `wamid`.
pub async fn sent(pool: &PgPool, id: &str, wamid: &str) -> sqlx::Result<()> {
    sqlx::query("update messages set external_id = $2, status = 'sent' where id = $1::uuid")
        .bind(id)
        .bind(wamid)
        .execute(pool)
        .await?;
    Ok(())
}

/// The body of a webhook's POST. Returns the ids of messages that are not stored.
pub async fn webhook(pool: &PgPool, body: &Value) -> sqlx::Result<Vec<String>> {
    let mut unknown = Vec::new();
    let changes = list(body, "entry").flat_map(|entry| list(entry, "changes"));
    for value in changes.map(|change| &change["value"]) {
        for message in list(value, "messages") {
            sqlx::query(
                "insert into messages (contact_id, body, external_id) values ($1, $2, $3)
                 on conflict (external_id) do nothing",
            )
            .bind(message["from"].as_str())
            .bind(message["text"]["body"].as_str().unwrap_or_default())
            .bind(message["id"].as_str())
            .execute(pool)
            .await?;
        }
        for report in list(value, "statuses") {
            let (id, status) = (report["id"].as_str(), report["status"].as_str());
            if !matches!(status, Some("sent" | "delivered" | "read" | "failed")) {
                continue;
            }
            let written = sqlx::query(
                "insert into message_statuses (message_id, status, error, occurred_at)
                 select id, $2, $3, to_timestamp($4::bigint) from messages where external_id = $1",
            )
            .bind(id)
            .bind(status)
            .bind(report["errors"][0]["title"].as_str())
            .bind(report["timestamp"].as_str())
            .execute(pool)
            .await?;
            if written.rows_affected() == 0 {
                unknown.extend(id.map(str::to_owned));
            }
        }
    }
    Ok(unknown)
}

fn list<'a>(of: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    of[member].as_array().into_iter().flatten()
}
