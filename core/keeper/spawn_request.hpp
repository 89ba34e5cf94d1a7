// SpawnRequest: everything the keeper needs to start one child, as data and not as code. The arbiter fills it
// in (supervise/spawn_plan), encode_plan() flattens it into a SpawnPlan, and the keeper's child
// (keeper/child.cc) only carries it out: between clone and exec nothing is looked up, allocated or decided.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace circus::keeper {

// Chosen by the arbiter, from 1 upwards, never used twice in the life of a keeper. It is also the number
// behind the dot in the child's CIRCUS_INSTANCE, by which the keeper recognises what a gone child left
// behind.
using ChildId = std::uint64_t;
// Names a descriptor that the keeper holds. Chosen by the arbiter, never used twice.
using HoldId = std::uint64_t;

// Where a descriptor of the child comes from.
struct FdMove {
    enum class From : std::uint32_t {
        Passed,  // index into SpawnRequest::passed
        Held,    // a HoldId
        Own,     // a descriptor number of the keeper itself (0, 1, 2: the daemon's own stdin, stdout, stderr)
        Null,    // /dev/null
    };
    From from = From::Null;
    std::uint64_t source = 0;
    int target = 0;  // the number in the child
};

struct Rlimit {
    int resource = 0;  // RLIMIT_*
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;  // RLIM_INFINITY for no limit
};

// An entry of envp that the child completes with its own pid before exec: LISTEN_PID of sd_listen_fds(3).
inline constexpr char kListenPid[] = "LISTEN_PID=          ";

// What the arbiter wants its successor to know of a child. The keeper keeps it and never reads it.
struct ChildNote {
    std::uint64_t owner = 0;      // whose it is, by the arbiter's numbers
    std::uint64_t pipes[2] = {};  // of its outputs; 0: none
    ChildId stops = 0;            // it is the stop_command of that child
    std::int32_t wid = 0;
    std::uint32_t is_hook = 0;  // a command that is run beside, for its answer
};

struct SpawnRequest {
    std::vector<std::string> argv;  // argv[0] is what the program is told its name is
    std::vector<std::string> envp;  // "NAME=value"
    std::vector<std::string>
        candidates;           // full paths, tried by execve in this order (ENOENT, EACCES, ENOTDIR go on)
    std::vector<int> passed;  // descriptors that travel with the request; borrowed for the call
    std::vector<FdMove> fds;  // everything else above 2 is closed in the child
    std::vector<Rlimit> rlimits;
    std::vector<gid_t> groups;  // supplementary; set only with uid or gid
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
    std::optional<mode_t> umask;
    std::optional<int> nice;
    std::optional<int> oom_score_adj;
    std::string chroot;       // empty: none
    std::string working_dir;  // empty: the daemon's
    bool no_new_privs = false;

    ChildNote note{};

    // What the keeper does with the child when the arbiter cannot say so any more.
    int stop_signal = 15;
    std::uint32_t graceful_timeout_ms = 30000;
    bool kill_tree = true;  // once it is gone, what it left behind is killed
};

// The parts of a spawn that can fail, in the order in which the child goes through them.
enum class SpawnStage : std::uint32_t {
    Decode,  // the keeper could not read the plan, or a held descriptor is unknown
    Fork,
    Session,
    Descriptors,
    Rlimit,  // detail: the resource
    Nice,
    OomScore,
    Chroot,
    WorkingDir,
    Groups,
    Gid,
    Uid,
    NoNewPrivs,
    Exec,
};
// As it stands in messages: "setting rlimit", "changing to the working directory", "exec".
const char* to_string(SpawnStage stage);

}  // namespace circus::keeper
