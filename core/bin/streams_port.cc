#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "bin/holds.hpp"
#include "bin/ports.hpp"

namespace circus::bin {

using supervise::StreamKind;

namespace {

stream::StreamSpec spec_of(const config::StreamConfig& config, std::string watcher, stream::Channel channel) {
    return {
        .class_name = config.class_name,
        .watcher = std::move(watcher),
        .channel = channel,
        .filename = config.filename,
        .time_format = config.time_format,
        .max_bytes = config.max_bytes,
        .backup_count = config.backup_count,
        .rotate_when = config.rotate_when,
        .rotate_interval = config.rotate_interval,
        .utc = config.utc,
        .compress = config.compress,
        .color = config.color,
        .lines = static_cast<std::size_t>(config.lines),
        .drops_when_slow = config.on_slow == config::StreamConfig::OnSlow::Drop,
        .options = config.offered,
    };
}

// "1 12 web": kind, wid, watcher.
std::string name_of(StreamKind kind, int wid, std::string_view watcher) {
    return cat(kind == StreamKind::Stdout ? "1 " : "2 ", wid, " ", watcher);
}

}  // namespace

void StreamsPort::inherit_journal(std::uint64_t part, UniqueFd fd) {
    (part == 1 ? journal_.memory : part == 2 ? journal_.read_end : journal_.write_end) = std::move(fd);
}

stream::Journal::Parts StreamsPort::journal() {
    if (journal_) return std::move(journal_);
    auto parts = stream::Journal::make_parts();
    if (!parts || !keeper_) {
        if (!parts) log::error(parts.error().text);
        return {};
    }
    keeper_->hold(hold_of(HoldSpace::Journal, 1), "journal", parts->memory.get());
    keeper_->hold(hold_of(HoldSpace::Journal, 2), "journal", parts->read_end.get());
    keeper_->hold(hold_of(HoldSpace::Journal, 3), "journal", parts->write_end.get());
    return std::move(*parts);
}

void StreamsPort::inherit(stream::PipeId id, std::string_view name, UniqueFd read_end) {
    supervise::InheritedPipe about;
    about.id = id;
    about.kind = name.starts_with("1 ") ? StreamKind::Stdout : StreamKind::Stderr;
    name.remove_prefix(std::min<std::size_t>(2, name.size()));
    const auto space = name.find(' ');
    const auto wid = parse_int(name.substr(0, space));
    about.wid = wid ? static_cast<int>(*wid) : 0;
    if (space != std::string_view::npos) about.watcher = name.substr(space + 1);
    inherited_[id] = {std::move(about), std::move(read_end)};
}

Result<supervise::StreamPort::Pipe> StreamsPort::open(const config::StreamConfig& config,
                                                      std::string_view watcher, int wid, StreamKind kind) {
    auto pipe = streams_.open(spec_of(config, std::string(watcher), channel(kind)));
    if (!pipe) return pipe.error();
    if (keeper_)
        keeper_->hold(hold_of(HoldSpace::Pipe, pipe->id), name_of(kind, wid, watcher), pipe->read_end);
    return Pipe{pipe->id, std::move(pipe->write_end)};
}

std::vector<supervise::InheritedPipe> StreamsPort::inherited() const {
    std::vector<supervise::InheritedPipe> all;
    for (const auto& [id, pipe] : inherited_) all.push_back(pipe.about);
    return all;
}

std::optional<StreamKind> StreamsPort::inherited_kind(supervise::PipeId id) const {
    const auto at = inherited_.find(id);
    return at == inherited_.end() ? std::nullopt : std::optional(at->second.about.kind);
}

Status StreamsPort::adopt(supervise::PipeId id, const config::StreamConfig& config) {
    auto pipe = inherited_.extract(id);
    if (pipe.empty()) return Error{"there is no such pipe"};
    auto& [about, read_end] = pipe.mapped();
    return streams_.adopt(id, spec_of(config, about.watcher, channel(about.kind)), std::move(read_end));
}

void StreamsPort::finish(supervise::PipeId id, Drained drained) {
    streams_.finish(id, [this, id, drained = std::move(drained)](const std::optional<std::string>& last) {
        if (keeper_) keeper_->drop(hold_of(HoldSpace::Pipe, id));
        drained(last);
    });
}

void StreamsPort::discard(supervise::PipeId id) {
    inherited_.erase(id);
    streams_.discard(id);
    if (keeper_) keeper_->drop(hold_of(HoldSpace::Pipe, id));
}

}  // namespace circus::bin
