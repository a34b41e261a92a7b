//! Ardour loads the VST3; MIDI goes in through JACK, audio and generated MIDI come out.
#![cfg(target_os = "linux")]

use std::process::Command;

use continuo_tests::require::{bundle, have, module, program, python, root};

#[test]
fn ardour_plays_an_answer() {
    let test = "ardour_plays_an_answer";
    let remedy = "cargo xtask doctor --install ardour jack";
    if !have(test, "ardour", program("ardour7-lua"), remedy)
        || !have(test, "jack", program("jackd") && module("jack") && module("numpy"), remedy)
    {
        return;
    }
    let Some(vst3) = bundle(test, "Continuo.vst3") else { return };
    let script = root().join("tests/scripts/ardour_session.py");
    let out = Command::new(python())
        .arg(script)
        .arg(vst3)
        .arg(root().join("target/ardour"))
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    println!("{said}");
}
