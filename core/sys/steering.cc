#include "sys/steering.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <linux/btf.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <utility>

#include "base/text.hpp"
#include "sys/bpf.hpp"
#include "sys/sock_diag.hpp"

namespace circus::sys {

// What the program and this process share: the one value of a map of one entry.
struct Steering::Table {
    struct Load {
        std::uint64_t picks;  // the program's: connections that were given to that place
        std::int64_t base;    // this process's: load = base + picks
    };
    std::uint64_t turn;  // the program's
    // This process's: how many places are chosen, in the lower half, and which of the orders has them, in bit
    // 32. The other order is written, then this: the program sees the one or the other.
    std::uint64_t head;
    Load loads[kMost];
    // Each twice in a row: to go once around from any of them on takes no step back.
    std::uint32_t orders[2][2 * kMost];
};

namespace {

constexpr std::int32_t kTcpFlags = 13;  // of the header; SYN without ACK asks for a connection
constexpr std::int32_t kOpening = 0x02, kOpeningMask = 0x12;
// The kernel walks through each turn of a loop when it takes the program, which makes that 50 us longer.
constexpr std::int32_t kWindow = 128;
// On the program's stack.
constexpr int kKey = -4;      // u32
constexpr int kCounts = -16;  // u64: 1 where a connection begins

Error refused(const char* what) {
    return sys_error(cat("steering by eBPF: ", what), errno);
}

int make_map(bpf_map_type type, std::uint32_t value_size, std::uint32_t entries, std::uint32_t flags) {
    bpf_attr map{};
    map.map_type = type;
    map.key_size = sizeof(std::uint32_t);
    map.value_size = value_size;
    map.max_entries = entries;
    map.map_flags = flags;
    return bpf::call(BPF_MAP_CREATE, map);
}

// What sockets store has to have a type, in the format BTF: here an unsigned integer of four bytes.
UniqueFd load_type() {
    struct {
        btf_header header;
        btf_type type;
        std::uint32_t bits;
        char names[4];
    } text{};
    text.header.magic = BTF_MAGIC;
    text.header.version = BTF_VERSION;
    text.header.hdr_len = sizeof text.header;
    text.header.type_len = text.header.str_off = sizeof text.type + sizeof text.bits;
    text.header.str_len = sizeof text.names;
    text.type.name_off = 1;
    text.type.info = BTF_KIND_INT << 24U;
    text.type.size = sizeof(std::uint32_t);
    text.bits = 32;
    text.names[1] = 'u';
    bpf_attr load{};
    load.btf = reinterpret_cast<std::uintptr_t>(&text);
    load.btf_size = sizeof text;
    return UniqueFd(bpf::call(BPF_BTF_LOAD, load));
}

UniqueFd make_marks() {
    const UniqueFd type = load_type();
    if (!type) return {};
    bpf_attr map{};
    map.map_type = BPF_MAP_TYPE_SK_STORAGE;
    map.key_size = map.value_size = sizeof(std::uint32_t);
    map.map_flags = BPF_F_NO_PREALLOC | BPF_F_CLONE;
    map.btf_fd = static_cast<std::uint32_t>(type.get());
    map.btf_key_type_id = map.btf_value_type_id = 1;
    return UniqueFd(bpf::call(BPF_MAP_CREATE, map));
}

template <class K, class V>
int update(int map, const K& key, const V& value) {
    bpf_attr update{};
    update.map_fd = static_cast<std::uint32_t>(map);
    update.key = reinterpret_cast<std::uintptr_t>(&key);
    update.value = reinterpret_cast<std::uintptr_t>(&value);
    update.flags = BPF_ANY;
    return bpf::call(BPF_MAP_UPDATE_ELEM, update);
}

template <class T>
std::uint64_t cookie_at(int map, const T& key) {
    std::uint64_t cookie = 0;
    bpf_attr look{};
    look.map_fd = static_cast<std::uint32_t>(map);
    look.key = reinterpret_cast<std::uintptr_t>(&key);
    look.value = reinterpret_cast<std::uintptr_t>(&cookie);
    return bpf::call(BPF_MAP_LOOKUP_ELEM, look) == 0 ? cookie : 0;
}

std::uint64_t cookie_of(int listener) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return ::getsockopt(listener, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

struct Offsets {
    int turn, head, loads, orders;
};

// Whether the packet in R6 begins a connection, to kCounts. A listener is asked for too when something comes
// for a connection that is gone, or as the answer to a SYN cookie; that counts for nobody. Nothing to read is
// a connection that moves from a listener that was closed.
void write_counts(bpf::Writer& to) {
    using namespace bpf;
    const auto known = to.label();
    to.store(BPF_DW, R10, kCounts, 1);
    to.load(BPF_DW, R2, R6, offsetof(sk_reuseport_md, data));
    to.load(BPF_DW, R3, R6, offsetof(sk_reuseport_md, data_end));
    to.move(R4, R2);
    to.compute(BPF_ADD, R4, kTcpFlags + 1);
    to.jump_if(BPF_JGT, R4, R3, known);
    to.load(BPF_B, R5, R2, kTcpFlags);
    to.compute(BPF_AND, R5, kOpeningMask);
    to.jump_if(BPF_JEQ, R5, kOpening, known);
    to.store(BPF_DW, R10, kCounts, 0);
    to.here(known);
}

// From the place at `at` on in the order, the first of them to `place`.
void write_place_at(bpf::Writer& to, bpf::Register at, bpf::Register place, const Offsets& offsets,
                    bpf::Writer::Label pass) {
    using namespace bpf;
    to.load(BPF_W, place, at, offsets.orders);
    // It is so anyway: the kernel has to see it.
    to.jump_if(BPF_JGT, place, static_cast<std::int32_t>(Steering::kMost - 1), pass);
}

// Of the R8 places from R9 on in the order, kWindow at most: the one with the smallest load to R3.
void write_least_loaded(bpf::Writer& to, const Offsets& offsets, bpf::Writer::Label pass) {
    using namespace bpf;
    const auto few = to.label(), next = to.label(), worse = to.label();
    to.jump_if(BPF_JLE, R8, kWindow, few);
    to.move(R8, kWindow);
    to.here(few);
    to.move(R2, 0);  // looked at
    to.move(R3, 0);
    to.move_wide(R4, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
    to.here(next);
    write_place_at(to, R9, R5, offsets, pass);
    to.move(R1, R5);
    to.compute(BPF_LSH, R1, 4);
    to.compute(BPF_ADD, R1, R7);
    to.load(BPF_DW, R0, R1, offsets.loads);
    to.load(BPF_DW, R1, R1, offsets.loads + 8);
    to.compute(BPF_ADD, R0, R1);
    to.jump_if(BPF_JSGE, R0, R4, worse);
    to.move(R4, R0);
    to.move(R3, R5);
    to.here(worse);
    to.compute(BPF_ADD, R9, 4);
    to.compute(BPF_ADD, R2, 1);
    to.jump_if(BPF_JLT, R2, R8, next);
}

// R6 is the packet, R7 the table, R8 how many are chosen, R9 where they begin in the order, less its offset
// in the table; R3 the place at last.
std::vector<bpf_insn> program_text(Steering::By by, int listeners, int table, const Offsets& offsets) {
    using namespace bpf;
    Writer to;
    const auto pass = to.label();
    to.move(R6, R1);
    write_counts(to);
    to.store(BPF_W, R10, kKey, 0);
    to.move(R2, R10);
    to.compute(BPF_ADD, R2, kKey);
    to.move_map(R1, table);
    to.call(BPF_FUNC_map_lookup_elem);
    to.jump_if(BPF_JEQ, R0, 0, pass);
    to.move(R7, R0);
    to.load(BPF_DW, R8, R7, offsets.head);
    to.move(R9, R8);
    to.compute(BPF_RSH, R9, 32);
    to.compute(BPF_AND, R9, 1);
    to.compute(BPF_MUL, R9, static_cast<std::int32_t>(2 * Steering::kMost * sizeof(std::uint32_t)));
    to.compute(BPF_ADD, R9, R7);
    to.compute(BPF_AND, R8, 0x7fffffff);
    to.jump_if(BPF_JEQ, R8, 0, pass);
    to.jump_if(BPF_JGT, R8, static_cast<std::int32_t>(Steering::kMost), pass);
    to.load(BPF_DW, R1, R10, kCounts);
    to.add_there(R7, offsets.turn, R1, true);
    to.compute(BPF_MOD, R1, R8);
    to.jump_if(BPF_JGT, R1, static_cast<std::int32_t>(Steering::kMost - 1), pass);
    to.compute(BPF_LSH, R1, 2);
    to.compute(BPF_ADD, R9, R1);
    if (by == Steering::By::LeastLoaded)
        write_least_loaded(to, offsets, pass);
    else
        write_place_at(to, R9, R3, offsets, pass);
    to.jump_if(BPF_JGT, R3, static_cast<std::int32_t>(Steering::kMost - 1), pass);
    to.store(BPF_W, R10, kKey, R3);
    to.compute(BPF_LSH, R3, 4);
    to.compute(BPF_ADD, R3, R7);
    to.load(BPF_DW, R2, R10, kCounts);
    to.add_there(R3, offsets.loads, R2, false);
    to.move(R1, R6);
    to.move_map(R2, listeners);
    to.move(R3, R10);
    to.compute(BPF_ADD, R3, kKey);
    to.move(R4, 0);
    to.call(BPF_FUNC_sk_select_reuseport);
    to.here(pass);
    to.move(R0, SK_PASS);
    to.exit();
    return std::move(to).text();
}

template <class T>
T read_shared(T& word) {
    return std::atomic_ref(word).load(std::memory_order_acquire);
}
template <class T>
void write_shared(T& word, T value) {
    std::atomic_ref(word).store(value, std::memory_order_release);
}

}  // namespace

Result<Steering> Steering::open(By by, UniqueFd listeners, UniqueFd marks) {
    Steering made;
    // First, since it says at once whether this is permitted: the map of a process before says nothing.
    made.table_map_ = UniqueFd(make_map(BPF_MAP_TYPE_ARRAY, sizeof(Table), 1, BPF_F_MMAPABLE));
    if (!made.table_map_) return refused("making its table");
    void* const mapped =
        ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, made.table_map_.get(), 0);
    if (mapped == MAP_FAILED) return refused("mapping its table");
    made.table_ = static_cast<Table*>(mapped);
    made.listeners_ = std::move(listeners);
    if (!made.listeners_)
        made.listeners_ =
            UniqueFd(make_map(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, sizeof(std::uint64_t), kMost, 0));
    if (!made.listeners_) return refused("making its map of listeners");
    made.marks_ = marks ? std::move(marks) : make_marks();
    if (!made.marks_) return refused("making its map of marks");
    if (Status changed = made.change(by); !changed) return changed.error();
    return made;
}

Steering::Steering(Steering&& other) noexcept
    : listeners_(std::move(other.listeners_)),
      marks_(std::move(other.marks_)),
      table_map_(std::move(other.table_map_)),
      program_(std::move(other.program_)),
      table_(std::exchange(other.table_, nullptr)) {}

Steering& Steering::operator=(Steering&& other) noexcept {
    std::swap(listeners_, other.listeners_);
    std::swap(marks_, other.marks_);
    std::swap(table_map_, other.table_map_);
    std::swap(program_, other.program_);
    std::swap(table_, other.table_);
    return *this;
}

Steering::~Steering() {
    if (table_) ::munmap(table_, sizeof(Table));
}

Status Steering::change(By by) {
    const Offsets offsets{offsetof(Table, turn), offsetof(Table, head), offsetof(Table, loads),
                          offsetof(Table, orders)};
    const auto text = program_text(by, listeners_.get(), table_map_.get(), offsets);
    UniqueFd program = bpf::load(BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE, text);
    if (!program && errno == EINVAL)  // before Linux 5.14 nothing migrates
        program = bpf::load(BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT, text);
    if (!program) return refused("loading its program");
    program_ = std::move(program);
    return Ok{};
}

Status Steering::attach(int listener) const {
    const int program = program_.get();
    if (::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof program) != 0)
        return refused("attaching its program");
    return Ok{};
}

Status Steering::put(unsigned place, int listener) {
    if (place >= kMost) return Error{cat("steering by eBPF: there are more than ", kMost, " listeners")};
    const auto mark = inode_of(listener);
    if (!mark) return mark.error();
    if (update(marks_.get(), listener, *mark) != 0) return refused("marking a listener");
    const std::uint64_t there = cookie_at(listeners_.get(), place);
    if (there != 0 && there == cookie_of(listener)) return Ok{};
    if (update(listeners_.get(), place, static_cast<std::uint64_t>(listener)) != 0)
        return refused("noting a listener");
    feed(place, 0, picks(place));
    return Ok{};
}

void Steering::take_out(unsigned place) {
    bpf_attr gone{};
    gone.map_fd = static_cast<std::uint32_t>(listeners_.get());
    gone.key = reinterpret_cast<std::uintptr_t>(&place);
    bpf::call(BPF_MAP_DELETE_ELEM, gone);  // an error: nobody is there
}

void Steering::choose(const std::vector<unsigned>& places) {
    const std::uint64_t other = ((table_->head >> 32U) & 1U) ^ 1U;
    const std::size_t count = std::min<std::size_t>(places.size(), kMost);
    for (std::size_t i = 0; i < 2 * count; ++i) write_shared(table_->orders[other][i], places[i % count]);
    write_shared(table_->head, other << 32U | count);
}

std::uint64_t Steering::picks(unsigned place) const {
    return place < kMost ? read_shared(table_->loads[place].picks) : 0;
}

void Steering::feed(unsigned place, std::uint64_t load, std::uint64_t picks) {
    if (place < kMost)
        write_shared(table_->loads[place].base,
                     static_cast<std::int64_t>(load) - static_cast<std::int64_t>(picks));
}

std::int64_t Steering::load(unsigned place) const {
    if (place >= kMost) return 0;
    return read_shared(table_->loads[place].base) +
           static_cast<std::int64_t>(read_shared(table_->loads[place].picks));
}

}  // namespace circus::sys
