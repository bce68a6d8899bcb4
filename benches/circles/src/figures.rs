//! What is counted and measured of an agent's jobs?

use std::time::Duration;

use crate::agent::{JOBS, Job};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// How many jobs have got their answer.
    pub(crate) done: usize,
    /// Futile rounds: of all jobs, and the most of one.
    pub(crate) futile: u32,
    pub(crate) most_futile: u32,
    /// How long the futile rounds of all jobs have taken.
    pub(crate) lost: Duration,
    /// How many requests have reached the dependency.
    pub(crate) requests: u32,
}

impl Figures {
    pub(crate) fn of(jobs: &[Job], requests: u32) -> Figures {
        Figures {
            done: jobs.iter().filter(|job| job.is_done).count(),
            futile: jobs.iter().map(|job| job.futile).sum(),
            most_futile: jobs.iter().map(|job| job.futile).max().unwrap_or_default(),
            lost: jobs.iter().map(|job| job.lost).sum(),
            requests,
        }
    }
}

/// A share of each job, with one decimal, rounded.
fn of_a_job(tenths_of_all: u64) -> String {
    let tenths = (tenths_of_all + JOBS / 2) / JOBS;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A title, and what stands below it.
pub(crate) type Column = (&'static str, fn(&Figures) -> String);

pub(crate) const DONE: Column = ("jobs done", |row| row.done.to_string());
pub(crate) const FUTILE: Column = ("futile rounds", |row| of_a_job(u64::from(row.futile) * 10));
pub(crate) const MOST_FUTILE: Column = ("at most", |row| row.most_futile.to_string());
pub(crate) const LOST: Column = ("lost, s", |row| {
    of_a_job(u64::try_from(row.lost.as_millis()).unwrap_or(u64::MAX) / 100)
});
pub(crate) const REQUESTS: Column = ("requests", |row| of_a_job(u64::from(row.requests) * 10));
