//! How much of something one address, or one identity, may have.
//!
//! A leaf, and bookkeeping alone: whoever asks refuses, counts and logs. `rates` are so many a second, `places` so many at a time,
//! `pace` is what one connection may do again and again, [`Holder`] is who is counted, `sampled` keeps the log from repeating
//! itself.
//! Guarantees that the tables are bounded, whatever addresses come: places by the places that there are, rates by a number of
//! their own.

mod holder;
mod pace;
mod places;
mod rates;
mod sampled;

pub(crate) use holder::{ClientAddress, Holder};
pub(crate) use pace::Pace;
pub(crate) use places::{Full, Place, Places};
pub(crate) use rates::Rates;
pub(crate) use sampled::Sampled;
