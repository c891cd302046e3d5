//! Faults planted one by one in a running system: readiness, the log, a metric and the doctor name each, its end is told, and no
//! event is lost or doubled by it.
//!
//! `rights` has the faults of the server's role, `tables` those of an attached table, `outbox` those of our own schema, and `cluster`
//! those of Postgres as a whole. `fault` says what one is; `scene` plants and judges.

mod cluster;
mod fault;
mod outbox;
mod rights;
mod scene;
mod tables;

#[test]
fn there_are_more_than_thirty_of_them() {
    let listed = rights::FAULTS.len() + tables::FAULTS.len() + outbox::FAULTS.len();
    assert!(listed + cluster::FAULTS > 30, "{listed}");
}
