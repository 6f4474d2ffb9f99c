//! What a route needs of this room: how it is asked, and how its answer is read.

use super::json::Malformed;
use crate::route::Parameters;

/// Parameters that can be sent to Rocket.Chat.
pub trait Method: Parameters {
    /// The parameters of the URL, by Rocket.Chat's own names.
    fn query(&self) -> impl IntoIterator<Item = (&'static str, &str)>;

    /// Reads the body of a success.
    ///
    /// # Errors
    /// It isn't what this method answers.
    fn answer(body: &[u8]) -> Result<Self::Answer, Malformed>;
}
