//! What befalls an attached table. Rows that it does not capture meanwhile are known to be missing, since that is what is told.

use super::fault::{Fault, Plant, Ready};
use super::scene::Scene;
use crate::harness::Database;

const ATTACH: &str =
    "select rowcast.attach('orders', room => 'conversation:{chat}', on_insert => 'message:new')";
const SAY: &str = "insert into orders (chat, body) values ('42', 'BODY')";

#[rustfmt::skip]
pub(super) const FAULTS: &[Fault] = &[
    Fault::new(Plant::Sql("alter table orders disable trigger rowcast_insert"), Ready::Degraded("sources", "rowcast_insert is disabled"), ("sources", "failure", "rowcast_insert is disabled"))
        .logged("the trigger rowcast_insert is disabled", "over: the trigger rowcast_insert is disabled")
        .uncaptured(),
    Fault::new(Plant::Sql("drop trigger rowcast_insert on orders"), Ready::Degraded("sources", "rowcast_insert is missing"), ("sources", "failure", "rowcast_insert is missing"))
        .logged("the trigger rowcast_insert is missing", "over: the trigger rowcast_insert is missing")
        .uncaptured().mended_by(ATTACH),
    Fault::new(Plant::Sql("alter table orders enable replica trigger rowcast_insert"), Ready::Degraded("sources", "for a replica only"), ("sources", "failure", "for a replica only"))
        .logged("fires for a replica only", "over: the trigger rowcast_insert fires for a replica only")
        .uncaptured(),
    Fault::new(Plant::Sql("alter table orders rename to bills; create view orders as select id, chat, body from bills"), Ready::Degraded("sources", "renamed to public.bills"), ("sources", "failure", "renamed to public.bills"))
        .logged("renamed to public.bills", "over: renamed to public.bills")
        .mended_by("drop view orders; alter table bills rename to orders"),
    Fault::new(Plant::Sql("alter table orders rename chat to talk"), Ready::Degraded("sources", "the column chat of the room is gone"), ("sources", "failure", "the column chat of the room is gone"))
        .logged("the column chat of the room is gone", "over: the column chat of the room is gone")
        .uncaptured().mended_by("alter table orders rename talk to chat"),
    Fault::new(Plant::Sql("create table orders_all (like orders) partition by list (chat); alter table orders_all attach partition orders default"), Ready::Degraded("sources", "became a partition"), ("sources", "failure", "became a partition"))
        .logged("the table became a partition", "over: the table became a partition")
        .mended_by("alter table orders_all detach partition orders"),
    Fault::new(Plant::Sql("alter table orders enable row level security"), Ready::Degraded("sources", "row security"), ("row_security", "warning", "rows of public.orders"))
        .logged("row security ", "over: row security "),
    Fault::new(Plant::Sql("drop table orders; create table orders (id int generated always as identity primary key, chat text, body text); grant select on orders to ROLE"), Ready::Degraded("sources", "made anew"), ("sources", "failure", "made anew"))
        .logged("the table was made anew", "over: the table was made anew")
        .uncaptured().mended_by(ATTACH),
];

#[tokio::test]
async fn each_fault_of_a_table_is_named_everywhere_and_nothing_is_lost() {
    let table = format!(
        "create table orders (id int generated always as identity primary key, chat text, body text); \
         create index on orders (chat, id); {ATTACH}"
    );
    Scene::on(Database::chat().await, &table, SAY)
        .await
        .judge(FAULTS)
        .await;
}
