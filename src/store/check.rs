//! What is looked at before a facade starts: trouble that passes is no reason not to, a mistake is.

use std::{error::Error as StdError, io, sync::Arc};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::MultiplexedConnection};
use tokio::time::timeout;

use super::{
    Options,
    link::{CONNECTING, connect},
    whereabouts::{Hello, is_about_credentials},
};
use crate::tls;

/// The oldest Redis whose streams and scripts do what we want.
const OLDEST: (u32, u32) = (6, 2);

/// Looks whether the store is what we need, and lets us do what we want. That nobody is there, or nobody who can serve
/// us just now, will pass, and is told by whoever reads the ledger.
///
/// # Errors
/// It isn't, or doesn't, and never will unless somebody does something: in words for an operator.
pub async fn check(options: &Options) -> Result<(), String> {
    let checking = async {
        let name = options.namespace.name("check");
        let (client, hello) = options.seed.find(&name).await?;
        suits(&hello).map_err(Problem::Mistake)?;
        let mut connection = connect(&client, CONNECTING).await?;
        do_all(&mut connection, &name).await?;
        Ok(())
    };
    match timeout(CONNECTING * 3, checking).await {
        Ok(Err(Problem::Mistake(problem))) => Err(problem),
        Ok(Err(Problem::Failed(error))) => mistake(&error).map_or(Ok(()), Err),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

enum Problem {
    Mistake(String),
    Failed(RedisError),
}

/// All that we do there, under a name of its own.
async fn do_all(connection: &mut MultiplexedConnection, name: &str) -> RedisResult<()> {
    const SCRIPT: &str = "return redis.call('XRANGE', KEYS[1], '(0-1', '+')";
    let stream = format!("{name}:stream");
    let command = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
    };
    let mut all = redis::pipe();
    for words in [
        &["SET", name, "1", "PX", "1000"][..],
        &["MGET", name],
        &["XADD", &stream, "MAXLEN", "~", "1", "*", "a", "b"],
        &["EXPIRE", &stream, "1"],
        &["XREAD", "STREAMS", &stream, "0"],
        &["XREVRANGE", &stream, "+", "-", "COUNT", "1"],
        &["TYPE", &stream],
        &["EVAL", SCRIPT, "1", &stream],
        &["DEL", name, &stream],
        &["TIME"],
    ] {
        all.add_command(command(words)).ignore();
    }
    all.query_async(connection).await
}

/// Whether a server that says this of itself will do.
fn suits(hello: &Hello) -> Result<(), String> {
    let Hello {
        server, version, ..
    } = hello;
    let mut numbers = version.split('.').map(str::parse::<u32>);
    match (&**server, numbers.next(), numbers.next()) {
        ("redis", Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => Ok(()),
        ("redis", ..) => {
            let (major, minor) = OLDEST;
            Err(format!(
                "is Redis {version:?}, and {major}.{minor} is the oldest that will do"
            ))
        }
        // Without a word of it, as to who may not ask, there is more to see.
        ("valkey" | "", ..) => Ok(()),
        _ => Err(format!("is neither Valkey nor Redis, but {server:?}")),
    }
}

/// What is wrong, in words for an operator; `None` if it will pass.
fn mistake(error: &RedisError) -> Option<String> {
    Some(match error.kind() {
        _ if is_about_credentials(error) => {
            format!("doesn't accept the user and password: {error}")
        }
        ErrorKind::Io if is_of_tls(error) => format!("can't be spoken TLS with: {error}"),
        ErrorKind::Parse => "is neither Valkey nor Redis: it speaks another protocol".to_owned(),
        ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
        | ErrorKind::InvalidClientConfig => format!("doesn't let us do what is needed: {error}"),
        _ => return None,
    })
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
        for (server, version, expected) in [
            ("redis", "6.2.0", Ok(())),
            ("redis", "7.2.4", Ok(())),
            ("redis", "10.0.1", Ok(())),
            ("valkey", "8.1.0", Ok(())),
            ("", "", Ok(())),
            ("redis", "6.0.16", Err("6.0.16")),
            ("redis", "5.0.7", Err("5.0.7")),
            ("redis", "new", Err("new")),
            ("redis", "", Err("Redis")),
            ("memcached", "1.6.31", Err("neither")),
        ] {
            let hello = Hello {
                server: server.to_owned(),
                version: version.to_owned(),
                ..Hello::default()
            };
            match (suits(&hello), expected) {
                (Ok(()), Ok(())) => {}
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
                (found, _) => panic!("{server} {version}: {found:?}"),
            }
        }
    }
}
