#include "plugin/abi_text.hpp"

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "supervise/arbiter.hpp"

namespace circus::plugin {

using supervise::Errno;

const char* status_words(circus_status status) {
    switch (status) {
        case CIRCUS_OK:
            return "ok";
        case CIRCUS_PENDING:
            return "pending";
        case CIRCUS_DENY:
            return "denied";
        case CIRCUS_E_INVALID:
            return "invalid";
        case CIRCUS_E_UNSUPPORTED:
            return "not supported";
        case CIRCUS_E_NOT_FOUND:
            return "not found";
        case CIRCUS_E_CONFLICT:
            return "in use";
        case CIRCUS_E_AGAIN:
            return "not now";
        case CIRCUS_E_TIMEOUT:
            return "too late";
        case CIRCUS_E_NO_MEMORY:
            return "out of memory";
        case CIRCUS_E_EXCEPTION:
            return "an exception";
        case CIRCUS_E_THREAD:
            return "called off the loop";
        default:
            return "an unknown status";
    }
}

circus_status status_of_errno(int number) {
    switch (static_cast<Errno>(number)) {
        case Errno::UnknownCommand:
            return CIRCUS_E_NOT_FOUND;
        case Errno::Os:
            return CIRCUS_E_AGAIN;
        case Errno::Command:
            return CIRCUS_E_CONFLICT;
        case Errno::Exception:
            return CIRCUS_E_EXCEPTION;
        case Errno::NotSpecified:
        case Errno::InvalidJson:
        case Errno::Message:
            break;
    }
    return CIRCUS_E_INVALID;
}

int errno_of_status(circus_status status) {
    const Errno number = status == CIRCUS_E_INVALID     ? Errno::Message
                         : status == CIRCUS_E_EXCEPTION ? Errno::Exception
                         : status == CIRCUS_E_AGAIN     ? Errno::Os
                                                        : Errno::Command;
    return static_cast<int>(number);
}

std::string reason_of(circus_status status, const std::string& json) {
    const Json answer = parse_json(json);
    const auto given = answer.is_object() ? answer.find("reason") : answer.end();
    if (answer.is_object() && given != answer.end() && given->is_string()) return given->get<std::string>();
    return status_words(status);
}

}  // namespace circus::plugin
