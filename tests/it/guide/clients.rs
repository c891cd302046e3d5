//! docs/clients.md, run: its program in Python, with the real library. The page says of the others that nothing was run.

mod python;

use super::page::CLIENTS;

fn block(heading: &str, language: &str) -> String {
    CLIENTS.block(heading, language)
}
