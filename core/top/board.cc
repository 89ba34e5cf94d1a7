#include "top/board.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::top {

namespace {

// Circus writes "N/A" for a figure it could not take.
std::optional<double> number(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

std::optional<long long> whole(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number() ? std::optional(at->get<long long>()) : std::nullopt;
}

std::string words(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

void remember(History& history, double value) {
    history.push_back(value);
    if (history.size() > kRemembered) history.pop_front();
}

// A watcher's name as the stream has it. Circus has two: that of `list`, blanks kept, for what ran when its
// circusd-stats began, and that of events for what was started later.
std::string streamed(std::string_view name) {
    std::string out = to_lower(name);
    std::replace(out.begin(), out.end(), ' ', '_');
    return out;
}

ProcessRow process_of(int pid, const Json& payload, TimePoint now) {
    ProcessRow row;
    row.pid = pid;
    row.command = words(payload, "cmdline");
    row.cpu = number(payload, "cpu");
    row.memory = number(payload, "mem");
    row.resident = words(payload, "mem_info1");
    row.age = number(payload, "age");
    row.seen = now;
    return row;
}

bool precedes(SortBy by, const WatcherRow& a, const WatcherRow& b) {
    switch (by) {
        case SortBy::Cpu:
            return a.cpu > b.cpu;
        case SortBy::Memory:
            return a.memory > b.memory;
        case SortBy::Age:
            return a.age.value_or(-1) > b.age.value_or(-1);
        case SortBy::Count:
            return a.processes.size() > b.processes.size();
        case SortBy::Name:
            break;
    }
    return false;
}

bool precedes(SortBy by, const ProcessRow& a, const ProcessRow& b) {
    switch (by) {
        case SortBy::Cpu:
            return a.cpu.value_or(-1) > b.cpu.value_or(-1);
        case SortBy::Memory:
            return a.memory.value_or(-1) > b.memory.value_or(-1);
        case SortBy::Age:
            return a.age.value_or(-1) > b.age.value_or(-1);
        case SortBy::Name:
        case SortBy::Count:
            break;
    }
    return false;
}

template <typename Number>
Json json_of(const std::optional<Number>& value) {
    return value ? Json(*value) : Json();
}

constexpr std::array<std::string_view, 5> kSortWords{"name", "cpu", "memory", "age", "processes"};

}  // namespace

std::string_view sort_word(SortBy by) {
    return kSortWords[static_cast<std::size_t>(by)];
}

SortBy next_sort(SortBy by) {
    return static_cast<SortBy>((static_cast<std::size_t>(by) + 1) % kSortWords.size());
}

void Board::on_frame(std::string_view topic, const Json& payload, TimePoint now) {
    constexpr std::string_view kStat = "stat.";
    if (!topic.starts_with(kStat) || !payload.is_object()) return;
    topic.remove_prefix(kStat.size());
    newest_ = now;
    if (payload.contains("reads")) {
        if (payload.contains("fd")) on_socket(payload, now);
        return;
    }
    const auto part = whole(payload, "subtopic");
    if (!part) return on_watcher(streamed(topic), now);
    const std::string tail = cat(".", *part);
    if (topic.ends_with(tail)) topic.remove_suffix(tail.size());
    on_process(streamed(topic), payload, now);
}

void Board::on_process(const std::string& name, const Json& payload, TimePoint now) {
    const int pid = static_cast<int>(whole(payload, "pid").value_or(0));
    if (name == "circus") {
        // Circus streams its helpers under the same name.
        if (words(payload, "name") == "circusd" || !daemon_) daemon_ = process_of(pid, payload, now);
        return;
    }
    watchers_[name].processes[pid] = process_of(pid, payload, now);
}

// The line under a watcher's processes: its round is complete.
void Board::on_watcher(const std::string& name, TimePoint now) {
    if (name == "circus") {
        ++rounds_;
        return;
    }
    Watcher& watcher = watchers_[name];
    watcher.seen = now;
    double cpu = 0;
    for (const auto& [pid, process] : watcher.processes)
        if (now - process.seen < kForget) cpu += process.cpu.value_or(0);
    remember(watcher.cpus, cpu);
}

void Board::on_socket(const Json& payload, TimePoint now) {
    const int fd = static_cast<int>(whole(payload, "fd").value_or(-1));
    Socket& socket = sockets_[fd];
    socket.row.fd = fd;
    socket.row.rate = number(payload, "reads");
    if (socket.row.address.empty()) socket.row.address = words(payload, "address");
    socket.seen = now;
    remember(socket.row.rates, socket.row.rate.value_or(0));
}

void Board::on_statuses(const Json& answer) {
    const auto statuses = answer.find("statuses");
    if (statuses == answer.end() || !statuses->is_object()) return;
    written_.clear();
    for (auto& [name, watcher] : watchers_) watcher.status.clear();
    for (const auto& [name, status] : statuses->items()) {
        const std::string key = streamed(name);
        written_[key] = name;
        if (status.is_string()) watchers_[key].status = status.get<std::string>();
    }
    // Circus's stream does not always name a watcher as `status` does: what has processes stays.
    std::erase_if(watchers_, [](const auto& entry) {
        return entry.second.status.empty() && entry.second.processes.empty();
    });
}

void Board::on_sockets(const Json& answer) {
    const auto sockets = answer.find("sockets");
    if (sockets == answer.end() || !sockets->is_array()) return;
    for (auto& [fd, socket] : sockets_) socket.is_listed = false;
    for (const Json& each : *sockets) {
        if (!each.is_object()) continue;
        const int fd = static_cast<int>(whole(each, "fd").value_or(-1));
        Socket& socket = sockets_[fd];
        socket.is_listed = true;
        socket.row.fd = fd;
        socket.row.name = words(each, "name");
        const std::string path = words(each, "path");
        socket.row.address =
            path.empty() ? cat(words(each, "host"), ":", whole(each, "port").value_or(0)) : path;
        const auto figures = each.find("figures");
        if (figures == each.end() || !figures->is_object()) continue;
        socket.row.queue = whole(*figures, "queue");
        socket.row.limit = whole(*figures, "limit");
        socket.row.in_flight = whole(*figures, "in_flight");
    }
    std::erase_if(sockets_, [](const auto& entry) { return !entry.second.is_listed; });
}

void Board::forget(TimePoint now) {
    for (auto& [name, watcher] : watchers_)
        std::erase_if(watcher.processes,
                      [now](const auto& entry) { return now - entry.second.seen >= kForget; });
    std::erase_if(watchers_, [](const auto& entry) {
        return entry.second.processes.empty() && entry.second.status.empty();
    });
    for (auto& [fd, socket] : sockets_)
        if (now - socket.seen >= kForget) socket.row.rate.reset();
    std::erase_if(sockets_,
                  [](const auto& entry) { return !entry.second.is_listed && !entry.second.row.rate; });
    if (daemon_ && now - daemon_->seen >= kForget) daemon_.reset();
}

void Board::on_silence() {
    watchers_.clear();
    sockets_.clear();
    daemon_.reset();
}

std::vector<WatcherRow> Board::watchers(const Choice& choice) const {
    std::vector<WatcherRow> rows;
    const std::string wanted = to_lower(choice.filter);
    for (const auto& [name, watcher] : watchers_) {
        const auto written = written_.find(name);
        WatcherRow row;
        row.name = written == written_.end() ? name : written->second;
        if (!wanted.empty() && to_lower(row.name).find(wanted) == std::string::npos) continue;
        row.status = watcher.status;
        row.cpus = watcher.cpus;
        for (const auto& [pid, process] : watcher.processes) {
            row.cpu += process.cpu.value_or(0);
            row.memory += process.memory.value_or(0);
            if (process.age) row.age = std::max(row.age.value_or(0), *process.age);
            row.processes.push_back(process);
        }
        std::stable_sort(row.processes.begin(), row.processes.end(),
                         [&](const auto& a, const auto& b) { return precedes(choice.by, a, b); });
        rows.push_back(std::move(row));
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [&](const auto& a, const auto& b) { return precedes(choice.by, a, b); });
    return rows;
}

std::vector<SocketRow> Board::sockets() const {
    std::vector<SocketRow> rows;
    for (const auto& [fd, socket] : sockets_) rows.push_back(socket.row);
    return rows;
}

Json Board::json(const Choice& choice) const {
    Json watchers = Json::array();
    for (const WatcherRow& row : this->watchers(choice)) {
        Json processes = Json::array();
        for (const ProcessRow& each : row.processes)
            processes.push_back({{"pid", each.pid},
                                 {"cmdline", each.command},
                                 {"cpu", json_of(each.cpu)},
                                 {"mem", json_of(each.memory)},
                                 {"mem_info1", each.resident},
                                 {"age", json_of(each.age)}});
        watchers.push_back({{"name", row.name},
                            {"status", row.status.empty() ? Json() : Json(row.status)},
                            {"cpu", row.cpu},
                            {"mem", row.memory},
                            {"age", json_of(row.age)},
                            {"processes", std::move(processes)}});
    }
    Json sockets = Json::array();
    for (const SocketRow& row : this->sockets())
        sockets.push_back({{"name", row.name},
                           {"address", row.address},
                           {"fd", row.fd},
                           {"reads", json_of(row.rate)},
                           {"queue", json_of(row.queue)},
                           {"limit", json_of(row.limit)},
                           {"in_flight", json_of(row.in_flight)}});
    Json circusd;
    if (daemon_)
        circusd = {{"pid", daemon_->pid},
                   {"cpu", json_of(daemon_->cpu)},
                   {"mem", json_of(daemon_->memory)},
                   {"mem_info1", daemon_->resident},
                   {"age", json_of(daemon_->age)}};
    return {
        {"watchers", std::move(watchers)}, {"sockets", std::move(sockets)}, {"circusd", std::move(circusd)}};
}

}  // namespace circus::top
