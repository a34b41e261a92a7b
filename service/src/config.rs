//! The configuration file of `continuo serve`: its options in TOML. The command line comes before the environment, and
//! that before the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use toml::{Table, Value};

use crate::hub::variable;

/// The file that is read: the one that was named, or the usual one if it is there. Where no folder of the user's is
/// known, there is none.
pub fn file(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.into());
    }
    let home = || variable("HOME").or_else(|| variable("USERPROFILE"));
    let usual = || Some(PathBuf::from(home()?).join(".config"));
    let folder = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(usual)?;
    Some(folder.join("continuo/serve.toml")).filter(|path| path.is_file())
}

/// What the file adds to a command line that was read: options that neither it nor the environment gives.
pub fn added(command: &Command, given: &ArgMatches) -> Result<Vec<OsString>> {
    let named = given.get_one::<PathBuf>("config");
    let Some(path) = file(named.map(PathBuf::as_path)) else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
    let mut added = Vec::new();
    for (key, value) in &table {
        let id = key.replace('-', "_");
        let known =
            |id: &str| command.get_arguments().any(|one| one.get_id() == id && one.get_long().is_some());
        if !known(&id) || id == "config" {
            let all: Vec<&str> = command.get_arguments().filter_map(|one| one.get_long()).collect();
            bail!("{} has no option {key:?}; there are {}", path.display(), all.join(", "));
        }
        if !is_given(given, &id) {
            let option = options(key, value).with_context(|| format!("{key} in {}", path.display()))?;
            added.extend(option.into_iter().map(OsString::from));
        }
    }
    Ok(added)
}

/// Whether an option, or one that stands in its place, is given already.
fn is_given(given: &ArgMatches, id: &str) -> bool {
    let own = |id: &str| {
        matches!(given.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    };
    match id {
        "token" | "token_file" => {
            let said = |name| variable(name).is_some();
            own("token") || own("token_file") || said("CONTINUO_TOKEN") || said("CONTINUO_TOKEN_FILE")
        }
        id => own(id),
    }
}

/// A value as it is written on a command line.
fn options(key: &str, value: &Value) -> Result<Vec<String>> {
    let name = key.replace('_', "-");
    let one = |value: &Value| match value {
        Value::String(text) => Ok(format!("--{name}={text}")),
        Value::Integer(number) => Ok(format!("--{name}={number}")),
        Value::Float(number) => Ok(format!("--{name}={number}")),
        other => bail!("a {} is neither a text, nor a number, nor true or false", other.type_str()),
    };
    match value {
        Value::Boolean(true) => Ok(vec![format!("--{name}")]),
        Value::Boolean(false) => Ok(Vec::new()),
        Value::Array(all) => all.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}
