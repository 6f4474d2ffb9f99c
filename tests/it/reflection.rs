//! Reflection, which lets people explore the facade without its proto.

use futures_util::TryStreamExt;
use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorProto;
use tonic::Code;
use tonic_reflection::pb::{
    v1::{
        self, server_reflection_request::MessageRequest,
        server_reflection_response::MessageResponse as Answered,
    },
    v1alpha,
};

use crate::support::{Facade, sandbox};

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

/// Asks all of `questions` on one stream.
async fn ask_all(facade: &Facade, questions: Vec<Option<MessageRequest>>) -> Vec<Answered> {
    let questions = questions
        .into_iter()
        .map(|question| v1::ServerReflectionRequest {
            host: "a host".to_owned(),
            message_request: question,
        });
    let questions: Vec<_> = questions.collect();
    let answers = v1::server_reflection_client::ServerReflectionClient::new(facade.channel())
        .server_reflection_info(futures_util::stream::iter(questions.clone()))
        .await
        .expect("reflection")
        .into_inner();
    let answers: Vec<_> = answers
        .try_collect()
        .await
        .expect("an end without an error");
    assert_eq!(answers.len(), questions.len());
    for (answer, question) in answers.iter().zip(questions) {
        assert_eq!(answer.valid_host, "a host");
        assert_eq!(answer.original_request, Some(question));
    }
    answers
        .into_iter()
        .map(|answer| answer.message_response.expect("a kind"))
        .collect()
}

#[tokio::test]
async fn what_is_not_there_is_an_answer_and_no_end() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let extension = v1::ExtensionRequest {
        containing_type: "google.rpc.ErrorInfo".to_owned(),
        extension_number: 7,
    };
    let not_there = [
        (
            MessageRequest::FileContainingSymbol("no.such.Thing".to_owned()).into(),
            Code::NotFound,
        ),
        (
            MessageRequest::FileContainingSymbol("x".repeat(12 << 10)).into(),
            Code::NotFound,
        ),
        (
            MessageRequest::FileByFilename("no/such.proto".to_owned()).into(),
            Code::NotFound,
        ),
        (
            MessageRequest::FileContainingExtension(extension).into(),
            Code::NotFound,
        ),
        (
            MessageRequest::AllExtensionNumbersOfType("no.Such".to_owned()).into(),
            Code::NotFound,
        ),
        (None, Code::InvalidArgument),
    ];
    let there = MessageRequest::FileContainingSymbol(SERVICES[3].to_owned());
    let mut questions: Vec<_> = not_there
        .iter()
        .map(|(question, _)| question.clone())
        .collect();
    questions.push(Some(there));
    let answers = ask_all(&facade, questions).await;
    for ((question, code), answer) in not_there.iter().zip(&answers) {
        let Answered::ErrorResponse(error) = answer else {
            panic!("{question:?}: {answer:?}")
        };
        assert_eq!(error.error_code, *code as i32, "{question:?}");
        assert!(error.error_message.len() < 100, "{error:?}");
    }
    let last = answers.last().expect("an answer");
    assert!(
        matches!(last, Answered::FileDescriptorResponse(_)),
        "{last:?}"
    );

    // The older version has the same answers.
    let question = v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
        "no.such.Thing".to_owned(),
    );
    let v1alpha::server_reflection_response::MessageResponse::ErrorResponse(error) =
        ask!(facade, v1alpha, question)
    else {
        panic!("no error")
    };
    assert_eq!(error.error_code, Code::NotFound as i32);
}

/// The file that `question` asks for.
async fn file(facade: &Facade, question: MessageRequest) -> FileDescriptorProto {
    let case = format!("{question:?}");
    let answers = ask_all(facade, vec![Some(question)]).await;
    let Answered::FileDescriptorResponse(files) = &answers[0] else {
        panic!("no file: {case}")
    };
    FileDescriptorProto::decode(&files.file_descriptor_proto[0][..]).expect("a file")
}

#[tokio::test]
async fn symbols_of_every_kind_are_found_in_files_that_imports_name() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let ours = "rocketchat/videoconference/v1/video_conference_service.proto";
    let details = "google/rpc/error_details.proto";
    for (symbol, name) in [
        (SERVICES[3], ours),
        (
            "rocketchat.videoconference.v1.VideoConferenceService.GetInfo",
            ours,
        ),
        ("rocketchat.videoconference.v1.VideoConference", ours),
        ("rocketchat.videoconference.v1.VideoConference.id", ours),
        ("rocketchat.videoconference.v1.ErrorReason", ours),
        ("rocketchat.videoconference.v1.ERROR_REASON_INTERNAL", ours),
        ("google.rpc.ErrorInfo", details),
        ("google.rpc.ErrorInfo.MetadataEntry", details),
        ("google.rpc.BadRequest.FieldViolation", details),
        ("google.rpc.Status", "google/rpc/status.proto"),
        ("google.protobuf.Duration", "google/protobuf/duration.proto"),
        ("google.protobuf.Value.kind", "google/protobuf/struct.proto"),
        (SERVICES[0], "grpc/health/v1/health.proto"),
        (
            "grpc.health.v1.HealthCheckResponse.SERVING",
            "grpc/health/v1/health.proto",
        ),
        (SERVICES[1], "grpc/reflection/v1/reflection.proto"),
        (SERVICES[2], "grpc/reflection/v1alpha/reflection.proto"),
    ] {
        let found = file(
            &facade,
            MessageRequest::FileContainingSymbol(symbol.to_owned()),
        )
        .await;
        assert_eq!(found.name(), name, "{symbol}");
        let by_name = file(&facade, MessageRequest::FileByFilename(name.to_owned())).await;
        assert_eq!(found, by_name, "{symbol}");
    }
}

/// Who exports the service gets what the details of its errors are.
#[tokio::test]
async fn the_service_and_its_imports_are_enough_to_read_its_errors() {
    let sandbox = sandbox().await;
    let facade = Facade::before(&sandbox).await;
    let mut files = vec![
        file(
            &facade,
            MessageRequest::FileContainingSymbol(SERVICES[3].to_owned()),
        )
        .await,
    ];
    let mut at = 0;
    while at < files.len() {
        for import in files[at].dependency.clone() {
            if files.iter().all(|file| file.name() != import) {
                files.push(file(&facade, MessageRequest::FileByFilename(import)).await);
            }
        }
        at += 1;
    }
    files.reverse();
    let mut pool = DescriptorPool::new();
    pool.add_file_descriptor_protos(files)
        .expect("a whole set of files");
    for detail in ["ErrorInfo", "BadRequest", "QuotaFailure", "RetryInfo"] {
        let name = format!("google.rpc.{detail}");
        assert!(pool.get_message_by_name(&name).is_some(), "{name}");
    }
}
