//! Artifacts in the ledger.

use continuo_remote::wire::Artifact;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::{Map, Value};

use super::{Ledger, broken};
use crate::serve::clock;
use crate::serve::failure::Failure;

/// Digits of the hash in a name, if nobody else has them; and how many more each time somebody has.
const DIGITS: usize = 12;
const MORE: usize = 4;
/// Longest chain of parents that is told.
const CHAIN: usize = 256;

/// An artifact to be made. Its file is stored already.
#[derive(Clone, Debug, Default)]
pub struct New {
    /// The file.
    pub content_hash: String,
    /// Who made it.
    pub creator: String,
    /// What is said about it.
    pub metadata: Map<String, Value>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The answers to one request have the same.
    pub variation_set_id: Option<String>,
    /// What it was made from.
    pub parent_id: Option<String>,
}

/// Which artifacts are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// They have all of these.
    pub tags: Vec<String>,
    /// Of one set.
    pub variation_set_id: Option<String>,
    /// Of one maker.
    pub creator: Option<String>,
    /// Made from one artifact.
    pub parent_id: Option<String>,
    /// Older than this place.
    pub before: Option<i64>,
    /// So many at most.
    pub limit: usize,
}

const COLUMNS: &str =
    "a.seq, a.id, a.content_hash, a.creator, a.metadata, a.variation_set_id, a.parent_id, a.created";

impl Ledger {
    /// Makes artifacts, all of them or none; gives each, and whether it is new. A file that has one keeps it, its
    /// tags grow, and it joins the set.
    pub fn make(&self, all: &[New]) -> Result<Vec<(Artifact, bool)>, Failure> {
        let mut db = self.db();
        let change = db.transaction().map_err(|error| broken(&error))?;
        let mut made = Vec::with_capacity(all.len());
        for new in all {
            if let Some(parent) = &new.parent_id
                && one(&change, "a.id = ?1", parent).map_err(|error| broken(&error))?.is_none()
            {
                return Err(orphan(parent));
            }
            made.push(insert(&change, new).map_err(|error| broken(&error))?);
        }
        change.commit().map_err(|error| broken(&error))?;
        Ok(made)
    }

    /// Refuses a parent that is not there.
    pub fn knows_parent(&self, id: Option<&str>) -> Result<(), Failure> {
        let Some(id) = id else { return Ok(()) };
        self.artifact(id)?.map(drop).ok_or_else(|| orphan(id))
    }

    /// An artifact by its name.
    pub fn artifact(&self, id: &str) -> Result<Option<Artifact>, Failure> {
        one(&self.db(), "a.id = ?1", id).map_err(|error| broken(&error))
    }

    /// The artifact of a file.
    pub fn artifact_of(&self, hash: &str) -> Result<Option<Artifact>, Failure> {
        one(&self.db(), "a.content_hash = ?1", hash).map_err(|error| broken(&error))
    }

    /// Artifacts, the newest first, and where the next page begins.
    pub fn artifacts(&self, filter: &Filter) -> Result<(Vec<Artifact>, Option<u64>), Failure> {
        listed(&self.db(), filter).map_err(|error| broken(&error))
    }

    /// What an artifact was made from, and so on; the nearest first.
    pub fn ancestors(&self, id: &str) -> Result<Vec<Artifact>, Failure> {
        let db = self.db();
        let mut chain: Vec<Artifact> = Vec::new();
        let mut next = one(&db, "a.id = ?1", id).map_err(|error| broken(&error))?;
        while let Some(parent) = next.and_then(|artifact| artifact.parent_id) {
            next = one(&db, "a.id = ?1", &parent).map_err(|error| broken(&error))?;
            chain.extend(next.clone());
            if chain.len() >= CHAIN {
                break;
            }
        }
        Ok(chain)
    }
}

fn orphan(parent: &str) -> Failure {
    Failure::field("parent_id", format!("there is no artifact {parent:.80}"))
}

fn insert(db: &Connection, new: &New) -> rusqlite::Result<(Artifact, bool)> {
    let there = one(db, "a.content_hash = ?1", &new.content_hash)?;
    let is_new = there.is_none();
    let id = match there {
        Some(artifact) => artifact.id,
        None => {
            let id = name(db, &new.content_hash)?;
            db.execute(
                "INSERT INTO artifacts (id, content_hash, creator, metadata, variation_set_id, parent_id, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    id,
                    new.content_hash,
                    new.creator,
                    Value::Object(new.metadata.clone()).to_string(),
                    new.variation_set_id,
                    new.parent_id,
                    clock::now()
                ],
            )?;
            id
        }
    };
    if let Some(set) = &new.variation_set_id {
        let text = "INSERT INTO members (variation_set_id, artifact) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        db.execute(text, [set, &id])?;
    }
    for tag in &new.tags {
        db.execute("INSERT INTO tags (artifact, tag) VALUES (?1, ?2) ON CONFLICT DO NOTHING", [&id, tag])?;
    }
    one(db, "a.id = ?1", &id)?.map(|artifact| (artifact, is_new)).ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// As many digits of the hash as nobody else has.
fn name(db: &Connection, hash: &str) -> rusqlite::Result<String> {
    let mut digits = DIGITS;
    loop {
        let id = format!("artifact_{}", hash.get(..digits).unwrap_or(hash));
        if digits >= hash.len() || one(db, "a.id = ?1", &id)?.is_none() {
            return Ok(id);
        }
        digits += MORE;
    }
}

fn one(db: &Connection, condition: &str, value: &str) -> rusqlite::Result<Option<Artifact>> {
    let text = format!("SELECT {COLUMNS} FROM artifacts a WHERE {condition}");
    let found = db.prepare(&text)?.query_row([value], read).optional()?;
    found.map(|(_, artifact)| tagged(db, artifact)).transpose()
}

fn listed(db: &Connection, filter: &Filter) -> rusqlite::Result<(Vec<Artifact>, Option<u64>)> {
    let mut text = format!("SELECT {COLUMNS} FROM artifacts a WHERE 1");
    let mut values: Vec<Sql> = Vec::new();
    let equal = [("a.creator", &filter.creator), ("a.parent_id", &filter.parent_id)];
    for (column, value) in equal {
        if let Some(value) = value {
            text += &format!(" AND {column} = ?");
            values.push(value.clone().into());
        }
    }
    if let Some(set) = &filter.variation_set_id {
        text += " AND EXISTS (SELECT 1 FROM members m WHERE m.artifact = a.id AND m.variation_set_id = ?)";
        values.push(set.clone().into());
    }
    for tag in &filter.tags {
        text += " AND EXISTS (SELECT 1 FROM tags t WHERE t.artifact = a.id AND t.tag = ?)";
        values.push(tag.clone().into());
    }
    if let Some(before) = filter.before {
        text += " AND a.seq < ?";
        values.push(before.into());
    }
    // One more tells whether there is another page.
    text += &format!(" ORDER BY a.seq DESC LIMIT {}", filter.limit + 1);
    let mut query = db.prepare(&text)?;
    let mut found = query.query_map(params_from_iter(values), read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = found.len() > filter.limit;
    found.truncate(filter.limit);
    let next = found.last().filter(|_| more).and_then(|(place, _)| u64::try_from(*place).ok());
    let all = found.into_iter().map(|(_, artifact)| tagged(db, artifact)).collect::<rusqlite::Result<_>>()?;
    Ok((all, next))
}

fn read(row: &Row<'_>) -> rusqlite::Result<(i64, Artifact)> {
    let metadata: String = row.get(4)?;
    let artifact = Artifact {
        id: row.get(1)?,
        content_hash: row.get(2)?,
        creator: row.get(3)?,
        metadata: serde_json::from_str(&metadata).unwrap_or_default(),
        tags: Vec::new(),
        variation_set_id: row.get(5)?,
        parent_id: row.get(6)?,
        created: row.get(7)?,
    };
    Ok((row.get(0)?, artifact))
}

fn tagged(db: &Connection, mut artifact: Artifact) -> rusqlite::Result<Artifact> {
    let mut query = db.prepare("SELECT tag FROM tags WHERE artifact = ?1 ORDER BY tag")?;
    artifact.tags = query.query_map([&artifact.id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(artifact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(hash: &str, tags: &[&str], parent: Option<&str>) -> New {
        New {
            content_hash: hash.into(),
            creator: "me".into(),
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
            parent_id: parent.map(String::from),
            ..New::default()
        }
    }

    #[test]
    fn names_are_those_of_the_hash_and_never_two_the_same() {
        let ledger = Ledger::open(None).unwrap();
        // A thousand hashes that begin alike for 12 to 60 digits, each with an artifact of its own.
        let mut names = std::collections::HashSet::new();
        for number in 0..1000_usize {
            let shared = 12 + number % 49;
            let tail = format!("{number:064x}");
            let hash = format!("{}{}", "a".repeat(shared), &tail[shared..]);
            let (artifact, _) = ledger.make(&[new(&hash, &[], None)]).unwrap().remove(0);
            assert!(hash.starts_with(artifact.id.strip_prefix("artifact_").unwrap()));
            assert_eq!(ledger.artifact(&artifact.id).unwrap().unwrap().content_hash, hash);
            names.insert((artifact.id, hash));
        }
        let ids: std::collections::HashSet<_> = names.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), names.len());
    }

    #[test]
    fn a_file_keeps_its_artifact_and_its_tags_grow() {
        let ledger = Ledger::open(None).unwrap();
        let hash = "b".repeat(64);
        assert!(ledger.make(&[new(&hash, &["x"], None)]).unwrap()[0].1);
        let (again, is_new) = ledger.make(&[new(&hash, &["y", "x"], None)]).unwrap().remove(0);
        assert_eq!((again.tags, is_new), (vec!["x".to_owned(), "y".to_owned()], false));
    }

    #[test]
    fn a_file_belongs_to_every_set_that_it_was_named_in() {
        let path = std::env::temp_dir().join(format!("continuo-sets-{}.sqlite", std::process::id()));
        let old = Connection::open(&path).unwrap();
        old.execute_batch(crate::serve::ledger::TABLES).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        let file = "c".repeat(64);
        let row = "INSERT INTO artifacts (id, content_hash, creator, metadata, variation_set_id, created)
                   VALUES ('artifact_c', ?1, 'me', '{}', 'first', '')";
        old.execute(row, [&file]).unwrap();
        drop(old);
        // A ledger of the first version is brought to this one.
        let ledger = Ledger::open(Some(&path)).unwrap();
        let again = New { variation_set_id: Some("second".into()), ..new(&file, &[], None) };
        assert!(!ledger.make(&[again]).unwrap()[0].1);
        for (set, count) in [("first", 1), ("second", 1), ("third", 0)] {
            let filter = Filter { variation_set_id: Some(set.into()), limit: 9, ..Filter::default() };
            assert_eq!(ledger.artifacts(&filter).unwrap().0.len(), count, "{set}");
        }
        drop(ledger);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn pages_tags_and_parents() {
        let ledger = Ledger::open(None).unwrap();
        let mut parent: Option<String> = None;
        for number in 0..7 {
            let hash = format!("{number}").repeat(64);
            let tags: &[&str] = if number % 2 == 0 { &["even", "all"] } else { &["all"] };
            parent = Some(ledger.make(&[new(&hash, tags, parent.as_deref())]).unwrap()[0].0.id.clone());
        }
        let filter = |tags: &[&str], limit, before| Filter {
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
            limit,
            before,
            ..Filter::default()
        };
        assert_eq!(ledger.artifacts(&filter(&["even", "all"], 9, None)).unwrap().0.len(), 4);
        let (page, next) = ledger.artifacts(&filter(&["all"], 4, None)).unwrap();
        let (rest, end) = ledger.artifacts(&filter(&["all"], 4, next.map(|n| n as i64))).unwrap();
        assert_eq!((page.len(), rest.len(), end), (4, 3, None));
        assert_eq!(ledger.ancestors(&parent.unwrap()).unwrap().len(), 6);
        let orphan = new(&"e".repeat(64), &[], Some("artifact_none"));
        assert!(ledger.make(&[new(&"d".repeat(64), &[], None), orphan]).is_err());
        // All of them or none.
        assert!(ledger.artifact_of(&"d".repeat(64)).unwrap().is_none());
    }
}
