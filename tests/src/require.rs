//! What a test cannot run here it skips by name, out loud, unless `CONTINUO_REQUIRE` names it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a build of this workspace leaves: it may be absent only where nothing is required.
const BUILT: [&str; 2] = ["binary", "bundle"];

/// Whether `part` must not be skipped.
pub fn required(part: &str) -> bool {
    requires(&std::env::var("CONTINUO_REQUIRE").unwrap_or_default(), part)
}

fn requires(names: &str, part: &str) -> bool {
    let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.any(|name| name == part || BUILT.contains(&part))
}

/// `true` when `part` is there. Otherwise says that `test` is skipped, or panics when the part is required.
pub fn have(test: &str, part: &str, there: bool, remedy: &str) -> bool {
    if there {
        return true;
    }
    assert!(!required(part), "{test}: {part} is required and absent: {remedy}");
    // Past the test runner's capture, so that it is seen; xtask counts these lines.
    let _ = writeln!(std::io::stdout().lock(), "\nSKIPPED {test}: no {part} ({remedy})");
    false
}

/// Whether a program is on the path.
pub fn program(name: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {name}")]).output().is_ok_and(|o| o.status.success())
}

/// Root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// A bundle that `cargo xtask bundle` made.
pub fn bundle(test: &str, name: &str) -> Option<PathBuf> {
    let path = root().join("target/bundled").join(name);
    have(test, "bundle", path.exists(), "make it with `cargo xtask bundle`").then_some(path)
}

/// The project's Python environment.
pub fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

/// A Python that has all of these modules: the project's, or the system's (which need not be the first on the path).
pub fn python_with(modules: &[&str]) -> Option<PathBuf> {
    let import = format!("import {}", modules.join(", "));
    let has = |python: &PathBuf| {
        Command::new(python).args(["-c", &import]).output().is_ok_and(|out| out.status.success())
    };
    [python(), PathBuf::from("python3"), PathBuf::from("/usr/bin/python3")].into_iter().find(has)
}

/// Whether the project's Python has a module.
pub fn module(name: &str) -> bool {
    Command::new(python()).args(["-c", &format!("import {name}")]).output().is_ok_and(|o| o.status.success())
}

#[cfg(test)]
mod tests {
    use super::requires;

    #[test]
    fn what_is_built_here_is_required_with_anything_else() {
        assert!(requires("ardour, xvfb", "xvfb") && !requires("ardour, xvfb", "jack"));
        assert!(requires("ardour", "binary") && requires("ardour", "bundle"));
        assert!(!requires("", "binary") && !requires(" ,", "bundle"));
    }
}
