//! The descriptor set for tools that don't ask a running facade.

use prost::Message;
use prost_reflect::DescriptorPool;
use prost_types::FileDescriptorSet;
use videoconf_facade::api::SERVICE_NAME;

use crate::support::process::{command, run};

#[tokio::test]
async fn the_descriptor_set_is_whole_and_in_order() {
    let output = command(&["descriptor"]).output().await.expect("an end");
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    let set = FileDescriptorSet::decode(&*output.stdout).expect("a descriptor set");
    let mut known = Vec::new();
    for file in &set.file {
        for import in &file.dependency {
            assert!(known.contains(&import), "{} before {import}", file.name());
        }
        known.push(file.name.as_ref().expect("a name"));
    }
    let pool = DescriptorPool::decode(&*output.stdout).expect("all that is imported");
    for name in [
        "google.rpc.ErrorInfo",
        "google.rpc.RetryInfo",
        "grpc.health.v1.HealthCheckRequest",
    ] {
        assert!(pool.get_message_by_name(name).is_some(), "{name}");
    }
    let service = pool.get_service_by_name(SERVICE_NAME).expect("the service");
    let mut locations = service
        .parent_file_descriptor_proto()
        .source_code_info
        .iter();
    let has_comments =
        locations.any(|it| it.location.iter().any(|it| it.leading_comments.is_some()));
    assert!(has_comments);

    let ended = run(&["descriptor", "--unknown"]).await;
    assert_eq!(ended.status, Some(64));
    assert_eq!(ended.stdout, "");
}
