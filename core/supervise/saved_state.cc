#include "supervise/saved_state.hpp"

#include <cstdint>
#include <cstring>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/saved.hpp"

namespace circus::supervise {

namespace {

struct RecordHead {
    RecordKind kind{};
    std::uint32_t size = 0;
};

Error unreadable(std::string_view why) {
    return Error{cat("the state of the arbiter before cannot be read: ", why)};
}

}  // namespace

void append_record(std::string& state, RecordKind kind, std::string_view bytes) {
    const RecordHead head{kind, static_cast<std::uint32_t>(bytes.size())};
    state.append(reinterpret_cast<const char*>(&head), sizeof head);
    state += bytes;
}

std::string to_bytes(const Json& value) {
    std::string bytes;
    Json::to_cbor(value, bytes);
    return bytes;
}

Json from_bytes(std::string_view bytes) {
    return Json::from_cbor(bytes);
}

Result<std::vector<Record>> read_records(std::string_view state) {
    std::vector<Record> records;
    while (!state.empty()) {
        RecordHead head;
        if (state.size() < sizeof head) return unreadable("it is cut off");
        std::memcpy(&head, state.data(), sizeof head);
        state.remove_prefix(sizeof head);
        if (state.size() < head.size) return unreadable("it is cut off");
        records.push_back({head.kind, state.substr(0, head.size)});
        state.remove_prefix(head.size);
    }
    return records;
}

Result<config::Config> saved_config(std::string_view state) {
    const auto records = read_records(state);
    if (!records) return records.error();
    for (const Record& record : *records) {
        if (record.kind != RecordKind::Config) continue;
        try {
            config::Config config;
            config::from_saved(from_bytes(record.bytes), config);
            return config;
        } catch (const Json::exception& wrong) {
            return unreadable(wrong.what());
        }
    }
    return unreadable("there is no configuration in it");
}

Json to_saved(const Identity& identity) {
    Json saved = Json::object();
    if (identity.uid) saved["uid"] = *identity.uid;
    if (identity.gid) saved["gid"] = *identity.gid;
    if (!identity.groups.empty()) saved["groups"] = identity.groups;
    if (identity.virtual_env) saved["virtual_env"] = config::to_saved(*identity.virtual_env);
    return saved;
}

void from_saved(const Json& saved, Identity& identity) {
    if (const auto at = saved.find("uid"); at != saved.end()) identity.uid = at->get<uid_t>();
    if (const auto at = saved.find("gid"); at != saved.end()) identity.gid = at->get<gid_t>();
    if (const auto at = saved.find("groups"); at != saved.end())
        identity.groups = at->get<std::vector<gid_t>>();
    if (const auto at = saved.find("virtual_env"); at != saved.end())
        config::from_saved(*at, identity.virtual_env.emplace());
}

}  // namespace circus::supervise
