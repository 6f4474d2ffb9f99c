//! From a call's metadata to the caller's credentials.

use http::HeaderValue;
use tonic::metadata::MetadataMap;

use crate::{
    credentials::{AUTH_TOKEN, AuthToken, Credentials, Problem, USER_ID, UserId},
    error::Error,
};

pub(super) fn credentials(metadata: &MetadataMap) -> Result<Credentials, Error> {
    Ok(Credentials {
        user_id: credential(metadata, USER_ID, UserId::new)?,
        auth_token: credential(metadata, AUTH_TOKEN, AuthToken::new)?,
    })
}

/// Exactly one value: two would leave it to chance who is asking.
fn credential<T>(
    metadata: &MetadataMap,
    key: &'static str,
    checked: impl FnOnce(HeaderValue) -> Result<T, Problem>,
) -> Result<T, Error> {
    let mut values = metadata.as_ref().get_all(key).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Problem::Missing),
        (Some(_), Some(_)) => Err(Problem::Repeated),
        (Some(value), None) => checked(value.clone()),
    }
    .map_err(|problem| Error::InvalidCredentials { key, problem })
}
