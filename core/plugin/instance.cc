#include "plugin/instance.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "plugin/abi_text.hpp"

namespace circus::plugin {

namespace {

circus_plugin copy_of(const circus_plugin& table) {
    circus_plugin copy{};
    std::memcpy(&copy, &table, std::min<std::size_t>(table.size, sizeof copy));
    return copy;
}

}  // namespace

Instance::Instance(HostTable& host, const circus_plugin& table) : host_(host), table_(copy_of(table)) {}

Instance::~Instance() {
    if (state_ == State::Running || state_ == State::Stopping) end(false);
}

Status Instance::start(const std::string& options) {
    std::string why;
    circus_status status = host_.run(
        "create", [&] { return table_.create(host_.raw(), to_abi(options), &self_); }, why);
    if (status != CIRCUS_OK) {
        state_ = State::Gone;
        return Error{cat("create: ", why.empty() ? status_words(status) : why)};
    }
    host_.open();
    state_ = State::Running;
    status = host_.run(
        "start", [&] { return table_.start(self_); }, why);
    if (status == CIRCUS_OK) return Ok{};
    end(false);
    return Error{cat("start: ", why.empty() ? status_words(status) : why)};
}

Result<bool> Instance::reconfigure(const std::string& options) {
    if (!table_.reconfigure) return false;
    std::string why;
    const circus_status status = host_.run(
        "reconfigure", [&] { return table_.reconfigure(self_, to_abi(options)); }, why);
    if (status == CIRCUS_OK) return true;
    return Error{cat("reconfigure: ", why.empty() ? status_words(status) : why)};
}

void Instance::stop(Milliseconds deadline) {
    if (state_ != State::Running) return;
    state_ = State::Stopping;
    const circus_token token = host_.owe("stop", deadline, [this](circus_status, const std::string&) {
        if (state_ == State::Stopping) end(true);
    });
    std::string why;
    const circus_status status = host_.run(
        "stop", [&] { return table_.stop(self_, token); }, why);
    host_.returned(token, status, why);
}

void Instance::end(bool had_its_chance) {
    state_ = State::Gone;
    for (const auto& left : host_.close())
        if (had_its_chance) host_.misbehaving(cat("it has left a registration behind: ", left));
    host_.meter().run("destroy", [this] { table_.destroy(self_); });
    self_ = nullptr;
}

}  // namespace circus::plugin
