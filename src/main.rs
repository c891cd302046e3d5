//! The `rowcast` command. Owns nothing: it calls the library's one public function.

fn main() -> std::process::ExitCode {
    rowcast::run()
}
