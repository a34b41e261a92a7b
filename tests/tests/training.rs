//! The training program from a made-up corpus to a file that the engine plays, and its figures.

use std::process::Command;
use std::time::Instant;

use continuo_tests::require;

#[test]
fn a_tiny_model_is_trained_exported_and_judged() {
    let test = "a_tiny_model_is_trained_exported_and_judged";
    let python = require::python_with(&["torch", "numpy"]);
    if !require::have(test, "training", python.is_some(), "cargo xtask doctor --install training") {
        return;
    }
    let Some(python) = python else { return };
    let began = Instant::now();
    let mut tiny = Command::new(python);
    tiny.args(["-m", "training.tiny", "--engine", env!("CARGO_BIN_EXE_passages")]);
    let out = tiny.current_dir(require::root()).output().expect("python starts");
    let (said, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}\n{errors}");
    for part in ["checks passed", "nats a note event", "hand-made loops", "end to end in"] {
        assert!(said.contains(part), "no `{part}` in what it says: {said}");
    }
    println!("trained and judged in {:.0} s", began.elapsed().as_secs_f32());
}
