//! What faults make of requests and of their answers.

use http::{Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};

use super::{Ask, Body, TOO_OLD, full, refuse};
use crate::sim::error::ApiError;
use crate::sim::fault::{self, Asked, End, Fate, Moment};
use crate::sim::watch;

/// The connection breaks, because a fault says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before the answer was complete")]
pub(crate) struct Broken;

/// An answer that is not to arrive, marked so.
pub(super) fn unheard(answer: Result<Response<Body>, ApiError>, at: Moment) -> Response<Body> {
    let mut answer = answer.unwrap_or_else(|error| refuse(&error));
    answer.extensions_mut().insert(at);
    answer
}

/// What of an answer goes out.
pub(super) async fn sent(answer: Response<Body>) -> Result<Response<Body>, Broken> {
    match answer.extensions().get::<Moment>().copied() {
        None => Ok(answer),
        Some(Moment::Before | Moment::After) => Err(Broken),
        Some(Moment::Amid) => {
            let (head, body) = answer.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let half = bytes.slice(..bytes.len() / 2);
            let frames = futures::stream::iter([Ok(http_body::Frame::data(half)), Err(Broken)]);
            Ok(Response::from_parts(head, StreamBody::new(frames).boxed_unsync()))
        }
    }
}

/// How a request goes on that met its faults.
pub(super) enum Turn {
    /// It does not: this is its answer.
    Over(Response<Body>),
    /// It does, and its connection breaks then.
    On(Option<Moment>),
}

impl Ask {
    /// What becomes of the request, once it was held up for as long as it is to be.
    pub(super) async fn fate(&self, asked: &Asked<'_>) -> Fate {
        let fate = fault::meet(&self.shared, asked);
        if !fate.delay.is_zero() {
            tokio::time::sleep(fate.delay).await;
        }
        fate
    }

    pub(super) fn turn(&self, verb: &str, end: Option<End>) -> Result<Turn, ApiError> {
        Ok(match end {
            Some(End::Refused(error)) => return Err(error),
            Some(End::Expired) => self.forgotten(verb)?.map_or(Turn::On(None), Turn::Over),
            Some(End::Cut(Moment::Before)) => Turn::Over(unheard(Err(ApiError::no_such_page()), Moment::Before)),
            // Half a watch is a watch that is lost, which is another fault.
            Some(End::Cut(_)) if verb == "watch" => Turn::On(Some(Moment::After)),
            Some(End::Cut(at)) => Turn::On(Some(at)),
            None => Turn::On(None),
        })
    }

    /// The answer to a list that goes on and to a watch from an earlier version, when the history was forgotten just now.
    fn forgotten(&self, verb: &str) -> Result<Option<Response<Body>>, ApiError> {
        let version = self.query.get("resourceVersion");
        match verb {
            "list" if !self.query.get("continue").is_empty() => Err(ApiError::expired(TOO_OLD)),
            "watch" if !matches!(version, "" | "0") && !self.query.is("sendInitialEvents") => {
                let error = ApiError::expired(format!("too old resource version: {version}"));
                Ok(Some(full(StatusCode::OK, "application/json", watch::error(&error))))
            }
            _ => Ok(None),
        }
    }
}
