//! The names of the metrics, as the guide has them.

use super::*;

#[test]
fn the_guide_says_when_to_look_into_each_metric() {
    let guide = include_str!("../../docs/INTEGRATION.md");
    for name in Meters::NAMES {
        let name = format!("rowcast_{name}");
        let is_named = guide.match_indices(&name).any(|(at, _)| {
            let rest = &guide[at + name.len()..];
            let rest = rest.strip_prefix("_total").unwrap_or(rest);
            let rest = rest.strip_prefix("_bucket").unwrap_or(rest);
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        });
        assert!(is_named, "docs/INTEGRATION.md, Monitoring, lacks {name}");
    }
}
