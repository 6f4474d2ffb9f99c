//! Tests through the front door: a real gRPC client over a real socket, the stand-in for
//! Rocket.Chat behind. One file a behaviour.

mod refusals;
mod support;
