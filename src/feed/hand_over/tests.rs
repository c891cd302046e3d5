use std::time::Duration;

use serde_json::value::RawValue;

use super::*;
use crate::event::Event;
use crate::feed::fakes::{FakeSink, Handed};
use crate::offset::{Epoch, EpochKey};

const UNFLUSHED: LogPosition = LogPosition {
    written: 200,
    flushed: 100,
};

fn snapshot(xmax: u64) -> Arc<Snapshot> {
    Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
}

fn head(crashes: usize, xmax: u64, log_written: i64) -> Head {
    Head {
        epoch: Epoch {
            value: EpochKey::of(7),
            crashes,
        },
        recovered: Arc::default(),
        snapshot: snapshot(xmax),
        log_written,
    }
}

/// A part of a read that sees everything below `xmax`.
fn part(xmax: u64, log: LogPosition, ids: &[i64], complete: bool) -> ReadPart {
    let event = |id: i64| Event {
        id,
        xid: id.unsigned_abs(),
        room: format!("room {id}").as_str().into(),
        name: "e".into(),
        payload: RawValue::NULL.to_owned(),
        at_us: id,
        age: Duration::ZERO,
        traceparent: None,
    };
    ReadPart {
        snapshot: snapshot(xmax),
        log,
        pruned: None,
        events: ids.iter().map(|id| Arc::new(event(*id))).collect(),
        synced: false,
        complete,
        is_large: false,
    }
}

/// What was handed over since the last look: of each batch the ids that are not repeated, and whether it ends its read.
fn batches(sink: &FakeSink) -> Vec<(Vec<i64>, bool)> {
    let handed = sink.handed.send_replace(Vec::new());
    let batches = handed.into_iter().filter_map(|handed| match handed {
        Handed::Batch(batch) => Some((
            batch
                .events
                .iter()
                .filter(|event| !event.repeated)
                .map(|event| event.event.id)
                .collect(),
            batch.complete,
        )),
        _ => None,
    });
    batches.collect()
}

/// After the crash that followed a read of these events; with the position to go on from.
async fn crashed_after(ids: &[i64]) -> (HandOver<FakeSink>, FakeSink, Offset) {
    let sink = FakeSink::default();
    let mut hand_over = HandOver::new(sink.clone());
    let mut position = hand_over.connected(None, head(0, 10, 100)).await;
    let mut read = ReadUnderWay::from(&position);
    let whole = part(20, UNFLUSHED, ids, true);
    hand_over.hand_over(&mut read, whole, &mut position).await;
    let position = hand_over.connected(Some(position), head(1, 20, 200)).await;
    assert_eq!(position.seen, Seen::All(snapshot(10)), "before the crash");
    batches(&sink);
    (hand_over, sink, position)
}

#[tokio::test]
async fn what_was_delivered_before_a_crash_is_handed_over_as_repeated() {
    let (mut hand_over, sink, mut position) = crashed_after(&[11, 12, 15]).await;
    let mut read = ReadUnderWay::from(&position);
    let mut take = async |ids: &[i64], complete| {
        let part = part(30, UNFLUSHED, ids, complete);
        hand_over.hand_over(&mut read, part, &mut position).await;
        (batches(&sink), position.clone())
    };
    let (handed, at) = take(&[11, 12], false).await;
    assert_eq!(handed, [(vec![], false)], "they were delivered before");
    assert!(matches!(&at.seen, Seen::Part { id: 12, .. }), "{at:?}");
    let (handed, at) = take(&[13, 15, 16], false).await;
    assert_eq!(handed, [(vec![13, 16], false)]);
    assert!(matches!(&at.seen, Seen::Part { id: 16, .. }), "{at:?}");
    let (handed, at) = take(&[], true).await;
    assert_eq!(handed, [(vec![], true)], "the end of the read is told");
    assert_eq!(at.seen, Seen::All(snapshot(30)));
    assert_eq!(read.events(), 2);
}

#[tokio::test]
async fn a_part_that_ends_with_what_was_delivered_before_ends_there() {
    let (mut hand_over, sink, mut position) = crashed_after(&[12]).await;
    let mut read = ReadUnderWay::from(&position);
    let first = part(30, UNFLUSHED, &[11, 12], false);
    hand_over.hand_over(&mut read, first, &mut position).await;
    assert!(matches!(&position.seen, Seen::Part { id: 12, .. }));
    assert_eq!(batches(&sink), [(vec![11], false)]);
    // The read breaks off here, and is finished with what follows.
    let mut read = ReadUnderWay::from(&position);
    let rest = part(30, UNFLUSHED, &[13], true);
    hand_over.hand_over(&mut read, rest, &mut position).await;
    assert_eq!(batches(&sink), [(vec![13], true)]);
}

#[tokio::test]
async fn what_was_repeated_in_a_read_that_broke_off_is_repeated_after_another_crash() {
    let (mut hand_over, sink, mut position) = crashed_after(&[11, 12]).await;
    let mut read = ReadUnderWay::from(&position);
    let first = part(30, UNFLUSHED, &[11], false);
    hand_over.hand_over(&mut read, first, &mut position).await;
    position = hand_over.connected(Some(position), head(2, 30, 300)).await;
    let mut read = ReadUnderWay::from(&position);
    let whole = part(30, UNFLUSHED, &[11, 12, 13], true);
    hand_over.hand_over(&mut read, whole, &mut position).await;
    assert_eq!(batches(&sink), [(vec![], false), (vec![13], true)]);
}

#[tokio::test]
async fn a_read_that_sees_nothing_new_is_not_handed_over() {
    let (mut hand_over, sink, mut position) = crashed_after(&[11]).await;
    // The first one tells of the crash.
    let end = || vec![(vec![], true)];
    for (xmax, handed) in [(10, end()), (10, vec![]), (11, end()), (11, vec![])] {
        let mut read = ReadUnderWay::from(&position);
        let nothing = part(xmax, UNFLUSHED, &[], true);
        hand_over.hand_over(&mut read, nothing, &mut position).await;
        assert_eq!(batches(&sink), handed, "up to {xmax}");
    }
}
