#include "keeper/table.hpp"

#include <cstdio>
#include <utility>

namespace circus::keeper {

Child* ChildTable::acquire(ChildId id) {
    std::uint32_t row = free_;
    if (row != 0)
        free_ = rows_[row].next_by_id;
    else if (touched_ < kMaxChildren)
        row = ++touched_;
    else
        return nullptr;
    Child& child = rows_[row];
    child = Child{};
    child.id = id;
    child.pidfd = -1;
    std::uint32_t& head = by_id_[bucket(id)];
    child.next_by_id = std::exchange(head, row);
    return &child;
}

void ChildTable::release(Child& child) {
    clear_pid(child);
    const std::uint32_t row = row_of(child);
    std::uint32_t* link = &by_id_[bucket(child.id)];
    while (*link != row) link = &rows_[*link].next_by_id;
    *link = child.next_by_id;
    child.id = 0;
    child.next_by_id = std::exchange(free_, row);
}

void ChildTable::set_pid(Child& child, pid_t pid) {
    child.pid = pid;
    std::uint32_t& head = by_pid_[bucket(static_cast<std::uint32_t>(pid))];
    child.next_by_pid = std::exchange(head, row_of(child));
    ++running_;
}

void ChildTable::clear_pid(Child& child) {
    if (child.pid == 0) return;
    const std::uint32_t row = row_of(child);
    std::uint32_t* link = &by_pid_[bucket(static_cast<std::uint32_t>(child.pid))];
    while (*link != row) link = &rows_[*link].next_by_pid;
    *link = child.next_by_pid;
    child.pid = 0;
    --running_;
}

Child* ChildTable::by_id(ChildId id) {
    for (std::uint32_t row = by_id_[bucket(id)]; row != 0; row = rows_[row].next_by_id)
        if (rows_[row].id == id) return &rows_[row];
    return nullptr;
}

Child* ChildTable::by_pid(pid_t pid) {
    for (std::uint32_t row = by_pid_[bucket(static_cast<std::uint32_t>(pid))]; row != 0;
         row = rows_[row].next_by_pid)
        if (rows_[row].pid == pid) return &rows_[row];
    return nullptr;
}

bool HeldTable::hold(HoldId id, UniqueFd fd, const char* name) {
    if (id == 0 || !fd || find(id) >= 0) return false;
    std::uint32_t row = free_;
    if (row != 0)
        free_ = rows_[row].next;
    else if (touched_ < kMaxHeld)
        row = ++touched_;
    else
        return false;
    std::uint32_t& head = by_id_[bucket(id)];
    Row& placed = rows_[row];
    placed.id = id;
    placed.fd = fd.release();
    placed.next = std::exchange(head, row);
    std::snprintf(placed.name, sizeof placed.name, "%s", name);
    return true;
}

void HeldTable::drop(HoldId id) {
    std::uint32_t* link = &by_id_[bucket(id)];
    while (*link != 0 && rows_[*link].id != id) link = &rows_[*link].next;
    const std::uint32_t row = *link;
    if (row == 0) return;
    *link = rows_[row].next;
    UniqueFd(rows_[row].fd).reset();
    rows_[row].id = 0;
    rows_[row].fd = -1;
    rows_[row].next = std::exchange(free_, row);
}

int HeldTable::find(HoldId id) const {
    for (std::uint32_t row = by_id_[bucket(id)]; row != 0; row = rows_[row].next)
        if (rows_[row].id == id) return rows_[row].fd;
    return -1;
}

template <class Matches>
const GoneRing::Gone* GoneRing::newest(Matches&& matches) const {
    for (std::uint32_t back = 1; back <= kSize; ++back) {
        const Gone& gone = rows_[(next_ + kSize - back) % kSize];
        if (gone.id == 0) return nullptr;
        if (matches(gone)) return &gone;
    }
    return nullptr;
}

const GoneRing::Gone* GoneRing::by_pid(pid_t pid) const {
    return newest([pid](const Gone& gone) { return gone.pid == pid; });
}

const GoneRing::Gone* GoneRing::by_id(ChildId id) const {
    return newest([id](const Gone& gone) { return gone.id == id; });
}

}  // namespace circus::keeper
