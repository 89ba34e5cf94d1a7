#include "control/reply.hpp"

#include <nlohmann/json.hpp>

namespace circus::control {

void Reply::ok() const {
    ok(Json::object());
}

void Reply::ok(Json fields) const {
    send_(Result<Json>(std::move(fields)));
}

void Reply::ok_text(std::string_view fields) const {
    if (send_text_)
        send_text_(fields);
    else
        ok(Json::parse(fields));
}

void Reply::error(Errno number, std::string reason) const {
    send_(Error{std::move(reason), static_cast<int>(number)});
}

void Reply::error(const Error& error) const {
    const bool ours = error.code >= static_cast<int>(Errno::InvalidJson) &&
                      error.code <= static_cast<int>(Errno::Exception);
    send_(Error{error.text, ours ? error.code : static_cast<int>(Errno::Message)});
}

supervise::Done Reply::at_end(Fields fields) const {
    if (!waiting_) return {};
    return [reply = *this, fields = std::move(fields)](const Result<supervise::OpResult>& result) {
        if (!result)
            reply.error(result.error());
        else if (fields)
            reply.ok(fields(*result));
        else
            reply.ok();
    };
}

void Reply::from(const CommandRegistry::Entry& command, const Json& properties) const {
    command.run(properties, [reply = *this](const Result<Json>& result) {
        if (result)
            reply.ok(*result);
        else
            reply.error(result.error());
    });
}

void Reply::began() const {
    if (waiting_) return;
    if (begun_) *begun_ = true;
    ok();
}

}  // namespace circus::control
