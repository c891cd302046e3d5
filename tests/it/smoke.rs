//! The harness itself.

use crate::harness::Database;

#[tokio::test]
async fn a_test_has_a_database_of_its_own() {
    let database = Database::chat().await;
    assert_eq!(database.value("select count(*) from messages").await, "0");
    let id = database.say("42", "hi").await;
    assert_eq!(database.value("select id from messages").await, id);
}
