//! `test` and `ci`: cargo's runs, and their counts in one line at the end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, must, spell};
use crate::{bundle, doctor, tidy};

/// Tests that ran, as cargo counts them; skipped are those that could not run here, and said so.
#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Every test, in the dev profile.
pub fn test() -> Result<()> {
    doctor::prepare(&["build", "editor"])?;
    let required = required();
    let required: Vec<&str> = required.iter().map(String::as_str).collect();
    doctor::known(&required)?;
    doctor::prepare(&required)?;
    bundle::bundle(false)?;
    run_tests()
}

/// What CI runs.
pub fn ci() -> Result<()> {
    tidy::tidy()?;
    must(&mut cargo(&["fmt", "--all", "--check"]))?;
    no_panic()?;
    let mut parts = vec!["build".to_owned(), "editor".to_owned()];
    parts.extend(required());
    doctor::doctor(&parts, true)?;
    bundle::bundle(false)?;
    run_tests()
}

/// The audio thread's crates deny what may panic to clippy, which a toolchain may lack.
fn no_panic() -> Result<()> {
    let crates = ["-p", "continuo-timeline", "-p", "continuo-sound"];
    if !cargo(&["clippy", "--version"]).output().is_ok_and(|out| out.status.success()) {
        eprintln!(
            "cargo clippy is absent: nobody looks for what may panic in {} and {}",
            crates[1], crates[3]
        );
        return Ok(());
    }
    must(cargo(&["clippy"]).args(crates))
}

fn required() -> Vec<String> {
    let names = std::env::var("CONTINUO_REQUIRE").unwrap_or_default();
    names.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

fn run_tests() -> Result<()> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    let line = spell(&command);
    eprintln!("$ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| line.clone())?;
    let mut counts = Counts::default();
    let out = child.stdout.take().context("no output of cargo")?;
    // What tests print need not be text.
    for line in BufReader::new(out).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts.read(&line);
    }
    let status = child.wait()?;
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    if counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

impl Counts {
    // A test that cannot run here says SKIPPED and returns, so cargo counts it as passed.
    fn read(&mut self, line: &str) {
        if line.contains("SKIPPED ") {
            self.skipped += 1;
            self.passed = self.passed.saturating_sub(1);
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.skipped += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn sums_what_cargo_says() {
        let mut counts = Counts::default();
        counts.read(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        counts.read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.read("SKIPPED ardour: no ardour7-lua");
        assert_eq!((counts.passed, counts.failed, counts.skipped), (14, 2, 2));
    }
}
