//! The web page at `/`. It is in the binary, and loads nothing from elsewhere.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// What the page may do: only what comes from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' blob:; img-src 'self' data: blob:; media-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A part of the page: its address, its kind, its text.
pub const PARTS: [(&str, &str, &str); 5] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/midi.js", "text/javascript; charset=utf-8", include_str!("page/midi.js")),
    ("/sound.js", "text/javascript; charset=utf-8", include_str!("page/sound.js")),
];

/// Whether an address is that of a part of the page, which anyone may have: it holds nothing of anybody.
pub fn is_part(path: &str) -> bool {
    PARTS.iter().any(|(address, ..)| *address == path)
}

/// A part as an answer.
pub fn part(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}
