// Any bytes as a client's message: a request, or an answer that is JSON, or nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "control/request.hpp"

namespace {

void expect_json(const std::string& text) {
    if (!circus::Json::accept(text)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace circus::control;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Parsed parsed = parse_request(text, 1.5);
    if (!parsed.request) {
        if (!parsed.answer.empty()) expect_json(parsed.answer);
        return 0;
    }
    const Request& request = *parsed.request;
    if (!request.properties || !request.properties->is_object()) std::abort();
    expect_json(ok_answer(*request.properties, 1.5, request.id));
    expect_json(error_answer(circus::supervise::Errno::Message, request.command, 1.5, request.id));
    return 0;
}
