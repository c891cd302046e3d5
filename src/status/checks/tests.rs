use super::*;

#[test]
fn a_check_is_over_when_all_who_found_a_fault_say_so() {
    let checks = Checks::default();
    checks.fail(Check::Sessions, FoundBy::Operation, "permission denied");
    checks.fail(Check::Sessions, FoundBy::SelfCheck, "may not insert");
    checks.fail(Check::Retention, FoundBy::Operation, "permission denied");
    let causes = |checks: &Checks| {
        let failing = checks.failing().into_iter();
        failing
            .map(|(check, cause)| format!("{}: {cause}", check.name()))
            .collect::<Vec<_>>()
    };
    let both = ["sessions: may not insert", "retention: permission denied"];
    assert_eq!(causes(&checks), both);
    checks.pass(Check::Sessions, FoundBy::SelfCheck);
    assert!(checks.found(Check::Sessions, FoundBy::Operation));
    checks.pass(Check::Sessions, FoundBy::Operation);
    assert!(!checks.state().is_failing(Check::Sessions) && checks.any_fails());
    checks.pass(Check::Retention, FoundBy::Operation);
    assert!(!checks.any_fails());
}

#[test]
fn the_alerts_know_which_checks_take_a_server_out_of_service() {
    let alerts = include_str!("../../../ops/prometheus/alerts.yaml");
    let critical = alerts
        .lines()
        .find_map(|line| line.trim().strip_prefix("expr: rowcast_ready{check=~\""))
        .and_then(|rest| rest.split('"').next())
        .expect("the alert RowcastUnready");
    let named: Vec<_> = critical.split('|').chain(["sessions"]).collect();
    for check in Check::ALL {
        let is_failing = check.severity() == Severity::Failing;
        assert_eq!(
            named.contains(&check.name()),
            is_failing,
            "{}",
            check.name()
        );
    }
    let but = format!("expr: rowcast_ready{{check!~\"{critical}|sessions\"}} == 0");
    assert!(alerts.contains(&but), "RowcastDegraded is about the others");
}

#[test]
fn the_log_has_one_line_for_a_fault_that_comes_and_goes() {
    let checks = Checks::default();
    for _ in 0..3 {
        checks.fail(Check::Sessions, FoundBy::Operation, "no");
        checks.pass(Check::Sessions, FoundBy::Operation);
    }
    let last = |checks: &Checks| {
        let state = checks.state();
        let last = &state.logged[&Check::Sessions];
        (last.cause.clone(), last.open)
    };
    assert_eq!(last(&checks), ("no".to_owned(), false), "it has ended");
    checks.fail(Check::Sessions, FoundBy::Operation, "no");
    assert_eq!(last(&checks), ("no".to_owned(), false), "nothing is said");
    checks.fail(Check::Sessions, FoundBy::Operation, "another cause");
    assert_eq!(last(&checks), ("another cause".to_owned(), true));
}
