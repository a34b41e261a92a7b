//! The program that puts load on the service, a little of it: what it tells is worth as much as it asks.

mod serving;

use std::process::Command;

#[test]
fn broken_files_go_through_every_task() {
    if serving::binary("load-mutate").is_none() {
        return;
    }
    let done = Command::new(env!("CARGO_BIN_EXE_serve_load")).args(["mutate", "240"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    for kind in ["analyze", "continue", "embed", "seeded", "bridge a", "bridge b", "request", "batch"] {
        let answered =
            |line: &str| line.strip_prefix(kind).is_some_and(|rest| rest.trim().starts_with("200"));
        assert!(said.lines().any(answered), "{kind}: {said}");
    }
}
