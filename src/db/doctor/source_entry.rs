//! An attached table as it is listed: what becomes of its rows, how many events there are, and what mends its problems.

use serde::{Deserialize, Serialize};

use super::Doctor;
use crate::db::{Database, cause_of};

pub(super) const SOURCES: &str = "
select source, coalesce(relation::text, '') as relation, room, rooms, events, coalesce(order_column, '') as order_column, problems
from rowcast.sources order by source";

/// How many events of each table were written in the last minute, or since the last so many events, in a second. Costs as much however
/// many events there are.
const PACE: &str = "
with last as materialized (
  select source, at from rowcast.events order by id desc limit 10000
), span as (
  select case when count(*) < 10000 then 60 else greatest(least(60, extract(epoch from clock_timestamp() - min(at))), 0.001) end as seconds
  from last
)
select source, (count(*) / (select seconds from span))::float8 as per_second
from last where source is not null and at > clock_timestamp() - interval '60 s' group by source";

/// An attached table.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SourceEntry {
    /// The name that it was attached by.
    pub source: String,
    /// The table that it is now; empty where that is gone.
    pub relation: String,
    /// The template of its first room.
    pub room: String,
    /// The templates of all of its rooms.
    #[serde(default)]
    pub rooms: Vec<String>,
    /// What becomes an event, and which.
    pub events: Vec<String>,
    /// What history is sorted by; empty for the key alone.
    pub order_column: String,
    /// What is amiss.
    pub problems: Vec<String>,
    /// The events of the last minute, in a second; `None` where the role may not read events.
    #[serde(default)]
    pub events_per_second: Option<f64>,
}

/// What a problem means, and what mends it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Mend {
    /// The problem.
    pub said: String,
    /// What it does to whoever waits for events.
    pub means: &'static str,
    /// What to run, or what else to do, as a comment.
    pub paste: String,
}

/// The attached tables.
///
/// # Errors
/// The database's own, in words.
pub(crate) async fn list_sources(database: &Database) -> anyhow::Result<Vec<SourceEntry>> {
    let mut doctor = Doctor::new(database.clone(), std::time::Duration::ZERO, false, false);
    doctor.connection = Some(super::open(database).await.map_err(|error| {
        anyhow::anyhow!(
            "{} can't be used: {}",
            database.describe(),
            cause_of(&error)
        )
    })?);
    let listed = doctor.rows::<SourceEntry>(SOURCES).await;
    let mut listed = listed.map_err(|why| anyhow::anyhow!("the attached tables can't be read: {}; it takes the rights of a server, or of who attaches: `rowcast grant ROLE`", why.0))?;
    #[derive(Deserialize)]
    struct Pace {
        source: String,
        per_second: f64,
    }
    // Who may attach need not be one who may read events.
    if let Ok(paces) = doctor.rows::<Pace>(PACE).await {
        for entry in &mut listed {
            let pace = paces.iter().find(|pace| pace.source == entry.source);
            entry.events_per_second = Some(pace.map_or(0.0, |pace| pace.per_second));
        }
    }
    Ok(listed)
}

/// What a problem does to whoever waits for events.
fn meaning(problem: &str) -> &'static str {
    if is_only_renamed(problem) {
        "Its events and its history go on, from the table under its new name; the source has the old one."
    } else if problem.starts_with("history may not read")
        || problem.starts_with("row security may hide")
    {
        "Its events go out; rows of it are missing in history."
    } else {
        "The table is not captured as it was attached: changes of it are missing among the events."
    }
}

/// Whether the table has another name and is otherwise as it was: no other one has taken its name.
fn is_only_renamed(problem: &str) -> bool {
    problem.starts_with("renamed to ") && problem.ends_with(": attach it again")
}

impl SourceEntry {
    /// What its problems mean, and what mends each.
    pub(crate) fn mends(&self) -> Vec<Mend> {
        let problems = self.problems.iter();
        problems
            .map(|problem| Mend {
                said: problem.clone(),
                means: meaning(problem),
                paste: mend(problem).unwrap_or_else(|| self.attach_again(problem)),
            })
            .collect()
    }

    /// The old and the new name of a column, where one is gone and one has come.
    fn renamed_column(&self) -> Option<(&str, &str)> {
        let gone = [
            " of the room is gone,",
            " of the condition is gone,",
            " is gone:",
        ];
        let problems = || self.problems.iter();
        let mut lost = problems().filter_map(|p| gone.iter().find_map(|end| column(p, end)));
        let mut new = problems().filter_map(|problem| column(problem, " is not sent:"));
        let pair = (lost.next()?, new.next()?);
        (lost.next().is_none() && new.next().is_none()).then_some(pair)
    }

    /// What to do where no one statement mends it. A comment, because the arguments are those of the user's own migration.
    fn attach_again(&self, problem: &str) -> String {
        let Self {
            source, relation, ..
        } = self;
        if let Some((old, new)) = self.renamed_column() {
            return format!(
                "-- if {old} is called {new} now: attach {source} again as your migration does, with {new} for {old}; or call it as before: \
                 alter table {source} rename column {new} to {old};"
            );
        }
        if is_only_renamed(problem) {
            return format!(
                "-- call rowcast.attach('{}', ...) as your migration does for {source}: it takes the place of that",
                quoted(relation)
            );
        }
        format!(
            "-- attach {source} again as your migration does; or, if its events are to end: select rowcast.detach('{}');",
            quoted(source)
        )
    }
}

/// The column that such a problem is about, if it ends so and its name needs no quotes.
fn column<'p>(problem: &'p str, end: &str) -> Option<&'p str> {
    let name = problem.strip_prefix("the column ")?;
    let name = name.split_once(end)?.0;
    let is_plain = |c: char| c == '_' || c.is_ascii_digit() || c.is_ascii_lowercase();
    name.chars().all(is_plain).then_some(name)
}

/// As it stands within a literal of SQL.
fn quoted(name: &str) -> String {
    name.replace('\'', "''")
}

/// The statement with which a problem ends, if it ends with one.
fn mend(problem: &str) -> Option<String> {
    if let Some((_, rows)) = problem.split_once("; select at, data ") {
        return Some(format!("select at, data {rows};"));
    }
    let (_, mend) = problem.rsplit_once(": ")?;
    let statement = mend.split(", or ").next()?;
    ["alter ", "grant ", "drop "]
        .iter()
        .any(|verb| statement.starts_with(verb))
        .then(|| format!("{statement};"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_was_renamed_is_named_by_both_names() {
        let said = [
            "the column client_id is not sent: attach it again",
            "the column customer_id of the room is gone, so no row has a room: attach it again",
            "a row was not sent lately because x: mend such rows, or leave them out by a condition; select at, data from rowcast.events where a",
        ];
        let mut source = SourceEntry {
            source: "public.orders".to_owned(),
            relation: "public.orders".to_owned(),
            room: String::new(),
            rooms: Vec::new(),
            events: Vec::new(),
            order_column: String::new(),
            problems: said.map(str::to_owned).to_vec(),
            events_per_second: None,
        };
        let mends = source.mends();
        let back = "alter table public.orders rename column client_id to customer_id;";
        assert!(mends[0].paste.ends_with(back) && mends[1].paste == mends[0].paste);
        assert_eq!(
            mends[2].paste,
            "select at, data from rowcast.events where a;"
        );
        // Which of two new ones it is, nobody can say.
        source
            .problems
            .push("the column note is not sent: attach it again".to_owned());
        assert!(!source.mends()[0].paste.contains("rename column"));
    }

    #[test]
    fn a_table_that_was_only_renamed_loses_no_event_and_is_not_to_be_detached() {
        let source = SourceEntry {
            source: "public.messages".to_owned(),
            relation: "public.letters".to_owned(),
            room: String::new(),
            rooms: Vec::new(),
            events: Vec::new(),
            order_column: String::new(),
            problems: Vec::new(),
            events_per_second: None,
        };
        let renamed = "renamed to public.letters: attach it again";
        assert!(meaning(renamed).contains("go on"));
        let paste = source.attach_again(renamed);
        assert!(paste.contains("rowcast.attach('public.letters'") && !paste.contains("detach"));
        let swapped = "renamed to public.letters, and rows of the table that is called public.messages now are not sent: \
                       select rowcast.detach('public.messages'), and attach it";
        assert!(meaning(swapped).contains("are missing among the events"));
        assert!(
            source
                .attach_again(swapped)
                .contains("detach('public.messages')")
        );
    }
}
