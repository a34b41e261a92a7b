//! Files that come with a request: in base64, or by the hash of what is stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use continuo_remote::wire::Detail;

use super::failure::{Failure, fault};
use super::store::is_hash;

/// Gives the stored file of a hash.
pub type Find<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<u8>>, Failure>;

/// Why there is no file.
pub enum Wrong {
    /// The request is at fault.
    Fault(Detail),
    /// The store is.
    Store(Failure),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Fault(fault) => Self::faulty(vec![fault]),
            Wrong::Store(failure) => failure,
        }
    }
}

/// The first of some texts that is there: a file in base64, or its hash.
pub fn file(texts: &[(&str, &Option<String>)], find: Find<'_>) -> Result<Option<Vec<u8>>, Wrong> {
    let given = texts.iter().find_map(|(name, text)| text.as_ref().map(|text| (*name, text)));
    let Some((name, text)) = given else { return Ok(None) };
    let wrong = |text: String| Wrong::Fault(fault(&[name], text, "value_error"));
    if name.ends_with("_hash") || is_hash(text) {
        let found = if is_hash(text) { find(text).map_err(Wrong::Store)? } else { None };
        let missing = || wrong(format!("{name}: nothing is stored under {text:.64}; send the file itself"));
        return found.map(Some).ok_or_else(missing);
    }
    let kept: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(&kept).map(Some).map_err(|error| wrong(format!("{name} is not base64: {error}")))
}
