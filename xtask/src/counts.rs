//! `bench counts`: instructions of a decoded token, counted by valgrind's callgrind on one thread. It knows AVX2 and no
//! AVX-512; the counts are the same however busy the machine is.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::bench::tool;
use crate::run::{program, target, works};

/// Tokens that are counted: whole triplets.
const STEPS: u64 = 6;

/// Functions that are named.
const NAMED: usize = 6;

/// Counts both shapes, with weights of eight bits and of four.
pub fn counts() -> Result<()> {
    ensure!(works("valgrind", &["--version"]), "valgrind is missing: apt-get install valgrind");
    let folder = target().join("bench");
    std::fs::create_dir_all(&folder)?;
    for (shape, bits) in [("default", "8"), ("default", "4"), ("small", "8"), ("small", "4")] {
        let out = folder.join(format!("counts-{shape}-{bits}.callgrind"));
        let kernel = count(shape, bits, &out)?;
        println!("{shape}, int{bits}, {kernel}, one thread, a mean of {STEPS} tokens after 64");
        report(&out)?;
    }
    Ok(())
}

/// Runs it; gives the kernel's name.
fn count(shape: &str, bits: &str, out: &Path) -> Result<String> {
    let mut run = program(
        "valgrind",
        &["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted_steps*"],
    );
    run.arg(format!("--callgrind-out-file={}", out.display()));
    run.arg(tool("decode").get_program()).args(["count", shape, bits, &STEPS.to_string()]);
    let done = run.output().context("valgrind does not start")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "callgrind failed: {}", said.lines().last().unwrap_or("no word"));
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Instructions a token, all and by function.
fn report(out: &Path) -> Result<()> {
    let mut annotate = program("callgrind_annotate", &["--threshold=99", "--auto=no"]);
    let done = annotate.arg(out).output().context("callgrind_annotate does not start")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "callgrind_annotate failed: {}", said.lines().last().unwrap_or("no word"));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let counted = text.lines().filter_map(line).collect::<Vec<_>>();
    let all = counted.iter().find(|(_, name)| name.contains("PROGRAM TOTALS")).context("no totals")?.0;
    println!("  {:>12} instructions a token", all / STEPS);
    // A function counts as often as it has files whose code was put into it.
    let mut functions = BTreeMap::<&str, u64>::new();
    for (count, name) in counted.iter().filter(|(_, name)| !name.contains("PROGRAM TOTALS")) {
        *functions.entry(function(name)).or_default() += count;
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (name, count) in functions.into_iter().take(NAMED) {
        println!("  {:>12} {:>5.1} %  {name}", count / STEPS, 100.0 * count as f64 / all as f64);
    }
    Ok(())
}

/// `1,234 (56.7%)  file:function [object]`: the number and the rest.
fn line(text: &str) -> Option<(u64, &str)> {
    let (number, rest) = text.trim_start().split_once(' ')?;
    let count = number.replace(',', "").parse().ok()?;
    Some((count, rest.trim_start().split_once(')').map_or(rest, |(_, rest)| rest).trim()))
}

/// The function's own name, without its file, its hash and the program.
fn function(name: &str) -> &str {
    let name = name.split(" [").next().unwrap_or(name);
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    name.rsplit_once("::h").map_or(name, |(name, _)| name)
}
