//! What is looked at before a facade starts: trouble that passes is no reason not to, a mistake is.

use std::{error::Error as StdError, io, sync::Arc};

use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, ServerErrorKind,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

use super::{Namespace, Options, link::CONNECTING};
use crate::tls;

/// The oldest Redis whose streams and scripts do what we want. Valkey says that it is a Redis 7.2.
const OLDEST: (u32, u32) = (6, 2);

/// What was found where the store should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It.
    Store,
    /// Nobody, or nobody who can serve us just now: why.
    Trouble(String),
}

/// Looks whether the store is what we need, and lets us do what we want.
///
/// # Errors
/// It isn't, or doesn't, and never will unless somebody does something: in words for an operator.
pub async fn check(options: &Options) -> Result<Found, String> {
    let checking = async {
        let mut connection = connect(&options.client).await?;
        look(&mut connection, &options.namespace).await
    };
    match timeout(CONNECTING * 2, checking).await {
        Ok(Ok(())) => Ok(Found::Store),
        Ok(Err(Problem::Mistake(problem))) => Err(problem),
        Ok(Err(Problem::Failed(error))) => sort(&error),
        Err(_) => Ok(Found::Trouble("doesn't answer in time".to_owned())),
    }
}

enum Problem {
    Mistake(String),
    Failed(RedisError),
}

async fn connect(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECTING))
        .set_response_timeout(Some(CONNECTING));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

async fn look(
    connection: &mut MultiplexedConnection,
    namespace: &Namespace,
) -> Result<(), Problem> {
    match redis::cmd("INFO")
        .arg("server")
        .query_async(connection)
        .await
    {
        Ok::<String, _>(info) => suits(&info).map_err(Problem::Mistake)?,
        // Who may not ask for that will see whether it suits.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {}
        Err(error) => return Err(error.into()),
    }
    // All that we do there, with a name of its own.
    let name = format!("videoconf-facade:1:{{{}}}:check", namespace.0);
    let stream = format!("{name}:stream");
    redis::pipe()
        .cmd("SET")
        .arg(&name)
        .arg("1")
        .arg("PX")
        .arg(1000)
        .ignore()
        .cmd("MGET")
        .arg(&name)
        .ignore()
        .cmd("XADD")
        .arg(&stream)
        .arg("MAXLEN")
        .arg("~")
        .arg(1)
        .arg("*")
        .arg("a")
        .arg("b")
        .ignore()
        .cmd("EXPIRE")
        .arg(&stream)
        .arg(1)
        .ignore()
        .cmd("XREAD")
        .arg("STREAMS")
        .arg(&stream)
        .arg("0")
        .ignore()
        .cmd("TYPE")
        .arg(&stream)
        .ignore()
        .cmd("DEL")
        .arg(&stream)
        .arg(&name)
        .ignore()
        .cmd("TIME")
        .ignore()
        .cmd("EVAL")
        .arg("return redis.call('XRANGE', KEYS[1], '(0-1', '+')")
        .arg(1)
        .arg(&stream)
        .ignore()
        .query_async::<()>(connection)
        .await?;
    Ok(())
}

/// Whether a server that says this about itself will do.
fn suits(info: &str) -> Result<(), String> {
    let field = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    match field("redis_mode").map(str::trim) {
        Some("sentinel") => {
            return Err("is a Sentinel: name the Redis that it watches".to_owned());
        }
        Some("cluster") => {
            return Err(
                "is a node of a cluster, which isn't supported: take one that is none".to_owned(),
            );
        }
        _ => {}
    }
    let version = field("redis_version").map(str::trim);
    let Some(version) = version else {
        return Err("is neither Valkey nor Redis: it doesn't say its version".to_owned());
    };
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => Ok(()),
        _ => {
            let (major, minor) = OLDEST;
            Err(format!(
                "is Redis {version:?}, and {major}.{minor} is the oldest that will do"
            ))
        }
    }
}

/// Whether an error will pass.
fn sort(error: &RedisError) -> Result<Found, String> {
    let is_about_us = ["NOAUTH", "WRONGPASS"].map(Some).contains(&error.code());
    match error.kind() {
        ErrorKind::AuthenticationFailed => Err(not_accepted(error)),
        _ if is_about_us => Err(not_accepted(error)),
        ErrorKind::Io if is_of_tls(error) => Err(format!("can't be spoken TLS with: {error}")),
        ErrorKind::Parse => {
            Err("is neither Valkey nor Redis: it speaks another protocol".to_owned())
        }
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
        | ErrorKind::InvalidClientConfig => {
            Err(format!("doesn't let us do what is needed: {error}"))
        }
        _ => Ok(Found::Trouble(error.to_string())),
    }
}

fn not_accepted(error: &RedisError) -> String {
    format!("doesn't accept the user and password: {error}")
}

/// Whether the other side speaks no TLS, or isn't trusted.
fn is_of_tls(error: &RedisError) -> bool {
    type Inner = Arc<dyn StdError + Send + Sync>;
    let inner = error.source().and_then(|it| it.downcast_ref::<Inner>());
    let inner = inner.and_then(|it| it.downcast_ref::<io::Error>());
    inner.is_some_and(tls::has_failed)
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_suits_by_what_it_says() {
        for (info, expected) in [
            (
                "# Server\r\nredis_version:6.2.0\r\nredis_mode:standalone\r\n",
                Ok(()),
            ),
            (
                "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\n",
                Ok(()),
            ),
            ("redis_version:10.0.1", Ok(())),
            ("redis_version:6.0.16\r\n", Err("6.0.16")),
            ("redis_version:5.0.7\r\n", Err("5.0.7")),
            ("redis_version:new\r\n", Err("new")),
            (
                "redis_version:7.2.4\r\nredis_mode:sentinel\r\n",
                Err("Sentinel"),
            ),
            (
                "redis_version:7.2.4\r\nredis_mode:cluster\r\n",
                Err("cluster"),
            ),
            ("version:1.6.31", Err("neither")),
            ("", Err("neither")),
        ] {
            match (suits(info), expected) {
                (Ok(()), Ok(())) => {}
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
                (found, _) => panic!("{info}: {found:?}"),
            }
        }
    }
}
