use super::*;

fn snapshot(xmax: u64) -> Arc<Snapshot> {
    Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
}

fn event(id: i64) -> EventIdentity {
    EventIdentity { id, at_us: id * 10 }
}

fn log(written: i64, flushed: i64) -> LogPosition {
    LogPosition { written, flushed }
}

/// A whole pass with these events; those that are delivered.
fn pass(guard: &mut CrashGuard, log: LogPosition, xmax: u64, ids: &[i64]) -> Vec<i64> {
    guard.begin_read(log, false);
    let delivered = ids
        .iter()
        .copied()
        .filter(|id| guard.is_news(event(*id), &Room::from("r")))
        .collect();
    guard.handed_over();
    guard.end_read(&snapshot(xmax));
    delivered
}

#[test]
fn it_goes_back_to_what_was_flushed() {
    let mut guard = CrashGuard::default();
    assert_eq!(guard.crashed(), ReadFrom::Here);
    pass(&mut guard, log(100, 100), 10, &[]);
    assert_eq!(guard.crashed(), ReadFrom::Here);
    pass(&mut guard, log(200, 120), 20, &[1]);
    pass(&mut guard, log(300, 200), 30, &[2]);
    assert_eq!(guard.crashed(), ReadFrom::Back(snapshot(20)));
    assert_eq!(
        pass(&mut guard, log(300, 300), 31, &[2, 3]),
        [3],
        "what was delivered is not delivered again"
    );
    assert_eq!(guard.crashed(), ReadFrom::Here);
}

#[test]
fn nothing_flushed_is_nowhere_to_go_back_to() {
    let mut guard = CrashGuard::default();
    pass(&mut guard, log(200, 100), 10, &[]);
    assert_eq!(guard.crashed(), ReadFrom::Nowhere);
}

#[test]
fn a_pass_that_broke_off_is_not_safe() {
    let mut guard = CrashGuard::default();
    pass(&mut guard, log(100, 100), 10, &[]);
    guard.begin_read(log(200, 200), false);
    assert!(guard.is_news(event(1), &Room::from("r")));
    assert_eq!(guard.crashed(), ReadFrom::Here, "it is in the pass");
    guard.begin_read(log(300, 250), true);
    assert!(guard.is_news(event(2), &Room::from("r")));
    assert_eq!(guard.crashed(), ReadFrom::Here, "all of it is flushed");

    guard.begin_read(log(400, 300), false);
    assert!(guard.is_news(event(3), &Room::from("r")));
    assert_eq!(guard.crashed(), ReadFrom::Here, "it was not handed on");
    guard.begin_read(log(400, 300), false);
    assert!(guard.is_news(event(3), &Room::from("r")));
    guard.handed_over();
    assert!(guard.is_news(event(4), &Room::from("r")));
    assert_eq!(guard.crashed(), ReadFrom::Back(snapshot(10)));
    assert_eq!(pass(&mut guard, log(500, 500), 40, &[3, 4]), [4]);
}

#[test]
fn a_pass_that_breaks_off_twice_leaves_out_twice() {
    let mut guard = CrashGuard::default();
    pass(&mut guard, log(100, 100), 10, &[]);
    pass(&mut guard, log(200, 100), 20, &[1, 2]);
    for resume in [ReadFrom::Back(snapshot(10)), ReadFrom::Here] {
        assert_eq!(guard.crashed(), resume);
        guard.begin_read(log(200, 100), false);
        assert!(!guard.is_news(event(1), &Room::from("r")));
    }
    guard.crashed();
    assert_eq!(pass(&mut guard, log(300, 300), 30, &[1, 2, 3]), [3]);
}

#[test]
fn what_is_not_found_again_is_named() {
    let mut guard = CrashGuard::default();
    pass(&mut guard, log(100, 100), 10, &[]);
    guard.begin_read(log(200, 100), false);
    for (id, room) in [(1, "kept"), (2, "undone")] {
        assert!(guard.is_news(event(id), &Room::from(room)));
    }
    guard.handed_over();
    assert!(guard.end_read(&snapshot(20)).is_empty());
    guard.crashed();
    guard.begin_read(log(150, 150), false);
    assert!(!guard.is_news(event(1), &Room::from("kept")));
    let reused = EventIdentity { id: 2, at_us: 99 };
    assert!(
        guard.is_news(reused, &Room::from("other")),
        "another event with the same id"
    );
    assert_eq!(guard.end_read(&snapshot(15)), [Room::from("undone")]);
    assert!(guard.end_read(&snapshot(15)).is_empty());
}

#[test]
fn where_the_log_is_not_told_a_crash_leaves_nowhere_to_go_back_to() {
    let mut guard = CrashGuard::default();
    pass(&mut guard, log(100, 100), 10, &[]);
    assert_eq!(pass(&mut guard, log(0, -1), 20, &[1, 2]), [1, 2]);
    assert!(guard.delivered.is_empty() && guard.unflushed_reads.is_empty());
    assert_eq!(guard.crashed(), ReadFrom::Nowhere);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut guard = CrashGuard::default();
    pass(&mut guard, log(100, 100), 10, &[]);
    let many: Vec<i64> = (0..=MAX_REMEMBERED as i64).collect();
    pass(&mut guard, log(200, 100), 20, &many);
    assert!(guard.delivered.len() < MAX_REMEMBERED);
    assert_eq!(guard.crashed(), ReadFrom::Nowhere);
    pass(&mut guard, log(200, 200), 30, &[]);
    assert_eq!(guard.crashed(), ReadFrom::Here);
}
