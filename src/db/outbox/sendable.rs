//! An event's room and payload, as a client can be sent them.
//!
//! A database with the encoding `SQL_ASCII` takes any bytes, and Postgres refuses to send a text that is no UTF-8: one such row would
//! fail each read that has it, and so keep every event from everybody. Where a payload is no UTF-8, each byte above ASCII is sent as `?`; a room
//! that is none counts as no room, because no client can name it. In other encodings the columns are read as they are.

/// The regular expression of well-formed UTF-8, for the bytes of a database in `SQL_ASCII` (Unicode standard, table 3-7).
macro_rules! utf8 {
    () => {
        "'^([\\x01-\\x7f]|[\\xc2-\\xdf][\\x80-\\xbf]|\\xe0[\\xa0-\\xbf][\\x80-\\xbf]|[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}\
         |\\xed[\\x80-\\x9f][\\x80-\\xbf]|\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}|[\\xf1-\\xf3][\\x80-\\xbf]{3}|\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2})*$'"
    };
}

/// The columns `room` and `data` of the outbox; a payload above `$max` bytes is reduced to its ids.
macro_rules! sendable {
    ($max:literal) => {
        concat!(
            "case when getdatabaseencoding() = 'SQL_ASCII' and room ~ '[^\\x01-\\x7f]' and room !~ ",
            $crate::db::outbox::sendable::utf8!(),
            " then null else room end as room,
           case when getdatabaseencoding() = 'SQL_ASCII' then (
                     select case when sent !~ '[^\\x01-\\x7f]' or sent ~ ",
            $crate::db::outbox::sendable::utf8!(),
            " then sent
                                 else regexp_replace(sent, '[^\\x01-\\x7f]', '?', 'g') end
                     from (select case when octet_length(data::text) > ",
            $max,
            " then rowcast.truncate_payload(data)::text else data::text end offset 0) s (sent))
                when octet_length(data::text) > ",
            $max,
            " then rowcast.truncate_payload(data)::text else data::text end as data"
        )
    };
}

pub(super) use {sendable, utf8};
