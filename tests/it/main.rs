//! Tests through the front door: a real gRPC client over a real socket, the stand-in for
//! Rocket.Chat behind. One file a behaviour.

mod access_log;
mod admission;
mod architecture;
mod cancellation;
mod certificates;
mod commands;
mod conferences;
mod connections;
mod deadlines;
mod freshness;
mod health;
mod listening;
mod load;
mod log_flood;
mod log_pressure;
mod lossless;
mod lossless_properties;
mod messages;
mod not_grpc;
mod outages;
mod readme;
mod reflection;
mod refusals;
mod request_ids;
mod retry;
mod secrets;
mod shutdown;
mod startup;
mod support;
mod tls;
mod upstream_bodies;
mod upstream_log;
mod upstream_proxy;
mod upstream_request;
mod upstream_tls;
