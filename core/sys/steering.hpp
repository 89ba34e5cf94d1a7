// Steering: an eBPF program that says which of the listeners of one address (SO_REUSEPORT, TCP) gets a new
// connection, in the place of the kernel's hash. Each listener has a place, from 0; those places that are
// chosen take part. By RoundRobin they take turns; by LeastLoaded the one with the smallest load gets it,
// and among equals they take turns. (Of more than 128 that is the smallest of 128, others each time.)
//
// A load is what feed() said of a place plus what the program gave to it since: what was measured is old by
// the time it is used, and a burst that comes between two measurements is spread all the same. Who measures
// asks picks() first, then looks, then feeds: what is picked in between counts.
//
// The program is the group's: it goes on when this object, or its process, is gone, with the loads that were
// fed last; attach() replaces it. The map of the listeners is what has to outlive a process: a listener can
// be in one such map only. Whoever opens with the map of the process before goes on with its places.
//
// A second map has a mark for each listener that was put somewhere, its inode; the kernel copies it to each
// connection that is made there. By it connections_by_mark() says how many each of them has, waiting and in
// hand, without a look at any process. Marks last as long as their map: it has to outlive a process too.
//
// A connection that a chosen listener cannot be given (none is chosen, or it was closed) goes by the kernel's
// hash. When a listener is closed, what is queued on it goes to one that is chosen (Linux 5.14 and newer).
//
// The kernel asks for CAP_BPF and CAP_NET_ADMIN (or root), and for Linux 5.12. One thread at a time.
//
// Sources: bpf(2), bpf-helpers(7) bpf_sk_select_reuseport, socket(7) SO_ATTACH_REUSEPORT_EBPF, linux/bpf.h
// struct sk_reuseport_md (its data begins with the TCP header), BPF_MAP_TYPE_SK_STORAGE with BPF_F_CLONE.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

class Steering {
  public:
    static constexpr unsigned kMost = 1024;  // places
    enum class By { RoundRobin, LeastLoaded };

    // The maps of a Steering before; where there is none a new one is made.
    static Result<Steering> open(By by, UniqueFd listeners = {}, UniqueFd marks = {});
    Steering(Steering&& other) noexcept;
    Steering& operator=(Steering&& other) noexcept;
    ~Steering();

    // For the next one's open().
    int listeners() const { return listeners_.get(); }
    int marks() const { return marks_.get(); }
    // From now on by this. attach() makes it so.
    Status change(By by);
    // The group that this listener, which listens, is of.
    Status attach(int listener) const;

    // Also when it is there already. A listener that is closed leaves its place by itself.
    Status put(unsigned place, int listener);
    // It may be put into another one at once. (When the map itself goes, it may a moment later.)
    void take_out(unsigned place);
    // These take part, and no others. In one step. At most kMost.
    void choose(const std::vector<unsigned>& places);

    // How many connections that place was given, by this object's program.
    std::uint64_t picks(unsigned place) const;
    // `load` was measured after picks() said `picks`.
    void feed(unsigned place, std::uint64_t load, std::uint64_t picks);
    std::int64_t load(unsigned place) const;

  private:
    struct Table;
    Steering() = default;

    UniqueFd listeners_, marks_, table_map_, program_;
    Table* table_ = nullptr;  // mapped; shared with the program
};

}  // namespace circus::sys
