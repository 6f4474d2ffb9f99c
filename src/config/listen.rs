//! Where to listen, as it was asked for.

use std::{fmt, net::SocketAddr};

/// An address with its port, or a host name with one, which stands for all of its addresses. Names
/// are looked up when the listening begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen(String);

impl Listen {
    /// Reads `127.0.0.1:50051`, `[::]:50051`, `localhost:50051`.
    ///
    /// # Errors
    /// What is wrong with it, in words for an operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_address = text.parse::<SocketAddr>().is_ok();
        let is_named = text.rsplit_once(':').is_some_and(|(host, port)| {
            is_name(host)
                && port.bytes().all(|it| it.is_ascii_digit())
                && port.parse::<u16>().is_ok()
        });
        if is_address || is_named {
            Ok(Self(text.to_owned()))
        } else {
            Err(
                "is not an address or a host name with a port, like 127.0.0.1:50051 or \
                 localhost:50051; all addresses are 0.0.0.0:50051 or [::]:50051"
                    .to_owned(),
            )
        }
    }

    /// Whether no other machine can connect.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        if let Ok(address) = self.0.parse::<SocketAddr>() {
            return address.ip().is_loopback();
        }
        let host = self.0.split(':').next().unwrap_or_default();
        host.eq_ignore_ascii_case("localhost")
    }

    /// As it was asked for.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Digits and dots are an address with a typing error, and no name.
fn is_name(host: &str) -> bool {
    let is_fit = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_');
    host.bytes().all(is_fit) && host.bytes().any(|it| it.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_have_a_port() {
        for good in [
            "127.0.0.1:50051",
            "0.0.0.0:0",
            "[::]:50051",
            "[::1]:1",
            "localhost:50051",
            "my-host.example.org.:65535",
        ] {
            assert!(Listen::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            ":50051",
            "*:50051",
            "50051",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:+1",
            "localhost:65536",
            "::1:50051",
            "[localhost]:50051",
            "127.0.0.256:50051",
            "127.1:50051",
            "user@host:1",
            "http://localhost:50051",
            "a b:1",
        ] {
            let problem = Listen::parse(wrong).expect_err(wrong);
            for all in ["0.0.0.0:50051", "[::]:50051"] {
                assert!(problem.contains(all), "{problem}");
            }
        }
    }
}
