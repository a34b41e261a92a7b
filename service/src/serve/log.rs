//! What is told on stderr: a line for each request and each piece of work, as text or as JSON.

use std::io::Write;
use std::sync::OnceLock;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::clock;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// A JSON object each.
    Json,
    /// None.
    Off,
}

static FORMAT: OnceLock<Format> = OnceLock::new();

/// Says how lines look. The first word counts.
pub fn as_format(format: Format) {
    let _ = FORMAT.set(format);
}

/// Writes a line for people, whatever the format. Whoever read may have gone.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "continuo: {text}");
}

/// Writes a line: what happened, and what is to be said about it.
pub fn say(level: &str, event: &str, fields: &[(&str, Value)]) {
    let format = FORMAT.get().copied().unwrap_or_default();
    if format == Format::Off {
        return;
    }
    let there = fields.iter().filter(|(_, value)| !value.is_null());
    let line = match format {
        Format::Json => {
            let mut line = Map::new();
            line.insert("timestamp".into(), json!(clock::now()));
            line.insert("level".into(), json!(level));
            line.insert("event".into(), json!(event));
            line.extend(there.map(|(name, value)| ((*name).into(), value.clone())));
            Value::Object(line).to_string()
        }
        _ => {
            let said: Vec<String> = there.map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {level} {event} {}", clock::now(), said.join(" "))
        }
    };
    // Whoever reads may have gone.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
