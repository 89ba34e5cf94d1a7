#include "plugin/frames.hpp"

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"

namespace circus::plugin {

namespace {
// A frame has what each side takes by itself, some levels down.
constexpr int kDeepestFrame = kDeepestJson + 16;
}  // namespace

std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string reason_json(std::string_view why) {
    return dump(Json{{"reason", why}});
}

std::string frame(const Json& fields, std::string_view raw_name, std::string_view raw_json) {
    std::string text = dump(fields);
    if (raw_name.empty()) return text;
    text.pop_back();
    text += cat(",\"", raw_name, "\":", raw_json.empty() ? std::string_view("{}") : raw_json, "}");
    return text;
}

Json parse_frame(const std::string& text) {
    Json message = parse_json(text, kDeepestFrame);
    const bool is_frame = message.is_object() && message.contains("m") && message["m"].is_string();
    return is_frame ? message : Json();
}

std::pair<std::string, std::string> chunks_frame(SinkId sink, const std::vector<stream::Chunk>& chunks) {
    Json rows = Json::array();
    std::string bytes;
    for (const auto& each : chunks) {
        rows.push_back(
            {each.watcher, each.pid, each.time, static_cast<int>(each.channel), each.bytes.size()});
        bytes += each.bytes;
    }
    return {frame({{"m", "chunks"}, {"sink", sink}, {"chunks", std::move(rows)}}), std::move(bytes)};
}

std::vector<stream::Chunk> chunks_of(const Json& message, const std::string& bytes) {
    std::vector<stream::Chunk> chunks;
    std::size_t at = 0;
    for (const Json& row : message.at("chunks")) {
        const auto size = row.at(4).get<std::size_t>();
        if (size > bytes.size() - at)
            throw Json::out_of_range::create(401, "a chunk is longer than what came", &row);
        chunks.push_back({row.at(0).get<std::string>(), static_cast<stream::Channel>(row.at(3).get<int>()),
                          row.at(1).get<pid_t>(), row.at(2).get<double>(), bytes.substr(at, size)});
        at += size;
    }
    return chunks;
}

}  // namespace circus::plugin
