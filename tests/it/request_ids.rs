//! `x-request-id`: taken, made, and always returned.

use videoconf_facade::sandbox::Reply;

use crate::support::{Facade, SMALLEST, raw::Connection, sandbox};

#[tokio::test]
async fn a_good_one_is_returned_and_a_bad_one_replaced() {
    let sandbox = sandbox().await;
    sandbox.always(Reply::json(200, SMALLEST));
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    let longest = "x".repeat(128);
    let too_long = "x".repeat(129);
    for (id, is_returned) in [
        ("abc-1", true),
        ("with spaces ~", true),
        (&longest, true),
        (&too_long, false),
        ("", false),
        ("caf\u{e9}", false),
        ("tab\tbed", false),
    ] {
        let answer = connection.get_info("x", &[("x-request-id", id)]).await;
        let returned = answer.headers["x-request-id"].as_bytes();
        assert_eq!(returned == id.as_bytes(), is_returned, "{id:?}");
        assert!(is_returned || is_made(returned), "{id:?}");
    }
}

#[tokio::test]
async fn every_answer_has_one_of_its_own() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut connection = Connection::open(facade.address).await;
    sandbox.script(Reply::json(200, SMALLEST));
    let good = connection.get_info("x", &[]).await;
    let refused = connection.get_info("", &[]).await;
    let unknown = connection.send("/no.such/Method", &[], bytes::Bytes::new());
    let unknown = crate::support::raw::Answer::read(unknown.await).await;
    assert_eq!(unknown.grpc_status(), "12");
    let ids = [good, refused, unknown].map(|answer| answer.headers["x-request-id"].clone());
    assert!(ids.iter().all(|id| is_made(id.as_bytes())), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
}

fn is_made(id: &[u8]) -> bool {
    id.len() == 32 && id.iter().all(u8::is_ascii_hexdigit)
}
