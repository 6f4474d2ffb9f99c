//! The ledger's entries, as fields that people can read.

use std::{collections::HashMap, fmt::Display, str::FromStr, time::Duration};

use crate::{
    credentials::Fingerprint,
    exchange::{Head, RateLimit},
    replicas::{Begun, Event, KeyId, Over, ReadId, Replica, Tag, Takes, Waits},
};

/// A field that isn't what it is called.
#[derive(Debug)]
struct Rubbish;

/// The fields of an entry.
pub(super) type Fields = Vec<(&'static str, String)>;

/// What an entry says.
pub(super) fn fields(by: Replica, event: &Event) -> Fields {
    let (kind, mut rest) = match event {
        Event::Alive(waits, key) => ("alive", of_alive(waits, *key)),
        Event::Left => ("left", Vec::new()),
        Event::Begun(begun) => ("begun", of_begun(begun)),
        Event::Over(over) => ("over", of_over(over)),
        Event::Sent(ago) => ("sent", vec![("ago", millis(*ago))]),
    };
    let mut fields = vec![("kind", kind.to_owned()), ("by", format!("{:016x}", by.0))];
    fields.append(&mut rest);
    fields
}

fn of_alive(waits: &Waits, key: KeyId) -> Fields {
    let mut fields = vec![
        ("key", format!("{:016x}", key.0)),
        ("reads", waits.reads.to_string()),
    ];
    fields.extend(waits.next.map(|next| ("next", hex(next.as_bytes()))));
    fields
}

fn of_begun(begun: &Begun) -> Fields {
    vec![
        ("read", format!("{:016x}", begun.read.0)),
        ("tag", hex(&begun.tag.0)),
        ("credential", hex(begun.credential.as_bytes())),
        ("takes", takes_name(begun.takes).to_owned()),
    ]
}

fn of_over(over: &Over) -> Fields {
    let mut fields = vec![
        ("read", format!("{:016x}", over.read.0)),
        ("credential", hex(over.credential.as_bytes())),
        ("sent", over.was_sent.to_string()),
    ];
    let Some(head) = &over.head else {
        return fields;
    };
    fields.push(("status", head.status.to_string()));
    fields.extend(head.retry_after.map(|it| ("retry-after", millis(it))));
    let Some(rate_limit) = &head.rate_limit else {
        return fields;
    };
    // There, even if none of it could be read.
    fields.push(("limit", or_empty(rate_limit.limit)));
    fields.push(("remaining", or_empty(rate_limit.remaining)));
    fields.push(("reset", or_empty(rate_limit.reset)));
    fields.extend(
        rate_limit
            .resets_after
            .map(|it| ("resets-after", millis(it))),
    );
    fields
}

/// How a read's taking is called.
pub(super) fn takes_name(takes: Takes) -> &'static str {
    match takes {
        Takes::One => "one",
        Takes::OneForAStranger => "one-for-a-stranger",
        Takes::Nothing => "nothing",
    }
}

/// What an entry with these fields says, and whose it is; `None` if that isn't ours, or of a version to come.
pub(super) fn event(fields: &HashMap<String, String>) -> Option<(Replica, Event)> {
    let text = |name| fields.get(name).map(String::as_str);
    let number = |name| text(name)?.parse::<u64>().ok();
    let name = |name| u64::from_str_radix(text(name)?, 16).ok();
    let by = Replica(name("by")?);
    let credential = || unhex(text("credential")?).map(Fingerprint::from_bytes);
    let event = match text("kind")? {
        "alive" => {
            let waits = Waits {
                reads: u32::try_from(number("reads")?).ok()?,
                next: match text("next") {
                    Some(next) => Some(Fingerprint::from_bytes(unhex(next)?)),
                    None => None,
                },
            };
            Event::Alive(waits, KeyId(name("key")?))
        }
        "left" => Event::Left,
        "begun" => Event::Begun(Begun {
            read: ReadId(name("read")?),
            tag: Tag(unhex(text("tag")?)?),
            credential: credential()?,
            takes: [Takes::One, Takes::OneForAStranger, Takes::Nothing]
                .into_iter()
                .find(|takes| text("takes") == Some(takes_name(*takes)))?,
        }),
        "over" => Event::Over(Over {
            read: ReadId(name("read")?),
            credential: credential()?,
            was_sent: text("sent")?.parse().ok()?,
            head: match text("status") {
                Some(status) => Some(Head {
                    status: status.parse().ok()?,
                    rate_limit: rate_limit(&text).ok()?,
                    retry_after: duration(text("retry-after")).ok()?,
                }),
                None => None,
            },
        }),
        "sent" => Event::Sent(duration(text("ago")).ok()??),
        _ => return None,
    };
    Some((by, event))
}

fn rate_limit<'a>(
    text: &impl Fn(&'static str) -> Option<&'a str>,
) -> Result<Option<RateLimit>, Rubbish> {
    let Some(limit) = text("limit") else {
        return Ok(None);
    };
    Ok(Some(RateLimit {
        limit: maybe(limit)?,
        remaining: maybe(text("remaining").ok_or(Rubbish)?)?,
        reset: maybe(text("reset").ok_or(Rubbish)?)?,
        resets_after: duration(text("resets-after"))?,
    }))
}

/// A number, or the empty text for none.
fn maybe<T: FromStr>(text: &str) -> Result<Option<T>, Rubbish> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Rubbish)
}

fn or_empty(number: Option<impl Display>) -> String {
    number.map(|it| it.to_string()).unwrap_or_default()
}

fn duration(millis: Option<&str>) -> Result<Option<Duration>, Rubbish> {
    let millis = millis.map(|millis| millis.parse().map_err(|_| Rubbish));
    Ok(millis.transpose()?.map(Duration::from_millis))
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

pub(super) fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok();
    number.filter(|_| text.len() == 32).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &Fields) -> Option<(Replica, Event)> {
        let fields = fields.iter();
        event(
            &fields
                .map(|(name, text)| ((*name).to_owned(), text.clone()))
                .collect(),
        )
    }

    fn all() -> Vec<Event> {
        let credential = Fingerprint::from_bytes([0xAB; 16]);
        let head = |rate_limit, retry_after| Head {
            status: 429,
            rate_limit,
            retry_after,
        };
        let over = |head| {
            Event::Over(Over {
                read: ReadId(7),
                credential,
                was_sent: true,
                head,
            })
        };
        let second = Duration::from_secs(1);
        let rate_limit = RateLimit {
            limit: Some(15),
            remaining: Some(0),
            reset: Some(1_795_428_000_123),
            resets_after: Some(second),
        };
        let begun = |takes| {
            Event::Begun(Begun {
                read: ReadId(u64::MAX),
                tag: Tag([1; 16]),
                credential,
                takes,
            })
        };
        let waits = |next| Event::Alive(Waits { reads: 3, next }, KeyId(0xABC));
        vec![
            waits(None),
            waits(Some(credential)),
            Event::Left,
            begun(Takes::One),
            begun(Takes::OneForAStranger),
            begun(Takes::Nothing),
            over(None),
            over(Some(head(None, None))),
            over(Some(head(Some(RateLimit::default()), Some(second)))),
            over(Some(head(Some(rate_limit), None))),
            Event::Sent(second),
        ]
    }

    #[test]
    fn what_is_written_can_be_read() {
        for event in all() {
            let by = Replica(0x1234);
            assert_eq!(read(&fields(by, &event)), Some((by, event)));
        }
    }

    #[test]
    fn rubbish_is_nothing() {
        for event in all() {
            let good = fields(Replica(1), &event);
            for broken in 0..good.len() {
                let mut fields = good.clone();
                fields[broken].1 = "rubbish".to_owned();
                assert_eq!(read(&fields), None, "{fields:?}");
            }
        }
        assert_eq!(read(&Vec::new()), None);
    }
}
