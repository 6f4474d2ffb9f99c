//! All orders that differ from the usual one in a few places.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// Tries all orders of events with up to `most` deviations from that in which each task runs until it waits. There are
/// too many orders for all of them; but what goes wrong does so after few deviations, if it does at all.
pub struct Deviations {
    most: usize,
    /// What could be done at each step, the usual first, and what is done this time.
    steps: Vec<(Vec<TaskId>, usize)>,
    step: usize,
    deviations: usize,
    tried: usize,
}

impl Deviations {
    pub fn up_to(most: usize) -> Self {
        Self {
            most,
            steps: Vec::new(),
            step: 0,
            deviations: 0,
            tried: 0,
        }
    }
}

impl Scheduler for Deviations {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.tried > 0 {
            while self
                .steps
                .pop_if(|(options, at)| *at + 1 == options.len())
                .is_some()
            {}
            let (_, at) = self.steps.last_mut()?;
            *at += 1;
        }
        self.tried += 1;
        self.step = 0;
        self.deviations = 0;
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        if self.step == self.steps.len() {
            let mut options: Vec<_> = runnable.iter().map(|task| task.id()).collect();
            // Whoever runs goes on; then those behind it have their turns.
            let is_before = |id: &TaskId| current.is_some_and(|current| *id < current);
            let is_current = |id: &TaskId| current == Some(*id);
            options.sort_by_key(|id| (is_before(id) || (is_current(id) && is_yielding), *id));
            options.truncate(self.most - self.deviations + 1);
            self.steps.push((options, 0));
        }
        let (options, at) = &self.steps[self.step];
        self.step += 1;
        self.deviations += at;
        Some(options[*at])
    }

    /// Which of those who wait for a notification hears it first; there is one, in what is tried here.
    fn next_u64(&mut self) -> u64 {
        0
    }
}

impl Drop for Deviations {
    fn drop(&mut self) {
        println!("{} orders", self.tried);
    }
}
