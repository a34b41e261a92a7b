//! The editor opens on a screen of its own, and its picture is not blank.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use continuo_tests::require::{bundle, have, program, root};

/// Ends a program when the test does, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// A screen, and its display name once it can be connected to.
fn screen() -> (Running, String) {
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1280x900x24", "+extension", "GLX", "-nolisten", "tcp"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("Xvfb");
    let mut number = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut number).expect("a display");
    (Running(child), format!(":{}", number.trim()))
}

#[test]
fn the_editor_opens_and_draws() {
    let test = "the_editor_opens_and_draws";
    let there = ["Xvfb", "import", "identify"].iter().all(|name| program(name));
    if !have(test, "xvfb", there, "cargo xtask doctor --install xvfb") {
        return;
    }
    let Some(clap) = bundle(test, "Continuo.clap") else { return };
    let (_screen, display) = screen();
    let mut window = Command::new(env!("CARGO_BIN_EXE_window"));
    window.arg(clap).arg("60").env("DISPLAY", &display).env("LIBGL_ALWAYS_SOFTWARE", "1");
    let mut window = Running(window.stdout(Stdio::piped()).spawn().expect("the window"));
    let mut said = BufReader::new(window.0.stdout.take().expect("its output")).lines();
    let open = said.next().and_then(Result::ok).unwrap_or_default();
    assert!(open.starts_with("OPEN "), "the editor did not open: {open}");
    let picture = root().join("target/editor.png");
    // The first pictures may come before the first drawing, and nothing says when that is.
    let colours = (0..60).map(|_| shoot(&display, &picture)).find(|colours| *colours > 20);
    let colours = colours.unwrap_or_else(|| shoot(&display, &picture));
    assert!(colours > 20, "a picture of {colours} colours, {}", picture.display());
    assert!(window.0.try_wait().expect("a status").is_none(), "the host ended while its editor was open");
}

// Takes a picture of the screen and counts its colours.
fn shoot(display: &str, to: &std::path::Path) -> usize {
    std::thread::sleep(std::time::Duration::from_millis(500));
    let shot = Command::new("import").args(["-display", display, "-window", "root"]).arg(to).status();
    assert!(shot.is_ok_and(|s| s.success()), "no picture of {display}");
    let out = Command::new("identify").args(["-format", "%k"]).arg(to).output().expect("identify");
    String::from_utf8_lossy(&out.stdout).trim().parse().unwrap_or(0)
}
