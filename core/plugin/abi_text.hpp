// Texts and statuses of the ABI as core has them.
#pragma once

#include <string>
#include <string_view>

#include <circus/abi.h>

namespace circus::plugin {

inline circus_str to_abi(std::string_view text) {
    return {text.data(), text.size()};
}
inline std::string_view from_abi(circus_str text) {
    return text.data ? std::string_view(text.data, text.len) : std::string_view();
}

// What a status means where there is no text: "not found".
const char* status_words(circus_status status);

// A client's errno (protocol.md) as a plugin sees it, and the other way round.
circus_status status_of_errno(int number);
int errno_of_status(circus_status status);

// "reason" of an answer that is no success, or the status's words.
std::string reason_of(circus_status status, const std::string& json);

}  // namespace circus::plugin
