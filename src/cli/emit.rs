//! `rowcast emit`: stores an event of the user's own.

use std::io::Read as _;

use anyhow::{Context as _, bail};
use serde::de::IgnoredAny;

use super::find_database::on_database;
use crate::config::Config;
use crate::db::{Call, call};
use crate::event::Room;

/// Emits `data`, or what the standard input holds if that is `-`, and prints nothing.
///
/// # Errors
/// The room is none, the payload is no JSON, the role may not emit, or the database can't be reached.
pub(crate) async fn emit(
    config: &Config,
    room: &str,
    event: &str,
    data: &str,
) -> anyhow::Result<()> {
    Room::named(room).with_context(|| format!("ROOM {room:?}"))?;
    let mut input = String::new();
    let data = if data == "-" {
        let read = std::io::stdin().read_to_string(&mut input);
        read.context("the standard input")?;
        &input
    } else {
        data
    };
    if let Err(error) = serde_json::from_str::<IgnoredAny>(data) {
        bail!("JSON is not JSON: {error}; a text is quoted twice, such as '\"hello\"'");
    }
    let emit = async |database| call(&database, Call::Emit { room, event, data }).await;
    on_database(config, emit).await.map(drop)
}
