//! Who calls.

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use super::Invalid;

/// A Rocket.Chat user's id and auth token, which go with each call: the facade has none of its own.
#[derive(Clone)]
pub struct Credentials {
    user_id: MetadataValue<Ascii>,
    auth_token: MetadataValue<Ascii>,
}

impl Credentials {
    /// The credentials of a user. Whether Rocket.Chat takes them is for the facade to say.
    ///
    /// # Errors
    /// No call could carry them.
    pub fn new(user_id: &str, auth_token: &str) -> Result<Self, Invalid> {
        if user_id.is_empty() || auth_token.is_empty() {
            return Err(Invalid("user id and auth token are both needed".to_owned()));
        }
        let mut auth_token = value("auth token", auth_token)?;
        // Keeps it out of debug output, and out of HTTP/2's tables of headers.
        auth_token.set_sensitive(true);
        Ok(Self {
            user_id: value("user id", user_id)?,
            auth_token,
        })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("x-user-id", self.user_id.clone());
        metadata.insert("x-auth-token", self.auth_token.clone());
        Ok(request)
    }
}

fn value(name: &str, text: &str) -> Result<MetadataValue<Ascii>, Invalid> {
    // tonic would take a tab and all beyond ASCII, too, which the facade refuses.
    let is_printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let value = text.parse().ok().filter(|_| is_printable);
    value.ok_or_else(|| Invalid(format!("the {name} has a byte outside printable ASCII")))
}
