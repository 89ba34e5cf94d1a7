//! FakeHost: a host for unit tests of a plugin in Rust, without circusd, loop or clock. Events and timers
//! happen when the test says so; what the plugin did is kept. Dropping it stops the plugin, and a
//! registration that is left then fails the test.
#![allow(dead_code)] // a test uses what it needs

use crate::circus::{
    CommandFn, CommandsTable, EventFn, HostTable, Level, PluginTable, ReplyFn, Status, Str, TaskFn,
    E_CONFLICT, E_INVALID, E_NOT_FOUND, OK, PENDING,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::raw::{c_char, c_void};
use std::time::Duration;

#[derive(Clone)]
enum Registration {
    Event(String, EventFn, *mut c_void),
    Timer(Duration, Duration, TaskFn, *mut c_void), // due, repeat
    Command(String, CommandFn, *mut c_void),
}

#[derive(Default)]
struct State {
    now: Duration,
    last_id: u64,
    registrations: BTreeMap<u64, Registration>,
    published: Vec<(String, String)>,
    calls: Vec<(String, String)>,
    lines: Vec<(Level, String)>,
    error: String,
    answers: BTreeMap<u64, (Status, String)>,
}

pub struct FakeHost<'a> {
    plugin: &'a PluginTable,
    table: Box<HostTable>,
    state: Box<RefCell<State>>,
    instance: *mut c_void,
}

impl<'a> FakeHost<'a> {
    pub fn new(plugin: &'a PluginTable) -> FakeHost<'a> {
        let state = Box::new(RefCell::new(State {
            now: Duration::from_secs(3600),
            ..State::default()
        }));
        let table = Box::new(HostTable {
            size: std::mem::size_of::<HostTable>() as u32,
            abi_major: 1,
            abi_minor: 0,
            ctx: &*state as *const RefCell<State> as *mut c_void,
            log,
            now_ns,
            set_error,
            extension,
            call,
            publish,
            subscribe,
            timer,
            cancel,
            post,
            complete,
        });
        FakeHost {
            plugin,
            table,
            state,
            instance: std::ptr::null_mut(),
        }
    }

    /// create() and start() with this configuration, a JSON object: defaults are not filled in.
    pub fn start(&mut self, config: &str) -> Status {
        let status =
            unsafe { (self.plugin.create)(&*self.table, config.into(), &mut self.instance) };
        if status != OK {
            return status;
        }
        let status = unsafe { (self.plugin.start)(self.instance) };
        if status != OK {
            self.state.borrow_mut().registrations.clear();
            self.destroy();
        }
        status
    }
    pub fn stop(&mut self) -> Status {
        if self.instance.is_null() {
            return OK;
        }
        let status = unsafe { (self.plugin.stop)(self.instance, u64::MAX) };
        let left = std::mem::take(&mut self.state.borrow_mut().registrations).len();
        self.destroy();
        assert!(left == 0, "{left} registrations are left after stop");
        status
    }
    fn destroy(&mut self) {
        unsafe { (self.plugin.destroy)(self.instance) };
        self.instance = std::ptr::null_mut();
    }

    pub fn emit(&self, topic: &str, json: &str) {
        let now: Vec<u64> = self.state.borrow().registrations.keys().copied().collect();
        for id in now {
            let to = self.state.borrow().registrations.get(&id).cloned();
            if let Some(Registration::Event(glob, function, user)) = to {
                if matches(glob.as_bytes(), topic.as_bytes()) {
                    unsafe { function(user, topic.into(), json.into()) };
                }
            }
        }
    }
    /// Time goes on, timer by timer.
    pub fn advance(&self, by: Duration) {
        let until = self.state.borrow().now + by;
        while let Some((id, due, repeat, function, user)) = self.next_timer(until) {
            {
                let mut state = self.state.borrow_mut();
                state.now = due;
                if repeat.is_zero() {
                    state.registrations.remove(&id);
                } else {
                    state.registrations.insert(
                        id,
                        Registration::Timer(due + repeat, repeat, function, user),
                    );
                }
            }
            unsafe { function(user) };
        }
        self.state.borrow_mut().now = until;
    }
    fn next_timer(
        &self,
        until: Duration,
    ) -> Option<(u64, Duration, Duration, TaskFn, *mut c_void)> {
        let state = self.state.borrow();
        let timers = state
            .registrations
            .iter()
            .filter_map(|(id, each)| match each {
                Registration::Timer(due, repeat, f, user) if *due <= until => {
                    Some((*id, *due, *repeat, *f, *user))
                }
                _ => None,
            });
        timers.min_by_key(|each| each.1)
    }
    /// Invokes a command that the plugin added: the status, and the answer's fields.
    pub fn command(&self, wanted: &str, json: &str) -> (Status, String) {
        let found = self
            .state
            .borrow()
            .registrations
            .values()
            .find_map(|each| match each {
                Registration::Command(name, function, user) if name == wanted => {
                    Some((*function, *user))
                }
                _ => None,
            });
        let (function, user) = found.expect("the plugin has added no such command");
        let token = {
            let mut state = self.state.borrow_mut();
            state.last_id += 1;
            state.last_id
        };
        let status = unsafe { function(user, json.into(), token) };
        let answer = self.state.borrow_mut().answers.remove(&token);
        match (status, answer) {
            (PENDING, Some(answer)) => answer,
            (status, None) => (status, String::new()),
            _ => panic!("a token was answered by complete() and by the function's status"),
        }
    }

    pub fn take_published(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.borrow_mut().published)
    }
    pub fn take_calls(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.borrow_mut().calls)
    }
    pub fn take_lines(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.state.borrow_mut().lines)
    }
    /// Of the last set_error.
    pub fn error(&self) -> String {
        self.state.borrow().error.clone()
    }
}

impl Drop for FakeHost<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return; // the test has failed: that is what it should say
        }
        self.stop();
    }
}

// A glob of `*` and `?`.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    match (glob.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            matches(&glob[1..], text) || (!text.is_empty() && matches(glob, &text[1..]))
        }
        (Some(b'?'), Some(_)) => matches(&glob[1..], &text[1..]),
        (Some(a), Some(b)) if a == b => matches(&glob[1..], &text[1..]),
        _ => false,
    }
}

unsafe fn state<'a>(host: *const HostTable) -> &'a RefCell<State> {
    &*((*host).ctx as *const RefCell<State>)
}
unsafe fn enter(host: *const HostTable, registration: Registration, out: *mut u64) -> Status {
    let mut state = state(host).borrow_mut();
    state.last_id += 1;
    *out = state.last_id;
    let id = state.last_id;
    state.registrations.insert(id, registration);
    OK
}

unsafe extern "C" fn log(host: *const HostTable, level: Level, line: Str) {
    state(host).borrow_mut().lines.push((level, line.to_text()));
}
unsafe extern "C" fn now_ns(host: *const HostTable) -> u64 {
    state(host).borrow().now.as_nanos() as u64
}
unsafe extern "C" fn set_error(host: *const HostTable, why: Str) {
    state(host).borrow_mut().error = why.to_text();
}
unsafe extern "C" fn extension(_: *const HostTable, id: *const c_char) -> *const c_void {
    static COMMANDS: CommandsTable = CommandsTable {
        size: std::mem::size_of::<CommandsTable>() as u32,
        reserved: 0,
        add: add_command,
    };
    if CStr::from_ptr(id).to_bytes() == b"circus.commands/1" {
        return &COMMANDS as *const CommandsTable as *const c_void;
    }
    std::ptr::null()
}
unsafe extern "C" fn call(
    host: *const HostTable,
    command: Str,
    props: Str,
    _: Option<ReplyFn>,
    _: *mut c_void,
) -> Status {
    state(host)
        .borrow_mut()
        .calls
        .push((command.to_text(), props.to_text()));
    OK
}
unsafe extern "C" fn publish(host: *const HostTable, topic: Str, json: Str) -> Status {
    state(host)
        .borrow_mut()
        .published
        .push((topic.to_text(), json.to_text()));
    OK
}
unsafe extern "C" fn subscribe(
    host: *const HostTable,
    glob: Str,
    function: EventFn,
    user: *mut c_void,
    out: *mut u64,
) -> Status {
    enter(
        host,
        Registration::Event(glob.to_text(), function, user),
        out,
    )
}
unsafe extern "C" fn timer(
    host: *const HostTable,
    delay: u64,
    repeat: u64,
    function: TaskFn,
    user: *mut c_void,
    out: *mut u64,
) -> Status {
    let due = state(host).borrow().now + Duration::from_millis(delay);
    enter(
        host,
        Registration::Timer(due, Duration::from_millis(repeat), function, user),
        out,
    )
}
unsafe extern "C" fn cancel(host: *const HostTable, id: u64) -> Status {
    match state(host).borrow_mut().registrations.remove(&id) {
        Some(_) => OK,
        None => E_NOT_FOUND,
    }
}
// There is one thread here: a plugin with more is tested in circusd.
unsafe extern "C" fn post(_: *const HostTable, _: TaskFn, _: *mut c_void) -> Status {
    E_INVALID
}
unsafe extern "C" fn complete(
    host: *const HostTable,
    token: u64,
    status: Status,
    json: Str,
) -> Status {
    state(host)
        .borrow_mut()
        .answers
        .insert(token, (status, json.to_text()));
    OK
}
unsafe extern "C" fn add_command(
    host: *const HostTable,
    name: Str,
    _help: Str,
    function: CommandFn,
    user: *mut c_void,
    out: *mut u64,
) -> Status {
    let name = name.to_text();
    let taken = state(host)
        .borrow()
        .registrations
        .values()
        .any(|each| matches!(each, Registration::Command(other, _, _) if *other == name));
    if taken {
        return E_CONFLICT;
    }
    enter(host, Registration::Command(name, function, user), out)
}
