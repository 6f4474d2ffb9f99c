//! What joins the rooms: the traits of everything that can answer a query.

use crate::{
    error::Error,
    exchange::{Exchange, Moment},
    query::{Attempt, Caller, Query},
    route::{Info, Parameters},
};

/// What a caller is told.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What Rocket.Chat said, without loss.
    pub value: T,
    /// When the request for it was sent.
    pub read_at: Moment,
}

/// Answers callers: the end of the source stack that `api` sees.
pub trait Lookup<P: Parameters>: Send + Sync + 'static {
    /// Finds the answer. Dropping the future tells that the caller has gone.
    fn find(
        &self,
        query: &Query<P>,
        caller: &Caller,
    ) -> impl Future<Output = Result<Answer<P::Answer>, Error>> + Send;
}

/// Answers everything that the service asks for.
pub trait ConferenceSource: Lookup<Info> {}

impl<S: Lookup<Info>> ConferenceSource for S {}

/// Asks Rocket.Chat: its client, and every decorator that is about requests and not about callers.
pub trait Upstream<P: Parameters>: Send + Sync + 'static {
    /// Makes one request, or as many as the decorator stands for. Dropping the future gives it up.
    fn ask(
        &self,
        query: &Query<P>,
        attempt: &Attempt,
    ) -> impl Future<Output = Exchange<P::Answer>> + Send;
}
