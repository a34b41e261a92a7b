//! One file into a blob: from where a part ends, until all of it is there and its sum is right.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use ureq::http::StatusCode;

use super::cache::{Repository, cannot};
use super::checksum::Checksum;
use super::name::Name;
use super::server::{About, Server, range_start};

/// How a blob came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It was there.
    Cached,
    /// A part was there.
    Resumed,
    /// All of it was fetched.
    Fetched,
}

impl Came {
    /// For the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Resumed => "resumed",
            Self::Fetched => "fetched",
        }
    }
}

/// A part of a blob, as long as nobody has checked it.
struct Part<'a> {
    about: &'a About,
    path: PathBuf,
    file: File,
    sum: Checksum,
    /// Bytes so far.
    len: u64,
    progress: ProgressBar,
}

/// Bytes that are still to come, if any, for a file of which a part may be there.
pub fn left(repository: &Repository, about: &About) -> u64 {
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    match len(&repository.blob(&about.etag)) {
        whole if whole == about.size && whole > 0 => 0,
        _ => about.size.saturating_sub(len(&incomplete(repository, about))),
    }
}

fn incomplete(repository: &Repository, about: &About) -> PathBuf {
    repository.blob(&format!("{}.incomplete", about.etag))
}

/// Makes sure of a blob.
pub fn download(server: &Server, repository: &Repository, name: &Name, about: &About) -> Result<Came> {
    let _lock = repository.lock(&about.etag)?;
    let blob = repository.blob(&about.etag);
    if fs::metadata(&blob).is_ok_and(|metadata| metadata.len() == about.size) {
        return Ok(Came::Cached);
    }
    let mut part = Part::open(repository, about)?;
    let came = if part.len > 0 { Came::Resumed } else { Came::Fetched };
    part.announce();
    while part.len < about.size {
        let before = part.len;
        let result = part.extend(server, name);
        if part.len < about.size && part.len <= before {
            return Err(part.cut(result.err()));
        }
    }
    part.finish(&blob)?;
    Ok(came)
}

impl<'a> Part<'a> {
    /// What is there already is read for its sum.
    fn open(repository: &Repository, about: &'a About) -> Result<Self> {
        let path = incomplete(repository, about);
        fs::create_dir_all(path.parent().unwrap_or(&path)).with_context(|| cannot(&path))?;
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let file = file.with_context(|| cannot(&path))?;
        let template =
            "{bar:40} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template);
        let progress = ProgressBar::new(about.size).with_style(style.unwrap_or(ProgressStyle::default_bar()));
        let sum = Checksum::new(&about.etag, about.size);
        let mut part = Self { about, path, file, sum, len: 0, progress };
        part.recall()?;
        Ok(part)
    }

    fn recall(&mut self) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = self.file.read(&mut buffer).with_context(|| cannot(&self.path))?;
            if count == 0 {
                break;
            }
            self.sum.update(&buffer[..count]);
            self.len += count as u64;
        }
        if self.len > self.about.size {
            self.restart()?;
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).with_context(|| cannot(&self.path))?;
        self.sum = Checksum::new(&self.about.etag, self.about.size);
        self.len = 0;
        Ok(())
    }

    fn announce(&self) {
        let (file, size) = (&self.about.file, DecimalBytes(self.about.size));
        match self.len {
            0 => eprintln!("{file}: {size}"),
            len => eprintln!("{file}: {size}, {} of it there already", DecimalBytes(len)),
        }
        if self.sum.kind() == "none" {
            eprintln!("{file}: the server gives no checksum that is known here; only its size is checked");
        }
    }

    /// One connection, from here on.
    fn extend(&mut self, server: &Server, name: &Name) -> Result<()> {
        let mut response = server.open(name, self.about, self.len)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(&response)? != self.len => {
                bail!("another part came than was asked for");
            }
            StatusCode::PARTIAL_CONTENT => {}
            // The server does not know ranges.
            StatusCode::OK => self.restart()?,
            status if self.len == 0 => bail!("the server answers {status} to a request of the whole file"),
            // It knows a shorter file: what is there belongs to another.
            _ => {
                self.restart()?;
                return self.extend(server, name);
            }
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = body.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            if self.len + count as u64 > self.about.size {
                self.restart()?;
                bail!("more came than the {} bytes that were told of", self.about.size);
            }
            self.take(&buffer[..count])?;
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).with_context(|| cannot(&self.path))?;
        self.sum.update(bytes);
        self.len += bytes.len() as u64;
        self.progress.set_position(self.len);
        Ok(())
    }

    /// Why no more came; what is there is kept.
    fn cut(self, why: Option<anyhow::Error>) -> anyhow::Error {
        self.progress.finish_and_clear();
        let (file, len, size) = (&self.about.file, self.len, self.about.size);
        if let (0, Some(why)) = (len, why.as_ref()) {
            return anyhow::anyhow!("{file}: {why:#}");
        }
        let what = format!(
            "{file}: the connection ended after {len} of {size} bytes; give the same command again, it goes on from there"
        );
        why.unwrap_or_else(|| anyhow::anyhow!("the server sent no more")).context(what)
    }

    /// Checks the sum; only then the blob gets its name.
    fn finish(self, blob: &Path) -> Result<()> {
        self.progress.finish_and_clear();
        let kind = self.sum.kind();
        if let Some(sum) = self.sum.differs() {
            let _ = fs::remove_file(&self.path);
            bail!(
                "{}: its {kind} checksum is {sum}, expected {}; it was deleted: fetch it again, and if that ends alike, ask another HF_ENDPOINT",
                self.about.file,
                self.about.etag
            );
        }
        self.file.sync_all().with_context(|| cannot(&self.path))?;
        fs::rename(&self.path, blob).with_context(|| cannot(blob))
    }
}
