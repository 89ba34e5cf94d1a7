//! A plugin in Rust, of nothing but std: counts the processes that ended, publishes the count once a second
//! when it has changed, and answers a command with it.
#[path = "../../rust/circus.rs"]
mod circus;
#[cfg(test)]
#[path = "../../rust/testing.rs"]
mod testing;

use circus::{Failure, Host, Plugin, Registration};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

struct Tally {
    host: Host,
    registrations: Vec<Registration>,
}

impl Plugin for Tally {
    fn create(host: Host, _config: &str) -> Result<Tally, Failure> {
        Ok(Tally {
            host,
            registrations: Vec::new(),
        })
    }

    fn start(&mut self) -> Result<(), Failure> {
        let deaths = Rc::new(Cell::new(0u64));
        let counted = deaths.clone();
        self.registrations
            .push(self.host.on("watcher.*.reap", move |_topic, _json| {
                counted.set(counted.get() + 1)
            })?);
        let (told, host, mut last) = (deaths.clone(), self.host.clone(), 0);
        self.registrations
            .push(self.host.every(Duration::from_secs(1), move || {
                if told.get() != last {
                    last = told.get();
                    host.publish("tally.deaths", &format!(r#"{{"deaths": {last}}}"#))
                        .expect("publish");
                }
            })?);
        self.registrations.push(self.host.command(
            "tally",
            r#"{"summary": "how many processes ended"}"#,
            move |_properties| Ok(format!(r#"{{"deaths": {}}}"#, deaths.get())),
        )?);
        Ok(())
    }
}

circus_plugin!(Tally, "tally", "1.0", "counts the dead", "{}");

#[cfg(test)]
mod tests {
    use super::*;
    use circus::{table, E_EXCEPTION, OK};
    use testing::FakeHost;

    #[test]
    fn counts_deaths_and_tells_them_when_they_change() {
        let mut host = FakeHost::new(&circus_plugin_v1);
        assert_eq!(host.start("{}"), OK);
        host.emit("watcher.web.reap", r#"{"process_pid": 7}"#);
        host.emit("watcher.web.spawn", r#"{"process_pid": 8}"#);
        assert_eq!(
            host.command("tally", "{}"),
            (OK, r#"{"deaths": 1}"#.to_string())
        );
        host.advance(Duration::from_secs(3));
        assert_eq!(
            host.take_published(),
            [("tally.deaths".to_string(), r#"{"deaths": 1}"#.to_string())]
        );
    }

    // Which of its functions panics, the configuration says.
    struct Panics(Host, Option<Registration>, String);
    impl Plugin for Panics {
        fn create(host: Host, config: &str) -> Result<Panics, Failure> {
            assert!(config != "create", "in create");
            Ok(Panics(host, None, config.to_string()))
        }
        fn start(&mut self) -> Result<(), Failure> {
            assert!(self.2 != "start", "in start");
            self.1 = Some(self.0.on("*", |topic, _| panic!("in {topic}"))?);
            Ok(())
        }
        fn stop(&mut self) {
            assert!(self.2 != "stop", "in stop");
        }
    }

    #[test]
    fn a_panic_is_a_status_or_a_line_in_the_log() {
        let panics = table::<Panics>("panics\0", "1\0", "panics\0", "{}\0");
        let mut host = FakeHost::new(&panics);
        for place in ["create", "start"] {
            assert_eq!(host.start(place), E_EXCEPTION);
            assert_eq!(host.error(), format!("panic: in {place}"));
        }
        assert_eq!(host.start("stop"), OK);
        host.emit("an event", "{}");
        assert_eq!(
            host.take_lines(),
            [(circus::ERROR, "panic: in an event".to_string())]
        );
        assert_eq!(host.stop(), E_EXCEPTION); // and no registration is left
        assert_eq!(host.error(), "panic: in stop");
    }

    #[test]
    fn a_callback_may_end_its_own_registration() {
        struct Once(Host, Rc<Cell<Option<Registration>>>);
        impl Plugin for Once {
            fn create(host: Host, _config: &str) -> Result<Once, Failure> {
                Ok(Once(host, Rc::default()))
            }
            fn start(&mut self) -> Result<(), Failure> {
                let (mine, host) = (self.1.clone(), self.0.clone());
                let tick = self.0.every(Duration::from_millis(10), move || {
                    drop(mine.take());
                    host.log(circus::INFO, "once");
                })?;
                self.1.set(Some(tick));
                Ok(())
            }
        }
        let once = table::<Once>("once\0", "1\0", "once\0", "{}\0");
        let mut host = FakeHost::new(&once);
        assert_eq!(host.start("{}"), OK);
        host.advance(Duration::from_secs(1));
        assert_eq!(host.take_lines().len(), 1);
    }
}
