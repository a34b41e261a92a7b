//! What is known about jobs, artifacts and files, in SQLite: what was acknowledged survives the end of the process.

mod artifacts;
mod jobs;

pub use artifacts::{Filter, New};
pub use jobs::Kept;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::http::StatusCode;
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;

/// Version of the tables.
const VERSION: i64 = 2;

const TABLES: &str = "
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, task TEXT NOT NULL,
        state TEXT NOT NULL, created TEXT NOT NULL, tokens INTEGER NOT NULL DEFAULT 0, result TEXT, error TEXT
    );
    CREATE TABLE artifacts (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, content_hash TEXT UNIQUE NOT NULL,
        creator TEXT NOT NULL, metadata TEXT NOT NULL, variation_set_id TEXT,
        parent_id TEXT REFERENCES artifacts (id), created TEXT NOT NULL
    );
    CREATE TABLE tags (
        artifact TEXT NOT NULL REFERENCES artifacts (id), tag TEXT NOT NULL, PRIMARY KEY (artifact, tag)
    ) WITHOUT ROWID;
    CREATE INDEX tagged ON tags (tag, artifact);
    CREATE INDEX sets ON artifacts (variation_set_id);
    CREATE INDEX parents ON artifacts (parent_id);
    CREATE TABLE kinds (hash TEXT PRIMARY KEY, mime TEXT NOT NULL) WITHOUT ROWID;
";

/// What the second version has besides: an artifact may belong to several sets.
const MEMBERS: &str = "
    CREATE TABLE members (
        variation_set_id TEXT NOT NULL, artifact TEXT NOT NULL REFERENCES artifacts (id),
        PRIMARY KEY (variation_set_id, artifact)
    ) WITHOUT ROWID;
    INSERT INTO members SELECT variation_set_id, id FROM artifacts WHERE variation_set_id IS NOT NULL;
    DROP INDEX sets;
";

/// The ledger. Its calls write to the disk and wait for it, so they are not for the threads that serve.
pub struct Ledger {
    db: Mutex<Connection>,
}

impl Ledger {
    /// In a file, or in memory.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let shown = path.map_or_else(|| "memory".into(), |path| path.display().to_string());
        let wrong = || format!("cannot keep the ledger in {shown}");
        let db = match path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        };
        let mut db = db.with_context(wrong)?;
        db.busy_timeout(Duration::from_secs(5)).with_context(wrong)?;
        // A commit is on the disk when it returns.
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
            .with_context(wrong)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).with_context(wrong)?;
        match version {
            0 | 1 => {
                let change = db.transaction().with_context(wrong)?;
                if version == 0 {
                    change.execute_batch(TABLES).with_context(wrong)?;
                }
                change.execute_batch(MEMBERS).with_context(wrong)?;
                change.pragma_update(None, "user_version", VERSION).with_context(wrong)?;
                change.commit().with_context(wrong)?;
            }
            VERSION => {}
            other => bail!(
                "{shown} is of version {other}, and this program knows {VERSION}: update it, or choose another --state"
            ),
        }
        Ok(Self { db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the kind of a file, as it was sent.
    pub fn note_kind(&self, hash: &str, mime: &str) -> Result<(), Failure> {
        let text = "INSERT INTO kinds (hash, mime) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.db().execute(text, params![hash, mime]).map(drop).map_err(|error| broken(&error))
    }

    /// The kind of a file, if it was noted.
    pub fn kind(&self, hash: &str) -> Result<Option<String>, Failure> {
        let found = self.db().query_row("SELECT mime FROM kinds WHERE hash = ?1", [hash], |row| row.get(0));
        found.optional().map_err(|error| broken(&error))
    }

    /// Whether SQLite finds the file sound.
    pub fn is_sound(&self) -> bool {
        let said = self.db().query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0));
        said.is_ok_and(|said| said == "ok")
    }
}

fn broken(error: &rusqlite::Error) -> Failure {
    let text = format!("cannot write the ledger: {error}; nothing was kept of this");
    Failure::failed(text)
        .of(StatusCode::INSUFFICIENT_STORAGE)
        .with(serde_json::json!({ "reason": "storage" }))
        .suggest("make room on the disk of --state, then ask again")
}
