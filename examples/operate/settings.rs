//! The settings file, watched: what is in it is in force as a whole, or nothing of it.
//!
//! The file is read again and again, and not its folder watched: that sees a file that is written in place, one that an editor or a
//! deployment puts in its place, and one on another machine's disk in the same way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox_runtime::Overrides;
use tokio::fs;
use tokio::time::{MissedTickBehavior, interval};

const EVERY: Duration = Duration::from_millis(250);

/// Watches the file until the program ends. What is wrong with it is told once, and what was in force before stays.
pub(crate) async fn watch(file: PathBuf) {
    let mut found = None;
    let mut known = None;
    let mut ticks = interval(EVERY);
    // Two readings must have time between them.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let content = fs::read_to_string(&file).await.map_err(|error| error.to_string());
        let was_found = found.replace(content.clone());
        // Twice the same: nobody is writing it.
        if was_found.as_ref() == Some(&content) && known.as_ref() != Some(&content) {
            tell(&file, content.as_deref().map_err(String::clone).and_then(put_in_force));
            known = Some(content);
        }
    }
}

fn put_in_force(content: &str) -> Result<(), String> {
    let overrides: Overrides = toml::from_str(content).map_err(|error| error.to_string())?;
    overrides.apply().map_err(|error| error.to_string())
}

fn tell(file: &Path, result: Result<(), String>) {
    let file = file.display();
    match result {
        Ok(()) => eprintln!("{file} is in force"),
        Err(error) => eprintln!("{file} changes nothing: {}", error.trim_end()),
    }
}
