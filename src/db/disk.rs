//! Whether the disk of Postgres takes another page.
//!
//! A full disk fails whoever writes a row that needs one, so nothing is captured, while everything of ours goes on: there is nothing to
//! read, and a session fits into a page that is there. SQL can't ask what is free. So something is written that needs no right, no
//! log and no row: the temporary file of a statement that has more rows than memory, which Postgres removes when the statement ends.
//! Refuses to judge a disk that is not that of temporary files (`temp_tablespaces`, by default the database's own).

/// Fails where the disk is full. Within a transaction: the setting ends with it.
pub(super) const WRITE_PAGES: &str =
    "set local work_mem = '64kB'; select count(*) from generate_series(1, 5000)";
/// The same as a query alone, after [`SMALL_MEMORY`].
pub(super) const FILL_PAGES: &str = "select count(*) as rows from generate_series(1, 5000)";
/// The least that Postgres takes.
pub(super) const SMALL_MEMORY: &str = "set local work_mem = '64kB'";

/// What a full disk does.
pub(super) const NO_ROOM_MEANS: &str =
    "Writers fail, of your back end too, so there are no events; next Postgres stops.";
/// What to do. Nothing that can be pasted makes room by itself.
pub(super) const MAKE_ROOM: &str = "df -h # where Postgres runs: remove what is not Postgres's (never in pg_wal), or make the disk larger";
