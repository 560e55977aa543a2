//! The `espalier` program: parse, dispatch, exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Rendering and the simulator make and drop small strings by the million: a third of the time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    espalier::cli::main()
}
