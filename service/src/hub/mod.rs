//! Models from the Hugging Face Hub, in its cache as every tool of it lays it out.
//!
//! ```text
//! models--owner--name/blobs/<etag>              what was fetched, whole and checked
//!                    /blobs/<etag>.incomplete   a part, where the next fetch goes on
//!                    /snapshots/<commit>/<file> a link to a blob
//!                    /refs/<revision>           the commit that a branch or tag stood at
//! ```

mod cache;
mod checksum;
mod download;
mod fetch;
mod name;
mod server;

pub use cache::Cache;
pub use continuo_inference::library::variable;
pub use fetch::fetch;
pub use name::Name;

/// Whether `HF_HUB_OFFLINE` forbids the network.
fn offline() -> bool {
    let value = variable("HF_HUB_OFFLINE").map(|value| value.to_ascii_uppercase());
    value.is_some_and(|value| ["1", "ON", "YES", "TRUE"].contains(&value.as_str()))
}
