//! Counts of an instance for those who measure: where `CONTINUO_FIGURES` names a file, each instance adds a line of JSON to
//! it when it ends.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::pace::Pace;
use crate::view::View;

/// Writes them, if anybody asked for them.
pub fn write(view: &View, pace: &Pace) {
    let Some(path) = std::env::var_os("CONTINUO_FIGURES").filter(|path| !path.is_empty()) else { return };
    let count = |counter: &std::sync::atomic::AtomicU32| counter.load(Ordering::Relaxed);
    let line = serde_json::json!({
        "hit": count(&view.hits),
        "backup": count(&view.backups),
        "miss": count(&view.misses),
        "notes": count(&view.notes_out),
        "late": count(&view.late),
        "dropped": count(&view.dropped),
        "p95_ms": pace.p95() * 1000.0,
        "density": pace.density(),
    });
    // Who measures sees that a line is missing.
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| writeln!(file, "{line}"));
}
