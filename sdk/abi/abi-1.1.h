/* The line between circusd and its plugins: plain C, nothing else crosses it. C99 to C17, C++11 and later.
 *
 * A plugin is a shared library that exports one constant, `circus_plugin_v1`. The host reads it before it
 * calls anything, and loads every library of the same major version. What follows never changes within
 * major 1.
 *
 * Growth: structs grow only at the end. `size` is what the writer knew; a reader touches a field that was not
 * in 1.0 only under CIRCUS_HAS. A writer bigger than its reader is normal. Structs that are passed as
 * elements of an array (circus_chunk) never grow: a new one gets a new revision of its extension.
 *
 * Memory: who allocated frees. A borrowed pointer dies when the call that brought it returns: copy to keep.
 * Nothing is ever freed across the line. `user` must outlive the registration's cancel(), or stop.
 *
 * Threads: [loop] means only on the thread that create() ran on, [any] on any. A [loop] function that is
 * called elsewhere is logged as a misbehaviour and returns CIRCUS_E_THREAD. Once stop has completed no thread
 * of the plugin may call anything: the host joins nothing, the plugin must.
 *
 * Errors: a status, and set_error() for the text. No errno, no exception, no longjmp, no exit(). A callback
 * that returns nothing reports by log().
 *
 * Calls: no host function calls back into the plugin before it returns. Events and replies come in one queue,
 * in order, at the end of the loop's turn.
 *
 * Tokens: exactly one answer each. A function that is given a token returns CIRCUS_PENDING when the answer
 * comes by complete(), which it may call at any time, also before it returns. Any other status is the answer,
 * without fields, and spends the token. A hook may answer CIRCUS_E_AGAIN at before_start and before_spawn: it
 * is asked again after a while, and the watcher waits so long. A second answer is CIRCUS_E_INVALID and
 * logged. One that never comes meets a deadline: a hook fails after 10 s, a command is answered by an error
 * after 10 s, a stop is over after 5 s.
 *
 * Time: every callback runs on the loop and has 5 ms. A longer one is logged with the plugin's name. Slow
 * work goes to a thread of the plugin's own and comes back by post() or complete(). After stop the host
 * cancels every registration that is left and logs each as a leak.
 *
 * Sinks: circusd opens one for each stream of a watcher that names the class, writes to it and closes it when
 * nobody writes there any more. write() gets the oldest chunks that wait, takes all of them (CIRCUS_OK) or
 * the first *taken (CIRCUS_E_AGAIN), and the others come again after ready(); meanwhile the workers wait. Any
 * other status: the sink has failed, it is closed, and open() is tried again each second. Once the class is
 * cancelled no function is called for its sinks, close() neither: what they are made of is the plugin's to
 * free. What was not taken waits, up to 512 KiB of it, for the next that offers the class. A plugin that has
 * classes lists CIRCUS_EXT_SINKS in `needs`: by that circusd accepts their names in a configuration before it
 * runs.
 *
 * JSON is UTF-8 text. An answer that is no success may say why: {"reason": "…"}.
 */
#ifndef CIRCUS_ABI_H
#define CIRCUS_ABI_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#define CIRCUS_ABI_MAJOR 1
#define CIRCUS_ABI_MINOR 1
#define CIRCUS_EXPORT __attribute__((visibility("default")))
/* May this optional field be used? Known to the writer, and set. */
#define CIRCUS_HAS(p, field) \
    ((p)->size >= offsetof(__typeof__(*(p)), field) + sizeof((p)->field) && (p)->field)

/* UTF-8, not ended by a NUL, borrowed for the call. */
typedef struct circus_str {
    const char* data;
    size_t len;
} circus_str;

typedef int32_t circus_status; /* enums cross as integers of a fixed width */
#define CIRCUS_OK 0
#define CIRCUS_PENDING 1 /* accepted; complete(token) follows */
#define CIRCUS_DENY 2    /* a hook's "no" */
#define CIRCUS_E_INVALID (-1)
#define CIRCUS_E_UNSUPPORTED (-2)
#define CIRCUS_E_NOT_FOUND (-3)
#define CIRCUS_E_CONFLICT (-4)
#define CIRCUS_E_AGAIN (-5)
#define CIRCUS_E_TIMEOUT (-6)
#define CIRCUS_E_NO_MEMORY (-7)
#define CIRCUS_E_EXCEPTION (-8) /* a wrapper caught one */
#define CIRCUS_E_THREAD (-9)    /* a [loop] function called off the loop */

typedef int32_t circus_level;
#define CIRCUS_DEBUG 10
#define CIRCUS_INFO 20
#define CIRCUS_WARNING 30
#define CIRCUS_ERROR 40

typedef uint64_t circus_id;    /* a registration; cancel() ends it; never 0 */
typedef uint64_t circus_token; /* one answer owed; good for exactly one complete() */
typedef struct circus_host circus_host;
typedef void (*circus_task_fn)(void* user);
typedef void (*circus_event_fn)(void* user, circus_str topic, circus_str json);
typedef void (*circus_reply_fn)(void* user, circus_status status, circus_str json);

/* Owned by the host, valid until destroy() has returned. */
struct circus_host {
    uint32_t size;
    uint16_t abi_major, abi_minor;
    void* ctx; /* the host's own */
    /* [any] One line, at once. */
    void (*log)(const circus_host*, circus_level, circus_str msg);
    /* [any] The monotonic clock. */
    uint64_t (*now_ns)(const circus_host*);
    /* [loop] Why the function of the plugin that runs now is about to return an error. */
    void (*set_error)(const circus_host*, circus_str why);
    /* [loop] The table behind one of the CIRCUS_EXT_ names, valid as long as the host; NULL: not offered. */
    const void* (*extension)(const circus_host*, const char* id);
    /* [loop] A command as a client sends it; the reply is the client's answer (without its id). `reply` may
     * be NULL. Nothing is executed by a call that returns an error, and no reply follows. */
    circus_status (*call)(const circus_host*, circus_str command, circus_str props_json,
                          circus_reply_fn reply, void* user);
    /* [loop] An event for every subscriber, here and at pubsub_endpoint. `json` is an object; "time" is
     * added. */
    circus_status (*publish)(const circus_host*, circus_str topic, circus_str json);
    /* [loop] Events whose topic matches the glob: "watcher.*.reap". */
    circus_status (*subscribe)(const circus_host*, circus_str glob, circus_event_fn, void* user,
                               circus_id* out);
    /* [loop] Once after delay_ms, then each repeat_ms; 0: once. A one-shot is spent when it has run. */
    circus_status (*timer)(const circus_host*, uint64_t delay_ms, uint64_t repeat_ms, circus_task_fn,
                           void* user, circus_id* out);
    /* [loop] No callback of this registration comes after it has returned. */
    circus_status (*cancel)(const circus_host*, circus_id);
    /* [any] Run the task on the loop: the only door in. */
    circus_status (*post)(const circus_host*, circus_task_fn, void* user);
    /* [any] The answer to a token. */
    circus_status (*complete)(const circus_host*, circus_token, circus_status, circus_str json);
};

/* Constant data: readable before any function of the plugin runs. */
typedef struct circus_plugin {
    uint32_t size;
    uint16_t abi_major, abi_minor;
    const char *name, *version, *summary;
    const char* const* needs; /* ids of extensions it cannot work without, NULL-ended; may be NULL */
    /* A JSON object: option -> {"type", "default", "doc"} with type one of boolean, integer, number, string,
     * strings (an array of them), table, or an array of those it may be, string the last; for numbers also
     * "min" and "max", for strings "choices". An option without "default" is left out of the configuration
     * when it is not given. May be NULL: no options. */
    const char* options;
    /* [loop] The configuration is checked and its defaults are filled in. Calls nothing but log and
     * set_error. */
    circus_status (*create)(const circus_host*, circus_str config_json, void** self);
    /* [loop] Register here. An error: what was registered is cancelled, destroy() follows, no stop(). */
    circus_status (*start)(void* self);
    /* [loop] May be NULL: restart me. */
    circus_status (*reconfigure)(void* self, circus_str config_json);
    /* [loop] CIRCUS_OK or CIRCUS_PENDING. */
    circus_status (*stop)(void* self, circus_token done);
    /* [loop] The registrations are gone. */
    void (*destroy)(void* self);
} circus_plugin;
/* The major is in the name: a library may export v1 and v2. */
extern CIRCUS_EXPORT const circus_plugin circus_plugin_v1;

/* ---- extensions: host->extension(host, CIRCUS_EXT_…) ---- */

#define CIRCUS_EXT_COMMANDS "circus.commands/1"
/* `props_json` is an object. By complete(): the fields of the answer. */
typedef circus_status (*circus_command_fn)(void* user, circus_str props_json, circus_token answer);
typedef struct circus_ext_commands {
    uint32_t size, reserved;
    /* [loop] help_json: {"summary", "help", "arguments"}. CIRCUS_E_CONFLICT: the name is taken. */
    circus_status (*add)(const circus_host*, circus_str name, circus_str help_json, circus_command_fn,
                         void* user, circus_id* out);
} circus_ext_commands;

#define CIRCUS_EXT_HOOKS "circus.hooks/1"
typedef struct circus_hook_call {
    uint32_t size, reserved;
    circus_str hook, watcher, args_json;
    circus_token answer;
} circus_hook_call;
typedef circus_status (*circus_hook_fn)(void* user, const circus_hook_call*);
typedef struct circus_ext_hooks {
    uint32_t size, reserved;
    circus_status (*add)(const circus_host*, circus_str hook, circus_str watcher_glob, circus_hook_fn,
                         void* user, circus_id* out);
} circus_ext_hooks;

#define CIRCUS_EXT_SINKS "circus.sinks/1"
typedef struct circus_chunk {
    circus_str watcher, bytes;
    int64_t pid;
    uint64_t time_ns;
    int32_t stream, reserved; /* stream: 1 stdout, 2 stderr */
} circus_chunk;
typedef struct circus_sink {
    uint32_t size, reserved;
    /* [loop] `options_json`: what the stream's table has beside "class" and "on_slow". */
    circus_status (*open)(void* user, circus_str options_json, void** sink);
    /* [loop] CIRCUS_E_AGAIN: ready() follows. */
    circus_status (*write)(void* sink, const circus_chunk*, size_t n, size_t* taken);
    void (*close)(void* sink);
} circus_sink;
typedef struct circus_ext_sinks {
    uint32_t size, reserved;
    /* [loop] The table is copied. CIRCUS_E_CONFLICT: there is a class of that name. */
    circus_status (*add)(const circus_host*, circus_str class_name, const circus_sink*, void* user,
                         circus_id* out);
    /* [any] The sink, as open() gave it out, takes more. */
    circus_status (*ready)(const circus_host*, void* sink);
} circus_ext_sinks;

#define CIRCUS_EXT_GAUGES "circus.gauges/1"
typedef struct circus_ext_gauges {
    uint32_t size, reserved;
    circus_status (*set)(const circus_host*, circus_str watcher, circus_str name, double value); /* [any] */
    /* [loop] CIRCUS_E_NOT_FOUND: nobody has set it. */
    circus_status (*get)(const circus_host*, circus_str watcher, circus_str name, double* value,
                         uint64_t* age_ms);
} circus_ext_gauges;

#define CIRCUS_EXT_FDS "circus.fds/1"
#define CIRCUS_FD_IN 1u
#define CIRCUS_FD_OUT 2u
#define CIRCUS_FD_HUP 4u
typedef void (*circus_fd_fn)(void* user, int32_t fd, uint32_t events); /* level-triggered */
typedef struct circus_ext_fds {
    uint32_t size, reserved;
    /* [loop] The descriptor becomes non-blocking and stays the plugin's: cancel, then close. */
    circus_status (*watch)(const circus_host*, int32_t fd, uint32_t events, circus_fd_fn, void* user,
                           circus_id* out);
} circus_ext_fds;

/* Since 1.1. What an instance keeps for the one after it, when it is not stopped but lost: the arbiter died,
 * hung or was upgraded, or the process of an isolated plugin died. An instance that is stopped while circusd
 * runs (`plugin NAME restart` or disable, a section that it cannot take by reconfigure), or that fails to
 * start, leaves nothing: so an operator has it begin anew. Who reads it may be another version of the plugin.
 */
#define CIRCUS_EXT_STATE "circus.state/1"
#define CIRCUS_STATE_MAX 262144u /* bytes */
typedef struct circus_ext_state {
    uint32_t size, reserved;
    /* [loop] From start on. An object of CIRCUS_STATE_MAX bytes at most, in the place of what was kept
     * before. Safe before any answer that the plugin gives after it. It costs circusd as much as a change of
     * the stack: once in a while, and only what has changed. */
    circus_status (*keep)(const circus_host*, circus_str json);
    /* [loop] From start on. What was kept last, by this instance or else by the one before; good until keep
     * or kept is called again. CIRCUS_E_NOT_FOUND: nothing. */
    circus_status (*kept)(const circus_host*, circus_str* json);
} circus_ext_state;

/* For `hooks.before_start = "libx.so:fn"`: fn is a circus_hook_fn (user = const circus_host*), and the
 * library carries this stamp, so that a stray .so is refused instead of called. */
typedef struct circus_hooks_stamp {
    uint32_t size;
    uint16_t abi_major, abi_minor;
} circus_hooks_stamp;
extern CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1;

#ifdef __cplusplus
}
#endif
#endif
