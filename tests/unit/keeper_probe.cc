// A child for the keeper's tests. `keeper_probe MODE …`:
//   report            prints what it finds itself with, one "key value" a line
//   exit CODE | die SIGNAL | burn MILLISECONDS (of CPU, and 40 MiB of memory)
//   count SIGNAL…     prints "ready", then the number of each such signal it gets
//   family [DEPTH]    starts descendants of every kind, prints "kind pid" lines and "ready", and waits;
//                     a signal TERM ends it, but none of its descendants
//   flood             forks descendants that fork, for ever, until killed
//   daemon SCRIPT …   run_keeper() with this program as the arbiter, which acts by SCRIPT
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "keeper/keeper.hpp"
#include "keeper/plan.hpp"
#include "keeper/wire.hpp"

namespace {

using namespace circus::keeper;

void print_file(const char* key, const char* path, const char* wanted = nullptr) {
    FILE* const file = std::fopen(path, "r");
    if (!file) return;
    char line[4096];
    while (std::fgets(line, sizeof line, file))
        if (!wanted)
            std::printf("%s %s", key, line);
        else if (std::strncmp(line, wanted, std::strlen(wanted)) == 0)
            std::printf("%s", line);
    std::fclose(file);
}

void print_descriptors() {
    DIR* const directory = opendir("/proc/self/fd");
    while (const dirent* entry = readdir(directory)) {
        const int fd = std::atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(directory)) continue;
        char target[256] = {};
        const std::string link = std::string("/proc/self/fd/") + entry->d_name;
        if (readlink(link.c_str(), target, sizeof target - 1) < 0) continue;
        std::printf("fd.%d %s\n", fd, target);
    }
    closedir(directory);
}

int report(int argc, char** argv, char** envp) {
    for (int i = 0; i < argc; ++i) std::printf("argv.%d %s\n", i, argv[i]);
    for (; *envp; ++envp) std::printf("env.%s\n", *envp);
    char cwd[4096];
    std::printf("cwd %s\n", getcwd(cwd, sizeof cwd) ? cwd : "?");
    std::printf("umask %03o\n", umask(0));
    std::printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
    std::printf("pid %d\nsid %d\npgid %d\n", getpid(), getsid(0), getpgid(0));
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    std::printf("nofile %llu %llu\n", static_cast<unsigned long long>(limit.rlim_cur),
                static_cast<unsigned long long>(limit.rlim_max));
    getrlimit(RLIMIT_CORE, &limit);
    std::printf("core %lld %lld\n", static_cast<long long>(limit.rlim_cur),
                static_cast<long long>(limit.rlim_max));
    uid_t r, e, s;
    getresuid(&r, &e, &s);
    std::printf("uids %u %u %u\n", r, e, s);
    getresgid(&r, &e, &s);
    std::printf("gids %u %u %u\n", r, e, s);
    gid_t groups[64];
    const int count = getgroups(64, groups);
    std::printf("groups");
    for (int i = 0; i < count; ++i) std::printf(" %u", groups[i]);
    std::printf("\nno_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    print_descriptors();
    print_file("oom", "/proc/self/oom_score_adj");
    for (const char* name : {"SigBlk", "SigIgn", "SigCgt"}) print_file("", "/proc/self/status", name);
    return 0;
}

int burn(long milliseconds) {
    std::vector<char> memory(40 << 20, 1);
    rusage usage{};
    volatile unsigned sum = 0;
    do {
        for (const char c : memory) sum = sum + static_cast<unsigned>(c);
        getrusage(RUSAGE_SELF, &usage);
    } while (usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 < milliseconds);
    return 0;
}

int count_signals(int argc, char** argv) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < argc; ++i) sigaddset(&set, std::atoi(argv[i]));
    sigprocmask(SIG_BLOCK, &set, nullptr);
    std::printf("ready %d\n", getpid());
    std::fflush(stdout);
    for (int signo = 0; sigwait(&set, &signo) == 0;) {
        std::printf("got %d\n", signo);
        std::fflush(stdout);
    }
    return 1;
}

[[noreturn]] void stay(const char* kind) {
    signal(SIGTERM, SIG_IGN);
    std::printf("%s %d\n", kind, getpid());
    std::fflush(stdout);
    for (;;) pause();
}

int family() {
    if (fork() == 0) {
        if (fork() == 0) stay("grandchild");
        stay("child");
    }
    if (fork() == 0) {
        setsid();
        stay("sessioned");
    }
    if (fork() == 0) {  // its parent ends: an orphan in our session
        if (fork() == 0) stay("orphan");
        _exit(0);
    }
    if (fork() == 0) {
        setsid();
        if (fork() == 0) stay("daemon");
        _exit(0);
    }
    std::printf("ready %d\n", getpid());
    std::fflush(stdout);
    for (;;) pause();
}

// Its first thread ends, another one goes on.
int lose_the_first_thread() {
    std::thread([] {
        for (;;) pause();
    }).detach();
    pthread_exit(nullptr);
}

// Its child makes a session of its own and starts a daemon, and takes long to end: so much is mapped.
int leave_slowly() {
    if (fork() == 0) {
        setsid();
        constexpr std::size_t kSize = 16 << 20;
        const int memory = memfd_create("mapped", MFD_CLOEXEC);
        if (ftruncate(memory, kSize) != 0) _exit(1);
        for (int i = 0; i < 256; ++i)
            mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);
        std::printf("leaving %d\n", getpid());
        std::fflush(stdout);
        if (fork() == 0) stay("daemon");
        _exit(0);
    }
    std::printf("ready %d\n", getpid());
    std::fflush(stdout);
    for (;;) pause();
}

[[noreturn]] void flood() {
    signal(SIGCHLD, SIG_IGN);
    std::printf("ready %d\n", getpid());
    std::fflush(stdout);
    // A chain that moves on: each forks the next and ends, so that whoever looks is always late.
    for (;;) {
        if (fork() > 0) {
            usleep(500);
            if (getppid() != 1 && getsid(0) != getpid()) _exit(0);
            pause();
        }
        if (fork() == 0) pause();
    }
}

void send_spawn(ChildId id, const SpawnRequest& request) {
    const auto plan = encode_plan(request);
    SpawnMessage message;
    message.id = id;
    message.plan_size = static_cast<std::uint32_t>(plan.size());
    std::vector<std::byte> datagram(sizeof message + plan.size());
    std::memcpy(datagram.data(), &message, sizeof message);
    std::memcpy(datagram.data() + sizeof message, plan.data(), plan.size());
    send(kArbiterFd, datagram.data(), datagram.size(), 0);
}

// "exit CODE": Exit at once. "leave CODE": ends without Exit. "hang": starts a worker and never reads again.
// "family": starts one that has a family, passes signals of the daemon on as an Exit with their number.
int arbiter(int argc, char** argv, const char* self) {
    HelloMessage hello;
    if (recv(kArbiterFd, &hello, sizeof hello, 0) != sizeof hello) return 90;
    const std::string script = argv[0];
    const int value = argc > 1 ? std::atoi(argv[1]) : 0;
    if (script == "report") return report(argc, argv, environ);
    if (script == "leave") return value;
    if (script == "exit") {
        ExitMessage message;
        message.code = value;
        send(kArbiterFd, &message, sizeof message, 0);
        return 0;
    }
    SpawnRequest request;
    request.argv = {self, "family"};
    request.candidates = {self};
    request.envp = {std::string("CIRCUS_INSTANCE=") + hello.instance + ".1"};
    request.graceful_timeout_ms = 100;
    send_spawn(1, request);
    if (script == "hang")
        for (;;) pause();
    char datagram[kMaxDatagram];
    for (;;) {
        if (recv(kArbiterFd, datagram, sizeof datagram, 0) <= 0) return 91;
        Header header;
        std::memcpy(&header, datagram, sizeof header);
        if (header.kind != Kind::Caught) continue;
        CaughtMessage caught;
        std::memcpy(&caught, datagram, sizeof caught);
        ExitMessage message;
        message.code = caught.signo;
        send(kArbiterFd, &message, sizeof message, 0);
    }
}

}  // namespace

int main(int argc, char** argv, char** envp) {
    const std::string mode = argc > 1 ? argv[1] : "";
    const int value = argc > 2 ? std::atoi(argv[2]) : 0;
    if (mode == "report") return report(argc, argv, envp);
    if (mode == "exit") return value;
    if (mode == "die") {
        raise(value);
        return 1;
    }
    if (mode == "burn") return burn(value);
    if (mode == "count") return count_signals(argc - 2, argv + 2);
    if (mode == "stay") stay("ready");
    if (mode == "family") return family();
    if (mode == "headless") return lose_the_first_thread();
    if (mode == "leave") return leave_slowly();
    if (mode == "flood") flood();
    if (mode == "arbiter") return arbiter(argc - 2, argv + 2, argv[0]);
    if (mode == "daemon") {
        KeeperOptions options;
        options.first_arbiter = [&] { return arbiter(argc - 2, argv + 2, argv[0]); };
        options.arbiter_argv = {argv[0], "arbiter"};
        options.arbiter_argv.insert(options.arbiter_argv.end(), argv + 2, argv + argc);
        options.stop_timeout = 0.3;
        return run_keeper(std::move(options));
    }
    return 99;
}
