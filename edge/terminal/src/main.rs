//! The program `vmux-signer`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vmux_terminal::main()
}
