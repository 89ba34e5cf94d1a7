#include "stream/loop_sinks.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.hpp"

namespace circus::stream {

void LoopSinks::offer(const std::string& class_name, LoopSinkClass& sinks) {
    classes_[class_name] = &sinks;
    for (auto& [key, entry] : entries_) {
        if (entry.handover->spec().class_name != class_name) continue;
        connect(entry);
        post(key);
    }
}

void LoopSinks::withdraw(const std::string& class_name) {
    classes_.erase(class_name);
    for (auto& [key, entry] : entries_)
        if (entry.handover->spec().class_name == class_name) connect(entry);
}

void LoopSinks::connect(Entry& entry) {
    const StreamSpec& spec = entry.handover->spec();
    give(entry);  // what it took and has not said yet is not for the next one
    entry.sink.reset();
    const auto at = classes_.find(spec.class_name);
    if (at == classes_.end()) {
        std::vector<std::string> names;
        for (const auto& each : classes_) names.push_back(each.first);
        const auto near = did_you_mean(spec.class_name, names);
        return entry.handover->set_reason(cat("nobody offers the class ", spec.class_name, " at the moment",
                                              near ? cat("; did you mean ", *near, "?") : std::string()));
    }
    auto opened = at->second->open(spec);
    if (!opened) return entry.handover->set_reason(opened.error().text);
    entry.sink = std::move(*opened);
    entry.handover->set_reason({});
}

std::shared_ptr<Handover> LoopSinks::handover_of(const StreamSpec& spec) {
    const std::string key = cat(spec.class_name, spec.channel == Channel::Stdout ? " stdout " : " stderr ",
                                spec.watcher, " ", spec.options);
    Entry& entry = entries_[key];
    if (!entry.handover) {
        // `this` is used on the loop's thread only, and the inbox drops what comes after it.
        entry.handover = std::make_shared<Handover>(
            key, spec, [this, key, sender = sender_] { sender.post([this, key] { deliver(key); }); });
        connect(entry);
    } else if (!entry.sink) {
        connect(entry);  // what it failed for may be over
    }
    return entry.handover;
}

void LoopSinks::post(const std::string& key) {
    sender_.post([this, key] { deliver(key); });
}

void LoopSinks::ready(const LoopSink& sink) {
    for (const auto& [key, entry] : entries_)
        if (entry.sink.get() == &sink) post(key);
}

void LoopSinks::trouble(const LoopSink& sink, const std::string& why) {
    for (const auto& [key, entry] : entries_)
        if (entry.sink.get() == &sink) entry.handover->set_reason(why);
}

bool LoopSinks::is_delivered() const {
    return std::all_of(entries_.begin(), entries_.end(), [](const auto& each) {
        const Entry& entry = each.second;
        return entry.handover->has_reason() || (entry.waiting.empty() && !entry.handover->has_chunks());
    });
}

void LoopSinks::deliver(const std::string& key) {
    const auto at = entries_.find(key);
    if (at == entries_.end()) return;
    give(at->second);
    // A stream that was opened again meanwhile holds its handover too.
    Entry& entry = at->second;
    if (entry.handover->is_over() && entry.waiting.empty() && entry.handover.use_count() == 1)
        entries_.erase(at);
}

void LoopSinks::give(Entry& entry) {
    if (!entry.sink) return;
    auto more = entry.handover->take();
    std::move(more.begin(), more.end(), std::back_inserter(entry.waiting));
    if (entry.waiting.empty()) return;
    const std::size_t taken = std::min(entry.sink->write(entry.waiting), entry.waiting.size());
    const auto end = entry.waiting.begin() + static_cast<std::ptrdiff_t>(taken);
    std::size_t bytes = 0;
    for (auto chunk = entry.waiting.begin(); chunk != end; ++chunk) bytes += chunk->bytes.size();
    entry.waiting.erase(entry.waiting.begin(), end);
    if (bytes > 0) entry.handover->passed(bytes);
}

void LoopSinks::prepare_for_the_end() {
    for (auto& [key, entry] : entries_) entry.handover->take_everything();
}

void LoopSinks::deliver_the_rest() {
    for (auto& [key, entry] : entries_) give(entry);
}

}  // namespace circus::stream
