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

/// Stores the body of a webhook's POST. Returns what was kept as a leftover: its kind, its id, and why.
pub async fn webhook(
    pool: &PgPool,
    body: &Value,
) -> sqlx::Result<Vec<(String, Option<String>, String)>> {
    sqlx::query_as("select kind, external_id, reason from rowcast.store_whatsapp($1)")
        .bind(body.to_string())
        .fetch_all(pool)
        .await
}
