//! What the process tells about itself. Traces have their place here, too.

pub mod logs;
pub mod metrics;
