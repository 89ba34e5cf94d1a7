#include "frames.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace stats {

namespace {

std::string text(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The sum of several processes: Circus's mean of cpu, sum of mem and the oldest's age.
Json sum_of(const std::vector<Json*>& processes) {
    Json pids = Json::array();
    double cpu = 0;
    double mem = 0;
    int measured = 0;
    Json age = "N/A";
    for (const Json* process : processes) {
        pids.push_back(process->at("pid"));
        if (const auto at = process->find("cpu"); at != process->end() && at->is_number()) {
            cpu += at->get<double>();
            ++measured;
        }
        if (const auto at = process->find("mem"); at != process->end() && at->is_number())
            mem += at->get<double>();
        if (const auto at = process->find("age"); at != process->end() && at->is_number())
            age = age.is_number() ? Json(std::max(age.get<double>(), at->get<double>())) : *at;
    }
    return {{"pid", std::move(pids)},
            {"cpu", measured > 0 ? cpu / measured : 0.0},
            {"mem", std::round(mem * 1000) / 1000},
            {"age", std::move(age)}};
}

void add_processes(Frames& frames, const std::string& name, const Json& shown,
                   const std::vector<Json*>& processes, const Wanted& wanted) {
    const std::string watcher = "stat." + name;
    for (Json* process : processes) {
        Json& payload = *process;
        std::string topic = watcher + '.' + payload.at("pid").dump();
        if (!wanted.has(topic)) continue;
        payload.erase("started");
        payload.erase("wid");
        payload["children"] = Json::array();
        payload["subtopic"] = payload.at("pid");
        payload["name"] = shown;
        frames.push_back({std::move(topic), text(payload)});
    }
    if (wanted.has(watcher)) frames.push_back({watcher, text(sum_of(processes))});
}

std::string address_of(const Json& socket) {
    if (const auto path = socket.find("path"); path != socket.end()) return path->get<std::string>();
    return socket.at("host").get<std::string>() + ":" + socket.at("port").dump();
}

}  // namespace

std::string topic_name(std::string_view watcher) {
    std::string name(watcher);
    for (char& c : name) c = c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return name;
}

Wanted Wanted::everything() {
    Wanted wanted;
    wanted.add({});
    return wanted;
}

// They are few: circus-top has one, and so have most.
bool Wanted::has(std::string_view topic) const {
    return std::any_of(prefixes_.begin(), prefixes_.end(),
                       [topic](const std::string& prefix) { return topic.starts_with(prefix); });
}

void add_watchers(Frames& frames, Json infos, const Wanted& wanted) {
    for (auto& [watcher, info] : infos.items()) {
        std::vector<Json*> alive;
        for (auto& [pid, process] : info.items())
            if (process.is_object()) alive.push_back(&process);  // else a text: it vanished
        if (!alive.empty()) add_processes(frames, topic_name(watcher), nullptr, alive, wanted);
    }
}

void add_daemon(Frames& frames, Json info, const Wanted& wanted) {
    if (info.is_object()) add_processes(frames, "circus", "circusd", {&info}, wanted);
}

void Reads::add_to(Frames& frames, const Json& sockets) {
    std::map<int, std::uint64_t> now;
    Json addresses = Json::array();
    std::uint64_t sum = 0;
    for (const Json& socket : sockets) {
        const auto figures = socket.find("figures");
        if (figures == socket.end() || !figures->at("accepted").is_number()) continue;
        const int fd = socket.at("fd").get<int>();
        const auto accepted = figures->at("accepted").get<std::uint64_t>();
        now[fd] = accepted;
        const auto before = accepted_.find(fd);
        if (before == accepted_.end()) continue;
        // A socket that was bound anew counts from zero.
        const std::uint64_t reads = accepted >= before->second ? accepted - before->second : accepted;
        const std::string address = address_of(socket);
        frames.push_back({"stat.sockets." + std::to_string(fd),
                          text({{"fd", fd}, {"subtopic", fd}, {"reads", reads}, {"address", address}})});
        addresses.push_back(address);
        sum += reads;
    }
    accepted_ = std::move(now);
    if (!addresses.empty())
        frames.push_back({"stat.sockets", text({{"addresses", std::move(addresses)}, {"reads", sum}})});
}

}  // namespace stats
