//! What befalls our own schema, and the cluster's queue of notifications.

use super::fault::{Fault, Plant, Ready};
use super::scene::Scene;
use crate::harness::Database;

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = &[
    Fault::new(Plant::Sql("alter table rowcast.events enable row level security"), Ready::Failing("row_security", "rows of rowcast.events"), ("row_security", "failure", "rows of rowcast.events")),
    Fault::new(Plant::Sql("alter table rowcast.sessions enable row level security"), Ready::Failing("row_security", "rows of rowcast.sessions"), ("row_security", "failure", "rows of rowcast.sessions")),
    Fault::new(Plant::Sql("alter table rowcast.attached enable row level security"), Ready::Failing("row_security", "rows of rowcast.attached"), ("row_security", "failure", "rows of rowcast.attached")),
    Fault::new(Plant::Sql("drop trigger wake on rowcast.events"), Ready::Degraded("wake", "is not on rowcast.events"), ("wake", "failure", "is not on rowcast.events")),
    Fault::new(Plant::Held("lock table rowcast.sessions"), Ready::Failing("locks", "keeps rowcast.sessions locked against everybody"), ("locks", "failure", "keeps rowcast.sessions locked against everybody")),
    Fault::new(Plant::Held("lock table rowcast.events"), Ready::Failing("locks", "keeps rowcast.events locked against everybody"), ("locks", "failure", "keeps rowcast.events locked against everybody")).uncaptured(),
    Fault::new(Plant::Held("lock table rowcast.events in share mode"), Ready::Failing("locks", "keeps rowcast.events locked against whoever writes"), ("locks", "failure", "keeps rowcast.events locked against whoever writes")).uncaptured(),
    Fault::new(Plant::Sql("create function no_room() returns trigger language plpgsql as $$ begin raise exception 'no room' using errcode = '53100'; end $$; create trigger no_room before insert on rowcast.sessions for each row execute function no_room()"),
        Ready::Failing("sessions", "no room"), ("triggers", "warning", "the trigger no_room on rowcast.sessions")),
    Fault::new(Plant::Sql("update pretended set usage = 0.6"), Ready::Degraded("notify_queue", "60 % full"), ("notify_queue", "failure", "60.0 % full"))
        .mended_by("update pretended set usage = 0"),
];

#[tokio::test]
async fn each_fault_of_the_outbox_is_named_everywhere_and_nothing_is_lost() {
    let database = Database::chat().await;
    crate::notify_queue::pretend_usage(&database).await;
    let say = "insert into messages (contact_id, body) values ('42', 'BODY')";
    Scene::on(database, "", say).await.judge(FAULTS).await;
}
