//! So many of something at a time: in all, and for one holder.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::holder::Holder;

/// The places that there are, and who has some. A leaf among the locks.
pub(crate) struct Places {
    in_all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_holder: HashMap<Holder, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    InAll,
    /// The holder has as many as it may.
    Each,
}

/// A place that is taken, until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    /// `None` for one that is counted in all only.
    holder: Option<Holder>,
    /// How many places it is.
    count: usize,
    /// Whether it counts in all only by now.
    is_share_back: AtomicBool,
}

impl Places {
    /// So many in all, of which one holder may have `each`.
    pub(crate) fn new(in_all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self {
            in_all,
            each,
            taken: Mutex::default(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a holder, or for somebody whose share is not limited.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn take(self: &Arc<Self>, holder: Option<Holder>) -> Result<Place, Full> {
        self.take_many(holder, 1)
    }

    /// Takes so many places at once. A holder that has none may have more than its share, as long as there are so many.
    ///
    /// # Errors
    /// There are not so many.
    pub(crate) fn take_many(
        self: &Arc<Self>,
        holder: Option<Holder>,
        count: usize,
    ) -> Result<Place, Full> {
        let mut taken = self.taken();
        if taken.in_all.saturating_add(count) > self.in_all {
            return Err(Full::InAll);
        }
        if let Some(holder) = &holder {
            let before = taken.by_holder.get(holder).copied().unwrap_or_default();
            if before > 0 && before.saturating_add(count) > self.each {
                return Err(Full::Each);
            }
            taken.by_holder.insert(holder.clone(), before + count);
        }
        taken.in_all += count;
        drop(taken);
        Ok(Place {
            places: self.clone(),
            holder,
            count,
            is_share_back: AtomicBool::new(false),
        })
    }

    /// How many a holder has.
    pub(crate) fn of(&self, holder: &Holder) -> usize {
        let taken = self.taken();
        taken.by_holder.get(holder).copied().unwrap_or_default()
    }
}

impl Place {
    /// Whom it is counted for.
    pub(crate) fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Its holder has gone, and may have another one at once. Until it is dropped it counts in all, for what is still kept.
    pub(crate) fn give_share_back(&self) {
        let mut taken = self.places.taken();
        self.take_off_share(&mut taken);
    }

    fn take_off_share(&self, taken: &mut Taken) {
        let (Some(holder), false) = (
            &self.holder,
            self.is_share_back.swap(true, Ordering::Relaxed),
        ) else {
            return;
        };
        if let Some(count) = taken.by_holder.get_mut(holder) {
            *count -= self.count;
            if *count == 0 {
                taken.by_holder.remove(holder);
            }
        }
        // A flood of addresses is over: its table does not stay.
        if taken.by_holder.len() * 8 < taken.by_holder.capacity() {
            taken.by_holder.shrink_to_fit();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.in_all -= self.count;
        self.take_off_share(&mut taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(last: u8) -> Holder {
        Holder::at([10, 0, 0, last].into())
    }

    #[test]
    fn each_has_its_share_and_all_together_theirs() {
        let places = Places::new(5, 2);
        let first: Vec<_> = (0..2)
            .map(|_| places.take(Some(holder(1))).expect("a place"))
            .collect();
        assert_eq!(places.take(Some(holder(1))).err(), Some(Full::Each));
        let _second = places.take(Some(holder(2))).expect("a place");
        let _free = [places.take(None), places.take(None)].map(|free| free.expect("a place"));
        assert_eq!(places.take(Some(holder(3))).err(), Some(Full::InAll));
        assert_eq!(places.take(None).err(), Some(Full::InAll));
        drop(first);
        assert!(places.take(Some(holder(1))).is_ok());
    }

    #[test]
    fn who_has_gone_gives_its_share_back_before_its_place() {
        let places = Places::new(2, 1);
        let gone = places.take(Some(holder(1))).expect("a place");
        gone.give_share_back();
        gone.give_share_back();
        let next = places.take(Some(holder(1))).expect("its share is free");
        assert_eq!(places.take(Some(holder(2))).err(), Some(Full::InAll));
        drop(gone);
        assert_eq!(places.take(Some(holder(1))).err(), Some(Full::Each));
        drop(next);
        assert_eq!(places.taken().by_holder.len(), 0);
    }

    #[test]
    fn a_share_may_be_taken_in_large_pieces() {
        let places = Places::new(100, 10);
        let many = |last, count| places.take_many(Some(holder(last)), count);
        let (first, second) = (many(1, 6).expect("places"), many(1, 4).expect("places"));
        assert_eq!(many(1, 1).err(), Some(Full::Each));
        drop(first);
        let alone = many(2, 60).expect("one larger piece stands alone");
        assert_eq!(many(3, 60).err(), Some(Full::InAll));
        drop((second, alone));
        assert_eq!(places.taken().in_all, 0);
        assert!(many(3, 60).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_who_has_left() {
        let places = Places::new(100_000, 1);
        let taken: Vec<_> = (0..50_000_u32)
            .map(|number| places.take(Some(Holder::at(std::net::Ipv4Addr::from(number).into()))))
            .collect();
        assert!(taken.iter().all(Result::is_ok));
        drop(taken);
        let table = places.taken();
        assert_eq!((table.in_all, table.by_holder.len()), (0, 0));
        assert!(
            table.by_holder.capacity() < 1_000,
            "{}",
            table.by_holder.capacity()
        );
    }
}
