//! The Rust side of circus/abi.h: its declarations, and a small safe layer on them. A file to copy into a
//! plugin; it needs nothing but std, and Rust 1.63.
//!
//! Everything here belongs to the loop's thread (nothing is Send). A panic never crosses the line: at every
//! `extern "C"` it becomes E_EXCEPTION with its text, or a line in the log where there is no status to
//! return. Build with panic = "unwind", which is the default. JSON is text: bring the crate you like.
#![allow(dead_code)] // a plugin uses what it needs

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::{Rc, Weak};
use std::time::Duration;

// ---- circus/abi.h ----

pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 0;

pub type Status = i32;
pub const OK: Status = 0;
pub const PENDING: Status = 1;
pub const E_INVALID: Status = -1;
pub const E_UNSUPPORTED: Status = -2;
pub const E_NOT_FOUND: Status = -3;
pub const E_CONFLICT: Status = -4;
pub const E_EXCEPTION: Status = -8;

pub type Level = i32;
pub const DEBUG: Level = 10;
pub const INFO: Level = 20;
pub const WARNING: Level = 30;
pub const ERROR: Level = 40;

/// UTF-8, not ended by a NUL, borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub data: *const u8,
    pub len: usize,
}

impl From<&str> for Str {
    fn from(text: &str) -> Str {
        Str {
            data: text.as_ptr(),
            len: text.len(),
        }
    }
}

impl Str {
    /// # Safety
    /// Only in the call that brought it.
    pub unsafe fn to_text(self) -> String {
        if self.len == 0 {
            return String::new();
        }
        String::from_utf8_lossy(std::slice::from_raw_parts(self.data, self.len)).into_owned()
    }
}

pub type TaskFn = unsafe extern "C" fn(user: *mut c_void);
pub type EventFn = unsafe extern "C" fn(user: *mut c_void, topic: Str, json: Str);
pub type ReplyFn = unsafe extern "C" fn(user: *mut c_void, status: Status, json: Str);
pub type CommandFn = unsafe extern "C" fn(user: *mut c_void, props: Str, answer: u64) -> Status;

#[repr(C)]
pub struct HostTable {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub ctx: *mut c_void,
    pub log: unsafe extern "C" fn(*const HostTable, Level, Str),
    pub now_ns: unsafe extern "C" fn(*const HostTable) -> u64,
    pub set_error: unsafe extern "C" fn(*const HostTable, Str),
    pub extension: unsafe extern "C" fn(*const HostTable, *const c_char) -> *const c_void,
    pub call:
        unsafe extern "C" fn(*const HostTable, Str, Str, Option<ReplyFn>, *mut c_void) -> Status,
    pub publish: unsafe extern "C" fn(*const HostTable, Str, Str) -> Status,
    pub subscribe:
        unsafe extern "C" fn(*const HostTable, Str, EventFn, *mut c_void, *mut u64) -> Status,
    pub timer:
        unsafe extern "C" fn(*const HostTable, u64, u64, TaskFn, *mut c_void, *mut u64) -> Status,
    pub cancel: unsafe extern "C" fn(*const HostTable, u64) -> Status,
    pub post: unsafe extern "C" fn(*const HostTable, TaskFn, *mut c_void) -> Status,
    pub complete: unsafe extern "C" fn(*const HostTable, u64, Status, Str) -> Status,
}

#[repr(C)]
pub struct PluginTable {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub name: *const c_char,
    pub version: *const c_char,
    pub summary: *const c_char,
    pub needs: *const *const c_char,
    pub options: *const c_char,
    pub create: unsafe extern "C" fn(*const HostTable, Str, *mut *mut c_void) -> Status,
    pub start: unsafe extern "C" fn(*mut c_void) -> Status,
    pub reconfigure: Option<unsafe extern "C" fn(*mut c_void, Str) -> Status>,
    pub stop: unsafe extern "C" fn(*mut c_void, u64) -> Status,
    pub destroy: unsafe extern "C" fn(*mut c_void),
}
// It is constant, and so is all that it points to.
unsafe impl Sync for PluginTable {}

const EXT_COMMANDS: &[u8] = b"circus.commands/1\0";
#[repr(C)]
pub struct CommandsTable {
    pub size: u32,
    pub reserved: u32,
    pub add: unsafe extern "C" fn(
        *const HostTable,
        Str,
        Str,
        CommandFn,
        *mut c_void,
        *mut u64,
    ) -> Status,
}

// The sizes that sdk/abi/shape_1_0.c has for them, on 64-bit machines.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(std::mem::size_of::<Str>() == 16);
    assert!(std::mem::size_of::<HostTable>() == 104);
    assert!(std::mem::size_of::<PluginTable>() == 88);
    assert!(std::mem::size_of::<CommandsTable>() == 16);
};

// ---- panics ----

/// A status of one's choice, and why.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub why: String,
}

impl From<&str> for Failure {
    fn from(why: &str) -> Failure {
        Failure {
            status: E_INVALID,
            why: why.to_string(),
        }
    }
}

fn check(status: Status, what: &str) -> Result<(), Failure> {
    if status >= 0 {
        return Ok(());
    }
    Err(Failure {
        status,
        why: format!("{what}: the host says {status}"),
    })
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        return format!("panic: {text}");
    }
    match panic.downcast_ref::<String>() {
        Some(text) => format!("panic: {text}"),
        None => "panic".to_string(),
    }
}

/// Every body of an `extern "C"` function runs in here.
fn guard(body: impl FnOnce() -> Result<Status, Failure>) -> Result<Status, Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        Err(Failure {
            status: E_EXCEPTION,
            why: text_of(&*panic),
        })
    })
}

fn guard_status(host: *const HostTable, body: impl FnOnce() -> Result<Status, Failure>) -> Status {
    guard(body).unwrap_or_else(|failure| {
        unsafe { ((*host).set_error)(host, failure.why.as_str().into()) };
        failure.status
    })
}

fn guard_task(host: *const HostTable, body: impl FnOnce()) {
    let done = guard(|| {
        body();
        Ok(OK)
    });
    if let Err(failure) = done {
        unsafe { ((*host).log)(host, ERROR, failure.why.as_str().into()) };
    }
}

// ---- the host and what is registered with it ----

enum Function {
    Task(Box<dyn FnMut()>),
    Event(Box<dyn FnMut(&str, &str)>),
    Command(Box<dyn FnMut(&str) -> Result<String, Failure>>),
}

/// What a registration's `user` points to. A call of it under way holds it as well, so that a callback may
/// end its own registration.
struct Callback {
    host: *const HostTable,
    id: Cell<u64>,
    function: RefCell<Function>,
}

impl Callback {
    fn cancel(&self) {
        let id = self.id.replace(0);
        if id != 0 {
            unsafe { ((*self.host).cancel)(self.host, id) };
        }
    }
    unsafe fn of(user: *mut c_void) -> Rc<Callback> {
        Rc::increment_strong_count(user as *const Callback);
        Rc::from_raw(user as *const Callback)
    }
}

/// One registration; dropping it ends it.
#[must_use]
pub struct Registration(Rc<Callback>);

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The host, as a value to clone.
#[derive(Clone)]
pub struct Host {
    table: *const HostTable,
    registered: Rc<RefCell<Vec<Weak<Callback>>>>,
}

impl Host {
    pub fn log(&self, level: Level, line: &str) {
        unsafe { ((*self.table).log)(self.table, level, line.into()) }
    }
    pub fn now(&self) -> Duration {
        Duration::from_nanos(unsafe { ((*self.table).now_ns)(self.table) })
    }
    pub fn publish(&self, topic: &str, json: &str) -> Result<(), Failure> {
        check(
            unsafe { ((*self.table).publish)(self.table, topic.into(), json.into()) },
            "publish",
        )
    }
    /// A command as a client sends it; its answer is not waited for.
    pub fn call(&self, command: &str, json: &str) -> Result<(), Failure> {
        let nobody = std::ptr::null_mut();
        check(
            unsafe { ((*self.table).call)(self.table, command.into(), json.into(), None, nobody) },
            "call",
        )
    }
    /// Events whose topic matches the glob, as (topic, JSON).
    pub fn on(
        &self,
        glob: &str,
        function: impl FnMut(&str, &str) + 'static,
    ) -> Result<Registration, Failure> {
        self.enter(
            "subscribe",
            Function::Event(Box::new(function)),
            |table, user, id| unsafe {
                ((*table).subscribe)(table, glob.into(), on_event, user, id)
            },
        )
    }
    pub fn every(
        &self,
        period: Duration,
        function: impl FnMut() + 'static,
    ) -> Result<Registration, Failure> {
        let ms = period.as_millis() as u64;
        self.enter(
            "timer",
            Function::Task(Box::new(function)),
            |table, user, id| unsafe { ((*table).timer)(table, ms, ms.max(1), on_time, user, id) },
        )
    }
    /// A command of the plugin's own: from the properties to the answer's fields, both JSON objects. `help`:
    /// {"summary", "help", "arguments"}.
    pub fn command(
        &self,
        name: &str,
        help: &str,
        function: impl FnMut(&str) -> Result<String, Failure> + 'static,
    ) -> Result<Registration, Failure> {
        let found = unsafe { ((*self.table).extension)(self.table, EXT_COMMANDS.as_ptr().cast()) };
        if found.is_null() {
            return Err(Failure {
                status: E_UNSUPPORTED,
                why: "this host does not offer circus.commands/1".to_string(),
            });
        }
        let commands = found as *const CommandsTable;
        self.enter(
            "command",
            Function::Command(Box::new(function)),
            |table, user, id| unsafe {
                ((*commands).add)(table, name.into(), help.into(), on_command, user, id)
            },
        )
    }

    fn enter(
        &self,
        what: &str,
        function: Function,
        register: impl FnOnce(*const HostTable, *mut c_void, *mut u64) -> Status,
    ) -> Result<Registration, Failure> {
        let callback = Rc::new(Callback {
            host: self.table,
            id: Cell::new(0),
            function: RefCell::new(function),
        });
        let mut id = 0;
        check(
            register(self.table, Rc::as_ptr(&callback) as *mut c_void, &mut id),
            what,
        )?;
        callback.id.set(id);
        let mut registered = self.registered.borrow_mut();
        registered.retain(|each| each.strong_count() > 0);
        registered.push(Rc::downgrade(&callback));
        Ok(Registration(callback))
    }
    fn end_registrations(&self) {
        for callback in self.registered.take().iter().filter_map(Weak::upgrade) {
            callback.cancel();
        }
    }
}

unsafe extern "C" fn on_time(user: *mut c_void) {
    let callback = Callback::of(user);
    let host = callback.host;
    guard_task(host, move || {
        if let Function::Task(function) = &mut *callback.function.borrow_mut() {
            function();
        }
    });
}

unsafe extern "C" fn on_event(user: *mut c_void, topic: Str, json: Str) {
    let callback = Callback::of(user);
    let host = callback.host;
    guard_task(host, move || {
        if let Function::Event(function) = &mut *callback.function.borrow_mut() {
            function(&topic.to_text(), &json.to_text());
        }
    });
}

unsafe extern "C" fn on_command(user: *mut c_void, props: Str, answer: u64) -> Status {
    let callback = Callback::of(user);
    let host = callback.host;
    guard_status(host, move || {
        if let Function::Command(function) = &mut *callback.function.borrow_mut() {
            let fields = function(&props.to_text())?;
            ((*host).complete)(host, answer, OK, fields.as_str().into());
        }
        Ok(PENDING)
    })
}

// ---- the plugin ----

pub trait Plugin: Sized + 'static {
    /// `config`: a JSON object, checked by the options and complete. Nothing but log may be called.
    fn create(host: Host, config: &str) -> Result<Self, Failure>;
    /// Register here, and keep the registrations.
    fn start(&mut self) -> Result<(), Failure>;
    /// Join your threads here. What is still registered ends by itself, right after.
    fn stop(&mut self) {}
}

struct Instance<P> {
    host: Host,
    plugin: P,
}

unsafe extern "C" fn create<P: Plugin>(
    table: *const HostTable,
    config: Str,
    out: *mut *mut c_void,
) -> Status {
    guard_status(table, || {
        let host = Host {
            table,
            registered: Rc::default(),
        };
        let plugin = P::create(host.clone(), &config.to_text())?;
        *out = Box::into_raw(Box::new(Instance { host, plugin })).cast();
        Ok(OK)
    })
}

unsafe extern "C" fn start<P: Plugin>(instance: *mut c_void) -> Status {
    let instance = &mut *(instance as *mut Instance<P>);
    guard_status(instance.host.table, || instance.plugin.start().map(|()| OK))
}

unsafe extern "C" fn stop<P: Plugin>(instance: *mut c_void, _done: u64) -> Status {
    let instance = &mut *(instance as *mut Instance<P>);
    let status = guard_status(instance.host.table, || {
        instance.plugin.stop();
        Ok(OK)
    });
    instance.host.end_registrations();
    status
}

unsafe extern "C" fn destroy<P: Plugin>(instance: *mut c_void) {
    let instance = Box::from_raw(instance as *mut Instance<P>);
    let table = instance.host.table;
    guard_task(table, move || drop(instance));
}

/// The texts must end with "\0"; circus_plugin! sees to that.
pub const fn table<P: Plugin>(
    name: &'static str,
    version: &'static str,
    summary: &'static str,
    options: &'static str,
) -> PluginTable {
    PluginTable {
        size: std::mem::size_of::<PluginTable>() as u32,
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        name: name.as_ptr() as *const c_char,
        version: version.as_ptr() as *const c_char,
        summary: summary.as_ptr() as *const c_char,
        needs: std::ptr::null(),
        options: options.as_ptr() as *const c_char,
        create: create::<P>,
        start: start::<P>,
        reconfigure: None, // restart me
        stop: stop::<P>,
        destroy: destroy::<P>,
    }
}

/// Once in a plugin: circus_plugin!(Type, "name", "1.0", "what it does", OPTIONS), all of them literals;
/// options is a JSON object, see circus/abi.h.
#[macro_export]
macro_rules! circus_plugin {
    ($plugin:ty, $name:literal, $version:literal, $summary:literal, $options:literal) => {
        #[no_mangle]
        #[allow(non_upper_case_globals)]
        pub static circus_plugin_v1: $crate::circus::PluginTable = $crate::circus::table::<$plugin>(
            concat!($name, "\0"),
            concat!($version, "\0"),
            concat!($summary, "\0"),
            concat!($options, "\0"),
        );
    };
}
