//! `rowcast emit`: stores an event of the user's own.

use std::io::Read as _;

use anyhow::Context as _;
use serde::de::IgnoredAny;

use super::find_database::on_database;
use super::wrong_usage::WrongUsage;
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
    Room::named(room).map_err(|why| WrongUsage::new(&format!("ROOM {room:?}: {why}")))?;
    let mut input = String::new();
    let data = if data == "-" {
        let read = std::io::stdin().read_to_string(&mut input);
        read.context("the standard input")?;
        &input
    } else {
        data
    };
    if let Err(error) = serde_json::from_str::<IgnoredAny>(data) {
        let why = format!("JSON is not JSON: {error}; a text is quoted twice, such as '\"hello\"'");
        return Err(WrongUsage::new(&why).into());
    }
    let emit = async |database| call(&database, Call::Emit { room, event, data }).await;
    on_database(config, emit).await.map(drop)
}
