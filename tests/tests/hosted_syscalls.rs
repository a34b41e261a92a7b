//! The audio thread makes no system call: a process of its own plays a phrase under a seccomp filter that kills at the first one.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod linked;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use continuo_tests::host::{Hosted, Song, Sound, parse};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

const BLOCK: u32 = 512;
/// How long a child plays at least; then until it has answered, if that is not too long.
const SECONDS: f64 = 5.0;
const MOST: f64 = 60.0;
const PHRASE: &str = "A3@0 len 0.9 vel 90 C4@1 E4@2 A4@3 G4@4 len 0.45 E4@4.5";
/// Notes of that.
const PLAYS: u64 = 6;
/// Exit status of a child that played to the end, and of one that played no note of its own.
const PLAYED: i32 = 42;
const SILENT: i32 = 43;
const CHILD: &str = "CONTINUO_SECCOMP_CHILD";

static FILTER: OnceLock<BpfProgram> = OnceLock::new();
static START: OnceLock<Instant> = OnceLock::new();
static BLOCKS: AtomicU64 = AtomicU64::new(0);
/// Notes that came out: those of the phrase, which are passed on, and those of the answer.
static NOTES: AtomicU64 = AtomicU64::new(0);
static BREAK: AtomicBool = AtomicBool::new(false);

#[test]
fn process_makes_no_system_call() {
    match std::env::var(CHILD).as_deref() {
        Ok(how) => child(how == "break"),
        Err(_) => {
            let status = |how: &str| {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command
                    .args(["process_makes_no_system_call", "--exact"])
                    .env(CHILD, how)
                    .status()
                    .expect("a child")
            };
            assert_eq!(status("break").signal(), Some(libc::SIGSYS), "the trap kills at a system call");
            let played = status("play");
            assert_ne!(played.code(), Some(SILENT), "it never answered, so that nothing is shown");
            assert_eq!(played.code(), Some(PLAYED), "killed by a system call in process(): {played}");
        }
    }
}

fn child(breaks: bool) {
    BREAK.store(breaks, Ordering::Relaxed);
    // Only the harness's own: the clock where it is not read without the kernel, and the way out.
    let allowed = [libc::SYS_exit_group, libc::SYS_clock_gettime].map(|call| (call, Vec::new()));
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows");
    let kill = SeccompAction::KillProcess;
    let filter =
        SeccompFilter::new(BTreeMap::from(allowed), kill, SeccompAction::Allow, arch).expect("a filter");
    let _ = FILTER.set(filter.try_into().expect("a program"));
    let mut plugin = Hosted::new(&linked::linked());
    plugin.activate(48_000.0, BLOCK);
    plugin.watch = watch;
    plugin.heard = |sound| {
        NOTES.fetch_add(u64::from(matches!(sound, Sound::On { .. })), Ordering::Relaxed);
    };
    let score = parse(PHRASE);
    assert_eq!(score.len() as u64, PLAYS);
    plugin.play(&score, &Song::steady(240.0), MOST + 1.0, BLOCK);
}

// Before the first block: locks the thread in. After each: waits, spinning, for the block's time to pass, so that the worker has its
// own; after the last, leaves without a word.
fn watch(before: bool) {
    let start = START.get_or_init(Instant::now);
    let blocks = BLOCKS.load(Ordering::Relaxed);
    if before {
        if blocks == 0 && apply_filter(FILTER.get().expect("a filter")).is_err() {
            std::process::exit(1);
        }
        return;
    }
    if BREAK.load(Ordering::Relaxed) {
        // SAFETY: reads a number.
        unsafe { libc::getppid() };
    }
    let played = Duration::from_secs_f64((blocks + 1) as f64 * f64::from(BLOCK) / 48_000.0);
    while start.elapsed() < played {
        std::hint::spin_loop();
    }
    let answered = NOTES.load(Ordering::Relaxed) > PLAYS;
    if played.as_secs_f64() > if answered { SECONDS } else { MOST } {
        // SAFETY: ends the process; nothing needs to be put in order.
        unsafe { libc::_exit(if answered { PLAYED } else { SILENT }) };
    }
    BLOCKS.store(blocks + 1, Ordering::Relaxed);
}
