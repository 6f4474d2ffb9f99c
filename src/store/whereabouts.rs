//! Which server it is that has what is ours, where a Sentinel or a node of a cluster is all that is known.

use std::collections::HashMap;

use redis::{
    Client, ConnectionAddr, ErrorKind, FromRedisValue, RedisConnectionInfo, RedisError,
    RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection,
};

use super::{LIMIT, link::connect};

/// What a server says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) server: String,
    pub(super) version: String,
    pub(super) mode: String,
}

/// Where a primary is.
type Address = (String, u16);

/// Somebody who knows where the store is: itself, a Sentinel that watches it, or a node of its cluster.
#[derive(Clone, Debug)]
pub struct Seed {
    /// How it is spoken to, and the store as well.
    pub client: Client,
    /// What a Sentinel calls it; without that, it is the only one that is watched.
    pub primary: Option<String>,
}

impl Seed {
    /// Where the store is, for people.
    pub(super) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// The server that has what is called `key`.
    pub(super) async fn find(&self, key: &str) -> RedisResult<(Client, Hello)> {
        let (mut connection, hello) = self.ask().await?;
        let address = match &*hello.mode {
            "sentinel" => Some(self.primary(&mut connection).await?),
            "cluster" => Some(self.owner(&mut connection, key).await?),
            _ => None,
        };
        let client = match address {
            Some(address) => self.at(address)?,
            None => self.client.clone(),
        };
        Ok((client, hello))
    }

    /// Connects, and hears what it is.
    async fn ask(&self) -> RedisResult<(MultiplexedConnection, Hello)> {
        match hello(&self.client).await {
            // Sentinels often have no password where the store has one.
            Err(refused) if is_about_credentials(&refused) => {
                let info = self.client.get_connection_info().clone();
                let stranger =
                    Client::open(info.set_redis_settings(RedisConnectionInfo::default()))?;
                match hello(&stranger).await {
                    Ok(asked) if asked.1.mode == "sentinel" => Ok(asked),
                    _ => Err(refused),
                }
            }
            asked => asked,
        }
    }

    /// Where the primary is that a Sentinel watches.
    async fn primary(&self, sentinel: &mut MultiplexedConnection) -> RedisResult<Address> {
        let mut sentinel_command = redis::cmd("SENTINEL");
        let all: Vec<HashMap<String, String>> = sentinel_command
            .arg("MASTERS")
            .query_async(sentinel)
            .await?;
        let is_it = |it: &&HashMap<String, String>| {
            self.primary.is_none() || it.get("name") == self.primary.as_ref()
        };
        let mut found = all.iter().filter(is_it);
        let (Some(found), None) = (found.next(), found.next()) else {
            let names: Vec<_> = all
                .iter()
                .filter_map(|it| it.get("name"))
                .map(String::as_str)
                .collect();
            let problem = "the Sentinel doesn't watch just what is asked for; its primaries are";
            return Err((ErrorKind::InvalidClientConfig, problem, names.join(", ")).into());
        };
        let port = found.get("port").and_then(|it| it.parse().ok());
        let address = found.get("ip").cloned().zip(port);
        address.ok_or_else(|| {
            (
                ErrorKind::UnexpectedReturnType,
                "a primary without an address",
            )
                .into()
        })
    }

    /// The node of a cluster that has what is called `key`, as another one knows.
    async fn owner(&self, node: &mut MultiplexedConnection, key: &str) -> RedisResult<Address> {
        let mut ask_slot = redis::cmd("CLUSTER");
        let slot = ask_slot.arg("KEYSLOT").arg(key).query_async(node).await?;
        let mut ask_slots = redis::cmd("CLUSTER");
        let slots: Vec<Vec<Value>> = ask_slots.arg("SLOTS").query_async(node).await?;
        let Some((host, port)) = owner_of(slot, &slots) else {
            let problem = "no node of the cluster has our slot";
            return Err((ErrorKind::ClusterConnectionNotFound, problem).into());
        };
        let own_host = match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
            _ => "localhost".to_owned(),
        };
        Ok((host.unwrap_or(own_host), port))
    }

    /// The same at another address.
    fn at(&self, (host, port): Address) -> RedisResult<Client> {
        let info = self.client.get_connection_info().clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure,
                tls_params,
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Client::open(info.set_addr(addr))
    }
}

/// Connects, and has the server say what it is.
async fn hello(client: &Client) -> RedisResult<(MultiplexedConnection, Hello)> {
    let mut connection = connect(client, LIMIT).await?;
    match redis::cmd("HELLO")
        .query_async::<HashMap<String, Value>>(&mut connection)
        .await
    {
        Ok(said) => Ok((connection, Hello::new(&said))),
        // Who may not ask will see.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Ok((connection, Hello::default()))
        }
        Err(error) => Err(error),
    }
}

impl Hello {
    fn new(said: &HashMap<String, Value>) -> Self {
        let text = |name| {
            let value = said
                .get(name)
                .and_then(|it| String::from_redis_value_ref(it).ok());
            value.unwrap_or_default()
        };
        Self {
            server: text("server"),
            version: text("version"),
            mode: text("mode"),
        }
    }
}

/// The node that has `slot`, by the answer to CLUSTER SLOTS: without its host, where it doesn't know that itself.
fn owner_of(slot: u16, slots: &[Vec<Value>]) -> Option<(Option<String>, u16)> {
    let number = |value: &Value| u16::from_redis_value_ref(value).ok();
    slots.iter().find_map(|range| {
        let [first, last, primary, ..] = &range[..] else {
            return None;
        };
        if !(number(first)?..=number(last)?).contains(&slot) {
            return None;
        }
        let primary: Vec<Value> = FromRedisValue::from_redis_value_ref(primary).ok()?;
        let [host, port, ..] = &primary[..] else {
            return None;
        };
        let host: Option<String> = FromRedisValue::from_redis_value_ref(host).ok()?;
        Some((host.filter(|it| !it.is_empty()), number(port)?))
    })
}

/// Whether somebody isn't let in as who they say they are, or says that they are nobody.
pub(super) fn is_about_credentials(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || ["NOAUTH", "WRONGPASS"].map(Some).contains(&error.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_slot_has_one_owner() {
        let range = |first, last, host, port| {
            let node = Value::Array(vec![host, Value::Int(port), text("id")]);
            vec![Value::Int(first), Value::Int(last), node]
        };
        let slots = [
            range(0, 5460, text("one"), 1),
            range(5461, 10922, Value::Nil, 2),
            range(10923, 16382, text(""), 3),
            vec![Value::Int(16383)],
        ];
        for (slot, expected) in [
            (0, Some((Some("one"), 1))),
            (5460, Some((Some("one"), 1))),
            (5461, Some((None, 2))),
            (16382, Some((None, 3))),
            (16383, None),
        ] {
            let owner = owner_of(slot, &slots);
            let owner = owner.as_ref().map(|(host, port)| (host.as_deref(), *port));
            assert_eq!(owner, expected, "{slot}");
        }
    }
}
