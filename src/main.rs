//! The `rowcast` command: calls the library.

fn main() -> std::process::ExitCode {
    rowcast::run()
}
