#include "plugin/switchboard.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"
#include "control/request.hpp"
#include "plugin/abi_text.hpp"

namespace circus::plugin {

using supervise::HookAnswer;
using supervise::HookVerdict;

HookAnswer hook_answer(circus_status status, const std::string& json) {
    if (status == CIRCUS_OK) return {HookVerdict::Ok, json};
    if (status == CIRCUS_E_AGAIN) return {HookVerdict::Retry, reason_of(status, json)};
    if (status != CIRCUS_DENY) return {HookVerdict::Error, reason_of(status, json)};
    const Json answer = parse_json(json);
    const bool retry = answer.is_object() && answer.contains("retry") && answer["retry"] == true;
    return {retry ? HookVerdict::Retry : HookVerdict::Deny, reason_of(status, json)};
}

Result<Json> command_answer(circus_status status, const std::string& json) {
    if (status == CIRCUS_OK) return Json::parse(json, nullptr, false);
    return Error{reason_of(status, json), errno_of_status(status)};
}

Switchboard::Serial Switchboard::enter(HookTarget& target, std::string name) {
    targets_[++last_] = {&target, std::move(name)};
    return last_;
}

void Switchboard::leave(Serial plugin) {
    targets_.erase(plugin);
    std::erase_if(replies_, [plugin](const auto& each) { return each.second.plugin == plugin; });
}

void Switchboard::call(Serial plugin, const std::string& command, const std::string& properties,
                       Backend::Reply reply) {
    std::uint64_t id = 0;
    if (reply) {
        id = ++last_reply_;
        replies_[id] = {plugin, std::move(reply)};
    }
    const auto from = targets_.find(plugin);
    calls_.push_back({id, from == targets_.end() ? std::string() : from->second.name, command, properties});
}

void Switchboard::answer(std::uint64_t reply, const Result<Json>& result) {
    auto waiting = replies_.extract(reply);
    if (waiting.empty()) return;
    const double now = services_.clock.wall();
    const auto to_text = [](const Json& body) {
        return body.dump(-1, ' ', false, Json::error_handler_t::replace);
    };
    if (result) return waiting.mapped().reply(CIRCUS_OK, to_text(control::ok_body(*result, now)));
    const int number = result.error().code;
    waiting.mapped().reply(
        status_of_errno(number),
        to_text(control::error_body(static_cast<control::Errno>(number), result.error().text, now)));
}

void Switchboard::answer_text(std::uint64_t reply, std::string_view fields) {
    auto waiting = replies_.extract(reply);
    if (!waiting.empty())
        waiting.mapped().reply(CIRCUS_OK, control::ok_body_of(fields, services_.clock.wall()));
}

supervise::HookFn Switchboard::hook_of(Serial plugin, circus_id hook) {
    return [this, plugin, hook](const supervise::HookCall& call, supervise::HookAnswered answered) {
        const auto at = targets_.find(plugin);
        if (at != targets_.end()) return at->second.plugin->ask(hook, call, std::move(answered));
        later([answered = std::move(answered)] {
            answered({HookVerdict::Error, "the plugin that registered this hook has stopped"});
        });
    };
}

bool Switchboard::flush() {
    const bool busy = !is_idle();
    for (const auto& task : std::exchange(later_, {})) task();
    for (const Call& call : std::exchange(calls_, {}))
        controller_->call(
            call.plugin, call.command, Json::parse(call.properties),
            [this, reply = call.reply](const Result<Json>& result) { answer(reply, result); },
            [this, reply = call.reply](std::string_view fields) { answer_text(reply, fields); });
    return busy;
}

}  // namespace circus::plugin
