//! my_plugin: counts the processes that end, and answers the command `my_plugin` with the count.
mod circus; // the SDK's, a copy
#[cfg(test)]
mod testing; // the SDK's, a copy

use circus::{Failure, Host, Plugin, Registration};
use std::cell::Cell;
use std::rc::Rc;

struct Counter {
    host: Host,
    registrations: Vec<Registration>,
}

impl Plugin for Counter {
    fn create(host: Host, _config: &str) -> Result<Counter, Failure> {
        Ok(Counter {
            host,
            registrations: Vec::new(),
        })
    }

    fn start(&mut self) -> Result<(), Failure> {
        let deaths = Rc::new(Cell::new(0u64));
        let counted = deaths.clone();
        self.registrations.push(
            self.host
                .on("watcher.*.reap", move |_topic, _json| counted.set(counted.get() + 1))?,
        );
        self.registrations.push(self.host.command(
            "my_plugin",
            r#"{"summary": "how many processes ended"}"#,
            move |_properties| Ok(format!(r#"{{"deaths": {}}}"#, deaths.get())),
        )?);
        Ok(())
    }
}

circus_plugin!(Counter, "my_plugin", "0.1", "counts the processes that end", "{}");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_deaths_only() {
        let mut host = testing::FakeHost::new(&circus_plugin_v1);
        assert_eq!(host.start("{}"), circus::OK);
        host.emit("watcher.web.reap", r#"{"process_pid": 7}"#);
        host.emit("watcher.web.spawn", r#"{"process_pid": 8}"#);
        assert_eq!(
            host.command("my_plugin", "{}"),
            (circus::OK, r#"{"deaths": 1}"#.to_string())
        );
    }
}
