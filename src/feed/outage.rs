//! What the log is told of a loop that fails and is tried again.
//!
//! Guarantees one line for each cause of an outage, however often it is met, and one when the outage is over.

/// So many causes of one outage are told. More would be one cause whose words differ each time.
const CAUSES: usize = 8;

/// The causes that were told since the loop last worked.
#[derive(Debug, Default)]
pub(super) struct Outage(Vec<String>);

impl Outage {
    /// The loop failed. Whether the log is to be told.
    pub(super) fn is_news(&mut self, cause: &str) -> bool {
        if self.0.len() == CAUSES || self.0.iter().any(|told| told == cause) {
            return false;
        }
        self.0.push(cause.to_owned());
        true
    }

    /// The loop works. Whether the log is to be told.
    pub(super) fn ends(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_told_once_and_the_end_once() {
        let mut outage = Outage::default();
        assert!(!outage.ends(), "nothing has begun");
        let told = ["refused", "starting", "refused"].map(|cause| outage.is_news(cause));
        assert_eq!(told, [true, true, false]);
        assert_eq!([outage.ends(), outage.ends()], [true, false]);
        assert!(outage.is_news("refused"), "another outage");
    }

    #[test]
    fn a_cause_in_ever_new_words_is_no_flood() {
        let mut outage = Outage::default();
        let told = (0..1_000).filter(|number| outage.is_news(&number.to_string()));
        assert_eq!(told.count(), CAUSES);
    }
}
