//! What is tried here of the program's room of that name.

pub mod allowance;
pub mod coalesce;
