//! The corpus of the fuzz targets (`fuzz/`), through the same functions: every file is sound or refused.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use continuo_tests::require;

#[test]
fn the_corpus_breaks_nothing() {
    let all: [(&str, fn(&[u8])); 5] = [
        ("midi", targets::midi),
        ("config", targets::config),
        ("compact", targets::compact),
        ("pickle", targets::pickle),
        ("request", targets::request),
    ];
    for (name, target) in all {
        let folder = require::root().join("fuzz/corpus").join(name);
        let mut files: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > 20, "{}: {} files", folder.display(), files.len());
        for file in files {
            // Shown where one of them fails.
            println!("{}", file.display());
            target(&std::fs::read(&file).unwrap());
        }
    }
}
