//! A gRPC facade for Rocket.Chat's video conferences.
//!
//! # The map
//!
//! Imports point down only, and rooms of one floor don't know each other:
//!
//! | floor | rooms | what they do |
//! |---|---|---|
//! | top | [`cli`], [`app`], [`config`], [`telemetry`] | wiring and policy; no behaviour of a request |
//! | middle | [`server`] | the rim around any RPC |
//! | | [`api`] | from a gRPC request to a query, from an answer to a response |
//! | | [`lookup`] | decorators between the two |
//! | | [`rocketchat`] | from a query to a REST request, from JSON to a message |
//! | | [`store`] | what replicas share, in Valkey or Redis |
//! | | [`sandbox`] | a stand-in for Rocket.Chat, for the demo and the tests |
//! | ground | [`route`], [`query`], [`claim`], [`exchange`], [`source`] | what is asked, by whom, how urgently, what came back, and the traits between |
//! | | [`credentials`], [`call_id`], [`deadline`], [`error`], [`journal`], [`record`], [`replicas`], [`metrics`], [`trace`], [`proto`], [`tls`], `sync` | what the rooms share beside that |
//!
//! To follow a call, start at [`app::serve`] and go to `api::get_info`, then to
//! [`source`] and the implementations of its traits in the order of [`app::facade`].

pub mod api;
pub mod app;
pub mod call_id;
pub mod claim;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod deadline;
pub mod error;
pub mod exchange;
pub mod journal;
pub mod lookup;
pub mod metrics;
pub mod proto;
pub mod query;
pub mod record;
pub mod replicas;
pub mod rocketchat;
pub mod route;
pub mod sandbox;
pub mod server;
pub mod source;
pub mod store;
mod sync;
pub mod telemetry;
pub mod tls;
pub mod trace;
