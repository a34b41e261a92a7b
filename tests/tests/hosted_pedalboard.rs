//! pedalboard renders the VST3 offline, and the answer sounds.

use std::process::Command;

use continuo_tests::require::{bundle, have, module, python, root};

#[test]
fn pedalboard_renders_an_answer() {
    let test = "pedalboard_renders_an_answer";
    let remedy = "cargo xtask doctor --install pedalboard";
    if !have(test, "pedalboard", module("pedalboard"), remedy) {
        return;
    }
    let Some(vst3) = bundle(test, "Continuo.vst3") else { return };
    let script = root().join("tests/scripts/pedalboard_render.py");
    let out = Command::new(python()).arg(script).arg(vst3).output().expect("Python");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    println!("{said}");
}
