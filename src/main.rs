//! The `espalier` program: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    espalier::cli::main()
}
