//! The dashboard in a real Chromium: the built page, the real binary, a real Postgres, and a network that can fail.
//!
//! Every test ends with [`View::calm`] or [`View::clean`], which judge what the page did besides: an id shown twice at a
//! time, a message that vanished or went back, an exception, a request to somebody else.

mod away;
mod blocked;
mod chaos;
mod desk;
mod hot;
mod kinds;
mod late;
mod list;
mod live;
mod long_list;
mod looks;
mod phone;
mod presence;
mod psql;
mod record;
mod reload;
mod restarts;
mod rooms;
mod sending;
mod stage;
mod truth;
mod typing;
mod view;

use psql::psql;
use stage::Stage;
use view::View;
