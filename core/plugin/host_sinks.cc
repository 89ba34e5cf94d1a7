#include "plugin/host_sinks.hpp"

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "plugin/abi_text.hpp"
#include "plugin/host_table.hpp"

namespace circus::plugin {

namespace {

circus_chunk to_abi(const stream::Chunk& chunk) {
    circus_chunk out{};
    out.watcher = plugin::to_abi(chunk.watcher);
    out.bytes = plugin::to_abi(chunk.bytes);
    out.pid = chunk.pid;
    out.time_ns = static_cast<std::uint64_t>(chunk.time * 1e9);
    out.stream = chunk.channel == stream::Channel::Stdout ? 1 : 2;
    return out;
}

}  // namespace

bool HostSinks::is_usable(const circus_sink* functions) {
    return functions && functions->size >= sizeof(circus_sink) && functions->open && functions->write &&
           functions->close;
}

void HostSinks::offer(circus_id id, const std::string& name, const circus_sink& functions, void* user) {
    classes_[id] = {name, functions, user};
}

void HostSinks::withdraw(circus_id id) {
    classes_.erase(id);
    std::erase_if(open_, [id](const auto& each) { return each.second.of == id; });
}

void HostSinks::open(circus_id offer, SinkId sink, const std::string& options) {
    const auto at = classes_.find(offer);
    if (at == classes_.end()) return;
    const Class row = at->second;  // the plugin may take it back meanwhile
    void* made = nullptr;
    std::string why;
    circus_status status = host_.run(
        cat(row.name, ": open"), [&] { return row.functions.open(row.user, plugin::to_abi(options), &made); },
        why);
    if (status > CIRCUS_OK) {
        host_.misbehaving(cat(row.name, ": open has returned ", status));
        status = CIRCUS_E_INVALID;
    }
    if (!classes_.contains(offer)) return;
    if (status == CIRCUS_OK) open_[sink] = {offer, made};
    backend_.sink_opened(sink, status, why);
}

void HostSinks::write(SinkId sink, const std::vector<stream::Chunk>& batch) {
    const auto at = open_.find(sink);
    if (at == open_.end()) return;
    const Sink to = at->second;
    const Class row = classes_.at(to.of);
    std::vector<circus_chunk> chunks;
    chunks.reserve(batch.size());
    for (const auto& each : batch) chunks.push_back(to_abi(each));
    std::size_t taken = 0;
    std::string why;
    circus_status status = host_.run(
        cat(row.name, ": write"),
        [&] { return row.functions.write(to.sink, chunks.data(), chunks.size(), &taken); }, why);
    if (status > CIRCUS_OK || taken > chunks.size()) {
        host_.misbehaving(cat(row.name, ": write has returned ", status, " and taken ", taken, " of ",
                              chunks.size(), " chunks"));
        status = CIRCUS_E_INVALID;
        taken = 0;
    }
    if (!open_.contains(sink)) return;
    if (status == CIRCUS_OK) taken = chunks.size();
    if (status < CIRCUS_OK && status != CIRCUS_E_AGAIN) close(sink);
    backend_.sink_took(sink, taken, status, why);
}

void HostSinks::close(SinkId sink) {
    const auto gone = open_.extract(sink);
    if (gone.empty()) return;
    const Class row = classes_.at(gone.mapped().of);
    host_.meter().run(cat(row.name, ": close"), [&] { row.functions.close(gone.mapped().sink); });
}

void HostSinks::ready(const void* sink) {
    for (const auto& [id, each] : open_)
        if (each.sink == sink) backend_.sink_ready(id);
}

}  // namespace circus::plugin
