//! Reflection, which lets people explore the facade without its proto.

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{
    Facade,
    raw::{Answer, Connection, frame},
    sandbox,
};

const SERVICES: [&str; 4] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "rocketchat.videoconference.v1.VideoConferenceService",
];

/// Asks one question of one version of reflection and gives the answer's kind.
macro_rules! ask {
    ($facade:expr, $version:ident, $question:expr) => {{
        use $version::{ServerReflectionRequest, server_reflection_client::ServerReflectionClient};
        let question = ServerReflectionRequest {
            host: String::new(),
            message_request: Some($question),
        };
        ServerReflectionClient::new($facade.channel())
            .server_reflection_info(futures_util::stream::iter([question]))
            .await
            .expect("reflection")
            .into_inner()
            .message()
            .await
            .expect("an answer")
            .expect("an answer")
            .message_response
            .expect("a kind")
    }};
}

#[tokio::test]
async fn both_versions_list_every_service() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;

    let question = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) =
        ask!(facade, v1, question)
    else {
        panic!("no list")
    };
    let mut names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, SERVICES);

    let question = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list) =
        ask!(facade, v1alpha, question)
    else {
        panic!("no list")
    };
    let mut names: Vec<_> = list.service.iter().map(|it| it.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, SERVICES);
}

#[tokio::test]
async fn comments_come_along() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for symbol in [SERVICES[3], "google.rpc.ErrorInfo", "google.rpc.RetryInfo"] {
        let question =
            v1::server_reflection_request::MessageRequest::FileContainingSymbol(symbol.to_owned());
        let v1::server_reflection_response::MessageResponse::FileDescriptorResponse(files) =
            ask!(facade, v1, question)
        else {
            panic!("no file with {symbol}")
        };
        let file = FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).unwrap();
        let comments: String = file
            .source_code_info
            .iter()
            .flat_map(|info| &info.location)
            .filter_map(|location| location.leading_comments.clone())
            .collect();
        let ours = symbol == SERVICES[3];
        assert_eq!(
            comments.contains("Gets one video conference"),
            ours,
            "{symbol}"
        );
    }
}

/// What somebody asks for may be long; what is said of it isn't, or clients lose their connection.
#[tokio::test]
async fn an_unknown_symbol_is_not_echoed_whole() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    for symbol in ["x".repeat(12 << 10), "é".repeat(50 << 10)] {
        let question = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(
                v1::server_reflection_request::MessageRequest::FileContainingSymbol(symbol),
            ),
        };
        let mut connection = Connection::open(facade.address).await;
        let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let answer = connection.send(path, &[], frame(&question)).await;
        let answer = Answer::read(answer).await;
        assert_eq!(answer.grpc_status(), "5", "{answer:?}");
        let trailers = answer.trailers.as_ref().unwrap_or(&answer.headers);
        let message = trailers["grpc-message"].as_bytes();
        assert!(message.len() < 2 << 10, "{}", message.len());
    }
}
