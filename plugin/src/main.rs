//! The standalone: the plugin with audio, MIDI and a window of its own. `--help` lists its options.

fn main() -> std::process::ExitCode {
    match nice_plug::prelude::nice_export_standalone::<continuo_plugin::Continuo>() {
        true => std::process::ExitCode::SUCCESS,
        false => std::process::ExitCode::FAILURE,
    }
}
