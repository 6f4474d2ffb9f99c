//! Reflection in both of its versions: older tools ask only for v1alpha.
//!
//! tonic's own service isn't used for this: it ends the stream with a status where the protocol has an
//! answer, so that the questions after it stay open.

mod files;
mod index;

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt};
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::{Code, Request, Response, Status, Streaming, async_trait, service::RoutesBuilder};
use tonic_reflection::pb::{
    v1::{
        ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
        ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
        server_reflection_request::MessageRequest as Question,
        server_reflection_response::MessageResponse as Answer,
        server_reflection_server::{ServerReflection, ServerReflectionServer},
    },
    v1alpha,
};

pub use files::files;
use index::Index;

/// Answers questions about files.
#[derive(Clone, Debug)]
struct Reflection(Arc<Index>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Adds reflection on `files` to `routes`.
pub fn reflection(routes: &mut RoutesBuilder, files: &[FileDescriptorProto]) {
    let reflection = Reflection(Arc::new(Index::new(files)));
    routes
        .add_service(ServerReflectionServer::new(reflection.clone()))
        .add_service(v1alpha::server_reflection_server::ServerReflectionServer::new(reflection));
}

#[async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers<ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        questions: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let index = self.0.clone();
        let answers = questions
            .into_inner()
            .map(move |question| Ok(response(&index, question?)));
        Ok(Response::new(Box::pin(answers)))
    }
}

#[async_trait]
impl v1alpha::server_reflection_server::ServerReflection for Reflection {
    type ServerReflectionInfoStream = Answers<v1alpha::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        questions: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let index = self.0.clone();
        let answers = questions.into_inner().map(move |question| {
            let question = in_other_version(&question?);
            Ok(in_other_version(&response(&index, question)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// The same message in the other version, which differs in its package only.
fn in_other_version<T: Message + Default>(message: &impl Message) -> T {
    T::decode(&*message.encode_to_vec()).expect("the same fields")
}

fn response(index: &Index, request: ServerReflectionRequest) -> ServerReflectionResponse {
    let answer = answer(index, request.message_request.as_ref());
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: Some(answer.unwrap_or_else(|(code, message)| {
            Answer::ErrorResponse(ErrorResponse {
                error_code: code as i32,
                error_message: message.to_owned(),
            })
        })),
    }
}

/// The answer, or why there is none. The question stands beside it, so that it isn't repeated.
fn answer(index: &Index, question: Option<&Question>) -> Result<Answer, (Code, &'static str)> {
    let file = |file: Option<&Vec<u8>>, problem| {
        let file = file.ok_or((Code::NotFound, problem))?;
        Ok(Answer::FileDescriptorResponse(FileDescriptorResponse {
            file_descriptor_proto: vec![file.clone()],
        }))
    };
    match question.ok_or((Code::InvalidArgument, "no question"))? {
        Question::FileByFilename(name) => file(index.file(name), "no such file"),
        Question::FileContainingSymbol(symbol) => file(index.declaring(symbol), "no such symbol"),
        Question::FileContainingExtension(extension) => file(
            index.extending(&extension.containing_type, extension.extension_number),
            "no such extension",
        ),
        Question::AllExtensionNumbersOfType(message) => {
            let numbers = index.extensions(message);
            let numbers = numbers.ok_or((Code::NotFound, "no such message"))?;
            Ok(Answer::AllExtensionNumbersResponse(
                ExtensionNumberResponse {
                    base_type_name: message.clone(),
                    extension_number: numbers,
                },
            ))
        }
        Question::ListServices(_) => {
            let services = index.services().iter();
            Ok(Answer::ListServicesResponse(ListServiceResponse {
                service: services
                    .map(|name| ServiceResponse { name: name.clone() })
                    .collect(),
            }))
        }
    }
}
