//! What the process tells about itself. Traces have their place here, too.

pub mod history;
pub mod logs;
pub mod metrics;
pub mod page;
