//! What the server's role may not do, or not any more.

use super::fault::{Fault, Plant, Ready};
use super::scene::Scene;

/// All of them end with what the doctor says to paste, but for who can't connect at all.
#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = &[
    Fault::new(Plant::Sql("revoke insert on rowcast.sessions from ROLE"), Ready::Failing("sessions", "ROLE may not insert rowcast.sessions"), ("rights", "failure", "ROLE may not insert rowcast.sessions")),
    Fault::new(Plant::Sql("revoke delete on rowcast.events from ROLE"), Ready::Degraded("retention", "ROLE may not delete rowcast.events"), ("rights", "warning", "ROLE may not delete rowcast.events")),
    Fault::new(Plant::Sql("revoke select on rowcast.events from ROLE"), Ready::Failing("rights", "ROLE may not select rowcast.events"), ("rights", "failure", "ROLE may not select rowcast.events")),
    Fault::new(Plant::Sql("revoke update on rowcast.epoch from ROLE"), Ready::Failing("rights", "ROLE may not update rowcast.epoch"), ("rights", "failure", "ROLE may not update rowcast.epoch")),
    Fault::new(Plant::Sql("revoke select on rowcast.attached from ROLE"), Ready::Degraded("history", "ROLE may not select rowcast.attached"), ("rights", "warning", "ROLE may not select rowcast.attached")),
    Fault::new(Plant::Sql("revoke usage on schema rowcast from ROLE"), Ready::Failing("rights", "ROLE may not usage schema rowcast"), ("rights", "failure", "ROLE may not usage schema rowcast")),
    Fault::new(Plant::Sql("revoke execute on function rowcast.truncate_payload from ROLE"), Ready::Failing("rights", "truncate_payload"), ("rights", "failure", "truncate_payload")),
    Fault::new(Plant::Sql("revoke execute on function rowcast.careful_row from ROLE"), Ready::Degraded("history", "careful_row"), ("rights", "warning", "careful_row")),
    Fault::new(Plant::Sql("revoke select on messages from ROLE"), Ready::Degraded("sources", "may not read it"), ("rights", "warning", "ROLE may not read public.messages"))
        .logged("history may not read it", "over: history may not read it"),
    Fault::new(Plant::Anew("alter role ROLE set default_transaction_read_only = on"), Ready::Failing("writes", "default_transaction_read_only"), ("writes", "failure", "default_transaction_read_only")),
    Fault::new(Plant::Anew("alter role ROLE nologin"), Ready::Failing("reader", "not permitted to log in"), ("connection", "failure", "not permitted to log in"))
        .logged("reading the outbox failed, it is tried again and again: role", "the outbox is read again")
        .mended_by("alter role ROLE login"),
    Fault::new(Plant::Anew("alter role ROLE connection limit 0"), Ready::Failing("listener", "too many connections for role"), ("connection", "failure", "too many connections for role"))
        .logged("listening failed, the reader polls meanwhile: too many connections", "LISTEN is in force again")
        .mended_by("alter role ROLE connection limit -1"),
];

#[tokio::test]
async fn each_right_that_is_taken_away_is_named_everywhere_and_nothing_is_lost() {
    Scene::new().await.judge(&FAULTS[..6]).await;
}

#[tokio::test]
async fn each_fault_of_the_role_is_named_everywhere_and_nothing_is_lost() {
    Scene::new().await.judge(&FAULTS[6..]).await;
}
