//! Rebuilds the program when a file that it embeds appears or goes; changes of known files Cargo sees by itself.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to Cargo")]

fn main() {
    for folder in ["templates", "policies", "schemas", "landscapes"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
