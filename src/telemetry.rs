//! What the process tells about itself. Logs for now; metrics and traces have their place here.

pub mod logs;
