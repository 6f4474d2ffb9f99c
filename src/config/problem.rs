//! What is wrong with a configuration, collected so that an operator sees all of it at once.

use std::fmt;

/// Stands for a variable that isn't text, since only the check of its flag knows whether it counts.
pub(crate) const NOT_TEXT: &str = "\0 (not UTF-8)";

/// The longest value that is shown.
const MAX_SHOWN: usize = 64;

/// One thing that is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The value of `flag`, or a note on what is wrong with it. The note shows the value, unless it
    /// may be one with a password that was meant for another flag.
    pub(crate) fn check<T>(
        &mut self,
        flag: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.check_secret(&place(flag, text), text, parse)
    }

    /// Like [`check`](Self::check) for a value that isn't shown.
    pub(crate) fn check_secret<T>(
        &mut self,
        flag: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = match text {
            NOT_TEXT => Err("is not UTF-8".to_owned()),
            text => parse(text),
        };
        self.noted(value.map_err(|problem| format!("{flag}: {problem}")))
    }

    /// Notes that a required flag isn't there, unless it is there without its value.
    pub(crate) fn missing<T>(&mut self, flag: &str, what_to_do: &str) -> Option<T> {
        if self.0.iter().any(|problem| problem.0.contains(flag)) {
            return None;
        }
        self.noted(Err(format!("{flag} is missing: {what_to_do}")))
    }

    /// Notes a problem in whole words.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.0.push(Problem(text.into()));
    }

    /// What was made of the values, if none had a problem. Values that may be absent are absent
    /// after a problem, too, so it isn't enough that something was made.
    pub(crate) fn result<T>(self, made: Option<T>) -> Result<T, Vec<Problem>> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(self.0),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    fn noted<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|text| self.note(text)).ok()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a problem is: `flag`, and its value if that may be shown.
pub(super) fn place(flag: &str, text: &str) -> String {
    if may_be_shown(text) {
        format!("{flag} {text:?}")
    } else {
        flag.to_owned()
    }
}

fn may_be_shown(text: &str) -> bool {
    text.len() <= MAX_SHOWN
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !text.contains('@')
        && !text.contains("://")
}
