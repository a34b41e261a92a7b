//! Who imports whom, where names may stand, and how long a file may be.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::run::{cargo, root};

/// Lines that a source file may have.
const LINES: usize = 500;

const LOWER: &[&str] = &["remote", "inference", "models", "sound", "music", "timeline"];

/// Which of our crates a crate may depend on.
fn may_import(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "tests" => None,
        "plugin" | "service" => Some(LOWER),
        "remote" | "inference" | "music" | "sound" => Some(&["timeline"]),
        _ => Some(&[]),
    }
}

/// Holds the rules; prints each breach, and fails if there is one.
pub fn tidy() -> Result<()> {
    let mut wrong = Vec::new();
    manifests(&mut wrong)?;
    for path in sources()? {
        let text = std::fs::read_to_string(root().join(&path)).with_context(|| path.display().to_string())?;
        file(&path, &text, &mut wrong);
    }
    for line in &wrong {
        eprintln!("tidy: {line}");
    }
    match wrong.len() {
        0 => Ok(()),
        n => bail!("{n} breaches of the house rules (ARCHITECTURE.md says who may import whom)"),
    }
}

fn manifests(wrong: &mut Vec<String>) -> Result<()> {
    let out = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
    if !out.status.success() {
        bail!("`cargo metadata` ended with {}: {}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    let all: Value = serde_json::from_slice(&out.stdout).context("cargo metadata")?;
    for package in all["packages"].as_array().context("no packages")? {
        let name = package["name"].as_str().unwrap_or("");
        let short = name.strip_prefix("continuo-").unwrap_or(name);
        for dependency in package["dependencies"].as_array().context("no dependencies")? {
            import(short, dependency["name"].as_str().unwrap_or(""), wrong);
        }
    }
    Ok(())
}

fn import(from: &str, to: &str, wrong: &mut Vec<String>) {
    let ours = to.strip_prefix("continuo-");
    if let (Some(to), Some(allowed)) = (ours, may_import(from))
        && !allowed.contains(&to)
    {
        wrong.push(format!("{from} may not import {to}"));
    }
    if ["tokio", "reqwest"].contains(&to) && !["remote", "service", "tests"].contains(&from) {
        wrong.push(format!("{from} may not use {to}: only remote and service do"));
    }
    if to == "axum" && from != "service" {
        wrong.push(format!("{from} may not use {to}: only service answers over HTTP"));
    }
    if to.starts_with("candle") && from != "inference" {
        wrong.push(format!("{from} may not use {to}: candle lives in inference"));
    }
}

// All sources but those in `target` and in hidden folders.
fn sources() -> Result<Vec<PathBuf>> {
    fn walk(at: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(at)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                walk(&path, found)?;
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path.strip_prefix(root())?.to_path_buf());
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(&root(), &mut found)?;
    found.sort();
    Ok(found)
}

fn file(path: &Path, text: &str, wrong: &mut Vec<String>) {
    let shown = path.display();
    if !text.starts_with("//!") {
        wrong.push(format!("{shown}: begins without `//!`"));
    }
    if text.lines().count() > LINES {
        wrong.push(format!("{shown}: longer than {LINES} lines"));
    }
    let path = path.to_string_lossy().replace('\\', "/");
    let code = code(text);
    let names = |word: &str| code.iter().any(|line| line.contains(word));
    if let Some(inside) = path.strip_prefix("timeline/src/") {
        if inside == "lib.rs" && !text.contains("#![no_std]") {
            wrong.push(format!("{shown}: timeline is no_std"));
        }
        if ["std::", "alloc::", "extern crate"].iter().any(|word| names(word)) {
            wrong.push(format!("{shown}: timeline names neither std nor alloc"));
        }
    }
    let Some(inside) = path.strip_prefix("plugin/src/") else { return };
    if (names("continuo_inference") || names("continuo_remote"))
        && !(inside.starts_with("worker") || inside.starts_with("models"))
    {
        wrong.push(format!("{shown}: only worker and models name the engine"));
    }
    if names("nice_plug") && !EDGE.iter().any(|edge| inside.starts_with(edge)) {
        wrong.push(format!("{shown}: only the edge files name the plugin framework"));
    }
}

/// Files of the plugin that may name the framework.
const EDGE: &[&str] =
    &["lib.rs", "params", "processor", "edge", "editor", "bin/", "main.rs", "state.rs", "presets"];

// Lines of code: without comments, and without what is there for tests alone: single lines, and the tests at the end of a file.
fn code(text: &str) -> Vec<&str> {
    let (mut code, mut for_tests) = (Vec::new(), false);
    for line in text.lines() {
        let bare = line.trim();
        if for_tests && bare == "mod tests {" {
            break;
        }
        let marks = bare == "#[cfg(test)]";
        if !for_tests && !marks && !bare.starts_with("//") {
            code.push(line);
        }
        for_tests = marks;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::{file, import};
    use std::path::Path;

    fn breaches(path: &str, text: &str) -> usize {
        let mut wrong = Vec::new();
        file(Path::new(path), text, &mut wrong);
        wrong.len()
    }

    #[test]
    fn imports_go_downward() {
        let mut wrong = Vec::new();
        import("plugin", "continuo-music", &mut wrong);
        import("tests", "continuo-plugin", &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
        import("music", "continuo-inference", &mut wrong);
        import("plugin", "tokio", &mut wrong);
        import("xtask", "continuo-timeline", &mut wrong);
        import("remote", "continuo-inference", &mut wrong);
        import("remote", "axum", &mut wrong);
        import("sound", "reqwest", &mut wrong);
        assert_eq!(wrong.len(), 6);
    }

    #[test]
    fn names_stand_where_they_may() {
        assert_eq!(breaches("timeline/src/clock.rs", "//! x\nuse core::mem;\n"), 0);
        assert_eq!(breaches("timeline/src/clock.rs", "//! x\nuse std::mem;\n"), 1);
        assert_eq!(breaches("timeline/src/lib.rs", "//! x\n"), 1);
        assert_eq!(breaches("plugin/src/link.rs", "//! x\nuse nice_plug::x;\n"), 1);
        assert_eq!(breaches("plugin/src/worker/mod.rs", "//! x\nuse continuo_inference::Engine;\n"), 0);
        assert_eq!(breaches("plugin/src/processor.rs", "//! x\nuse continuo_inference::Engine;\n"), 1);
        assert_eq!(breaches("music/src/key.rs", "use x;\n"), 1);
        // What is for tests alone may stand in the middle, and does not hide what follows.
        let timeline = |code: &str| breaches("timeline/src/clock.rs", &format!("//! x\n{code}\n"));
        assert_eq!(timeline("#[cfg(test)]\nextern crate std;\nuse core::mem;"), 0);
        assert_eq!(timeline("#[cfg(test)]\nmod tests;\nuse std::mem;"), 1);
        assert_eq!(timeline("use core::mem;\n#[cfg(test)]\nmod tests {\n    use std::mem;\n}"), 0);
    }
}
