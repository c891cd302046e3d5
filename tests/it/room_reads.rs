//! A read of one room's events costs what the room has got since, whatever other rooms have, and whatever the statistics say.

use crate::harness::Server;
use crate::harness::wait::until;
use crate::idle::{entries, size, telling};

/// The most rows that a step of a plan read, or passed over.
fn most_rows(plan: &str) -> f64 {
    let number = |text: &str| {
        let digits: String = text
            .chars()
            .take_while(|digit| digit.is_ascii_digit() || *digit == '.')
            .collect();
        digits.parse::<f64>().expect("a number of rows")
    };
    let read = plan
        .split("actual time=")
        .skip(1)
        .filter_map(|step| step.split_once("rows="))
        .map(|(_, rows)| number(rows));
    let passed = plan.split("Rows Removed by ").skip(1);
    let passed = passed.filter_map(|step| step.split_once(": "));
    let passed = passed.map(|(_, rows)| number(rows));
    read.chain(passed).fold(0.0, f64::max)
}

#[tokio::test]
async fn a_read_of_one_room_walks_no_other_room_s_events() {
    let (postgres, database) = telling(&[
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
    ])
    .await;
    let fill = "insert into rowcast.events (room, event, data)
                select 'conversation:' || n % 50, 'x', '{}' from generate_series(1, 50000) n";
    let server = Server::on(&database).await;
    let quiet = server.offset("quiet").await;
    database.run(fill).await;
    let busy = until("the offset after it", async || {
        let offset = server.offset("7").await;
        (offset != quiet).then_some(offset)
    })
    .await;
    for statistics in ["", "analyze rowcast.events"] {
        database.run(statistics).await;
        // One that missed nothing of a room with many events, and one that is far behind in a room with none.
        for (contact, offset) in [("7", &busy), ("quiet", &quiet)] {
            let from = size(&postgres);
            let read = server
                .read(contact, &format!("events?after={offset}"))
                .await;
            assert_eq!(read["events"].as_array().map(Vec::len), Some(0), "{read}");
            let plan = until("the plan of the read", async || {
                let said = entries(&postgres, from).into_iter();
                let mut read =
                    said.filter(|(who, said)| who == "rowcast http" && said.contains("measured"));
                read.next().map(|(_, plan)| plan)
            })
            .await;
            let most = most_rows(&plan);
            assert!(
                most < 200.0,
                "{contact}, {statistics:?}: {most} rows: {plan}"
            );
        }
    }
}
