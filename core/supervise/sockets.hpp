// SocketTable: the listening sockets of the stack. Each has a number that is its descriptor in the workers
// that name it: 3 + its place in the configuration that circusd started with. A socket keeps its number for
// as long as it lives, whatever a reload puts before it or takes away; a new one gets the lowest that is
// free. (A worker that names none gets all of them from 3 on, see spawn_plan.hpp.) The keeper holds a
// duplicate of each; workers get theirs from the keeper.
//
// A change of the configuration goes in three steps: StagedSockets binds what is new and may fail, replace()
// puts it in place and may not, and move_files() does the same with the files of unix sockets. Before that
// saved() is to be saved: an arbiter that dies in between leaves the next one either the table and the files
// of before, or the table of after, and which files are still to be moved.
//
// With so_reuseport each wid has a listener of its own, made when the wid is first used and kept while the
// wid is within numprocesses: it belongs to the slot, and what is queued on it outlives the process. Which of
// them gets a new connection is the kernel's to say, or that of a program (sockets_steering.cc): then it is
// never one without a worker that accepts, as the watchers tell, where there are others.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "supervise/ports.hpp"
#include "supervise/staged_sockets.hpp"
#include "sys/connection_counter.hpp"
#include "sys/listen.hpp"
#include "sys/steering.hpp"

namespace circus::supervise {

class SocketTable {
  public:
    using SlotKey = std::pair<std::string, int>;  // the watcher's name in lower case, and the wid
    struct Socket {
        config::SocketConfig config;
        int worker_fd = 0;
        UniqueFd fd;  // so_reuseport: what keeps the port while no slot does
        HoldId hold = 0;
        std::string address;  // "127.0.0.1:8080", "[::1]:80", "/run/x.sock": with the real port
        std::string host;     // as bound, for listsockets
        int port = 0;         // the real one
        struct Slot {
            UniqueFd fd;
            HoldId hold = 0;
            bool is_leaving = false;          // its worker is drained: no new connections
            bool has_worker = false;          // that accepts
            std::optional<unsigned> place{};  // among those that are steered
        };
        std::map<SlotKey, Slot> slots;  // so_reuseport
        std::vector<SlotKey> group{};   // keys of the slots, in the kernel's order
        bool is_steered = false;        // around those that leave, without `steering`
        std::optional<sys::Steering> steering{};
        HoldId steering_hold = 0;  // of its map of listeners
        HoldId marks_hold = 0;     // and of that of their marks
        std::string unsteered{};   // why there is none, though the configuration asks for it
        sys::ConnectionCounter connections;

        // Every descriptor on which connections are queued.
        std::vector<int> listeners() const;
    };

    // Binds one socket per section, in order. On an error what was bound before is closed again and the text
    // names section, address and errno.
    Status bind(const std::vector<config::SocketConfig>& configs, KeeperPort& keeper);
    // The table as StagedSockets wants it.
    std::vector<StagedSockets::Present> present() const;
    // Afterwards the sockets are those staged, in their order. What goes on keeps its number and, unless it
    // was bound anew, its descriptors; what does not is closed. `keeper` as for bind(), which need not have
    // been.
    void replace(StagedSockets staged, KeeperPort& keeper);
    void move_files();

    const std::vector<std::unique_ptr<Socket>>& all() const { return sockets_; }
    const Socket* find(std::string_view name) const { return find_socket(name); }  // without case
    // The held descriptor that worker `wid` of `watcher` gets for this socket; makes the slot's listener if
    // need be.
    Result<HoldId> for_worker(std::string_view name, std::string_view watcher, int wid);
    // The descriptors behind for_worker() of wid 1 to `count`: one, or with so_reuseport one for each.
    Result<std::vector<int>> listeners_of(std::string_view name, std::string_view watcher, int count);
    // A socket as one worker has it.
    struct Held {
        int fd = -1;
        bool is_own = false;           // its slot's listener, and nobody else's
        bool has_connections = false;  // a stream's, not datagrams
    };
    // What worker `wid` of `watcher` has of this socket; nothing: no such socket, or no listener was made for
    // it.
    std::optional<Held> held_by(std::string_view name, std::string_view watcher, int wid) const;
    // The slots of this watcher above `count`, and all of the sockets that are `unused` by it (in lower
    // case), get no new connections, where the kernel lets itself be told so; the others do.
    using Names = std::set<std::string>;
    void drain(std::string_view watcher, int count, const Names& unused = {});
    // Whether a slot of that worker is told so; and those of them of whose socket others stay.
    bool leaves(std::string_view watcher, int wid) const;
    std::vector<Held> leaving(std::string_view watcher, int wid) const;
    // ---- steering ----
    // Whether anybody wants to know who accepts.
    bool is_steering() const;
    // Those of the watcher's slots that have a worker which accepts, by wid - 1; the others have none.
    void tell_workers(std::string_view watcher, const std::vector<bool>& accepting);
    // What is to be measured of each socket that is steered by load. `address` is one of its listeners,
    // `marks` the map of the marks that these have.
    struct Measured {
        struct Row {
            SlotKey slot;
            unsigned place = 0;
            std::uint64_t picks = 0;
            std::uint32_t mark = 0;
            std::uint64_t load = 0;  // to be filled in
        };
        std::string socket;
        UniqueFd address, marks;
        std::vector<Row> rows;
    };
    bool is_steering_by_load() const;
    std::vector<Measured> to_measure() const;
    void feed(const Measured& measured);
    // Called with each descriptor before it is closed.
    void on_close(std::function<void(int fd)> closing) { closing_ = std::move(closing); }
    // The watcher has only these slots now (0: it is gone): the listeners of the others are closed.
    void trim(std::string_view watcher, int count, const Names& unused = {});
    // From one arbiter to the next (sockets_saved.cc). version(): grows with whatever changes saved().
    std::uint64_t version() const { return version_; }
    Json saved() const;
    Status restore(const Json& saved, std::map<HoldId, UniqueFd> listeners, KeeperPort& keeper);
    void close_all();  // and unlinks the unix sockets' files

    // How the socket's own descriptor is bound. With so_reuseport it only keeps the port: were it to listen,
    // the kernel would queue a share of the connections on it, and nobody accepts there. (A datagram socket
    // cannot be bound without receiving: there the first slot takes this descriptor over.)
    static sys::ListenSpec listen_spec(const config::SocketConfig& config);

  private:
    Socket* find_socket(std::string_view name) const;
    HoldId hold(std::string_view name, int fd);
    static void count_connections(Socket& socket, int fd);
    Result<Socket::Slot*> slot_of(Socket& socket, std::string_view watcher, int wid);
    void close(UniqueFd& fd);
    void steer(Socket& socket);
    static void steer_around(Socket& socket);
    void begin_steering(Socket& socket, UniqueFd listeners = {}, UniqueFd marks = {});
    void resume_steering(Socket& socket, UniqueFd listeners, UniqueFd marks);
    void reopen_steering(Socket& socket, UniqueFd listeners, UniqueFd marks);
    void unhold_steering(Socket& socket);
    void enlist(Socket& socket, Socket::Slot& slot);
    void end_steering(Socket& socket);
    void change_steering(Socket& socket);
    void give_up_steering(Socket& socket, const Error& why);
    void adjust(Socket& socket, const config::SocketConfig& config);
    void drop(Socket& socket);
    void drop_unnoted(const std::map<HoldId, UniqueFd>& listeners);
    void unhold(HoldId id);
    Status bind_again(Socket& socket);
    void number();  // those that have no number yet

    std::vector<std::unique_ptr<Socket>> sockets_;
    KeeperPort* keeper_ = nullptr;
    std::function<void(int fd)> closing_;
    HoldId next_hold_ = 1;
    std::uint64_t version_ = 1;
    std::vector<std::pair<std::string, std::string>> renames_;  // from and to, of move_files()
    std::vector<std::string> removals_;
};

}  // namespace circus::supervise
