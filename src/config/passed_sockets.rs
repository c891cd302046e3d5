//! Listening sockets that the process was started with: socket activation, as systemd does it (`sd_listen_fds(3)`).
//!
//! Owns which of them is which listener: by their names `public` and `admin` (`FileDescriptorName=` of a socket unit) where one of
//! them is called so, else by their order. Refuses a socket that is no listening TCP socket, and more of them than there are listeners.
//! Must be taken before the process has a second thread: what it takes it removes from the environment.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

use super::problem::Problem;

const PUBLIC: &str = "public";
const ADMIN: &str = "admin";

/// Sockets that listen already. Whoever passed them holds them too, so connections wait in them while no server runs.
#[derive(Debug, Default)]
pub(crate) struct PassedSockets {
    /// For the public listener.
    pub public: Option<TcpListener>,
    /// For the admin listener.
    pub admin: Option<TcpListener>,
}

impl PassedSockets {
    /// Takes what was passed to this process. `names` is `LISTEN_FDNAMES`.
    pub(super) fn take(names: Option<&str>) -> Result<Self, Problem> {
        let mut passed = ListenFd::from_env();
        let names: Vec<_> = names.unwrap_or_default().split(':').collect();
        let places = assign(passed.len(), &names).map_err(|why| problem(&why))?;
        let mut take = |index: Option<usize>, name| match index {
            Some(index) => listening(&mut passed, index).map_err(|why| {
                problem(&format!(
                    "what was passed for the {name} listener can't be served: {why}"
                ))
            }),
            None => Ok(None),
        };
        Ok(Self {
            public: take(places.public, PUBLIC)?,
            admin: take(places.admin, ADMIN)?,
        })
    }

    /// Where the public one listens.
    pub(super) fn public_address(&self) -> Option<SocketAddr> {
        self.public.as_ref()?.local_addr().ok()
    }
}

fn problem(why: &str) -> Problem {
    Problem::line(format!(
        "LISTEN_FDS: {why}; pass listening TCP sockets: one for the public listener, and one for the admin listener after it, or \
         name them public and admin (FileDescriptorName= of a systemd socket unit)"
    ))
}

fn listening(passed: &mut ListenFd, index: usize) -> Result<Option<TcpListener>, String> {
    let taken = passed.take_tcp_listener(index);
    let Some(socket) = taken.map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    match rustix::net::sockopt::socket_acceptconn(&socket) {
        Ok(true) => {}
        Ok(false) => return Err("it does not listen (Accept=yes of a socket unit?)".to_owned()),
        Err(error) => return Err(error.to_string()),
    }
    let unblocked = socket.set_nonblocking(true);
    unblocked.map_err(|error| error.to_string())?;
    Ok(Some(socket))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Places {
    public: Option<usize>,
    admin: Option<usize>,
}

/// Which of `count` sockets is which.
fn assign(count: usize, names: &[&str]) -> Result<Places, String> {
    if count > 2 {
        return Err(format!("{count} sockets were passed, for two listeners"));
    }
    let names = names.get(..count.min(names.len())).unwrap_or_default();
    let named = |name: &str| names.iter().position(|it| *it == name);
    let places = Places {
        public: named(PUBLIC),
        admin: named(ADMIN),
    };
    if places == Places::default() {
        return Ok(Places {
            public: (count > 0).then_some(0),
            admin: (count > 1).then_some(1),
        });
    }
    let assigned = [places.public, places.admin].iter().flatten().count();
    if assigned < count {
        return Err(format!(
            "one socket is called public or admin, and not each by another of the two names: {}",
            names.join(", ")
        ));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_go_by_name_and_else_by_order() {
        let places = |public, admin| Ok(Places { public, admin });
        assert_eq!(assign(0, &[""]), places(None, None));
        assert_eq!(assign(1, &[""]), places(Some(0), None));
        assert_eq!(assign(1, &["rowcast.socket"]), places(Some(0), None));
        assert_eq!(
            assign(2, &["rowcast.socket", "rowcast.socket"]),
            places(Some(0), Some(1))
        );
        assert_eq!(assign(2, &["admin", "public"]), places(Some(1), Some(0)));
        assert_eq!(assign(1, &["admin"]), places(None, Some(0)));
        for refused in [
            assign(3, &["a", "b", "c"]),
            assign(2, &["public", "public"]),
            assign(2, &["public", "rowcast.socket"]),
            assign(2, &["admin"]),
        ] {
            assert!(refused.is_err(), "{refused:?}");
        }
    }
}
