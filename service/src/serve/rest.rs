//! What is left of a request's body when it is refused. A connection that is closed with bytes unread is reset, and the
//! caller who still sends never reads why; so a while is spent on reading them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use http_body::{Frame, SizeHint};

/// Most bytes that are read for nothing, and how long that may take.
const MOST: usize = 64 << 20;
const WITHIN: Duration = Duration::from_secs(2);

/// A body that can be looked at again after the one who read it let it go.
struct Lent(Arc<Mutex<Body>>);

/// The same, for afterwards.
pub struct Rest(Option<Arc<Mutex<Body>>>);

/// Lends a request's body; whoever waits to be asked for it (`Expect`) sends nothing that has to be read.
pub fn of(request: Request) -> (Request, Rest) {
    if request.headers().contains_key(header::EXPECT) {
        return (request, Rest(None));
    }
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body));
    (Request::from_parts(parts, Body::new(Lent(Arc::clone(&body)))), Rest(Some(body)))
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

impl Rest {
    /// Reads what is left and forgets it, in bounds.
    pub async fn drain(self) {
        let Some(body) = self.0 else { return };
        let mut body = Lent(body);
        let read = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > MOST {
                    return;
                }
            }
        };
        // Beyond that the caller is on his own.
        let _ = tokio::time::timeout(WITHIN, read).await;
    }
}
